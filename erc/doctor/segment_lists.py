"""A table of segments of any corpus -> findings: its mistakes, its audio, labels, folds and speakers. Builds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from erc.data import (
    MediaError,
    SegmentList,
    SegmentListOptions,
    TableError,
    check_num_proc,
    make_segment_list_options,
    missing_audio,
    read_audio,
    read_segment_list,
)
from erc.doctor.findings import Cells, Finding, plural
from erc.labels import NO_LABEL

FILES_PER_JOB = 50

AUDIO_NAMES = {"audio not finite": "unreadable audio"}
"""Name of the finding of a kind of bad audio, where it is not the kind's own."""

ADVICE = "Repair these files or rows, or train without these segments: dataset.on_bad_segment=skip."


def check_list_arguments(path: object, num_proc: int | None, arguments: dict[str, Any]) -> SegmentListOptions:
    """Options of a diagnosis.

    Raises:
        ValueError: An argument is out of its range.
    """
    if not isinstance(path, str) or not path:
        raise ValueError(f"path names a table of segments: got {path!r}.")
    check_num_proc(num_proc)
    return make_segment_list_options(**arguments)


def diagnose_segment_list(path: str | Path, num_proc: int | None = 1, **arguments: Any) -> list[Finding]:
    """All findings about a table of segments and its audio.

    Args:
        path: The table.
        num_proc: Processes that read audio; 0 and 1 stay in this process.
        arguments: emotions, scale, label_map, n_folds, fold_seed, allow_outside and allow_shared_speakers, as for
            ``HF_Manifest``.

    Raises:
        ValueError: An argument is out of its range. A bad table is a finding.
    """
    options = check_list_arguments(str(path), num_proc, arguments)
    name = Path(path).stem
    try:
        segments = read_segment_list(path, options)
    except TableError as err:
        found = f"{plural(len(err.mistakes), 'mistake')} in {path}"
        expected = "a table as README, 'Your own corpus', describes it"
        return [Finding("table of segments", "problem", found, expected, err.mistakes, "Correct the table.", name)]
    except (OSError, ValueError) as err:
        return [Finding("table of segments", "problem", str(err), "a table that can be read", corpus=name)]
    n = plural(len(segments.table), "segment")
    findings = [Finding("table of segments", "ok", f"{n}, no mistake", corpus=name)]
    findings += _check_notes(segments) + _check_files(segments, num_proc)
    findings += _check_labels(segments) + _check_folds(segments) + _check_speakers(segments)
    return findings


def _check_notes(segments: SegmentList) -> list[Finding]:
    return [Finding("table of segments", "note", str(note), corpus=segments.name) for note in segments.notes]


def _check_files(segments: SegmentList, num_proc: int | None) -> list[Finding]:
    """Audio files that are not there, and segments whose audio cannot be used."""
    name = segments.name
    findings = [Finding("missing files", "ok", "every audio file is there", corpus=name)]
    missing = missing_audio(segments.table)
    if missing:
        where = [f"{one.where}: {one.problem}" for one in missing]
        findings = [
            Finding(
                "missing files",
                "problem",
                plural(len(where), "segment") + " without an audio file",
                where=where,
                advice=ADVICE,
                corpus=name,
            )
        ]
    there = segments.table[segments.table["audio_bytes"] >= 0]
    groups = [part.to_dict("records") for _, part in there.groupby("audio_path", sort=True)]
    jobs = (delayed(_bad_audio)(groups[at : at + FILES_PER_JOB]) for at in range(0, len(groups), FILES_PER_JOB))
    by_kind: dict[str, list[str]] = {}
    for bad in Parallel(n_jobs=max(1, num_proc or 1))(jobs):
        for kind, text in bad:
            by_kind.setdefault(AUDIO_NAMES.get(kind, kind), []).append(text)
    for kind in ("unreadable audio", "empty audio", "truncated audio", "silent audio", "short audio"):
        where = by_kind.get(kind, [])
        got = plural(len(where), "segment")
        findings.append(
            Finding(kind, "problem", got, "audio that can be used", where, ADVICE, name)
            if where
            else Finding(kind, "ok", "none", corpus=name)
        )
    return findings


def _bad_audio(groups: list[list[dict[str, Any]]]) -> list[tuple[str, str]]:
    """Kind and text of each segment whose audio cannot be used; runs in a worker process."""
    bad: list[tuple[str, str]] = []
    for rows in groups:
        for row, piece in zip(rows, read_audio(rows), strict=True):
            if not isinstance(piece, np.ndarray):
                kind = piece.kind if isinstance(piece, MediaError) else "unreadable audio"
                bad.append((kind, f"{row['where']}: {row['segment_id']}: {row['file']}: {piece}"))
    return bad


def _check_labels(segments: SegmentList) -> list[Finding]:
    table, name = segments.table, segments.name
    unlabelled = (table["hard_label"] == NO_LABEL).to_numpy()
    tied = table["is_tied"].to_numpy()
    counts = np.bincount(table["hard_label"][~unlabelled & ~tied], minlength=segments.label_space.n_emotions)
    rows: Cells = [
        ["emotion", "untied segments"],
        *map(list, zip(segments.label_space.emotions, counts.tolist(), strict=True)),
    ]
    never = [one for one, n in zip(segments.label_space.emotions, counts, strict=True) if n == 0]
    text = f"{plural(int(counts.sum()), 'untied segment')} with a label"
    findings = [
        Finding(
            "emotion counts",
            "warning" if never else "ok",
            f"{text}; no segment is {', '.join(never)}" if never else text,
            "a segment of every emotion",
            advice="Leave the emotion out (dataset.emotions, dataset.label_map)." if never else "",
            corpus=name,
            table=rows,
        )
    ]
    for kind, mask in (("tied segments", tied), ("missing labels", unlabelled)):
        where = table["where"][mask].tolist()
        share = f"{plural(len(where), 'segment')} of {len(table):,}"
        findings.append(Finding(kind, "note" if where else "ok", share, where=where, corpus=name))
    for dimension in segments.label_space.dimensions:
        n = int(table[dimension].isna().sum())
        got = f"{dimension}: {plural(n, 'segment')} of {len(table):,} not rated"
        findings.append(Finding("missing labels", "note" if n else "ok", got, corpus=name))
    return findings


def _check_folds(segments: SegmentList) -> list[Finding]:
    """Segments and speakers of each fold; an emotion that a fold lacks makes metrics of that fold hard to compare."""
    frame = pd.DataFrame({"fold": segments.fold.astype(str), "hard": segments.table["hard_label"].to_numpy()})
    frame["speaker"] = (segments.table["corpus"] + "\n" + segments.table["speaker"]).where(
        segments.table["speaker"] != "", None
    )
    frame["is_clear"] = ~segments.table["is_tied"].to_numpy() & (frame["hard"] != NO_LABEL)
    emotions = segments.label_space.emotions
    rows: Cells = [["fold", "segments", "speakers", *emotions]]
    lacking = []
    for fold in sorted(set(frame["fold"]), key=lambda one: (len(one), one)):
        part = frame[frame["fold"] == fold]
        counts = np.bincount(part["hard"][part["is_clear"]], minlength=len(emotions)).tolist()
        rows.append([fold, len(part), int(part["speaker"].nunique()), *counts])
        lacking += [f"fold {fold}: no untied {one}" for one, n in zip(emotions, counts, strict=True) if n == 0]
    got = f"{plural(len(rows) - 1, 'fold')}" if not segments.has_partition else "the corpus's own partition"
    return [
        Finding(
            "fold sizes",
            "warning" if lacking else "ok",
            got,
            "every emotion in every fold",
            lacking,
            "Choose fewer folds (dataset.n_folds), or read metrics of these folds with care." if lacking else "",
            segments.name,
            rows,
        )
    ]


def _check_speakers(segments: SegmentList) -> list[Finding]:
    name = segments.name
    if not (segments.table["speaker"] != "").any():
        return [
            Finding(
                "speakers",
                "warning",
                "no speaker is known",
                "a column speaker",
                advice="Folds may share speakers, and figures are then too high. Add the column.",
                corpus=name,
            )
        ]
    if segments.shared_speakers:
        shared = segments.shared_speakers
        got = f"{plural(len(shared), 'speaker')} in several folds"
        return [Finding("speakers", "warning", got, "each speaker in one fold", shared, "Figures are too high.", name)]
    return [Finding("speakers", "ok", "no speaker is in two folds", corpus=name)]
