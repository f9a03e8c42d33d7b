"""A table of segments, or a folder of sound files -> rows, a chunk at a time. No label is needed.

The columns are those of a corpus's own table: ``file``, ``start``, ``end``, ``segment_id``, ``text``, ``transcript_source``;
any other column is kept, as text. Paths count from the table's folder and must stay in it.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from erc.data import Boundary, MediaError, read_transcript

CHUNK = 256
"""Rows that are predicted, and written, at a time."""

ENDINGS = (".csv", ".parquet", ".jsonl")

TEXT_FILE = "text_file"
"""Column of a folder's rows: the file that holds the transcript."""

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
"""Endings of the files of a folder that are taken for sound; what they hold is checked when they are read."""


def check_ending(path: Path, what: str) -> None:
    """Raises ValueError unless a table is one of ``ENDINGS``."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{what} is a table: expected a name that ends with {', '.join(ENDINGS)}, got {path.name!r}.")


def read_table(path: Path) -> Iterator[pd.DataFrame]:
    """Chunks of a table; every cell is text, and an empty one is "".

    Raises:
        FileNotFoundError: The table is not there.
        ValueError: It is no table, or it has no column ``file``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"A table of segments is a file: {path.absolute()} is not there. Check its name.")
    check_ending(path, "A list of segments")
    try:
        columns, rows = _rows(path)
        if "file" not in columns:
            raise ValueError(f"expected a column file, got {', '.join(columns) or 'none'}")
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(f"each column has a name of its own, got two of {', '.join(twice)}")
        n_rows = 0
        while some := [{name: _as_text(row.get(name)) for name in columns} for row in itertools.islice(rows, CHUNK)]:
            n_rows += len(some)
            yield pd.DataFrame(some, columns=columns)
        if not n_rows:
            raise ValueError("expected rows, got none")
    except (ValueError, OSError, csv.Error) as err:  # pandas' and pyarrow's errors are of the first two kinds
        raise ValueError(
            f"A table of segments must be sound: {path}: {str(err).splitlines()[0]}. Correct the table; its columns are explained in "
            "README, 'Your own corpus' (labels are not needed)."
        ) from err


def _rows(path: Path) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Columns of a table, and its rows."""
    ending = path.suffix.lower()
    if ending == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, strict=True).fieldnames or []), _csv_rows(path)
    if ending == ".jsonl":  # a line may leave out what is not known, so that all of them are asked for their columns
        return list(dict.fromkeys(name for row in _json_rows(path) for name in row)), _json_rows(path)
    return pq.read_schema(path).names, _parquet_rows(path)


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(
                    f"before line {reader.line_num + 1}: expected {len(reader.fieldnames or [])} cells in every row, as the first "
                    f"line has, got another number ({', '.join(map(str, row.values()))[:80]})"
                )
            yield row


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as err:
                raise ValueError(f"line {number}: expected a JSON object, got {line.strip()[:80]!r} ({err})") from err
            if not isinstance(row, dict):
                raise ValueError(f"line {number}: expected a JSON object, got {line.strip()[:80]!r}")
            yield row


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=CHUNK):
            yield from batch.to_pylist()


def _as_text(value: Any) -> str:
    """A cell; what is not known is "", and a list or a dictionary is JSON."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def survey(path: Path) -> tuple[list[str], int]:
    """Names of a table's columns, and its number of rows, in one pass; errors as for ``read_table``."""
    columns: list[str] = []
    n_rows = 0
    for chunk in read_table(path):
        columns, n_rows = list(chunk.columns), n_rows + len(chunk)
    return columns, n_rows


def list_folder(folder: Path) -> pd.DataFrame:
    """The sound files below a folder, by name; ``text`` is what a file of the same name and the ending ``.txt`` holds.

    Raises:
        FileNotFoundError: There is no such folder, or it holds no sound file.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"A folder of sound files: {folder.absolute()} is not there. Check its name.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS and path.is_file())
    if not found:
        raise FileNotFoundError(
            f"A folder of sound files: expected files that end with {', '.join(SOUNDS)}, found none below {folder.absolute()}."
        )
    texts = [path.with_suffix(".txt") for path in found]
    return pd.DataFrame(
        {
            "file": [_name(path, folder) for path in found],
            TEXT_FILE: [_name(text, folder) if text.is_file() else "" for text in texts],
        }
    )


def _name(path: Path, folder: Path) -> str:
    """Path below a folder as text; bytes that are no text are shown as U+FFFD."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "replace")


def hash_of_folder(folder: Path) -> str:
    """SHA-256 of names, sizes and times of the sound files below a folder, and of the texts beside them."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*SOUNDS, ".txt")):
        if path.is_file():
            status = path.stat()
            digest.update(
                os.fsencode(path.relative_to(folder)) + f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode()
            )
    return digest.hexdigest()


class SegmentSource:
    """Audio and words of the rows of a table.

    Args:
        folder: Of the table; paths count from it.
        reads_audio: Whether the model, or the transcriber, reads sound.
    """

    def __init__(self, folder: Path, reads_audio: bool) -> None:
        self._folder, self._boundary, self._reads_audio = folder, Boundary(folder), reads_audio

    def audio(self, row: dict[str, str]) -> dict[str, Any]:
        """What the predictor reads: a path, and where the segment starts and ends in it; nothing for a model of text.

        Raises:
            OSError: The file is not there, or lies outside the table's folder.
            ValueError: A time is no time.
        """
        if not self._reads_audio:
            return {}
        start, end = seconds_of(row, "start"), seconds_of(row, "end")
        return {"audio": self._inside(row["file"]), "start": 0.0 if math.isnan(start) else start, "end": end}

    def text(self, row: dict[str, str]) -> str:
        """The transcript of a row: its cell ``text``, or what that of its file holds."""
        if row.get(TEXT_FILE):
            try:
                return read_transcript(self._inside(row[TEXT_FILE]))
            except MediaError as err:
                raise ValueError(f"The transcript {row[TEXT_FILE]} cannot be used: {err}.") from err
        return " ".join(row.get("text", "").split())

    def _inside(self, file: str) -> Path:
        path = self._folder / file
        if not file or Path(file).is_absolute() or ".." in Path(file).parts:
            raise ValueError(f"A file is named from the table's folder and lies in it: got {file!r}.")
        if "\ufffd" in file or "\0" in file:
            raise ValueError(f"The name of a file is text: got {file!r}. Rename the file.")
        try:
            self._boundary.stat(path)
        except FileNotFoundError as err:
            raise FileNotFoundError(f"A sound is a file: {path} is not there.") from err
        return path


def seconds_of(row: dict[str, str], column: str) -> float:
    """Time in a cell, in seconds; NaN where there is none.

    Raises:
        ValueError: The cell holds something else.
    """
    cell = row.get(column, "").strip()
    if cell in ("", "NaT", "nan"):
        return math.nan
    try:
        value = float(cell) if "day" not in cell and ":" not in cell else pd.Timedelta(cell).total_seconds()
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{column} is in seconds, 0 or more, or a time as 0 days 00:00:01.5: got {cell!r}.")
    return value
