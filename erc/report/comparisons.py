"""Rows of a grid -> intervals, paired differences, measures of label distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from erc.evaluation import (
    CONFUSION_METRICS,
    Columns,
    Interval,
    Intervals,
    OverSeeds,
    agreement_strata,
    agreement_stratum,
    cluster_intervals,
    confusion_scores,
    confusion_sums,
    corrected_resampled_t_test,
    cross_entropy,
    entropy_correlation,
    expected_calibration_error,
    fit_temperature,
    holm,
    holm_with_bounds,
    jensen_shannon_divergence,
    manhattan_distance,
    moment_sums,
    multilabel_macro_f1,
    paired_bootstrap,
    scaled_calibration_error,
    soft_micro_f1,
)
from erc.labels import NO_LABEL, LabelSpace, entropy, has_votes
from erc.report.grid_results import Row, load, metrics_of


def intervals(row: Row, n_resamples: int = 2000) -> dict[str, Intervals]:
    """95 % intervals of each metric's mean over folds, by metric, cut off at the ends of the metric's range.

    The ends are NaN where a fold has one dialogue only, and for a metric that is not resampled; those over
    folds also where there is one fold.
    """
    undefined = Interval(math.nan, math.nan, math.nan)
    found = dict.fromkeys(metrics_of(row), Intervals(undefined, undefined))
    for statistic, folds, clusters, names in fold_statistics(row, row.folds):
        both = cluster_intervals(statistic, folds, clusters, n_resamples=n_resamples)
        for index, name in enumerate(names):
            found[name] = Intervals(*(_within_range(one, index, name) for one in both))
    return found


def _within_range(found: Interval, index: int, name: str) -> Interval:
    """One metric of several, its ends within -1 to 1 (concordances) or 0 to 1."""
    lowest = -1.0 if name.startswith("ccc") else 0.0
    estimate, low, high = (float(np.atleast_1d(part)[index]) for part in found)
    return Interval(estimate, *np.clip([low, high], lowest, 1.0).tolist())


def fold_statistics(row: Row, folds: list[int]) -> Iterator[tuple[OverSeeds, np.ndarray, np.ndarray, tuple[str, ...]]]:
    """(statistic, folds, clusters, metric names) of the F1 family and of each concordance, over untied segments.

    Every seed of a fold counts: the statistic is their mean. The F1 family is over segments with votes, a concordance over
    those with a rating.

    Raises:
        ValueError: Two seeds of a fold were not scored on the same segments.
    """
    n_seeds = tuple(len(row.runs_of(fold)) for fold in folds)
    by_seed = []
    for index in range(max(n_seeds)):
        # a fold with fewer seeds stands in with its first; OverSeeds does not count it
        runs = {fold: row.runs_of(fold)[index if index < n else 0] for fold, n in zip(folds, n_seeds, strict=True)}
        table = pd.concat([run.predictions.assign(fold=fold) for fold, run in runs.items()], ignore_index=True)
        by_seed.append(table[~table["is_tied"]])
    first = by_seed[0]
    space, columns = row.label_space, row.columns
    labels = ["segment_id", "dialogue", "hard_label", *columns.dimensions]
    if not all(table[labels].equals(first[labels]) for table in by_seed):
        raise ValueError(f"Seeds of a fold must be scored on the same segments: those of {row.name} are not.")
    # in the order of the table; each statistic over the segments that have its label
    concordances = [metric.removeprefix("ccc_") for metric in metrics_of(row) if metric.startswith("ccc_")]
    for name in ("emotion", *concordances):
        known = (first["hard_label"] != NO_LABEL) if name == "emotion" else first[name].notna()
        parts = [table[known] for table in by_seed]
        of_first = parts[0]
        folds_of, clusters = of_first["fold"].to_numpy(), of_first["dialogue"].to_numpy()
        if name == "emotion":
            sums = tuple(
                confusion_sums(
                    truth=of_first["hard_label"].to_numpy(),
                    prediction=part[columns.prob].to_numpy().argmax(axis=1),
                    clusters=clusters,
                    n_classes=space.n_emotions,
                )
                for part in parts
            )
        else:
            truth = of_first[name].to_numpy()
            sums = tuple(
                moment_sums(truth=truth, prediction=part[f"pred_{name}"].to_numpy(), clusters=clusters)
                for part in parts
            )
        yield OverSeeds(sums, n_seeds), folds_of, clusters, CONFUSION_METRICS if name == "emotion" else (f"ccc_{name}",)


def differences(folder: str | Path, row_a: str, row_b: str, n_resamples: int = 2000) -> dict[str, dict[str, float]]:
    """Difference of two rows, metric by metric, in full precision, on the folds that both have.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        row_a: Name of row A, such as ``tensor_mixer_peakl``.
        row_b: Name of row B.
        n_resamples: Resamples of the bootstrap.

    Returns:
        By metric: ``difference`` (A minus B), ``low`` and ``high`` (95 % interval), ``p_bootstrap`` and ``p_t`` (neither
        is corrected for the number of metrics), ``is_floor`` (``p_bootstrap`` is the smallest that so many resamples can
        give, and an upper bound), ``n_folds``.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: A row is not finished, the rows share no fold, or they were not scored on the same segments.
    """
    a, b = named_rows(folder, row_a, row_b)
    return compare_rows(a, b, n_resamples)


def named_rows(folder: str | Path, *names: str) -> list[Row]:
    """Rows of a grid by their names; errors as ``differences``."""
    rows = {row.name: row for row in load(folder)}
    missing = [name for name in names if name not in rows]
    if missing:
        raise ValueError(f"Rows must be finished: {', '.join(missing)} is not among {', '.join(rows)}.")
    return [rows[name] for name in names]


def compare_rows(a: Row, b: Row, n_resamples: int, n_comparisons: int = 1) -> dict[str, dict[str, float]]:
    """``differences`` of two loaded rows.

    With ``n_comparisons`` p values in one family, Holm multiplies the smallest by so many. Where a bootstrap's p is at its
    floor, ``n_comparisons`` times as many resamples are drawn in all: the corrected p can then be as small as the plain p
    of one comparison, 2 / (n_resamples + 1). The time of such a comparison grows as much.
    """
    shared = [fold for fold in a.folds if fold in b.folds]
    if not shared:
        raise ValueError(f"Rows are compared on folds that both have: {a.name} has {a.folds}, {b.name} has {b.folds}.")
    runs_a, runs_b = ({fold: row.runs_of(fold)[0] for fold in shared} for row in (a, b))
    for fold in shared:
        if not runs_a[fold].predictions["segment_id"].equals(runs_b[fold].predictions["segment_id"]):
            raise ValueError(f"Rows must be scored on the same segments: {a.name} and {b.name} are not in fold {fold}.")
    n_train = np.mean([runs_a[fold].result["n_train"] for fold in shared])
    n_test = np.mean([runs_a[fold].result["n_reported_on"] for fold in shared])
    found = {}
    for (of_a, folds, clusters, names), (of_b, *_) in zip(
        fold_statistics(a, shared), fold_statistics(b, shared), strict=True
    ):
        n_more = n_resamples * (n_comparisons - 1)
        paired = paired_bootstrap(of_a, of_b, folds, clusters, n_resamples=n_resamples, n_more=n_more)
        for index, name in enumerate(names):
            of_folds = [_by_fold(row, name, shared) for row in (a, b)]
            test = corrected_resampled_t_test(of_folds[0] - of_folds[1], n_train, n_test) if len(shared) > 1 else None
            found[name] = {
                "difference": float(np.atleast_1d(paired.difference)[index]),
                "low": float(np.atleast_1d(paired.low)[index]),
                "high": float(np.atleast_1d(paired.high)[index]),
                "p_bootstrap": float(np.atleast_1d(paired.p_value)[index]),
                "is_floor": bool(np.atleast_1d(paired.p_value == paired.p_floor)[index]),
                "p_t": float(test.p_value) if test else float("nan"),
                "n_folds": len(shared),
            }
    return found


@dataclass(frozen=True)
class Comparison:
    """One metric of two rows, with p values that are corrected over a family of comparisons."""

    difference: float
    low: float
    high: float
    p_t: float
    """Corrected (Holm); NaN where no test could be done."""
    p_bootstrap: float
    """Corrected (Holm)."""
    is_bound: bool
    """Whether ``p_bootstrap`` is an upper bound only."""
    n_folds: int


def corrected(found: list[dict[str, float]]) -> list[Comparison]:
    """Entries of ``compare_rows`` as one family of comparisons, Holm-corrected."""
    p_t = holm(np.array([one["p_t"] for one in found]))
    p_bootstrap, is_bound = holm_with_bounds(
        np.array([one["p_bootstrap"] for one in found]), np.array([bool(one["is_floor"]) for one in found])
    )
    return [
        Comparison(one["difference"], one["low"], one["high"], float(t), float(p), bool(bound), int(one["n_folds"]))
        for one, t, p, bound in zip(found, p_t, p_bootstrap, is_bound, strict=True)
    ]


def _by_fold(row: Row, metric: str, folds: list[int]) -> np.ndarray:
    values = dict(zip(row.folds, row.values(metric), strict=True))
    return np.array([values[fold] for fold in folds])


def distribution_metrics(table: pd.DataFrame, label_space: LabelSpace) -> dict[str, float]:
    """How near the predicted label distributions of one fold are to the raters'.

    Args:
        table: ``predictions.csv``.
        label_space: Of the run.

    Returns:
        Over all segments with votes: ``jsd``, ``ce``, ``manhattan``, ``soft_micro_f1``, ``multilabel_macro_f1``, and
        ``entropy_correlation``, which is left out where the votes of all segments have the same entropy (one label each).
        Over the untied ones: ``ece``, ``ece_scaled`` (after temperature scaling) and the ``temperature`` that fits all of them
        best; and for each agreement stratum ``f1_<stratum>``: the weighted F1 of its untied segments, NaN where it has none.
    """
    columns = Columns(label_space)
    table = table[has_votes(table[columns.votes].to_numpy())]
    soft, probs = table[columns.soft].to_numpy(), table[columns.prob].to_numpy()
    untied = ~table["is_tied"].to_numpy()
    hard = table["hard_label"].to_numpy()
    dialogues = (table["corpus"] + " " + table["dialogue"]).to_numpy(dtype=str)
    scored = {"hard_label": hard[untied], "probs": probs[untied]}
    both = {"truth": soft, "prediction": probs}
    found = {
        "jsd": jensen_shannon_divergence(**both),
        "ce": cross_entropy(**both),
        "ece": expected_calibration_error(**scored),
        "manhattan": manhattan_distance(**both),
        "soft_micro_f1": soft_micro_f1(**both),
        "multilabel_macro_f1": multilabel_macro_f1(**both),
        "ece_scaled": scaled_calibration_error(**scored, dialogues=dialogues[untied]),
        "temperature": fit_temperature(**scored),
    }
    if len(soft) and np.ptp(entropy(soft)) > 1e-9:
        found["entropy_correlation"] = entropy_correlation(**both)
    stratum = agreement_stratum(table[columns.votes].to_numpy(), label_space.n_raters)
    for name in agreement_strata(label_space.n_raters):
        chosen = untied & (stratum == name)
        confusion = np.zeros((probs.shape[1],) * 2)
        np.add.at(confusion, (hard[chosen], probs[chosen].argmax(axis=1)), 1)
        scores = confusion_scores(confusion) if chosen.any() else [np.nan]
        found[f"f1_{name}"] = float(scores[0])
    return found
