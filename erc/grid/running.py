"""Runs the cells of a grid by a Hydra launcher, on a cluster; signals and waiting for all launchers."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType

from erc.grid.board import LOG, Board, told
from erc.grid.cells import ROOT, Cell, products, row_overrides
from erc.training import Status, error_of, override_value, state_of


class Terminated(KeyboardInterrupt):
    """The driver got a signal that ends it; what it started is ended as on Ctrl-C."""


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise ``Terminated``; a signal that is ignored (nohup) stays so."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def run_by_hydra(options: argparse.Namespace, launcher: str, cells: list[Cell], board: Board) -> None:
    """Runs all cells as jobs of a Hydra launcher.

    The launcher and its workers are a process group of their own, which ends when the driver is interrupted: workers that
    lose their launcher would train on.
    """
    for command in hydra_commands(options, launcher):
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
            try:
                watch(process, cells, board)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise


def hydra_commands(options: argparse.Namespace, launcher: str) -> list[list[str]]:
    """The grid as multiruns of train.py: one if the rows are all pairs of some fusions and some targets, else a few."""
    common = [
        f"dataset.validation_fold={','.join(map(str, options.folds))}",
        f"seed={','.join(map(str, options.seeds))}",
        "resume=true",
        f"hydra.sweep.dir={override_value(options.out)}",
        "hydra.sweep.subdir='${row_name:${hydra:runtime.choices.fusion},${target.kind}}"
        "/fold${dataset.validation_fold}-seed${seed}'",
        *options.overrides,
    ]
    # no line of Hydra's for each cell, and no train.log of Hydra's: a cell writes its own
    quiet = ["hydra/hydra_logging=none", "hydra/job_logging=stdout"]
    start = [sys.executable, "train.py", "--multirun", f"hydra/launcher={launcher}", *quiet]
    return [
        [*start, *row_overrides(options.experiment, rows), *common]
        for rows in products(options.experiment, options.rows)
    ]


def watch(process: subprocess.Popen, cells: list[Cell], board: Board, seconds: float = 1.0) -> None:
    """Waits for the end of a process that trains cells; shows which of them begin and end."""
    before = {cell: state_of(cell.run_dir) for cell in cells}
    ended = False
    while not ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        ended = process.poll() is not None
        follow(cells, before, board)


def follow(cells: list[Cell], before: dict[Cell, Status], board: Board) -> None:
    """Shows what has changed since the last look at cells that other processes train.

    Args:
        cells: The cells.
        before: Their states at the last look; the new ones are written into it.
        board: Where the change is shown.
    """
    for cell in cells:
        state = state_of(cell.run_dir)
        if state == "running" and cell not in board.running:
            board.begin(cell)
        elif state != "running" and (cell in board.running or state != before[cell]):
            board.end(cell, told(state, error_of(cell.run_dir), cell.run_dir / LOG))
        before[cell] = state
    board.refresh()


def wait_for_others(cells: list[Cell], board: Board, seconds: float = 1.0) -> bool:
    """Waits until no other process works on a cell.

    Returns:
        True if another process was running a cell and that cell is still unfinished.
    """
    busy = [cell for cell in cells if state_of(cell.run_dir) == "running"]
    if not busy:
        return False
    print(f"Waiting for {len(busy)} cells that other processes are training, e.g. {busy[0].name}.", flush=True)
    states: dict[Cell, Status] = dict.fromkeys(busy, "waiting")
    follow(busy, states, board)
    while "running" in states.values():
        time.sleep(seconds)
        follow(busy, states, board)
    return any(state != "done" for state in states.values())
