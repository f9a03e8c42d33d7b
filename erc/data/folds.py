"""Sessions -> five folds; fold and mode -> which segments. No randomness.

Fold f of a corpus is its f-th block of consecutive sessions (KEMDy19: 4 sessions, KEMDy20: 8). Fold f of both corpora
is held out together. A session's two speakers appear in no other session, so no speaker is in two folds; this is
checked.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from erc.data.corpora import CORPORA, N_FOLDS
from erc.data.options import check_choice

Mode = Literal["train", "valid", "test"]

Protocol = Literal["paper", "nested"]

NO_SPLIT = -1


def assign_folds(table: pd.DataFrame) -> np.ndarray:
    """Fold of each segment.

    Args:
        table: Columns corpus, session, speaker, segment_id.

    Returns:
        (N,) int64 in 0..4.

    Raises:
        ValueError: A speaker stands in two folds, or a segment id twice.
    """
    per_fold = table["corpus"].map({name: corpus.sessions_per_fold for name, corpus in CORPORA.items()})
    fold = ((table["session"] - 1) // per_fold).to_numpy(dtype=np.int64)
    repeated = table["segment_id"][table["segment_id"].duplicated()]
    if len(repeated):
        raise ValueError(f"Every segment is in exactly one fold: {repeated.iloc[0]} stands twice in the table.")
    n_folds = pd.Series(fold).groupby([table["corpus"].to_numpy(), table["speaker"].to_numpy()]).nunique()
    shared = n_folds[n_folds > 1]
    if len(shared):
        raise ValueError(
            f"Folds must not share speakers: {' '.join(shared.index[0])} stands in {shared.iloc[0]} folds. "
            "Check the sessions in the segment ids."
        )
    return fold


def split(fold: np.ndarray, validation_fold: int, mode: Mode, protocol: Protocol = "paper") -> np.ndarray:
    """Which segments a mode holds.

    ``paper``: ``valid`` and ``test`` are both the validation fold, and ``train`` is the rest. The checkpoint is then
    chosen on the fold that is reported, as published. ``nested``: ``test`` is the validation fold k, ``valid`` is the
    next one (k + 1; after the last comes the first), and ``train`` is the other three.

    Args:
        fold: (N,) fold of each segment.
        validation_fold: 0..4, or -1 for no split: every mode holds everything.
        mode: ``train``, ``valid`` or ``test``.
        protocol: ``paper`` or ``nested``.

    Returns:
        (N,) bool.

    Raises:
        ValueError: An argument out of its range.
    """
    check_split(validation_fold, mode, protocol)
    if validation_fold == NO_SPLIT:
        return np.ones(len(fold), dtype=bool)
    choosing = validation_fold if protocol == "paper" else (validation_fold + 1) % N_FOLDS
    if mode == "test":
        return fold == validation_fold
    if mode == "valid":
        return fold == choosing
    return (fold != validation_fold) & (fold != choosing)


def check_split(validation_fold: int, mode: str, protocol: str) -> None:
    """Checks the arguments of ``split``.

    Raises:
        ValueError: One of them is out of its range.
    """
    if isinstance(validation_fold, bool) or validation_fold not in range(NO_SPLIT, N_FOLDS):
        raise ValueError(
            f"validation_fold must be 0 to {N_FOLDS - 1}, or {NO_SPLIT} for no split: got {validation_fold!r}."
        )
    check_choice("mode", mode, Mode)
    check_choice("protocol", protocol, Protocol)
