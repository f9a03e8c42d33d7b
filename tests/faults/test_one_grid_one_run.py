"""A grid's folder holds one set of options, data and code: checked before anything else, and again by the table."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from stand_ins import write_finished_cell

from erc.grid import asked_for, options as grid_options, overview, pool, program
from erc.report import grid_results, tables
from erc.training import grid_identity
from erc.training.identity import Identity

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """Commands that the driver began; none of them trains."""
    found: list[list[str]] = []

    def ended(command: list[str], log: Path, *_: object) -> SimpleNamespace:
        found.append(command)
        log.parent.rmdir()
        return SimpleNamespace(poll=lambda: 0, terminate=lambda: None, kill=lambda: None)

    monkeypatch.setattr(pool, "Guarded", ended)
    return found


def typed(out: Path, fold: int, *extra: str, rows: str = "concat_hard", driver: tuple[str, ...] = ()) -> list[str]:
    options = ["--rows", rows, "--folds", str(fold), "--launcher", "basic", "--out", str(out), *driver]
    return [*options, "--", "dataset.root=nowhere", *extra]


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- the driver -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("driver", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("trainer.max_epochs=2", "trainer.max_epochs=1", "trainer.max_epochs: 2 there, 1 now"),
        ("fusion.hidden_dim=128", "fusion.hidden_dim=64", "fusion.hidden_dim: 128 there, 64 now"),
        ("protocol=paper", "protocol=nested", 'protocol: "paper" there, "nested" now'),
    ],
)
def test_another_fold_under_other_options_is_refused_by_name_before_anything_begins(
    tmp_path, started, capsys, driver, first, second, named
):
    out = tmp_path / "grid"
    assert program.main(typed(out, 0, first)) == 1  # not trained: the stand-in does nothing
    assert len(started) == 1 and (out / "grid.json").is_file()
    before = everything(out)
    assert program.main(typed(out, 1, second, driver=driver)) == 1
    assert named in capsys.readouterr().out
    assert len(started) == 1 and everything(out) == before
    # control: the same options go on, on any fold and with another row
    assert program.main(typed(out, 1, first, rows="concat_soft", driver=driver)) == (0 if driver else 1)
    assert len(started) == (1 if driver else 2)


def test_a_dry_run_makes_nothing(tmp_path, started):
    assert program.main(typed(tmp_path / "grid", 0, driver=("--dry-run",))) == 0
    assert not (tmp_path / "grid").exists() and started == []


def test_without_grid_json_the_cells_say_what_the_grid_is(tmp_path, started, capsys):
    program.main(typed(tmp_path / "grid", 0, "trainer.max_epochs=2"))
    run_dir = tmp_path / "grid" / "concat_hard" / "fold0-seed42"
    run_dir.mkdir(parents=True)
    stored = grid_identity.read_grid(tmp_path / "grid").value
    of_cell = {"seed": 42, "dataset.validation_fold": 0}
    identity = Identity(stored.options | stored.rows["concat_hard"] | of_cell, stored.data, stored.code)
    (run_dir / "identity.json").write_text(identity.to_json(), encoding="utf-8")
    (tmp_path / "grid" / "grid.json").unlink()
    assert program.main(typed(tmp_path / "grid", 1, "trainer.max_epochs=1")) == 1
    assert "trainer.max_epochs: 2 there, 1 now; see concat_hard/fold0-seed42" in capsys.readouterr().out
    assert len(started) == 1 and not (tmp_path / "grid" / "grid.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"options": 3}', '{"rows": {}}'])
def test_a_damaged_grid_json_is_named_and_not_written_over(tmp_path, started, capsys, content):
    program.main(typed(tmp_path, 0))
    (tmp_path / "grid.json").write_text(content, encoding="utf-8")
    assert program.main(typed(tmp_path, 1)) == 1
    assert re.search(r"grid\.json cannot be used \(grid\.json: .*Remove that file", capsys.readouterr().out)
    assert (tmp_path / "grid.json").read_text(encoding="utf-8") == content and len(started) == 1
    assert "grid.json: " in overview.cells_status(str(write_finished_cell(tmp_path, "concat_hard", 0).parents[1]))


def test_other_data_and_other_code_are_refused_and_code_may_be_accepted(tmp_path):
    mine = Identity({"trainer.max_epochs": 2}, "data", {"model/heads.py": "0" * 12})
    write_finished_cell(tmp_path, "concat_hard", 0)
    assert grid_identity.grid_refusal(tmp_path, {"text_only_hard": mine}) == ""
    other = Identity(mine.options, "other", mine.code)
    assert "the corpora's fingerprint: data there, other now" in grid_identity.grid_refusal(tmp_path, {"a_b": other})
    unknown = Identity(mine.options, "", mine.code)  # the corpora are not there yet
    assert grid_identity.grid_refusal(tmp_path, {"a_b": unknown}) == ""
    changed = Identity(mine.options, "data", {"model/heads.py": "1" * 12})
    assert "these files changed: model/heads.py" in grid_identity.grid_refusal(tmp_path, {"a_b": changed})
    assert grid_identity.grid_refusal(tmp_path, {"a_b": changed}, accept_code=True) == ""
    shutil.rmtree(tmp_path / "concat_hard")  # nothing is finished: there is nothing to mix
    assert grid_identity.grid_refusal(tmp_path, {"a_b": changed}) == ""


# --- the table --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["concat_hard", "text_only_soft"])
def test_a_table_of_other_options_or_data_is_refused_by_name(tmp_path, where):
    write_finished_cell(tmp_path, "concat_hard", 0)
    write_finished_cell(tmp_path, where, 1)
    tables.write_tables(tmp_path, n_resamples=2)  # control
    shutil.rmtree(tmp_path / where / "fold1-seed42")
    write_finished_cell(tmp_path, where, 1, options={"trainer.max_epochs": 1})
    with pytest.raises(
        ValueError, match=f"trainer.max_epochs: 2 in concat_hard/fold0-seed42, 1 in {where}/fold1-seed42"
    ):
        tables.write_tables(tmp_path)
    assert "of several runs: trainer.max_epochs: 2 in" in overview.cells_status(str(tmp_path))
    shutil.rmtree(tmp_path / where / "fold1-seed42")
    write_finished_cell(tmp_path, where, 1, data="other")
    with pytest.raises(ValueError, match="fingerprint: data in concat_hard/fold0-seed42, other in"):
        grid_results.load(tmp_path)


def test_cells_of_one_row_share_the_row_s_options(tmp_path):
    write_finished_cell(tmp_path, "text_only_soft", 0)
    write_finished_cell(tmp_path, "concat_hard", 0)  # rows may differ in them
    assert len(grid_results.load(tmp_path)) == 2
    write_finished_cell(tmp_path, "concat_hard", 1, options={"fusion.depth": 9})
    with pytest.raises(ValueError, match="fusion.depth: 6 in concat_hard/fold0-seed42, 9 in concat_hard/fold1-seed42"):
        grid_results.load(tmp_path)


def test_a_cell_of_another_row_in_a_row_is_refused(tmp_path):
    write_finished_cell(tmp_path, "concat_hard", 0)
    moved = write_finished_cell(tmp_path, "concat_soft", 1)
    (moved / "identity.json").unlink()
    shutil.move(moved, tmp_path / "concat_hard" / moved.name)
    with pytest.raises(ValueError, match="concat_hard in .* holds concat on hard and concat on soft"):
        grid_results.load(tmp_path)


# --- status and folders -----------------------------------------------------------------------------------------------
def test_the_status_lists_cells_that_were_asked_for_and_have_no_folder(tmp_path, started):
    program.main(typed(tmp_path, 0, rows="concat_hard,concat_soft"))
    program.main(typed(tmp_path, 3))
    lines = overview.cells_status(str(tmp_path)).splitlines()
    assert lines[0].split() == ["concat_hard", "0-seed42:", "waiting", "3-seed42:", "waiting"]
    assert lines[-1] == "3 waiting"


def test_a_relative_out_is_relative_to_where_the_caller_stands(tmp_path, monkeypatch):
    monkeypatch.setenv(grid_options.CALLER, str(tmp_path))
    assert grid_options.parse(["--out", "mine"]).out == tmp_path / "mine"
    assert grid_options.parse(["--out", "/else/where"]).out == Path("/else/where")
    assert grid_options.parse([]).out == Path.cwd() / "runs" / "paper"  # the default stays in the clone
    monkeypatch.delenv(grid_options.CALLER)
    assert grid_options.parse(["--out", "mine"]).out == Path.cwd() / "mine"


def test_reproduce_sh_says_where_it_was_called(tmp_path):
    clone = tmp_path / "clone"
    (clone / ".venv" / "bin").mkdir(parents=True)
    for name, text in (("setup.sh", "#!/bin/sh\n"), (".venv/bin/python", '#!/bin/sh\necho "$PWD $ERC_CALLER"\n')):
        (clone / name).write_text(text)
        (clone / name).chmod(0o755)
    shutil.copy(ROOT / "reproduce.sh", clone)
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "clone/reproduce.sh"], cwd=tmp_path, capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == [str(clone), str(tmp_path)]


def test_grid_json_holds_what_its_cells_share(tmp_path, started):
    program.main(typed(tmp_path, 0, rows="concat_hard,tensor_mixer_soft"))
    stored = json.loads((tmp_path / "grid.json").read_text(encoding="utf-8"))
    assert not [name for name in stored["options"] if name.startswith(("fusion", "model.fusion", "target", "seed"))]
    assert stored["options"]["trainer.max_epochs"] > 0 and stored["data"] == "" and stored["code"]
    assert stored["rows"]["concat_hard"]["target.kind"] == "hard"
    assert stored["cells"] == ["concat_hard/fold0-seed42", "tensor_mixer_soft/fold0-seed42"]
    # the rows of the paper's grid differ in nothing else
    rows = asked_for.identities_of_rows(
        [
            program.Cell("paper", row, 0, 42, tmp_path)
            for row in ("concat_hard", "tensor_mixer_soft", "text_only_peakl")
        ],
        ["dataset.root=nowhere"],
    )
    assert len({json.dumps(grid_identity.split(one.options)[0]) for one in rows.values()}) == 1
