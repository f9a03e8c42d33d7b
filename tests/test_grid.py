"""The grid of the paper's table: its options, its rows, what it runs again and what not, and being killed at any moment."""

from __future__ import annotations

import functools
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf

from erc import grid, runs, training
from erc.callbacks import EpochHistory
from erc.datasets import HF_KEMD, corpora_fingerprint

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config"


# --- options ----------------------------------------------------------------------------------------------------------
def test_without_options_the_grid_is_the_paper_s_nine_rows_on_five_folds(capsys):
    # nine rows: three fusions times three label kinds (the paper); five folds; seed 42
    assert grid.main(["--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    fusions, targets = ("concat", "cross_attention", "tensor_mixer"), ("hard", "soft", "peakl")
    expected = {(f"{fusion}_{target}", fold) for fusion in fusions for target in targets for fold in range(5)}
    found = [re.search(r"experiment=(\w+) dataset.validation_fold=(\d) seed=42 ", line).groups() for line in lines]
    assert len(found) == 45 and {(row, int(fold)) for row, fold in found} == expected


def test_a_dry_run_says_how_each_cell_stands_and_how_it_is_typed_and_makes_nothing(tmp_path, capsys):
    out = tmp_path / "grid"
    half = out / "text_only_peakl" / "fold3-seed7"
    half.mkdir(parents=True)
    (half / "last.ckpt").touch()
    before = sorted(tmp_path.rglob("*"))
    options = ["--rows", "concat_hard,text_only_peakl", "--folds", "3", "--seeds", "7", "--experiment", "demo"]
    assert grid.main(["--dry-run", *options, "--out", str(out), "--", "trainer.max_epochs=2", "sample=null"]) == 0
    common = "dataset.validation_fold=3 seed=7 resume=true"
    assert capsys.readouterr().out.splitlines() == [
        f"waiting    python train.py experiment=demo/concat_hard {common} "
        f"hydra.run.dir={out}/concat_hard/fold3-seed7 trainer.max_epochs=2 sample=null",
        f"half-done  python train.py experiment=demo/text_only_peakl {common} "
        f"hydra.run.dir={half} trainer.max_epochs=2 sample=null",
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_help_names_every_option_and_every_row(capsys):
    with pytest.raises(SystemExit) as stop:
        grid.main(["--help"])
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
        "--dry-run",
        *grid.ROWS,
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
        ("--launcher slurm", "--launcher: invalid choice: 'slurm'"),
        ("--experiment real", "--experiment: invalid choice: 'real'"),
        ("--flods 1", "unrecognized arguments: --flods"),
    ],
)
def test_a_wrong_option_stops_the_grid_by_name(capsys, typed, named):
    with pytest.raises(SystemExit) as stop:
        grid.main(["--dry-run", *typed.split()])
    assert stop.value.code == 2
    assert re.search(named, capsys.readouterr().err)


def test_what_is_given_twice_is_run_once():
    options = grid.parse(["--rows", "concat_hard,concat_hard", "--folds", "1,0,1", "--seeds", "3,3"])
    assert (options.rows, options.folds, options.seeds) == (["concat_hard"], [1, 0], [3])


@pytest.mark.parametrize("folder", ["grid", "my grid", "lr=1e-3", "a,b", "mixer (wide)", "it's"])
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_any_folder_name_reaches_hydra_as_it_is(tmp_path, folder, launcher):
    options = grid.parse(["--rows", "concat_hard", "--folds", "0", "--out", str(tmp_path / folder)])
    if launcher == "basic":
        command = grid.Cell("paper", "concat_hard", 0, 42, options.out).overrides([])
        key, expected = "hydra.run.dir", tmp_path / folder / "concat_hard" / "fold0-seed42"
    else:
        command = grid.hydra_command(options, "joblib")
        key, expected = "hydra.sweep.dir", tmp_path / folder
    typed = [word for word in command if "=" in word]
    parsed = {override.key_or_group: override for override in OverridesParser.create().parse_overrides(typed)}
    assert not parsed[key].is_sweep_override()
    assert parsed[key].value() == str(expected)


@pytest.mark.parametrize(
    ("options", "launcher"),
    [([], "basic"), (["--experiment", "demo"], "joblib"), (["--experiment", "demo", "--launcher", "basic"], "basic")],
)
def test_the_paper_s_grid_runs_one_by_one_and_the_demo_s_several_at_a_time(tmp_path, monkeypatch, options, launcher):
    started = []
    monkeypatch.setattr(grid, "run_one_by_one", lambda *_: started.append("basic"))
    monkeypatch.setattr(grid, "run_by_hydra", lambda _, launcher, cells: started.append(launcher))
    grid.main([*options, "--out", str(tmp_path / "grid")])
    assert started == [launcher]


def test_a_hydra_launcher_gets_every_cell_of_the_grid_and_the_options_behind_it(tmp_path):
    options = ["--rows", "concat_hard,text_only_peakl", "--folds", "0,3", "--seeds", "1,2", "--experiment", "demo"]
    options += ["--jobs", "3", "--out", str(tmp_path), "--", "trainer.max_epochs=2"]
    command = grid.hydra_command(grid.parse(options), "joblib")
    assert {"--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=3", "trainer.max_epochs=2"} <= set(command)
    assert {"experiment=demo/concat_hard,demo/text_only_peakl", "dataset.validation_fold=0,3", "seed=1,2"} <= set(
        command
    )
    assert "resume=true" in command


def test_a_launcher_s_cells_are_counted_while_they_run_and_the_time_left_is_told(tmp_path, capsys):
    cells = [grid.Cell("demo", "concat_hard", fold, 42, tmp_path) for fold in range(4)]
    for cell in cells:
        cell.run_dir.mkdir(parents=True)
    (cells[0].run_dir / "result.json").write_text('{"fingerprint": "a"}')
    code = (
        "import sys, time\nfor folder in sys.argv[1:]:\n time.sleep(0.3)\n"
        " open(folder + '/result.json', 'w').write('{\"fingerprint\": \"a\"}')"
    )
    with subprocess.Popen([sys.executable, "-c", code, *(str(cell.run_dir) for cell in cells[1:])]) as process:
        grid.watch(process, cells, seconds=0.05)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("]")[0] for line in lines] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert ["left" in line for line in lines] == [False, True, True, False]


def test_an_interrupted_launcher_is_ended(tmp_path, monkeypatch):
    started = []

    def interrupted(process, cells):
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(grid, "hydra_command", lambda *_: [sys.executable, "-c", "import time; time.sleep(300)"])
    monkeypatch.setattr(grid, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grid.run_by_hydra(None, "joblib", [])
    assert started[0].returncode == -signal.SIGKILL


# --- rows -------------------------------------------------------------------------------------------------------------
@functools.cache
def composed(experiment: str, row: str) -> dict:
    return grid.composed(experiment, row, ())


@pytest.mark.parametrize("experiment", grid.EXPERIMENTS)
@pytest.mark.parametrize("row", grid.ROWS)
def test_a_row_is_its_fusion_and_its_target_and_all_else_is_as_in_the_main_row(experiment, row):
    fusion, target = row.rsplit("_", 1)
    config, main = composed(experiment, row), composed(experiment, "tensor_mixer_peakl")
    folder = "fusion/small" if experiment == "demo" else "fusion"
    assert config["fusion"] == yaml.safe_load((CONFIG / folder / f"{fusion}.yaml").read_text(encoding="utf-8"))
    assert config["fusion"]["_target_"].startswith(f"erc.fusion.{fusion}.")
    assert config["target"]["kind"] == config["dataloader"]["collate"]["target"] == target

    def rest(parts: dict) -> dict:
        collate = parts["dataloader"]["collate"] | {"target": None}
        return parts | {"fusion": None, "target": None, "dataloader": parts["dataloader"] | {"collate": collate}}

    assert rest(config) == rest(main)


def test_there_is_an_experiment_for_every_row_and_a_row_for_every_experiment():
    for folder, others in ((CONFIG / "experiment", {"paper", "demo"}), (CONFIG / "experiment" / "demo", {"grid"})):
        assert {path.stem for path in folder.glob("*.yaml")} == {*grid.ROWS, *others}


# --- whose run it is --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("experiment", "extra"),
    [
        ("paper", ()),
        ("demo", ("trainer.max_epochs=2", "dataset.num_data=8", "callbacks.early_stopping.patience=2")),
        ("demo", ("trainer.precision=bf16-mixed", "+trainer.limit_train_batches=2", "protocol=nested")),
    ],
)
def test_the_driver_and_train_py_give_a_cell_the_same_fingerprint(experiment, extra, tmp_path):
    cell = grid.Cell(experiment, "cross_attention_soft", 2, 9, tmp_path)
    overrides = [word for word in cell.overrides(list(extra)) if not word.startswith("hydra.")]
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        # the last three, which train.py's own resolvers fill in, decide nothing
        config = compose(
            "train", [*overrides, f"run_dir={tmp_path}", "logger=csv", "trainer.enable_progress_bar=false"]
        )
    whole = OmegaConf.to_container(config, resolve=True)  # as train.py does
    theirs = grid.composed(experiment, cell.row, extra)
    theirs = theirs | {"seed": 9, "dataset": theirs["dataset"] | {"validation_fold": 2}}
    assert training.fingerprint(whole, "data") == training.fingerprint(theirs, "data")
    # control: another fold is another run
    other = theirs | {"dataset": theirs["dataset"] | {"validation_fold": 3}}
    assert training.fingerprint(other, "data") != training.fingerprint(whole, "data")


def test_a_finished_cell_is_current_until_an_option_or_the_data_change(tmp_path, corpora, cache_dir):
    cell = grid.Cell("demo", "concat_hard", 3, 9, tmp_path)
    extra = ["sample=null", f"dataset.root={corpora}", "dataset.num_data=2"]
    assert not grid.is_current(cell, extra)  # not begun
    view = HF_KEMD("train", 3, root=str(corpora), cache_dir=str(cache_dir), num_data=2)
    assert view.fingerprint == corpora_fingerprint("kemdy19-kemdy20", str(corpora))
    config = grid.composed("demo", "concat_hard", (*extra, "seed=9", "dataset.validation_fold=3"))
    cell.run_dir.mkdir(parents=True)
    identity = training.fingerprint(config, view.fingerprint)
    runs.write_atomically(cell.run_dir / "result.json", f'{{"fingerprint": "{identity}"}}')
    assert grid.is_current(cell, extra)
    assert grid.is_current(cell, [*extra, f"dataset.cache_dir={tmp_path}", "dataloader.num_workers=2"])  # no matter
    assert not grid.is_current(cell, [*extra, "optim.lr.heads=1e-3"])
    assert not grid.is_current(cell, ["sample=null", f"dataset.root={tmp_path}", "dataset.num_data=2"])  # nothing there
    # the same result in the place of another fold or seed
    for fold, seed in ((4, 9), (3, 42)):
        other = grid.Cell("demo", "concat_hard", fold, seed, tmp_path)
        other.run_dir.mkdir()
        runs.write_atomically(other.run_dir / "result.json", f'{{"fingerprint": "{identity}"}}')
        assert not grid.is_current(other, extra)


# --- the driver, with a stand-in for training -------------------------------------------------------------------------
class StandIn:
    """Does to the run folder what ``python train.py ... resume=true`` does, and notes which cells it was started for.

    ``moods`` says by the row's name what happens: "fail" (an error is written down) or "die" (killed after an epoch).
    The options behind ``--`` stand for the fingerprint.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.moods: dict[str, str] = {}

    def __call__(self, command: list[str], cwd: Path, check: bool) -> subprocess.CompletedProcess:
        given = dict(word.split("=", 1) for word in command[2:])
        run_dir = Path(given["hydra.run.dir"])
        identity = "|".join(command[7:])
        self.started.append(run_dir.parent.name + "/" + run_dir.name)
        mood = self.moods.get(run_dir.parent.name)
        if mood == "interrupt":
            raise KeyboardInterrupt
        with runs.claimed(run_dir) as is_ours:
            if not is_ours or runs.finished_result(run_dir, identity) is not None:
                return subprocess.CompletedProcess(command, 0)
            try:
                runs.checkpoint_to_resume(run_dir, identity)
                if mood == "fail":
                    raise MemoryError("no room for the model")
            except (FileExistsError, MemoryError) as err:
                runs.record_error(run_dir, err)
                return subprocess.CompletedProcess(command, 1)
            if mood == "die":
                torch.save({"epoch": 0}, run_dir / "last.ckpt")
                return subprocess.CompletedProcess(command, -9)
            runs.write_atomically(run_dir / "result.json", f'{{"fingerprint": "{identity}"}}')
            self.finished.append(self.started[-1])
            return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def stand_in(monkeypatch) -> StandIn:
    found = StandIn()
    monkeypatch.setattr(grid.subprocess, "run", found)
    monkeypatch.setattr("erc.report.tables.build", lambda folder: "THE TABLE")
    monkeypatch.setattr(
        grid, "is_current", lambda cell, extra: runs.finished_result(cell.run_dir, "|".join(extra)) is not None
    )
    return found


ROW_NAMES = ("concat_hard", "concat_soft", "text_only_peakl")


@pytest.fixture
def run_grid(tmp_path, capsys):
    """Runs a grid of three rows and one fold; returns its exit code and what it printed."""

    def run(*extra: str, rows: tuple[str, ...] = ROW_NAMES, folds: str = "4") -> tuple[int, list[str]]:
        typed = ["--rows", ",".join(rows), "--folds", folds, "--launcher", "basic", "--out", str(tmp_path / "grid")]
        code = grid.main([*typed, "--", *extra])
        return code, capsys.readouterr().out.splitlines()

    return run


def test_a_grid_runs_fold_by_fold_all_rows_and_prints_its_table(stand_in, run_grid):
    code, lines = run_grid(folds="1,0")
    assert stand_in.finished == [f"{row}/fold{fold}-seed42" for fold in (1, 0) for row in ROW_NAMES]
    assert code == 0
    assert lines[-2:] == ["THE TABLE", "6 of 6 cells are finished."]
    assert lines[0] == "[1/6] concat_hard, fold 1, seed 42: waiting  (done 0, running 0, failed 0)"
    assert "[6/6] text_only_peakl, fold 0, seed 42: waiting  (done 5, running 0, failed 0)" in lines
    assert sum(line.endswith(" left") for line in lines) == 5  # an estimate as soon as one cell has been timed


def test_a_finished_grid_starts_nothing(stand_in, run_grid):
    run_grid()
    stand_in.started.clear()
    code, lines = run_grid()
    assert code == 0 and stand_in.started == []
    assert lines[-2:] == ["THE TABLE", "3 of 3 cells are finished."]


def test_a_cell_that_fails_is_named_at_the_end_and_the_rest_go_on(stand_in, run_grid):
    stand_in.moods["concat_soft"] = "fail"
    code, lines = run_grid()
    assert code == 1
    assert stand_in.finished == ["concat_hard/fold4-seed42", "text_only_peakl/fold4-seed42"]
    assert lines[-3:] == [
        "THE TABLE",
        "missing: concat_soft, fold 4, seed 42: failed (MemoryError: no room for the model)",
        "2 of 3 cells are finished. Start again to go on.",
    ]
    # started again, it takes up that cell alone
    stand_in.moods.clear()
    stand_in.started.clear()
    assert run_grid()[0] == 0
    assert stand_in.started == ["concat_soft/fold4-seed42"]


def test_a_cell_that_dies_without_a_word_is_half_done_and_taken_up_again(stand_in, run_grid):
    stand_in.moods["concat_hard"] = "die"
    code, lines = run_grid()
    assert code == 1
    assert lines[-2] == "missing: concat_hard, fold 4, seed 42: half-done"
    stand_in.moods.clear()
    code, lines = run_grid()
    assert code == 0 and stand_in.finished.count("concat_hard/fold4-seed42") == 1


def test_without_a_finished_cell_there_is_no_table(stand_in, run_grid):
    stand_in.moods = dict.fromkeys(ROW_NAMES, "fail")
    code, lines = run_grid()
    assert code == 1 and "THE TABLE" not in lines
    assert [line.split(",")[0] for line in lines[-4:-1]] == [f"missing: {row}" for row in ROW_NAMES]


def test_a_changed_option_is_refused_and_the_grid_says_so(stand_in, run_grid, tmp_path):
    run_grid("optim.lr.heads=1e-4")
    results = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    code, lines = run_grid("optim.lr.heads=1e-3")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == results and len(results) == 3
    # the figures that lie there are of other options: a table of them under this command would be a wrong one
    assert code == 1, "the grid calls cells of other options finished"
    ending = "\n".join(lines[-4:])
    for row in ROW_NAMES:
        assert re.search(rf"{row}, fold 4, seed 42: .*A run folder holds one run", ending)
    assert "0 of 3 cells are finished" in ending
    # with the first options again, nothing is wrong and nothing is trained
    stand_in.finished.clear()
    assert run_grid("optim.lr.heads=1e-4")[0] == 0 and stand_in.finished == []


def test_an_interrupt_ends_the_grid_with_what_is_missing(stand_in, run_grid):
    stand_in.moods["concat_soft"] = "interrupt"
    code, lines = run_grid()
    assert code == 1
    assert stand_in.started == ["concat_hard/fold4-seed42", "concat_soft/fold4-seed42"]  # nothing after it
    assert any(line.startswith("Interrupted. The same command goes on from here") for line in lines)
    assert lines[-1].startswith("1 of 3 cells are finished")


HOLD = (
    "import sys, time\nfrom erc.runs import claimed\nwith claimed(sys.argv[1]):\n print(flush=True)\n time.sleep(300)"
)


@pytest.mark.parametrize("finishes", [True, False])
def test_a_cell_that_another_process_trains_is_waited_for_and_taken_over_if_that_dies(
    stand_in, run_grid, tmp_path, monkeypatch, finishes
):
    run_dir = tmp_path / "grid" / "concat_soft" / "fold4-seed42"
    process = subprocess.Popen([sys.executable, "-c", HOLD, run_dir], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()

    def end(seconds: float) -> None:
        """What happens while the driver sleeps."""
        if finishes:
            runs.write_atomically(run_dir / "result.json", '{"fingerprint": ""}')
        process.kill()
        process.wait()

    monkeypatch.setattr(grid, "time", SimpleNamespace(monotonic=time.monotonic, sleep=end))
    try:
        code, lines = run_grid()
    finally:
        end(0)
        process.stdout.close()
    assert code == 0 and lines[-1] == "3 of 3 cells are finished."
    assert "Waiting for 1 cells that other processes are training, e.g. concat_soft, fold 4, seed 42." in lines
    assert stand_in.finished.count("concat_soft/fold4-seed42") == (0 if finishes else 1)
    # meanwhile the others were trained, once
    assert [stand_in.finished.count(f"{row}/fold4-seed42") for row in ("concat_hard", "text_only_peakl")] == [1, 1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (29, "29 s"), (31, "1 min"), (150.1, "3 min"), (3_600, "1 h"), (3_590, "1 h"), (5_400, "1 h 30 min"),
        (86_399, "1 d"), (90_000, "1 d 1 h"), (86_400 + 3_600 * 5 + 1_500, "1 d 5 h"), (3 * 86_400 + 60, "3 d"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_two_units_at_most(seconds, words):
    assert grid.duration(seconds) == words


def test_every_duration_reads_back_to_within_its_smaller_unit():
    sizes = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
    for seconds in range(1, 300_000, 97):
        words = grid.duration(seconds).split()
        assert 2 <= len(words) <= 4
        told = sum(int(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
        assert abs(told - seconds) <= (3_600 if "d" in words else 30), seconds


# --- a run that stopped early -----------------------------------------------------------------------------------------
class Cut(Exception):
    """Stands for a kill: nothing after it runs."""


@pytest.fixture
def train_cell(corpora, cache_dir, tmp_path):
    """Trains a small cell in this process; its learning rates are 0, so that accuracy never gets better."""

    def train() -> dict:
        data = ["sample=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=8"]
        rates = [f"optim.lr.{part}=0.0" for part in ("text_encoder", "fusion", "heads", "audio_encoder")]
        options = ["resume=true", f"run_dir={tmp_path}", "trainer.max_epochs=9", "scheduler=none"]
        options += ["callbacks.early_stopping.patience=2", "trainer.enable_progress_bar=false"]
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            config = compose("train", ["experiment=demo/text_only_peakl", *data, *rates, *options])
        plain = OmegaConf.to_container(config, resolve=True)
        names = {"experiment": "demo/text_only_peakl", "fusion": "text_only", "target": "peakl"}
        return training.train_fold(instantiate(OmegaConf.create(plain), _convert_="all"), names, plain)

    return train


def test_a_run_that_was_cut_right_after_it_stopped_early_takes_no_further_epoch(train_cell, tmp_path, monkeypatch):
    def cut(*_):
        raise Cut("the power failed between the last epoch and the result")

    with monkeypatch.context() as patch:
        patch.setattr(training, "load_selected", cut)
        with pytest.raises(Cut):
            train_cell()
    assert runs.status(tmp_path) == "failed" and "the power failed" in runs.error_of(tmp_path)
    # three epochs: the first sets the mark, two bring nothing better (patience 2)
    assert runs.epochs_done(tmp_path) == 3
    before = (tmp_path / "metrics.csv").read_bytes()
    result = train_cell()
    assert [row["epoch"] for row in result["history"]] == [0, 1, 2]
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert result["selected"]["epoch"] == 0  # the first of equal ones
    assert runs.status(tmp_path) == "done" and not (tmp_path / "error.json").exists()


def test_a_run_that_was_cut_before_it_stopped_early_takes_the_epochs_that_are_left(train_cell, tmp_path, monkeypatch):
    real = EpochHistory.on_train_epoch_start

    def cut(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise Cut("the power failed as the third epoch began")
        real(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(EpochHistory, "on_train_epoch_start", cut)
        with pytest.raises(Cut):
            train_cell()
    assert runs.epochs_done(tmp_path) == 2
    assert [row["epoch"] for row in train_cell()["history"]] == [0, 1, 2]


# --- the real thing ---------------------------------------------------------------------------------------------------
REAL_ROWS = ("text_only_peakl", "concat_hard")


def command(
    out: Path, corpora: Path, cache_dir: Path, *changes: str, launcher: str = "basic", rows=REAL_ROWS
) -> list[str]:
    """A grid of two rows on one fold, 16 segments, as it is typed."""
    grid_options = ["--experiment", "demo", "--launcher", launcher, "--rows", ",".join(rows), "--folds", "4"]
    data = ["sample=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=16"]
    small = ["dataloader.collate.max_samples=8000", "dataloader.batch_size=8", "trainer.max_epochs=8"]
    small += ["callbacks.early_stopping.patience=10"]
    return [sys.executable, "-m", "erc.grid", *grid_options, "--out", str(out), "--", *data, *small, *changes]


def execute(typed: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        typed, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280
    )


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def predictions(out: Path) -> dict[str, bytes]:
    return {row: (out / row / "fold4-seed42" / "predictions.csv").read_bytes() for row in REAL_ROWS}


def n_trained(text: str) -> dict[str, int]:
    """How often each cell was trained to its end."""
    return {row: len(re.findall(rf"^Result: .*/{row}/fold4-seed42/", text, re.MULTILINE)) for row in REAL_ROWS}


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


@pytest.fixture
def leaders():
    """Process groups that a test starts; whatever is left of them ends with the test."""
    found: list[int] = []
    yield found
    for leader in found:
        kill_group(leader)


@pytest.fixture(scope="module")
def uninterrupted(corpora, cache_dir, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A grid of three rows, of which one holds another run, and so must fail."""
    out = tmp_path_factory.mktemp("grids") / "uninterrupted"
    foreign = out / "concat_soft" / "fold4-seed42"
    foreign.mkdir(parents=True)
    (foreign / "identity.json").write_text('{"fingerprint": "0000000000000000"}', encoding="utf-8")
    return out, execute(command(out, corpora, cache_dir, rows=("concat_soft", *REAL_ROWS)))


@pytest.mark.slow
def test_a_real_grid_goes_on_behind_a_cell_that_fails_and_names_it_last(uninterrupted):
    out, done = uninterrupted
    assert done.returncode == 1
    assert n_trained(done.stdout) == {"text_only_peakl": 1, "concat_hard": 1}, done.stdout
    ending = done.stdout.splitlines()[-2:]
    assert re.match(
        r"missing: concat_soft, fold 4, seed 42: failed \(FileExistsError: .* holds 0{16}, this one", ending[0]
    )
    assert ending[1] == "2 of 3 cells are finished. Start again to go on."
    assert {"table.md", "table.csv", "table.tex", *REAL_ROWS} <= set(os.listdir(out))
    assert "Text only, PeakL (1/5 folds)" in (out / "table.md").read_text(encoding="utf-8")
    for row in REAL_ROWS:
        assert not (out / row / "fold4-seed42" / "last.ckpt").exists()  # of no more use


@pytest.mark.slow
def test_a_real_grid_that_is_finished_answers_without_training(uninterrupted, corpora, cache_dir, monkeypatch, capsys):
    out, _ = uninterrupted
    written = {path: path.stat().st_mtime_ns for path in out.rglob("fold4-seed42/*")}
    monkeypatch.setattr(grid.subprocess, "run", lambda *_, **__: pytest.fail("a training process was started"))
    assert grid.main(command(out, corpora, cache_dir)[3:]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 cells are finished."
    assert {path: path.stat().st_mtime_ns for path in out.rglob("fold4-seed42/*")} == written
    # control: with another option, which the fingerprint holds, a process is started
    with pytest.raises(pytest.fail.Exception, match="a training process"):
        grid.main(command(out, corpora, cache_dir, "optim.weight_decay=0.1")[3:])


@pytest.mark.slow
def test_a_grid_that_is_killed_three_times_ends_with_the_same_predictions(
    uninterrupted, corpora, cache_dir, tmp_path, leaders
):
    out, log = tmp_path / "grid", tmp_path / "log.txt"
    typed, rng = command(out, corpora, cache_dir), random.Random(0)
    for attempt in range(3):
        n_epochs = log.read_text(encoding="utf-8").count("\nepoch ") if attempt else 0
        with open(log, "a", encoding="utf-8") as file:
            process = subprocess.Popen(
                typed, cwd=ROOT, env=ENVIRONMENT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        leaders.append(process.pid)
        # from the first epoch of this attempt on, any moment
        until = time.monotonic() + 240
        while log.read_text(encoding="utf-8").count("\nepoch ") <= n_epochs and process.poll() is None:
            assert time.monotonic() < until, log.read_text(encoding="utf-8")
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 1.0))
        if attempt == 1:
            process.kill()  # the driver alone: what it started trains on, and is waited for
        else:
            kill_group(process.pid)  # all of them, as in a power cut
        assert process.wait() == -signal.SIGKILL, "too late: the grid had finished"
    done = execute(typed)
    text = log.read_text(encoding="utf-8") + done.stdout
    assert done.returncode == 0, text
    assert n_trained(text) == {"text_only_peakl": 1, "concat_hard": 1}, text
    assert text.count("Going on from") >= 1
    assert predictions(out) == predictions(uninterrupted[0])
    for row in REAL_ROWS:
        found, expected = (
            [line.split(",") for line in (folder / row / "fold4-seed42" / "metrics.csv").read_text().splitlines()]
            for folder in (out, uninterrupted[0])
        )
        column = expected[0].index("seconds")  # everything but the clock
        assert [[*line[:column], *line[column + 1 :]] for line in found] == [
            [*line[:column], *line[column + 1 :]] for line in expected
        ]


@pytest.mark.slow
def test_two_drivers_that_want_one_cell_at_once_train_it_once(uninterrupted, corpora, cache_dir, tmp_path, leaders):
    row = REAL_ROWS[0]
    typed = command(tmp_path / "grid", corpora, cache_dir, rows=(row,))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [subprocess.Popen(typed, cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **pipes) for _ in range(2)]
    leaders += [process.pid for process in processes]
    together = "\n".join(process.communicate(timeout=280)[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], together
    assert n_trained(together)[row] == len(re.findall(r"^Training ", together, re.MULTILINE)) == 1, together
    assert together.count("\n1 of 1 cells are finished.\n") == 2
    found = (tmp_path / "grid" / row / "fold4-seed42" / "predictions.csv").read_bytes()
    assert found == predictions(uninterrupted[0])[row]


@pytest.mark.slow
def test_several_cells_at_a_time_give_the_same_predictions(uninterrupted, corpora, cache_dir, tmp_path):
    done = execute(command(tmp_path / "grid", corpora, cache_dir, launcher="joblib"))
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "2 of 2 cells are finished."
    assert predictions(tmp_path / "grid") == predictions(uninterrupted[0])


@pytest.mark.slow
def test_a_cluster_s_launcher_trains_a_cell(uninterrupted, corpora, cache_dir, tmp_path):
    # submitit_local submits as submitit_slurm does, and runs the job on this machine
    row = REAL_ROWS[0]
    done = execute(command(tmp_path / "grid", corpora, cache_dir, launcher="submitit_local", rows=(row,)))
    assert done.returncode == 0, done.stdout
    found = (tmp_path / "grid" / row / "fold4-seed42" / "predictions.csv").read_bytes()
    assert found == predictions(uninterrupted[0])[row]
