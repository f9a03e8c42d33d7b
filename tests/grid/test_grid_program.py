"""The grid from start to table, with a stand-in for training."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from stand_ins import result_text

from erc import files
from erc.grid import asked_for, cells as grid_cells, pool, program, running
from erc.training import read_back, run_folder
from erc.training.identity import Identity

ROOT = Path(__file__).resolve().parents[2]


def finish(cell: grid_cells.Cell, identity: Identity) -> None:
    """What a run leaves in its folder, as far as its identity is concerned."""
    cell.run_dir.mkdir(parents=True, exist_ok=True)
    run_folder.enter(cell.run_dir, identity)
    files.write_atomically(cell.run_dir / "result.json", result_text(cell.run_dir, identity.fingerprint))


def stand_in_identity(extra: list[str]) -> Identity:
    """The options behind ``--`` stand for all that decides a result."""
    return Identity(dict(word.split("=", 1) for word in extra), "data", {})


class StandIn:
    """Does to the run folder what ``python train.py ... resume=true`` does, and notes which cells it was started for.

    It takes the place of ``Guarded``. ``moods`` says by the row's name what happens: "fail" (an error is written down),
    "die" (killed after an epoch), "exit" (a code and nothing else) or "interrupt" (Ctrl-C, while it starts).
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.moods: dict[str, str] = {}

    def __call__(self, command: list[str], log: Path, cwd: Path, environment: dict[str, str]) -> SimpleNamespace:
        code = self.train(command, log)
        return SimpleNamespace(poll=lambda: code, terminate=lambda: None, kill=lambda: None)

    def train(self, command: list[str], log: Path) -> int:
        log.touch()
        given = dict(word.split("=", 1) for word in command[2:])
        run_dir = Path(given["hydra.run.dir"])
        identity = stand_in_identity(command[9:-1])
        self.started.append(run_dir.parent.name + "/" + run_dir.name)
        mood = self.moods.get(run_dir.parent.name)
        if mood == "interrupt":
            raise KeyboardInterrupt
        if mood == "exit":
            log.write_text("first line\nValueError: no such option\n")
            return 3
        with run_folder.claimed(run_dir) as is_ours:
            if not is_ours:
                return 0
            try:
                if reason := run_folder.refusal(run_dir, identity):
                    raise FileExistsError(reason)
                if read_back.finished_result(run_dir) is not None:
                    return 0
                run_folder.enter(run_dir, identity)
                if mood == "fail":
                    raise MemoryError("no room for the model")
            except (FileExistsError, MemoryError) as err:
                run_folder.record_error(run_dir, err)
                return 1
            if mood == "die":
                torch.save({"epoch": 0}, run_dir / "last.ckpt")
                return 128 + 9
            files.write_atomically(run_dir / "result.json", result_text(run_dir, identity.fingerprint))
            self.finished.append(self.started[-1])
            return 0


@pytest.fixture
def stand_in(monkeypatch) -> StandIn:
    found = StandIn()
    monkeypatch.setattr(pool, "Guarded", found)
    monkeypatch.setattr(program, "tables_and_left_out", lambda folder, width: ("THE TABLE", {}))
    monkeypatch.setattr(asked_for, "identity_of", lambda cell, extra: stand_in_identity(extra))
    return found


def without_what_next(text: str) -> list[str]:
    """Lines that are not empty, without those that say where the table is and how to see it."""
    return [line for line in text.splitlines() if line and not line.startswith(("The table:", "To see it:"))]


ROW_NAMES = ("concat_hard", "concat_soft", "text_only_peakl")


@pytest.fixture
def run_grid(tmp_path, capsys):
    """Runs a grid of three rows and one fold; returns its exit code and what it printed."""

    def run(*extra: str, rows: tuple[str, ...] = ROW_NAMES, folds: str = "4") -> tuple[int, list[str]]:
        typed = ["--rows", ",".join(rows), "--folds", folds, "--launcher", "basic", "--out", str(tmp_path / "grid")]
        code = program.main([*typed, "--", *extra])
        return code, without_what_next(capsys.readouterr().out)

    return run


def test_a_grid_runs_fold_by_fold_all_rows_and_prints_its_table(stand_in, run_grid):
    code, lines = run_grid(folds="1,0")
    assert stand_in.finished == [f"{row}/fold{fold}-seed42" for fold in (1, 0) for row in ROW_NAMES]
    assert code == 0
    assert lines[-2:] == ["THE TABLE", "6 of 6 cells are finished."]
    told = [re.sub(r" \(output: .*\)| in 0 s|; about 0 s left", "", line) for line in lines[:12]]
    names = [f"{row}, fold {fold}, seed 42" for fold in (1, 0) for row in ROW_NAMES]
    assert told[::2] == [f"[{n}/6 done, 0 failed] begins: {name}" for n, name in enumerate(names)]
    assert told[1::2] == [f"[{n}/6 done, 0 failed] ends: {name}: done" for n, name in enumerate(names, start=1)]
    assert sum(line.endswith(" left") for line in lines) == 5  # all but the last


def test_a_finished_grid_starts_nothing(stand_in, run_grid):
    run_grid()
    stand_in.started.clear()
    code, lines = run_grid()
    assert code == 0 and stand_in.started == []
    assert lines[-2:] == ["THE TABLE", "3 of 3 cells are finished."]


def test_a_grid_ends_with_where_its_table_is_how_to_see_it_and_how_to_use_it(stand_in, run_grid, tmp_path, capsys):
    run_grid(rows=("concat_hard",))
    folder = tmp_path / "grid"
    (folder / "concat_hard/fold4-seed42/model").mkdir()
    (folder / "concat_hard/fold4-seed42/model/config.json").touch()
    typed = ["--rows", "concat_hard", "--folds", "4", "--launcher", "basic", "--out", str(folder), "--"]
    assert program.main(typed) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        f"The table:  {folder / 'table.md'} (with statistics), table.csv and table.tex",
        f"To see it:  python -m erc report {folder} --out=report",
        f'To use it:  python -m erc predict file YOUR.wav --text="…" --model={folder / "concat_hard"}',
    ]


def test_a_cell_that_fails_is_named_at_the_end_and_the_rest_go_on(stand_in, run_grid, tmp_path):
    log = tmp_path / "grid" / "concat_soft" / "fold4-seed42" / "train.log"
    stand_in.moods["concat_soft"] = "fail"
    code, lines = run_grid()
    assert code == 1
    assert stand_in.finished == ["concat_hard/fold4-seed42", "text_only_peakl/fold4-seed42"]
    assert lines[-3:] == [
        "THE TABLE",
        f"missing: concat_soft, fold 4, seed 42: failed (MemoryError: no room for the model. All of its output: {log})",
        "2 of 3 cells are finished. Start again to go on.",
    ]
    # started again, it takes up that cell alone
    stand_in.moods.clear()
    stand_in.started.clear()
    assert run_grid()[0] == 0
    assert stand_in.started == ["concat_soft/fold4-seed42"]


def test_a_cell_that_dies_without_a_word_is_failed_and_taken_up_again(stand_in, run_grid, tmp_path):
    stand_in.moods |= {"concat_hard": "die", "concat_soft": "exit"}
    code, lines = run_grid()
    assert code == 1
    log = str(tmp_path / "grid" / "{}" / "fold4-seed42" / "train.log")
    killed = "ChildProcessError: train.py was ended by SIGKILL (kill -9, or the system was out of memory). All of its output: "
    ended = "ChildProcessError: train.py ended with exit code 3. All of its output: "
    last = " The last line of its output: ValueError: no such option"
    assert lines[-3:-1] == [
        f"missing: concat_hard, fold 4, seed 42: failed ({killed}{log.format('concat_hard')}.)",
        f"missing: concat_soft, fold 4, seed 42: failed ({ended}{log.format('concat_soft')}.{last})",
    ]
    assert sum("ends: concat_hard, fold 4, seed 42: failed (" in line for line in lines) == 1
    stand_in.moods.clear()
    code, lines = run_grid()
    assert code == 0 and stand_in.finished.count("concat_hard/fold4-seed42") == 1


def test_without_a_finished_cell_there_is_no_table(stand_in, run_grid):
    stand_in.moods = dict.fromkeys(ROW_NAMES, "fail")
    code, lines = run_grid()
    assert code == 1 and "THE TABLE" not in lines
    assert [line.split(",")[0] for line in lines[-4:-1]] == [f"missing: {row}" for row in ROW_NAMES]
    # one reason of many cells is told once
    assert ["failed (MemoryError: no room" in line for line in lines[-4:-1]] == [True, False, False]
    assert ["failed (as above. All of its output: " in line for line in lines[-4:-1]] == [False, True, True]


def test_a_changed_option_is_refused_and_the_grid_says_so(stand_in, run_grid, tmp_path):
    run_grid("optim.lr.heads=1e-4")
    results = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    code, lines = run_grid("optim.lr.heads=1e-3")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == results and len(results) == 3
    # the figures that lie there are of other options: a table of them under this command would be a wrong one
    assert code == 1, "the grid calls cells of other options finished"
    assert re.search(
        r'A grid has one set of options and data: .*optim.lr.heads: "1e-4" there, "1e-3" now', "\n".join(lines)
    )
    # with the first options again, nothing is wrong and nothing is trained
    stand_in.finished.clear()
    assert run_grid("optim.lr.heads=1e-4")[0] == 0 and stand_in.finished == []


def test_a_dry_run_names_the_results_that_would_be_refused(stand_in, run_grid, tmp_path, capsys):
    run_grid("optim.lr.heads=1e-4", rows=("concat_hard",))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    typed = ["--rows", "concat_hard,concat_soft", "--folds", "4", "--out", str(tmp_path / "grid"), "--dry-run", "--"]
    assert program.main([*typed, "optim.lr.heads=1e-4"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["done", "waiting"]
    assert program.main([*typed, "optim.lr.heads=1e-3"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["refused", "A", "waiting", "A"]
    assert lines[3].startswith("A grid has one set of options and data: ")
    assert 'optim.lr.heads: "1e-4" there, "1e-3" now' in lines[1]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("option", "said"),
    [("optim.lr.head=1e-3", "Did you mean optim.lr.heads?"), ("trainer.max_epochs=[", "trainer.max_epochs=[")],
)
def test_a_misspelt_option_of_train_py_stops_the_grid_before_any_cell(
    stand_in, run_grid, tmp_path, capsys, option, said
):
    typed = ["--rows", "concat_hard", "--folds", "4", "--launcher", "basic", "--out", str(tmp_path / "grid")]
    assert program.main([*typed, "--", option]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("Options behind -- must be options of train.py")
    assert said in captured.err
    assert stand_in.started == [] and not (tmp_path / "grid").exists()


def test_an_interrupt_ends_the_grid_with_what_is_missing(stand_in, run_grid):
    stand_in.moods["concat_soft"] = "interrupt"
    code, lines = run_grid()
    assert code == 1
    assert stand_in.started == ["concat_hard/fold4-seed42", "concat_soft/fold4-seed42"]  # nothing after it
    assert any(line.startswith("Interrupted. The same command goes on from here") for line in lines)
    assert lines[-1].startswith("1 of 3 cells are finished")


HOLD = "import sys, time\nfrom erc.training.run_folder import claimed\nwith claimed(sys.argv[1]):\n print(flush=True)\n time.sleep(300)"


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
            finish(grid_cells.Cell("paper", "concat_soft", 4, 42, tmp_path / "grid"), stand_in_identity([]))
        process.kill()
        process.wait()

    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=time.monotonic, sleep=end))
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
