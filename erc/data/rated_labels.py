"""Emotion and dimension columns of a table of segments -> label space, votes, ratings.

Emotions come in one of three forms: one label a segment (``emotion``), counts (``votes_<emotion>``), or one column a rater
(``rater_<name>``). An empty cell means that nothing is known: a segment without any vote has votes of zeros, a dimension that
was not rated is NaN, and nothing is filled in.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from erc.data.table_files import Cells, did_you_mean
from erc.labels import DIMENSIONS, LabelSpace

MAX_COUNT = 1_000_000

_WHOLE = re.compile(r"\+?\d{1,9}(\.0+)?", re.ASCII)


@dataclass(frozen=True)
class Rated:
    """What the raters of a table said.

    Attributes:
        label_space: What they were asked.
        votes: (N, K) int64 counts; zeros where nobody voted.
        dimensions: (N, R) float64 on the scale; NaN where not rated.
        n_dropped: Votes that the label map left out.
    """

    label_space: LabelSpace
    votes: np.ndarray
    dimensions: np.ndarray
    n_dropped: int


def read_ratings(
    cells: Cells, emotions: list[str] | None, scale: list[float] | None, label_map: dict[str, str | None]
) -> Rated | None:
    """Ratings of all rows. Mistakes are added to those of the table.

    Args:
        cells: The table.
        emotions: Names in their order; None: those of the ``votes_`` columns in their order, or the names found, sorted.
        scale: Lowest and highest rating of the dimensions.
        label_map: Other name of an emotion; None leaves its votes out.

    Returns:
        The ratings; None where there is a mistake that leaves no label space.
    """
    present = tuple(name for name in DIMENSIONS if name in cells.columns)
    dimensions = _read_dimensions(cells, present, scale)
    counts = _read_counts(cells)
    if counts is None:
        return None
    _check_map(cells, counts, label_map)
    n_dropped = sum(n for row in counts for name, n in row.items() if label_map.get(name, name) is None)
    mapped: list[dict[str, int]] = []
    for row in counts:
        taken: dict[str, int] = {}
        for name, n in row.items():
            target = label_map.get(name, name)
            if target is not None:
                taken[target] = taken.get(target, 0) + n
        mapped.append(taken)
    names = _emotion_names(cells, mapped, emotions, label_map)
    if len(set(names)) < 2:
        cells.add_header(f"expected votes for two emotions or more, got {', '.join(names) or 'none'}")
        return None
    if dimensions is None:
        return None
    index = {name: place for place, name in enumerate(names)}
    votes = np.zeros((len(mapped), len(names)), dtype=np.int64)
    for place, row in enumerate(mapped):
        for name, n in row.items():
            if name in index:
                votes[place, index[name]] += n
    totals = set(votes.sum(axis=1).tolist()) - {0}
    if not totals:
        cells.mistakes.append(f"{cells.path.name}: expected a segment with a vote, got none in {len(votes)} segments")
        return None
    has_all = not (votes.sum(axis=1) == 0).any()
    n_raters = totals.pop() if len(totals) == 1 and has_all else None
    ends = (float(scale[0]), float(scale[1])) if present and scale is not None else None
    return Rated(LabelSpace(tuple(names), present, ends, n_raters), votes, dimensions, n_dropped)


def _read_counts(cells: Cells) -> list[dict[str, int]] | None:
    """Votes of each row by the name that the table has; None where emotions come in no form, or in several."""
    votes = [name for name in cells.columns if name.startswith("votes_")]
    raters = [name for name in cells.columns if name.startswith("rater_")]
    forms = [
        form
        for form, is_there in (("emotion", "emotion" in cells.columns), ("votes_", votes), ("rater_", raters))
        if is_there
    ]
    if len(forms) != 1:
        cells.add_header(
            "expected emotions in one form (a column emotion, columns votes_<emotion>, or columns rater_<name>), got "
            f"{' and '.join(forms) or 'none'}"
        )
        return None
    if forms == ["votes_"]:
        return [_row_of_counts(cells, line, row, votes) for line, row in zip(cells.lines, cells.rows, strict=True)]
    found: list[dict[str, int]] = []
    for row in cells.rows:
        said = [row[name] for name in (raters or ["emotion"]) if row[name]]
        found.append({name: said.count(name) for name in said})
    return found


def _row_of_counts(cells: Cells, line: int, row: dict[str, str], columns: list[str]) -> dict[str, int]:
    filled = [name for name in columns if row[name]]
    if not filled:
        return {}
    counts = {}
    for column in columns:
        cell = row[column]
        if not cell:
            cells.add(line, column, "a count in every votes_ column of the row, or in none", cell)
        elif not _WHOLE.fullmatch(cell) or int(float(cell)) > MAX_COUNT:
            cells.add(line, column, "a number of raters: a whole number, 0 or more", cell)
        else:
            counts[column.removeprefix("votes_")] = int(float(cell))
    return counts


def _check_map(cells: Cells, counts: list[dict[str, int]], label_map: dict[str, str | None]) -> None:
    found = {name for row in counts for name in row} | {
        name.removeprefix("votes_") for name in cells.columns if name.startswith("votes_")
    }
    for name in label_map:
        if name not in found:
            cells.mistakes.append(
                f"dataset.label_map: expected names of emotions in {cells.path.name} ({_some(found)}), got {name!r}"
                f"{did_you_mean(name, sorted(found))}"
            )


def _emotion_names(
    cells: Cells, mapped: list[dict[str, int]], emotions: list[str] | None, label_map: dict[str, str | None]
) -> list[str]:
    columns = [name.removeprefix("votes_") for name in cells.columns if name.startswith("votes_")]
    if emotions is None:
        if columns:
            targets = [label_map.get(name, name) for name in columns]
            return list(dict.fromkeys(name for name in targets if name))
        return sorted({name for row in mapped for name in row})
    for line, row in zip(cells.lines, mapped, strict=True):
        for name in row:
            if name not in emotions and not columns:
                cells.add(
                    line, "emotion or rater_", f"one of {', '.join(emotions)}", name, did_you_mean(name, emotions)
                )
    for name in columns:
        target = label_map.get(name, name)
        if target is not None and target not in emotions:
            cells.add_header(
                f"expected votes for {', '.join(emotions)}, got votes_{name}{did_you_mean(target, emotions)}"
            )
    return emotions


def _read_dimensions(cells: Cells, present: tuple[str, ...], scale: list[float] | None) -> np.ndarray | None:
    if not present:
        return np.zeros((len(cells.rows), 0))
    if scale is None or len(scale) != 2 or not all(map(math.isfinite, scale)) or not scale[0] < scale[1]:
        cells.mistakes.append(
            f"dataset.scale: expected the lowest and the highest rating of {', '.join(present)}, as in dataset.scale=[1,5], "
            f"got {scale}"
        )
        return None
    low, high = scale
    values = np.full((len(cells.rows), len(present)), np.nan)
    for place, (line, row) in enumerate(zip(cells.lines, cells.rows, strict=True)):
        for column, name in enumerate(present):
            if row[name]:
                value = number(row[name])
                if value is None or not low <= value <= high:
                    cells.add(line, name, f"a number from {low:g} to {high:g}", row[name])
                else:
                    values[place, column] = value
    return values


def number(cell: str) -> float | None:
    """A finite number as CSV has it; None where the cell holds something else."""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", cell, re.ASCII) or len(cell) > 40:
        return None
    value = float(cell)
    return value if math.isfinite(value) else None


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:12]) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
