"""Run folders -> ``table.md``, ``table.csv``, ``table.tex``: the table of the paper, and how certain its figures are.

Comes in: ``<grid>/<row>/fold<k>-seed<s>/`` with ``result.json`` and ``predictions.csv``. No model is loaded.
Conventions:

- mean ± sample standard deviation (n - 1) over folds; several seeds of a fold are averaged first.
- Two readings, never mixed: ``selected`` (all metrics at the one selected checkpoint) and ``best_epoch_per_metric``
  (each metric's own maximum over epochs on the reported fold: what the paper printed, and optimistic).
- Intervals and tests take the lowest seed's predictions; segments are resampled by dialogue within their fold.
- An unfinished row says so ("3/5 folds"); nothing is filled in.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from erc.evaluation import Interval, holm, mean_and_std
from erc.files import write_atomically
from erc.report.comparisons import differences, interval
from erc.report.grid_results import METRICS, READINGS, Row, choose_row, is_synthetic, load
from erc.report.rendering import Document, Section, Table, short_p, table_to_markdown, to_latex, to_markdown
from erc.report.single_tables import (
    COMPARISON_NOTE,
    DISTRIBUTION_NOTE,
    PUBLISHED_NOTE,
    comparison_table,
    difference_texts,
    distribution_table,
    interval_table,
    main_table,
    published_table,
)

PROTOCOLS = {
    "paper": "the checkpoint is chosen on the fold that is reported, as published (optimistic).",
    "nested": "fold k reports, fold k + 1 chooses, the rest trains.",
}

SYNTHETIC_NOTE = (
    "**Synthetic sample corpus: these figures show that the pipeline works, and say nothing about people.**"
)


@dataclass(frozen=True)
class GridTables:
    """Everything that is computed of a grid, in the forms in which it is written."""

    document: Document
    csv: str
    """Content of ``table.csv``: one line for each row, corpus, reading and metric, in full precision."""
    latex: str
    """Content of ``table.tex``: the main table of reading ``selected``."""


def write_tables(folder: str | Path, reference: str | None = None, n_resamples: int = 2000) -> str:
    """Writes ``table.md``, ``table.csv`` and ``table.tex`` into a grid's folder.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        reference: Row that the others are compared with; ``tensor_mixer_peakl``, or the last row, where not given.
        n_resamples: Resamples of the bootstrap.

    Returns:
        The text of ``table.md``.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: ``reference`` is not a finished row, the cells are not of one protocol, or rows were not scored on the
            same segments.
    """
    return save_tables(folder, make_tables(load(folder), reference, n_resamples))


def compare_table(folder: str | Path, row_a: str, row_b: str, n_resamples: int = 2000) -> str:
    """Difference of two rows of a grid, metric by metric, as a Markdown table; p is corrected (Holm) over its metrics.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        row_a: Name of row A, such as ``tensor_mixer_peakl``.
        row_b: Name of row B, which is subtracted.
        n_resamples: Resamples of the bootstrap.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: A row is not finished, the rows share no fold, or they were not scored on the same segments.
    """
    found = differences(folder, row_a, row_b, n_resamples)
    corrected = {kind: holm(np.array([one[kind] for one in found.values()])) for kind in ("p_t", "p_bootstrap")}
    lines = [
        [METRICS[metric], *difference_texts(one), *(short_p(corrected[kind][index]) for kind in corrected)]
        for index, (metric, one) in enumerate(found.items())
    ]
    n_folds = next(iter(found.values()))["n_folds"]
    title = f"{row_a} minus {row_b}, reading `selected`, {n_folds} folds; both p Holm-corrected over this table"
    table = Table(["", "difference", "95 % interval", "p (t)", "p (bootstrap)"], lines, title)
    return f"{table.caption}\n\n{table_to_markdown(table)}"


def document(rows: list[Row], reference: str | None = None, n_resamples: int = 2000) -> Document:
    """All tables of a grid as values; arguments and errors as ``make_tables``."""
    return make_tables(rows, reference, n_resamples).document


def make_tables(rows: list[Row], reference: str | None = None, n_resamples: int = 2000) -> GridTables:
    """Computes all tables of a grid, once.

    Args:
        rows: Finished rows of one grid, in the order of the table.
        reference: As in ``write_tables``.
        n_resamples: As in ``write_tables``.

    Raises:
        ValueError: ``reference`` is not a finished row, or rows were not scored on the same segments.
    """
    base = choose_row(rows, reference, "reference")
    intervals = {row.name: interval(row, n_resamples) for row in rows}
    # a corpus of which no fold has a segment has no table
    corpora = sorted({name for result in _results(rows) for name in result["selected"]["metrics_by_corpus"]})
    sections = _reading_sections(rows, intervals)
    for corpus in corpora if len(corpora) > 1 else []:
        table = main_table(rows, "selected", corpus)
        sections.append(Section(f"{corpus} alone, reading `selected`", [], [table], "statistics"))
    sections += _statistics_sections(rows, base, n_resamples)
    other_code = other_code_note(rows)
    if other_code:
        sections.append(Section("Notes", [other_code], [], "statistics"))
    return GridTables(
        Document(_grid_name(rows), _preamble(rows), sections), _csv(rows, intervals, corpora), _latex(rows, other_code)
    )


def save_tables(folder: str | Path, tables: GridTables) -> str:
    """Writes ``table.md``, ``table.csv`` and ``table.tex`` into a folder; returns the text of ``table.md``."""
    folder, text = Path(folder), to_markdown(tables.document)
    for name, content in (("table.md", text), ("table.csv", tables.csv), ("table.tex", tables.latex)):
        write_atomically(folder / name, content)
    return text


def other_code_note(rows: list[Row]) -> str:
    """Names the cells that were trained with other code than most, and the files that differ; empty where none was."""
    runs = [run for row in rows for run in row.runs.values()]
    versions = Counter(frozenset(run.result["code"].items()) for run in runs)
    most = dict(versions.most_common(1)[0][0])
    cells = []
    for run in runs:
        code = run.result["code"]
        changed = sorted(file for file in most.keys() | code.keys() if most.get(file) != code.get(file))
        if changed:
            cells.append(f"`{run.cell}` ({', '.join(f'`{file}`' for file in changed)})")
    return f"Cells trained with other code: {'; '.join(cells)}." if cells else ""


def _results(rows: list[Row]) -> list[dict]:
    return [run.result for row in rows for run in row.runs.values()]


def _grid_name(rows: list[Row]) -> str:
    """Name of the grid's folder."""
    run = next(iter(rows[0].runs.values()))
    return run.folder.absolute().parent.parent.name


def _preamble(rows: list[Row]) -> list[str]:
    results = _results(rows)
    protocol = results[0]["protocol"]
    seeds = ", ".join(map(str, sorted({result["seed"] for result in results})))
    lines = [
        f"protocol={protocol}: {PROTOCOLS[protocol]}",
        f"Mean ± sample standard deviation over folds; seeds {seeds}.",
    ]
    return [*lines, SYNTHETIC_NOTE] if is_synthetic(rows) else lines


def _reading_sections(rows: list[Row], intervals: dict[str, dict[str, Interval]]) -> list[Section]:
    sections = [
        Section(f"Reading `{reading}`: {what}", [], [main_table(rows, reading)], "reading")
        for reading, what in READINGS.items()
    ]
    sections[-1].tables.append(interval_table(rows, intervals))
    return sections


def _statistics_sections(rows: list[Row], base: Row, n_resamples: int) -> list[Section]:
    note = [PUBLISHED_NOTE] if is_synthetic(rows) else []
    return [
        Section(
            f"Against {base.name}, reading `selected`",
            [COMPARISON_NOTE],
            [comparison_table(rows, base, n_resamples)],
            "statistics",
        ),
        Section(
            "Label distributions, reading `selected`", [DISTRIBUTION_NOTE], [distribution_table(rows)], "statistics"
        ),
        Section(
            "Beside the published figures, reading `best_epoch_per_metric`",
            note,
            [published_table(rows)],
            "statistics",
        ),
    ]


def _csv(rows: list[Row], intervals: dict[str, dict[str, Interval]], corpora: list[str]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["row", "corpus", "reading", "metric", "mean", "std", "n_folds", "low", "high", "folds", "values"])
    for row in rows:
        for reading in READINGS:
            for corpus in [None, *(corpora if reading == "selected" else [])]:
                for metric in METRICS:
                    values = row.values(metric, reading, corpus)
                    ends = intervals[row.name][metric] if reading == "selected" and corpus is None else None
                    writer.writerow(
                        [row.name, corpus or "all", reading, metric, *map(repr, map(float, mean_and_std(values)))]
                        + [len(values), *(("", "") if ends is None else (repr(ends.low), repr(ends.high)))]
                        + [" ".join(map(str, row.folds)), " ".join(repr(float(value)) for value in values)]
                    )
    return stream.getvalue()


def _latex(rows: list[Row], other_code: str) -> str:
    protocol = _results(rows)[0]["protocol"]
    caption = (
        f"Mean ± sample standard deviation over folds; protocol `{protocol}`, all metrics at the selected checkpoint."
    )
    caption += " Synthetic sample corpus." if is_synthetic(rows) else ""
    caption += f" {other_code}" if other_code else ""
    return to_latex(main_table(rows, "selected", caption=caption))
