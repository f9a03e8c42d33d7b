"""What is reported: F1, accuracy, recall, AUROC and concordance over a whole fold at once, never a mean over batches.

Conventions, where libraries disagree:

- Tied segments are left out of every headline metric, so that all rows of the table are scored on the same segments;
  ``ccc_valence_all`` and ``ccc_arousal_all`` are over all segments.
- F1 averages as scikit-learn does by default: ``macro_f1`` is over the emotions that occur in truth or prediction.
- ``uar`` (unweighted average recall) and ``auroc`` (one against the rest, macro) are over the emotions that occur in the
  truth; an absent emotion has no recall and no curve, and is left out, not counted as 0.
- ``accuracy`` equals ``micro_f1``: each segment has one true and one predicted emotion.
- ``ccc_*`` is Lin (1989), "A concordance correlation coefficient to evaluate reproducibility", with moments divided by n
  (torchmetrics divides by n - 1). A constant prediction gives 0; two equal constants give NaN.
- A segment that nobody voted on counts in no figure on emotions; one without a rating of a dimension not in that dimension's.
- No segment gives NaN everywhere; a NaN prediction is an error.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from erc.labels import NO_LABEL, LabelSpace

ON_EMOTIONS = ("weighted_f1", "micro_f1", "macro_f1", "accuracy", "uar", "auroc")


def concordance(*, truth: np.ndarray, prediction: np.ndarray) -> float:
    r"""Concordance correlation coefficient, :math:`2 s_{xy} / (s_x^2 + s_y^2 + (\bar x - \bar y)^2)` (Lin, 1989).

    Args:
        truth: (N,) values.
        prediction: (N,) values.

    Returns:
        In [-1, 1]; 0 where one of the two is constant; NaN where both are the same constant, or N is 0.

    Examples:
        >>> concordance(truth=np.array([1.0, 2.0, 3.0]), prediction=np.array([1.0, 2.0, 3.0]))
        1.0
        >>> round(concordance(truth=np.array([1.0, 2.0, 3.0]), prediction=np.array([2.0, 3.0, 4.0])), 4)
        0.5714
    """
    truth, prediction = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if not len(truth):
        return float("nan")
    is_constant = np.ptp(truth) == 0, np.ptp(prediction) == 0  # decided here: rounding of the means would blur it
    if any(is_constant):
        return float("nan") if all(is_constant) and truth[0] == prediction[0] else 0.0
    truth_mean, prediction_mean = truth.mean(), prediction.mean()
    covariance = ((truth - truth_mean) * (prediction - prediction_mean)).mean()
    return float(2 * covariance / (truth.var() + prediction.var() + (truth_mean - prediction_mean) ** 2))


def auroc(*, hard_label: np.ndarray, emotion_probs: np.ndarray) -> float:
    """Area under the ROC curve, one emotion against the rest, mean over the emotions that occur.

    The mean is taken here, because scikit-learn's own mean over classes is not defined where a class does not occur.

    Args:
        hard_label: (N,) indices.
        emotion_probs: (N, K) probabilities (not logits: a rank over segments needs one scale).

    Returns:
        In [0, 1]; NaN where fewer than two emotions occur.
    """
    present = np.unique(hard_label)
    if len(present) < 2:
        return float("nan")
    return float(np.mean([roc_auc_score(hard_label == index, emotion_probs[:, index]) for index in present]))


def evaluate(
    *,
    label_space: LabelSpace,
    hard_label: np.ndarray,
    is_tied: np.ndarray,
    va: np.ndarray,
    emotion_probs: np.ndarray,
    pred_va: np.ndarray,
) -> dict[str, float]:
    """All metrics of a set of segments.

    Args:
        label_space: Names of the emotions and dimensions.
        hard_label: (N,) true emotion, an index; ``NO_LABEL`` where nobody voted.
        is_tied: (N,) bool.
        va: (N, R) true dimensions (valence and arousal) on the raters' scale; NaN where not rated.
        emotion_probs: (N, K) predicted probabilities; the largest is the predicted emotion.
        pred_va: (N, R) predicted dimensions.

    Returns:
        ``ON_EMOTIONS``, ``f1_<emotion>`` (NaN where an emotion is in neither truth nor prediction), ``ccc_<dimension>`` and
        ``ccc_<dimension>_all`` of each dimension, ``n_scored``, ``n_tied``. A dimension that was not rated has no figure.

    Raises:
        ValueError: Lengths differ, the columns are not those of the label space, or a prediction is not finite.
    """
    lengths = {len(hard_label), len(is_tied), len(va), len(emotion_probs), len(pred_va)}
    if len(lengths) != 1:
        raise ValueError(f"Truth and prediction must have one row a segment: got lengths {sorted(lengths)}.")
    widths = (np.shape(emotion_probs)[1], np.shape(va)[1], np.shape(pred_va)[1])
    expected = (label_space.n_emotions, len(label_space.dimensions), len(label_space.dimensions))
    if widths != expected:
        raise ValueError(
            f"Emotions and dimensions must be those of the label space: expected {expected[0]} and {expected[1]} columns, got "
            f"{widths[0]} probabilities, {widths[1]} ratings and {widths[2]} predicted ratings."
        )
    if not (np.isfinite(emotion_probs).all() and np.isfinite(pred_va).all()):
        raise ValueError(
            "Predictions must be finite: got NaN or infinity. Training has diverged; lower the learning rate."
        )
    untied = ~np.asarray(is_tied, dtype=bool)
    scored = untied & (np.asarray(hard_label) != NO_LABEL)
    values = _classification(label_space.emotions, np.asarray(hard_label)[scored], np.asarray(emotion_probs)[scored])
    for column, name in enumerate(label_space.dimensions):
        rated = np.isfinite(va[:, column])
        for suffix, chosen in (("", rated & untied), ("_all", rated)):
            values[f"ccc_{name}{suffix}"] = concordance(truth=va[chosen, column], prediction=pred_va[chosen, column])
    values["n_scored"], values["n_tied"] = int(scored.sum()), int((~untied).sum())
    return values


def _classification(emotions: tuple[str, ...], truth: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    if not len(truth):
        return dict.fromkeys([*ON_EMOTIONS, *(f"f1_{emotion}" for emotion in emotions)], float("nan"))
    prediction = probs.argmax(axis=1)
    values = {
        f"{average}_f1": float(f1_score(truth, prediction, average=average, zero_division=0))
        for average in ("weighted", "micro", "macro")
    }
    values["accuracy"] = float(accuracy_score(truth, prediction))
    present = np.unique(
        truth
    )  # balanced_accuracy_score is the same, but warns of a predicted emotion that the truth lacks
    values["uar"] = float(recall_score(truth, prediction, labels=present, average="macro", zero_division=0))
    values["auroc"] = auroc(hard_label=truth, emotion_probs=probs)
    per_emotion = f1_score(truth, prediction, labels=range(len(emotions)), average=None, zero_division=np.nan)
    values |= {f"f1_{emotion}": float(value) for emotion, value in zip(emotions, per_emotion, strict=True)}
    return values


def majority_prediction(
    *, hard_label: np.ndarray, is_tied: np.ndarray, va: np.ndarray, n_emotions: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """What always predicting the training set's most frequent emotion and mean valence-arousal gives.

    Args:
        hard_label: (M,) of the training segments; ties do not count for the most frequent one.
        is_tied: (M,) bool.
        va: (M, R) dimensions of the training segments; NaN does not count.
        n_emotions: K.
        n: Segments to predict.

    Returns:
        Probabilities (n, K) and dimensions (n, R).

    Raises:
        ValueError: No training segment has a vote, or none has a rating of a dimension.
    """
    hard_label, va = np.asarray(hard_label), np.asarray(va, dtype=np.float64)
    voted = hard_label != NO_LABEL
    untied = voted & ~np.asarray(is_tied, dtype=bool)
    rated = np.isfinite(va)
    if not voted.any() or not rated.any(axis=0).all():
        raise ValueError(
            "The training segments must hold a label of each kind: expected one vote or more, and one rating or more of each "
            f"dimension, got {int(voted.sum())} segments with votes and {rated.sum(axis=0).tolist()} with ratings."
        )
    counts = np.bincount(hard_label[untied if untied.any() else voted], minlength=n_emotions)
    probs = np.zeros((n, n_emotions))
    probs[:, counts.argmax()] = 1.0
    # a mean over known ratings only; of complete ones it is the plain mean, to the last digit
    means = va.mean(axis=0) if rated.all() else np.nanmean(va, axis=0)
    return probs, np.tile(means, (n, 1))
