"""One row of an annotation CSV -> one record of the table. Knows no file beyond the row's place in it.

Comes in: the stripped cells of a row. Goes out: a record with the row's columns of ``segments.COLUMNS``, or a
``BadSegment`` that says what is wrong. Conventions:

- Cells are read by position, never by header name (names differ between files and releases).
- The ten raters' cells count. The ``Total`` columns are compared with them, and never used.
- The corpus's typo ``disqust`` is corrected here and nowhere else.
- A number is written in ASCII digits: ``float`` alone would also take ``1_0``, ``inf`` and the digits of other scripts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from erc.data.corpora import EMOTIONS, N_RATERS, VA_MAX, VA_MIN, Corpus, SegmentName
from erc.data.segments import BIO_COLUMNS, BadSegment, RowKind

_INDEX = {name: index for index, name in enumerate(EMOTIONS)} | {"disqust": EMOTIONS.index("disgust")}

_RATINGS = {str(value): value for value in range(VA_MIN, VA_MAX + 1)}
_RATINGS |= {f"{value}.0": value for value in range(VA_MIN, VA_MAX + 1)}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

MAX_SHOWN = 60
"""A message shows this many characters of a cell."""

TOTAL_TOLERANCE = 0.051
"""A Total of valence or arousal has one decimal; a mean this close to it agrees."""


@dataclass
class Row:
    """One line of an annotation file."""

    path: Path
    line: int
    cells: list[str]
    segment_id: str
    """As the file has it, or repaired; may be no id at all."""
    gender: str | None
    """Of the id's speaker; None where the id is not one of the corpus."""
    is_repaired: bool = False
    problem: str = ""
    """Why the row cannot be used, where that is known before its cells are read."""

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.path}, line {self.line}"


class _BadCellError(ValueError):
    """A cell that cannot be read."""

    def __init__(self, problem: str, kind: RowKind) -> None:
        super().__init__(problem)
        self.kind = kind


def parse_row(corpus: Corpus, session: int, file_gender: str | None, row: Row) -> dict[str, Any] | BadSegment | None:
    """One row as a record.

    Args:
        corpus: Facts of the corpus.
        session: Session of the file.
        file_gender: Whose ratings the file holds, ``F`` or ``M``; None where a file holds both speakers'.
        row: The row.

    Returns:
        A record; a ``BadSegment`` where the row cannot be used; None where it is another speaker's row.
    """
    known_id = row.segment_id if corpus.id_pattern.fullmatch(row.segment_id) else ""
    problem = row.problem
    if not problem and len(row.cells) != corpus.width:
        problem = f"a row has {corpus.width} cells, this one {len(row.cells)}"
    if problem:
        return BadSegment(row.where, problem, known_id, kind="row")
    try:
        name = corpus.parse(row.segment_id[: 2 * MAX_SHOWN])
    except ValueError as err:
        return BadSegment(row.where, str(err), known_id, kind="row")
    if file_gender is not None and name.gender != file_gender:
        return None
    try:
        return _record(corpus, session, name, row)
    except _BadCellError as err:
        return BadSegment(row.where, str(err), row.segment_id, name.dialogue not in corpus.paper_drops, err.kind)


def _record(corpus: Corpus, session: int, name: SegmentName, row: Row) -> dict[str, Any]:
    if name.session != session:
        raise _BadCellError(f"the file holds session {session}, the id says {name.session}", "row")
    raters = row.cells[-3 * N_RATERS :]
    emotions = _emotions(raters[0::3])
    valence = _ratings("valence", raters[1::3])
    arousal = _ratings("arousal", raters[2::3])
    start, end = _seconds([row.cells[column] for column in corpus.time_columns])
    bio = {column: _bio_value(column, row.cells[index]) for column, index in corpus.bio_columns.items()}
    return {
        "segment_id": row.segment_id,
        "corpus": corpus.name,
        "session": name.session,
        "dialogue": name.dialogue,
        "speaker": name.speaker,
        "gender": name.gender,
        "start": start,
        "end": end,
        "emotion_ratings": emotions,
        "valence_ratings": valence,
        "arousal_ratings": arousal,
        **dict.fromkeys(BIO_COLUMNS, np.nan),
        **bio,
        "in_paper": not (
            row.is_repaired or name.dialogue in corpus.paper_drops or any(np.isnan(value) for value in bio.values())
        ),
        "where": row.where,
    }


def _emotions(cells: list[str]) -> list[int]:
    """Ten indices into ``EMOTIONS``."""
    found = [_INDEX.get(cell.lower()) for cell in cells]
    emotions = [emotion for emotion in found if emotion is not None]
    if len(emotions) < N_RATERS:
        rater = found.index(None)
        raise _BadCellError(
            f"{N_RATERS} raters' emotions expected, {len(emotions)} are valid; rater {rater + 1} has {_shown(cells[rater])}",
            "raters",
        )
    return emotions


def _ratings(what: str, cells: list[str]) -> list[int]:
    """Ten whole numbers from 1 to 5."""
    for rater, cell in enumerate(cells, start=1):
        if cell not in _RATINGS:
            raise _BadCellError(
                f"{what} ratings are whole numbers {VA_MIN} to {VA_MAX}; rater {rater} has {_shown(cell)}", "raters"
            )
    return [_RATINGS[cell] for cell in cells]


def _seconds(cells: list[str]) -> tuple[float, float]:
    """Start and end; the start is 0 or more, and lies before the end."""
    start, end = map(_number, cells)
    if start is None or end is None:
        raise _BadCellError(f"start and end are seconds, got [{', '.join(map(_shown, cells))}]", "row")
    if not 0 <= start < end:
        raise _BadCellError(f"start and end are seconds with 0 <= start < end, got {start:g} and {end:g}", "interval")
    return start, end


def _bio_value(column: str, cell: str) -> float:
    """A bio-signal's value; NaN where the cell is empty."""
    value = _number(cell) if cell else np.nan
    if value is None:
        raise _BadCellError(f"{column} is a number or empty, got {_shown(cell)}", "row")
    return value


def _number(cell: str) -> float | None:
    """A finite number; None where the cell holds something else."""
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def _shown(cell: str) -> str:
    """A cell as a message has it: quoted, without control characters, and not too long."""
    return repr(cell) if len(cell) <= MAX_SHOWN else f"{cell[:MAX_SHOWN]!r}... ({len(cell)} characters)"


def compare_total(corpus: Corpus, row: Row, record: dict[str, Any]) -> str:
    """What the Total columns say otherwise than the ten raters; empty where they agree."""
    emotion, *means = row.cells[corpus.total_column : corpus.total_column + 3]
    counts = Counter(record["emotion_ratings"])
    majority = {index for index, count in counts.items() if count == max(counts.values())}
    stated = {_INDEX.get(part.strip().lower()) for part in emotion.split(";")}
    wrong = []
    if stated != majority:
        wrong.append(f"emotion {_shown(emotion)}, raters {';'.join(EMOTIONS[index] for index in sorted(majority))!r}")
    for what, cell in zip(("valence", "arousal"), means, strict=True):
        mean = sum(record[f"{what}_ratings"]) / N_RATERS
        try:
            agrees = abs(float(cell) - mean) < TOTAL_TOLERANCE
        except ValueError:
            agrees = False
        if not agrees:
            wrong.append(f"{what} {_shown(cell)}, raters {mean:g}")
    return "; ".join(wrong)
