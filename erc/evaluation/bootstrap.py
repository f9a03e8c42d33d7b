"""Bootstrap over dialogues: how certain a mean over folds is, and whether two models differ.

Conventions:
    *Segments are not independent.* Segments of one dialogue share speakers, topic and mood, so the bootstrap draws
    whole dialogues ("clusters"), within each fold. It holds the trained models, the folds and the sessions fixed: the
    interval says how far the number depends on which dialogues were recorded, not on seed, training set or speakers.
    *Headline numbers are means over folds*, so resamples are too: score each fold, then average.
    *Undefined is NaN*, never 0 and never a warning; NaN in, NaN out. Malformed input raises ``ValueError``.

Shapes: N segments, C clusters (dialogues), F folds, M metrics, K emotions (7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from erc.evaluation.checks import ROUNDING, as_aligned, as_plain
from erc.evaluation.cluster_sums import ClusterSums, confusion_sums, f1_by_emotion

Statistic = Callable[[np.ndarray], "float | np.ndarray"] | ClusterSums
"""Either a function of (n,) segment indices (repeats allowed) to one metric or to (M,); or ``ClusterSums``."""


class Interval(NamedTuple):
    """Estimate on the data as they are, and the ends of its interval: floats, or (M,) each."""

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


class PairedDifference(NamedTuple):
    """A minus B on the data as they are, the ends of its interval, and a two-sided p: floats, or (M,) each."""

    difference: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    p_value: float | np.ndarray


def cluster_bootstrap(
    statistic: Statistic,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
) -> Interval:
    """Bias-corrected bootstrap interval of a metric's mean over folds, resampling whole dialogues within each fold.

    Per resample and fold, as many dialogues as the fold has are drawn with replacement, with all their segments; the
    metric is computed per fold and averaged over folds. The interval is equal-tailed and runs between two quantiles of
    the resamples (linear interpolation): ``Phi(2 z0 -+ z)``, where ``Phi(z0)`` is the share of resamples below the
    estimate (ties count half) and ``z`` the normal quantile of the level. Without the correction (``z0 = 0``, plain
    percentiles) metrics that are biased in a small fold (CCC; macro F1 where an emotion is rare) carry that bias twice,
    since averaging over folds shrinks the variance and not the bias: macro F1 over five folds of 40 dialogues was then
    covered 80 times in 100, with it 92 times. The interval leans on the number of dialogues: below some 20 per fold it
    comes out too narrow.

    Sources: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 and 14 (BCa with acceleration 0);
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (whole clusters, strategy 1).

    Args:
        statistic: Metric, or several in one pass. A function is called with (n,) int64 segment indices, all of one
            fold, ``n_resamples + 1`` times a fold; ``ClusterSums`` gives the same numbers hundreds of times faster.
        folds: (N,) fold in which each segment was held out.
        clusters: (N,) dialogue of each segment, named uniquely over all folds.
        n_resamples: Resamples, at least 1.
        level: Coverage aimed at, between 0 and 1.
        seed: The same seed gives the same resamples for every statistic and the same folds and clusters.

    Returns:
        Estimate, low and high: floats where the statistic is one number, else (M,) float64. An end is NaN where the
        metric is NaN in any fold of any resample, and where a fold has a single dialogue (nothing to resample).

    Raises:
        ValueError: No segment, lengths that differ, a dialogue in two folds, or ``ClusterSums`` of other segments.
    """
    scores = _scores(statistic, _resample(folds, clusters, n_resamples, seed))
    return Interval(as_plain(scores[0]), *_bias_corrected(scores[0], scores[1:], level))


def paired_bootstrap(
    statistic_a: Statistic,
    statistic_b: Statistic,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
) -> PairedDifference:
    """Difference A - B of two models' metric on the same segments, with its clustered bootstrap interval and p value.

    Both models are scored on the same resamples, drawn as in ``cluster_bootstrap``. The two-sided p inverts the
    percentile interval: ``p = min(1, 2 * (1 + min(#{d* <= 0}, #{d* >= 0})) / (n_resamples + 1))``, d* being the
    resampled differences; those within ``ROUNDING`` of zero count on both sides. The +1 counts the data themselves,
    so p is never 0: the smallest is ``2 / (n_resamples + 1)``. It asks whether these two trained models differ on
    such dialogues; whether the two *methods* differ over training sets is for ``corrected_resampled_t_test``.

    Sources: as ``cluster_bootstrap``; for the +1, Davison and Hinkley (1997), section 4.2.

    Args:
        statistic_a: Metric of model A, as in ``cluster_bootstrap``.
        statistic_b: Metric of model B, of the same shape.
        folds: (N,) fold in which each segment was held out.
        clusters: (N,) dialogue of each segment, named uniquely over all folds.
        n_resamples: Resamples, at least 1.
        level: Coverage aimed at, between 0 and 1.
        seed: As in ``cluster_bootstrap``.

    Returns:
        Difference, low, high, p: floats, or (M,) float64. Two identical models: 0, 0, 0 and p = 1. NaN as in
        ``cluster_bootstrap``, then with p.

    Raises:
        ValueError: As ``cluster_bootstrap``, or A and B of different shapes.
    """
    resamples = _resample(folds, clusters, n_resamples, seed)
    scores_a, scores_b = _scores(statistic_a, resamples), _scores(statistic_b, resamples)
    if scores_a.shape != scores_b.shape:
        raise ValueError(
            f"A and B must give the same metrics: expected {scores_a.shape[1:]} as A, got {scores_b.shape[1:]} of B."
        )
    differences = scores_a - scores_b
    resampled = differences[1:]
    tail = np.minimum((resampled <= ROUNDING).sum(axis=0), (resampled >= -ROUNDING).sum(axis=0))
    p_value = np.minimum(1, 2 * (1 + tail) / (n_resamples + 1))
    p_value = np.where(np.isnan(resampled).any(axis=0), np.nan, p_value)
    return PairedDifference(as_plain(differences[0]), *_percentiles(resampled, level), as_plain(p_value))


def f1_by_emotion_interval(
    truth: np.ndarray,
    prediction: np.ndarray,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
) -> Interval:
    """Bias-corrected bootstrap interval of the F1 of each emotion over all folds at once.

    Resamples are drawn as in ``cluster_bootstrap``. The folds are pooled before F1 is computed, since a rare emotion can
    be absent from a fold: the estimate is no mean over folds. A resample in which an emotion is in neither truth nor
    prediction has no F1 of that emotion; the ends are then those of the other resamples.

    Sources: as ``cluster_bootstrap``.

    Args:
        truth: (N,) indices into ``EMOTIONS``.
        prediction: (N,) indices into ``EMOTIONS``.
        folds: (N,) fold in which each segment was held out.
        clusters: (N,) dialogue of each segment, named uniquely over all folds.
        n_resamples: Resamples, at least 1.
        level: Coverage aimed at, between 0 and 1.
        seed: As in ``cluster_bootstrap``.

    Returns:
        Estimate, low and high, (K,) float64 each. All three are NaN for an emotion in neither truth nor prediction; the
        ends are NaN where a fold has a single dialogue.

    Raises:
        ValueError: As ``cluster_bootstrap``, or an index that is not one of 0 to K - 1.
    """
    resamples = _resample(folds, clusters, n_resamples, seed)
    sums = confusion_sums(truth=truth, prediction=prediction, clusters=clusters).sums
    totals = resamples.counts.astype(np.float64) @ sums.reshape(len(sums), -1)  # (1 + n_resamples, K * K)
    scores = f1_by_emotion(totals.reshape(-1, *sums.shape[1:]))
    if resamples.has_single_cluster:
        scores[1:] = np.nan
    ends = np.full((2, scores.shape[1]), np.nan)
    for index, (estimate, resampled) in enumerate(zip(scores[0], scores[1:].T, strict=True)):
        defined = resampled[~np.isnan(resampled)]
        if not np.isnan(estimate) and defined.size:
            ends[:, index] = _bias_corrected(estimate, defined, level)
    return Interval(scores[0], ends[0], ends[1])


class _Resamples(NamedTuple):
    """What every statistic of one bootstrap shares."""

    clusters: np.ndarray  # (C,) names, sorted
    sizes: np.ndarray  # (C,) segments per cluster
    cluster_index: np.ndarray  # (N,) into clusters
    fold_clusters: list[np.ndarray]  # per fold, indices into clusters
    counts: np.ndarray  # (1 + n_resamples, C) how often each was drawn; row 0, all ones, is the data as they are

    @property
    def has_single_cluster(self) -> bool:
        """Returns True if a fold has one cluster, so that there is nothing to resample in it."""
        return min(members.size for members in self.fold_clusters) < 2


def _resample(folds: np.ndarray, clusters: np.ndarray, n_resamples: int, seed: int) -> _Resamples:
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
    return _Resamples(names, sizes, cluster_index, fold_clusters, counts)


def _scores(statistic: Statistic, resamples: _Resamples) -> np.ndarray:
    """Mean over folds per row of ``resamples.counts``: (1 + n_resamples,) or (1 + n_resamples, M)."""
    if isinstance(statistic, ClusterSums):
        is_same = np.array_equal(statistic.clusters, resamples.clusters)
        if not (is_same and np.array_equal(statistic.sizes, resamples.sizes)):
            raise ValueError(
                f"ClusterSums must come from the bootstrapped segments: expected {resamples.sizes.sum()} segments in "
                f"{resamples.sizes.size} clusters, got {statistic.sizes.sum()} in {statistic.sizes.size}, or others. "
                "Leave the same segments out of truth, prediction, folds and clusters."
            )
    scores = np.mean([_fold_scores(statistic, resamples, members) for members in resamples.fold_clusters], axis=0)
    if resamples.has_single_cluster:
        scores[1:] = np.nan
    return scores


def _fold_scores(statistic: Statistic, resamples: _Resamples, members: np.ndarray) -> np.ndarray:
    """Scores of one fold, (1 + n_resamples,) or (1 + n_resamples, M)."""
    if isinstance(statistic, ClusterSums):
        return _fold_scores_of_sums(statistic, resamples, members)
    return _fold_scores_of_function(statistic, resamples, members)


def _fold_scores_of_sums(statistic: ClusterSums, resamples: _Resamples, members: np.ndarray) -> np.ndarray:
    """Scores of one fold, by one matrix product."""
    rows = statistic.sums[members].reshape(members.size, -1)
    totals = resamples.counts[:, members].astype(np.float64) @ rows
    return np.asarray(statistic.score(totals.reshape(-1, *statistic.sums.shape[1:])), dtype=np.float64)


def _fold_scores_of_function(
    statistic: Callable[[np.ndarray], float | np.ndarray], resamples: _Resamples, members: np.ndarray
) -> np.ndarray:
    """Scores of one fold, by one call of the statistic per resample."""
    segments = np.flatnonzero(np.isin(resamples.cluster_index, members))
    cluster_index = resamples.cluster_index[segments]
    drawn = (np.repeat(segments, row[cluster_index]) for row in resamples.counts)
    return np.stack([np.asarray(statistic(indices), dtype=np.float64) for indices in drawn])


def _percentiles(resampled: np.ndarray, level: float) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Ends of the equal-tailed percentile interval; NaN where a resample is NaN."""
    if not 0 < level < 1:
        raise ValueError(f"The level must be a share: expected 0 < level < 1, got {level}.")
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return as_plain(low), as_plain(high)


def _bias_corrected(
    estimate: np.ndarray, resampled: np.ndarray, level: float
) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Ends of the bias-corrected percentile interval; NaN where a resample is NaN."""
    if not 0 < level < 1:
        raise ValueError(f"The level must be a share: expected 0 < level < 1, got {level}.")
    n = len(resampled)
    below, above = (resampled < estimate - ROUNDING).sum(axis=0), (resampled > estimate + ROUNDING).sum(axis=0)
    share = np.clip((below + (n - below - above) / 2) / n, 0.5 / n, 1 - 0.5 / n)  # 0 and 1 would shift without end
    z0, z = special.ndtri(share), special.ndtri((1 + level) / 2)
    columns = resampled.reshape(n, -1).T  # (M, n_resamples)
    low, high = (
        np.reshape([np.quantile(*one) for one in zip(columns, np.atleast_1d(end), strict=True)], estimate.shape)
        for end in (special.ndtr(2 * z0 - z), special.ndtr(2 * z0 + z))
    )
    return as_plain(low), as_plain(high)
