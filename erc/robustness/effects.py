"""What a condition does to each metric: a line of ``robustness.csv``, written and read. Light: no model is imported here.

A report asks for the robustness of every run that it shows; it stands in a folder beside the run's.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from erc.files import write_atomically

CLEAN = "clean"
"""Name of the condition that changes nothing."""

FILE = "robustness.csv"


@dataclass(frozen=True)
class Effect:
    """One metric under one condition: a line of ``robustness.csv``. Numbers are NaN where they are not defined."""

    condition: str
    title: str
    modality: str
    """The one that the condition changes; empty for ``clean``."""
    is_read: bool
    """Whether the model reads that modality; where it does not, the figures are those of ``clean``."""
    metric: str
    value: float
    difference: float
    """To ``clean``."""
    low: float
    """Ends of its 95 % interval."""
    high: float
    word_error_rate: float
    """Of the words that the model read; NaN where the condition leaves the words."""


def default_out(run: str | Path) -> Path:
    """Where the robustness of a run is kept: a folder beside it, because a run folder stays as it is.

    Its name does not begin as that of a cell does, so that no grid takes it for one.
    """
    run = Path(run).absolute()
    return run.with_name(f"robustness-{run.name}")


def write_effects(folder: Path, found: Sequence[Effect]) -> None:
    """Writes ``robustness.csv`` in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([one.name for one in fields(Effect)])
    writer.writerows(astuple(one) for one in found)
    write_atomically(folder / FILE, stream.getvalue())


def read_effects(folder: Path) -> list[Effect]:
    """``robustness.csv`` as it was written; empty where there is none.

    Raises:
        ValueError: The file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [_effect(line) for line in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as err:
        raise ValueError(
            f"{FILE} must be as it was written: {path} is damaged ({type(err).__name__}: {err}). Remove it, and start python -m erc "
            "robustness again: finished conditions are not scored again."
        ) from err


def _effect(line: dict[str, str]) -> Effect:
    numbers = [float(line[name]) for name in ("value", "difference", "low", "high", "word_error_rate")]
    is_read = {"True": True, "False": False}[line["is_read"]]
    return Effect(line["condition"], line["title"], line["modality"], is_read, line["metric"], *numbers)
