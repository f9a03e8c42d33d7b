"""The running cells on the terminal: a line each with its progress and the time left, and one line for the whole grid.

Where standard error is no terminal (a file, continuous integration), a plain line says when a cell begins and when it ends.
Progress is read from what a run writes anyway: ``metrics.csv``, a row per epoch, and before the first row ``train.log``.
"""

from __future__ import annotations

import csv
import re
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from erc.grid.asked_for import composed
from erc.grid.cells import Cell
from erc.training import state_of

LOG = "train.log"
"""What a cell prints, in its folder."""

LAST_BYTES = 8192
"""So much of the end of a log is read."""

COUNTER = re.compile(r"(?:(?P<what>[^:\r\n]+): +)?(?P<percent>\d+)%\|")
"""A progress bar of tqdm in a log."""


class Standing(NamedTuple):
    """How far a cell is."""

    stage: str
    """In words: ``epoch 3/6``."""
    n_done: float | None = None
    """Epochs, with a share of the one in progress; None before the first has ended."""
    seconds_left: float | None = None
    """If no epoch is saved by early stopping; None before the first has ended."""


def standing_of(run_dir: Path, n_epochs: int, started: float, log_from: int = 0) -> Standing:
    """How far a running cell is.

    Args:
        run_dir: Its folder.
        n_epochs: At most so many epochs will be trained.
        started: When it was started, in seconds since 1970.
        log_from: Byte of ``train.log`` at which its output begins.
    """
    rows = _epoch_rows(run_dir / "metrics.csv")
    if not rows:
        return Standing(_stage_before_epochs(run_dir / LOG, log_from, n_epochs))
    n_done, seconds = len(rows), float(rows[-1]["seconds"])
    per_epoch = seconds / n_done
    if n_done >= n_epochs:
        return Standing("scoring", n_done, 0.0)
    # a resumed cell has not worked since its last epoch ended, but since it was started
    since = min(time.time() - max((run_dir / "metrics.csv").stat().st_mtime, started), per_epoch)
    left = per_epoch * (n_epochs - n_done) - since
    return Standing(f"epoch {n_done + 1}/{n_epochs}", n_done + (since / per_epoch if per_epoch else 0), left)


def _epoch_rows(path: Path) -> list[dict[str, str]]:
    """Rows of ``metrics.csv``, which is replaced as a whole; none where it is not there yet, or is damaged."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        return rows if rows and float(rows[-1]["seconds"]) >= 0 else []
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return []


def _stage_before_epochs(log: Path, log_from: int, n_epochs: int) -> str:
    text = end_of(log, log_from)
    if re.search(r"^Training ", text, re.MULTILINE):
        return f"epoch 1/{n_epochs}"
    if "\nFitting " in f"\n{text}":
        return "fitting"
    counters = list(COUNTER.finditer(text))
    return f"{counters[-1]['what'] or 'preparing'} {counters[-1]['percent']} %" if counters else "starting"


def end_of(log: Path, log_from: int = 0) -> str:
    """The end of what a log holds behind a byte; empty where there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(log_from, log.stat().st_size - LAST_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


class Board:
    """Shows the cells of a grid while they run; a context manager, which takes the lines off the terminal at its end.

    Args:
        cells: All cells of the grid.
        extra: Options of train.py behind those of the cells.
        n_at_once: Cells at a time; None if others decide, such as a cluster.
    """

    def __init__(self, cells: Sequence[Cell], extra: Sequence[str], n_at_once: int | None = None) -> None:
        self._cells, self._extra, self._n_at_once = cells, tuple(extra), n_at_once
        self._over = {cell for cell in cells if state_of(cell.run_dir) == "done"}
        self._count()
        self._took: list[tuple[str, float]] = []
        self._running: dict[Cell, tuple[float, int, TaskID]] = {}
        self.is_live = sys.stderr.isatty()
        # who sees the lines of the running cells needs no other line that says so
        self._is_seen = self.is_live and sys.stdout.isatty()
        self._lines = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TextColumn("{task.fields[stage]}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[left]}", markup=False, justify="right", table_column=Column(no_wrap=True)),
            console=Console(stderr=True),
            redirect_stdout=sys.stdout.isatty(),  # printed lines stand above the bars; those for a file stay plain
            auto_refresh=False,  # a thread that draws while a line is printed erases that line at times
            transient=True,
            expand=True,
            disable=not self.is_live,
        )
        self._whole = self._lines.add_task("all cells", total=len(cells), stage="", left="")

    def __enter__(self) -> Board:
        """Puts the lines on the terminal."""
        self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes them off."""
        self._lines.stop()

    def begin(self, cell: Cell) -> None:
        """A cell begins, here or elsewhere; call it before the cell writes into its log."""
        log = cell.run_dir / LOG
        task = self._lines.add_task(cell.name, total=None, stage="starting", left="")
        self._running[cell] = (time.time(), log.stat().st_size if log.exists() else 0, task)
        self._count()
        if not self._is_seen:
            self._say(f"begins: {cell.name} (output: {log})")
        self.refresh()

    def end(self, cell: Cell, told: str) -> None:
        """A cell has ended.

        Args:
            cell: One that has begun, or one that began and ended unseen.
            told: How, in words.
        """
        started, _, task = self._running.pop(cell, (time.time(), 0, None))
        if task is not None:
            self._lines.remove_task(task)
            if state_of(cell.run_dir) == "done":
                self._took.append((cell.row, time.time() - started))
        self._over.add(cell)
        self._count()
        if self._is_seen:
            print(f"{cell.name}: {told}", flush=True)
        else:
            left = self.seconds_left()
            self._say(f"ends: {cell.name}: {told}{'' if left is None else f'; about {duration(left)} left'}")
        self.refresh()

    @property
    def running(self) -> list[Cell]:
        """Cells that have begun and not ended."""
        return list(self._running)

    def seconds_of(self, cell: Cell) -> float:
        """Seconds since a running cell began."""
        return time.time() - self._running[cell][0]

    def standing(self, cell: Cell) -> Standing:
        """How far a running cell is."""
        started, log_from, _ = self._running[cell]
        return standing_of(cell.run_dir, self._n_epochs(cell), started, log_from)

    def refresh(self) -> None:
        """Looks at the running cells, and shows how far they are. Without a terminal it does nothing."""
        if not self.is_live:
            return
        n_done = 0.0
        for cell, (_, _, task) in self._running.items():
            now, n_epochs = self.standing(cell), self._n_epochs(cell)
            left = "" if not now.seconds_left else f"{duration(now.seconds_left)} left"
            total = None if now.n_done is None else n_epochs  # no total: the bar moves to and fro
            self._lines.update(task, total=total, completed=now.n_done or 0, stage=now.stage, left=left)
            n_done += (now.n_done or 0) / n_epochs
        whole = self.seconds_left()
        self._lines.update(
            self._whole,
            completed=self._n_finished + n_done,
            stage=f"{self._n_finished}/{len(self._cells)} done"
            + (f", {self._n_failed} failed" if self._n_failed else ""),
            left="" if whole is None else f"{duration(whole)} left",
        )
        self._lines.refresh()

    def seconds_left(self) -> float | None:
        """Seconds until the last cell ends; None where nothing is left, or no cell has told how long one takes.

        A cell that waits takes as long as the cells of its row did, or as long as all did where there is none.
        """
        lefts = {cell: self.standing(cell).seconds_left for cell in self._running}
        known = [*self._took]
        known += [(cell.row, self.seconds_of(cell) + left) for cell, left in lefts.items() if left is not None]
        waiting = [cell for cell in self._cells if cell not in self._over and cell not in self._running]
        if not known or not (waiting or lefts):
            return None

        def whole(cell: Cell) -> float:
            return statistics.fmean([took for row, took in known if row == cell.row] or [took for _, took in known])

        left = [
            max(0.0, whole(cell) - self.seconds_of(cell)) if found is None else found for cell, found in lefts.items()
        ]
        n_at_once = self._n_at_once or max(1, len(lefts))
        return max([(sum(left) + sum(map(whole, waiting))) / n_at_once, *left])

    def _n_epochs(self, cell: Cell) -> int:
        n_epochs = composed(cell.experiment, cell.row, self._extra).deciding["trainer"]["max_epochs"]
        return n_epochs if isinstance(n_epochs, int) and n_epochs > 0 else 1

    def _count(self) -> None:
        states = [state_of(cell.run_dir) for cell in self._cells]
        self._n_finished, self._n_failed = states.count("done"), states.count("failed")

    def _say(self, text: str) -> None:
        print(f"[{self._n_finished}/{len(self._cells)} done, {self._n_failed} failed] {text}", flush=True)


def told(state: str, reason: str, log: Path) -> str:
    """How a cell ended, why, and where all of its output is."""
    if not reason:
        return state
    seen = f" All of its output: {log}" if log.exists() and str(log) not in reason else ""
    return f"{state} ({reason}{'.' if seen and reason[-1] not in '.!?' else ''}{seen})"


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
