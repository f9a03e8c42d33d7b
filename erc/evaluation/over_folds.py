"""Statistics over folds: mean and standard deviation, corrected t-test, Holm's correction.

Conventions: standard deviations divide by n - 1. Undefined is NaN, never 0 and never a warning; NaN in, NaN out.
Malformed input raises ``ValueError``. Shape: F folds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from erc.evaluation.checks import ROUNDING, as_vector


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
    values = as_vector("values", values)
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
    differences = as_vector("differences", differences)
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

    Examples:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]

    Raises:
        ValueError: Not one-dimensional, or a value outside [0, 1].
    """
    p_values = as_vector("p_values", p_values)
    is_done = ~np.isnan(p_values)
    done = p_values[is_done]
    if ((done < 0) | (done > 1)).any():
        raise ValueError(f"p values must lie in [0, 1]: got {done[(done < 0) | (done > 1)].tolist()}.")
    order = np.argsort(done, kind="stable")
    stepped = np.maximum.accumulate((done.size - np.arange(done.size)) * done[order])
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[np.flatnonzero(is_done)[order]] = np.minimum(stepped, 1)
    return adjusted


def holm_with_bounds(p_values: np.ndarray, is_bound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``holm`` of p values of which some are upper bounds: a bootstrap's p at its floor is at most that large.

    Args:
        p_values: (m,) in [0, 1], NaN for a test that could not be done.
        is_bound: (m,) True where the p value is an upper bound only.

    Returns:
        Adjusted p values (m,), and (m,) True where the adjusted value is an upper bound only: it would be smaller if the
        bounds were 0. A bound can reach the values behind it in Holm's order, which are never below the one before.

    Examples:
        >>> adjusted, bound = holm_with_bounds(np.array([0.001, 0.4]), np.array([True, False]))
        >>> adjusted.tolist(), bound.tolist()
        ([0.002, 0.4], [True, False])

    Raises:
        ValueError: As ``holm``, or the lengths differ.
    """
    p_values, is_bound = as_vector("p_values", p_values), np.asarray(is_bound, dtype=bool)
    if is_bound.shape != p_values.shape:
        raise ValueError(f"Each p value is a bound or not: expected {p_values.size} flags, got {np.size(is_bound)}.")
    adjusted = holm(p_values)
    smallest = holm(np.where(is_bound & ~np.isnan(p_values), 0.0, p_values))
    with np.errstate(invalid="ignore"):
        return adjusted, smallest < adjusted
