"""Resamples of whole dialogues within folds, a metric's mean over folds in each, and its variance by the jackknife.

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


def scores_by_fold(statistic: Statistic, resamples: Resamples) -> np.ndarray:
    """Mean over the seeds of each fold per row of ``resamples.counts``: (F, 1 + n_resamples) or (F, 1 + n_resamples, M)."""
    of_folds = []
    for number, (members, metrics) in enumerate(_metrics_of_folds(statistic, resamples)):
        n = len(metrics)
        rng = np.random.default_rng([*resamples.seed, 1, number, n])  # models with as many seeds: the same draws
        of_seeds = [_fold_scores(metric, resamples, members) for metric in metrics]
        of_folds.append(of_seeds[0] if n == 1 else _mean_of_drawn(np.stack(of_seeds, axis=1), rng))
    scores = np.stack(of_folds)
    if resamples.has_single_cluster:
        scores[:, 1:] = np.nan
    return scores


def mean_over_folds(statistic: Statistic, resamples: Resamples) -> np.ndarray:
    """Mean over folds per row of ``resamples.counts``: (1 + n_resamples,) or (1 + n_resamples, M)."""
    return scores_by_fold(statistic, resamples).mean(axis=0)


def jackknife_variance(statistic: Statistic, resamples: Resamples) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the mean over F folds, and its degrees of freedom: () or (M,) each.

    With n dialogues and m seeds in a fold, ``v_1 = (n - 1) / n * sum_i (x_(i) - mean)^2`` is the variance between dialogues:
    x_(i) is the fold's score (mean over its seeds) without dialogue i. ``v_2 = s^2 / m`` is that between seeds, where there
    are several; s^2 divides by m - 1. The variance of the mean over folds is the sum of all v, divided by F^2. The sum has
    ``(sum v)^2 / sum(v^2 / df)`` degrees of freedom, df being n - 1 and m - 1.

    Sources: Efron and Tibshirani (1993), An Introduction to the Bootstrap, equation 11.5; Welch (1947), Biometrika 34:28-35.

    Returns:
        Variance (NaN where a fold has one dialogue, or the metric is not defined without one of them) and degrees of freedom
        (at least the smallest df; 1 where the variance is 0 or NaN).
    """
    if resamples.has_single_cluster:
        shape = scores_by_fold(statistic, resamples).shape[2:]
        return np.full(shape, np.nan), np.ones(shape)
    variances, dfs = [], []
    for members, metrics in _metrics_of_folds(statistic, resamples):
        n = members.size
        counts = np.ones((1 + n, resamples.clusters.size), dtype=np.int64)
        counts[1 + np.arange(n), members] = 0  # row 0: all; row 1 + i: without dialogue i
        left_out = resamples._replace(counts=counts)
        by_seed = np.stack([_fold_scores(metric, left_out, members) for metric in metrics])  # (m, 1 + n, ...)
        without = by_seed[:, 1:].mean(axis=0)
        variances.append((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        dfs.append(n - 1)
        if len(metrics) > 1:
            variances.append(by_seed[:, 0].var(axis=0, ddof=1) / len(metrics))
            dfs.append(len(metrics) - 1)
    of_parts = np.array(variances)
    total = of_parts.sum(axis=0)
    weights = 1 / np.array(dfs)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no variation at all
        df = total**2 / np.tensordot(weights, of_parts**2, axes=1)
    return total / len(resamples.fold_clusters) ** 2, np.where(np.isfinite(df), df, 1.0)


def _metrics_of_folds(statistic: Statistic, resamples: Resamples) -> list[tuple[np.ndarray, tuple[Metric, ...]]]:
    """For each fold its clusters and the metrics of its seeds, checked."""
    over_seeds = statistic if isinstance(statistic, OverSeeds) else OverSeeds((statistic,), ())
    n_seeds = over_seeds.n_seeds or (1,) * len(resamples.fold_clusters)
    if len(n_seeds) != len(resamples.fold_clusters) or not all(1 <= n <= len(over_seeds.metrics) for n in n_seeds):
        raise ValueError(
            f"Each fold has one seed or more: expected {len(resamples.fold_clusters)} numbers from 1 to "
            f"{len(over_seeds.metrics)}, got {list(n_seeds)}."
        )
    for metric in over_seeds.metrics:
        _check_sums(metric, resamples)
    return [(members, over_seeds.metrics[:n]) for members, n in zip(resamples.fold_clusters, n_seeds, strict=True)]


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
