"""How far the ten raters agree: Fleiss' kappa, Krippendorff's alpha, correlations between raters, each with its interval.

Comes in: individual ratings, one row a segment, one column a rater. Goes out: numbers, and a table for a terminal. Only
annotation files are read; no audio.
Conventions:

- *Rater groups* are never mixed: KEMDy19 changed its ten raters after session 10, and KEMDy20 has ten others.
- Emotion is nominal. Valence and arousal are ordinal and interval; Fleiss' kappa treats their five steps as names.
- Intervals: bias-corrected bootstrap over whole dialogues (over segments where no dialogue is known), within a rater group.
- Undefined is NaN, never 0: one category throughout, no pair of ratings, a rater who always gives the same rating.

Every statistic here depends on the segments only through sums over them (coincidences of categories, moments of raters),
so that a resample is a weighted sum (``ClusterSums``).
Shapes: N segments, R raters (10), V categories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from erc.data import find_folder, is_synthetic, parse_dataset_name, read_annotations
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
from erc.labels import N_EMOTIONS, VA_MAX, VA_MIN
from erc.report.rendering import ends_text, short

GROUPS = {
    "KEMDy19, sessions 1-10": ("kemdy19", 1, 10),
    "KEMDy19, sessions 11-20": ("kemdy19", 11, 20),
    "KEMDy20": ("kemdy20", 1, 40),
}
"""Rater groups: corpus, first and last session."""

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


class Agreement(NamedTuple):
    """One statistic of one rater group."""

    group: str
    ratings: str
    """emotion, valence or arousal."""
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


def agreement(segments: Any, n_resamples: int = 2000, level: float = 0.95, seed: int = 42) -> list[Agreement]:
    """Every statistic of every rater group that has segments, with its bootstrap interval.

    The lowest and the highest of 45 correlations are extremes, which chance drives apart: the bias-corrected interval is
    therefore nearer to the mean. With few dialogues (below about 20) all intervals are too narrow.

    Args:
        segments: ``HF_KEMD``, its ``.ds``, or a table, with corpus, session, emotion_ratings, valence_ratings and
            arousal_ratings (a list of ten a segment), and dialogue where it is known.
        n_resamples: Resamples of the bootstrap.
        level: Coverage of the intervals.
        seed: Of the bootstrap.

    Returns:
        For each group: emotion (kappa, nominal alpha), then valence and arousal (kappa, ordinal and interval alpha,
        correlations).

    Raises:
        ValueError: A column is missing, or no segment belongs to a group.
    """
    table = _as_table(segments)
    rows: list[Agreement] = []
    for number, (group, (corpus, first, last)) in enumerate(GROUPS.items()):
        part = table[(table["corpus"] == corpus) & table["session"].between(first, last)]
        if not len(part):
            continue
        clusters = part["dialogue"].to_numpy() if "dialogue" in part else np.arange(len(part))
        n_clusters = len(np.unique(clusters))
        for kind in KNOWN:
            ratings = np.stack(part[f"{kind}_ratings"].to_numpy()).astype(np.float64)
            for names, per_segment, score in _statistics(kind, ratings):
                sums = _cluster_sums(score, per_segment, clusters)
                found = cluster_bootstrap(sums, np.zeros(len(part)), clusters, n_resamples, level, seed)
                for name, *ends in zip(names, *(np.atleast_1d(end) for end in found), strict=True):
                    known = KNOWN[kind][number] if name == "fleiss_kappa" else np.nan
                    estimate, low, high = map(float, ends)
                    rows.append(Agreement(group, kind, name, estimate, low, high, len(part), n_clusters, known))
    if not rows:
        raise ValueError(f"Rater groups are {', '.join(GROUPS)}: none of the {len(table)} segments belongs to one.")
    return rows


def _statistics(
    kind: str, ratings: np.ndarray
) -> Iterator[tuple[tuple[str, ...], np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """(names, what each segment adds, score of the sum) of one kind of rating."""
    categories = np.arange(N_EMOTIONS) if kind == "emotion" else np.arange(VA_MIN, VA_MAX + 1)
    pairs = coincidences(ratings, categories)
    yield ("fleiss_kappa",), pairs, kappa_of
    levels: tuple[Level, ...] = ("nominal",) if kind == "emotion" else ("ordinal", "interval")
    for level in levels:
        yield (f"alpha_{level}",), pairs, partial(alpha_of, level=level, categories=categories)
    if kind != "emotion":
        yield ("correlation_mean", "correlation_min", "correlation_max"), rater_moments(ratings), correlation_summary


def _cluster_sums(
    score: Callable[[np.ndarray], np.ndarray], per_segment: np.ndarray, clusters: np.ndarray
) -> ClusterSums:
    names, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    sums = np.zeros((names.size, *per_segment.shape[1:]))
    np.add.at(sums, index, per_segment)
    return ClusterSums(score, sums, names, sizes)


def _as_table(segments: Any) -> pd.DataFrame:
    needed = ["corpus", "session", "emotion_ratings", "valence_ratings", "arousal_ratings"]
    source = getattr(segments, "ds", segments)
    columns = list(source.columns if isinstance(source, pd.DataFrame) else source.column_names)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ValueError(f"Rater agreement needs the columns {', '.join(needed)}: {', '.join(missing)} is missing.")
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
    return as_text(agreement(table, n_resamples=n_resamples), synthetic=any(map(is_synthetic, folders)))


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
