"""Metrics that depend on the segments only through sums over dialogues: what makes the bootstrap fast.

Conventions: F1 averages as scikit-learn with ``labels=None``, so a class in neither truth nor prediction does not
count; CCC divides by n (Lin 1989). Shapes: N segments, C clusters (dialogues), K emotions, M metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from erc.evaluation.checks import ROUNDING, as_aligned, as_class_indices

CONFUSION_METRICS = ("weighted_f1", "micro_f1", "macro_f1", "uar")
"""Order of the last axis of ``confusion_scores``."""


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


def confusion_sums(*, truth: np.ndarray, prediction: np.ndarray, clusters: np.ndarray, n_classes: int) -> ClusterSums:
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
    truth, prediction, clusters = as_aligned(truth=truth, prediction=prediction, clusters=clusters)
    truth, prediction = (
        as_class_indices("truth", truth, n_classes),
        as_class_indices("prediction", prediction, n_classes),
    )
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


def f1_by_emotion(confusion: np.ndarray) -> np.ndarray:
    """F1 of each emotion, ``2 tp_k / (n truly k + n predicted k)``.

    Args:
        confusion: (..., K, K) counts, truth by prediction.

    Returns:
        (..., K) float64 in [0, 1]; NaN for an emotion in neither truth nor prediction.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    hits = 2 * np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.divide(hits, total, out=np.full(total.shape, np.nan), where=total > 0)


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
    truth, prediction, clusters = as_aligned(truth=truth, prediction=prediction, clusters=clusters)
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
