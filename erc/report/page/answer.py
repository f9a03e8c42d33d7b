"""What a grid or a run has shown, in a few sentences: what was compared, what won, by how much, and whether to believe it.

Every figure is one of the tables'. The metric is weighted F1; a higher figure is better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from erc.evaluation import Interval, Intervals
from erc.report.against import Against
from erc.report.comparisons import compare_rows
from erc.report.grid_results import FUSIONS, TARGETS, Row, is_synthetic, metrics_of
from erc.report.rendering import Table, ends_text, short, signed
from erc.report.single_tables import has_several_folds, main_table, majority_of

METRIC = "weighted_f1"


class Answer(NamedTuple):
    """The first lines of the page."""

    sentences: list[str]
    cautions: list[str]
    """Why the answer may not hold; each a sentence."""


def answer_of(
    rows: list[Row],
    intervals: dict[str, dict[str, Intervals]],
    n_resamples: int = 2000,
    other: Against | None = None,
) -> Answer:
    """What the rows have shown.

    Args:
        rows: Finished rows of a grid, or the one of a run.
        intervals: Of each row by its name, as the tables have them.
        n_resamples: Of the bootstrap.
        other: The comparison with another grid, which has the last word.
    """
    means = {row.name: float(np.mean(row.values(METRIC))) for row in rows}
    best = max(rows, key=lambda row: -np.inf if np.isnan(means[row.name]) else means[row.name])
    sentences = [_compared(rows, best), _how_well(rows, best, means[best.name], intervals[best.name][METRIC].dialogues)]
    cautions = _cautions(rows)
    if len(rows) > 1:
        others = sorted((row for row in rows if row is not best), key=lambda row: -means[row.name])
        sentence, caution = _against(best, others[0], n_resamples)
        sentences.append(sentence)
        cautions = [*filter(None, [caution]), *cautions]
    return Answer([*sentences, *([other.sentence] if other else [])], cautions)


def _title(row: Row) -> str:
    """Fusion and label kind, without what is said of folds and seeds elsewhere."""
    run = next(iter(row.runs.values())).result
    return f"{FUSIONS.get(run['fusion'], run['fusion'])}, {TARGETS.get(run['target'], run['target'])} labels"


def _compared(rows: list[Row], best: Row) -> str:
    folds = sorted({fold for row in rows for fold in row.folds})
    runs = [run for row in rows for run in row.runs.values()]
    corpora = " and ".join(sorted({name for run in runs for name in run.result["corpora"]}))
    n_segments = sum(len(run.predictions) for run in best.first_seed().values())
    where = f"{len(folds)} folds of {corpora}" if len(folds) > 1 else f"fold {folds[0]} of {corpora}"
    if len(rows) == 1:
        return f"{_title(best)}: {n_segments:,} segments of {where} that it was not trained on."
    return f"{len(rows)} models were compared on {where}: {n_segments:,} segments that they were not trained on."


def _how_well(rows: list[Row], best: Row, mean: float, found: Interval) -> str:
    interval = f" (95 % interval {ends_text(float(found.low), float(found.high))})" if np.isfinite(found.low) else ""
    majority = float(np.mean(majority_of(rows, METRIC, None)))
    rated = [f"{name} {short(float(np.mean(best.values(f'ccc_{name}'))))}" for name in best.label_space.dimensions]
    dimensions = f" Concordance with the raters: {', '.join(rated)}." if rated else ""
    begins = "Its weighted F1 is" if len(rows) == 1 else f"**{_title(best)}** has the highest weighted F1:"
    return f"{begins} **{short(mean)}**{interval}; always saying the most frequent emotion gives {short(majority)}.{dimensions}"


def _against(best: Row, second: Row, n_resamples: int) -> tuple[str, str]:
    """The best row against the one after it, and what speaks against the difference."""
    if not set(best.folds) & set(second.folds):
        return f"The next one is {_title(second)}; both share no fold.", ""
    found = compare_rows(best, second, n_resamples)[METRIC]
    interval = ends_text(found["low"], found["high"], with_sign=True)
    sentence = (
        f"The next one is {_title(second)}: the difference is {signed(found['difference'])} (95 % interval {interval})."
    )
    if not np.isfinite(found["low"]):
        return sentence, ""
    if found["low"] <= 0 <= found["high"]:
        return sentence, "The interval of the difference holds 0: which of the two is better is not shown."
    p = found["p_t"]
    if np.isfinite(p) and p >= 0.05:
        return sentence, "These trained models differ; whether the methods do is open (t-test over folds, p ≥ .05)."
    return sentence, ""


def _cautions(rows: list[Row]) -> list[str]:
    found = []
    if is_synthetic(rows):
        found.append("The corpus is synthetic: the figures show that the pipeline works, and say nothing about people.")
    protocol = next(iter(rows[0].runs.values())).result["protocol"]
    if protocol == "paper":
        found.append("Each checkpoint was chosen on the fold that is reported, as published: the figures are too good.")
    if not has_several_folds(rows):
        found.append("It is one fold: how much folds differ is not known.")
    missing = {row.name: row.n_folds - len(row.folds) for row in rows if 1 < len(row.folds) < row.n_folds}
    if missing:
        found.append(f"Folds are missing in {len(missing)} of {len(rows)} rows.")
    return found


def best_marked(rows: list[Row]) -> Table:
    """The main table with the best figure of each column in bold; the majority row is no candidate."""
    table = main_table(rows, "selected")
    marked = [list(line) for line in table.rows]
    for column, metric in enumerate(metrics_of(rows[0]), start=1):
        means = [float(np.mean(row.values(metric))) for row in rows]
        if len(rows) > 1 and np.isfinite(means).any():
            line = marked[int(np.nanargmax(means))]
            line[column] = f"**{line[column]}**"
    return Table(table.header, marked, table.caption)
