"""Annotation CSVs -> one table, one row per segment. No audio is opened and no fold is known here.

Comes in: a release folder of KEMDy19 or KEMDy20. Goes out: ``Annotations``: a pandas table (columns in ``COLUMNS``),
the bad rows, and notes on what was handled. Conventions (those of a single row stand in ``kemdy_rows.py``):

- A file starts with two header lines. Their names are not used.
- KEMDy19 lists every segment in the file of both genders: a row counts when the speaker's gender is the file's.
- Votes are recounted from the ten raters.
- A row is one line: no cell holds a line break. No row is lost without a word (``completeness.py``).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erc.data.completeness import compare_genders, find_gaps, find_unannotated
from erc.data.corpora import EMOTIONS, N_RATERS, Corpus
from erc.data.kemdy_rows import Row, compare_total, parse_row
from erc.data.segments import COLUMNS, Annotations, BadSegment, Note
from erc.data.source_files import Boundary, UnfitFileError, read_regular
from erc.labels import count_votes, hard_label, is_tied

N_HEADER_LINES = 2

MAX_CSV_BYTES = 20_000_000
"""Of an annotation file; those of the corpora have about 0.2 million."""

_FILE_COLUMNS = ("wav_path", "txt_path", "wav_bytes", "wav_mtime_ns", "txt_bytes", "txt_mtime_ns")


def read_annotations(corpus: Corpus, folder: str | Path) -> Annotations:
    """Table of all segments of one corpus that have ratings, audio and transcript.

    ``in_paper`` marks the segments that the paper uses. It leaves out five dialogues, the rows that have an empty bio
    cell, and the three KEMDy19 rows whose id is mis-numbered (they are repaired here from the same row of the other
    gender's file).

    Args:
        corpus: Facts of the corpus.
        folder: Release folder that holds ``annotation/`` and ``wav/``.

    Returns:
        Table in file order (sessions ascending) with ``COLUMNS``; times in seconds, valence and arousal 1 to 5.

    Raises:
        FileNotFoundError: No annotation file, or one gender's file of a session is missing.
        ValueError: A file cannot be read, does not have the corpus's columns or header, or no row of any file can be
            used.
    """
    folder = Path(folder)
    sessions: dict[int, dict[str | None, list[Row]]] = {}
    boundary = Boundary(folder / "annotation")
    for path, session, gender in _find_files(corpus, folder):
        sessions.setdefault(session, {})[gender] = _read_file(corpus, path, boundary)
    repaired = [note for by_gender in sessions.values() for note in _repair_ids(corpus, by_gender)]
    lost = [problem for by_gender in sessions.values() for problem in compare_genders(corpus, by_gender)]

    records, bad, totals = _parse_rows(corpus, sessions)
    bad += lost
    named = {problem.segment_id for problem in bad}  # also by the other gender's file
    records = [record for record in records if record["segment_id"] not in named]
    if not records:
        first = f" First problem: {bad[0]}." if bad else ""
        raise ValueError(f"Annotation files of {corpus.name} hold no usable row ({folder / 'annotation'}).{first}")
    known = named | {record["segment_id"] for record in records}
    unannotated = find_unannotated(corpus, folder, set(sessions), known)
    gaps = find_gaps(corpus, known | {problem.segment_id for problem in unannotated})
    table, repeated = _drop_duplicates(pd.DataFrame(records))
    table, missing, fileless = _locate_media(corpus, folder, table)
    return Annotations(
        table=_with_labels(corpus, table)[list(COLUMNS)].reset_index(drop=True),
        bad=[*bad, *repeated, *missing, *unannotated],
        notes=[*repaired, *totals, *fileless, *gaps],
    )


def _find_files(corpus: Corpus, folder: Path) -> list[tuple[Path, int, str | None]]:
    """Annotation files with their session, and the gender that they rate where there is one file per gender."""
    found: list[tuple[Path, int, str | None]] = []
    for path in sorted(folder.glob(corpus.annotation_pattern)):
        match = corpus.annotation_name.fullmatch(path.name)
        if match is not None:
            found.append((path, int(match["session"]), match.groupdict().get("gender")))
    if not found:
        raise FileNotFoundError(
            f"No annotation CSV matches {corpus.annotation_pattern} under {folder}. "
            f"Link the whole corpus there: ln -s /path/to/{corpus.folders[0]} {folder}"
        )
    if corpus.name == "kemdy19":
        genders = Counter(session for _, session, _ in found)
        alone = [path.name for path, session, _ in found if genders[session] != 2]
        if alone:
            raise FileNotFoundError(
                f"Each KEMDy19 session needs an F and an M annotation file: only one of the two for {', '.join(alone)} "
                f"({folder / 'annotation'}). Copy the missing one from the corpus."
            )
    return found


def _read_file(corpus: Corpus, path: Path, boundary: Boundary) -> list[Row]:
    """Rows behind the header lines; empty lines are left out."""
    try:
        boundary.stat(path)
        text = read_regular(path, MAX_CSV_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ValueError(f"Annotation files are UTF-8: {path} does not decode ({err}). Copy it again.") from err
    except OSError as err:
        raise ValueError(f"Annotation files must be readable: {path}: {_reason(err)}. Copy it again.") from err
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[Row] = []
    n_records = last_line = 0
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as err:
            raise ValueError(
                f"Annotation files are CSV: the row after line {last_line} of {path} cannot be read ({err}). Look for a "
                "stray quotation mark there, or copy the file again."
            ) from err
        n_records += 1
        first_line, last_line = last_line + 1, reader.line_num
        if n_records <= N_HEADER_LINES:
            _check_header(corpus, path, n_records, cells, last_line - first_line + 1)
            continue
        if not any(cells):
            continue
        segment_id = cells[corpus.id_column] if len(cells) > corpus.id_column else ""
        match = corpus.id_pattern.fullmatch(segment_id)
        row = Row(path, last_line, cells, segment_id, match["gender"] if match else None)
        if first_line < last_line:
            row.problem = (
                f"a row is one line, this one has lines {first_line} to {last_line}: a cell opens a quotation mark that "
                "a later line closes"
            )
        rows.append(row)
    if n_records < N_HEADER_LINES:
        raise ValueError(f"Annotation files start with {N_HEADER_LINES} header lines: {path} has {n_records} lines.")
    return rows


def _check_header(corpus: Corpus, path: Path, line: int, cells: list[str], n_lines: int) -> None:
    if n_lines > 1:
        raise ValueError(
            f"Annotation files have one line for each header: header line {line} of {path} runs over {n_lines} lines. "
            "Remove the stray quotation mark in it, or restore the original file."
        )
    if len(cells) != corpus.width:
        raise ValueError(
            f"Annotation files of {corpus.name} have {corpus.width} columns: header line {line} of {path} "
            f"has {len(cells)}. Is it a file of that corpus and release, saved with commas?"
        )
    if corpus.id_pattern.fullmatch(cells[corpus.id_column]):
        raise ValueError(
            f"Annotation files have {N_HEADER_LINES} header lines: line {line} of {path} holds the segment "
            f"{cells[corpus.id_column]} already. Restore the original file."
        )


def _repair_ids(corpus: Corpus, by_gender: dict[str | None, list[Row]]) -> list[Note]:
    """Gives a row its id back where the file of the own gender mis-numbered it; one note for each.

    In KEMDy19 three F-file rows carry an M001 id that stands in the file already, while the same row of the M file
    carries the right F001. A row is repaired exactly when its id is a duplicate within the file, and the other file's
    row with the same running number has an id of this file's gender that this file lacks.
    """
    if corpus.name != "kemdy19":
        return []
    notes = []
    for gender, other in (("F", "M"), ("M", "F")):
        rows, counterparts = by_gender[gender], by_gender[other]
        counts = Counter(row.segment_id for row in rows)
        for row, counterpart in zip(rows, counterparts, strict=False):
            if (
                row.segment_id != counterpart.segment_id
                and row.cells[0] == counterpart.cells[0]
                and counts[row.segment_id] > 1
                and counterpart.gender == gender
                and row.gender != gender
                and counts[counterpart.segment_id] == 0
            ):
                text = f"{row.path.name}, line {row.line}: {row.segment_id} is {counterpart.segment_id}; repaired"
                notes.append(Note("repaired id", text, (counterpart.segment_id,)))
                row.segment_id, row.gender, row.is_repaired = counterpart.segment_id, gender, True
    return notes


def _parse_rows(
    corpus: Corpus, sessions: dict[int, dict[str | None, list[Row]]]
) -> tuple[list[dict[str, Any]], list[BadSegment], list[Note]]:
    """Records of all speakers' own rows, sessions ascending; the bad rows; a note where Total columns disagree."""
    records: list[dict[str, Any]] = []
    bad: list[BadSegment] = []
    disagreements: list[tuple[str, str]] = []
    for session, by_gender in sorted(sessions.items()):
        for gender, rows in by_gender.items():
            for row in rows:
                parsed = parse_row(corpus, session, gender, row)
                if isinstance(parsed, BadSegment):
                    bad.append(parsed)
                elif parsed is not None:
                    records.append(parsed)
                    if wrong := compare_total(corpus, row, parsed):
                        disagreements.append((row.segment_id, f"{wrong} ({row.path.name}, line {row.line})"))
    if not disagreements:
        return records, bad, []
    example = ": ".join(disagreements[0])
    text = (
        f"{len(disagreements)} rows whose Total columns disagree with the ten raters (the raters count), e.g. {example}"
    )
    return records, bad, [Note("total disagrees", text, tuple(segment_id for segment_id, _ in disagreements))]


def _drop_duplicates(table: pd.DataFrame) -> tuple[pd.DataFrame, list[BadSegment]]:
    """The rows whose id stands once; the others as bad segments."""
    is_repeated = table["segment_id"].duplicated(keep=False)
    problem = "the id stands more than once among its speaker's rows"
    bad = [
        BadSegment(row.where, problem, row.segment_id, row.in_paper, "row") for row in table[is_repeated].itertuples()
    ]
    return table[~is_repeated], bad


def _locate_media(
    corpus: Corpus, folder: Path, table: pd.DataFrame
) -> tuple[pd.DataFrame, list[BadSegment], list[Note]]:
    """Rows with both files, with their paths, sizes and modification times; the others as bad segments or as a note.

    A dialogue that is known to lack some files gets a note, as long as it lacks no more of them than known.
    """
    facts: list[dict[str, str | int]] = []
    lacking: dict[str, list[BadSegment]] = {}
    has_files = []
    boundary = Boundary(folder / "wav")
    for row in table.itertuples():
        wav = corpus.wav_path(folder, row.segment_id)
        found, absent = _stat_files({"wav": wav, "txt": wav.with_suffix(".txt")}, boundary)
        facts.append(found)
        has_files.append(not absent)
        if absent:
            problem = f"no file {' and no file '.join(absent)}"
            lacking.setdefault(row.dialogue, []).append(
                BadSegment(row.where, problem, row.segment_id, row.in_paper, "missing files")
            )
    bad: list[BadSegment] = []
    notes = []
    for dialogue, segments in lacking.items():
        if len(segments) <= corpus.fileless.get(dialogue, 0):
            ids = tuple(segment.segment_id for segment in segments)
            text = (
                f"{dialogue}: {len(ids)} annotated segments without files, as known of the corpus; left out "
                f"({', '.join(ids)})"
            )
            notes.append(Note("known without files", text, ids))
        else:
            bad += segments
    located = pd.concat([table, pd.DataFrame(facts, index=table.index, columns=list(_FILE_COLUMNS))], axis=1)
    return located[np.array(has_files, dtype=bool)], bad, notes


def _stat_files(paths: dict[str, Path], boundary: Boundary) -> tuple[dict[str, str | int], list[str]]:
    """Path, size and modification time of a segment's files, by kind; and those that cannot be had, with the reason."""
    found: dict[str, str | int] = {f"{kind}_path": str(path) for kind, path in paths.items()}
    absent = []
    for kind, path in paths.items():
        try:
            status = boundary.stat(path)
        except OSError as err:
            absent.append(str(path) if isinstance(err, FileNotFoundError) else f"{path} ({_reason(err)})")
            found |= {f"{kind}_bytes": 0, f"{kind}_mtime_ns": 0}
        else:
            found |= {f"{kind}_bytes": status.st_size, f"{kind}_mtime_ns": status.st_mtime_ns}
    return found, absent


def _reason(err: OSError) -> str:
    return str(err) if isinstance(err, UnfitFileError) else err.strerror or str(err)


def _with_labels(corpus: Corpus, table: pd.DataFrame) -> pd.DataFrame:
    """Adds votes, the means of valence and arousal, and the majority with its ties."""

    def ratings(column: str, dtype: type) -> np.ndarray:  # (N, raters)
        return np.array(table[column].tolist(), dtype=dtype).reshape(-1, N_RATERS)

    votes = count_votes(ratings("emotion_ratings", np.int64), len(EMOTIONS))
    valence = ratings("valence_ratings", np.float64).mean(axis=1)
    arousal = ratings("arousal_ratings", np.float64).mean(axis=1)
    return table.assign(
        votes=votes.tolist(),
        valence=valence,
        arousal=arousal,
        is_tied=is_tied(votes),
        hard_label=hard_label(votes, np.stack([valence, arousal], axis=1), np.array(corpus.centroids)),
    )
