"""PeakL, the paper's label transform: flat votes become a peaked target.

Source: Cho, Ryu and Wallraven (2023), "Improving Multimodal Emotion Recognition using Tensor Mixer Network and
Peaking Labels". Convention: natural logarithm, 0 log 0 = 0, K is the number of emotions of the corpus (7 for
KEMD), float64 inside.
"""

from __future__ import annotations

import numpy as np


def peak_label(soft_label: np.ndarray) -> np.ndarray:
    r"""Peaked version of soft labels.

    .. math:: y' = \max\left(0,\; y - \frac{r}{K}\right), \qquad r = -\tanh\Big(\sum_k y_k \ln y_k\Big)

    and then renormalised to sum 1. The flatter the votes, the larger their entropy, the more is taken from every
    emotion; what few raters chose vanishes and the majority's share grows.

    A unanimous label has entropy 0 and stays as it is. A uniform label stays uniform: r < 1, so each entry keeps a
    positive rest of the same size. The largest entry is at least 1/K > r/K, hence never all is taken and no division
    by zero can happen.

    Args:
        soft_label: (..., K) shares, each in [0, 1], rows summing to 1.

    Returns:
        (..., K) float64, rows summing to 1, with the maxima (all of them, in a tie) where they were.

    Raises:
        ValueError: A row is not a distribution (negative, not finite, or its sum is not 1 to 1e-6).

    Examples:
        >>> peak_label(np.array([.9, .1, 0, 0, 0, 0, 0])).round(6)[:2].tolist()
        [0.939436, 0.060564]
        >>> peak_label(np.array([.6, .4, 0, 0, 0, 0, 0])).round(6)[:2].tolist()
        [0.620149, 0.379851]
    """
    y = np.asarray(soft_label, dtype=np.float64)
    # written so that NaN fails too: it is neither >= 0 nor close to anything
    if not (y >= 0).all() or not np.allclose(y.sum(axis=-1), 1.0, rtol=0, atol=1e-6):
        raise ValueError(
            "PeakL takes distributions: expected rows of shares >= 0 that sum to 1. Divide votes by raters."
        )
    log_y = np.log(y, out=np.zeros_like(y), where=y > 0)
    flatness = -np.tanh((y * log_y).sum(axis=-1, keepdims=True))
    peaked = np.maximum(0.0, y - flatness / y.shape[-1])
    return peaked / peaked.sum(axis=-1, keepdims=True)
