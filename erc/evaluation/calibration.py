"""Temperature scaling: how well calibrated predictions are once their overall sharpness is set right.

Label kinds differ in sharpness by design (PeakL's targets are sharper than the votes), so the calibration error of raw
predictions mixes that with everything else. Shapes: N segments, K emotions.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from erc.evaluation.checks import as_class_indices, as_distributions
from erc.evaluation.distributions import PROBABILITY_FLOOR, expected_calibration_error

MAX_TEMPERATURE = 100.0
"""Temperatures are fitted between 1 / 100 and 100. Beyond it predictions are one-hot or even, or there is no best one."""

MAX_PARTS = 10
"""Dialogues are dealt into so many parts at most, and each part is scaled by what the others say."""


def scale(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Soft-max of the logits divided by a temperature, from the probabilities (N, K); the largest stays the largest."""
    return special.softmax(_log(probs) / temperature, axis=1)


def fit_temperature(*, hard_label: np.ndarray, probs: np.ndarray) -> float:
    """Temperature that minimises the negative log likelihood of the hard labels.

    Source: Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML, section 4.2.

    Args:
        hard_label: (N,) indices of emotions.
        probs: (N, K) predicted probabilities; raised to ``PROBABILITY_FLOOR`` before the logarithm.

    Returns:
        Above 1 for predictions that are too sure, below 1 for too unsure ones; an end of 1 / 100 to 100 where the likelihood
        still rises there (all right, or worse than chance). NaN for no segment.

    Raises:
        ValueError: Lengths that differ, an index outside 0 to K - 1, or rows that are no distribution.
    """
    probs = as_distributions("probs", probs)
    hard_label = as_class_indices("hard_label", hard_label, probs.shape[1])
    if hard_label.shape != probs.shape[:1]:
        raise ValueError(f"One label per row of probs: expected shape {probs.shape[:1]}, got {hard_label.shape}.")
    if not len(probs):
        return np.nan
    logits = _log(probs)
    of_truth = logits[np.arange(len(logits)), hard_label].mean()

    def slope(log_inverse: float) -> float:
        """Of the negative log likelihood by the inverse temperature, in which it is convex."""
        weights = special.softmax(np.exp(log_inverse) * logits, axis=1)
        return float((weights * logits).sum(axis=1).mean() - of_truth)

    limit = np.log(MAX_TEMPERATURE)
    if slope(-limit) >= 0:
        return MAX_TEMPERATURE
    if slope(limit) <= 0:
        return 1 / MAX_TEMPERATURE
    return float(np.exp(-optimize.brentq(slope, -limit, limit, xtol=1e-9)))


def scaled_calibration_error(
    *, hard_label: np.ndarray, probs: np.ndarray, dialogues: np.ndarray, n_bins: int = 15
) -> float:
    """``expected_calibration_error`` after temperature scaling, no segment being scaled by what its own dialogue says.

    The dialogues, sorted by name, are dealt into ``MAX_PARTS`` parts (with so few dialogues each is a part). The temperature
    of a part is fitted on all other parts. So the fold that chose a checkpoint does not have to be stored, and the figure is
    of unseen dialogues of the same speakers and sessions, under every protocol.

    Args:
        hard_label: (N,) indices of emotions.
        probs: (N, K) predicted probabilities.
        dialogues: (N,) dialogue of each segment.
        n_bins: As ``expected_calibration_error``.

    Returns:
        Error in [0, 1]. NaN for fewer than two dialogues.

    Raises:
        ValueError: As ``expected_calibration_error``.
    """
    names, index = np.unique(np.asarray(dialogues), return_inverse=True)
    if len(names) < 2:
        return np.nan
    hard_label, probs = np.asarray(hard_label), np.asarray(probs, dtype=np.float64)
    part_of, scaled = index % MAX_PARTS, np.empty_like(probs)
    for part in np.unique(part_of):
        held = part_of == part
        scaled[held] = scale(probs[held], fit_temperature(hard_label=hard_label[~held], probs=probs[~held]))
    return expected_calibration_error(hard_label=hard_label, probs=scaled, n_bins=n_bins)


def _log(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probs, PROBABILITY_FLOOR))
