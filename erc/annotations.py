"""Annotation CSVs -> one table, one row per segment. No audio is opened and no fold is known here.

Comes in: a release folder of KEMDy19 or KEMDy20. Goes out: ``Annotations``: a pandas table (columns in ``COLUMNS``),
the bad rows, and notes on what was handled. Conventions:

- Cells are read by position, never by header name (names differ between files and releases); two header lines.
- KEMDy19 lists every segment in the file of both genders: a row counts when the speaker's gender is the file's.
- Votes are recounted from the ten raters. The ``Total`` columns are compared, not trusted.
- The corpus's typo ``disqust`` is corrected here and nowhere else.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from erc.corpora import Corpus
from erc.labels import EMOTIONS, N_RATERS, VA_MAX, VA_MIN, count_votes, hard_label, is_tied

N_HEADER_LINES = 2
_INDEX = {name: index for index, name in enumerate(EMOTIONS)} | {"disqust": EMOTIONS.index("disgust")}
_RATINGS = {str(value): value for value in range(VA_MIN, VA_MAX + 1)}
_RATINGS |= {f"{value}.0": value for value in range(VA_MIN, VA_MAX + 1)}

COLUMNS = (
    "segment_id",
    "corpus",
    "session",
    "dialogue",
    "speaker",
    "gender",
    "wav_path",
    "txt_path",
    "start",
    "end",
    "votes",
    "valence",
    "arousal",
    "emotion_ratings",
    "valence_ratings",
    "arousal_ratings",
    "is_tied",
    "hard_label",
    "ecg_start",
    "ecg_end",
    "eda_start",
    "eda_end",
    "temp_start",
    "temp_end",
    "in_paper",
    "wav_bytes",
    "wav_mtime_ns",
    "txt_bytes",
    "txt_mtime_ns",
)
BIO_COLUMNS = ("ecg_start", "ecg_end", "eda_start", "eda_end", "temp_start", "temp_end")


@dataclass(frozen=True)
class BadSegment:
    """One segment or annotation row that cannot be used, and why."""

    where: str
    """File, with the line in it where there is one."""
    problem: str
    segment_id: str = ""
    in_paper: bool = True
    """Whether the paper's selection would hold it; other selections are not stopped by it."""

    def __str__(self) -> str:
        return f"{self.segment_id or '(no id)'}: {self.problem} ({self.where})"


@dataclass
class Annotations:
    """What the annotation files of one corpus say."""

    table: pd.DataFrame
    bad: list[BadSegment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Known defects that were handled, and disagreements with the Total columns; one line each."""


@dataclass
class _Row:
    path: Path
    line: int
    cells: list[str]
    segment_id: str
    gender: str | None
    is_repaired: bool = False

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.line}"


def find_folder(corpus: Corpus, root: str | Path) -> Path:
    """The corpus's release folder under the data root; the reference release first where there are two.

    Raises:
        FileNotFoundError: No release folder is there.
    """
    root = Path(root)
    for name in corpus.folders:
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(
        f"Corpus {corpus.name} needs a folder {' or '.join(corpus.folders)} under {root.absolute()}: found none. "
        f"Link it there (mkdir -p {root} && ln -s /path/to/{corpus.folders[0]} {root / corpus.folders[0]}), or write "
        f"a synthetic one to try things out (python -m fire erc.sample write --root={root})."
    )


def read_annotations(corpus: Corpus, folder: str | Path) -> Annotations:
    """Table of all segments of one corpus that have ratings, audio and transcript.

    ``in_paper`` marks the segments that the paper uses: without the five dialogues it drops, without rows that have an
    empty EDA or TEMP cell, and without the three KEMDy19 rows whose id is mis-numbered (they are repaired here from the
    same row of the other gender's file).

    Args:
        corpus: Facts of the corpus.
        folder: Release folder that holds ``annotation/`` and ``wav/``.

    Returns:
        Table in file order (sessions ascending) with ``COLUMNS``; times in seconds, valence and arousal 1 to 5.

    Raises:
        FileNotFoundError: No annotation file, or one gender's file of a session is missing.
        ValueError: A file does not have the corpus's columns or header.
    """
    folder = Path(folder)
    files = _find_files(corpus, folder)
    annotations = Annotations(table=pd.DataFrame(columns=list(COLUMNS)))
    sessions: dict[int, dict[str | None, list[_Row]]] = {}
    for path, session, gender in files:
        sessions.setdefault(session, {})[gender] = _read_file(corpus, path)
    for by_gender in sessions.values():
        _repair_ids(corpus, by_gender, annotations.notes)

    records, disagreements = [], []
    for session, by_gender in sorted(sessions.items()):
        for gender, rows in by_gender.items():
            for row in rows:
                record = _parse_row(corpus, session, gender, row, annotations.bad, disagreements)
                if record is not None:
                    records.append(record)
    if disagreements:
        annotations.notes.append(
            f"{len(disagreements)} rows whose Total columns disagree with the ten raters (the raters count), "
            f"e.g. {disagreements[0]}"
        )
    if not records:
        first = f" First problem: {annotations.bad[0]}." if annotations.bad else ""
        raise ValueError(f"Annotation files of {corpus.name} hold no usable row ({folder / 'annotation'}).{first}")
    table = pd.DataFrame(records)
    table = _drop_duplicates(table, annotations.bad)
    table = _locate_media(corpus, folder, table, annotations)
    _add_labels(corpus, table)
    annotations.table = table[list(COLUMNS)].reset_index(drop=True)
    return annotations


def _find_files(corpus: Corpus, folder: Path) -> list[tuple[Path, int, str | None]]:
    found = []
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


def _read_file(corpus: Corpus, path: Path) -> list[_Row]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ValueError(f"Annotation files are UTF-8: {path} does not decode ({err}). Copy it again.") from err
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[_Row] = []
    n_lines = 0
    for cells in reader:
        n_lines += 1
        cells = [cell.strip() for cell in cells]
        if n_lines <= N_HEADER_LINES:
            if len(cells) != corpus.width:
                raise ValueError(
                    f"Annotation files of {corpus.name} have {corpus.width} columns: header line {n_lines} of {path} "
                    f"has {len(cells)}. Is it a file of that corpus and release, saved with commas?"
                )
            if corpus.id_pattern.fullmatch(cells[corpus.id_column]):
                raise ValueError(
                    f"Annotation files have {N_HEADER_LINES} header lines: line {n_lines} of {path} holds the segment "
                    f"{cells[corpus.id_column]} already. Restore the original file."
                )
            continue
        if not any(cells):
            continue
        segment_id = cells[corpus.id_column] if len(cells) > corpus.id_column else ""
        match = corpus.id_pattern.fullmatch(segment_id)
        rows.append(_Row(path, reader.line_num, cells, segment_id, match["gender"] if match else None))
    if n_lines < N_HEADER_LINES:
        raise ValueError(f"Annotation files start with {N_HEADER_LINES} header lines: {path} has {n_lines} lines.")
    return rows


def _repair_ids(corpus: Corpus, by_gender: dict[str | None, list[_Row]], notes: list[str]) -> None:
    """Gives a row its id back where the file of the own gender mis-numbered it.

    In KEMDy19 three F-file rows carry an M001 id that stands in the file already, while the same row of the M file
    carries the right F001. A row is repaired exactly when its id is a duplicate within the file, and the other file's
    row with the same running number has an id of this file's gender that this file lacks.
    """
    if corpus.name != "kemdy19":
        return
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
                notes.append(
                    f"{row.path.name}, line {row.line}: {row.segment_id} is {counterpart.segment_id}; repaired"
                )
                row.segment_id, row.gender, row.is_repaired = counterpart.segment_id, gender, True


def _parse_row(
    corpus: Corpus,
    session: int,
    file_gender: str | None,
    row: _Row,
    bad: list[BadSegment],
    disagreements: list[str],
) -> dict | None:
    """One row as a record; None for another speaker's row and for a bad one (which goes to ``bad``)."""
    name = None

    def reject(problem: str) -> None:
        in_paper = name is None or name.dialogue not in corpus.paper_drops
        bad.append(BadSegment(row.where, problem, row.segment_id, in_paper))

    if len(row.cells) != corpus.width:
        return reject(f"a row has {corpus.width} cells, this one {len(row.cells)}")
    try:
        name = corpus.parse(row.segment_id)
    except ValueError as err:
        return reject(str(err))
    if file_gender is not None and name.gender != file_gender:
        return None
    if name.session != session:
        return reject(f"the file holds session {session}, the id says {name.session}")

    raters = row.cells[-3 * N_RATERS :]
    emotions = [_INDEX.get(cell.lower()) for cell in raters[0::3]]
    valence = [_RATINGS.get(cell) for cell in raters[1::3]]
    arousal = [_RATINGS.get(cell) for cell in raters[2::3]]
    if None in emotions:
        n_valid = N_RATERS - emotions.count(None)
        given = raters[3 * emotions.index(None)]
        return reject(
            f"{N_RATERS} raters' emotions expected, {n_valid} are valid; rater {emotions.index(None) + 1} has {given!r}"
        )
    for what, values, offset in (("valence", valence, 1), ("arousal", arousal, 2)):
        if None in values:
            rater = values.index(None)
            return reject(
                f"{what} ratings are whole numbers {VA_MIN} to {VA_MAX}; rater {rater + 1} has {raters[3 * rater + offset]!r}"
            )
    try:
        start, end = (float(row.cells[column]) for column in corpus.time_columns)
    except ValueError:
        start = end = math.nan
    if not (math.isfinite(start) and math.isfinite(end)):
        return reject(f"start and end are seconds, got {[row.cells[column] for column in corpus.time_columns]}")
    bio = {}
    for column, index in corpus.bio_columns.items():
        try:
            bio[column] = float(row.cells[index]) if row.cells[index] else np.nan
        except ValueError:
            return reject(f"{column} is a number or empty, got {row.cells[index]!r}")

    disagreement = _compare_total(corpus, row, emotions, valence, arousal)
    if disagreement:
        disagreements.append(f"{row.segment_id}: {disagreement} ({row.path.name}, line {row.line})")
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


def _compare_total(corpus: Corpus, row: _Row, emotions: list[int], valence: list[int], arousal: list[int]) -> str:
    """What the Total columns say otherwise than the ten raters; empty where they agree."""
    total = row.cells[corpus.total_column : corpus.total_column + 3]
    counts = Counter(emotions)
    majority = {index for index, count in counts.items() if count == max(counts.values())}
    stated = {_INDEX.get(part.strip().lower()) for part in total[0].split(";")}
    wrong = []
    if stated != majority:
        wrong.append(f"emotion {total[0]!r}, raters {';'.join(EMOTIONS[index] for index in sorted(majority))!r}")
    for what, cell, values in (("valence", total[1], valence), ("arousal", total[2], arousal)):
        mean = sum(values) / N_RATERS
        try:
            agrees = abs(float(cell) - mean) < 0.051
        except ValueError:
            agrees = False
        if not agrees:
            wrong.append(f"{what} {cell!r}, raters {mean:g}")
    return "; ".join(wrong)


def _drop_duplicates(table: pd.DataFrame, bad: list[BadSegment]) -> pd.DataFrame:
    is_repeated = table["segment_id"].duplicated(keep=False)
    for row in table[is_repeated].itertuples():
        bad.append(
            BadSegment(row.where, "the id stands more than once among its speaker's rows", row.segment_id, row.in_paper)
        )
    return table[~is_repeated]


def _locate_media(corpus: Corpus, folder: Path, table: pd.DataFrame, annotations: Annotations) -> pd.DataFrame:
    """Adds paths, sizes and modification times; takes out segments without files."""
    facts: dict[str, list] = {key: [] for key in ("wav_path", "txt_path")}
    facts |= {key: [] for key in ("wav_bytes", "wav_mtime_ns", "txt_bytes", "txt_mtime_ns")}
    missing: dict[str, list[BadSegment]] = {}
    has_files = []
    for row in table.itertuples():
        wav = corpus.wav_path(folder, row.segment_id)
        absent = []
        for kind, path in (("wav", wav), ("txt", wav.with_suffix(".txt"))):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                status = None
                absent.append(str(path))
            facts[f"{kind}_path"].append(str(path))
            facts[f"{kind}_bytes"].append(status.st_size if status else 0)
            facts[f"{kind}_mtime_ns"].append(status.st_mtime_ns if status else 0)
        has_files.append(not absent)
        if absent:
            missing.setdefault(row.dialogue, []).append(
                BadSegment(row.where, f"no file {' and no file '.join(absent)}", row.segment_id, row.in_paper)
            )
    for dialogue, segments in missing.items():
        if len(segments) <= corpus.fileless.get(dialogue, 0):
            annotations.notes.append(
                f"{dialogue}: {len(segments)} annotated segments without files, as known of the corpus; left out "
                f"({', '.join(segment.segment_id for segment in segments)})"
            )
        else:
            annotations.bad.extend(segments)
    table = table.assign(**facts)
    return table[np.array(has_files, dtype=bool)]


def _add_labels(corpus: Corpus, table: pd.DataFrame) -> None:
    emotions = np.array(table["emotion_ratings"].tolist(), dtype=np.int64).reshape(-1, N_RATERS)
    votes = count_votes(emotions)
    valence = np.array(table["valence_ratings"].tolist(), dtype=np.float64).reshape(-1, N_RATERS).mean(axis=1)
    arousal = np.array(table["arousal_ratings"].tolist(), dtype=np.float64).reshape(-1, N_RATERS).mean(axis=1)
    table["votes"] = votes.tolist()
    table["valence"] = valence
    table["arousal"] = arousal
    table["is_tied"] = is_tied(votes)
    table["hard_label"] = hard_label(votes, np.stack([valence, arousal], axis=1), np.array(corpus.centroids))
