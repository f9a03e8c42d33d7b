"""Predicted label distributions against the raters': divergence, cross-entropy, calibration, strata.

Undefined is NaN; malformed input raises ``ValueError``. Shapes: N segments, K emotions (7).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from erc.evaluation.checks import as_class_indices, as_distributions, as_paired_distributions
from erc.labels import N_EMOTIONS, N_RATERS

AGREEMENT_STRATA = ("<=5", "6-7", "8-9", "10/10")
"""Names of the agreement strata, from least to most agreed."""

PROBABILITY_FLOOR = 1e-12
"""Predicted probabilities are raised to this before a logarithm: one segment costs at most -log(1e-12) = 27.6 nats."""


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

    Examples:
        >>> jensen_shannon_divergence(truth=np.array([[1.0, 0.0]]), prediction=np.array([[0.0, 1.0]]))
        1.0

    Raises:
        ValueError: Shapes that differ, or rows that are no distribution (sums may be off by 1e-3, and are rescaled).
    """
    p, q = as_paired_distributions(truth, prediction)
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
    p, q = as_paired_distributions(truth, prediction)
    return float(-(p * np.log(np.maximum(q, PROBABILITY_FLOOR))).sum(axis=-1).mean()) if len(p) else np.nan


def expected_calibration_error(*, hard_label: np.ndarray, probs: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error of the top label: how far confidence is from accuracy.

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
    probs = as_distributions("probs", probs)
    hard_label = as_class_indices("hard_label", hard_label, probs.shape[1])
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
