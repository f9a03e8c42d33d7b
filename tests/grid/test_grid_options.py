"""Options of the grid, and what they are typed as for train.py and for a Hydra launcher."""

from __future__ import annotations

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import train  # noqa: F401  registers the configuration's resolvers
from erc.configuration import check_command_line
from erc.grid import cells as grid_cells, options as grid_options, program, running
from erc.grid.asked_for import check_options


def test_without_options_the_grid_is_the_paper_s_nine_rows_on_five_folds(capsys):
    # nine rows: three fusions times three label kinds (the paper); five folds; seed 42
    assert program.main(["--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    fusions, targets = ("concat", "cross_attention", "tensor_mixer"), ("hard", "soft", "peakl")
    expected = {(f"{fusion}_{target}", fold) for fusion in fusions for target in targets for fold in range(5)}
    typed = r"experiment=paper fusion=(\w+) target=(\w+) dataset.validation_fold=(\d) seed=42 "
    found = [re.search(typed, line).groups() for line in lines]
    assert len(found) == 45 and {(f"{fusion}_{target}", int(fold)) for fusion, target, fold in found} == expected


def test_a_dry_run_says_how_each_cell_stands_and_how_it_is_typed_and_makes_nothing(tmp_path, capsys):
    out = tmp_path / "grid"
    half = out / "text_only_peakl" / "fold3-seed7"
    half.mkdir(parents=True)
    (half / "last.ckpt").touch()
    before = sorted(tmp_path.rglob("*"))
    options = ["--rows", "concat_hard,text_only_peakl", "--folds", "3", "--seeds", "7", "--experiment", "demo"]
    assert program.main(["--dry-run", *options, "--out", str(out), "--", "trainer.max_epochs=2", "logger=csv"]) == 0
    common = "dataset.validation_fold=3 seed=7 resume=true"
    assert capsys.readouterr().out.splitlines() == [
        f"waiting    python train.py experiment=demo_grid fusion=small/concat target=hard {common} "
        f"hydra.run.dir={out}/concat_hard/fold3-seed7 trainer.max_epochs=2 logger=csv",
        f"half-done  python train.py experiment=demo_grid fusion=small/text_only target=peakl {common} "
        f"hydra.run.dir={half} trainer.max_epochs=2 logger=csv",
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_help_names_every_option_and_every_row(capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "--rows",
        "--folds",
        "--seeds",
        "--experiment",
        "--out",
        "--launcher",
        "--jobs",
        "--accept-code",
        "--dry-run",
        *grid_cells.rows_of("paper"),
    ):
        assert word in text


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("--rows concat_hard,konkat_soft", "--rows: expected some of .*tensor_mixer_peakl.* got konkat_soft"),
        ("--rows ,", "--rows: .* got nothing"),
        ("--folds 5", "--folds: expected numbers from 0 to 4, got '5'"),
        ("--folds 1;2", "--folds: expected whole numbers joined by commas, got '1;2'"),
        ("--seeds 4.5", "--seeds: expected whole numbers.*'4.5'"),
        ("--seeds=-1", "--seeds: expected numbers from 0 .*'-1'"),
        ("--jobs 0", "--jobs must be 1 or more: got 0"),
        ("--jobs two", "--jobs: invalid int value: 'two'"),
        ("--launcher basic --jobs 2", "--launcher basic is one cell at a time: got --jobs 2"),
        ("--launcher submitit_slurm --jobs 2", "--jobs is of --launcher local, .* got --jobs 2"),
        (
            "-- hydra.launcher.partition=gpu",
            "hydra.launcher.partition is of --launcher submitit_slurm: .* --launcher local",
        ),
        ("--launcher slurm", "--launcher: invalid choice: 'slurm'"),
        ("--experiment real", "--experiment: invalid choice: 'real'"),
        ("--flods 1", "unrecognized arguments: --flods"),
        ("-- seed=43", "--seeds decides over seed: got seed=43 behind --"),
        ("-- dataset.validation_fold=1", "--folds decides over dataset.validation_fold"),
        ("-- target=soft", "--rows decides over target: got target=soft"),
        ("-- ++hydra.run.dir=elsewhere", r"--out decides over hydra.run.dir: got \+\+hydra.run.dir=elsewhere"),
    ],
)
def test_a_wrong_option_stops_the_grid_by_name(capsys, typed, named):
    with pytest.raises(SystemExit) as stop:
        program.main(["--dry-run", *typed.split()])
    assert stop.value.code == 2
    assert re.search(named, capsys.readouterr().err)


def test_what_is_given_twice_is_run_once():
    options = grid_options.parse(["--rows", "concat_hard,concat_hard", "--folds", "1,0,1", "--seeds", "3,3"])
    assert (options.rows, options.folds, options.seeds) == (["concat_hard"], [1, 0], [3])


@pytest.mark.parametrize("folder", ["grid", "my grid", "lr=1e-3", "a,b", "mixer (wide)", "it's"])
@pytest.mark.parametrize("launcher", ["local", "submitit_slurm"])
def test_any_folder_name_reaches_hydra_as_it_is(tmp_path, folder, launcher):
    options = grid_options.parse(["--rows", "concat_hard", "--folds", "0", "--out", str(tmp_path / folder)])
    if launcher == "local":
        command = grid_cells.Cell("paper", "concat_hard", 0, 42, options.out).overrides([])
        key, expected = "hydra.run.dir", tmp_path / folder / "concat_hard" / "fold0-seed42"
    else:
        (command,) = running.hydra_commands(options, launcher)
        key, expected = "hydra.sweep.dir", tmp_path / folder
    typed = [word for word in command if "=" in word]
    parsed = {override.key_or_group: override for override in OverridesParser.create().parse_overrides(typed)}
    assert not parsed[key].is_sweep_override()
    assert parsed[key].value() == str(expected)


@pytest.mark.parametrize(
    ("options", "launcher"),
    [
        ([], 1),
        (["--experiment", "demo"], 2),
        (["--jobs", "3"], 3),
        (["--experiment", "demo", "--launcher", "basic"], 1),  # basic and joblib are names of before
        (["--launcher", "joblib"], 2),
        (["--launcher", "joblib", "--jobs", "4"], 4),
        (["--launcher", "submitit_local"], "submitit_local"),
    ],
)
def test_the_paper_s_grid_runs_one_by_one_and_the_demo_s_several_at_a_time(tmp_path, monkeypatch, options, launcher):
    started = []
    monkeypatch.setattr(program, "run_pool", lambda cells, extra, n_jobs, board: started.append(n_jobs))
    monkeypatch.setattr(program, "run_by_hydra", lambda _, launcher, cells, board: started.append(launcher))
    program.main([*options, "--out", str(tmp_path / "grid")])
    assert started == [launcher]


def test_a_cluster_gets_its_time_and_its_partition():
    """A cell of the paper takes hours, and submitit ends a job after one: 60 minutes is what it sets by itself."""
    typed = ["--launcher", "submitit_slurm", "--rows", "concat_hard", "--", "hydra.launcher.timeout_min=1440"]
    options = grid_options.parse(typed)
    check_options(options.experiment, options.rows, options.overrides)
    (command,) = running.hydra_commands(options, options.launcher)
    assert "hydra.launcher.timeout_min=1440" in command
    check_command_line(command[2:], grid_cells.CONFIG)
    with pytest.raises(ValueError, match="timeout_minutes"):
        check_command_line([*command[2:], "hydra.launcher.timeout_minutes=1440"], grid_cells.CONFIG)


def test_a_hydra_launcher_gets_every_cell_of_the_grid_and_the_options_behind_it(tmp_path):
    options = ["--rows", "concat_hard,text_only_peakl", "--folds", "0,3", "--seeds", "1,2", "--experiment", "demo"]
    options += ["--out", str(tmp_path), "--", "trainer.max_epochs=2"]
    commands = running.hydra_commands(grid_options.parse(options), "submitit_slurm")
    for command in commands:
        assert {"--multirun", "hydra/launcher=submitit_slurm"} <= set(command)
        assert {"experiment=demo_grid", "dataset.validation_fold=0,3", "seed=1,2", "resume=true"} <= set(command)
        assert "trainer.max_epochs=2" in command
    assert rows_typed(commands) == ["small/concat_hard", "small/text_only_peakl"]


def rows_typed(commands: list[list[str]]) -> list[str]:
    """Rows that multiruns train, in their order."""
    found = []
    for command in commands:
        given = dict(word.split("=", 1) for word in command[2:] if "=" in word)
        found += [
            f"{fusion}_{target}" for fusion in given["fusion"].split(",") for target in given["target"].split(",")
        ]
    return found


@pytest.mark.parametrize(
    ("rows", "n_multiruns"),
    [
        (None, 1),  # the paper's nine are a product
        ("concat_soft", 1),
        ("concat_hard,concat_soft,tensor_mixer_hard,tensor_mixer_soft", 1),
        ("audio_only_peakl,text_only_peakl", 1),
        ("concat_hard,text_only_peakl", 2),
        (",".join([*grid_cells.TABLE_ROWS, "audio_only_peakl", "text_only_peakl"]), 2),
        ("concat_hard,concat_soft,cross_attention_hard,tensor_mixer_soft", 3),
    ],
)
def test_a_hydra_launcher_gets_each_row_once_in_few_multiruns(tmp_path, rows, n_multiruns):
    typed = ["--out", str(tmp_path), *(["--rows", rows] if rows else [])]
    commands = running.hydra_commands(grid_options.parse(typed), "submitit_slurm")
    assert len(commands) == n_multiruns
    assert sorted(rows_typed(commands)) == sorted(rows.split(",") if rows else grid_cells.TABLE_ROWS)
