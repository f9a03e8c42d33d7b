"""How well one rater predicts the others: a reference for a model's figures, not an upper bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from erc.evaluation.checks import Segments, as_class_indices
from erc.evaluation.cluster_sums import (
    CONFUSION_METRICS,
    ClusterSums,
    confusion_scores,
    confusion_sums,
    moment_concordance,
    moment_sums,
)
from erc.labels import N_EMOTIONS, VA_MAX, VA_MIN, count_votes, is_tied


def rater_reference(ds: Segments) -> dict[str, float]:
    """``leave_one_rater_out`` over a data set's segments.

    Args:
        ds: ``HF_KEMD(...).ds``.
    """
    names = ["emotion_ratings", "valence_ratings", "arousal_ratings"]
    ratings = ds.select_columns(names).to_pandas()
    return leave_one_rater_out(*(np.stack(ratings[name].to_numpy()) for name in names))


def leave_one_rater_out(
    emotion_ratings: np.ndarray, valence_ratings: np.ndarray, arousal_ratings: np.ndarray
) -> dict[str, float]:
    """How well one rater predicts the other nine, averaged over raters.

    Each rater in turn is the prediction. Emotion: the truth is the plurality of the others; segments on which the
    others tie are left out for that rater. Valence and arousal: the truth is the mean of the others, by CCC (Lin 1989,
    dividing by n). This is no upper bound: a model is scored against the vote of all ten, and it can average out the
    noise of a single rater. A column counts as one rater, whether or not one person filled all of it.

    Args:
        emotion_ratings: (N, raters) integers, indices into ``EMOTIONS``.
        valence_ratings: (N, raters) 1 to 5.
        arousal_ratings: (N, raters) 1 to 5.

    Returns:
        ``weighted_f1``, ``micro_f1``, ``macro_f1`` in [0, 1], ``ccc_valence``, ``ccc_arousal`` in [-1, 1]: means over
        raters, NaN where the number of any rater is (every segment tied, no segment, constant ratings).

    Raises:
        ValueError: Shapes that differ, fewer than two raters, or ratings outside the scale.
    """
    emotion_ratings, valence_ratings, arousal_ratings = map(
        np.asarray, (emotion_ratings, valence_ratings, arousal_ratings)
    )
    shapes = [ratings.shape for ratings in (emotion_ratings, valence_ratings, arousal_ratings)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][1] < 2:
        raise ValueError(f"Ratings must align: expected three times (N, raters) with two raters or more, got {shapes}.")
    emotion_ratings = as_class_indices("emotion_ratings", emotion_ratings, N_EMOTIONS)
    for name, ratings in (("valence_ratings", valence_ratings), ("arousal_ratings", arousal_ratings)):
        if not ((ratings >= VA_MIN) & (ratings <= VA_MAX)).all():
            raise ValueError(f"{name} must be on the scale: expected {VA_MIN} to {VA_MAX}, got others or NaN.")

    votes = count_votes(emotion_ratings)  # (N, K)
    per_rater = []
    for rater in range(emotion_ratings.shape[1]):
        others = votes - count_votes(emotion_ratings[:, [rater]])
        is_clear = ~is_tied(others)
        scores = confusion_scores(
            _whole(confusion_sums, others[is_clear].argmax(axis=1), emotion_ratings[is_clear, rater])
        )
        cccs = [
            moment_concordance(_whole(moment_sums, np.delete(ratings, rater, axis=1).mean(axis=1), ratings[:, rater]))
            for ratings in (valence_ratings, arousal_ratings)
        ]
        per_rater.append([*scores[:3], *cccs])
    names = (*CONFUSION_METRICS[:3], "ccc_valence", "ccc_arousal")
    return dict(zip(names, np.mean(per_rater, axis=0).tolist(), strict=True))


def _whole(make_sums: Callable[..., ClusterSums], truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Sums over all segments, as one cluster."""
    return make_sums(truth=truth, prediction=prediction, clusters=np.zeros(len(truth))).sums.sum(axis=0)
