"""What raters were asked, and what their votes become: soft label, hard label, tie.

Comes in: vote counts per emotion. Goes out: NumPy arrays. No file is read here.
Conventions: the emotions of a corpus, their order, its raters and its dimensions are one value, ``LabelSpace``, made by the
corpus and carried by the data set, the model and the results. Votes, labels and predictions stand in its order
everywhere. A segment is *tied* when two or more emotions share the largest count. A segment that nobody voted on has votes
of zero: it has no emotion label, and it is not tied.
Shapes: N segments, K emotions, D dimensions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DIMENSIONS = ("valence", "arousal", "dominance")
"""Dimensions that a corpus may rate, in the order in which they stand everywhere."""

NO_LABEL = -1
"""Hard label of a segment that nobody voted on."""


@dataclass(frozen=True)
class LabelSpace:
    """The questions that the raters of a corpus answered.

    Attributes:
        emotions: Names of the emotions, in the order of all vectors of votes and probabilities; two or more.
        dimensions: Those of ``DIMENSIONS`` that were rated, in that order; empty where none was.
        scale: Lowest and highest rating of every dimension; None where there is no dimension.
        n_raters: Raters of every segment; None where their number differs from segment to segment.

    Raises:
        ValueError: Fewer than two emotions, a name twice or empty, an unknown dimension, or no scale for the dimensions.
    """

    emotions: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    n_raters: int | None = None

    def __post_init__(self) -> None:
        names = self.emotions
        if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
            raise ValueError(
                f"A label space has two emotions or more, each with a name of its own: got {', '.join(map(str, names)) or 'none'}."
            )
        if self.dimensions != tuple(name for name in DIMENSIONS if name in self.dimensions):
            raise ValueError(
                f"Dimensions must be some of {', '.join(DIMENSIONS)}, in that order: got {', '.join(self.dimensions)}."
            )
        if bool(self.dimensions) != (self.scale is not None):
            raise ValueError(
                "Dimensions need a scale, and a scale needs dimensions: got dimensions "
                f"{', '.join(self.dimensions) or 'none'} and scale {self.scale}."
            )
        if self.scale is not None and not (np.isfinite(self.scale).all() and self.scale[0] < self.scale[1]):
            raise ValueError(f"A scale runs from its lowest to its highest rating: got {self.scale}.")
        if self.n_raters is not None and self.n_raters < 1:
            raise ValueError(f"Segments have one rater or more: got {self.n_raters}.")

    @property
    def n_emotions(self) -> int:
        """K."""
        return len(self.emotions)

    @property
    def has_plane(self) -> bool:
        """Whether valence and arousal were rated, so that segments have a place in the plane."""
        return {"valence", "arousal"} <= set(self.dimensions)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as ``result.json`` has them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: Any) -> LabelSpace:
        """Reads ``to_json``.

        Raises:
            ValueError: It is no label space.
        """
        try:
            scale = stored["scale"]
            return cls(
                tuple(stored["emotions"]),
                tuple(stored["dimensions"]),
                None if scale is None else (float(scale[0]), float(scale[1])),
                stored["n_raters"],
            )
        except (KeyError, TypeError, IndexError) as err:
            raise ValueError(f"a label space has emotions, dimensions, scale and n_raters: got {stored!r}") from err

    def differences(self, other: LabelSpace) -> list[str]:
        """In which questions two label spaces differ, one line each; empty where they are equal."""
        mine, theirs = self.to_json(), other.to_json()
        return [f"{name}: {mine[name]} and {theirs[name]}" for name in mine if mine[name] != theirs[name]]


def count_votes(emotion_ratings: np.ndarray, n_emotions: int) -> np.ndarray:
    """Votes per emotion.

    Args:
        emotion_ratings: (N, raters) integers, each the index of an emotion; ``NO_LABEL`` where a rater gave none.
        n_emotions: K.

    Returns:
        (N, K) int64 counts; a row sums to the number of raters who voted.
    """
    emotion_ratings = np.asarray(emotion_ratings)
    return (emotion_ratings[:, :, None] == np.arange(n_emotions)).sum(axis=1)


def soft_label(votes: np.ndarray) -> np.ndarray:
    """Share of raters who chose each emotion: votes / raters.

    Args:
        votes: (..., K) counts; the number of raters may differ from row to row.

    Returns:
        (..., K) float64 in [0, 1]; rows sum to 1. A row without any vote is NaN: nothing is known of it.

    Examples:
        >>> soft_label(np.array([0, 0, 2, 7, 0, 1, 0])).tolist()
        [0.0, 0.0, 0.2, 0.7, 0.0, 0.1, 0.0]
        >>> soft_label(np.array([[1, 3], [0, 0]])).tolist()
        [[0.25, 0.75], [nan, nan]]

    Raises:
        ValueError: A row has a negative count, or one that is not finite.
    """
    votes = np.asarray(votes, dtype=np.float64)
    if not ((votes >= 0) & np.isfinite(votes)).all():  # so written that NaN fails, too
        raise ValueError("Votes must be counts: expected finite numbers >= 0, got others.")
    total = votes.sum(axis=-1, keepdims=True)
    return np.divide(votes, total, out=np.full_like(votes, np.nan), where=total > 0)


def has_votes(votes: np.ndarray) -> np.ndarray:
    """Whether anybody voted on a segment; (..., K) -> (...) bool."""
    return np.asarray(votes).sum(axis=-1) > 0


def is_tied(votes: np.ndarray) -> np.ndarray:
    """Whether two or more emotions share the largest count, and anybody voted; (..., K) -> (...) bool."""
    votes = np.asarray(votes)
    return ((votes == votes.max(axis=-1, keepdims=True)).sum(axis=-1) > 1) & has_votes(votes)


def hard_label(votes: np.ndarray, va: np.ndarray | None = None, centroids: np.ndarray | None = None) -> np.ndarray:
    """Majority emotion; a tie goes to the tied emotion whose centroid is nearest in the valence-arousal plane.

    Tie-breaking follows Cho, Ryu and Wallraven (2023); the centroids of both corpora stand in ``corpora.py``. Without
    centroids, or without a place in the plane, a tie goes to the first of the tied emotions.
    No headline metric counts tied segments. The rule therefore only decides which emotion a tied segment is listed under.

    Args:
        votes: (N, K) counts.
        va: (N, 2) mean valence and arousal; NaN where unknown.
        centroids: (K, 2) valence and arousal of each emotion.

    Returns:
        (N,) int64, indices of emotions; ``NO_LABEL`` for a segment that nobody voted on.
    """
    votes = np.asarray(votes)
    distance = np.zeros(votes.shape)
    if va is not None and centroids is not None:
        va, centroids = np.asarray(va, dtype=np.float64), np.asarray(centroids, dtype=np.float64)
        distance = np.nan_to_num(np.linalg.norm(va[:, None, :] - centroids[None, :, :], axis=-1))  # (N, K)
    has_majority = votes == votes.max(axis=-1, keepdims=True)
    nearest = np.where(has_majority, distance, np.inf).argmin(axis=-1)
    return np.where(has_votes(votes), nearest, NO_LABEL)


def one_hot(hard: np.ndarray, n_emotions: int) -> np.ndarray:
    """(N,) indices -> (N, K) float64 rows with a single 1; a row of NaN for ``NO_LABEL``."""
    hard = np.asarray(hard, dtype=np.int64)
    return np.where(hard[:, None] == NO_LABEL, np.nan, np.eye(n_emotions, dtype=np.float64)[hard])


def smooth_label(one_hot_label: np.ndarray, epsilon: float) -> np.ndarray:
    """Label smoothing: ``(1 - epsilon) y + epsilon / K``.

    Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the Inception architecture for computer vision, CVPR,
    section 7.

    Args:
        one_hot_label: (..., K) distributions.
        epsilon: Share that all emotions get alike, in [0, 1].

    Returns:
        (..., K) float64, rows summing to 1.

    Examples:
        >>> smooth_label(np.array([0.0, 1.0]), 0.5).tolist()
        [0.25, 0.75]
    """
    y = np.asarray(one_hot_label, dtype=np.float64)
    return (1 - epsilon) * y + epsilon / y.shape[-1]


def sharpen_label(soft_label: np.ndarray, temperature: float) -> np.ndarray:
    """Soft labels sharpened by a temperature T: ``y^(1/T)``, renormalised.

    Below 1 the largest shares grow, equal shares stay equal, and no share of 0 grows; 1 changes nothing.

    Source: Berthelot, Carlini, Goodfellow, Papernot, Oliver and Raffel (2019), MixMatch, NeurIPS, eq. 7.

    Args:
        soft_label: (..., K) distributions.
        temperature: T, above 0.

    Returns:
        (..., K) float64, rows summing to 1.

    Examples:
        >>> sharpen_label(np.array([0.75, 0.25, 0.0]), 0.5).round(6).tolist()
        [0.9, 0.1, 0.0]
    """
    y = np.asarray(soft_label, dtype=np.float64)
    # the largest share becomes 1 before it is raised, so that nothing overflows or vanishes as a whole
    powered = (y / y.max(axis=-1, keepdims=True)) ** (1 / temperature)
    return powered / powered.sum(axis=-1, keepdims=True)


def drawn_vote(votes: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """One-hot vote of one rater of each segment, every rater being equally likely.

    Args:
        votes: (N, K) counts, at least one a row.
        uniform: (N,) numbers in [0, 1): which rater, of those sorted by their emotion.

    Returns:
        (N, K) float64.
    """
    up_to = np.cumsum(votes, axis=-1)
    rater = np.floor(np.asarray(uniform) * up_to[:, -1])
    return one_hot((up_to <= rater[:, None]).sum(axis=-1), votes.shape[-1])


def entropy(distribution: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats, with 0 log 0 = 0; (..., K) -> (...) float64 in [0, log K]."""
    p = np.asarray(distribution, dtype=np.float64)
    return -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1)
