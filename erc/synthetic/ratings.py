"""What ten raters say of a segment: emotion, valence and arousal."""

from __future__ import annotations

import numpy as np

from erc.data import EMOTIONS, N_RATERS, VA_MAX, VA_MIN, Corpus

CONFUSION = np.array(  # a row per latent emotion: what a rater says who misses it
    [  # sur, fear, ang, neu, hap, sad, dis
        [0.00, 0.15, 0.12, 0.50, 0.18, 0.02, 0.03],
        [0.50, 0.00, 0.15, 0.20, 0.00, 0.10, 0.05],
        [0.12, 0.03, 0.00, 0.42, 0.00, 0.13, 0.30],
        [0.17, 0.03, 0.24, 0.00, 0.30, 0.12, 0.14],
        [0.20, 0.00, 0.03, 0.72, 0.00, 0.03, 0.02],
        [0.04, 0.08, 0.20, 0.60, 0.02, 0.00, 0.06],
        [0.06, 0.03, 0.42, 0.42, 0.00, 0.07, 0.00],
    ]
)

VA_RATER = 0.65
"""Standard deviation of valence and arousal between raters."""

VA_STRETCH = 1.12
"""Moves the centroids away from the middle of the scale, because clipping to 1-5 moves the means towards it."""


def rate(
    latent: np.ndarray, ambiguity: np.ndarray, shift: np.ndarray, corpus: Corpus, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Ten raters' emotions, valence and arousal.

    A rater says the latent emotion. With the segment's ambiguity as the chance, the rater misses it and says an emotion
    that it is confused with. Valence and arousal scatter around the middle between two centroids: that of the latent
    emotion and that of the emotion said.

    Args:
        latent: (N,) indices into ``EMOTIONS``.
        ambiguity: (N,) in [0, 1].
        shift: (N, 2) valence and arousal beyond the centroid.
        corpus: Whose centroids to use.
        rng: Random generator.

    Returns:
        (N, R) indices into ``EMOTIONS`` and (N, R, 2) integers from 1 to 5.
    """
    chance = (1 - ambiguity[:, None]) * np.eye(len(EMOTIONS))[latent] + ambiguity[:, None] * CONFUSION[latent]  # (N, K)
    draws = rng.random((len(latent), N_RATERS))
    ratings = (draws[:, :, None] > chance.cumsum(axis=1)[:, None, :]).sum(axis=2).clip(max=len(EMOTIONS) - 1)
    centroids = 3 + VA_STRETCH * (np.array(corpus.centroids) - 3)
    mean = (centroids[latent][:, None, :] + centroids[ratings]) / 2 + shift[:, None, :]
    va = (mean + VA_RATER * rng.standard_normal(mean.shape)).round().clip(VA_MIN, VA_MAX).astype(int)
    return ratings, va
