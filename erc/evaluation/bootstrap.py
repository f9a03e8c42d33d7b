"""Jackknife and bootstrap over dialogues: how certain a mean over folds is, and whether two models differ.

Conventions:
    *Segments are not independent.* Segments of one dialogue share speakers, topic and mood, so whole dialogues
    ("clusters") are left out or drawn, within each fold. That holds the trained models, the folds and the sessions fixed:
    it says how far the number depends on which dialogues were recorded, not on training set or speakers. Only the second
    of the ``Intervals`` lets those differ, as far as the folds show it.
    *Several seeds of a fold are averaged.* The models of one fold, trained from several seeds, are scored on the same
    dialogues. The jackknife's variance adds that between seeds, and a resample also draws seeds (``OverSeeds``). With one
    seed a fold, nothing here knows of the variation between seeds but the interval over folds.
    *Headline numbers are means over folds*, so resamples are too: score each fold, then average.
    *Undefined is NaN*, never 0 and never a warning; NaN in, NaN out. Malformed input raises ``ValueError``.

Shapes: N segments, C clusters (dialogues), F folds, M metrics, K emotions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from erc.evaluation.checks import ROUNDING, as_plain
from erc.evaluation.cluster_sums import confusion_sums, f1_by_emotion
from erc.evaluation.resampling import (
    Resamples,
    Statistic,
    jackknife_variance,
    mean_over_folds,
    resample,
    scores_by_fold,
)


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
    p_floor: float | np.ndarray
    """The smallest p that so many resamples can give. A p that equals it is an upper bound, and no estimate."""


class Intervals(NamedTuple):
    """Two intervals of one mean over folds, for two questions; both are around the same centre."""

    dialogues: Interval
    """Where the mean of *these trained models* lies, over all dialogues like those of each fold (``cluster_bootstrap``)."""
    folds: Interval
    """Where the mean of *models trained like these* lies: models, sessions and speakers may differ from fold to fold."""


def cluster_bootstrap(
    statistic: Statistic,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
) -> Interval:
    """Interval of a metric's mean over folds from whole dialogues: jackknife standard error, bootstrap bias correction.

    ``(estimate - bias) -+ t * se``. The standard error leaves out one dialogue at a time, within its fold; t is the quantile
    of Student's t (``jackknife_variance`` gives both, seeds included). The bias is the mean of the resamples minus the
    estimate: per resample and fold, as many dialogues as the fold has are drawn with replacement, with all their segments;
    the metric is computed per fold and averaged over folds. The bias matters since averaging over folds shrinks the variance
    and not the bias of a metric in a small fold (CCC; macro F1 where an emotion is rare). The interval is symmetric around
    ``estimate - bias``, not around the estimate, and does not know the metric's range.

    Measured coverage at 95 %, five folds, emotions from one in two to one in fifty (``benchmarks/coverage.py``): with 15
    dialogues a fold 93 (macro F1) to 95 %, with 40 and more 94 to 96 %. Where dialogues differ strongly, macro F1 is covered
    87 % with 15, 93 % with 40, other metrics 94 to 95 %. The *mean of models trained again* is another question: where the
    weighted F1 of the folds' models has a standard deviation of .04, it is covered 89 to 94 % with 15 and 63 to 82 % with
    100, the more rarely the more dialogues there are.

    Sources: Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 10.3 (bias) and 11.2 (jackknife); Davison
    and Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (whole clusters, strategy 1).

    Args:
        statistic: Metric, or several in one pass. A function is called with (n,) int64 segment indices, all of one fold,
            ``n_resamples + 2`` times a fold and once a dialogue; ``ClusterSums`` gives the same numbers hundreds of times
            faster.
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
    return cluster_intervals(statistic, folds, clusters, n_resamples, level, seed).dialogues


def cluster_intervals(
    statistic: Statistic,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
) -> Intervals:
    """The interval of ``cluster_bootstrap``, and one over folds that does not hold the trained models fixed.

    Over F folds with scores of sample standard deviation s, half of the second interval is
    ``max(t_(F-1) * s / sqrt(F), half of the first)``: the t interval of the mean over folds, never narrower than what the
    dialogues alone leave open. It takes the folds for independent. They share training data, so it is too narrow as far as
    that makes their scores alike, which no cross-validation can tell (Bengio and Grandvalet 2004, JMLR 5:1089-1105).

    Measured coverage at 95 %, as in ``cluster_bootstrap``: where models differ by fold (independently of one another), their
    mean is covered 96 to 98 % with 15 dialogues a fold and 94 to 97 % with 40 and more. Where they do not differ, 97 to 98 %.

    Sources: as ``cluster_bootstrap``. For the larger of two, with folds in the place of studies: Roever, Knapp and Friede
    (2015), BMC Medical Research Methodology 15:99 (modified Hartung-Knapp).

    Args:
        statistic: As ``cluster_bootstrap``, like all other arguments, and errors.
        folds: (N,) fold in which each segment was held out.
        clusters: (N,) dialogue of each segment.
        n_resamples: Resamples, at least 1.
        level: Coverage aimed at, between 0 and 1.
        seed: Of the resamples.

    Returns:
        Both intervals. The ends of the second are NaN where those of the first are, and where there is one fold.
    """
    if not 0 < level < 1:
        raise ValueError(f"The level must be a share: expected 0 < level < 1, got {level}.")
    resamples = resample(folds, clusters, n_resamples, seed)
    by_fold = scores_by_fold(statistic, resamples)  # (F, 1 + n_resamples, ...)
    scores, n_folds = by_fold.mean(axis=0), len(by_fold)
    centre = 2 * scores[0] - scores[1:].mean(axis=0)  # estimate minus bias
    variance, df = jackknife_variance(statistic, resamples)
    half = special.stdtrit(df, (1 + level) / 2) * np.sqrt(variance)
    if n_folds > 1:
        spread = by_fold[:, 0].std(axis=0, ddof=1) / math.sqrt(n_folds)
        half_folds = np.maximum(special.stdtrit(n_folds - 1, (1 + level) / 2) * spread, half)
    else:
        half_folds = np.full_like(half, np.nan)
    estimate = as_plain(scores[0])
    return Intervals(
        *(Interval(estimate, as_plain(centre - one), as_plain(centre + one)) for one in (half, half_folds))
    )


def paired_bootstrap(
    statistic_a: Statistic,
    statistic_b: Statistic,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
    n_more: int = 0,
) -> PairedDifference:
    """Difference A - B of two models' metric on the same segments, with its clustered bootstrap interval and p value.

    Both models are scored on the same resamples, drawn as in ``cluster_bootstrap``. The two-sided p inverts the
    percentile interval: ``p = min(1, 2 * (1 + min(#{d* <= 0}, #{d* >= 0})) / (n_resamples + 1))``, d* being the
    resampled differences; those within ``ROUNDING`` of zero count on both sides. The +1 counts the data themselves,
    so p is never 0: the smallest is ``2 / (n_resamples + 1)``. Where it comes out so small, up to ``n_more`` further
    resamples are drawn, and p is of all of them; the interval stays that of the first.

    It asks whether these two trained models differ on such dialogues; whether the two *methods* differ over training sets
    is for ``corrected_resampled_t_test``. Measured (``benchmarks/coverage.py``): of two models that are equal over all
    dialogues, p is below .05 in 5 to 7 % of worlds with 15 dialogues a fold, in 4 to 6 % with 40 and more. Of two equal
    methods whose models differ by fold (standard deviation of weighted F1: .04) it is so in 10 to 14 % with 15 and in 24 to
    38 % with 100; the t-test in 1 to 2 %.

    Sources: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8; for the +1, section 4.2.

    Args:
        statistic_a: Metric of model A, as in ``cluster_bootstrap``.
        statistic_b: Metric of model B, of the same shape.
        folds: (N,) fold in which each segment was held out.
        clusters: (N,) dialogue of each segment, named uniquely over all folds.
        n_emotions: K.
        n_resamples: Resamples, at least 1.
        level: Coverage aimed at, between 0 and 1.
        seed: As in ``cluster_bootstrap``. Where A and B have equally many seeds in a fold, the first of A goes with the
            first of B, and so on; else their seeds are drawn by themselves.
        n_more: Further resamples for a p at its floor, at least 0. They are drawn ``n_resamples`` at a time, and cost as
            much as the first.

    Returns:
        Difference, low, high, p, smallest p: floats, or (M,) float64. Two identical models: 0, 0, 0 and p = 1. NaN as in
        ``cluster_bootstrap``, then with p.

    Raises:
        ValueError: As ``cluster_bootstrap``, or A and B of different shapes.
    """
    differences = _differences(statistic_a, statistic_b, resample(folds, clusters, n_resamples, seed))
    resampled = differences[1:]
    low_tail, high_tail = _tails(resampled)
    is_defined = ~np.isnan(resampled).any(axis=0)
    at_floor = (np.minimum(low_tail, high_tail) == 0) & is_defined
    n_drawn = np.full(low_tail.shape, n_resamples)
    for number, start in enumerate(range(0, n_more if at_floor.any() else 0, n_resamples), 1):
        size = min(n_resamples, n_more - start)
        more = _tails(_differences(statistic_a, statistic_b, resample(folds, clusters, size, [seed, number]))[1:])
        low_tail, high_tail = (tail + at_floor * one for tail, one in zip((low_tail, high_tail), more, strict=True))
        n_drawn = n_drawn + at_floor * size
    p_value = np.minimum(1, 2 * (1 + np.minimum(low_tail, high_tail)) / (n_drawn + 1))
    p_value = np.where(is_defined, p_value, np.nan)
    floor = np.minimum(1, 2 / (n_drawn + 1))
    return PairedDifference(
        as_plain(differences[0]), *_percentiles(resampled, level), as_plain(p_value), as_plain(floor)
    )


def _differences(statistic_a: Statistic, statistic_b: Statistic, resamples: Resamples) -> np.ndarray:
    """A minus B, (1 + n_resamples,) or (1 + n_resamples, M)."""
    scores_a, scores_b = mean_over_folds(statistic_a, resamples), mean_over_folds(statistic_b, resamples)
    if scores_a.shape != scores_b.shape:
        raise ValueError(
            f"A and B must give the same metrics: expected {scores_a.shape[1:]} as A, got {scores_b.shape[1:]} of B."
        )
    return scores_a - scores_b


def _tails(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many resampled differences are 0 or less, and 0 or more."""
    return (resampled <= ROUNDING).sum(axis=0), (resampled >= -ROUNDING).sum(axis=0)


def f1_by_emotion_interval(
    truth: np.ndarray,
    prediction: np.ndarray,
    folds: np.ndarray,
    clusters: np.ndarray,
    n_emotions: int,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 42,
) -> Interval:
    """Bias-corrected percentile interval of the F1 of each emotion over all folds at once.

    The interval runs between two quantiles of the resamples (linear interpolation): ``Phi(2 z0 -+ z)``, where
    ``Phi(z0)`` is the share of resamples below the estimate (ties count half) and ``z`` the normal quantile of the
    level. Resamples are drawn as in ``cluster_bootstrap``. The folds are pooled before F1 is computed, since a rare
    emotion can be absent from a fold: the estimate is no mean over folds. A resample in which an emotion is in neither
    truth nor prediction has no F1 of that emotion; the ends are then those of the other resamples.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 14.3 (BCa with acceleration 0).

    Args:
        truth: (N,) indices of emotions.
        prediction: (N,) indices of emotions.
        folds: (N,) fold in which each segment was held out.
        clusters: (N,) dialogue of each segment, named uniquely over all folds.
        n_emotions: K.
        n_resamples: Resamples, at least 1.
        level: Coverage aimed at, between 0 and 1.
        seed: As in ``cluster_bootstrap``.

    Returns:
        Estimate, low and high, (K,) float64 each. All three are NaN for an emotion in neither truth nor prediction; the
        ends are NaN where a fold has a single dialogue.

    Raises:
        ValueError: As ``cluster_bootstrap``, or an index that is not one of 0 to K - 1.
    """
    resamples = resample(folds, clusters, n_resamples, seed)
    sums = confusion_sums(truth=truth, prediction=prediction, clusters=clusters, n_classes=n_emotions).sums
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
