"""What the converters share: mistakes are collected, counts compared, the table written whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from erc.files import write_atomically
from erc.mistakes import listed

Row = dict[str, object]

MAX_SHOWN = 50
"""Mistakes that a message lists; the others are counted."""


@dataclass
class Found:
    """What was read of a corpus.

    Attributes:
        rows: One a segment, by column; ``file`` is relative to the corpus's folder.
        mistakes: Sentences that name file and line, what was expected and what came.
        counts: (what, number found, number published or None).
        notes: What was left out or repaired, and how often.
    """

    rows: list[Row] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    counts: list[tuple[str, int, int | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, path: Path, line: int | None, expected: str, got: object) -> None:
        """Notes a mistake; the reading goes on, so that all are told together."""
        place = f"{path}, line {line}" if line else str(path)
        self.mistakes.append(f"{place}: expected {expected}, got {got!r}.")

    def stop_at_mistakes(self) -> None:
        """Ends the conversion where there is a mistake.

        Raises:
            ValueError: With all of them.
        """
        if self.mistakes:
            raise ValueError(
                f"{len(self.mistakes)} mistakes in the corpus's files; nothing was written. Correct the files, or unpack "
                f"the corpus again:\n{listed(self.mistakes, MAX_SHOWN)}"
            )


def corpus_folder(root: str | Path) -> Path:
    """The folder of a corpus.

    Raises:
        NotADirectoryError: It is none.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise NotADirectoryError(f"--root must be the folder of the unpacked corpus: {folder} is no folder.")
    return folder


def one_of(folder: Path, *names: str) -> Path:
    """The first of several places of a file that exists.

    Raises:
        FileNotFoundError: None of them does.
    """
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f"{folder} holds none of {', '.join(names)}: --root must be the folder of the unpacked corpus."
    )


def text_of(found: Found, path: Path) -> str:
    """Text of a UTF-8 file; a file of another encoding is a mistake, and its text is empty."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        found.wrong(path, None, "UTF-8", f"byte {err.object[err.start]:#04x} at {err.start}")
        return ""


def table(found: Found, path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with a header, each with its line; a row of another width is a mistake.

    Raises:
        ValueError: The header lacks a column, or the file is not UTF-8.
    """
    try:
        lines = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as err:
        raise ValueError(f"{path}: expected UTF-8, got other bytes ({err}).") from err
    header = [name.strip() for name in next(lines, [])]
    if missing := [name for name in columns if name not in header]:
        raise ValueError(
            f"{path}, line 1: expected the columns {', '.join(columns)}, got none named {', '.join(missing)}."
        )
    for cells in lines:
        if len(cells) == len(header):
            yield lines.line_num, dict(zip(header, cells, strict=True))
        elif cells:
            found.wrong(path, lines.line_num, f"{len(header)} cells", f"{len(cells)} cells")


def write_segments(found: Found, root: Path, out: str | Path | None, check_audio: bool, corpus: str) -> Path:
    """Writes the manifest, and prints what it holds.

    Args:
        found: Rows, in the order in which they are written; all have the same columns.
        root: The corpus's folder.
        out: The table to write; ``segments.csv`` in the corpus's folder where None.
        check_audio: Whether a segment without its audio file is a mistake.
        corpus: Name of the corpus, in every row: two tables can then be told apart where they are joined.

    Returns:
        The table.

    Raises:
        ValueError: There are mistakes, or no segment.
        FileExistsError: ``path`` is another file.
    """
    path = root / "segments.csv" if out is None else Path(out)
    if not path.parent.is_dir():
        raise NotADirectoryError(f"--out must be a file in a folder that exists: {path.parent} is no folder.")
    if path.exists() and not path.read_bytes().startswith(b"file,"):
        raise FileExistsError(f"{path} exists and is no table of segments: say where to write with --out.")
    seen: set[object] = set()
    for row in found.rows:
        if check_audio and not (root / str(row["file"])).is_file():
            found.mistakes.append(f"{root / str(row['file'])}: expected an audio file, got none.")
        if row["file"] in seen:
            found.mistakes.append(f"{root / str(row['file'])}: expected one row a file, got two.")
        seen.add(row["file"])
    found.stop_at_mistakes()
    if not found.rows:
        raise ValueError(f"{root} holds no segment of this corpus: expected one or more.")
    away = Path(os.path.relpath(root.resolve(), path.parent.resolve()))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[*found.rows[0], "corpus"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "file": (away / str(row["file"])).as_posix(), "corpus": corpus} for row in found.rows)
    write_atomically(path, text.getvalue())
    print(f"{path}: {len(found.rows)} segments")
    for what, number, known in found.counts:
        beside = "" if known is None else f" (published: {known})"
        print(f"  {what}: {number}{beside}{'' if known in (None, number) else '  WARNING: they differ'}")
    for note in found.notes:
        print(f"  {note}")
    if ".." in away.parts:
        print("  The audio lies outside the table's folder: read it with dataset.allow_outside=true.")
    return path
