"""How well one half of the raters predicts the other half: a reference for measures of label distributions.

The halves are drawn from the vote counts, so it need not be known who said what. It is no upper bound: a model is scored against
all raters, and half of them give a noisier label. Shapes: N segments, K emotions.
"""

from __future__ import annotations

import numpy as np

from erc.evaluation.distributions import (
    entropy_correlation,
    jensen_shannon_divergence,
    manhattan_distance,
    multilabel_macro_f1,
    soft_micro_f1,
)
from erc.labels import soft_label

MIN_VOTES = 4
"""Votes that a segment needs: with fewer, a half is one rater, and says nothing about disagreement."""

N_SPLITS = 20


def split_votes(votes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Votes of a random half of each segment's raters, and of the others: a draw from the multivariate hypergeometric.

    Args:
        votes: (N, K) counts.
        rng: Draws.

    Returns:
        Two times (N, K) int64: half of the votes, rounded down, and the rest.
    """
    votes = np.asarray(votes, dtype=np.int64)
    total = votes.sum(axis=1)
    up_to = np.cumsum(votes, axis=1)
    raters = np.arange(total.max(initial=0))
    emotion = (up_to[:, None, :] <= raters[None, :, None]).sum(axis=2)  # (N, raters); K for a rater who is not there
    keys = np.where(raters < total[:, None], rng.random(emotion.shape), np.inf)
    rank = keys.argsort(axis=1).argsort(axis=1)
    is_first = (rank < total[:, None] // 2)[:, :, None]
    first = ((emotion[:, :, None] == np.arange(votes.shape[1])) & is_first).sum(axis=1)
    return first, votes - first


def half_of_raters(votes: np.ndarray, seed: int = 42) -> dict[str, float]:
    """Measures of one half of the raters as the prediction and the other as the truth, mean over ``N_SPLITS`` random splits.

    Args:
        votes: (N, K) counts; segments with fewer than ``MIN_VOTES`` do not count.
        seed: Of the splits.

    Returns:
        ``jsd``, ``manhattan``, ``soft_micro_f1``, ``multilabel_macro_f1``, and ``entropy_correlation`` where votes disagree;
        empty where no segment has enough votes.
    """
    votes = np.asarray(votes)
    votes = votes[votes.sum(axis=1) >= MIN_VOTES]
    if not len(votes):
        return {}
    rng, found = np.random.default_rng(seed), []
    for _ in range(N_SPLITS):
        prediction, truth = (soft_label(half) for half in split_votes(votes, rng))
        found.append(
            {
                "jsd": jensen_shannon_divergence(truth=truth, prediction=prediction),
                "manhattan": manhattan_distance(truth=truth, prediction=prediction),
                "soft_micro_f1": soft_micro_f1(truth=truth, prediction=prediction),
                "multilabel_macro_f1": multilabel_macro_f1(truth=truth, prediction=prediction),
                "entropy_correlation": entropy_correlation(truth=truth, prediction=prediction),
            }
        )
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    if not ((votes > 0).sum(axis=1) > 1).any():
        del means["entropy_correlation"]
    return means
