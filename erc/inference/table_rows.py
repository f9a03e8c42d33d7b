"""A table of segments, or a folder of sound files -> rows, a chunk at a time. No label is needed.

The columns are those of a corpus's own table: ``file``, ``start``, ``end``, ``segment_id``, ``text``, ``transcript_source``;
any other column is kept as it is. Paths count from the table's folder and must stay in it.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from erc.data import Boundary, MediaError, read_transcript
from erc.inference.sound import Sound

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
        for chunk in _chunks(path):
            chunk.columns = [str(name) for name in chunk.columns]
            if "file" not in chunk.columns:
                raise ValueError(f"expected a column file, got {', '.join(chunk.columns) or 'none'}")
            yield chunk.reset_index(drop=True)
    except (ValueError, OSError, csv.Error) as err:  # pandas' and pyarrow's errors are of the first two kinds
        raise ValueError(
            f"A table of segments must be sound: {path}: {str(err).splitlines()[0]}. Correct the table; its columns are explained in "
            "README, 'Your own corpus' (labels are not needed)."
        ) from err


def _chunks(path: Path) -> Iterator[pd.DataFrame]:
    ending = path.suffix.lower()
    if ending == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from _csv_chunks(csv.DictReader(file, strict=True))
    elif ending == ".jsonl":
        for chunk in pd.read_json(path, lines=True, dtype=False, chunksize=CHUNK):
            yield _as_text(chunk)
    else:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=CHUNK):
                yield _as_text(batch.to_pandas())


def _csv_chunks(reader: csv.DictReader) -> Iterator[pd.DataFrame]:
    columns = reader.fieldnames or []
    while rows := list(itertools.islice(reader, CHUNK)):
        for row in rows:
            if None in row or None in row.values():
                raise ValueError(
                    f"before line {reader.line_num + 1}: expected {len(columns)} cells in every row, as the first line has, "
                    f"got another number ({', '.join(map(str, row.values()))[:80]})"
                )
        yield pd.DataFrame(rows, columns=list(columns))


def _as_text(chunk: pd.DataFrame) -> pd.DataFrame:
    return chunk.astype(object).where(chunk.notna(), "").map(str)


def count_rows(path: Path) -> int:
    """Rows of a table."""
    return sum(len(chunk) for chunk in read_table(path))


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
            "file": [path.relative_to(folder).as_posix() for path in found],
            TEXT_FILE: [text.relative_to(folder).as_posix() if text.is_file() else "" for text in texts],
        }
    )


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class SegmentSource:
    """Audio and words of the rows of a table.

    Args:
        folder: Of the table; paths count from it.
        reads_audio: Whether the model, or the transcriber, reads sound.
    """

    def __init__(self, folder: Path, reads_audio: bool) -> None:
        self._folder, self._boundary, self._reads_audio = folder, Boundary(folder), reads_audio

    def audio(self, row: dict[str, str]) -> Any:
        """What the predictor reads: a path; an array with its rate for a stretch of a file; None for a model of text.

        Raises:
            OSError: The file is not there, or lies outside the table's folder.
            ValueError: A time is no time, or the stretch cannot be read.
        """
        if not self._reads_audio:
            return None
        path = self._inside(row["file"])
        start, end = seconds_of(row, "start"), seconds_of(row, "end")
        if math.isnan(start) and math.isnan(end):
            return path
        sound = Sound(path)
        span = (0.0 if math.isnan(start) else start, sound.seconds if math.isnan(end) else end)
        waveform = sound.stretches([span])[0]
        if isinstance(waveform, MediaError):
            raise ValueError(f"The audio cannot be used: {waveform}.")
        return {"array": waveform, "sampling_rate": 16_000}

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
