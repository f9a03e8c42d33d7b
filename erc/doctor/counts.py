"""Check of the counts against the published ones: of the corpus, its folds, its sessions and its emotions.

A missing session does not switch the comparison off: the folds that are whole and the sessions that are there are
compared, and what cannot be compared is said.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from erc.data import EMOTIONS, N_FOLDS, sessions_text
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, numbers_text
from erc.doctor.published import KNOWN, SESSION_SIZES, SESSION_SLACK, is_published

_OTHERS = "These are not the published recordings. If they should be, most of every session is missing."


def check_counts(case: Evidence) -> list[Finding]:
    """Segments, fold sizes, session sizes and emotions against the published ones."""
    untied = case.selected[~case.selected["is_tied"]]
    sizes, sizes_untied = _count(case.selected["fold"], N_FOLDS), _count(untied["fold"], N_FOLDS)
    emotions = _count(untied["hard_label"], len(EMOTIONS))
    totals = f"{len(case.selected):,} segments, {len(untied):,} of them untied"
    folds = f"{numbers_text(sizes)}; untied {numbers_text(sizes_untied)}"
    by_emotion = ", ".join(f"{emotion} {n:,}" for emotion, n in zip(EMOTIONS, emotions, strict=True))
    said = {"counts": totals, "fold sizes": folds, "emotion counts": by_emotion}
    if not is_published(case):
        kind, advice = ("a synthetic corpus", "") if case.is_synthetic else ("not the published recordings", _OTHERS)
        said["session sizes"] = f"{len(case.sessions)} sessions"
        return [
            case.finding(name, "note", f"{got} ({kind}: not compared)", advice=advice) for name, got in said.items()
        ]
    known = KNOWN[case.corpus.name, case.exclude]
    is_whole = len(case.sessions) == case.corpus.n_sessions
    found = [_sessions(case)]
    compared: tuple[tuple[str, tuple[int, ...], tuple[int | None, ...] | None], ...] = (
        ("counts", (len(case.selected), len(untied)), (known.segments, known.untied)),
        ("emotion counts", emotions, known.emotions),
    )
    for name, counted, published in compared:
        if published is None:
            found.append(case.finding(name, "note", f"{said[name]} (none published for exclude={case.exclude})"))
        elif not is_whole:
            found.append(case.finding(name, "note", f"{said[name]} (sessions are missing: not compared)"))
        else:
            agrees = all(theirs in (None, ours) for ours, theirs in zip(counted, published, strict=True))
            found.append(_judged(case, name, agrees, said[name], _wanted(name, published)))
    found.append(_fold_sizes(case, folds, sizes, sizes_untied))
    return found


def _wanted(name: str, published: tuple[int | None, ...]) -> str:
    """The published counts in words."""
    numbers = [f"{n:,}" if n is not None else "any number" for n in published]
    if name == "emotion counts":
        return ", ".join(f"{emotion} {n}" for emotion, n in zip(EMOTIONS, numbers, strict=True))
    return f"{numbers[0]} segments, {numbers[1]} of them untied"


def _fold_sizes(case: Evidence, said: str, sizes: tuple[int, ...], sizes_untied: tuple[int, ...]) -> Finding:
    """Sizes of the folds of which every session is there."""
    known, block = KNOWN[case.corpus.name, case.exclude], case.corpus.sessions_per_fold
    if known.folds is None or known.folds_untied is None:
        return case.finding("fold sizes", "note", f"{said} (none published for exclude={case.exclude})")
    whole = [
        fold for fold in range(N_FOLDS) if set(range(fold * block + 1, (fold + 1) * block + 1)) <= set(case.sessions)
    ]
    if not whole:
        return case.finding("fold sizes", "note", f"{said} (no fold is whole: not compared)")
    wrong = [
        fold for fold in whole if (sizes[fold], sizes_untied[fold]) != (known.folds[fold], known.folds_untied[fold])
    ]
    part = "" if len(whole) == N_FOLDS else f"; compared: {numbers_text(whole)}, the others lack sessions"
    wanted = f"{numbers_text(known.folds)}; untied {numbers_text(known.folds_untied)}"
    where = [
        f"fold {fold}: {sizes[fold]:,} segments, {sizes_untied[fold]:,} untied; published {known.folds[fold]:,}, "
        f"{known.folds_untied[fold]:,}"
        for fold in wrong
    ]
    return _judged(case, "fold sizes", not wrong, said + part, wanted, where)


def _sessions(case: Evidence) -> Finding:
    """Sizes of the sessions that are there."""
    sizes = case.table["session"].value_counts()
    known, slack = SESSION_SIZES[case.corpus.name], SESSION_SLACK[case.corpus.name]
    wrong = []
    for session in case.sessions:
        n, n_known = int(sizes.get(session, 0)), known[session - 1]
        if not n_known <= n <= n_known + slack:
            wrong.append(f"session {session}: {n:,} segments with ratings, wav and txt; published {n_known:,}")
    got = f"sessions {sessions_text(case.sessions)}: " + (f"{len(wrong)} of another size" if wrong else "as published")
    return _judged(case, "session sizes", not wrong, got, f"the published sizes, or up to {slack} more", wrong)


def _count(values: Iterable[int], n: int) -> tuple[int, ...]:
    """How often each of 0 to n - 1 occurs."""
    return tuple(np.bincount(np.asarray(values, dtype=np.int64), minlength=n).tolist())


def _judged(case: Evidence, name: str, agrees: bool, got: str, wanted: str, where: list[str] | None = None) -> Finding:
    """A finding about counts of the published recordings."""
    if agrees:
        return case.finding(name, "ok", f"{got}, as published" if name != "session sizes" else got)
    reference = case.corpus.folders[0]
    if case.folder.name == reference:
        advice = "Check whether the copy is whole and unedited. Other findings may say what is missing."
        return case.finding(name, "problem", got, expected=f"{wanted} (published)", where=where or [], advice=advice)
    advice = f"The published counts are those of {reference}; this is another release."
    return case.finding(name, "warning", got, expected=f"{wanted} (published)", where=where or [], advice=advice)
