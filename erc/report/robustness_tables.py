"""``robustness.csv`` of finished runs -> a section of the report, and one sentence on what harms a model most.

Comes in: ``Effect`` of each condition and metric (``erc.robustness``). Goes out: report values. A run whose robustness was not
computed has none, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from erc.report.finished_run import Run
from erc.report.grid_results import METRICS, Row
from erc.report.rendering import Section, Table, ends_text, short, signed
from erc.robustness import CLEAN, Effect, default_out, read_effects
from erc.training import read_config

SHOWN = ("macro_f1", "ccc_arousal", "ccc_valence", "ccc_dominance")
"""Metrics of the table and the figure; ``robustness.csv`` has all."""

TITLE = "Robustness: the same model with worse or missing input"

NOT_READ = "not read"


def effects_of_run(run: Run) -> list[Effect]:
    """What ``python -m erc robustness`` has written of a run beside its folder; empty where it was not computed."""
    return read_effects(default_out(run.folder))


def run_title(row: str, run: Run) -> str:
    """Which run it is, among those of its row."""
    return f"{row}, fold {run.result['fold']}, seed {run.result['seed']}"


def shown_metrics(effects: Sequence[Effect]) -> dict[str, str]:
    """Titles of the metrics that are shown, by metric, as far as the corpus has them."""
    found = {one.metric for one in effects}
    return {metric: METRICS[metric] for metric in SHOWN if metric in found}


def by_condition(effects: Sequence[Effect]) -> dict[str, dict[str, Effect]]:
    """Effects by condition, in the order of the table, and by metric."""
    found: dict[str, dict[str, Effect]] = {}
    for one in effects:
        found.setdefault(one.condition, {})[one.metric] = one
    return found


def robustness_section(rows: Sequence[Row]) -> Section | None:
    """A table for each run whose robustness was computed; None where there is none."""
    runs = [(row, run) for row in rows for run in row.runs.values()]
    found = [(row, run, effects) for row, run in runs if (effects := effects_of_run(run))]
    if not found:
        return None
    tables = [robustness_table(effects, run_title(row.title, run)) for row, run, effects in found]
    sentences = [one for row, run, effects in found if (one := finding_of(effects))] if len(found) == 1 else []
    return Section(TITLE, [*sentences, *notes_of([run for _, run, _ in found])], tables, "statistics")


def robustness_table(effects: Sequence[Effect], caption: str) -> Table:
    """Every condition with the shown metrics, and the difference of each to the clean one."""
    titles = shown_metrics(effects)
    header = ["", *(cell for title in titles.values() for cell in (title, "difference")), "word errors"]
    lines = []
    for name, by_metric in by_condition(effects).items():
        first = next(iter(by_metric.values()))
        cells = [cell for metric in titles for cell in _cells(by_metric[metric], name == CLEAN)]
        lines.append([first.title, *cells, short(first.word_error_rate)])
    return Table(header, lines, caption)


def _cells(one: Effect, is_clean: bool) -> list[str]:
    if not one.is_read:
        return [NOT_READ, ""]
    if is_clean:
        return [short(one.value), ""]
    return [short(one.value), f"{signed(one.difference)} ({ends_text(one.low, one.high, with_sign=True)})"]


def notes_of(runs: Sequence[Run]) -> list[str]:
    """What the figures are of, what they hold fixed, and what a model reads in the place of what is removed."""
    text = (
        "The same checkpoint reads the segments of its reported fold under each condition. Difference: condition minus clean; in "
        "brackets its 95 % interval over pairs of dialogues, which holds the trained model fixed and is not corrected for the "
        "number of conditions. Word errors: share of wrong, missing and added words among those that were said."
    )
    learned = {_learned_to_miss(run) for run in runs}
    if learned == {False}:
        text += (
            " Without a modality the model reads zeros in its place, which its training never had (`model.modality_dropout=0`); a "
            "model of bio-signals has learned what to read in their place."
        )
    elif learned == {True}:
        text += (
            " Without a modality the model reads in its place what it has learned for that (`model.modality_dropout`)."
        )
    return [text]


def _learned_to_miss(run: Run) -> bool:
    return bool(read_config(run.folder).get("model", {}).get("modality_dropout"))


def finding_of(effects: Sequence[Effect]) -> str:
    """The condition that lowers macro F1 most, where its interval leaves out 0, and in how many others it does so; else empty."""
    read = [one for one in effects if one.metric == SHOWN[0] and one.is_read and one.condition != CLEAN]
    lower = [one for one in read if one.high < 0]
    if not lower:
        return ""
    worst = min(lower, key=lambda one: one.difference)
    return (
        f"{METRICS[worst.metric]} falls most under “{worst.title}”: to {short(worst.value)}, a difference of "
        f"{signed(worst.difference)} (95 % interval {ends_text(worst.low, worst.high, with_sign=True)}). In {len(lower)} of "
        f"{len(read)} conditions the interval of the difference lies below 0."
    )
