"""Predictions under each condition -> every metric, and its paired difference to the clean one.

Conventions: difference = condition minus clean, on the same segments. Its 95 % interval is the paired bootstrap over dialogues
(``erc.evaluation.paired_bootstrap``), which holds the trained model fixed. It is not corrected for the number of conditions.
Tied segments are left out, as in every other table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from erc.evaluation import (
    CONFUSION_METRICS,
    ClusterSums,
    Columns,
    confusion_sums,
    moment_sums,
    paired_bootstrap,
)
from erc.labels import NO_LABEL, LabelSpace
from erc.robustness.effects import CLEAN, Effect
from erc.robustness.scoring import Scored


def effects_of(scored: Sequence[Scored], space: LabelSpace, n_resamples: int = 2000) -> list[Effect]:
    """Every metric under every condition.

    Args:
        scored: Conditions in the order of the table, ``clean`` among them.
        space: Label space of the run.
        n_resamples: Of the bootstrap.

    Raises:
        ValueError: A condition is of other segments than ``clean``.
    """
    clean = next(one.table for one in scored if one.condition.name == CLEAN)
    assert clean is not None
    found = []
    for one in scored:
        table = clean if one.table is None else one.table
        if not table["segment_id"].equals(clean["segment_id"]):
            raise ValueError(
                f"Conditions are compared on the same segments: {one.condition.name} is of others than clean."
            )
        name, title, modality = one.condition.name, one.condition.title, one.condition.modality
        rate = math.nan if one.word_error_rate is None else one.word_error_rate
        for metric, *numbers in _figures(clean, table, space, n_resamples):
            found.append(Effect(name, title, modality, one.table is not None, metric, *[*numbers, rate]))
    return found


def _figures(
    clean: pd.DataFrame, table: pd.DataFrame, space: LabelSpace, n_resamples: int
) -> Iterator[tuple[str, float, float, float, float]]:
    """(metric, value, difference, low, high) of the F1 family and of each concordance."""
    for name in ("emotion", *space.dimensions):
        known = ~clean["is_tied"] & ((clean["hard_label"] != NO_LABEL) if name == "emotion" else clean[name].notna())
        names = CONFUSION_METRICS if name == "emotion" else (f"ccc_{name}",)
        if not known.any():
            for metric in names:
                yield metric, math.nan, math.nan, math.nan, math.nan
            continue
        of_table, of_clean = (_sums(one[known], name, space) for one in (table, clean))
        fold = np.zeros(int(known.sum()), dtype=int)
        clusters = _dialogues(clean[known])
        paired = paired_bootstrap(of_table, of_clean, fold, clusters, n_resamples=n_resamples)
        values = np.atleast_1d(of_table.score(of_table.sums.sum(axis=0)))
        columns = (values, *(np.atleast_1d(part) for part in paired[:3]))
        for metric, *numbers in zip(names, *columns, strict=True):
            yield metric, *map(float, numbers)


def _sums(table: pd.DataFrame, name: str, space: LabelSpace) -> ClusterSums:
    if name == "emotion":
        return confusion_sums(
            truth=table["hard_label"].to_numpy(),
            prediction=table[Columns(space).prob].to_numpy().argmax(axis=1),
            clusters=_dialogues(table),
            n_classes=space.n_emotions,
        )
    both = {"truth": table[name].to_numpy(), "prediction": table[f"pred_{name}"].to_numpy()}
    return moment_sums(**both, clusters=_dialogues(table))


def _dialogues(table: pd.DataFrame) -> np.ndarray:
    return (table["corpus"] + ":" + table["dialogue"]).to_numpy()
