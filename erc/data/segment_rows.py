"""Cells of a table of segments -> checked values: files, times, ids, names, folds. Labels are read in ``rated_labels.py``."""

from __future__ import annotations

import math
import os
import re
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from erc.data.media import MAX_SECONDS
from erc.data.rated_labels import number
from erc.data.source_files import Boundary
from erc.data.table_files import COLUMNS, PREFIXES, Cells, did_you_mean, is_known, nearest

NEAR = 0.82
"""How like a known name another column is taken for a misspelt one: valance is, folder is not."""

SPLITS = ("train", "valid", "test")

CHOICES = {"transcript_source": ("human", "asr"), "style": ("scripted", "spontaneous"), "split": SPLITS}

NAMES = ("segment_id", "speaker", "gender", "session", "dialogue", "corpus", "emotion")

MAX_TEXT = 20_000
"""Characters of a transcript."""

MAX_NAME = 300

_TIME = re.compile(
    r"(?:(?P<days>\d{1,3}) days?,? ?)?(?:(?P<h>\d{1,4}):(?P<m>\d\d):(?P<s>\d\d(?:\.\d{1,9})?))?", re.ASCII
)


@dataclass
class SegmentRow:
    """One row but for its labels. Times are in seconds; NaN where not given."""

    line: int
    segment_id: str
    file: str
    path: str
    start: float
    end: float
    n_bytes: int = -1
    """-1 where the file is not there."""
    mtime_ns: int = 0


def unused_columns(cells: Cells) -> list[str]:
    """Columns that mean nothing here; one that looks like a known one, which is not there, is a mistake."""
    unused = []
    for name in dict.fromkeys(cells.columns):
        if is_known(name):
            continue
        near = nearest(name, list(COLUMNS), NEAR) or nearest(name.split("_")[0] + "_", list(PREFIXES))
        if near and near not in cells.columns:
            cells.add_header(
                f"expected names of the documented columns, got {name!r}; did you mean {near}? Rename the column"
            )
        elif not name:
            cells.add_header("expected a name for every column, got an empty one")
        else:
            unused.append(name)
    if "file" not in cells.columns:
        cells.add_header(f"expected a column file, got {', '.join(map(repr, cells.columns[:12]))}")
    return unused


def read_rows(cells: Cells, allow_outside: bool) -> list[SegmentRow]:
    """Rows with checked files, times and ids. Mistakes are added to those of the table."""
    folder = cells.path.absolute().parent
    stats = _FileStats(folder, allow_outside)
    known = [name for name in cells.columns if is_known(name)]
    rows = []
    for line, row in zip(cells.lines, cells.rows, strict=True):
        for name in known:
            _check_text(cells, line, name, row[name])
        start, end = (_seconds(cells, line, name, row.get(name, "")) for name in ("start", "end"))
        length = end - (0.0 if math.isnan(start) else start)
        if length <= 0:
            cells.add(line, "end", f"more than start ({row.get('start') or '0'})", row["end"])
        elif length > MAX_SECONDS:
            cells.add(line, "end", f"a segment of at most {MAX_SECONDS} s", f"{length:g} s")
        file = row.get("file", "")
        one = SegmentRow(line, row.get("segment_id", "") or _made_id(file, start, end), file, "", start, end)
        if not file:
            if "file" in known:
                cells.add(line, "file", "an audio file", file)
        elif not _has_controls(file):
            stats.fill(cells, one)
        rows.append(one)
    _check_ids(cells, rows)
    return rows


class _FileStats:
    """Sizes and times of the audio files, each looked at once."""

    def __init__(self, folder: Path, allow_outside: bool) -> None:
        self._folder, self._allow_outside = folder, allow_outside
        self._look: Callable[[str], os.stat_result] = os.stat if allow_outside else Boundary(folder).stat
        self._known: dict[str, tuple[int, int] | str] = {}

    def fill(self, cells: Cells, row: SegmentRow) -> None:
        row.path = os.path.join(self._folder, row.file)
        if row.file not in self._known:
            self._known[row.file] = self._status(row.file, row.path)
        found = self._known[row.file]
        if isinstance(found, str):
            cells.add(row.line, "file", "an audio file in the table's folder", row.file, f"; {found}")
            row.path = ""
        else:
            row.n_bytes, row.mtime_ns = found

    def _status(self, file: str, path: str) -> tuple[int, int] | str:
        """Size and time, (-1, 0) where the file is not there; or why it may not be used."""
        is_outside = os.path.isabs(file) or ".." in Path(file).parts
        if is_outside and not self._allow_outside:
            return "it leads out of that folder (dataset.allow_outside=true allows it)"
        try:
            status = self._look(path)
        except FileNotFoundError:
            for form in ("NFC", "NFD"):
                other = unicodedata.normalize(form, file)
                if other != file and os.path.exists(os.path.join(self._folder, other)):
                    return f"the file is there with its name in the Unicode form {form}: write the table in that form"
            return -1, 0
        except (OSError, ValueError) as err:  # UnfitFileError: a link that leads out
            return str(err)
        if not stat.S_ISREG(status.st_mode):
            return "a regular file is expected, it is a folder or a device"
        return status.st_size, status.st_mtime_ns


def _check_text(cells: Cells, line: int, name: str, cell: str) -> None:
    if name == "text":
        plain = " ".join(cell.split())
        if len(plain) > MAX_TEXT:
            cells.add(line, name, f"at most {MAX_TEXT:,} characters", f"{len(plain):,}")
        elif _has_controls(plain):
            cells.add(line, name, "text without control characters", plain)
        return
    if cell and _has_controls(cell):
        cells.add(line, name, "text without control characters and line ends", cell)
    elif len(cell) > MAX_NAME and (name in NAMES or name == "file"):
        cells.add(line, name, f"at most {MAX_NAME} characters", f"{len(cell):,}")
    elif cell and name in CHOICES and cell not in CHOICES[name]:
        cells.add(line, name, f"one of {', '.join(CHOICES[name])}", cell, did_you_mean(cell, list(CHOICES[name])))
    elif not cell and name == "split":
        cells.add(line, name, f"one of {', '.join(SPLITS)}", cell)


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _seconds(cells: Cells, line: int, column: str, cell: str) -> float:
    if not cell or cell == "NaT":
        return math.nan
    value = number(cell)
    match = _TIME.fullmatch(cell)
    if value is None and match is not None and (match["days"] or match["h"]):
        value = 86_400.0 * int(match["days"] or 0)
        value += 3600 * int(match["h"] or 0) + 60 * int(match["m"] or 0) + float(match["s"] or 0)
    if value is None or value < 0:
        cells.add(line, column, "seconds, 0 or more, or a time as 0 days 00:00:01.5", cell)
        return math.nan
    return value


def _made_id(file: str, start: float, end: float) -> str:
    """The path without its ending, and the times in ms where they are given."""
    if not file:
        return ""
    stem = os.path.splitext(file)[0].replace(os.sep, "/")
    if math.isnan(start) and math.isnan(end):
        return stem
    last = "" if math.isnan(end) else str(round(1000 * end))
    return f"{stem}#{0 if math.isnan(start) else round(1000 * start)}-{last}"


def _check_ids(cells: Cells, rows: list[SegmentRow]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        if not row.segment_id:
            continue
        if row.segment_id in first:
            cells.add(
                row.line,
                "segment_id" if cells.rows and "segment_id" in cells.columns else "file",
                f"a segment that is in no other {cells.unit}",
                row.segment_id,
                f", which is in {cells.unit} {first[row.segment_id]}, too",
            )
        first.setdefault(row.segment_id, row.line)


def read_folds(cells: Cells, n_folds: int | None) -> list[int] | None:
    """The fold of each row; None where the table has none. Mistakes are added to those of the table."""
    given = [row.get("fold", "") for row in cells.rows]
    if not any(given):
        return None
    if "split" in cells.columns:
        cells.add_header("expected folds or an official partition, got both columns, fold and split")
    folds = []
    for line, cell in zip(cells.lines, given, strict=True):
        value = number(cell)
        if value is None or not value.is_integer() or not 0 <= value < 10_000:
            cells.add(line, "fold", "a fold in every row: a whole number, 0 or more", cell)
        else:
            folds.append(int(value))
    if len(folds) < len(given):
        return None
    highest = max(folds)
    missing = sorted(set(range(highest + 1)) - set(folds))
    if missing or highest < 1:
        listed = ", ".join(map(str, sorted(set(folds))[:12]))
        cells.mistakes.append(
            f"{cells.path.name}, column fold: expected every fold from 0 to the last, two or more, got {listed}"
        )
    elif n_folds is not None and n_folds != highest + 1:
        cells.mistakes.append(
            f"dataset.n_folds: expected the {highest + 1} folds of {cells.path.name}, or null, got {n_folds}"
        )
    return folds


def check_speakers(cells: Cells, part: list[int] | list[str], column: str) -> list[str]:
    """Speakers (with their corpus) that are in several folds or sides of the partition, as they are named to people."""
    places: dict[tuple[str, str], set] = {}
    for row, one in zip(cells.rows, part, strict=True):
        if row.get("speaker"):
            places.setdefault((row.get("corpus", ""), row["speaker"]), set()).add(one)
    return [
        f"speaker {speaker} ({column} {', '.join(map(str, sorted(found)))})"
        for (_, speaker), found in places.items()
        if len(found) > 1
    ]
