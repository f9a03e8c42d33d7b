"""What is published of the real corpora's sizes, and whether a folder holds one of them."""

from __future__ import annotations

from dataclasses import dataclass

from erc.doctor.evidence import Evidence


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
        # as published without impro03/04, minus the other three dropped dialogues
        folds=(1874, 1954, 2110, 2032, 2026),
        folds_untied=(1761, 1835, 1980, 1896, 1888),
        emotions=(961, 379, 1805, 3707, 1372, 745, 391),
    ),
    ("kemdy19", "none"): Known(segments=10_277),
    ("kemdy20", "paper"): _KEMDY20,
    ("kemdy20", "none"): _KEMDY20,
}
"""Published counts of KEMDy19 and KEMDy20_v1_1 by corpus and ``exclude``."""

SESSION_SIZES = {
    "kemdy19": (*(481, 535, 528, 512, 490, 433, 607, 521, 531, 547, 503, 531, 507, 529, 509, 485, 507, 470, 530, 517),),
    "kemdy20": (
        *(310, 265, 339, 362, 269, 322, 364, 381, 428, 319, 315, 326, 406, 328, 354, 454, 348, 208, 329, 237),
        *(288, 306, 311, 254, 461, 269, 320, 251, 302, 298, 297, 514, 366, 376, 296, 347, 318, 273, 423, 498),
    ),
}
"""Segments with ratings, wav and txt of each session, outside the selection as well. They are sums of the largest
numbers that public lists of ids show, so that a session may hold a few more (``SESSION_SLACK``), and never fewer."""

SESSION_SLACK = {"kemdy19": 2, "kemdy20": 7}
"""Segments by which a session may exceed ``SESSION_SIZES``: the largest difference to the published size of a fold."""

NEAR = 0.1
"""A session is like the published one where its size differs by at most this share."""


def is_published(case: Evidence) -> bool:
    """Whether the folder holds the published recordings, or a part of them: most sessions have about their sizes."""
    if case.is_synthetic or not case.sessions:
        return False
    sizes = case.table["session"].value_counts()
    known = SESSION_SIZES[case.corpus.name]
    near = [
        abs(int(sizes.get(session, 0)) - known[session - 1]) <= NEAR * known[session - 1]
        for session in case.sessions
        if 1 <= session <= case.corpus.n_sessions
    ]
    return 2 * sum(near) > len(near)
