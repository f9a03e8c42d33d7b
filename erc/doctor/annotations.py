"""Checks of the annotation files: sessions, rows, raters, totals, intervals."""

from __future__ import annotations

import re
from pathlib import Path

from erc.data import SYNTHETIC_NOTE, sessions_text
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, Severity, plural
from erc.doctor.published import is_published

NEARLY_WHOLE = 4
"""Where less than one session is missing for this many that are there, the corpus is meant to be whole."""


def check_sessions(case: Evidence) -> list[Finding]:
    """Sessions that have annotation files, against the wav folders and against the sessions that there should be."""
    annotated, heard = set(case.sessions), wav_sessions(case.folder)
    without_rows, without_wavs = sorted(heard - annotated), sorted(annotated - heard)
    expected, source = _expected_sessions(case)
    missing = sorted(expected - annotated - heard)
    got = f"{len(annotated)} of {case.corpus.n_sessions} sessions, {plural(case.n_files, 'annotation file')}"
    where = [f"session {session}: wavs without an annotation file" for session in without_rows]
    where += [f"session {session}: an annotation file without wavs" for session in without_wavs]
    where += [f"session {session}: neither annotation file nor wavs" for session in missing]
    if not where:
        return [case.finding("sessions", "ok", got)]
    if without_rows or without_wavs or case.is_synthetic:
        severity: Severity = "problem"
    elif NEARLY_WHOLE * len(missing) > len(annotated):
        severity = "warning" if is_published(case) else "note"
    else:
        severity = "problem" if is_published(case) else "warning"
    return [
        case.finding(
            "sessions",
            severity,
            f"{got}; not whole: {sessions_text([*without_rows, *without_wavs, *missing])}",
            expected=f"annotation files and wavs of sessions {sessions_text(expected | annotated | heard)} ({source})",
            where=where,
            advice="Link the whole corpus. A part is enough for trying things out; figures to report need all sessions.",
        )
    ]


def wav_sessions(folder: Path) -> set[int]:
    """Sessions that have at least one wav."""
    found = set()
    for path in folder.glob("wav/Session*"):
        number = path.name.removeprefix("Session")
        if number.isdigit() and (any(path.glob("*.wav")) or any(path.glob("Sess*/*.wav"))):
            found.add(int(number))
    return found


def _expected_sessions(case: Evidence) -> tuple[set[int], str]:
    """Sessions that there should be, and who says so."""
    everything = set(range(1, case.corpus.n_sessions + 1))
    if not case.is_synthetic:
        return everything, "the published corpus"
    note = (case.folder / SYNTHETIC_NOTE).read_text(encoding="utf-8", errors="replace")
    written = re.search(r"\bsessions=(\d+)", note)
    if written is None or int(written[1]) < 1:
        return set(case.sessions), "what is there"
    from erc.synthetic import choose_sessions

    return set(choose_sessions(case.corpus, int(written[1]))), SYNTHETIC_NOTE


def check_rows(case: Evidence) -> list[Finding]:
    """Annotation rows that cannot be used, and segments whose files are missing."""
    skip = "Or go on without these segments: dataset.on_bad_segment=skip."
    findings = []
    named = {"raters", "missing files", "interval", "no row"}
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
        # a kind that has no finding of its own is one of the row
        hits = [bad for bad in case.bad if bad.kind == kind or (kind == "row" and bad.kind not in named)]
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
    defects = [str(note) for note in case.notes if note.kind not in ("total disagrees", "gap in numbering")]
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


def check_numbering(case: Evidence) -> list[Finding]:
    """Numbers that are missing in the count of a speaker's segments: rows that were lost together with their files."""
    missing = [one for note in case.notes if note.kind == "gap in numbering" for one in note.segment_ids]
    if not missing:
        return [case.finding("numbering", "ok", "no number is missing")]
    return [
        case.finding(
            "numbering",
            "warning",
            f"{plural(len(missing), 'segment')} without an annotation row and without a wav",
            expected="a speaker's segments in a dialogue, numbered from 1 without gaps",
            where=missing,
            advice="Rows were lost together with their files. Copy the annotation files and the wavs from the corpus again.",
        )
    ]


def check_extra_audio(case: Evidence) -> list[Finding]:
    """Wav files that no annotation row names."""
    pattern = "wav/Session*/*/*.wav" if case.corpus.name == "kemdy19" else "wav/Session*/*.wav"
    known = set(case.table["segment_id"]) | {bad.segment_id for bad in case.bad if bad.kind != "no row"}
    known |= {segment_id for note in case.notes for segment_id in note.segment_ids}
    extra = sorted(str(path) for path in case.folder.glob(pattern) if path.stem not in known)
    extra = [path for path in extra if Path(path).parent.name != "converted"]
    in_annotated = [path for path in extra if _session_of(Path(path), case.folder) in case.sessions]
    if not extra:
        return [case.finding("extra audio", "ok", "every wav is annotated")]
    return [
        case.finding(
            "extra audio",
            "problem",
            f"{plural(len(extra), 'wav')} without an annotation row"
            + (
                f", {len(extra) - len(in_annotated)} of them in sessions without an annotation file"
                if len(in_annotated) < len(extra)
                else ""
            ),
            expected="an annotation row for every wav",
            where=[*in_annotated, *(path for path in extra if path not in set(in_annotated))],
            advice="An annotation file lost rows, or wavs were added or renamed. Copy the files from the corpus again.",
        )
    ]


def _session_of(path: Path, folder: Path) -> int:
    """Session whose folder a wav lies in; 0 where the folder has no number."""
    number = path.relative_to(folder).parts[1].removeprefix("Session")
    return int(number) if number.isdigit() else 0


def check_intervals(case: Evidence) -> list[Finding]:
    """Annotated intervals that do not end after their start."""
    hits = [bad for bad in case.bad if bad.kind == "interval"]
    if not hits:
        return [case.finding("intervals", "ok", "every segment ends after its start")]
    return [
        case.finding(
            "intervals",
            "problem",
            plural(len(hits), "segment"),
            expected="0 <= start < end, in seconds",
            where=[str(bad) for bad in hits],
            advice="Restore the annotation file. Or go on without these segments: dataset.on_bad_segment=skip.",
        )
    ]
