"""A table of segments of any corpus -> checked table, label space, folds, notes. README, "Your own corpus", has the columns.

Comes in: one CSV, Parquet or JSON-lines file beside its audio. Goes out: ``SegmentList``. Every mistake of the table is named
with file, line, column, what was expected and what came, all together. No sound is decoded here.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from erc.data.made_folds import make_folds
from erc.data.rated_labels import Rated, read_ratings
from erc.data.segment_rows import SegmentRow, check_speakers, read_folds, read_rows, unused_columns
from erc.data.segments import BadSegment, Note
from erc.data.table_files import MAX_NAMED, Cells, TableError, read_cells
from erc.labels import NO_LABEL, LabelSpace, hard_label, is_tied

DEFAULT_FOLDS = 5

PASSED_ON = ("session", "speaker", "gender", "style", "transcript_source")


@dataclass(frozen=True)
class SegmentList:
    """Everything that a table of segments says.

    Attributes:
        name: The table's file name without its ending, fit for a file name.
        table: One row a segment: segment_id, corpus, session, dialogue, speaker, gender, style, transcript_source, start and
            end (seconds; NaN: of the file), transcript, votes, hard_label, is_tied, the dimensions, file, audio_path,
            audio_bytes, audio_mtime_ns and where.
        label_space: What the raters were asked.
        fold: (N,) fold; or ``train``, ``valid`` or ``test`` where the corpus brings its own partition.
        n_folds: Folds; 1 for a partition of the corpus's own.
        has_partition: Whether ``fold`` holds names of sides.
        notes: What a reader of results should know.
        shared_speakers: Speakers that are in several folds.
    """

    name: str
    table: pd.DataFrame
    label_space: LabelSpace
    fold: np.ndarray
    n_folds: int
    has_partition: bool
    notes: list[Note]
    shared_speakers: list[str]


@dataclass(frozen=True)
class SegmentListOptions:
    """What is asked of a table; see ``erc.manifests.HF_Manifest``."""

    emotions: tuple[str, ...] | None = None
    scale: tuple[float, ...] | None = None
    label_map: tuple[tuple[str, str | None], ...] = ()
    n_folds: int | None = None
    fold_seed: int = 42
    allow_outside: bool = False
    allow_shared_speakers: bool = False


def make_segment_list_options(
    emotions: list[str] | None = None,
    scale: list[float] | None = None,
    label_map: dict[str, str | None] | None = None,
    n_folds: int | None = None,
    fold_seed: int = 42,
    allow_outside: bool = False,
    allow_shared_speakers: bool = False,
) -> SegmentListOptions:
    """Options of ``HF_Manifest`` that decide how the table is read.

    Raises:
        ValueError: One of them is of another type.
    """
    if emotions is not None and (isinstance(emotions, str) or not all(isinstance(one, str) for one in emotions)):
        raise ValueError(f"emotions must be a list of names, or null: got {emotions!r}.")
    if scale is not None and (isinstance(scale, str) or len(scale) != 2 or not all(map(_is_number, scale))):
        raise ValueError(f"scale must be two numbers, the lowest and the highest rating: got {scale!r}.")
    named = {} if label_map is None else label_map
    if not isinstance(named, dict) or not all(
        isinstance(key, str) and (value is None or isinstance(value, str)) for key, value in named.items()
    ):
        raise ValueError(f"label_map must give a name or null for names of emotions: got {label_map!r}.")
    for name, value in (("n_folds", n_folds), ("fold_seed", fold_seed)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise ValueError(f"{name} must be a whole number: got {value!r}.")
    return SegmentListOptions(
        None if emotions is None else tuple(emotions),
        None if scale is None else tuple(scale),
        tuple(sorted(named.items())),
        n_folds,
        fold_seed,
        bool(allow_outside),
        bool(allow_shared_speakers),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_segment_list(path: str | Path, options: SegmentListOptions) -> SegmentList:
    """Reads a table; the training and the validation view share one reading as long as the file stays as it is.

    Raises:
        TableError: The table has mistakes; all are named.
        ValueError: The folds that are asked for cannot be made, or the ending is of no table.
        OSError: The file is not there, or cannot be read.
    """
    path = Path(path).absolute()
    status = path.stat() if path.is_file() else None
    return _read(path, options, (status.st_mtime_ns, status.st_size) if status else (0, 0))


@functools.lru_cache(maxsize=4)
def _read(path: Path, options: SegmentListOptions, version: tuple[int, int]) -> SegmentList:
    cells = read_cells(path)
    unused = unused_columns(cells)
    rows = read_rows(cells, options.allow_outside)
    rated = read_ratings(
        cells,
        None if options.emotions is None else list(options.emotions),
        None if options.scale is None else list(options.scale),
        dict(options.label_map),
    )
    given = read_folds(cells, options.n_folds)
    sides = [row["split"] for row in cells.rows] if "split" in cells.columns else None
    shared = []
    for part, column in ((given, "fold"), (sides, "split")):
        if part is not None and len(part) == len(cells.rows):
            shared = check_speakers(cells, part, column)
    if shared and not options.allow_shared_speakers:
        cells.mistakes += [
            f"{path.name}, column speaker: expected each speaker in one fold, got {one}; dataset.allow_shared_speakers=true "
            "takes the folds as they are"
            for one in shared
        ]
    if cells.mistakes or rated is None:
        absent = [f"{cells.where(row.line)}, {_absent(row.path)}" for row in rows if row.n_bytes == -1 and row.path]
        raise TableError(path, cells.mistakes + absent)
    return _assembled(cells, rows, rated, options, given, sides, shared, unused)


def _assembled(
    cells: Cells,
    rows: list[SegmentRow],
    rated: Rated,
    options: SegmentListOptions,
    given: list[int] | None,
    sides: list[str] | None,
    shared: list[str],
    unused: list[str],
) -> SegmentList:
    name = re.sub(r"[^\w.-]+", "_", cells.path.stem)[:60] or "segments"
    table = _table(cells, rows, rated, cells.path.stem)
    notes = _notes(table, rated, unused)
    if sides is not None:
        fold, n_folds = np.array(sides, dtype=object), 1
    elif given is not None:
        fold, n_folds = np.array(given, dtype=np.int64), max(given) + 1
    else:
        n_folds = DEFAULT_FOLDS if options.n_folds is None else options.n_folds
        fold = make_folds(table["hard_label"].to_numpy(), _speakers(table), n_folds, options.fold_seed)
        if not table["speaker"].astype(bool).any():
            notes.append(_note("no speakers are known: folds are made over segments, and may share speakers"))
    if shared:
        notes.append(
            _note(f"folds share speakers, as dataset.allow_shared_speakers=true allows: {'; '.join(shared[:3])}")
        )
    notes += _notes_on_rows(table)
    return SegmentList(name, table, rated.label_space, fold, n_folds, sides is not None, notes, shared)


def _table(cells: Cells, rows: list[SegmentRow], rated: Rated, stem: str) -> pd.DataFrame:
    table = pd.DataFrame({"segment_id": [row.segment_id for row in rows]})
    table["corpus"] = [row.get("corpus") or stem for row in cells.rows]
    for name in PASSED_ON:
        table[name] = [row.get(name, "") for row in cells.rows]
    # the bootstrap draws whole dialogues; where none is known, what comes nearest
    repeated = _repeated_dialogues(cells, table["corpus"].tolist())
    table["dialogue"] = [
        (f"{row['session']}/{row['dialogue']}" if (corpus, row.get("dialogue")) in repeated else row.get("dialogue"))
        or row.get("session")
        or row.get("speaker")
        or one.segment_id
        for row, one, corpus in zip(cells.rows, rows, table["corpus"], strict=True)
    ]
    table["start"], table["end"] = [row.start for row in rows], [row.end for row in rows]
    table["transcript"] = [" ".join(row.get("text", "").split()) for row in cells.rows]
    table["votes"] = rated.votes.tolist()
    table["hard_label"], table["is_tied"] = hard_label(rated.votes), is_tied(rated.votes)
    for column, name in enumerate(rated.label_space.dimensions):
        table[name] = rated.dimensions[:, column]
    table["file"], table["audio_path"] = [row.file for row in rows], [row.path for row in rows]
    table["audio_bytes"], table["audio_mtime_ns"] = [row.n_bytes for row in rows], [row.mtime_ns for row in rows]
    table["where"] = [cells.where(row.line) for row in rows]
    return table


def _repeated_dialogues(cells: Cells, corpora: list[str]) -> set[tuple[str, str]]:
    """Corpus and name of dialogues that are in several sessions: dialogue 1 of session 1 is not dialogue 1 of session 2."""
    sessions: dict[tuple[str, str], set[str]] = {}
    for row, corpus in zip(cells.rows, corpora, strict=True):
        if row.get("dialogue"):
            sessions.setdefault((corpus, row["dialogue"]), set()).add(row.get("session", ""))
    return {name for name, found in sessions.items() if len(found) > 1}


def _speakers(table: pd.DataFrame) -> np.ndarray | None:
    """Speakers, unique over corpora; a segment without one is a speaker of its own. None where none is known."""
    if not table["speaker"].astype(bool).any():
        return None
    names = table["corpus"] + "\n" + table["speaker"]
    return np.where(table["speaker"] == "", "\n\n" + table["segment_id"], names).astype(str)


def _note(text: str) -> Note:
    return Note("table of segments", text)


def _notes(table: pd.DataFrame, rated: Rated, unused: list[str]) -> list[Note]:
    notes = []
    if unused:
        more = f" and {len(unused) - MAX_NAMED} more" if len(unused) > MAX_NAMED else ""
        notes.append(_note(f"columns that are not used: {', '.join(unused[:MAX_NAMED])}{more}"))
    if rated.n_dropped:
        notes.append(_note(f"{rated.n_dropped:,} votes were left out by dataset.label_map"))
    return notes


def _notes_on_rows(table: pd.DataFrame) -> list[Note]:
    n, notes = len(table), []
    n_silent = int((table["transcript"] == "").sum())
    if n_silent:
        notes.append(
            _note(f"{n_silent:,} of {n:,} segments have no transcript: a text encoder reads the empty text for them")
        )
    n_unlabelled = int((table["hard_label"] == NO_LABEL).sum())
    if n_unlabelled:
        notes.append(
            _note(f"{n_unlabelled:,} of {n:,} segments have no vote: they are left out of emotion loss and metrics")
        )
    return notes


def missing_audio(table: pd.DataFrame) -> list[BadSegment]:
    """Segments of a table whose audio file is not there."""
    gone = table[table["audio_bytes"] < 0]
    rows = zip(gone["where"], gone["audio_path"], gone["segment_id"], strict=True)
    return [BadSegment(where, _absent(path), segment_id, kind="missing files") for where, path, segment_id in rows]


def _absent(path: str) -> str:
    return f"column file: an audio file is expected, {path} is not there"
