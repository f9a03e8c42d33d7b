"""Predicted label distributions against the raters': divergence, cross-entropy, calibration, strata.

Undefined is NaN; malformed input raises ``ValueError``. Shapes: N segments, K emotions. 1 - JSD is left out, because it says what
JSD says; so is a Wasserstein distance of ratings, because no model here predicts a histogram of ratings, and emotions have no
order that one could be taken over.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from erc.evaluation.checks import as_class_indices, as_distributions, as_paired_distributions
from erc.labels import entropy

AGREEMENT_STRATA = ("<=5", "6-7", "8-9", "10/10")
"""Names of the agreement strata of ten raters, from least to most agreed: votes for the majority emotion."""

AGREEMENT_SHARES = ("<60 %", "60-79 %", "80-99 %", "100 %")
"""The same strata for any number of raters: the majority's share of the votes."""

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


def manhattan_distance(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean Manhattan (L1) distance of predicted emotion distributions to raters' soft labels, ``sum_k |p_k - q_k|``.

    Source: Rizzi, Leonardelli, Poesio, Uma, Pavlovic, Paun, Rosso and Fersini (2024), Soft metrics for evaluation with
    disagreements: an assessment, NLPerspectives workshop.

    Args:
        truth: (N, K) soft labels p.
        prediction: (N, K) probabilities q.

    Returns:
        Mean over segments in [0, 2], 0 for equal and 2 for disjoint distributions. NaN for no segment.

    Raises:
        ValueError: As ``jensen_shannon_divergence``.
    """
    p, q = as_paired_distributions(truth, prediction)
    return float(np.abs(p - q).sum(axis=1).mean()) if len(p) else np.nan


def soft_micro_f1(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    """F1 of shares in place of counts: what truth and prediction share over what they hold.

    ``2 * sum min(p, q) / (sum p + sum q)``, sums over all segments and emotions; for one-hot p and q it is micro F1. As
    every row sums to 1, it equals 1 - L1 / 2 with ``manhattan_distance``: the same finding on the scale of F1.

    Source: Harju and Mesaros (2023), Evaluating classification systems against soft labels with fuzzy precision and recall,
    DCASE workshop, 46-50.

    Args:
        truth: (N, K) soft labels p.
        prediction: (N, K) probabilities q.

    Returns:
        In [0, 1], 1 for equal distributions. NaN for no segment.

    Raises:
        ValueError: As ``jensen_shannon_divergence``.
    """
    p, q = as_paired_distributions(truth, prediction)
    return float(2 * np.minimum(p, q).sum() / (p.sum() + q.sum())) if len(p) else np.nan


def multilabel_macro_f1(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    """Macro F1 of emotions whose share is above 1 / K, in the raters' votes and in the prediction: several a segment, or none.

    ``F1_k = 2 tp_k / (n truly k + n predicted k)``, its plain mean over the emotions that occur in truth or prediction. A
    share of exactly 1 / K (to within 1e-9) is not above it.

    Source: the protocol of Wu, Chou, Chang, Goncalves, Du, Jang, Lee and Lee (2024), EMO-SUPERB: an in-depth look at speech
    emotion recognition, arXiv:2402.13018.

    Args:
        truth: (N, K) soft labels.
        prediction: (N, K) probabilities.

    Returns:
        In [0, 1]. NaN for no segment, and where no emotion occurs.

    Raises:
        ValueError: As ``jensen_shannon_divergence``.
    """
    is_true, is_predicted = (part > 1 / part.shape[1] + 1e-9 for part in as_paired_distributions(truth, prediction))
    total = is_true.sum(axis=0) + is_predicted.sum(axis=0)
    hits = 2 * (is_true & is_predicted).sum(axis=0)
    return float((hits[total > 0] / total[total > 0]).mean()) if total.any() else np.nan


def entropy_correlation(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    """Spearman's rank correlation of predicted and vote entropy over segments: is the model unsure where raters disagree?

    Ranks, because a label kind may sharpen all labels alike without changing which are flatter. Equal entropies get the mean
    of their ranks.

    Args:
        truth: (N, K) soft labels.
        prediction: (N, K) probabilities.

    Returns:
        In [-1, 1]. NaN for fewer than two segments, and where all entropies of truth or of prediction are equal.

    Raises:
        ValueError: As ``jensen_shannon_divergence``.
    """
    # rounded: the same shares in another order add up to another last digit
    of_truth, of_prediction = (np.round(entropy(part), 12) for part in as_paired_distributions(truth, prediction))
    if len(of_truth) < 2 or np.ptp(of_truth) == 0 or np.ptp(of_prediction) == 0:
        return np.nan
    return float(stats.spearmanr(of_truth, of_prediction).statistic)


def expected_calibration_error(*, hard_label: np.ndarray, probs: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error of the top label: how far confidence is from accuracy.

    ``ECE = sum_b (n_b / N) * |accuracy(b) - mean confidence(b)|`` over equal-width bins ``((b - 1)/B, b/B]`` of the
    largest probability. Two equal largest probabilities: the first emotion is the prediction.

    Source: Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML, eq. 2-3.

    Args:
        hard_label: (N,) indices of emotions.
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


def agreement_strata(n_raters: int | None) -> tuple[str, ...]:
    """Names of the agreement strata, from least to most agreed: in votes for ten raters, in shares for any other number."""
    return AGREEMENT_STRATA if n_raters == 10 else AGREEMENT_SHARES


def agreement_stratum(votes: np.ndarray, n_raters: int | None) -> np.ndarray:
    """How well the raters agreed on each segment, by the majority emotion's share of the votes.

    The shares of 60, 80 and 100 percent divide the strata. For ten raters these are 6, 8 and 10 votes.

    Args:
        votes: (N, K) counts.
        n_raters: Raters of every segment; None where their number differs. The names of the strata depend on it.

    Returns:
        (N,) strings, each of ``agreement_strata``; empty where nobody voted.

    Raises:
        ValueError: Not (N, K), a negative count, or a row that does not sum to ``n_raters``.
    """
    votes = np.asarray(votes)
    if votes.ndim != 2:
        raise ValueError(f"Votes need one count per emotion: expected (N, K), got shape {votes.shape}.")
    total = votes.sum(axis=1)
    if (votes < 0).any() or (n_raters is not None and (total != n_raters).any()):
        raise ValueError(f"Votes must be those of all raters: expected counts >= 0 that sum to {n_raters}, got others.")
    # whole numbers: 3 of 5 is 60 percent exactly
    reached = sum((100 * votes.max(axis=1) >= bound * total).astype(int) for bound in (60, 80, 100))
    return np.where(total > 0, np.array(agreement_strata(n_raters))[reached], "")
