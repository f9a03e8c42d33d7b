"""Sessions -> five folds; fold and mode -> which segments. No randomness.

``split`` and ``split_partition`` serve every corpus; the rest is of KEMD.
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

Protocol = Literal["paper", "nested", "last", "cross_corpus"]
"""How a checkpoint is chosen: on the reported fold, on another one, or not at all. ``cross_corpus`` is of ``HF_CrossCorpus`` alone."""

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


def split(
    fold: np.ndarray, validation_fold: int, mode: Mode, protocol: Protocol = "paper", n_folds: int = N_FOLDS
) -> np.ndarray:
    """Which segments a mode holds.

    ``paper``: ``valid`` and ``test`` are both the validation fold, and ``train`` is the rest. The checkpoint is then
    chosen on the fold that is reported, as published. ``last``: the same segments, but the last epoch is reported, so that
    nothing is chosen on them. ``nested``: ``test`` is the validation fold k, ``valid`` is the
    next one (k + 1; after the last comes the first), and ``train`` is the rest.

    Args:
        fold: (N,) fold of each segment.
        validation_fold: 0..n_folds-1, or -1 for no split: every mode holds everything.
        mode: ``train``, ``valid`` or ``test``.
        protocol: ``paper``, ``nested`` or ``last``.
        n_folds: Number of folds; 3 or more under ``nested``.

    Returns:
        (N,) bool.

    Raises:
        ValueError: An argument out of its range.
    """
    check_split(validation_fold, mode, protocol, n_folds)
    if validation_fold == NO_SPLIT:
        return np.ones(len(fold), dtype=bool)
    choosing = (validation_fold + 1) % n_folds if protocol == "nested" else validation_fold
    if mode == "test":
        return fold == validation_fold
    if mode == "valid":
        return fold == choosing
    return (fold != validation_fold) & (fold != choosing)


def split_partition(side: np.ndarray, validation_fold: int, mode: Mode, protocol: Protocol = "paper") -> np.ndarray:
    """Which segments a mode holds of a corpus that brings its own partition.

    ``train`` is the train side under every protocol. ``nested``: ``valid`` and ``test`` are the sides of those names.
    ``paper``: the checkpoint is chosen on what is reported, which is the test side; the valid side is then not used. Where
    there is no test side, the valid side is reported. ``last``: the same segments; nothing is chosen on them.

    Args:
        side: (N,) ``train``, ``valid`` or ``test``.
        validation_fold: 0, or -1 for no split: every mode holds everything.
        mode: ``train``, ``valid`` or ``test``.
        protocol: ``paper``, ``nested`` or ``last``.

    Returns:
        (N,) bool.

    Raises:
        ValueError: An argument out of its range, or a side that the protocol needs has no segment.
    """
    check_split(validation_fold, mode, protocol, n_folds=1)
    if validation_fold == NO_SPLIT:
        return np.ones(len(side), dtype=bool)
    there = set(side.tolist())
    needed = {"train", "valid", "test"} if protocol == "nested" else {"train", "valid" if "valid" in there else "test"}
    if not needed <= there:
        raise ValueError(
            f"protocol={protocol} needs the sides {', '.join(sorted(needed))} in column split: got "
            f"{', '.join(sorted(there))}. Complete the column"
            + (", or choose protocol=paper." if protocol == "nested" else ".")
        )
    reported = "test" if "test" in there else "valid"
    return side == (mode if mode == "train" or protocol == "nested" else reported)


def check_split(validation_fold: int, mode: str, protocol: str, n_folds: int = N_FOLDS) -> None:
    """Checks the arguments of ``split``.

    Raises:
        ValueError: One of them is out of its range.
    """
    if isinstance(validation_fold, bool) or validation_fold not in range(NO_SPLIT, n_folds):
        folds = f"0 to {n_folds - 1}" if n_folds > 1 else "0, the corpus's own partition"
        raise ValueError(f"validation_fold must be {folds}, or {NO_SPLIT} for no split: got {validation_fold!r}.")
    check_choice("mode", mode, Mode)
    check_choice("protocol", protocol, Protocol)
    if protocol == "cross_corpus":
        raise ValueError(
            "protocol=cross_corpus trains on some corpora and reports another: it needs dataset=cross_corpus, got one data set "
            "that is divided into folds. Choose protocol=paper or protocol=nested, or dataset=cross_corpus."
        )
    if protocol == "nested" and n_folds == 2:
        raise ValueError("protocol=nested needs three folds or more: got 2. Choose more folds, or protocol=paper.")
