"""Folds of a corpus that brings none: whole speakers go into one fold, and every fold has about the same emotions."""

from __future__ import annotations

import warnings

import numpy as np


def make_folds(hard_label: np.ndarray, speaker: np.ndarray | None, n_folds: int, seed: int) -> np.ndarray:
    """Fold of each segment, the same for the same input, seed and release of scikit-learn.

    With speakers: ``StratifiedGroupKFold``, or one speaker a fold where there are as many folds as speakers. Without:
    ``StratifiedKFold`` over segments, and folds may then share speakers.

    Args:
        hard_label: (N,) index of an emotion, -1 where there is none; folds are balanced over it.
        speaker: (N,) names, or None where they are not known.
        n_folds: 2 to the number of speakers, or of segments.
        seed: Of the order in which speakers are dealt out.

    Returns:
        (N,) int64 in 0..n_folds-1.

    Raises:
        ValueError: ``n_folds`` is out of its range, or a fold would be empty.
    """
    groups = np.arange(len(hard_label)) if speaker is None else np.unique(speaker, return_inverse=True)[1]
    n_groups, what = len(np.unique(groups)), "segments" if speaker is None else "speakers"
    if not 2 <= n_folds <= n_groups:
        raise ValueError(
            f"dataset.n_folds must be 2 to the number of {what}, {n_groups}: got {n_folds}. Set dataset.n_folds, or add "
            f"{what}."
        )
    if n_folds == n_groups:
        return groups.astype(np.int64)
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter = (StratifiedKFold if speaker is None else StratifiedGroupKFold)(n_folds, shuffle=True, random_state=seed)
    # of fewer than n_folds segments in every class scikit-learn makes nothing; one class then stands for all
    is_rare = np.bincount(hard_label + 1).max() < n_folds
    classes = np.zeros(len(hard_label), dtype=np.int64) if is_rare else hard_label
    fold = np.full(len(hard_label), -1, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer members than folds: they are in some folds only
        for number, (_, held) in enumerate(splitter.split(np.zeros(len(hard_label)), classes, groups)):
            fold[held] = number
    sizes = np.bincount(fold, minlength=n_folds)
    if not sizes.all():
        raise ValueError(
            f"Every fold needs a segment: fold {int(np.argmin(sizes))} of {n_folds} would have none, because a few speakers "
            "have most segments. Choose fewer folds (dataset.n_folds), or another dataset.fold_seed."
        )
    return fold
