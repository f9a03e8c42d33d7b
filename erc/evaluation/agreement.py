"""How far raters agree: Fleiss' kappa, Krippendorff's alpha, correlations between raters.

Comes in: individual ratings, one row a segment, one column a rater. Goes out: numbers.
Conventions: emotion is nominal; valence and arousal are ordinal and interval (Fleiss' kappa treats the steps of their
scale as names). Undefined is NaN, never 0: one category throughout, no pair of ratings, a rater who always gives the same rating.
Every statistic here depends on the segments only through sums over them (coincidences of categories, moments of raters),
so that a resample is a weighted sum (``ClusterSums``). This is why kappa and alpha are written here and not taken from a
library, which computes them from segments. Shapes: N segments, R raters, V categories.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from erc.evaluation.checks import ROUNDING

Level = Literal["nominal", "ordinal", "interval"]


def fleiss_kappa(votes: np.ndarray) -> float:
    r"""Agreement of many raters on names, beyond what their preferences alone would give.

    .. math:: \kappa = \frac{\bar P - \bar P_e}{1 - \bar P_e}, \quad
        \bar P = \frac{1}{N} \sum_i \frac{\sum_j n_{ij} (n_{ij} - 1)}{m (m - 1)}, \quad
        \bar P_e = \sum_j \Big(\frac{1}{N m} \sum_i n_{ij}\Big)^2

    Source: Fleiss (1971), Measuring nominal scale agreement among many raters, Psychological Bulletin 76:378-382.

    Args:
        votes: (N, V) counts; each row sums to the same m >= 2. Raters need not be the same persons from row to row.

    Returns:
        At most 1; 0 is chance. NaN where only one category occurs (chance agreement is 1 then), or no segment.

    Examples:
        >>> fleiss_kappa(np.array([[10, 0], [0, 10]]))
        1.0

    Raises:
        ValueError: Not (N, V), a negative count, rows of different sums, or fewer than two votes a row.
    """
    votes = np.asarray(votes, dtype=np.float64)
    if votes.ndim != 2 or not (votes >= 0).all():
        raise ValueError(f"Votes must be (N, V) counts >= 0: got shape {votes.shape}, a negative count or NaN.")
    totals = np.unique(votes.sum(axis=1))
    if totals.size > 1 or (totals < 2).any():
        raise ValueError(
            f"Fleiss' kappa needs the same number of raters, two or more, on every segment: got {totals.tolist()}. "
            "Use krippendorff_alpha where ratings are missing."
        )
    return float(kappa_of(coincidences_of_votes(votes).sum(axis=0)))


def krippendorff_alpha(ratings: np.ndarray, level: Level = "nominal") -> float:
    r"""Agreement as the share of chance disagreement that is absent; ratings may be missing.

    .. math:: \alpha = 1 - (n - 1) \frac{\sum_{c,k} o_{ck} \delta^2_{ck}}{\sum_{c,k} n_c n_k \delta^2_{ck}}

    with coincidences :math:`o_{ck}` (a segment of m ratings adds 1/(m - 1) for each ordered pair of them), their margins
    :math:`n_c` and their total n. :math:`\delta^2_{ck}` is 1 for c != k (nominal); :math:`(c - k)^2` (interval);
    :math:`(\sum_{g=c}^{k} n_g - (n_c + n_k)/2)^2` (ordinal).

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, Annenberg School for Communication.

    Args:
        ratings: (N, R) numbers, NaN where a rater did not rate; a segment with fewer than two ratings does not count.
        level: How the distance of two categories is measured: ``nominal``, ``ordinal`` or ``interval``.

    Returns:
        At most 1; 0 is chance. NaN where only one category occurs, or no segment has two ratings.

    Raises:
        ValueError: Not (N, R), infinite ratings, or an unknown level.
    """
    ratings = as_ratings("ratings", ratings)
    if level not in get_args(Level):
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}: got {level!r}.")
    categories = np.unique(ratings[~np.isnan(ratings)])
    return float(alpha_of(coincidences(ratings, categories).sum(axis=0), level=level, categories=categories))


def rater_correlations(ratings: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every two raters over the segments.

    Args:
        ratings: (N, R) numbers, none missing.

    Returns:
        (R, R) symmetric, 1 on the diagonal; NaN in the row and column of a rater who always gives the same rating.

    Raises:
        ValueError: Not (N, R), or a missing or infinite rating.
    """
    return correlations_of(rater_moments(as_ratings("ratings", ratings, may_miss=False)).sum(axis=0))


def coincidences(ratings: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Coincidence matrix of each segment: how often two of its raters said c and k.

    Args:
        ratings: (N, R), NaN where missing.
        categories: (V,) sorted; ratings outside them do not count.

    Returns:
        (N, V, V) float64, symmetric; a segment's sum is the number of its ratings, or 0 where that is below two.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    return coincidences_of_votes((ratings[:, :, None] == np.asarray(categories)).sum(axis=1).astype(np.float64))


def coincidences_of_votes(votes: np.ndarray) -> np.ndarray:
    """``coincidences`` from the counts (N, V) of each segment's ratings."""
    n_ratings = votes.sum(axis=1)[:, None, None]
    pairs = votes[:, :, None] * votes[:, None, :] - votes[:, :, None] * np.eye(votes.shape[1])
    return np.divide(pairs, n_ratings - 1, out=np.zeros_like(pairs), where=n_ratings > 1)


def kappa_of(total: np.ndarray) -> np.ndarray:
    """(..., V, V) coincidences -> Fleiss' kappa. The trace over the sum is the mean agreement where all segments have m."""
    n = total.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):  # no segment: NaN, as promised
        observed = np.trace(total, axis1=-2, axis2=-1) / n
        expected = ((total.sum(axis=-1) / n[..., None]) ** 2).sum(axis=-1)
        return np.where(1 - expected > ROUNDING, (observed - expected) / (1 - expected), np.nan)


def alpha_of(total: np.ndarray, level: Level, categories: np.ndarray) -> np.ndarray:
    """(..., V, V) coincidences -> Krippendorff's alpha."""
    margins = total.sum(axis=-1)  # (..., V)
    n = margins.sum(axis=-1)
    if level == "nominal":
        apart = 1.0 - np.eye(len(categories))
    elif level == "interval":
        apart = np.subtract.outer(categories, categories) ** 2.0
    else:
        # middle of a category's ranks; the difference of two is the formula's sum, up to its sign
        rank = margins.cumsum(axis=-1) - margins / 2
        apart = (rank[..., :, None] - rank[..., None, :]) ** 2
    observed = (total * apart).sum(axis=(-2, -1))
    expected = (margins[..., :, None] * margins[..., None, :] * apart).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):  # one category or none: NaN, as promised
        return np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)


def rater_moments(ratings: np.ndarray) -> np.ndarray:
    """(N, R) -> (N, 1 + R + R * R): 1, each rating, each product of two; shifted by the raters' means, for their digits."""
    x = ratings - ratings.mean(axis=0) if len(ratings) else ratings
    return np.concatenate([np.ones((len(x), 1)), x, (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)], axis=1)


def correlations_of(total: np.ndarray) -> np.ndarray:
    """(..., 1 + R + R * R) sums of moments -> (..., R, R)."""
    n_raters = int(np.sqrt(total.shape[-1] - 1))  # 1 + R + R^2 is between R^2 and (R + 1)^2
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant rater: NaN, as promised
        means = total / total[..., :1]
        mean = means[..., 1 : 1 + n_raters]
        product = means[..., 1 + n_raters :].reshape(*means.shape[:-1], n_raters, n_raters)
        covariance = product - mean[..., :, None] * mean[..., None, :]
        deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0))
        deviation = np.where(deviation**2 > ROUNDING, deviation, np.nan)
        return np.clip(covariance / (deviation[..., :, None] * deviation[..., None, :]), -1, 1)


def correlation_summary(total: np.ndarray) -> np.ndarray:
    """(..., 1 + R + R * R) sums of moments -> (..., 3): mean, lowest and highest correlation of two raters."""
    matrix = correlations_of(total)
    one, other = np.triu_indices(matrix.shape[-1], k=1)
    pairs = matrix[..., one, other]
    if pairs.shape[-1] == 0:
        return np.full((*pairs.shape[:-1], 3), np.nan)
    return np.stack([pairs.mean(axis=-1), pairs.min(axis=-1), pairs.max(axis=-1)], axis=-1)


def as_ratings(name: str, ratings: np.ndarray, may_miss: bool = True) -> np.ndarray:
    """(N, R) float64, finite; NaN only where ratings may miss."""
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.ndim != 2 or np.isinf(ratings).any() or (np.isnan(ratings).any() and not may_miss):
        missing = "" if may_miss else ", none missing"
        raise ValueError(f"{name} must be (N, R) finite numbers{missing}: got shape {ratings.shape}, or others.")
    return ratings
