"""Processes that train cells: watched, and ended."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from stand_ins import result_text

from erc.grid import board, cells as grid_cells, running


def test_a_launcher_s_cells_that_end_are_told_one_by_one(tmp_path, capsys):
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
        running.watch(process, cells, board.Board(cells, []), seconds=0.05)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"[{n + 1}/4 done, 0 failed] ends: concat_hard, fold {n}, seed 42: done" for n in (1, 2, 3)]


def test_an_interrupted_launcher_is_ended(tmp_path, monkeypatch):
    started = []

    def interrupted(process, cells, board):
        started.append(process)
        raise KeyboardInterrupt

    waiting = [sys.executable, "-c", "import time; time.sleep(300)"]
    monkeypatch.setattr(running, "hydra_commands", lambda *_: [waiting, waiting])
    monkeypatch.setattr(running, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.run_by_hydra(None, "submitit_local", [], board.Board([], []))
    assert [process.returncode for process in started] == [-signal.SIGKILL]  # and the second is not begun
