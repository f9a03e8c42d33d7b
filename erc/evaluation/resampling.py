"""Resamples of whole dialogues within folds, and a metric's mean over folds in each: what every bootstrap here shares.

Shapes: N segments, C clusters (dialogues), F folds, M metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from erc.evaluation.checks import as_aligned
from erc.evaluation.cluster_sums import ClusterSums

Metric = Callable[[np.ndarray], "float | np.ndarray"] | ClusterSums
"""Either a function of (n,) segment indices (repeats allowed) to one metric or to (M,); or ``ClusterSums``."""


@dataclass(frozen=True)
class OverSeeds:
    """The mean of a metric over models that were trained from several seeds, fold by fold.

    With n seeds in a fold, a resample takes the mean of n - 1 of them, drawn with replacement, fold by fold. The variance
    of that mean is ``s^2 / n`` on average, as it is of a mean of n: n draws would give a share of (n - 1) / n of it, half
    of it for two seeds. With one seed nothing is drawn.

    Source: Rao and Wu (1988), Resampling inference with complex survey data, JASA 83:231-241, section 2 (m = n - 1).

    Attributes:
        metrics: One for each seed; of the same segments, dialogues and folds.
        n_seeds: (F,) seeds of each fold, in the order of the folds' names: the first so many ``metrics`` count there.
    """

    metrics: tuple[Metric, ...]
    n_seeds: tuple[int, ...]


Statistic = Metric | OverSeeds
"""What is bootstrapped."""


class Resamples(NamedTuple):
    """What every statistic of one bootstrap shares."""

    clusters: np.ndarray  # (C,) names, sorted
    sizes: np.ndarray  # (C,) segments per cluster
    cluster_index: np.ndarray  # (N,) into clusters
    fold_clusters: list[np.ndarray]  # per fold, indices into clusters
    counts: np.ndarray  # (1 + n_resamples, C) how often each was drawn; row 0, all ones, is the data as they are
    seed: list[int]  # of the draws

    @property
    def has_single_cluster(self) -> bool:
        """Returns True if a fold has one cluster, so that there is nothing to resample in it."""
        return min(members.size for members in self.fold_clusters) < 2


def resample(folds: np.ndarray, clusters: np.ndarray, n_resamples: int, seed: int | list[int]) -> Resamples:
    """Draws of whole clusters with replacement, within each fold."""
    folds, clusters = as_aligned(folds=folds, clusters=clusters)
    if not folds.size:
        raise ValueError("The bootstrap needs segments: expected at least one, got none. Check what was filtered out.")
    if n_resamples < 1:
        raise ValueError(f"The bootstrap needs resamples: expected n_resamples >= 1, got {n_resamples}.")
    names, first, cluster_index, sizes = np.unique(clusters, return_index=True, return_inverse=True, return_counts=True)
    cluster_fold = folds[first]  # (C,)
    strays = np.unique(cluster_index[folds != cluster_fold[cluster_index]])
    if strays.size:
        raise ValueError(
            f"A cluster must lie in one fold: expected unique names, got {names[strays[0]]} in two or more folds "
            f"({strays.size} such clusters). Put the session into the cluster's name."
        )
    fold_clusters = [np.flatnonzero(cluster_fold == fold) for fold in np.unique(folds)]
    rng = np.random.default_rng(seed)
    counts = np.ones((1 + n_resamples, names.size), dtype=np.int64)
    for members in fold_clusters:
        draws = rng.integers(members.size, size=(n_resamples, members.size))
        draws += members.size * np.arange(n_resamples)[:, None]  # one bincount for all resamples
        counts[1:, members] = np.bincount(draws.ravel(), minlength=draws.size).reshape(draws.shape)
    return Resamples(names, sizes, cluster_index, fold_clusters, counts, [seed] if isinstance(seed, int) else seed)


def mean_over_folds(statistic: Statistic, resamples: Resamples) -> np.ndarray:
    """Mean over folds per row of ``resamples.counts``: (1 + n_resamples,) or (1 + n_resamples, M)."""
    over_seeds = statistic if isinstance(statistic, OverSeeds) else OverSeeds((statistic,), ())
    n_seeds = over_seeds.n_seeds or (1,) * len(resamples.fold_clusters)
    if len(n_seeds) != len(resamples.fold_clusters) or not all(1 <= n <= len(over_seeds.metrics) for n in n_seeds):
        raise ValueError(
            f"Each fold has one seed or more: expected {len(resamples.fold_clusters)} numbers from 1 to "
            f"{len(over_seeds.metrics)}, got {list(n_seeds)}."
        )
    for metric in over_seeds.metrics:
        _check_sums(metric, resamples)
    of_folds = []
    for number, (members, n) in enumerate(zip(resamples.fold_clusters, n_seeds, strict=True)):
        rng = np.random.default_rng([*resamples.seed, 1, number, n])  # models with as many seeds: the same draws
        of_seeds = [_fold_scores(metric, resamples, members) for metric in over_seeds.metrics[:n]]
        of_folds.append(of_seeds[0] if n == 1 else _mean_of_drawn(np.stack(of_seeds, axis=1), rng))
    scores = np.mean(of_folds, axis=0)
    if resamples.has_single_cluster:
        scores[1:] = np.nan
    return scores


def _mean_of_drawn(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(1 + n_resamples, n, ...) scores of n seeds -> their mean in row 0, in the others that of n - 1 drawn ones."""
    n_rows, n = scores.shape[:2]
    drawn = rng.integers(n, size=(n_rows, n - 1))
    found = np.take_along_axis(scores, drawn.reshape(n_rows, n - 1, *[1] * (scores.ndim - 2)), axis=1).mean(axis=1)
    found[0] = scores[0].mean(axis=0)
    return found


def _check_sums(metric: Metric, resamples: Resamples) -> None:
    """Raises a ValueError if ``ClusterSums`` are of other segments than those that are resampled."""
    if isinstance(metric, ClusterSums):
        is_same = np.array_equal(metric.clusters, resamples.clusters)
        if not (is_same and np.array_equal(metric.sizes, resamples.sizes)):
            raise ValueError(
                f"ClusterSums must come from the bootstrapped segments: expected {resamples.sizes.sum()} segments in "
                f"{resamples.sizes.size} clusters, got {metric.sizes.sum()} in {metric.sizes.size}, or others. "
                "Leave the same segments out of truth, prediction, folds and clusters."
            )


def _fold_scores(statistic: Metric, resamples: Resamples, members: np.ndarray) -> np.ndarray:
    """Scores of one fold, (1 + n_resamples,) or (1 + n_resamples, M)."""
    if isinstance(statistic, ClusterSums):
        return _fold_scores_of_sums(statistic, resamples, members)
    return _fold_scores_of_function(statistic, resamples, members)


def _fold_scores_of_sums(statistic: ClusterSums, resamples: Resamples, members: np.ndarray) -> np.ndarray:
    """Scores of one fold, by one matrix product."""
    rows = statistic.sums[members].reshape(members.size, -1)
    totals = resamples.counts[:, members].astype(np.float64) @ rows
    return np.asarray(statistic.score(totals.reshape(-1, *statistic.sums.shape[1:])), dtype=np.float64)


def _fold_scores_of_function(
    statistic: Callable[[np.ndarray], float | np.ndarray], resamples: Resamples, members: np.ndarray
) -> np.ndarray:
    """Scores of one fold, by one call of the statistic per resample."""
    segments = np.flatnonzero(np.isin(resamples.cluster_index, members))
    cluster_index = resamples.cluster_index[segments]
    drawn = (np.repeat(segments, row[cluster_index]) for row in resamples.counts)
    return np.stack([np.asarray(statistic(indices), dtype=np.float64) for indices in drawn])
