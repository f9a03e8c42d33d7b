"""Checks of the audio's length against the annotated interval: of each segment, and of whole sessions.

A wav of KEMDy19 is no longer than its interval, and some are up to a quarter shorter. A session whose wavs belong to
other ids has lengths that do not follow its intervals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from erc.data import SAMPLE_RATE
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding

INTERVAL_TOLERANCE = 0.05
"""Seconds by which a wav may outlast its annotated interval."""

SHORTEST = {"kemdy19": 0.7, "kemdy20": 0.8}
"""Smallest share of the annotated interval that a wav fills. A wav of KEMDy19 with 75 % is known."""

LONGEST = 1.25
"""Largest share of the annotated interval; what is more than this is no matter of rounding."""

SLACK = 0.15
"""Seconds by which a length may differ whatever the shares say."""

MIN_SEGMENTS = 8
"""A pattern of lengths needs this many segments."""

MISFITS = 0.3
"""Share of a session's segments with another length than annotated, from which on the session is looked at."""

LOOSE = 0.8
"""Rank correlation of lengths and intervals, below which they do not belong together. In a sound session it is near 1,
and near 0 where the wavs are those of other ids."""

FITS = 0.7
"""Share of segments that must fit for a session to be called the wavs' own."""


MIN_TEXTS = 20
"""Transcripts of a session, from which on their lengths are compared with those of the wavs."""

TEXT_FOLLOWS = 0.6
"""Median rank correlation over the sessions between letters and seconds, from which on a session is compared with it."""

TEXT_LOOSE = 0.5
"""A session's correlation this far below the median says that the transcripts belong to other ids."""

SAME_TEXT = 0.4
"""Share of a session's transcripts that may be one and the same text."""


def check_lengths(case: Evidence) -> list[Finding]:
    """Wavs longer and shorter than annotated, and sessions whose wavs belong to other ids."""
    table = case.table[(case.table["wav_kind"] == "") & (case.table["annotated_seconds"] > 0)]
    table = table.assign(seconds=table["n_samples"] / SAMPLE_RATE)
    return [_beyond(case, table), _short(case, table), _exchanged(case, table), _exchanged_texts(case, table)]


def _texts(rows: pd.DataFrame) -> list[str]:
    return [
        f"{row.seconds:.2f} s of sound for {row.annotated_seconds:.2f} s ({row.wav_path})" for row in rows.itertuples()
    ]


def _beyond(case: Evidence, table: pd.DataFrame) -> Finding:
    excess = table["seconds"] - table["annotated_seconds"]
    rows = table[excess > INTERVAL_TOLERANCE]
    is_gross = ((rows["seconds"] > LONGEST * rows["annotated_seconds"]) & (excess[rows.index] > SLACK)).any()
    return case.judge(
        "audio beyond annotation",
        rows,
        _texts(rows),
        # the publication of KEMDy19 says that no wav is longer than its interval; of KEMDy20 nothing is published
        "warning" if case.corpus.name == "kemdy19" or is_gross else "note",
        f"no wav is longer than its interval by more than {1000 * INTERVAL_TOLERANCE:g} ms",
        expected=f"a wav no longer than its annotated interval, plus {1000 * INTERVAL_TOLERANCE:g} ms",
        advice="Check whether the files belong to their ids: listen to one.",
    )


def _short(case: Evidence, table: pd.DataFrame) -> Finding:
    share, missing = SHORTEST[case.corpus.name], table["annotated_seconds"] - table["seconds"]
    rows = table[(table["seconds"] < share * table["annotated_seconds"]) & (missing > SLACK)]
    return case.judge(
        "audio short of annotation",
        rows,
        _texts(rows),
        "warning",
        f"every wav fills {100 * share:g} % of its interval and more",
        expected=f"a wav of at least {100 * share:g} % of its annotated interval",
        advice="The sound may have been cut, or belong to another id: copy the file from the corpus again.",
    )


def _exchanged_texts(case: Evidence, table: pd.DataFrame) -> Finding:
    """Sessions whose transcripts do not grow with the wavs, or are mostly one text."""
    table = table[table["words"] != ""]
    table = table.assign(letters=table["words"].str.len())
    correlations = {
        session: float(part[["letters", "seconds"]].rank().corr().iloc[0, 1])
        for session, part in table.groupby("session")
        if len(part) >= MIN_TEXTS and part["letters"].nunique() > 1
    }
    usual = float(np.nanmedian(list(correlations.values()))) if len(correlations) > 2 else 0.0
    where = [
        f"session {session}: letters and seconds correlate by {value:.2f}, in the median session by {usual:.2f}"
        for session, value in correlations.items()
        if usual > TEXT_FOLLOWS and value < usual - TEXT_LOOSE
    ]
    for session, part in table.groupby("session"):
        n_same = int(part["words"].value_counts().iloc[0])
        if len(part) >= MIN_SEGMENTS and n_same > SAME_TEXT * len(part):
            where.append(f"session {session}: {n_same} of {len(part)} transcripts are one text")
    if not where:
        return case.finding("exchanged transcripts", "ok", "no session's transcripts are those of others")
    return case.finding(
        "exchanged transcripts",
        "warning",
        "; ".join(where[:2]),
        expected="longer transcripts for longer wavs, and different ones",
        where=where,
        advice="Transcripts were exchanged, shifted or overwritten: copy them from the corpus again.",
    )


def _misfits(seconds: pd.Series, annotated: pd.Series, corpus: str) -> pd.Series:
    """Whether each length is another than annotated."""
    is_long = (seconds > LONGEST * annotated) & (seconds - annotated > SLACK)
    return is_long | ((seconds < SHORTEST[corpus] * annotated) & (annotated - seconds > SLACK))


def _exchanged(case: Evidence, table: pd.DataFrame) -> Finding:
    """Sessions, or dialogues and speakers in sound sessions, whose wavs have the lengths of others."""
    table = table.assign(is_misfit=_misfits(table["seconds"], table["annotated_seconds"], case.corpus.name))
    loose = [session for session, part in table.groupby("session") if _is_loose(part)]
    where, own = [], {session: _own_session(case, table, session) for session in loose}
    for session in loose:
        part = table[table["session"] == session]
        text = f"session {session}: {int(part['is_misfit'].sum())} of {len(part)} wavs have another length"
        if own[session]:
            text += f"; they fit the intervals of session {own[session]}"
        where.append(text)
    for kind in ("dialogue", "speaker"):
        rest = table[~table["session"].isin(loose)]
        where += [f"{kind} {name}: the wavs have other lengths" for name, part in rest.groupby(kind) if _is_loose(part)]
    if not where:
        return case.finding(
            "exchanged audio", "ok", "the wavs' lengths follow the annotated intervals in every session"
        )
    block = case.corpus.sessions_per_fold
    leaks = [a for a, b in own.items() if b and (a - 1) // block != (b - 1) // block]
    leak = " Speakers stand in a fold that is not theirs: validation would hear training speakers." if leaks else ""
    return case.finding(
        "exchanged audio",
        "problem",
        f"the wavs of {', '.join(text.split(':')[0] for text in where)} belong to other ids.{leak}",
        expected="lengths that follow the annotated intervals",
        where=where,
        advice="Wav folders or files were exchanged or renamed: copy them from the corpus again.",
    )


def _is_loose(part: pd.DataFrame) -> bool:
    """Whether a group's lengths do not follow its intervals."""
    if len(part) < MIN_SEGMENTS or part["is_misfit"].mean() < MISFITS:
        return False
    order = part[["seconds", "annotated_seconds"]].rank().to_numpy()
    spread = order.std(axis=0)
    return bool((spread == 0).any() or np.corrcoef(order.T)[0, 1] < LOOSE)


def _own_session(case: Evidence, table: pd.DataFrame, session: int) -> int | None:
    """Session whose intervals the wavs of another one fit; None where there is none."""
    places = _places(table)
    here = table[table["session"] == session].set_index(places[table["session"] == session])
    best: tuple[float, int | None] = (FITS, None)
    for other in sorted(set(table["session"]) - {session}):
        there = table[table["session"] == other].set_index(places[table["session"] == other])
        common = here.index.intersection(there.index)
        if len(common) < MIN_SEGMENTS:
            continue
        misfits = _misfits(here.loc[common, "seconds"], there.loc[common, "annotated_seconds"], case.corpus.name)
        best = max(best, (1 - float(misfits.mean()), other), key=lambda pair: pair[0])
    return best[1]


def _places(table: pd.DataFrame) -> pd.Series:
    """Where each segment stands in its session: dialogue, first or second speaker, number. The session is left out."""
    order = table.groupby("session")["speaker"].rank(method="dense").astype(int).astype(str)
    return table["dialogue"].str.slice(7) + "/" + order + "/" + table["segment_id"].str.slice(-3)
