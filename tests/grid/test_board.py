"""What a person sees while cells run: lines on a terminal, plain lines elsewhere, and the time that is left."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from stand_ins import result_text

from erc.grid import board, cells as grid_cells

N_EPOCHS = 6
"""Of the demo's grid: ``config/experiment/demo_grid.yaml``."""
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def still_clock(monkeypatch):
    """No time passes, so that a slow machine sees the same time left."""
    monkeypatch.setattr(board, "time", SimpleNamespace(time=lambda: NOW))


class Terminal(io.StringIO):
    """Keeps what is written to a terminal."""

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        """Without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def cells(tmp_path) -> list[grid_cells.Cell]:
    found = [grid_cells.Cell("demo", row, 0, 42, tmp_path) for row in ("concat_hard", "concat_soft", "text_only_peakl")]
    for cell in found:
        cell.run_dir.mkdir(parents=True)
    return found


def write_epochs(run_dir: Path, seconds: list[float], ago: float = 0.0) -> None:
    """``metrics.csv`` as it is when the last of these epochs ended so many seconds ago."""
    rows = [f"{epoch},{value}" for epoch, value in enumerate(seconds)]
    path = run_dir / "metrics.csv"
    path.write_text("\n".join(["epoch,seconds", *rows, ""]), encoding="utf-8")
    os.utime(path, (NOW - ago, NOW - ago))


def finish(cell: grid_cells.Cell) -> None:
    (cell.run_dir / "result.json").write_text(result_text(cell.run_dir), encoding="utf-8")


def test_the_time_left_follows_from_the_epochs_that_are_done(tmp_path):
    write_epochs(tmp_path, [12.0, 20.0], ago=4)  # ten seconds an epoch; four of the third are over
    found = board.standing_of(tmp_path, 5, started=NOW - 30)
    assert found.stage == "epoch 3/5"
    assert found.seconds_left == pytest.approx(3 * 10 - 4)
    assert found.n_done == pytest.approx(2.4)
    # a cell that goes on after a night has not worked through that night
    write_epochs(tmp_path, [12.0, 20.0], ago=30_000)
    assert board.standing_of(tmp_path, 5, started=NOW - 3).seconds_left == pytest.approx(27)
    # an epoch that takes longer than those before counts as nearly done, and never as more
    assert board.standing_of(tmp_path, 5, started=0).seconds_left == pytest.approx(20, abs=0.5)
    write_epochs(tmp_path, [1, 2, 3, 4, 5])
    assert board.standing_of(tmp_path, 5, started=0) == ("scoring", 5, 0.0)


@pytest.mark.parametrize(
    ("log", "stage"),
    [
        ("", "starting"),
        ("\rBuilding kemdy19:  40%|####    | 160/401 [00:01<00:02]", "Building kemdy19 40 %"),
        ("\r  7%|#   | 41/646 [00:00<?]", "preparing 7 %"),
        ("Building kemdy19: 100%|####|\nTraining concat on hard targets", "epoch 1/6"),
        ("Fitting egemaps_svm, fold 0", "fitting"),
    ],
)
def test_before_the_first_epoch_the_log_says_what_a_cell_does(tmp_path, log, stage):
    before = "Training concat, an attempt before\n"
    (tmp_path / "train.log").write_text(before + log, encoding="utf-8", newline="")
    assert board.standing_of(tmp_path, 6, started=0, log_from=len(before)) == (stage, None, None)


@pytest.mark.parametrize("damaged", ["", "epoch,step\n0,3\n", "epoch,seconds\n0,\n", "epoch,seconds\n0,x\n", "\0"])
def test_a_damaged_history_shows_no_progress_and_stops_nothing(tmp_path, damaged):
    (tmp_path / "metrics.csv").write_text(damaged, encoding="utf-8")
    assert board.standing_of(tmp_path, 6, started=0).stage == "starting"


def test_the_grid_s_time_left_counts_running_and_waiting_cells(cells):
    seen = board.Board(cells, [], n_at_once=2)
    assert seen.seconds_left() is None  # nothing is known yet
    seen.begin(cells[0])
    assert seen.seconds_left() is None
    write_epochs(cells[0].run_dir, [10.0])  # ten seconds an epoch, so 50 s for this cell and 50 s for each that waits
    assert seen.seconds_left() == pytest.approx((50 + 2 * 50) / 2)
    # two at a time cannot share one cell: the last one takes its time
    finish(cells[1])
    finish(cells[2])
    assert board.Board(cells, [], n_at_once=2).seconds_left() is None
    last = board.Board(cells, [], n_at_once=2)
    last.begin(cells[0])
    assert last.seconds_left() == pytest.approx(50)


@pytest.mark.parametrize("stdout_is_terminal", [True, False])
def test_on_a_terminal_each_running_cell_has_a_line_that_names_it(cells, monkeypatch, stdout_is_terminal):
    err, out = Terminal(), Terminal() if stdout_is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with board.Board(cells, [], n_at_once=2) as seen:
        seen.begin(cells[0])
        seen.begin(cells[1])
        write_epochs(cells[0].run_dir, [10.0, 20.0])
        seen.refresh()
        lines = re.split(r"[\r\n]+", err.text())
        assert max(map(len, lines)) <= 80
        whole, first, second = (line for line in lines[-3:] if line)
        assert re.fullmatch(r"all cells .*0/3 done\s+1 min left\s*", whole)
        assert re.fullmatch(rf"concat_hard, fold 0, seed 42 .*epoch 3/{N_EPOCHS}\s+1 min left\s*", first)
        assert re.fullmatch(r"concat_soft, fold 0, seed 42 .*starting\s*", second)
        finish(cells[0])
        seen.end(cells[0], "done in 1 min")
    told = "concat_hard, fold 0, seed 42: done in 1 min"
    if stdout_is_terminal:  # above the lines, which say the rest
        assert told in re.split(r"[\r\n]+", err.text()) and out.getvalue() == ""
    else:
        assert f"ends: {told}" in out.getvalue() and "\x1b" not in out.getvalue() and told not in err.text()


def test_without_a_terminal_there_are_plain_lines_only(cells, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # some continuous integration sets it
    with board.Board(cells, [], n_at_once=2) as seen:
        seen.begin(cells[0])
        write_epochs(cells[0].run_dir, [10.0])
        seen.refresh()
        finish(cells[0])
        seen.end(cells[0], "done in 1 min")
    captured = capsys.readouterr()
    assert captured.err == "" and "\x1b" not in captured.out
    begins, ends = captured.out.splitlines()
    log = cells[0].run_dir / "train.log"
    assert begins == f"[0/3 done, 0 failed] begins: concat_hard, fold 0, seed 42 (output: {log})"
    assert re.fullmatch(
        r"\[1/3 done, 0 failed\] ends: concat_hard, fold 0, seed 42: done in 1 min; about \d s left", ends
    )


def test_a_failure_names_its_log_once(tmp_path):
    log = tmp_path / "train.log"
    assert board.told("failed", "OSError: no room", log) == "failed (OSError: no room)"  # there is no log
    log.touch()
    assert board.told("failed", "OSError: no room", log) == f"failed (OSError: no room. All of its output: {log})"
    assert board.told("failed", f"All is in {log}.", log) == f"failed (All is in {log}.)"
    assert board.told("done", "", log) == "done"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (29, "29 s"), (31, "1 min"), (150.1, "3 min"), (3_600, "1 h"), (3_590, "1 h"), (5_400, "1 h 30 min"),
        (86_399, "1 d"), (90_000, "1 d 1 h"), (86_400 + 3_600 * 5 + 1_500, "1 d 5 h"), (3 * 86_400 + 60, "3 d"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_two_units_at_most(seconds, words):
    assert board.duration(seconds) == words


def test_every_duration_reads_back_to_within_its_smaller_unit():
    sizes = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
    for seconds in range(1, 300_000, 97):
        words = board.duration(seconds).split()
        assert 2 <= len(words) <= 4
        told = sum(int(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
        assert abs(told - seconds) <= (3_600 if "d" in words else 30), seconds
