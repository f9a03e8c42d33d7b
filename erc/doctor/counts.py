"""Check of the counts against the published ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from erc.data import N_FOLDS
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, Severity, numbers_text
from erc.labels import EMOTIONS


@dataclass(frozen=True)
class Known:
    """What the real corpus holds under a selection, in its reference release."""

    segments: int
    untied: int | None = None
    folds: tuple[int, ...] | None = None
    folds_untied: tuple[int, ...] | None = None
    emotions: tuple[int, ...] | None = None
    """Untied segments per emotion, in the order of ``EMOTIONS``."""


_KEMDY20 = Known(
    segments=13_462,
    untied=12_828,
    folds=(2619, 2935, 2288, 2716, 2904),
    folds_untied=(2513, 2772, 2171, 2582, 2790),
    emotions=(156, 43, 144, 11_120, 1183, 121, 61),
)

KNOWN = {
    ("kemdy19", "paper"): Known(
        segments=9996,
        untied=9360,
        folds=(
            1874,
            1954,
            2110,
            2032,
            2026,
        ),  # as published without impro03/04, minus the other three dropped dialogues
        folds_untied=(1761, 1835, 1980, 1896, 1888),
        emotions=(961, 379, 1805, 3707, 1372, 745, 391),
    ),
    ("kemdy19", "none"): Known(segments=10_277),
    ("kemdy20", "paper"): _KEMDY20,
    ("kemdy20", "none"): _KEMDY20,
}
"""Published counts of KEMDy19 and KEMDy20_v1_1 by corpus and ``exclude``."""


def check_counts(case: Evidence) -> list[Finding]:
    """Segments, fold sizes and emotions against the published ones."""
    known, untied = KNOWN[case.corpus.name, case.exclude], case.selected[~case.selected["is_tied"]]
    sizes, sizes_untied = _count(case.selected["fold"], N_FOLDS), _count(untied["fold"], N_FOLDS)
    emotions = _count(untied["hard_label"], len(EMOTIONS))
    return [
        _compare(case, "counts", _totals, [len(case.selected), len(untied)], [known.segments, known.untied]),
        _compare(case, "fold sizes", _fold_sizes, [sizes, sizes_untied], [known.folds, known.folds_untied]),
        _compare(case, "emotion counts", _by_emotion, [emotions], [known.emotions]),
    ]


def _count(values: Iterable[int], n: int) -> tuple[int, ...]:
    """How often each of 0 to n - 1 occurs."""
    return tuple(np.bincount(np.asarray(values, dtype=np.int64), minlength=n).tolist())


def _totals(n: int, n_untied: int | None) -> str:
    return f"{n:,} segments" + ("" if n_untied is None else f", {n_untied:,} of them untied")


def _fold_sizes(sizes: tuple[int, ...] | None, untied: tuple[int, ...] | None) -> str:
    return f"{numbers_text(sizes)}; untied {numbers_text(untied)}" if sizes and untied else ""


def _by_emotion(counts: tuple[int, ...] | None) -> str:
    return ", ".join(f"{emotion} {n:,}" for emotion, n in zip(EMOTIONS, counts, strict=True)) if counts else ""


def _compare(
    case: Evidence, name: str, say: Callable[..., str], counted: Sequence[Any], published: Sequence[Any]
) -> Finding:
    """A finding about counts.

    Args:
        case: What was read.
        name: Of the finding.
        say: Counts in words; empty where nothing is published.
        counted: Arguments of ``say``.
        published: The same as published; None where nothing is published.
    """
    got, wanted = say(*counted), say(*published)
    if not case.is_whole:
        kind = "a synthetic corpus" if case.is_synthetic else "a part of the corpus"
        return case.finding(name, "note", f"{got} ({kind}: not compared)")
    if not wanted:
        return case.finding(name, "note", f"{got} (none published for exclude={case.exclude})")
    if all(theirs in (None, ours) for ours, theirs in zip(counted, published, strict=True)):
        return case.finding(name, "ok", f"{wanted}, as published")
    reference = case.corpus.folders[0]
    severity: Severity
    if case.folder.name == reference:
        severity, advice = (
            "problem",
            "Check whether the copy is whole and unedited. Other findings may say what is missing.",
        )
    else:
        severity, advice = "warning", f"The published counts are those of {reference}; this is another release."
    return case.finding(name, severity, got, expected=f"{wanted} (published)", advice=advice)
