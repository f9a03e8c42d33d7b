"""How well one rater predicts the others: a reference for a model's figures, not an upper bound."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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
from erc.labels import LabelSpace, count_votes, is_tied


def rater_reference(ds: Segments, label_space: LabelSpace) -> dict[str, float]:
    """``leave_one_rater_out`` over a data set's segments.

    Args:
        ds: ``HF_KEMD(...).ds``.
        label_space: Of the data set.

    Returns:
        Its figures; empty where the data set does not say which rater said what, or not every rater rated every segment.
    """
    names = [f"{name}_ratings" for name in ("emotion", *label_space.dimensions)]
    if label_space.n_raters is None or label_space.n_raters < 2 or not set(names) <= set(ds.column_names):
        return {}
    ratings = ds.select_columns(names).to_pandas()
    emotion, *dimensions = (np.stack(ratings[name].to_numpy()) for name in names)
    return leave_one_rater_out(label_space, emotion, *dimensions)


def leave_one_rater_out(
    label_space: LabelSpace, emotion_ratings: np.ndarray, *dimension_ratings: np.ndarray
) -> dict[str, float]:
    """How well one rater predicts the others, averaged over raters.

    Each rater in turn is the prediction. Emotion: the truth is the plurality of the others; segments on which the
    others tie are left out for that rater. Valence and arousal: the truth is the mean of the others, by CCC (Lin 1989,
    dividing by n). This is no upper bound: a model is scored against the vote of all raters, and it can average out the
    noise of a single rater. A column counts as one rater, whether or not one person filled all of it.

    Args:
        label_space: Emotions, dimensions and their scale.
        emotion_ratings: (N, raters) integers, indices of emotions.
        dimension_ratings: (N, raters) of each dimension, on the scale.

    Returns:
        ``weighted_f1``, ``micro_f1``, ``macro_f1`` in [0, 1], ``ccc_<dimension>`` in [-1, 1]: means over raters, NaN where the
        number of any rater is (every segment tied, no segment, constant ratings).

    Raises:
        ValueError: Shapes that differ, fewer than two raters, or ratings outside the scale.
    """
    emotion_ratings, dimensions = np.asarray(emotion_ratings), [np.asarray(ratings) for ratings in dimension_ratings]
    shapes = [ratings.shape for ratings in (emotion_ratings, *dimensions)]
    n_expected = 1 + len(label_space.dimensions)
    if len(shapes) != n_expected or len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][1] < 2:
        raise ValueError(
            f"Ratings must align: expected {n_expected} times (N, raters) with two raters or more, got {shapes}."
        )
    emotion_ratings = as_class_indices("emotion_ratings", emotion_ratings, label_space.n_emotions)
    for name, ratings in zip(label_space.dimensions, dimensions, strict=True):
        low, high = label_space.scale or (0, 0)
        if not ((ratings >= low) & (ratings <= high)).all():
            raise ValueError(f"{name}_ratings must be on the scale: expected {low:g} to {high:g}, got others or NaN.")

    def count(ratings: np.ndarray) -> np.ndarray:
        return count_votes(ratings, label_space.n_emotions)

    def confusions(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return _whole(partial(confusion_sums, n_classes=label_space.n_emotions), truth, prediction)

    votes = count(emotion_ratings)  # (N, K)
    per_rater = []
    for rater in range(emotion_ratings.shape[1]):
        others = votes - count(emotion_ratings[:, [rater]])
        is_clear = ~is_tied(others)
        scores = confusion_scores(confusions(others[is_clear].argmax(axis=1), emotion_ratings[is_clear, rater]))
        cccs = [
            moment_concordance(_whole(moment_sums, np.delete(ratings, rater, axis=1).mean(axis=1), ratings[:, rater]))
            for ratings in dimensions
        ]
        per_rater.append([*scores[:3], *cccs])
    names = (*CONFUSION_METRICS[:3], *(f"ccc_{name}" for name in label_space.dimensions))
    return dict(zip(names, np.mean(per_rater, axis=0).tolist(), strict=True))


def _whole(make_sums: Callable[..., ClusterSums], truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Sums over all segments, as one cluster."""
    return make_sums(truth=truth, prediction=prediction, clusters=np.zeros(len(truth))).sums.sum(axis=0)
