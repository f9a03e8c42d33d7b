"""Emotion vocabulary, and what ten raters' votes become: soft label, hard label, tie.

Comes in: vote counts per emotion. Goes out: NumPy arrays. No file is read here.
Conventions: emotions stand in the order of ``EMOTIONS`` everywhere (the authors' order); valence stands before
arousal; a segment is *tied* when two or more emotions share the largest count.
Shapes: N segments, K emotions (7).
"""

from __future__ import annotations

import numpy as np

EMOTIONS = ("surprise", "fear", "angry", "neutral", "happy", "sad", "disgust")
N_EMOTIONS = len(EMOTIONS)
N_RATERS = 10
VA_MIN, VA_MAX = 1, 5
"""Valence and arousal are rated on an integer scale from 1 to 5; a segment's value is the mean over raters."""


def count_votes(emotion_ratings: np.ndarray) -> np.ndarray:
    """Votes per emotion.

    Args:
        emotion_ratings: (N, raters) integers, each an index into ``EMOTIONS``.

    Returns:
        (N, K) int64 counts; a row sums to the number of raters.
    """
    emotion_ratings = np.asarray(emotion_ratings)
    return (emotion_ratings[:, :, None] == np.arange(N_EMOTIONS)).sum(axis=1)


def soft_label(votes: np.ndarray) -> np.ndarray:
    """Share of raters who chose each emotion: votes / raters.

    Args:
        votes: (..., K) counts.

    Returns:
        (..., K) float64 in [0, 1]; rows sum to 1.

    Examples:
        >>> soft_label(np.array([0, 0, 2, 7, 0, 1, 0])).tolist()
        [0.0, 0.0, 0.2, 0.7, 0.0, 0.1, 0.0]

    Raises:
        ValueError: A row has a negative count, no vote at all, or not K entries.
    """
    votes = np.asarray(votes, dtype=np.float64)
    if votes.shape[-1] != N_EMOTIONS:
        raise ValueError(f"Votes need one count per emotion: expected {N_EMOTIONS} columns, got shape {votes.shape}.")
    total = votes.sum(axis=-1, keepdims=True)
    if not ((votes >= 0).all() and (total > 0).all()):  # so written that NaN fails, too
        raise ValueError("Votes must be counts of at least one rater: got a negative count or an all-zero row.")
    return votes / total


def is_tied(votes: np.ndarray) -> np.ndarray:
    """Whether two or more emotions share the largest count; (..., K) -> (...) bool."""
    votes = np.asarray(votes)
    return (votes == votes.max(axis=-1, keepdims=True)).sum(axis=-1) > 1


def hard_label(votes: np.ndarray, va: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Majority emotion; a tie goes to the tied emotion whose centroid is nearest in the valence-arousal plane.

    Tie-breaking follows Cho, Ryu and Wallraven (2023); the centroids of both corpora stand in ``corpora.py``.
    No headline metric counts tied segments. The rule therefore only decides which emotion a tied segment is listed under.

    Args:
        votes: (N, K) counts.
        va: (N, 2) mean valence and arousal, 1 to 5.
        centroids: (K, 2) valence and arousal of each emotion.

    Returns:
        (N,) int64, indices into ``EMOTIONS``.
    """
    votes, va, centroids = np.asarray(votes), np.asarray(va, dtype=np.float64), np.asarray(centroids, dtype=np.float64)
    distance = np.linalg.norm(va[:, None, :] - centroids[None, :, :], axis=-1)  # (N, K)
    has_majority = votes == votes.max(axis=-1, keepdims=True)
    return np.where(has_majority, distance, np.inf).argmin(axis=-1)


def one_hot(hard: np.ndarray) -> np.ndarray:
    """(N,) indices -> (N, K) float64 rows with a single 1."""
    return np.eye(N_EMOTIONS, dtype=np.float64)[np.asarray(hard, dtype=np.int64)]
