"""Checks of the ratings: each rater against the other nine, and valence and arousal against the known means.

A corpus has one set of ten raters, or several: KEMDy19 changes them after session 10. Raters are named as the annotation
files name them. Shapes: N segments, R raters (10).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pandas as pd

from erc.data import EMOTIONS, N_RATERS, VA_MAX, VA_MIN, Corpus, sessions_text
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, Severity, plural

MIN_SEGMENTS = 20
"""A rater is judged on this many segments and more."""

MIN_FOR_ALL_EMOTIONS = 300
"""Segments of a corpus, from which on each emotion was given by a rater at least once."""

SHIFT = {"all": 0.7, "session": 1.0}
"""Points (of 1 to 5) between a rater's mean and the mean of the others, over all segments or in one session."""

INVERTED = {"all": 0.1, "session": 0.3}
"""A rater is inverted where the correlation with the others is below minus this, and below minus 3 / sqrt(N)."""

CONTRARY = 0.0
"""Cohen's kappa between a rater's emotions and the others' majority, below which the rater contradicts them."""

CENTROID_SHIFT = 1.0
"""Points between an emotion's mean valence or arousal and the published one. An emotion needs 10 segments for it."""

COPIED_SHARE = 0.5
"""Share of a session's segments with the thirty ratings of another segment; a few agree by chance."""

MIN_COPIES = 6

COMMON_SHIFT = 0.5
"""Points by which every emotion's mean lies on the same side of the published one where a scale is shifted."""

SCALES = ("valence", "arousal")


def check_raters(case: Evidence) -> list[Finding]:
    """Raters that are constant, inverted, shifted, or contradict the others; each by name."""
    where = [*_without_variety(case)]
    seen: set[tuple[str, str]] = set()
    for scope, sessions, part in _groups(case):
        if len(part) < MIN_SEGMENTS:
            continue
        emotions, scales = _ratings(part)
        names = _rater_names(case, sessions[0])
        for rater in range(N_RATERS):
            for complaint in _complaints(emotions, scales, rater, scope):
                kind = f"{names[rater]} {complaint.split(':')[0]}"
                # what is true of the rater everywhere is not said of each session again
                if scope == "all" or ("all", kind) not in seen:
                    where.append(f"{names[rater]} (rater {rater + 1}, sessions {sessions_text(sessions)}) {complaint}")
                    seen.add((scope, kind))
    if not where:
        return [case.finding("rater agreement", "ok", "no rater is constant, inverted, shifted or contrary")]
    return [
        case.finding(
            "rater agreement",
            "warning",
            f"{plural(len(where), 'oddity', 'oddities')}: {'; '.join(where[:2])}",
            expected="ten raters who use the scale, and agree with the other nine more than by chance",
            where=where,
            advice="Columns may have been overwritten, exchanged or filled: restore the annotation files.",
        )
    ]


def _without_variety(case: Evidence) -> Iterator[str]:
    """Sessions in which all ten raters gave one value throughout, and emotions that nobody ever gave."""
    for session, part in case.table.groupby("session"):
        if len(part) < MIN_SEGMENTS:
            continue
        emotions, scales = _ratings(part)
        for name, values in {"emotion": emotions, **scales}.items():
            if (values == values[0, 0]).all():
                value = EMOTIONS[int(values[0, 0])] if name == "emotion" else f"{values[0, 0]:g}"
                yield f"all ten raters (session {session}) are constant: {name} {value} in all {len(part):,} segments"
    if len(case.table) >= MIN_FOR_ALL_EMOTIONS:
        given = np.unique(_ratings(case.table)[0])
        for emotion in sorted(set(range(len(EMOTIONS))) - set(given.tolist())):
            yield f"all raters (every session) never gave {EMOTIONS[emotion]} in {len(case.table):,} segments"


def _groups(case: Evidence) -> Iterator[tuple[str, list[int], pd.DataFrame]]:
    """Segments that the same ten persons rated: of all sessions, then session by session."""
    table = case.table
    last_of_first = 10 if case.corpus.name == "kemdy19" else case.corpus.n_sessions
    for _, part in table.groupby(table["session"] > last_of_first):
        yield "all", sorted(set(part["session"])), part
    for session, part in table.groupby("session"):
        yield "session", [int(session)], part


def _ratings(part: pd.DataFrame) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(N, R) emotions, and (N, R) of valence and arousal."""
    scales = {name: np.array(part[f"{name}_ratings"].tolist(), dtype=np.float64) for name in SCALES}
    return np.array(part["emotion_ratings"].tolist(), dtype=np.int64), scales


def _complaints(emotions: np.ndarray, scales: dict[str, np.ndarray], rater: int, scope: str) -> Iterator[str]:
    """What is odd about one rater: "what: by how much"."""
    n = len(emotions)
    constant = []
    for name, values in scales.items():
        own, others = values[:, rater], np.delete(values, rater, axis=1).mean(axis=1)
        if (own == own[0]).all():
            constant.append(f"{name} {own[0]:g}")
            continue
        r = np.corrcoef(own, others)[0, 1] if others.std() > 0 else 0.0
        if r < -max(INVERTED[scope], 3 / np.sqrt(n)):
            yield f"{name} is inverted: correlation {r:.2f} with the other nine"
        difference = own - others
        if abs(difference.mean()) > SHIFT[scope] + 3 * difference.std() / np.sqrt(n):
            yield f"{name} is shifted: by {difference.mean():+.2f} points against the other nine"
    own_emotions = emotions[:, rater]
    if (own_emotions == own_emotions[0]).all():
        constant.append(f"emotion {EMOTIONS[own_emotions[0]]}")
    else:
        kappa, error = _kappa(own_emotions, np.delete(emotions, rater, axis=1))
        if kappa < CONTRARY - 3 * error:
            yield f"emotions contradict the others: kappa {kappa:.2f} with their majority"
    # in one session a rater may mean one value throughout; in all sessions, or on several scales, nobody does
    if constant and (scope == "all" or len(constant) > 1):
        yield f"is constant: {', '.join(constant)} in all {n:,} segments"


def _kappa(own: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Cohen's kappa between one rater and the others' majority, and its standard error under chance."""
    counts = (others[:, :, None] == np.arange(len(EMOTIONS))).sum(axis=1)
    majority = counts.argmax(axis=1)
    shares = [np.bincount(values, minlength=len(EMOTIONS)) / len(own) for values in (own, majority)]
    chance = float(shares[0] @ shares[1])
    if chance == 1:
        return 1.0, 0.0
    error = float(np.sqrt(chance / ((1 - chance) * len(own))))
    return (float((own == majority).mean()) - chance) / (1 - chance), error


def _rater_names(case: Evidence, session: int) -> list[str]:
    """The ten names in the header of a session's annotation file; numbers where it has none."""
    names = [f"rater {rater + 1}" for rater in range(N_RATERS)]
    for path in sorted(case.folder.glob(case.corpus.annotation_pattern)):
        match = case.corpus.annotation_name.fullmatch(path.name)
        if match and int(match["session"]) == session:
            with path.open(encoding="utf-8-sig", newline="") as file:
                cells = next(csv.reader(file), [])[-3 * N_RATERS :: 3]
            return [cell.strip() or name for cell, name in zip(cells, names, strict=False)] or names
    return names


def check_copied_ratings(case: Evidence) -> list[Finding]:
    """Sessions in which many segments have exactly the thirty ratings of another segment, and raters who are copies."""
    table = case.table
    keys = pd.Series(
        [
            (tuple(row.emotion_ratings), tuple(row.valence_ratings), tuple(row.arousal_ratings))
            for row in table.itertuples()
        ],
        index=table.index,
    )
    # where all raters say the same, two segments may well agree
    is_mixed = pd.Series([any(len(set(part)) > 1 for part in key) for key in keys], index=table.index, dtype=bool)
    is_copy = keys.duplicated(keep=False) & is_mixed
    where = []
    for session, part in table.groupby("session"):
        n = int(is_copy[part.index].sum())
        if n >= MIN_COPIES and n > COPIED_SHARE * len(part):
            where.append(f"session {session}: {n} of {len(part)} segments have exactly the ratings of another one")
    for _, sessions, part in _groups(case):
        if len(part) >= MIN_SEGMENTS:
            where += _copied_raters(case, sessions, part)
    if not where:
        return [case.finding("copied ratings", "ok", "no session's and no rater's ratings are those of another one")]
    return [
        case.finding(
            "copied ratings",
            "problem",
            "; ".join(where[:2]),
            expected="ratings of its own for each segment and rater",
            where=where,
            advice="Rows or columns were copied over others: restore the annotation files.",
        )
    ]


def _copied_raters(case: Evidence, sessions: list[int], part: pd.DataFrame) -> list[str]:
    """Raters whose emotions, valences and arousals are all those of another rater."""
    emotions, scales = _ratings(part)
    ratings = np.stack([emotions, scales["valence"], scales["arousal"]])  # (3, N, R)
    names, found = _rater_names(case, sessions[0]), []
    for first in range(N_RATERS):
        for second in range(first + 1, N_RATERS):
            if (ratings[:, :, first] == ratings[:, :, second]).all() and len(np.unique(ratings[1:, :, first])) > 1:
                text = f"{names[second]} (rater {second + 1}, sessions {sessions_text(sessions)}) equals {names[first]}"
                found.append(f"{text} in all {len(part):,} segments")
    return found


def check_valence_arousal(case: Evidence) -> list[Finding]:
    """Valence and arousal of the emotions against the published means: exchanged, inverted, or of other emotions."""
    untied = case.table[~case.table["is_tied"]]
    where = _scale_faults(untied, case.corpus, "the corpus")
    if not where:
        for session, part in untied.groupby("session"):
            where += _scale_faults(part, case.corpus, f"session {session}")
    severity: Severity = "problem" if where else "warning"
    where += _centroid_faults(untied, case.corpus)
    if not where:
        return [case.finding("valence and arousal", "ok", "each emotion's means are on the side where they should be")]
    return [
        case.finding(
            "valence and arousal",
            severity,
            "; ".join(where[:2]),
            expected="means as published: happy has a high valence, sad a low arousal, angry a low valence and a high arousal",
            where=where,
            advice="Columns may have been exchanged. The order is emotion, valence, arousal.",
        )
    ]


def _scale_faults(rows: pd.DataFrame, corpus: Corpus, scope: str) -> list[str]:
    """Exchanged or inverted scales, where what was rated falls while what is published rises.

    The slope of valence, arousal or their difference on the published means is near 1 in a sound corpus. A slope counts
    when four standard errors lie below 0. What happened is the change that brings the ratings nearest to the means.
    """
    known = np.array(corpus.centroids)[rows["hard_label"].to_numpy(dtype=np.int64)]  # (N, 2)
    rated = rows[["valence", "arousal"]].to_numpy(dtype=np.float64)
    differences = known[:, 0] - known[:, 1], rated[:, 0] - rated[:, 1]
    if not (_falls(*differences) or any(_falls(known[:, k], rated[:, k]) for k in range(2))):
        return []
    ends = VA_MIN + VA_MAX
    changed = {
        "valence and arousal are exchanged": rated[:, ::-1],
        "valence is inverted": np.stack([ends - rated[:, 0], rated[:, 1]], axis=1),
        "arousal is inverted": np.stack([rated[:, 0], ends - rated[:, 1]], axis=1),
        "valence and arousal are inverted": ends - rated,
    }
    distances = {text: float(((values - known) ** 2).mean()) for text, values in changed.items()}
    return [f"{min(distances, key=distances.__getitem__)} in {scope}"]


def _falls(known: np.ndarray, given: np.ndarray) -> bool:
    """Whether the given values fall where the known ones rise."""
    if len(known) < MIN_SEGMENTS or known.std() == 0:
        return False
    x, y = known - known.mean(), given - given.mean()
    slope = float(x @ y / (x @ x))
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / (len(x) - 2) / (x @ x)))
    return slope + 4 * error < 0


def _centroid_faults(rows: pd.DataFrame, corpus: Corpus) -> list[str]:
    """Emotions whose mean valence or arousal is far from the published one, and scales that are shifted as a whole."""
    where = []
    for column, name in enumerate(SCALES):
        shifts = []
        for emotion, part in rows.groupby("hard_label"):
            if len(part) < 10:
                continue
            known = corpus.centroids[int(emotion)][column]
            mean, error = float(part[name].mean()), float(part[name].std()) / np.sqrt(len(part))
            shifts.append(mean - known)
            if abs(mean - known) > CENTROID_SHIFT + 4 * error:
                where.append(f"{EMOTIONS[int(emotion)]}: mean {name} {mean:.2f}, published {known:.2f}")
        if len(shifts) >= 3 and (min(shifts) > COMMON_SHIFT or max(shifts) < -COMMON_SHIFT):
            where.append(f"{name} is shifted by {np.mean(shifts):+.2f} points, in every emotion")
    return where
