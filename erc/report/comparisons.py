"""Rows of a grid -> intervals, paired differences, measures of label distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from erc.evaluation import (
    AGREEMENT_STRATA,
    CONFUSION_METRICS,
    PROB,
    SOFT,
    VOTES,
    ClusterSums,
    Interval,
    agreement_stratum,
    cluster_bootstrap,
    confusion_scores,
    confusion_sums,
    corrected_resampled_t_test,
    cross_entropy,
    expected_calibration_error,
    jensen_shannon_divergence,
    moment_sums,
    paired_bootstrap,
)
from erc.report.grid_results import METRICS, Row, Run, load


def interval(row: Row, n_resamples: int = 2000) -> dict[str, Interval]:
    """95 % interval of each metric's mean over folds, by metric.

    The ends are NaN where a fold has one dialogue only, and for a metric of ``METRICS`` that is not resampled.
    """
    runs = row.first_seed()
    found = dict.fromkeys(METRICS, Interval(math.nan, math.nan, math.nan))
    for statistic, folds, clusters, names in fold_statistics(runs):
        result = cluster_bootstrap(statistic, folds, clusters, n_resamples=n_resamples)
        for index, name in enumerate(names):
            ends = (np.atleast_1d(part)[index] for part in (result.estimate, result.low, result.high))
            found[name] = Interval(*(float(end) for end in ends))
    return found


def fold_statistics(runs: dict[int, Run]) -> Iterator[tuple[ClusterSums, np.ndarray, np.ndarray, tuple[str, ...]]]:
    """(statistic, folds, clusters, metric names) of the F1 family and of both concordances, over untied segments."""
    table = pd.concat([run.predictions.assign(fold=fold) for fold, run in runs.items()], ignore_index=True)
    table = table[~table["is_tied"]]
    folds, clusters = table["fold"].to_numpy(), table["dialogue"].to_numpy()
    truth, prediction = table["hard_label"].to_numpy(), table[PROB].to_numpy().argmax(axis=1)
    yield (
        confusion_sums(truth=truth, prediction=prediction, clusters=clusters),
        folds,
        clusters,
        CONFUSION_METRICS,
    )
    for name in ("arousal", "valence"):
        sums = moment_sums(truth=table[name].to_numpy(), prediction=table[f"pred_{name}"].to_numpy(), clusters=clusters)
        yield sums, folds, clusters, (f"ccc_{name}",)


def differences(folder: str | Path, row_a: str, row_b: str, n_resamples: int = 2000) -> dict[str, dict[str, float]]:
    """Difference of two rows, metric by metric, in full precision, on the folds that both have.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        row_a: Name of row A, such as ``tensor_mixer_peakl``.
        row_b: Name of row B.
        n_resamples: Resamples of the bootstrap.

    Returns:
        By metric: ``difference`` (A minus B), ``low`` and ``high`` (95 % interval), ``p_bootstrap`` and ``p_t`` (neither
        is corrected for the number of metrics), ``n_folds``.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: A row is not finished, the rows share no fold, or they were not scored on the same segments.
    """
    rows = {row.name: row for row in load(folder)}
    missing = [name for name in (row_a, row_b) if name not in rows]
    if missing:
        raise ValueError(f"Rows must be finished: {', '.join(missing)} is not among {', '.join(rows)}.")
    return compare_rows(rows[row_a], rows[row_b], n_resamples)


def compare_rows(a: Row, b: Row, n_resamples: int) -> dict[str, dict[str, float]]:
    """``differences`` of two loaded rows."""
    shared = [fold for fold in a.folds if fold in b.folds]
    if not shared:
        raise ValueError(f"Rows are compared on folds that both have: {a.name} has {a.folds}, {b.name} has {b.folds}.")
    runs_a, runs_b = ({fold: row.first_seed()[fold] for fold in shared} for row in (a, b))
    for fold in shared:
        if not runs_a[fold].predictions["segment_id"].equals(runs_b[fold].predictions["segment_id"]):
            raise ValueError(f"Rows must be scored on the same segments: {a.name} and {b.name} are not in fold {fold}.")
    n_train = np.mean([runs_a[fold].result["n_train"] for fold in shared])
    n_test = np.mean([runs_a[fold].result["n_reported_on"] for fold in shared])
    found = {}
    for (of_a, folds, clusters, names), (of_b, *_) in zip(
        fold_statistics(runs_a), fold_statistics(runs_b), strict=True
    ):
        paired = paired_bootstrap(of_a, of_b, folds, clusters, n_resamples=n_resamples)
        for index, name in enumerate(names):
            of_folds = [_by_fold(row, name, shared) for row in (a, b)]
            test = corrected_resampled_t_test(of_folds[0] - of_folds[1], n_train, n_test) if len(shared) > 1 else None
            found[name] = {
                "difference": float(np.atleast_1d(paired.difference)[index]),
                "low": float(np.atleast_1d(paired.low)[index]),
                "high": float(np.atleast_1d(paired.high)[index]),
                "p_bootstrap": float(np.atleast_1d(paired.p_value)[index]),
                "p_t": float(test.p_value) if test else float("nan"),
                "n_folds": len(shared),
            }
    return found


def _by_fold(row: Row, metric: str, folds: list[int]) -> np.ndarray:
    values = dict(zip(row.folds, row.values(metric), strict=True))
    return np.array([values[fold] for fold in folds])


def distribution_metrics(table: pd.DataFrame) -> dict[str, float]:
    """How near the predicted label distributions of one fold are to the raters'.

    Args:
        table: ``predictions.csv``.

    Returns:
        ``jsd`` and ``ce`` (all segments), ``ece`` (untied segments), and for each agreement stratum ``f1_<stratum>``: the
        weighted F1 of its untied segments, NaN where it has none.
    """
    soft, probs = table[SOFT].to_numpy(), table[PROB].to_numpy()
    untied = ~table["is_tied"].to_numpy()
    hard = table["hard_label"].to_numpy()
    found = {
        "jsd": jensen_shannon_divergence(truth=soft, prediction=probs),
        "ce": cross_entropy(truth=soft, prediction=probs),
        "ece": expected_calibration_error(hard_label=hard[untied], probs=probs[untied]),
    }
    stratum = agreement_stratum(table[VOTES].to_numpy())
    for name in AGREEMENT_STRATA:
        chosen = untied & (stratum == name)
        confusion = np.zeros((probs.shape[1],) * 2)
        np.add.at(confusion, (hard[chosen], probs[chosen].argmax(axis=1)), 1)
        scores = confusion_scores(confusion) if chosen.any() else [np.nan]
        found[f"f1_{name}"] = float(scores[0])
    return found
