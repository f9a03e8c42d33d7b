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
- No segment gives NaN everywhere; a NaN prediction is an error.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from erc.labels import EMOTIONS, N_EMOTIONS

HEADLINE = ("weighted_f1", "micro_f1", "macro_f1", "accuracy", "uar", "auroc", "ccc_valence", "ccc_arousal")


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
    hard_label: np.ndarray,
    is_tied: np.ndarray,
    va: np.ndarray,
    emotion_probs: np.ndarray,
    pred_va: np.ndarray,
) -> dict[str, float]:
    """All metrics of a set of segments.

    Args:
        hard_label: (N,) true emotion, index into ``EMOTIONS``.
        is_tied: (N,) bool.
        va: (N, 2) true valence and arousal, 1 to 5.
        emotion_probs: (N, K) predicted probabilities; the largest is the predicted emotion.
        pred_va: (N, 2) predicted valence and arousal.

    Returns:
        ``HEADLINE``, ``f1_<emotion>`` (NaN where an emotion is in neither truth nor prediction), ``ccc_valence_all``,
        ``ccc_arousal_all``, ``n_scored``, ``n_tied``.

    Raises:
        ValueError: Lengths differ, or a prediction is not finite.
    """
    lengths = {len(hard_label), len(is_tied), len(va), len(emotion_probs), len(pred_va)}
    if len(lengths) != 1:
        raise ValueError(f"Truth and prediction must have one row a segment: got lengths {sorted(lengths)}.")
    if not (np.isfinite(emotion_probs).all() and np.isfinite(pred_va).all()):
        raise ValueError(
            "Predictions must be finite: got NaN or infinity. Training has diverged; lower the learning rate."
        )
    scored = ~np.asarray(is_tied, dtype=bool)
    truth, probs = np.asarray(hard_label)[scored], np.asarray(emotion_probs)[scored]
    values = _classification(truth, probs)
    for column, name in enumerate(("valence", "arousal")):
        values[f"ccc_{name}"] = concordance(truth=va[scored, column], prediction=pred_va[scored, column])
        values[f"ccc_{name}_all"] = concordance(truth=va[:, column], prediction=pred_va[:, column])
    values["n_scored"], values["n_tied"] = int(scored.sum()), int((~scored).sum())
    return values


def _classification(truth: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    if not len(truth):
        names = ["weighted_f1", "micro_f1", "macro_f1", "accuracy", "uar", "auroc", *(f"f1_{e}" for e in EMOTIONS)]
        return dict.fromkeys(names, float("nan"))
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
    per_emotion = f1_score(truth, prediction, labels=range(N_EMOTIONS), average=None, zero_division=np.nan)
    values |= {f"f1_{emotion}": float(value) for emotion, value in zip(EMOTIONS, per_emotion, strict=True)}
    return values


def majority_prediction(
    *, hard_label: np.ndarray, is_tied: np.ndarray, va: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """What always predicting the training set's most frequent emotion and mean valence-arousal gives.

    Args:
        hard_label: (M,) of the training segments; ties do not count for the most frequent one.
        is_tied: (M,) bool.
        va: (M, 2) of the training segments.
        n: Segments to predict.

    Returns:
        Probabilities (n, K) and valence-arousal (n, 2).
    """
    untied = np.asarray(hard_label)[~np.asarray(is_tied, dtype=bool)]
    counts = np.bincount(untied if len(untied) else np.asarray(hard_label), minlength=N_EMOTIONS)
    probs = np.zeros((n, N_EMOTIONS))
    probs[:, counts.argmax()] = 1.0
    return probs, np.tile(np.asarray(va, dtype=np.float64).mean(axis=0), (n, 1))
