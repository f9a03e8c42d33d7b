"""The numbers of a grid -> ``table.csv``, which holds everything, and ``table.tex``, which can be pasted into a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from erc.evaluation import Interval, Intervals, MeanMantel, mean_and_std
from erc.report.comparisons import Comparison
from erc.report.coverage import over_folds_text
from erc.report.grid_results import READINGS, Row, is_synthetic, metrics_of
from erc.report.group_tables import groups_of
from erc.report.modalities import Added
from erc.report.rendering import Table, ends_text, to_latex
from erc.report.single_tables import PUBLISHED, fullest, has_published, main_table, majority_of, n_dialogues_of

COLUMNS = ["row", "corpus", "reading", "metric", "mean", "std", "n_folds", "low", "high", "folds", "values"] + [
    "quantity",
    "reference",
    "p_t",
    "p_bootstrap",
    "p_bootstrap_is_bound",
    "seeds",
    "low_over_folds",
    "high_over_folds",
    "group",
    "p_mantel",
]
"""Columns of ``table.csv``. ``low`` and ``high`` are over dialogues; ``Intervals`` says what the two kinds answer.
``quantity`` is score (of a row, Majority, Human or Human halves), difference (row minus reference: its mean, ends and p), added
(the same, where the reference lacks one of the row's modalities), published, or arrangement (``low`` and ``high`` are then the
middle 95 % of what chance gives, and ``p_mantel`` belongs to it).
Both p are Holm-corrected. ``seeds`` joins the seeds of each fold with +, fold by fold.
``group`` is empty for figures over all segments, else ``gender:F`` or the like."""


@dataclass(frozen=True)
class Numbers:
    """Everything that is computed of a grid, once."""

    rows: list[Row]
    base: Row
    """The row that the others are compared with."""
    corpora: list[str]
    intervals: dict[str, dict[str, Intervals]]
    """By row and metric."""
    comparisons: dict[tuple[str, str], Comparison]
    """By row and metric."""
    distributions: dict[str, dict[str, np.ndarray]]
    """(F,) by row and name."""
    humans: dict[str, np.ndarray]
    """(F,) by metric."""
    halves: dict[str, np.ndarray]
    """(F,) by measure: one half of the raters against the other."""
    added: Added
    """What each modality adds."""
    arrangements: dict[str, MeanMantel]
    """By row."""


def to_csv(numbers: Numbers) -> str:
    """Content of ``table.csv``: every figure in full precision, one a line; see ``COLUMNS``."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for line in _lines(numbers):
        writer.writerow(
            {
                key: harmless(value) if key in ("row", "corpus", "reference", "group") else value
                for key, value in line.items()
            }
        )
    return stream.getvalue()


def harmless(name: str) -> str:
    """A name that no spreadsheet takes for a formula: an apostrophe stands in front of one that begins like one."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _lines(numbers: Numbers) -> Iterator[dict[str, Any]]:
    for row in numbers.rows:
        for reading in READINGS:
            for corpus in [None, *(numbers.corpora if reading == "selected" else [])]:
                for metric in metrics_of(row):
                    has_ends = reading == "selected" and corpus is None
                    line = _score(row.name, reading, metric, row.values(metric, reading, corpus), row, corpus)
                    yield line | (_ends(numbers.intervals[row.name][metric]) if has_ends else {})
        yield from _group_lines(numbers.rows, row)
        for name, values in numbers.distributions[row.name].items():
            yield _score(row.name, "selected", name, values, row)
        if (found := numbers.arrangements.get(row.name)) is not None:
            line = {"row": row.name, "corpus": "all", "reading": "selected", "metric": "arrangement_rho"}
            line |= {"mean": repr(found.rho), "n_folds": found.n_folds, "p_mantel": repr(found.p_value)}
            yield line | {"low": repr(found.null_low), "high": repr(found.null_high), "quantity": "arrangement"}
    full = fullest(numbers.rows)
    for corpus in [None, *numbers.corpora]:
        for metric in metrics_of(full):
            yield _score("Majority", "selected", metric, majority_of(numbers.rows, metric, corpus), full, corpus)
    for metric, values in numbers.humans.items():
        yield _score("Human", "selected", metric, values, full)
    for name, values in numbers.halves.items():
        yield _score("Human halves", "selected", name, values, full)
    for (name, metric), one in numbers.comparisons.items():
        yield _difference(name, metric, one, "difference", numbers.base.name)
    for (name, without, metric), one in numbers.added.items():
        yield _difference(name, metric, one, "added", without)
    for name, figures in PUBLISHED.items() if has_published(numbers.rows) else ():
        for metric, (mean, std) in figures.items():
            line = {"row": name, "corpus": "all", "reading": "best_epoch_per_metric", "metric": metric}
            yield line | {"mean": mean, "std": std, "n_folds": 5, "quantity": "published"}


def _difference(name: str, metric: str, one: Comparison, quantity: str, reference: str) -> dict[str, Any]:
    return {
        "row": name, "corpus": "all", "reading": "selected", "metric": metric, "mean": repr(one.difference),
        "n_folds": one.n_folds, "low": repr(one.low), "high": repr(one.high), "quantity": quantity,
        "reference": reference, "p_t": repr(one.p_t), "p_bootstrap": repr(one.p_bootstrap),
        "p_bootstrap_is_bound": one.is_bound,
    }  # fmt: skip


def _group_lines(rows: list[Row], row: Row) -> Iterator[dict[str, Any]]:
    for kind, groups in groups_of(rows).items():
        for group in (f"{kind}:{one}" for one in groups):
            for metric in metrics_of(row):
                yield _score(row.name, "selected", metric, row.group_values(metric, group), row) | {"group": group}


def _ends(found: Intervals) -> dict[str, str]:
    over_dialogues, over_folds = found
    return {
        "low": repr(over_dialogues.low),
        "high": repr(over_dialogues.high),
        "low_over_folds": repr(over_folds.low),
        "high_over_folds": repr(over_folds.high),
    }


def _score(
    name: str, reading: str, metric: str, values: np.ndarray, row: Row, corpus: str | None = None
) -> dict[str, Any]:
    mean, std = mean_and_std(values)
    return {
        "row": name, "corpus": corpus or "all", "reading": reading, "metric": metric, "mean": repr(float(mean)),
        "std": repr(float(std)), "n_folds": len(values), "folds": " ".join(map(str, row.folds)),
        "values": " ".join(repr(float(value)) for value in values), "quantity": "score",
        "seeds": " ".join("+".join(str(run.result["seed"]) for run in row.runs_of(fold)) for fold in row.folds),
    }  # fmt: skip


def to_paper(numbers: Numbers, grid: str, notes: list[str]) -> str:
    """Content of ``table.tex``: the main table of reading ``selected``, each row's intervals over folds below it.

    Args:
        numbers: Of the grid.
        grid: Name of the grid's folder, for the label.
        notes: What the caption says besides; empty ones are left out.
    """
    rows = numbers.rows
    protocol = next(iter(rows[0].runs.values())).result["protocol"]
    seeds = ", ".join(map(str, sorted({seed for row in rows for seed in row.seeds})))
    caption = (
        f"Mean ± sample standard deviation over folds, and below it in brackets the 95 % interval of the mean over folds; protocol "
        f"`{protocol}`, seeds {seeds}, all metrics at the selected checkpoint."
    )
    caption = " ".join(
        [
            caption,
            over_folds_text(n_dialogues_of(rows)),
            *(["Synthetic sample corpus."] if is_synthetic(rows) else []),
            *filter(None, notes),
        ]
    )
    table = main_table(rows, "selected")
    below = [
        ["", *(_bracketed(numbers.intervals[row.name][metric].folds) for metric in metrics_of(row))] for row in rows
    ]
    return to_latex(Table(table.header, table.rows, caption), label=grid, below=[*below, []])


def _bracketed(found: Interval) -> str:
    text = ends_text(float(found.low), float(found.high))
    return f"[{text}]" if np.isfinite(found.low) else text
