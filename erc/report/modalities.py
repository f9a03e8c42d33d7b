"""Rows of a grid -> what each modality adds: a fusion less the same fusion, or the single modality, without it.

Comes in: finished rows. Goes out: paired differences, and a section of the table. Conventions are those of the comparisons with
the reference row (comparisons.py): difference = with less without, on the folds of both and the same segments, intervals over
dialogues, both p Holm-corrected over all differences of the section.
"""

from __future__ import annotations

from typing import Any

from erc.report.comparisons import Comparison, compare_rows, corrected
from erc.report.grid_results import COMPARED, METRICS, Row, metrics_of
from erc.report.rendering import Section, Table, short_p
from erc.report.single_tables import conclusion_text, difference_texts

_SINGLE = {"audio_only": "text", "text_only": "audio"}

WITHOUT = {
    "concat": _SINGLE,
    "cross_attention": _SINGLE,
    "tensor_mixer": _SINGLE,
    "concat_3": {"concat": "bio-signals"},
    "cross_attention_3": {"cross_attention": "bio-signals"},
    "tensor_mixer_3": {"tensor_mixer": "bio-signals"},
}
"""Fusion -> the fusion that lacks one of its modalities -> that modality."""

NOTE = (
    "Each line is a row less the row that lacks one of its modalities, for the same label kind. Where the interval holds 0, it is "
    "not shown that the modality helps."
)

Added = dict[tuple[str, str, str], Comparison]
"""By row, the row without the modality, and metric."""


def pairs_of(rows: list[Row]) -> list[tuple[Row, Row, str]]:
    """(row, the row without a modality, that modality) of all rows that share a fold."""
    by_kind = {(_result(row)["fusion"], _result(row)["target"]): row for row in rows}
    found = []
    for (fusion, target), row in by_kind.items():
        for other, modality in WITHOUT.get(fusion, {}).items():
            without = by_kind.get((other, target))
            if without is not None and set(row.folds) & set(without.folds):
                found.append((row, without, modality))
    return found


def added_by_modality(rows: list[Row], n_resamples: int) -> Added:
    """What each modality adds, metric by metric; empty where no row lacks a modality of another."""
    pairs = pairs_of(rows)
    metrics = [metric for metric in COMPARED if pairs and metric in metrics_of(pairs[0][0])]
    keys = [(row.name, without.name, metric) for row, without, _ in pairs for metric in metrics]
    found = {(row.name, without.name): compare_rows(row, without, n_resamples, len(keys)) for row, without, _ in pairs}
    every = corrected([found[name, without][metric] for name, without, metric in keys]) if keys else []
    return dict(zip(keys, every, strict=True))


def added_section(rows: list[Row], found: Added) -> Section | None:
    """The differences as a section; None where there are none."""
    if not found:
        return None
    titles = {row.name: row.title for row in rows}
    modality_of = {(row.name, without.name): modality for row, without, modality in pairs_of(rows)}
    lines = [
        [modality_of[name, without], titles[name], titles[without], METRICS[metric], *difference_texts(one)]
        + [short_p(one.p_t), short_p(one.p_bootstrap, one.is_bound)]
        for (name, without, metric), one in found.items()
    ]
    columns = ["added", "row", "less the row", "metric", "difference", "95 % interval", "p (t)", "p (bootstrap)"]
    notes = [NOTE, *filter(None, [conclusion_text(found.values())])]
    return Section(
        "What each modality adds, reading `selected`", notes, [Table(columns, sorted(lines, key=_first))], "statistics"
    )


def _result(row: Row) -> dict[str, Any]:
    return next(iter(row.runs.values())).result


def _first(line: list[str]) -> str:
    return line[0]
