"""Cells of a local grid: one that is killed fails alone, and none outlives the driver, however that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pool_driver import ROWS

from erc.grid import cells as grid_cells, guard, pool
from erc.training import state_of

ROOT = Path(__file__).resolve().parents[2]

DRIVER = Path(__file__).with_name("pool_driver.py")

has_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")


def wait_until(condition, seconds: float = 60.0, what: str = "") -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what or "it did not come about in time"
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    """Returns True if a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Grid:
    """A driver in a process of its own, and the stand-in cells that it started."""

    def __init__(self, out: Path, *options: str) -> None:
        self.out = out
        self.process = subprocess.Popen(
            [sys.executable, DRIVER, str(out), *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def ids(self) -> dict[str, tuple[int, int]]:
        """Process ids of a cell and of its worker, by the cell's row."""
        found = {path.parents[1].name: path.read_text().split() for path in self.out.glob("*/*/ids")}
        return {row: (int(cell), int(worker)) for row, (cell, worker) in found.items()}

    def wait_for(self, n_cells: int) -> list[int]:
        """Waits until so many cells have begun; returns all their process ids."""
        wait_until(lambda: len(self.ids()) == n_cells or self.process.poll() is not None)
        assert len(self.ids()) == n_cells and self.process.poll() is None
        return [process for pair in self.ids().values() for process in pair]

    def go(self) -> None:
        (self.out / "go").touch()

    def output(self) -> str:
        return self.process.communicate(timeout=60)[0]


@pytest.fixture
def start(tmp_path) -> Iterator:
    grids: list[Grid] = []

    def begin(*options: str) -> Grid:
        grids.append(Grid(tmp_path / "grid", *options))
        return grids[-1]

    yield begin
    for grid in grids:
        grid.process.kill()
        grid.process.communicate()
        for process in (process for pair in grid.ids().values() for process in pair):
            if is_alive(process):
                os.kill(process, signal.SIGKILL)


def run_dir(grid: Grid, row: str) -> Path:
    return grid.out / row / "fold0-seed42"


@has_proc
@pytest.mark.slow
def test_a_cell_that_is_killed_fails_alone_and_says_so(start):
    grid = start("--jobs", "2")
    grid.wait_for(2)  # of three
    victim, worker = grid.ids()[ROWS[0]]
    os.kill(victim, signal.SIGKILL)
    grid.wait_for(3)  # the third takes its place, while the second still runs
    wait_until(lambda: not is_alive(worker), what="the worker of a dead cell lives on")
    grid.go()
    told = grid.output()
    assert grid.process.returncode == 1
    assert [state_of(run_dir(grid, row)) for row in ROWS] == ["failed", "done", "done"]
    error = json.loads((run_dir(grid, ROWS[0]) / "error.json").read_text(encoding="utf-8"))["error"]
    assert error.startswith(
        "ChildProcessError: train.py was ended by SIGKILL (kill -9, or the system was out of memory)."
    )
    assert str(run_dir(grid, ROWS[0]) / "train.log") in error
    lines = told.splitlines()
    assert f"missing: concat_hard, fold 0, seed 42: failed ({error})" in lines
    assert "2 of 3 cells are finished. Start again to go on." in lines
    assert "finished" in (run_dir(grid, ROWS[1]) / "train.log").read_text(encoding="utf-8")
    assert sum("] begins: " in line for line in lines) == sum("] ends: " in line for line in lines) == 3
    # started again, it takes up that cell alone
    written = {row: (run_dir(grid, row) / "result.json").stat().st_mtime_ns for row in ROWS[1:]}
    again = start("--jobs", "2")
    assert "3 of 3 cells are finished." in again.output() and again.process.returncode == 0
    assert {row: (run_dir(grid, row) / "result.json").stat().st_mtime_ns for row in ROWS[1:]} == written


@has_proc
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_driver_ends_every_cell_and_its_workers(start, number):
    grid = start("--jobs", "2")
    processes = grid.wait_for(2)
    assert all(map(is_alive, processes))  # control
    grid.process.send_signal(number)
    told = grid.output()
    assert grid.process.returncode == (1 if number == signal.SIGINT else 128 + number)
    assert "The same command goes on from here" in told
    wait_until(lambda: not any(map(is_alive, processes)), 5)
    assert len(grid.ids()) == 2  # the third was not begun


@has_proc
@pytest.mark.slow
def test_a_cell_that_ignores_the_signal_is_killed(start):
    grid = start("--jobs", "2", "stubborn")
    processes = grid.wait_for(2)
    grid.process.send_signal(signal.SIGTERM)
    assert "Stopped by SIGTERM" in grid.output()
    wait_until(lambda: not any(map(is_alive, processes)), 5)


@has_proc
@pytest.mark.slow
@pytest.mark.parametrize("mood", [(), ("stubborn",)])
def test_no_cell_outlives_a_driver_that_is_killed(start, mood):
    grid = start("--jobs", "2", *mood)
    processes = grid.wait_for(2)
    grid.process.kill()
    grid.process.wait()
    wait_until(lambda: not any(map(is_alive, processes)), 5, "cells train on without their driver")
    assert [state_of(run_dir(grid, row)) for row in ROWS[:2]] == ["waiting", "waiting"]  # their claims ended with them


@has_proc
@pytest.mark.slow
def test_two_grids_on_one_folder_share_the_cells(start):
    first = start("--launcher", "basic")
    first.wait_for(1)
    second = start("--jobs", "2")
    second.wait_for(3)
    (owner,) = [cell for row, (cell, _) in first.ids().items() if row == ROWS[0]]
    assert is_alive(owner)
    first.go()
    told = [first.output(), second.output()]
    assert [first.process.returncode, second.process.returncode] == [0, 0]
    assert all("\n3 of 3 cells are finished.\n" in text for text in told)
    assert [text.count("] begins: ") for text in told] == [1, 2]
    for row in ROWS:
        assert (run_dir(first, row) / "train.log").read_text(encoding="utf-8").count("finished") == 1


@has_proc
def test_the_guard_that_is_killed_takes_its_cell_with_it(tmp_path):
    command = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(300)"]
    process = guard.Guarded(command, tmp_path / "log", tmp_path, dict(os.environ))
    wait_until(lambda: (tmp_path / "log").read_text().endswith("\n"))
    child = int((tmp_path / "log").read_text())
    assert process.poll() is None and is_alive(child)
    os.kill(process._guard.pid, signal.SIGKILL)
    wait_until(lambda: process.poll() is not None)
    assert process.poll() == 128 + signal.SIGKILL
    wait_until(lambda: not is_alive(child), 5)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(3)", 3), ("pass", 0), ("import os; os.kill(os.getpid(), 9)", 137), ("raise OSError", 1)],
)
def test_the_exit_code_is_that_of_the_command(tmp_path, code, expected):
    process = guard.Guarded([sys.executable, "-c", code], tmp_path / "log", tmp_path, dict(os.environ))
    wait_until(lambda: process.poll() is not None)
    assert process.poll() == expected


def test_a_guard_outside_of_a_group_of_its_own_is_refused():
    done = subprocess.run(
        [sys.executable, guard.__file__, "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 1 and "must lead its own process group" in done.stderr


@pytest.mark.parametrize(("extra", "expected"), [([], "1"), (["n_threads=3"], "3")])
def test_a_cell_has_the_number_of_threads_of_the_configuration(tmp_path, monkeypatch, extra, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    cell = grid_cells.Cell("demo", "concat_hard", 0, 42, tmp_path)
    assert pool.environment_of(cell, extra, n_jobs=2)["OMP_NUM_THREADS"] == expected


@pytest.mark.parametrize(("n_jobs", "expected"), [(1, "7"), (2, "4"), (16, "1")])
def test_cells_beside_each_other_share_the_cores_where_no_number_is_configured(tmp_path, monkeypatch, n_jobs, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(pool.os, "cpu_count", lambda: 8)
    cell = grid_cells.Cell("demo", "concat_hard", 0, 42, tmp_path)
    assert pool.environment_of(cell, ["n_threads=null"], n_jobs)["OMP_NUM_THREADS"] == expected
