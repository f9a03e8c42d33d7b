"""Runs the cells of a grid on this machine, several at a time, each as a process of its own.

A cell that dies, also by SIGKILL or for want of memory, is written down as failed, and the others go on. What a cell prints
goes to ``train.log`` in its folder. When this program ends, for whatever reason, its cells end with it (``guard.py``).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from erc.grid.asked_for import composed, is_current
from erc.grid.board import LOG, Board, duration, end_of, told
from erc.grid.cells import ROOT, Cell
from erc.grid.guard import Guarded
from erc.training import ERROR, claimed, drop_checkpoints, error_of, read_result, record_error, state_of

GRACE_SECONDS = 10.0
"""So long may a cell take to end by itself when the grid is stopped."""


@dataclass(frozen=True)
class Job:
    """A cell in training."""

    cell: Cell
    process: Guarded
    started: float
    was_done: bool
    error_written: int
    """Time of the error that lay in the folder before; see ``_written``."""


def run_pool(cells: list[Cell], extra: list[str], n_jobs: int, board: Board, seconds: float = 0.2) -> None:
    """Runs each cell that is not finished.

    A cell that another program trains is passed over. An exception, such as that of a signal, ends what runs.

    Args:
        cells: In the order in which they begin.
        extra: Options of train.py behind those of the cell.
        n_jobs: Cells at a time.
        board: Shows which cells run.
        seconds: Between two looks at the running cells.
    """
    waiting, jobs = list(cells), list[Job]()
    try:
        while waiting or jobs:
            while waiting and len(jobs) < n_jobs:
                cell = waiting.pop(0)
                if _is_to_run(cell, extra):
                    board.begin(cell)
                    jobs.append(_begin(cell, extra, n_jobs))
            ended = [(job, code) for job in jobs if (code := job.process.poll()) is not None]
            for job, code in ended:
                jobs.remove(job)
                board.end(job.cell, _conclude(job, code))
            board.refresh()
            if jobs and not ended:
                time.sleep(seconds)
    finally:
        _end(jobs)


def command_of(cell: Cell, extra: list[str]) -> list[str]:
    """The process that trains a cell. Hydra would write log lines into ``train.log`` a second time: it prints them only."""
    return [sys.executable, "train.py", *cell.overrides(extra), "hydra/job_logging=stdout"]


def environment_of(cell: Cell, extra: list[str], n_jobs: int) -> dict[str, str]:
    """Environment variables of a cell: option ``n_threads`` counts for libraries that read it when they are loaded, too.

    Where the option is null, cells that run beside each other share the cores.
    """
    n_threads = composed(cell.experiment, cell.row, tuple(extra)).deciding["n_threads"]
    if n_threads is None and n_jobs > 1:
        n_threads = max(1, (os.cpu_count() or 1) // n_jobs)
    return os.environ | ({} if n_threads is None else {"OMP_NUM_THREADS": str(n_threads)})


def _is_to_run(cell: Cell, extra: list[str]) -> bool:
    """Returns False for a cell that is finished, or that another program trains."""
    state = state_of(cell.run_dir)
    if state == "running":
        return False
    # a finished cell of another run is started, too: train.py refuses it, or first writes synthetic corpora that are missing
    if state == "done" and is_current(cell, extra):
        drop_checkpoints(cell.run_dir)  # of a process that was killed between the result and their removal
        return False
    return True


def _begin(cell: Cell, extra: list[str], n_jobs: int) -> Job:
    was_done = state_of(cell.run_dir) == "done"
    cell.run_dir.mkdir(parents=True, exist_ok=True)
    error_written = _written(cell.run_dir / ERROR)
    process = Guarded(command_of(cell, extra), cell.run_dir / LOG, ROOT, environment_of(cell, extra, n_jobs))
    return Job(cell, process, time.monotonic(), was_done, error_written)


def _conclude(job: Job, code: int) -> str:
    """Writes down the error of a cell that could not do so itself; returns how the cell ended, in words."""
    run_dir = job.cell.run_dir
    if code and _written(run_dir / ERROR) == job.error_written:
        # what runs in the folder by now, if anything, is of another grid
        with claimed(run_dir) as is_ours:
            if is_ours and read_result(run_dir).state in ("absent", "damaged"):
                record_error(run_dir, ChildProcessError(_reason(code, run_dir / LOG)))
    state = state_of(run_dir)
    if state == "done" and not (code and job.was_done):
        return f"done in {duration(time.monotonic() - job.started)}"
    return told(state, error_of(run_dir) or (f"exit code {code}" if code else ""), run_dir / LOG)


def _reason(code: int, log: Path) -> str:
    """Why a process ended, by its exit code and the last line that it printed."""
    how = f"ended with exit code {code}"
    if code - 128 in set(signal.Signals):
        how = f"was ended by {signal.Signals(code - 128).name}"
    if code == 128 + signal.SIGKILL:
        how += " (kill -9, or the system was out of memory)"
    lines = [line.strip() for line in end_of(log).splitlines() if line.strip()]
    last = f" The last line of its output: {lines[-1]}" if lines else ""
    return f"train.py {how}. All of its output: {log}.{last}"


def _end(jobs: list[Job]) -> None:
    """Ends cells: they may end by themselves first, and what is left is killed."""
    try:
        for job in jobs:
            job.process.terminate()
        until = time.monotonic() + GRACE_SECONDS
        while any(job.process.poll() is None for job in jobs) and time.monotonic() < until:
            time.sleep(0.05)
    finally:  # a second Ctrl-C does not wait
        for job in jobs:
            job.process.kill()


def _written(path: Path) -> int:
    """Time of a file's last change in nanoseconds; 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0
