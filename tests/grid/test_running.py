"""Processes that train cells: watched, ended, and the time that is left told in words."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from stand_ins import result_text

from erc.grid import cells as grid_cells, running


def test_a_launcher_s_cells_are_counted_while_they_run_and_the_time_left_is_told(tmp_path, capsys):
    cells = [grid_cells.Cell("demo", "concat_hard", fold, 42, tmp_path) for fold in range(4)]
    for cell in cells:
        cell.run_dir.mkdir(parents=True)
        (cell.run_dir / "written").write_text(result_text(cell.run_dir))
    (cells[0].run_dir / "written").rename(cells[0].run_dir / "result.json")
    code = (
        "import os, sys, time\nfor folder in sys.argv[1:]:\n time.sleep(0.3)\n"
        " os.rename(folder + '/written', folder + '/result.json')"
    )
    with subprocess.Popen([sys.executable, "-c", code, *(str(cell.run_dir) for cell in cells[1:])]) as process:
        running.watch(process, cells, seconds=0.05)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("]")[0] for line in lines] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert ["left" in line for line in lines] == [False, True, True, False]


def test_an_interrupted_launcher_is_ended(tmp_path, monkeypatch):
    started = []

    def interrupted(process, cells):
        started.append(process)
        raise KeyboardInterrupt

    waiting = [sys.executable, "-c", "import time; time.sleep(300)"]
    monkeypatch.setattr(running, "hydra_commands", lambda *_: [waiting, waiting])
    monkeypatch.setattr(running, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.run_by_hydra(None, "submitit_local", [])
    assert [process.returncode for process in started] == [-signal.SIGKILL]  # and the second is not begun


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (29, "29 s"), (31, "1 min"), (150.1, "3 min"), (3_600, "1 h"), (3_590, "1 h"), (5_400, "1 h 30 min"),
        (86_399, "1 d"), (90_000, "1 d 1 h"), (86_400 + 3_600 * 5 + 1_500, "1 d 5 h"), (3 * 86_400 + 60, "3 d"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_two_units_at_most(seconds, words):
    assert running.duration(seconds) == words


def test_every_duration_reads_back_to_within_its_smaller_unit():
    sizes = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
    for seconds in range(1, 300_000, 97):
        words = running.duration(seconds).split()
        assert 2 <= len(words) <= 4
        told = sum(int(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
        assert abs(told - seconds) <= (3_600 if "d" in words else 30), seconds
