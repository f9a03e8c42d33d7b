"""A small invented world, and statistics written once more by loops or by scikit-learn: what the tests share."""

from __future__ import annotations

import math
import warnings

import numpy as np
from sklearn.metrics import balanced_accuracy_score, f1_score

from erc.data import KEMD


def textbook_ccc(truth, prediction):
    """Lin (1989), written once more, by loops."""
    n = len(truth)
    mean_x, mean_y = math.fsum(truth) / n, math.fsum(prediction) / n
    var_x = math.fsum((x - mean_x) ** 2 for x in truth) / n
    var_y = math.fsum((y - mean_y) ** 2 for y in prediction) / n
    cov = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(truth, prediction, strict=True)) / n
    return 2 * cov / (var_x + var_y + (mean_x - mean_y) ** 2)


def sklearn_scores(truth, prediction):
    """The CONFUSION_METRICS by scikit-learn."""
    f1s = [f1_score(truth, prediction, average=average) for average in ("weighted", "micro", "macro")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a predicted class that truth lacks
        return np.array([*f1s, balanced_accuracy_score(truth, prediction)])


def make_world() -> dict[str, np.ndarray]:
    """300 segments, 40 dialogues of unequal size in 5 folds, shuffled; two classifiers, one regressor."""
    rng = np.random.default_rng(7)
    cluster_index = np.concatenate([np.arange(40), rng.integers(40, size=260)])
    rng.shuffle(cluster_index)
    truth = rng.integers(KEMD.n_emotions, size=300)
    noise_a, noise_b = rng.integers(KEMD.n_emotions, size=(2, 300))
    valence = rng.uniform(1, 5, 300)
    return {
        "clusters": np.array([f"Sess{c % 10:02d}_script{c // 10}" for c in range(40)])[cluster_index],
        "folds": cluster_index % 10 // 2,
        "truth": truth,
        "a": np.where(rng.random(300) < 0.6, truth, noise_a),
        "b": np.where(rng.random(300) < 0.5, truth, noise_b),
        "valence": valence,
        "predicted_valence": valence + rng.normal(0.2, 0.8, 300),
    }
