"""What a model is trained on: one distribution over emotions per segment, made from its votes and its hard label.

The label kinds are those of the paper's grid. A new label kind is one entry in ``KINDS`` and one yaml in ``config/target/``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from erc.labels import one_hot, soft_label
from erc.peakl import peak_label


@dataclass(frozen=True)
class LabelKind:
    """One way from votes (N, K) and hard labels (N,) to targets (N, K)."""

    make: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Target of each segment from ``votes`` (N, K) counts and ``hard_label`` (N,) indices; float64, rows sum to 1."""
    drops_tied: bool = False
    """Whether training leaves tied segments out."""


KINDS = {
    "peakl": LabelKind(lambda votes, hard_label: peak_label(soft_label(votes))),
    "soft": LabelKind(lambda votes, hard_label: soft_label(votes)),
    # a tie has no majority that the 1 could stand for
    "hard": LabelKind(lambda votes, hard_label: one_hot(hard_label), drops_tied=True),
}
"""Label kinds by name: peaked votes, votes / raters, one-hot majority."""

if TYPE_CHECKING:
    TargetKind = str
else:
    TargetKind = Literal[tuple(KINDS)]
    """Name of a label kind."""


def make_target(kind: TargetKind, votes: np.ndarray, hard_label: np.ndarray) -> np.ndarray:
    """Training target of each segment.

    Args:
        kind: A name in ``KINDS``.
        votes: (N, K) counts.
        hard_label: (N,) indices into ``EMOTIONS``.

    Returns:
        (N, K) float64, rows summing to 1.

    Raises:
        ValueError: Unknown kind.
    """
    return _kind(kind).make(votes, hard_label)


def drops_tied(kind: TargetKind) -> bool:
    """Whether training on this kind leaves tied segments out.

    Raises:
        ValueError: Unknown kind.
    """
    return _kind(kind).drops_tied


def _kind(kind: TargetKind) -> LabelKind:
    if kind not in KINDS:
        raise ValueError(f"target.kind must be one of {', '.join(KINDS)}: got {kind!r}.")
    return KINDS[kind]
