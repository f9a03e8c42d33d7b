"""What a model is trained towards: ``hard``, ``soft`` or ``peakl`` (the three label kinds of the paper's grid).

Comes in: votes and hard labels (NumPy). Goes out: one distribution over emotions per segment.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from erc.labels import one_hot, soft_label
from erc.peakl import peak_label

TargetKind = Literal["peakl", "soft", "hard"]


def make_target(kind: TargetKind, votes: np.ndarray, hard_label: np.ndarray) -> np.ndarray:
    """Training target of each segment.

    Args:
        kind: ``peakl`` (peaked votes), ``soft`` (votes / raters) or ``hard`` (one-hot majority).
        votes: (N, K) counts.
        hard_label: (N,) indices into ``EMOTIONS``.

    Returns:
        (N, K) float64, rows summing to 1.

    Raises:
        ValueError: Unknown kind.
    """
    if kind == "hard":
        return one_hot(hard_label)
    if kind == "soft":
        return soft_label(votes)
    if kind == "peakl":
        return peak_label(soft_label(votes))
    raise ValueError(f"target.kind must be one of {', '.join(get_args(TargetKind))}: got {kind!r}.")


def drops_tied(kind: TargetKind) -> bool:
    """Whether training leaves tied segments out: a tie has no majority to put the 1 on."""
    return kind == "hard"
