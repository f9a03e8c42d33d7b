"""Checks of the bio-signals: files, coverage by session, flat lines, heart rates, clocks. They run where they are asked for.

What is compared: a segment's place in a recording, told by the samples that name it, with its annotated times. Between the two
lies one offset for each dialogue. A segment that is off from the others' offset, at its start and its end, was named at another
time than it was annotated at: a clock was shifted. A dialogue that is shifted as a whole cannot be told: where a recording
begins on the dialogue's own clock is not in the files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from erc.data import (
    KINDS,
    SIGNALS,
    Beats,
    Recording,
    Signal,
    dialogue_beats,
    dialogue_interval,
    heart_rate,
    read_recording,
    segment_interval,
    signal_path,
)
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, plural

FLAT_SECONDS = {"ECG": 2.0, "EDA": 20.0, "TEMP": 120.0}
"""So long a signal does not stay at one value while it is worn; TEMP has steps of .01 degrees."""

HEART_RATES = (40.0, 180.0)
"""Beats a minute; the mean of a dialogue of a seated adult lies between them."""

NORMAL_SHARE = 0.5
"""At least this share of a dialogue's intervals can be used."""

SHIFT_SECONDS = {"ECG": 1.0, "EDA": 1.0, "TEMP": 1.0, "IBI": 3.0}
"""A segment may be off so far; its first and last beat lie up to two seconds inside of it."""

DRIFT_SECONDS = 1.0
"""So far the time of day may move against the elapsed time, within a recording."""

LOW_COVERAGE = 0.5
"""A session in which fewer of the segments have a signal is named."""

RESTORE = "Copy the file from the corpus again, or train without these signals (dataset.signals=null)."


@dataclass
class Survey:
    """What was read of all bio files of a corpus."""

    problems: list[str] = field(default_factory=list)
    """Files that cannot be used."""
    quirks: list[str] = field(default_factory=list)
    """What the reader handled."""
    segments: list[dict[str, Any]] = field(default_factory=list)
    """Per segment and signal: segment_id, session, signal, kind, has, shift (seconds from the dialogue's own offset)."""
    flat: list[str] = field(default_factory=list)
    hearts: list[str] = field(default_factory=list)
    n_hearts: int = 0
    """Dialogues in which a heart was heard or its file has samples."""
    drifts: list[str] = field(default_factory=list)
    n_files: int = 0


def check_signals(case: Evidence) -> list[Finding]:
    """Files, coverage, flat lines, heart rates and clocks of the bio-signals of a corpus."""
    survey = survey_signals(case)
    if not survey.n_files:
        kinds = ", ".join(KINDS[case.corpus.name].values())
        advice = "Copy them from the corpus, or train without them (dataset.signals=null)."
        got = f"no file of the folders {kinds}"
        return [case.finding("signal files", "problem", got, expected=f"{kinds} beside wav", advice=advice)]
    table = pd.DataFrame(survey.segments)
    return [*_files(case, survey), _coverage(case, table), *_sensors(case, survey), *_clocks(case, survey, table)]


def _files(case: Evidence, survey: Survey) -> list[Finding]:
    """Files that cannot be used, and what the reader handled."""
    found = case.finding("signal files", "ok", f"{plural(survey.n_files, 'file')} read")
    if survey.problems:
        got, rule = plural(len(survey.problems), "file"), "numbers and segment ids in every row"
        found = case.finding("signal files", "problem", got, expected=rule, where=survey.problems, advice=RESTORE)
    defects = _listed(
        case, "signal defects", "note", survey.quirks, "known defect", "none to handle", "", "Nothing to do."
    )
    return [found, defects]


def _sensors(case: Evidence, survey: Survey) -> list[Finding]:
    """Flat lines and hearts that no person has."""
    low, high = HEART_RATES
    return [
        _listed(
            case,
            "flat signals",
            "warning",
            survey.flat,
            "dialogue",
            "no signal stands still",
            f"a change within {', '.join(f'{seconds:g} s ({kind})' for kind, seconds in FLAT_SECONDS.items())}",
            "The sensor was off or loose. The features of these segments say nothing.",
        ),
        _listed(
            case,
            "heart rates",
            "warning",
            survey.hearts,
            "dialogue",
            f"those of a person in {plural(survey.n_hearts, 'dialogue')}",
            f"{low:g} to {high:g} beats a minute, and {NORMAL_SHARE:.0%} of the intervals within 30 % of their neighbours",
            "The electrode or the wristband was loose. Rates and their variability are wrong there.",
        ),
    ]


def _clocks(case: Evidence, survey: Survey, table: pd.DataFrame) -> list[Finding]:
    """Times of day against elapsed times, and recordings against the annotation."""
    shifted = table[table["shift"].abs() > table["kind"].map(SHIFT_SECONDS)]
    selected = case.table.set_index("segment_id")["is_selected"]
    shifted = shifted.assign(is_selected=selected.loc[shifted["segment_id"]].to_numpy())
    rule = f"a time of day that moves with the elapsed time, to {DRIFT_SECONDS:g} s"
    good = "time of day and elapsed time agree"
    return [
        _listed(case, "signal clock", "warning", survey.drifts, "file", good, rule, RESTORE),
        case.judge(
            "signal shift",
            shifted,
            [f"{row.shift:+.2f} s in {row.kind}" for row in shifted.itertuples()],
            "warning",
            "segments lie where they are annotated",
            expected="one offset between recording and annotation within a dialogue",
            advice="A clock jumped, or ids were given to the wrong samples. Leave these segments' signals out.",
        ),
    ]


def _listed(
    case: Evidence, name: str, severity: Any, where: list[str], what: str, good: str, expected: str, advice: str
) -> Finding:
    if not where:
        return case.finding(name, "ok", good)
    return case.finding(name, severity, plural(len(where), what), expected=expected, where=where, advice=advice)


def _coverage(case: Evidence, table: pd.DataFrame) -> Finding:
    """Share of each session's segments that each signal has samples of."""
    kinds = [KINDS[case.corpus.name][signal] for signal in SIGNALS]
    share = table.pivot_table(index="session", columns="kind", values="has", aggfunc="mean")[kinds]
    low = [
        f"session {session}: {kind} in {100 * value:.0f} % of the segments"
        for session, row in share.iterrows()
        for kind, value in row.items()
        if value < LOW_COVERAGE
    ]
    rows = [[int(str(session)), *(round(100 * float(value), 1) for value in row)] for session, row in share.iterrows()]
    total = ", ".join(f"{kind} {table['has'][table['kind'] == kind].sum():,}" for kind in kinds)
    return case.finding(
        "signal coverage",
        "warning" if low else "note",
        f"of {plural(len(case.table), 'segment')}: {total}",
        expected=f"samples in {LOW_COVERAGE:.0%} of a session's segments, or more; short segments may have none",
        where=low,
        advice="Segments without a signal stay in, with a mask." if not low else RESTORE,
        table=[["session", *(f"{kind} (%)" for kind in kinds)], *rows],
    )


def survey_signals(case: Evidence) -> Survey:
    """Reads every bio file of the segments of a corpus."""
    survey = Survey()
    jobs: dict[tuple[Path, Signal], list[Any]] = {}
    for row in case.table.itertuples():
        for one in SIGNALS:
            jobs.setdefault((signal_path(case.corpus, case.folder, one, row.segment_id), one), []).append(row)
    known = set(case.table["segment_id"]) | {bad.segment_id for bad in case.bad}
    known |= {segment_id for note in case.notes for segment_id in note.segment_ids}
    for (path, signal), rows in tqdm(sorted(jobs.items()), f"Reading signals of {case.corpus.name}", mininterval=1):
        kind = KINDS[case.corpus.name][signal]
        for row in rows:
            survey.segments.append(
                {"segment_id": row.segment_id, "session": row.session, "signal": signal, "kind": kind}
            )
            survey.segments[-1] |= {"has": False, "shift": np.nan}
        entries = survey.segments[-len(rows) :]
        try:
            recording = read_recording(case.corpus, case.folder, path, with_clock=True)
        except FileNotFoundError:
            survey.quirks.append(f"{path}: no such file")
            continue
        except ValueError as err:
            survey.problems.append(str(err))
            survey.n_files += 1
            continue
        survey.n_files += 1
        _look(case, survey, path, recording, known)
        for dialogue in dict.fromkeys(row.dialogue for row in rows):
            members = [(row, entry) for row, entry in zip(rows, entries, strict=True) if row.dialogue == dialogue]
            _look_at_dialogue(survey, path, recording, dialogue, members)
    return survey


def _look(case: Evidence, survey: Survey, path: Path, recording: Recording, known: set[str]) -> None:
    """A file as a whole: what the reader handled, ids without annotation, time of day against elapsed time."""
    if not len(recording):
        survey.quirks.append(f"{path}: no sample")
    elif not recording.ids:
        survey.quirks.append(f"{path}: {plural(len(recording), 'sample')}, none of a segment")
    survey.quirks += [f"{path}: {quirk}, {plural(n, 'sample')}" for quirk, n in recording.counts.items()]
    if case.corpus.name == "kemdy20" and (unknown := [name for name in recording.ids if name not in known]):
        survey.quirks.append(f"{path}: without annotation: {', '.join(unknown)}")
    offset = recording.clock - recording.time
    offset = np.unwrap(offset[np.isfinite(offset)], period=86_400)  # midnight is no jump
    if len(offset) and (drift := float(np.ptp(offset))) > DRIFT_SECONDS:
        survey.drifts.append(f"{path}: {drift:.2f} s")


def _look_at_dialogue(survey: Survey, path: Path, recording: Recording, dialogue: str, members: list[Any]) -> None:
    """One dialogue of a file: where its segments are, whether the signal moves, how the heart beats."""
    borders = []
    for row, entry in members:
        place = segment_interval(recording, row.segment_id, row.end - row.start)
        entry["has"] = place is not None
        step = 1 / recording.rate if np.isfinite(recording.rate) else 0.0
        borders.append((place[0] - row.start, place[1] + step - row.end) if place else (np.nan, np.nan))
    off = np.array(borders)  # (N, 2)
    if np.isfinite(off).any():
        off -= np.nanmedian(off)
        for (_, entry), (at_start, at_end) in zip(members, off.tolist(), strict=True):
            entry["shift"] = min(at_start, at_end, key=abs)
    whole = dialogue_interval(recording, dialogue)
    if whole is None:
        return
    time, value = recording.between(*whole)
    name = f"{dialogue} in {path}"
    if recording.kind != "IBI" and (seconds := _longest_flat(time, value)) >= FLAT_SECONDS[recording.kind]:
        survey.flat.append(
            f"{name}: {seconds:.0f} s at {value[0]:g}" if np.ptp(value) == 0 else f"{name}: {seconds:.0f} s"
        )
    if recording.kind in ("ECG", "IBI"):
        _judge_heart(survey, name, dialogue_beats(recording, whole), whole[1] - whole[0])


def _judge_heart(survey: Survey, name: str, beats: Beats, seconds: float) -> None:
    if seconds < 10:
        return
    survey.n_hearts += 1
    rate = heart_rate(beats)
    if not len(beats.time):
        survey.hearts.append(f"{name}: no beat in {seconds:.0f} s")
    elif beats.is_normal.mean() < NORMAL_SHARE:
        survey.hearts.append(f"{name}: {100 * beats.is_normal.mean():.0f} % of {len(beats.time)} intervals can be used")
    elif not HEART_RATES[0] <= rate <= HEART_RATES[1]:
        survey.hearts.append(f"{name}: {rate:.0f} beats a minute")


def _longest_flat(time: np.ndarray, value: np.ndarray) -> float:
    """Longest time at one value, in seconds."""
    change = np.flatnonzero(np.diff(value) != 0)
    first, last = np.append(0, change + 1), np.append(change, len(value) - 1)
    return float((time[last] - time[first]).max()) if len(value) else 0.0
