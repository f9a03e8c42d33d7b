"""A table on disk -> cells as text, each row with its line in the file. CSV, Parquet and JSON lines.

Every cell becomes text, whatever the file holds, so that one set of checks serves all three. An empty cell is "". A row is
known by the line that an editor shows; in Parquet, which has no lines, by its number from 1.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from erc.data.source_files import read_regular
from erc.mistakes import listed

MAX_TABLE_BYTES = 300_000_000
"""Of the file. A million segments with long transcripts have about 200 million."""

MAX_UNPACKED_BYTES = 2_000_000_000
"""Of a Parquet table once it is unpacked: a few kilobytes can hold gigabytes."""

MAX_ROWS = 2_000_000

MAX_COLUMNS = 1_000

MAX_NAMED = 20
"""A message names so many mistakes."""

COLUMNS = (
    *("file", "start", "end", "segment_id", "text", "transcript_source", "speaker", "gender", "session", "dialogue"),
    *("style", "fold", "split", "corpus", "emotion", "valence", "arousal", "dominance"),
)
"""Beside them ``votes_<emotion>`` and ``rater_<name>``. What other columns hold is not looked at."""

PREFIXES = ("votes_", "rater_")

ENDINGS = (".csv", ".parquet", ".jsonl")


class TableError(ValueError):
    """A table that cannot be used; the text names every mistake with file, line, column, what was expected and what came."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes):,} mistakes"
        named = listed(mistakes, MAX_NAMED)
        super().__init__(f"A table of segments must be sound: {path} has {count}.\n{named}\nCorrect the table.")
        self.mistakes = mistakes


@dataclass
class Cells:
    """Content of a table.

    Attributes:
        path: The file.
        columns: Names, in the order of the file.
        rows: Cells by column; "" for an empty cell.
        lines: Line of each row in the file, from 1.
        mistakes: What is wrong, one line each; other checks add to them.
    """

    path: Path
    columns: list[str] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """What a row is counted by."""
        return "row" if self.path.suffix.lower() == ".parquet" else "line"

    def where(self, line: int) -> str:
        """A row's place, for people."""
        return f"{self.path.name}, {self.unit} {line}"

    def add(self, line: int, column: str, expected: str, got: object, advice: str = "") -> None:
        """Notes a mistake in one cell."""
        came = f"{got[:60]!r}" if isinstance(got, str) else str(got)
        self.mistakes.append(f"{self.where(line)}, column {column}: expected {expected}, got {came}{advice}")

    def add_header(self, text: str) -> None:
        """Notes a mistake in the names of the columns."""
        self.mistakes.append(f"{self.path.name}, names of the columns: {text}")


def is_known(column: str) -> bool:
    """Whether a column of this name means something here."""
    return column in COLUMNS or any(column.startswith(prefix) and column != prefix for prefix in PREFIXES)


def nearest(name: str, known: list[str], cutoff: float = 0.75) -> str:
    """The known name that is most like this one; empty where none is like it."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=cutoff)
    return near[0] if near else ""


def did_you_mean(name: str, known: list[str]) -> str:
    """``; did you mean valence?``; empty where no known name is near."""
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def read_cells(path: Path) -> Cells:
    """Cells of a table.

    Raises:
        TableError: The file is no table of its kind, or has no row.
        OSError: It is not there, no regular file, or larger than ``MAX_TABLE_BYTES``.
        ValueError: Its name has another ending than those of ``ENDINGS``.
    """
    readers = dict(zip(ENDINGS, (_read_csv, _read_parquet, _read_json_lines), strict=True))
    ending = path.suffix.lower()
    if ending not in readers:
        raise ValueError(
            f"A table of segments ends in {', '.join(ENDINGS)}: got {path}. Save it in one of these forms."
        )
    if not path.exists():
        raise FileNotFoundError(f"A table of segments must be there: {path.absolute()} is not. Correct dataset.path.")
    cells = Cells(path)
    try:
        readers[ending](read_regular(path, MAX_TABLE_BYTES), cells)
    except OSError as err:
        raise type(err)(f"A table of segments must be readable: {path}: {err}.") from err
    repeated = sorted({name for name in cells.columns if cells.columns.count(name) > 1})
    if repeated:
        cells.add_header(f"expected each name once, got {', '.join(repeated)} more than once")
    if not cells.rows and not cells.mistakes:
        cells.mistakes.append(f"{path.name}: expected a row for each segment, got none")
    if cells.mistakes and not cells.rows:
        raise TableError(path, cells.mistakes)
    return cells


def _read_csv(raw: bytes, cells: Cells) -> None:
    text = _decoded(raw, cells)
    if text is None:
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 0
    try:
        cells.columns = [name.strip() for name in next(reader, [])][: MAX_COLUMNS + 1]
        if len(cells.columns) == 1 and any(mark in cells.columns[0] for mark in ";\t|"):
            cells.add_header(f"expected names with commas between them, got {cells.columns[0][:60]!r}")
            return
        line = reader.line_num
        for row in reader:
            first, line = line + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(cells.columns):
                cells.mistakes.append(
                    f"{cells.where(first)}: expected {len(cells.columns)} cells, as many as columns, got {len(row)}; a cell "
                    "that holds a comma stands in quotation marks"
                )
            if not _take(cells, first, {name: cell.strip() for name, cell in zip(cells.columns, row, strict=False)}):
                return
    except csv.Error as err:
        cells.mistakes.append(f"{cells.where(line + 1)}: expected a row of a CSV table, got an error ({err})")


def _decoded(raw: bytes, cells: Cells) -> str | None:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = raw[: err.start].count(b"\n") + 1
        cells.mistakes.append(
            f"{cells.where(line)}: expected text in UTF-8, got the byte 0x{raw[err.start]:02X} of another encoding; save the "
            "table as UTF-8"
        )
        return None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        cells.mistakes.append(f"{cells.where(line)}: expected text in UTF-8, got a zero byte; save the table as UTF-8")
        return None
    return text


def _read_json_lines(raw: bytes, cells: Cells) -> None:
    text = _decoded(raw, cells)
    names: dict[str, None] = {}
    for line, content in enumerate((text or "").split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as err:
            reason = str(err) or type(err).__name__
            cells.mistakes.append(f"{cells.where(line)}: expected a JSON object, got an error ({reason[:80]})")
            continue
        if not isinstance(row, dict):
            cells.mistakes.append(f"{cells.where(line)}: expected a JSON object, got {type(row).__name__}")
            continue
        if "\\u" in content and not _is_unicode(row):
            cells.mistakes.append(f"{cells.where(line)}: expected text, got half of a character (\\ud800 to \\udfff)")
            continue
        found = {
            name.strip(): _as_text(cells, line, name, value) if is_known(name.strip()) else ""
            for name, value in row.items()
        }
        names |= dict.fromkeys(found)
        if not _take(cells, line, found):
            break
    cells.columns = list(names)
    for one in cells.rows:
        for name in names:
            one.setdefault(name, "")


def _is_unicode(row: dict[str, Any]) -> bool:
    """Whether no text of a row holds half of a surrogate pair, which cannot be written anywhere."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _read_parquet(raw: bytes, cells: Cells) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(raw))
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        n_bytes = sum(group.total_byte_size for group in groups)
        if file.metadata.num_rows > MAX_ROWS or n_bytes > MAX_UNPACKED_BYTES or file.metadata.num_columns > MAX_COLUMNS:
            cells.mistakes.append(
                f"{cells.path.name}: expected at most {MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and {MAX_UNPACKED_BYTES:,} "
                f"bytes, got {file.metadata.num_rows:,} rows, {file.metadata.num_columns:,} columns and {n_bytes:,} bytes"
            )
            return
        names = file.schema_arrow.names
        table = file.read(columns=[name for name in dict.fromkeys(names) if is_known(name)])
        columns = {name: table.column(index).to_pylist() for index, name in enumerate(table.column_names)}
    except (pa.ArrowException, OSError, ValueError, OverflowError) as err:
        cells.mistakes.append(f"{cells.path.name}: expected a Parquet table, got an error ({str(err)[:120]})")
        return
    # pandas writes an index without a name as a column
    cells.columns = [name for name in names if not name.startswith("__index_level_")]
    for number in range(file.metadata.num_rows):
        found = {name: _as_text(cells, number + 1, name, column[number]) for name, column in columns.items()}
        _take(cells, number + 1, found)


def _take(cells: Cells, line: int, row: dict[str, str]) -> bool:
    """Adds a row; False where there would be too many rows or columns, which is a mistake."""
    if len(cells.rows) >= MAX_ROWS or len(row) > MAX_COLUMNS:
        cells.mistakes.append(
            f"{cells.where(line)}: expected at most {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns, got more"
        )
        return False
    cells.rows.append({name: row.get(name, "") for name in cells.columns} if cells.columns else row)
    cells.lines.append(line)
    return True


def _as_text(cells: Cells, line: int, column: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, timedelta):
        return "" if value != value else repr(value.total_seconds())
    if isinstance(value, bool | list | dict | bytes):
        cells.add(line, str(column), "text or a number", type(value).__name__)
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    try:
        return str(value).strip()
    except ValueError:  # Python does not write a whole number of more than 4300 digits
        cells.add(line, str(column), "a number of usual size", "one of thousands of digits")
        return ""
