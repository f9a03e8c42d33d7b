"""How far the raters agree: Fleiss' kappa, Krippendorff's alpha, correlations between raters, each with its interval.

Comes in: individual ratings, one row a segment, one column a rater. Goes out: numbers, and a table for a terminal. Only
annotation files are read; no audio.
Conventions:

- *Rater groups* are never mixed: KEMDy19 changed its ten raters after session 10, and KEMDy20 has ten others. Of another
  corpus nothing like it is known: all its segments are one group.
- Emotion is nominal. Valence and arousal are ordinal and interval; Fleiss' kappa treats the steps of their scale as names.
- Intervals: bias-corrected bootstrap over whole dialogues (over segments where no dialogue is known), within a rater group.
- Undefined is NaN, never 0: one category throughout, no pair of ratings, a rater who always gives the same rating.

Every statistic here depends on the segments only through sums over them (coincidences of categories, moments of raters),
so that a resample is a weighted sum (``ClusterSums``).
Shapes: N segments, R raters, V categories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from erc.data import CORPORA, KEMD, find_folder, is_synthetic, parse_dataset_name, read_annotations
from erc.evaluation import (
    ClusterSums,
    Level,
    alpha_of,
    cluster_bootstrap,
    coincidences,
    correlation_summary,
    kappa_of,
    rater_moments,
)
from erc.labels import NO_LABEL, LabelSpace
from erc.report.rendering import ends_text, short

GROUPS = {
    "KEMDy19, sessions 1-10": ("kemdy19", 1, 10),
    "KEMDy19, sessions 11-20": ("kemdy19", 11, 20),
    "KEMDy20": ("kemdy20", 1, 40),
}
"""Rater groups of KEMD: corpus, first and last session."""

KNOWN = {
    "emotion": (0.491, 0.505, 0.241),
    "arousal": (0.271, 0.298, 0.077),
    "valence": (0.335, 0.368, 0.223),
}
"""Fleiss' kappa of the licensed corpora, in the order of ``GROUPS``."""

SAMPLE_NOTE = (
    "Figures of a synthetic corpus are of invented raters: they are not those of KEMDy19 and KEMDy20, which stand under "
    "'known' (Fleiss' kappa of the licensed corpora)."
)

STATISTICS = {
    "fleiss_kappa": "Fleiss' kappa",
    "alpha_nominal": "Krippendorff's alpha, nominal",
    "alpha_ordinal": "Krippendorff's alpha, ordinal",
    "alpha_interval": "Krippendorff's alpha, interval",
    "correlation_mean": "correlation of two raters, mean",
    "correlation_min": "correlation of two raters, lowest",
    "correlation_max": "correlation of two raters, highest",
}


MAX_STEPS = 25
"""Ratings of a dimension with more different values are no steps of a scale: kappa and alpha, which count pairs of steps, are
left out."""


class NoRaters(ValueError):
    """The data set does not say what each of several raters said."""


class Agreement(NamedTuple):
    """One statistic of one rater group."""

    group: str
    ratings: str
    """emotion, valence, arousal or dominance."""
    statistic: str
    """Key of ``STATISTICS``."""
    estimate: float
    low: float
    high: float
    n_segments: int
    n_clusters: int
    """Dialogues, or segments where no dialogue is known."""
    known: float
    """The licensed corpora's value; NaN where none is known."""


def agreement(
    segments: Any, label_space: LabelSpace, n_resamples: int = 2000, level: float = 0.95, seed: int = 42
) -> list[Agreement]:
    """Every statistic of every rater group that has segments, with its bootstrap interval.

    The lowest and the highest of all correlations are extremes, which chance drives apart: the bias-corrected interval is
    therefore nearer to the mean. With few dialogues (below about 20) all intervals are too narrow.

    Args:
        segments: A data set, its ``.ds``, or a table, with corpus, session, emotion_ratings (a list of one index a rater,
            ``NO_LABEL`` where a rater gave none), <dimension>_ratings (NaN where a rater gave none), and dialogue where it is
            known.
        label_space: Of the corpora.
        n_resamples: Resamples of the bootstrap.
        level: Coverage of the intervals.
        seed: Of the bootstrap.

    Returns:
        For each group: emotion (kappa, nominal alpha), then each dimension (kappa, ordinal and interval alpha,
        correlations). Where the number of raters differs, there is no kappa, which is defined for one number, and no
        correlation, since a place in the list is no person.

    Raises:
        NoRaters: A column is missing, or every segment has one rater.
        ValueError: No segment belongs to a group.
    """
    kinds = ("emotion", *(name for name in ("arousal", "valence", "dominance") if name in label_space.dimensions))
    if label_space.n_raters == 1:
        raise NoRaters("Rater agreement needs two raters or more: every segment of these corpora has one.")
    table = _as_table(segments, kinds)
    rows: list[Agreement] = []
    for group, part in _groups(table):
        clusters = part["dialogue"].to_numpy() if "dialogue" in part else np.arange(len(part))
        n_clusters = len(np.unique(clusters))
        for kind in kinds:
            ratings = _ratings(kind, part[f"{kind}_ratings"])
            for names, per_segment, score in _statistics(kind, ratings, label_space):
                sums = _cluster_sums(score, per_segment, clusters)
                found = cluster_bootstrap(sums, np.zeros(len(part)), clusters, n_resamples, level, seed)
                for name, *ends in zip(names, *(np.atleast_1d(end) for end in found), strict=True):
                    is_known = name == "fleiss_kappa" and kind in KNOWN and group in GROUPS
                    known = KNOWN[kind][list(GROUPS).index(group)] if is_known else np.nan
                    estimate, low, high = map(float, ends)
                    rows.append(Agreement(group, kind, name, estimate, low, high, len(part), n_clusters, known))
    if not rows:
        raise ValueError(f"Rater groups are {', '.join(GROUPS)}: none of the {len(table)} segments belongs to one.")
    return rows


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rater groups that have segments: those of KEMD, then one for each other corpus."""
    for group, (corpus, first, last) in GROUPS.items():
        part = table[(table["corpus"] == corpus) & table["session"].between(first, last)]
        if len(part):
            yield group, part
    for corpus in sorted(set(table["corpus"]) - CORPORA.keys()):
        yield corpus, table[table["corpus"] == corpus]


def _ratings(kind: str, lists: pd.Series) -> np.ndarray:
    """(N, R) float64, NaN where a rater gave none; shorter lists end with NaN."""
    n_raters = max(map(len, lists))
    ratings = np.full((len(lists), n_raters), np.nan)
    for row, values in zip(ratings, lists, strict=True):
        row[: len(values)] = values
    if kind == "emotion":
        ratings[ratings == NO_LABEL] = np.nan
    return ratings


def _statistics(
    kind: str, ratings: np.ndarray, label_space: LabelSpace
) -> Iterator[tuple[tuple[str, ...], np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """(names, what each segment adds, score of the sum) of one kind of rating."""
    is_complete = label_space.n_raters is not None and not np.isnan(ratings).any()
    categories = _categories(kind, ratings, label_space)
    if kind == "emotion" or len(categories) <= MAX_STEPS:
        yield from _on_pairs(kind, coincidences(ratings, categories), categories, is_complete)
    if kind != "emotion" and is_complete:
        yield ("correlation_mean", "correlation_min", "correlation_max"), rater_moments(ratings), correlation_summary


def _on_pairs(
    kind: str, pairs: np.ndarray, categories: np.ndarray, is_complete: bool
) -> Iterator[tuple[tuple[str, ...], np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """``_statistics`` from the coincidences (N, V, V) of the categories (V,)."""
    if is_complete:
        yield ("fleiss_kappa",), pairs, kappa_of
    levels: tuple[Level, ...] = ("nominal",) if kind == "emotion" else ("ordinal", "interval")
    for level in levels:
        yield (f"alpha_{level}",), pairs, partial(alpha_of, level=level, categories=categories)


def _categories(kind: str, ratings: np.ndarray, label_space: LabelSpace) -> np.ndarray:
    """All emotions, or all steps of a scale of whole numbers; of another scale the ratings that occur."""
    if kind == "emotion":
        return np.arange(label_space.n_emotions)
    found = np.unique(ratings[~np.isnan(ratings)])
    low, high = label_space.scale or (0.0, 0.0)
    steps = np.arange(low, high + 1)
    return steps if np.isin(found, steps).all() else found


def _cluster_sums(
    score: Callable[[np.ndarray], np.ndarray], per_segment: np.ndarray, clusters: np.ndarray
) -> ClusterSums:
    names, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    sums = np.zeros((names.size, *per_segment.shape[1:]))
    np.add.at(sums, index, per_segment)
    return ClusterSums(score, sums, names, sizes)


def _as_table(segments: Any, kinds: tuple[str, ...]) -> pd.DataFrame:
    needed = ["corpus", "session", *(f"{kind}_ratings" for kind in kinds)]
    source = getattr(segments, "ds", segments)
    columns = list(source.columns if isinstance(source, pd.DataFrame) else source.column_names)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise NoRaters(f"Rater agreement needs the columns {', '.join(needed)}: {', '.join(missing)} is missing.")
    chosen = [*needed, *(["dialogue"] if "dialogue" in columns else [])]
    return source[chosen] if isinstance(source, pd.DataFrame) else source.select_columns(chosen).to_pandas()


def show_raters(
    root: str = "data", dataset_name: str = "kemdy19-kemdy20", exclude: str = "paper", n_resamples: int = 2000
) -> str:
    """Table of the raters' agreement in the corpora under ``root``, beside the known values of the licensed corpora.

    Args:
        root: Folder that holds the corpora.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        exclude: ``paper`` for the paper's selection of segments, ``none`` for all.
        n_resamples: Resamples of the bootstrap.

    Raises:
        FileNotFoundError: A corpus or its annotation files are missing.
        ValueError: An argument is out of its range.
    """
    if exclude not in ("paper", "none"):
        raise ValueError(f"exclude must be paper or none: got {exclude!r}.")
    corpora = parse_dataset_name(dataset_name)
    folders = [find_folder(corpus, root) for corpus in corpora]
    tables = [read_annotations(corpus, folder).table for corpus, folder in zip(corpora, folders, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    if exclude == "paper":
        table = table[table["in_paper"].astype(bool)]
    return as_text(agreement(table, KEMD, n_resamples=n_resamples), synthetic=any(map(is_synthetic, folders)))


def as_text(rows: list[Agreement], synthetic: bool = False) -> str:
    """Rows of ``agreement`` for a terminal; ``synthetic`` says that the corpus is one."""
    lines, group = [], ""
    for row in rows:
        if row.group != group:
            group = row.group
            drawn = "one by one" if row.n_clusters == row.n_segments else f"in {row.n_clusters:,} dialogues"
            lines += ["", f"{group}: {row.n_segments:,} segments, resampled {drawn}"]
            lines.append(f"  {'':<44}{'ours':>6}   {'95 % interval':<14}{'known':>6}")
        ends = ends_text(row.low, row.high)
        known = "" if np.isnan(row.known) else short(row.known)
        name = f"{row.ratings:<9}{STATISTICS[row.statistic]}"
        lines.append(f"  {name:<44}{short(row.estimate):>6}   {ends:<14}{known:>6}".rstrip())
    lines += [
        "",
        "Chance drives the lowest and the highest correlation apart: their intervals are nearer to the mean correlation.",
    ]
    lines += [("This is a synthetic corpus. " if synthetic else "") + SAMPLE_NOTE]
    return "\n".join(lines[1:])
