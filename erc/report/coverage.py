"""What the intervals and p values of the table were measured to do, in simulated grids whose truth is known.

The figures are those of ``benchmarks/coverage.json``; ``benchmarks/README.md`` says how they were made. Five folds; intervals
that aim at 95 of 100; p values below .05, before Holm's correction.
"""

from __future__ import annotations

from typing import NamedTuple

Range = tuple[int, int]
"""Lowest and highest over the metrics, per 100 simulated grids."""


class Measured(NamedTuple):
    """Per 100 simulated grids, with so many dialogues a fold."""

    over_dialogues: Range
    """Intervals over dialogues that hold the mean of the trained models over all dialogues."""
    over_dialogues_clustered: Range
    """The same where dialogues differ strongly in their emotions and in how well they are recognised."""
    over_dialogues_method: Range
    """Intervals over dialogues that hold the mean of all models that could be trained, where models differ by fold."""
    over_folds: Range
    """Intervals over folds that hold the mean of the trained models, which do not differ."""
    over_folds_method: Range
    """Intervals over folds that hold the mean of all models that could be trained, where models differ by fold."""
    p_bootstrap: Range
    """p (bootstrap) below .05 of two models that are equal over all dialogues."""
    p_bootstrap_method: Range
    """p (bootstrap) below .05 of two methods that are equal, where models differ by fold."""
    p_t: Range
    """p (t) below .05 of the same two methods."""


MEASURED: dict[int, Measured] = {
    15: Measured(
        over_dialogues=(93, 95),
        over_dialogues_clustered=(87, 95),
        over_dialogues_method=(89, 94),
        over_folds=(97, 98),
        over_folds_method=(96, 98),
        p_bootstrap=(5, 7),
        p_bootstrap_method=(10, 14),
        p_t=(1, 2),
    ),
    20: Measured(
        over_dialogues=(94, 95),
        over_dialogues_clustered=(89, 95),
        over_dialogues_method=(86, 94),
        over_folds=(97, 98),
        over_folds_method=(96, 98),
        p_bootstrap=(6, 6),
        p_bootstrap_method=(10, 15),
        p_t=(1, 1),
    ),
    40: Measured(
        over_dialogues=(95, 96),
        over_dialogues_clustered=(93, 95),
        over_dialogues_method=(79, 89),
        over_folds=(98, 98),
        over_folds_method=(95, 97),
        p_bootstrap=(4, 5),
        p_bootstrap_method=(13, 23),
        p_t=(1, 2),
    ),
    88: Measured(
        over_dialogues=(95, 96),
        over_dialogues_clustered=(95, 96),
        over_dialogues_method=(53, 71),
        over_folds=(98, 98),
        over_folds_method=(94, 96),
        p_bootstrap=(4, 5),
        p_bootstrap_method=(38, 49),
        p_t=(2, 2),
    ),
    100: Measured(
        over_dialogues=(94, 96),
        over_dialogues_clustered=(95, 96),
        over_dialogues_method=(63, 82),
        over_folds=(98, 98),
        over_folds_method=(95, 96),
        p_bootstrap=(6, 6),
        p_bootstrap_method=(24, 38),
        p_t=(1, 2),
    ),
}
"""By dialogues a fold, rising. 15 is the demo grid's size, 88 that of both corpora together."""


def nearest_size(n_dialogues: int) -> int:
    """The largest simulated number of dialogues a fold that is not larger; the smallest where all are."""
    return max([size for size in MEASURED if size <= n_dialogues], default=min(MEASURED))


def coverage_text(n_dialogues: int) -> str:
    """How often both kinds of interval hold the truth; says so where folds are smaller than any that was simulated.

    Args:
        n_dialogues: In the fold that has fewest.
    """
    size = nearest_size(n_dialogues)
    one = MEASURED[size]
    few = ""
    if n_dialogues < size:
        few = (
            f"**Too few dialogues: a fold has {n_dialogues}, and the smallest that were simulated have {size}. These "
            "intervals may be too narrow.** "
        )
    return (
        f"{few}Measured coverage (aim: 95 of 100) in simulated grids with {size} dialogues a fold; here the fold with fewest "
        f"has {n_dialogues}. Over dialogues: {_of(one.over_dialogues)} of 100 by metric, and "
        f"{_of(one.over_dialogues_clustered)} where dialogues differ strongly. Over folds: {_of(one.over_folds)} where models "
        f"do not differ by fold, {_of(one.over_folds_method)} where they do (their true weighted F1 with a standard deviation "
        "of .04). There, the interval over dialogues holds the mean of models trained again only "
        f"{_of(one.over_dialogues_method)} times in 100."
    )


def over_folds_text(n_dialogues: int) -> str:
    """The interval over folds and its coverage in one sentence, for the caption of a paper's table."""
    size = nearest_size(n_dialogues)
    low, _ = MEASURED[size].over_folds_method
    _, high = MEASURED[size].over_folds
    return (
        f"Intervals are of models trained again on other sessions and dialogues, and hold the truth {low} to {high} times in "
        f"100 in simulated grids with {size} dialogues a fold (here at least {n_dialogues})."
    )


def error_rates_text(n_dialogues: int) -> str:
    """How often each p calls equals different, at the level of .05."""
    size = nearest_size(n_dialogues)
    one = MEASURED[size]
    return (
        f"Measured in simulated grids with {size} dialogues a fold, before Holm's correction: of two equal models, p "
        f"(bootstrap) is below .05 {_of(one.p_bootstrap)} times in 100. Of two equal methods whose models differ by fold, p "
        f"(bootstrap) is so {_of(one.p_bootstrap_method)} times, and p (t) {_of(one.p_t)} times. The interval of the difference "
        "belongs to p (bootstrap), and misses as often."
    )


def _of(ends: Range) -> str:
    low, high = ends
    return str(low) if low == high else f"{low} to {high}"
