"""Runs the cells of a grid by a Hydra launcher, on a cluster; signals, waiting and durations for all launchers."""

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

from erc.grid.cells import ROOT, Cell, products, row_overrides
from erc.training import override_value, state_of


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


def run_by_hydra(options: argparse.Namespace, launcher: str, cells: list[Cell]) -> None:
    """Runs all cells as jobs of a Hydra launcher; prints a line whenever one of them begins or ends.

    The launcher and its workers are a process group of their own, which ends when the driver is interrupted: workers that
    lose their launcher would train on.
    """
    for command in hydra_commands(options, launcher):
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
            try:
                watch(process, cells)
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
    start = [sys.executable, "train.py", "--multirun", f"hydra/launcher={launcher}"]
    return [
        [*start, *row_overrides(options.experiment, rows), *common]
        for rows in products(options.experiment, options.rows)
    ]


def watch(process: subprocess.Popen, cells: list[Cell], seconds: float = 5.0) -> None:
    """Waits for the end of a process that trains cells; prints how the cells stand whenever that has changed."""
    started, n_before, last = time.monotonic(), None, ""
    ended = False
    while not ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        ended = process.poll() is not None
        states = [state_of(cell.run_dir) for cell in cells]
        n_done = states.count("done")
        if n_before is None:
            n_before = n_done
        line = f"[{n_done}/{len(cells)}] done, running {states.count('running')}, failed {states.count('failed')}"
        if line != last:
            last = line
            if n_before < n_done < len(cells):
                left = (time.monotonic() - started) / (n_done - n_before) * (len(cells) - n_done)
                line += f", about {duration(left)} left"
            print(line, flush=True)


def wait_for_others(cells: list[Cell], seconds: float = 5.0) -> bool:
    """Waits until no other process works on a cell.

    Returns:
        True if another process was running a cell and that cell is still unfinished.
    """
    busy = [cell for cell in cells if state_of(cell.run_dir) == "running"]
    if not busy:
        return False
    print(f"Waiting for {len(busy)} cells that other processes are training, e.g. {busy[0].name}.", flush=True)
    while any(state_of(cell.run_dir) == "running" for cell in busy):
        time.sleep(seconds)
    return any(state_of(cell.run_dir) != "done" for cell in busy)


def duration(seconds: float) -> str:
    """Seconds in words of two units at most."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [
        f"{days} d" if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes and not days else "",
    ]
    return " ".join(part for part in parts if part)
