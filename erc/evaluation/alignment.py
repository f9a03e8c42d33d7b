"""Mantel's test of whether the emotions are arranged alike in two spaces."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from erc.evaluation.checks import ROUNDING
from erc.labels import NO_LABEL

MAX_EXACT = 8
"""Most emotions of which every relabelling is looked at: 40,320. Ten would have 3.6 million, twelve 479 million."""

N_SAMPLED = 40_000

MIN_SEGMENTS = 3
"""An emotion with fewer segments gets no centroid and no ellipse."""


class Mantel(NamedTuple):
    """Result of Mantel's test: whether two sets of vectors put the same emotions near one another."""

    rho: float
    """Spearman's correlation of the distances between emotions, in [-1, 1]."""
    p_value: float
    """One-sided: share of the relabellings of the emotions with at least this rho, the emotions as they are among them."""
    n_emotions: int
    n_permutations: int


class MeanMantel(NamedTuple):
    """Mantel's test over several folds, each with a network and a space of its own."""

    rho: float
    """Mean over the folds, in [-1, 1]."""
    p_value: float
    """One-sided: share of the relabellings whose mean is at least this one."""
    null_low: float
    """The middle 95 % of the relabellings' means begin here,"""
    null_high: float
    """and end here."""
    n_folds: int


def mantel(va: np.ndarray, vectors: np.ndarray, hard_label: np.ndarray) -> Mantel:
    r"""Mantel test between the emotions' distances in the valence-arousal plane and among some vectors.

    Spearman's rank correlation of the distances between emotion centroids, K (K - 1) / 2 of them; p from all K!
    relabellings of the emotions up to ``MAX_EXACT`` emotions (exact, nothing is sampled), and from
    ``N_SAMPLED`` random ones, always the same, for more.

    The distance between two estimated centroids is too long on average, because of their sampling noise. The excess is
    largest for rare emotions. Uncorrected, it would look like an arrangement of its own, and it would move rho below 0 for
    shuffled labels, where rho should be 0. The expected excess is therefore subtracted from the squared distances,
    :math:`\hat d^2_{ij} = \|\bar x_i - \bar x_j\|^2 - \operatorname{tr} S_i / n_i - \operatorname{tr} S_j / n_j`.

    The relabelling test assumes that the centroids of all emotions are equally noisy, but those of rare emotions are
    noisier. With shuffled labels, about 7 % of worlds come out below p = .05 (3 to 10 % in simulations of unequal
    emotions). A model *trained* on valence and arousal is pushed towards alignment by its own loss: compare it with a model
    that was not.

    Sources: Mantel (1967), Cancer Research 27:209-220; Walther et al. (2016), NeuroImage 137:188-200, on
    unbiased distances.

    Args:
        va: (N, 2) valence and arousal by the raters.
        vectors: (N, D) of the same segments.
        hard_label: (N,) index of each segment's emotion; leave tied segments out.

    Returns:
        rho and p over the emotions with ``MIN_SEGMENTS`` segments or more; NaN for fewer than three such emotions, or where
        all distances are equal. The smallest p is 1/6 for three emotions and 1/24 for four.

    Raises:
        ValueError: Lengths differ.
    """
    return tested(relabelled(va, vectors, hard_label), len(present_emotions(np.asarray(hard_label))))


def tested(rho: np.ndarray, n_emotions: int) -> Mantel:
    """Result of ``mantel`` from what ``relabelled`` returns for so many emotions."""
    n_permutations = math.factorial(n_emotions) if n_emotions <= MAX_EXACT else N_SAMPLED
    if not len(rho):
        return Mantel(np.nan, np.nan, n_emotions, n_permutations)
    return Mantel(float(rho[0]), float((rho >= rho[0] - ROUNDING).mean()), n_emotions, n_permutations)


def relabelled(va: np.ndarray, vectors: np.ndarray, hard_label: np.ndarray) -> np.ndarray:
    """(P,) rho of ``mantel`` under every relabelling of the emotions: what rho would be if the arrangement were chance.

    The first is that of the emotions as they are. Empty where rho is not defined. Arguments and errors as ``mantel``.
    """
    va, vectors, hard_label = as_same_length(va=va, vectors=vectors, hard_label=hard_label)
    present = present_emotions(hard_label)
    k = len(present)
    if k < 3:
        return np.zeros(0)
    one, other = np.triu_indices(k, 1)
    ranks = [rankdata(_squared_distances(points, hard_label, present)[one, other]) for points in (va, vectors)]
    fixed, moving = (rank - rank.mean() for rank in ranks)
    if not (fixed.any() and moving.any()):
        return np.zeros(0)
    matrix = np.zeros((k, k))
    matrix[one, other] = matrix[other, one] = moving
    orders = _relabellings(k)
    return matrix[orders[:, one], orders[:, other]] @ fixed / np.sqrt((fixed**2).sum() * (moving**2).sum())


def mean_over_folds(by_fold: Sequence[np.ndarray], n_samples: int = 40_000) -> MeanMantel:
    """Mean of rho over folds, against the means that relabellings give, drawn in each fold by itself.

    Args:
        by_fold: ``relabelled`` of each fold. A fold where rho is not defined is left out.
        n_samples: Means that are drawn, always the same; the observed one is among them.

    Returns:
        NaN where rho is defined in no fold.
    """
    known = [rho for rho in by_fold if len(rho)]
    if not known:
        return MeanMantel(np.nan, np.nan, np.nan, np.nan, 0)
    rng = np.random.default_rng(0)
    null = np.mean([rho[rng.integers(len(rho), size=n_samples)] for rho in known], axis=0)
    null[0] = mean = float(np.mean([rho[0] for rho in known]))
    low, high = np.quantile(null, (0.025, 0.975))
    return MeanMantel(mean, float((null >= mean - ROUNDING).mean()), float(low), float(high), len(known))


def _relabellings(k: int) -> np.ndarray:
    """(n, k) orders of k emotions; the first is the emotions as they are."""
    if k <= MAX_EXACT:
        return np.array(list(itertools.permutations(range(k))))
    drawn = np.random.default_rng(0).permuted(np.tile(np.arange(k), (N_SAMPLED - 1, 1)), axis=1)
    return np.concatenate([np.arange(k)[None], drawn])


def _squared_distances(points: np.ndarray, hard_label: np.ndarray, present: list[int]) -> np.ndarray:
    """(K, K) unbiased squared distances between centroids; they can come out below 0."""
    members = [points[hard_label == index] for index in present]
    centroids = np.array([part.mean(axis=0) for part in members])
    noise = np.array([part.var(axis=0, ddof=1).sum() / len(part) for part in members])
    return ((centroids[:, None] - centroids[None]) ** 2).sum(axis=-1) - noise[:, None] - noise[None]


def present_emotions(hard_label: np.ndarray) -> list[int]:
    """Indices of the emotions with ``MIN_SEGMENTS`` segments or more."""
    found, counts = np.unique(hard_label, return_counts=True)
    return [int(index) for index, n in zip(found, counts, strict=True) if index != NO_LABEL and n >= MIN_SEGMENTS]


def as_same_length(**arrays: np.ndarray) -> list[np.ndarray]:
    """Arrays with one row for each segment; raises ValueError where they differ in length."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"One row a segment: expected arrays of one length, got {lengths}.")
    return [np.asarray(array) for array in arrays.values()]
