"""Checks of the annotation files: sessions, rows, raters, totals, intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from erc.data import sessions_text
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, plural


def check_sessions(case: Evidence) -> list[Finding]:
    """Sessions that have annotation files."""
    missing = sorted(set(range(1, case.corpus.n_sessions + 1)) - set(case.sessions))
    got = f"{len(case.sessions)} of {case.corpus.n_sessions} sessions, {plural(case.n_files, 'annotation file')}"
    if not missing:
        return [case.finding("sessions", "ok", got)]
    return [
        case.finding(
            "sessions",
            "note",
            f"{got}; without {sessions_text(missing)}",
            expected=f"sessions 1 to {case.corpus.n_sessions}, unless the corpus is synthetic or a part",
            advice="A part is enough for trying things out. Figures to report need the whole corpus.",
        )
    ]


def check_rows(case: Evidence) -> list[Finding]:
    """Annotation rows that cannot be used, and segments whose files are missing."""
    skip = "Or go on without these segments: dataset.on_bad_segment=skip."
    findings = []
    for name, kind, good, expected, advice in (
        (
            "rows",
            "row",
            "all rows usable",
            "rows of the corpus's width; each with a start, an end, and a valid id of its own",
            f"Restore the file. {skip}",
        ),
        (
            "raters",
            "raters",
            "ten of each",
            "ten emotions, ten valences and ten arousals of 1 to 5",
            f"Restore the annotation file. {skip}",
        ),
        (
            "missing files",
            "missing files",
            "none",
            "a wav and a txt for every annotated segment",
            f"Copy them from the corpus again. {skip}",
        ),
    ):
        hits = [bad for bad in case.bad if bad.kind == kind]
        if not hits:
            findings.append(case.finding(name, "ok", good))
            continue
        is_inside = any(bad.in_paper or case.exclude == "none" for bad in hits)
        findings.append(
            case.finding(
                name,
                "problem" if is_inside else "note",
                plural(len(hits), "segment") + ("" if is_inside else ", outside the selection"),
                expected=expected,
                where=[str(bad) for bad in hits],
                advice=advice,
            )
        )
    return findings


def check_notes(case: Evidence) -> list[Finding]:
    """Total columns that disagree with the raters, and the known defects that the reader handled."""
    totals = [str(note) for note in case.notes if note.kind == "total disagrees"]
    defects = [str(note) for note in case.notes if note.kind != "total disagrees"]
    findings = [case.finding("totals", "ok", "the Total columns agree with the ten raters")]
    if totals:
        findings = [
            case.finding(
                "totals",
                "warning",
                totals[0],
                expected="Total columns that are the plurality and the means of the ten raters",
                advice="Training counts the raters' votes and ignores these columns. If the file was edited, restore it.",
            )
        ]
    if defects:
        got = f"{plural(len(defects), 'known defect')} handled"
        findings.append(case.finding("known defects", "note", got, where=defects, advice="Nothing to do."))
    else:
        findings.append(case.finding("known defects", "ok", "none to handle"))
    return findings


def check_extra_audio(case: Evidence) -> list[Finding]:
    """Wav files that no annotation row names."""
    pattern = "wav/Session*/*/*.wav" if case.corpus.name == "kemdy19" else "wav/Session*/*.wav"
    known = set(case.table["segment_id"]) | {bad.segment_id for bad in case.bad}
    known |= {segment_id for note in case.notes for segment_id in note.segment_ids}
    extra = sorted(str(path) for path in case.folder.glob(pattern) if path.stem not in known)
    extra = [path for path in extra if Path(path).parent.name != "converted"]
    if not extra:
        return [case.finding("extra audio", "ok", "every wav is annotated")]
    return [
        case.finding(
            "extra audio",
            "warning" if case.is_whole else "note",
            f"{plural(len(extra), 'wav')} without an annotation row",
            expected="an annotation row for every wav",
            where=extra,
            advice="These wavs are not used. Check whether an annotation file lost rows.",
        )
    ]


def check_intervals(case: Evidence) -> list[Finding]:
    """Annotated intervals that do not end after their start."""
    rows = case.table[~(np.isfinite(case.table["annotated_seconds"]) & (case.table["annotated_seconds"] > 0))]
    return [
        case.judge(
            "intervals",
            rows,
            [f"{row.start:g} to {row.end:g} s" for row in rows.itertuples()],
            "warning",
            "every segment ends after its start",
            expected="start < end, in seconds",
            advice="Training does not use the times. If the file was edited, restore it.",
        )
    ]
