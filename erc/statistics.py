"""Statistics behind a reported number: how sure a mean over folds is, whether two models differ, how well people agree.

Comes in: labels, predictions, ratings, fold scores as NumPy arrays. Goes out: numbers. Pure functions; no file is read.

Conventions:
    *Segments are not independent.* Segments of one dialogue share speakers, topic and mood, so the bootstrap draws
    whole dialogues ("clusters"), within each fold. It holds the trained models, the folds and the sessions fixed: the
    interval says how far the number depends on which dialogues were recorded, not on seed, training set or speakers.
    *Headline numbers are means over folds*, so resamples are too: score each fold, then average.
    *Standard deviations over folds* divide by n - 1; CCC divides by n (Lin 1989).
    *F1 averages* as scikit-learn with ``labels=None``: a class in neither truth nor prediction does not count.
    *Undefined is NaN*, never 0 and never a warning; NaN in, NaN out. Malformed input raises ``ValueError``.

Shapes: N segments, C clusters (dialogues), F folds, M metrics, K emotions (7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from erc.labels import N_EMOTIONS, N_RATERS, VA_MAX, VA_MIN, count_votes, is_tied

CONFUSION_METRICS = ("weighted_f1", "micro_f1", "macro_f1", "uar")
"""Order of the last axis of ``confusion_scores``."""
AGREEMENT_STRATA = ("<=5", "6-7", "8-9", "10/10")
"""Names of the agreement strata, from least to most agreed."""
PROBABILITY_FLOOR = 1e-12
"""Predicted probabilities are raised to this before a logarithm: one segment costs at most -log(1e-12) = 27.6 nats."""
ROUNDING = 1e-12
"""Differences of metrics (all within [-1, 1]) smaller than this are rounding errors, and count as zero."""


# ---------------------------------------------------------------------------------------------------- over folds


def mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation over folds: ``sqrt(sum((x - mean)^2) / (F - 1))``.

    The deviation describes the spread of the folds. It is no standard error: folds share training data, so
    ``std / sqrt(F)`` understates how uncertain the mean is (Bengio and Grandvalet 2004, JMLR 5:1089-1105).

    Args:
        values: (F,) one score per fold.

    Returns:
        Mean and standard deviation (>= 0). The deviation of one fold is NaN; both are NaN for no fold, or where a
        value is NaN.

    Raises:
        ValueError: ``values`` is not one-dimensional.
    """
    values = _vector("values", values)
    mean = float(values.mean()) if values.size else np.nan
    std = float(values.std(ddof=1)) if values.size > 1 else np.nan
    return mean, std


class TTest(NamedTuple):
    """t statistic, degrees of freedom, two-sided p value in [0, 1]."""

    t: float
    df: int
    p_value: float


def corrected_resampled_t_test(differences: np.ndarray, n_train: float, n_test: float) -> TTest:
    """Corrected resampled t test of Nadeau and Bengio: do two models differ, over train/test splits that overlap?

    ``t = mean(d) / sqrt((1/k + n_test/n_train) * var(d))`` with ``var`` dividing by k - 1, on k - 1 degrees of freedom.

    The plain paired t test has ``1/k`` alone and takes the splits for independent; they share training segments, and
    it rejects too often. The correction supposes a correlation of ``n_test / (n_train + n_test)`` between any two
    splits: derived for random splits, and a customary approximation for k-fold cross-validation (Bouckaert and Frank
    2004), where ``n_test/n_train = 1/(k - 1)``. Five folds therefore test with 1/5 + 1/4 in place of 1/5. No unbiased
    estimate of the variance exists (Bengio and Grandvalet 2004).

    Source: Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52:239-281.

    Args:
        differences: (k,) score of model A minus score of model B, one per fold, on the same fold.
        n_train: Segments in a training set; where folds differ in size, their mean.
        n_test: Segments in a test set; likewise.

    Returns:
        t (positive where A scores higher), df = k - 1, two-sided p. t and p are NaN where no variance can be
        estimated: fewer than two folds, a NaN, or differences that all agree to within ``ROUNDING`` -- be they zero
        (the models are one) or not (five equal differences are a sign of a mistake, not of infinite certainty).

    Raises:
        ValueError: ``differences`` is not one-dimensional, or a size is not positive.
    """
    differences = _vector("differences", differences)
    if not (n_train > 0 and n_test > 0):
        raise ValueError(f"Set sizes must be positive: expected n_train, n_test > 0, got {n_train} and {n_test}.")
    k = differences.size
    if k < 2 or not np.ptp(differences) > ROUNDING:  # "not >" so that NaN lands here as well
        return TTest(np.nan, max(k - 1, 0), np.nan)
    t = differences.mean() / np.sqrt((1 / k + n_test / n_train) * differences.var(ddof=1))
    return TTest(float(t), k - 1, float(2 * stats.t.sf(abs(t), df=k - 1)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p values by Holm's step-down method, which bounds the family-wise error rate.

    With m p values sorted upwards, ``adjusted_(i) = max over j <= i of min(1, (m - j + 1) * p_(j))``. Valid under any
    dependence.

    Source: Holm (1979), Scandinavian Journal of Statistics 6:65-70.

    Args:
        p_values: (m,) in [0, 1]. NaN (a test that could not be done) stays NaN and does not count in m.

    Returns:
        (m,) float64 in [0, 1], in the order given; none is smaller than its p value.

    Raises:
        ValueError: Not one-dimensional, or a value outside [0, 1].
    """
    p_values = _vector("p_values", p_values)
    is_done = ~np.isnan(p_values)
    done = p_values[is_done]
    if ((done < 0) | (done > 1)).any():
        raise ValueError(f"p values must lie in [0, 1]: got {done[(done < 0) | (done > 1)].tolist()}.")
    order = np.argsort(done, kind="stable")
    stepped = np.maximum.accumulate((done.size - np.arange(done.size)) * done[order])
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[np.flatnonzero(is_done)[order]] = np.minimum(stepped, 1)
    return adjusted


# ----------------------------------------------------------------------------------------------- cluster bootstrap


@dataclass(frozen=True)
class ClusterSums:
    """A statistic that depends on the segments only through sums, with those sums per cluster: the fast bootstrap.

    A resample is then a weighted sum of C rows in place of a pass over N segments, and all resamples are one matrix
    product. ``confusion_sums`` and ``moment_sums`` make one.

    Attributes:
        score: (..., *S) sums over a set of segments -> (...) or (..., M) metrics.
        sums: (C, *S) float64; row c belongs to ``clusters[c]``.
        clusters: (C,) cluster names, sorted and unique.
        sizes: (C,) segments per cluster.
    """

    score: Callable[[np.ndarray], np.ndarray]
    sums: np.ndarray
    clusters: np.ndarray
    sizes: np.ndarray


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
    return Interval(_plain(scores[0]), *_bias_corrected(scores[0], scores[1:], level))


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
    return PairedDifference(_plain(differences[0]), *_percentiles(resampled, level), _plain(p_value))


def confusion_sums(
    *, truth: np.ndarray, prediction: np.ndarray, clusters: np.ndarray, n_classes: int = N_EMOTIONS
) -> ClusterSums:
    """Confusion matrix per cluster, for a fast bootstrap of the ``CONFUSION_METRICS``.

    Args:
        truth: (N,) class indices.
        prediction: (N,) class indices.
        clusters: (N,) dialogue of each segment.
        n_classes: K.

    Returns:
        ``ClusterSums`` with sums (C, K, K), truth by prediction; its score is ``confusion_scores``.

    Raises:
        ValueError: Lengths that differ, or an index that is not one of 0 to K - 1.
    """
    truth, prediction, clusters = _aligned(truth=truth, prediction=prediction, clusters=clusters)
    truth, prediction = _class_indices("truth", truth, n_classes), _class_indices("prediction", prediction, n_classes)
    names, cluster_index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    cell = (cluster_index * n_classes + truth) * n_classes + prediction
    sums = np.bincount(cell, minlength=names.size * n_classes**2).reshape(names.size, n_classes, n_classes)
    return ClusterSums(confusion_scores, sums.astype(np.float64), names, sizes)


def confusion_scores(confusion: np.ndarray) -> np.ndarray:
    """Weighted, micro and macro F1 and unweighted average recall of confusion matrices.

    ``F1_k = 2 tp_k / (n truly k + n predicted k)``; *macro* is their plain mean over classes that occur in truth or
    prediction, *weighted* the mean weighted by the number truly k, *micro* equals accuracy (one label per segment).
    UAR is the mean recall of the classes that occur in truth (scikit-learn's ``balanced_accuracy_score``).

    Args:
        confusion: (..., K, K) counts, truth by prediction.

    Returns:
        (..., 4) float64 in [0, 1], in the order of ``CONFUSION_METRICS``; NaN for a matrix without any segment.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # (..., K)
    n_true, n_predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    n = n_true.sum(axis=-1)
    f1 = 2 * hits / np.maximum(n_true + n_predicted, 1)  # hits are 0 wherever the maximum bites
    recall = hits / np.maximum(n_true, 1)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty matrix: NaN, as promised
        weighted_f1 = (n_true * f1).sum(axis=-1) / n
        micro_f1 = hits.sum(axis=-1) / n
        macro_f1 = f1.sum(axis=-1) / (n_true + n_predicted > 0).sum(axis=-1)
        uar = recall.sum(axis=-1) / (n_true > 0).sum(axis=-1)
    return np.stack([weighted_f1, micro_f1, macro_f1, uar], axis=-1)


def moment_sums(*, truth: np.ndarray, prediction: np.ndarray, clusters: np.ndarray) -> ClusterSums:
    """Sums of moments per cluster, for a fast bootstrap of the concordance correlation coefficient.

    Both arrays are first shifted by the mean of the truth: CCC does not change, and the squares lose no digits.

    Args:
        truth: (N,) real values.
        prediction: (N,) real values.
        clusters: (N,) dialogue of each segment.

    Returns:
        ``ClusterSums`` with sums (C, 6): n, sum x, sum y, sum x^2, sum y^2, sum xy, with x the truth and y the
        prediction; its score is ``moment_concordance``. A NaN makes the whole interval NaN.

    Raises:
        ValueError: Lengths that differ.
    """
    truth, prediction, clusters = _aligned(truth=truth, prediction=prediction, clusters=clusters)
    truth, prediction = truth.astype(np.float64), prediction.astype(np.float64)
    shift = truth.mean() if truth.size else 0.0
    x, y = truth - shift, prediction - shift
    names, cluster_index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    sums = [np.bincount(cluster_index, weights=column, minlength=names.size) for column in columns]
    return ClusterSums(moment_concordance, np.stack(sums, axis=-1), names, sizes)


def moment_concordance(moments: np.ndarray) -> np.ndarray:
    """Concordance correlation coefficient from sums of moments.

    ``CCC = 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2)``, variances and covariance dividing by n.

    Source: Lin (1989), A concordance correlation coefficient to evaluate reproducibility, Biometrics 45:255-268.

    Args:
        moments: (..., 6) n, sum x, sum y, sum x^2, sum y^2, sum xy.

    Returns:
        (...) float64 in [-1, 1]. NaN for no segment, and where x and y are one and the same constant (to within
        rounding: a denominator below 1e-12 of the mean square); 0 where one of them is constant, or where they are two
        constants, as a single segment is.
    """
    n, *sums = np.moveaxis(np.asarray(moments, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):  # undefined cases are set to NaN below
        mean_x, mean_y, mean_xx, mean_yy, mean_xy = (total / n for total in sums)
        covariance = mean_xy - mean_x * mean_y
        variances = (mean_xx - mean_x**2) + (mean_yy - mean_y**2)
        denominator = variances + (mean_x - mean_y) ** 2
        return np.where(denominator > ROUNDING * (mean_xx + mean_yy), 2 * covariance / denominator, np.nan)


class _Resamples(NamedTuple):
    """What every statistic of one bootstrap shares."""

    clusters: np.ndarray  # (C,) names, sorted
    sizes: np.ndarray  # (C,) segments per cluster
    cluster_index: np.ndarray  # (N,) into clusters
    fold_clusters: list[np.ndarray]  # per fold, indices into clusters
    counts: np.ndarray  # (1 + n_resamples, C) how often each was drawn; row 0, all ones, is the data as they are


def _resample(folds: np.ndarray, clusters: np.ndarray, n_resamples: int, seed: int) -> _Resamples:
    """Draws of whole clusters with replacement, within each fold."""
    folds, clusters = _aligned(folds=folds, clusters=clusters)
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
        score_fold = _fold_scores_of_sums
    else:
        score_fold = _fold_scores_of_function
    scores = np.mean([score_fold(statistic, resamples, members) for members in resamples.fold_clusters], axis=0)
    if min(members.size for members in resamples.fold_clusters) < 2:
        scores[1:] = np.nan
    return scores


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
    return _plain(low), _plain(high)


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
    return _plain(low), _plain(high)


# --------------------------------------------------------------------------------------------- label distributions


def jensen_shannon_divergence(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean Jensen-Shannon divergence between raters' and predicted emotion distributions, in bits.

    Per segment ``JSD = KL(p || m) / 2 + KL(q || m) / 2`` with ``m = (p + q) / 2`` and logarithms to base 2. This is
    the divergence, not its square root, the *distance* that ``scipy.spatial.distance.jensenshannon`` returns.

    Source: Lin (1991), Divergence measures based on the Shannon entropy, IEEE Trans. Information Theory 37:145-151.

    Args:
        truth: (N, K) soft labels.
        prediction: (N, K) probabilities.

    Returns:
        Mean over segments in [0, 1], 0 for equal and 1 for disjoint distributions; symmetric. NaN for no segment.

    Raises:
        ValueError: Shapes that differ, or rows that are no distribution (sums may be off by 1e-3, and are rescaled).
    """
    p, q = _paired_distributions(truth, prediction)
    middle = (p + q) / 2
    divergence = (special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum(axis=-1) / (2 * np.log(2))
    return float(np.clip(divergence, 0, 1).mean()) if len(p) else np.nan


def cross_entropy(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean cross-entropy of predicted emotion distributions under raters' soft labels, in nats.

    Per segment ``- sum_k p_k log(max(q_k, 1e-12))``: predictions are clipped from below at ``PROBABILITY_FLOOR``.

    Args:
        truth: (N, K) soft labels p.
        prediction: (N, K) probabilities q.

    Returns:
        Mean over segments in [H, 27.64], with H the mean entropy of the truth -- not 0 -- reached at q = p. NaN for no
        segment.

    Raises:
        ValueError: As ``jensen_shannon_divergence``.
    """
    p, q = _paired_distributions(truth, prediction)
    return float(-(p * np.log(np.maximum(q, PROBABILITY_FLOOR))).sum(axis=-1).mean()) if len(p) else np.nan


def expected_calibration_error(*, hard_label: np.ndarray, probs: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error of the top label: how far confidence lies from accuracy.

    ``ECE = sum_b (n_b / N) * |accuracy(b) - mean confidence(b)|`` over equal-width bins ``((b - 1)/B, b/B]`` of the
    largest probability. Two equal largest probabilities: the first emotion is the prediction.

    Source: Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML, eq. 2-3.

    Args:
        hard_label: (N,) indices into ``EMOTIONS``.
        probs: (N, K) predicted probabilities.
        n_bins: B, at least 1.

    Returns:
        Error in [0, 1], 0 is calibrated. NaN for no segment.

    Raises:
        ValueError: Lengths that differ, an index outside 0 to K - 1, rows that are no distribution, no bin.
    """
    probs = _distributions("probs", probs)
    hard_label = _class_indices("hard_label", hard_label, probs.shape[1])
    if hard_label.shape != probs.shape[:1]:
        raise ValueError(f"One label per row of probs: expected shape {probs.shape[:1]}, got {hard_label.shape}.")
    if n_bins < 1:
        raise ValueError(f"Calibration needs bins: expected n_bins >= 1, got {n_bins}.")
    if not len(probs):
        return np.nan
    confidence, is_correct = probs.max(axis=1), probs.argmax(axis=1) == hard_label
    inner_edges = np.arange(1, n_bins) / n_bins
    bin_index = np.searchsorted(inner_edges, confidence, side="left")  # a value on an edge falls into the bin below
    gap = np.bincount(bin_index, weights=is_correct - confidence, minlength=n_bins)  # n_b * (accuracy - confidence)
    return float(np.abs(gap).sum() / len(probs))


def agreement_stratum(votes: np.ndarray) -> np.ndarray:
    """How well the ten raters agreed on each segment, by the largest vote count.

    Args:
        votes: (N, K) counts, rows summing to ``N_RATERS``.

    Returns:
        (N,) strings, each of ``AGREEMENT_STRATA``: "10/10", "8-9", "6-7" or "<=5" votes for the majority emotion.

    Raises:
        ValueError: Not (N, K), a negative count, or a row that does not sum to ten.
    """
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.shape[1] != N_EMOTIONS:
        raise ValueError(f"Votes need one count per emotion: expected (N, {N_EMOTIONS}), got shape {votes.shape}.")
    if (votes < 0).any() or (votes.sum(axis=1) != N_RATERS).any():
        raise ValueError(f"Strata are defined for {N_RATERS} raters: expected counts >= 0 that sum to {N_RATERS}.")
    return np.array(AGREEMENT_STRATA)[np.searchsorted([6, 8, 10], votes.max(axis=1), side="right")]


# --------------------------------------------------------------------------------------------------- human ceiling


def leave_one_rater_out(
    emotion_ratings: np.ndarray, valence_ratings: np.ndarray, arousal_ratings: np.ndarray
) -> dict[str, float]:
    """Human yardstick: how well one rater predicts the other nine, averaged over raters.

    Each rater in turn is the prediction. Emotion: the truth is the plurality of the others; segments on which the
    others tie are left out for that rater. Valence and arousal: the truth is the mean of the others, by CCC (Lin 1989,
    dividing by n). A yardstick, not an upper bound: a model is scored against the vote of all ten, and may smooth over
    the noise that a single rater has. A column counts as one rater whether or not one person filled it throughout.

    Args:
        emotion_ratings: (N, raters) integers, indices into ``EMOTIONS``.
        valence_ratings: (N, raters) 1 to 5.
        arousal_ratings: (N, raters) 1 to 5.

    Returns:
        ``weighted_f1``, ``micro_f1``, ``macro_f1`` in [0, 1], ``ccc_valence``, ``ccc_arousal`` in [-1, 1]: means over
        raters, NaN where the number of any rater is (every segment tied, no segment, constant ratings).

    Raises:
        ValueError: Shapes that differ, fewer than two raters, or ratings outside the scale.
    """
    emotion_ratings, valence_ratings, arousal_ratings = map(
        np.asarray, (emotion_ratings, valence_ratings, arousal_ratings)
    )
    shapes = [ratings.shape for ratings in (emotion_ratings, valence_ratings, arousal_ratings)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][1] < 2:
        raise ValueError(f"Ratings must align: expected three times (N, raters) with two raters or more, got {shapes}.")
    emotion_ratings = _class_indices("emotion_ratings", emotion_ratings, N_EMOTIONS)
    for name, ratings in (("valence_ratings", valence_ratings), ("arousal_ratings", arousal_ratings)):
        if not ((ratings >= VA_MIN) & (ratings <= VA_MAX)).all():
            raise ValueError(f"{name} must be on the scale: expected {VA_MIN} to {VA_MAX}, got others or NaN.")

    votes = count_votes(emotion_ratings)  # (N, K)
    per_rater = []
    for rater in range(emotion_ratings.shape[1]):
        others = votes - count_votes(emotion_ratings[:, [rater]])
        is_clear = ~is_tied(others)
        scores = confusion_scores(
            _whole(confusion_sums, others[is_clear].argmax(axis=1), emotion_ratings[is_clear, rater])
        )
        cccs = [
            moment_concordance(_whole(moment_sums, np.delete(ratings, rater, axis=1).mean(axis=1), ratings[:, rater]))
            for ratings in (valence_ratings, arousal_ratings)
        ]
        per_rater.append([*scores[:3], *cccs])
    names = (*CONFUSION_METRICS[:3], "ccc_valence", "ccc_arousal")
    return dict(zip(names, np.mean(per_rater, axis=0).tolist(), strict=True))


def _whole(make_sums: Callable[..., ClusterSums], truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Sums over all segments, as one cluster."""
    return make_sums(truth=truth, prediction=prediction, clusters=np.zeros(len(truth))).sums.sum(axis=0)


# ------------------------------------------------------------------------------------------------------ validation


def _vector(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional: expected (n,), got shape {values.shape}.")
    return values


def _aligned(**arrays: np.ndarray) -> list[np.ndarray]:
    """One-dimensional arrays of one length."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(f"One value per segment: expected (N,) arrays of one length, got {shapes}.")
    return list(arrays.values())


def _class_indices(name: str, values: np.ndarray, n_classes: int) -> np.ndarray:
    values = np.asarray(values)
    if not np.isin(values, np.arange(n_classes)).all():
        raise ValueError(f"{name} must hold class indices: expected integers 0 to {n_classes - 1}, got others.")
    return values.astype(np.int64)


def _distributions(name: str, probs: np.ndarray) -> np.ndarray:
    """(N, K) float64 rows that sum to 1, rescaled: float32 and half-precision softmax sums are a little off."""
    probs = np.asarray(probs, dtype=np.float64)
    if probs.ndim != 2 or not (np.isfinite(probs).all() and (probs >= 0).all()):
        raise ValueError(f"{name} must be (N, K) probabilities >= 0, got shape {probs.shape}, or negative or NaN.")
    total = probs.sum(axis=1, keepdims=True)
    if (np.abs(total - 1) > 1e-3).any():
        raise ValueError(f"Rows of {name} must sum to 1, got sums from {total.min():.4g} to {total.max():.4g}.")
    return probs / total


def _paired_distributions(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = _distributions("truth", truth), _distributions("prediction", prediction)
    if truth.shape != prediction.shape:
        raise ValueError(f"One prediction per truth: expected shape {truth.shape}, got {prediction.shape}.")
    return truth, prediction


def _plain(value: np.ndarray) -> float | np.ndarray:
    """A float for a single number, the array otherwise."""
    return float(value) if np.ndim(value) == 0 else value
