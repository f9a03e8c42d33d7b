"""Run folders -> ``table.md``, ``table.csv``, ``table.tex``: the table of the paper, and how certain its figures are.

Comes in: ``<grid>/<row>/fold<k>-seed<s>/`` with ``result.json`` and ``predictions.csv``. No model is loaded.
Conventions:

- mean ± sample standard deviation (n - 1) over folds; several seeds of a fold are averaged first, in every table.
- Two readings, never mixed: ``selected`` (all metrics at the one selected checkpoint) and ``best_epoch_per_metric``
  (each metric's own maximum over epochs on the reported fold: what the paper printed, and optimistic).
- Intervals and tests take the predictions of every seed; segments are left out or resampled by dialogue within their fold.
  Where a fold has several seeds, the variation between them is part of every interval and p.
- An unfinished row says so ("3/5 folds"), and so does a seed that some folds lack; nothing is filled in.
- A cell whose files are damaged is left out, and named above the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from erc.evaluation import Intervals
from erc.files import write_atomically
from erc.report.against import Against, compare_grids
from erc.report.arrangement import FoldArrangements, arrangement_section, arrangements, fold_arrangements
from erc.report.comparisons import compare_rows, corrected, intervals, named_rows
from erc.report.coverage import coverage_text
from erc.report.grid_results import (
    METRICS,
    READINGS,
    Grid,
    Row,
    choose_row,
    is_synthetic,
    left_out_text,
    load,
    metrics_of,
)
from erc.report.group_tables import group_section
from erc.report.modalities import added_by_modality, added_section
from erc.report.notes import (
    SYNTHETIC_NOTE,
    grid_name,
    other_code_note,
    preamble,
    results_of,
    scope_text,
    trained_on_text,
)
from erc.report.rendering import Document, Section, Table, short_p, table_to_markdown, table_to_text, to_markdown
from erc.report.single_tables import (
    PUBLISHED_NOTE,
    compare_all,
    comparison_notes,
    comparison_table,
    conclusion_text,
    difference_texts,
    disagreement_note,
    disagreement_table,
    distribution_note,
    distribution_table,
    distributions_of,
    halves_of,
    has_published,
    humans_of,
    interval_tables,
    main_table,
    n_dialogues_of,
    published_table,
)
from erc.report.table_files import Numbers, to_csv, to_paper


@dataclass(frozen=True)
class GridTables:
    """Everything that is computed of a grid, in the forms in which it is written."""

    document: Document
    csv: str
    """Content of ``table.csv``: every figure of the document in full precision."""
    latex: str
    """Content of ``table.tex``: the main table of reading ``selected``, with its intervals."""
    intervals: dict[str, dict[str, Intervals]]
    """Of each row by its name, and of each metric."""
    arrangements: FoldArrangements
    """How the vectors arrange the emotions, of each row and fold."""


def write_tables(
    folder: str | Path, reference: str | None = None, n_resamples: int = 2000, against: str | None = None
) -> str:
    """Writes ``table.md``, ``table.csv`` and ``table.tex`` into a grid's folder, and ``against.md`` and ``against.csv`` if asked.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        reference: Row that the others are compared with; ``tensor_mixer_peakl``, or the last row, where not given.
        n_resamples: Resamples of the bootstrap.
        against: Folder of another grid, whose rows of the same names are compared with these; see ``compare_grids``.

    Returns:
        The text of ``table.md``, then that of ``against.md``.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: ``reference`` is not a finished row, the cells are not of one set of options, data and protocol, or rows
            were not scored on the same segments.
    """
    rows = load(folder)
    other = compare_grids(folder, against, n_resamples, known_rows=rows) if against else None
    return save_tables(folder, make_tables(rows, reference, n_resamples), other)


def tables_and_left_out(folder: str | Path, width: int | None = None) -> tuple[str, dict[str, str]]:
    """Writes the tables as ``write_tables`` does, and raises the same errors.

    Args:
        folder: The grid's folder.
        width: Columns of the terminal; None: lines may be of any length.

    Returns:
        The main table as text for the terminal, and why cells with a result are not in it, by the cell's name.
    """
    grid = load(folder)
    tables = make_tables(grid)
    save_tables(folder, tables)
    notes = [preamble(grid)[1], *([SYNTHETIC_NOTE.strip("*")] if is_synthetic(grid) else [])]
    text = [
        table_to_text(main_table(grid, "selected"), width),
        *(fill(note, width) if width else note for note in notes),
    ]
    return "\n".join(text), grid.left_out


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
    a, b = named_rows(folder, row_a, row_b)
    found = compare_rows(a, b, n_resamples, n_comparisons=len(metrics_of(a)))
    family = dict(zip(found, corrected(list(found.values())), strict=True))
    lines = [
        [METRICS[metric], *difference_texts(one), short_p(one.p_t), short_p(one.p_bootstrap, one.is_bound)]
        for metric, one in family.items()
    ]
    n_folds = next(iter(family.values())).n_folds
    title = f"{row_a} minus {row_b}, reading `selected`, {n_folds} folds; both p Holm-corrected over this table"
    table = Table(["", "difference", "95 % interval", "p (t)", "p (bootstrap)"], lines, title)
    notes = "\n\n".join(comparison_notes([a, b], len(family), n_resamples)[1:])
    return f"{table.caption}\n\n{notes}\n\n{table_to_markdown(table)}"


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
    arranged = fold_arrangements(rows)
    # a corpus of which no fold has a segment has no table
    corpora = sorted({name for result in results_of(rows) for name in result["selected"]["metrics_by_corpus"]})
    numbers = Numbers(
        rows=rows,
        base=base,
        corpora=corpora,
        intervals={row.name: intervals(row, n_resamples) for row in rows},
        comparisons=compare_all(rows, base, n_resamples),
        distributions={row.name: distributions_of(row) for row in rows},
        humans=humans_of(rows),
        halves=halves_of(rows),
        arrangements=arrangements(rows, arranged),
        added=added_by_modality(rows, n_resamples),
    )
    sections = _reading_sections(rows, numbers.intervals)
    for corpus in corpora if len(corpora) > 1 else []:
        table = main_table(rows, "selected", corpus)
        sections.append(Section(f"{corpus} alone, reading `selected`", [], [table], "statistics"))
    by_group = group_section(rows)
    sections += [*([by_group] if by_group else []), *_statistics_sections(numbers, n_resamples)]
    of_arrangements = arrangement_section(rows, numbers.arrangements)
    sections += [of_arrangements] if of_arrangements else []
    other_code = other_code_note(rows)
    if other_code:
        sections.append(Section("Notes", [other_code], [], "statistics"))
    scope = scope_text(rows, n_resamples)
    left_out = left_out_text(rows.left_out) if isinstance(rows, Grid) and rows.left_out else ""
    marks = [SYNTHETIC_NOTE] if is_synthetic(rows) else []
    marks += [f"**{left_out}**"] if left_out else []
    latex = to_paper(numbers, grid_name(rows), [trained_on_text(rows).strip(), scope, left_out, other_code])
    found = Document(grid_name(rows), [*preamble(rows), scope, *marks], sections)
    return GridTables(found, to_csv(numbers), latex, numbers.intervals, arranged)


def save_tables(folder: str | Path, tables: GridTables, other: Against | None = None) -> str:
    """Writes ``table.md``, ``table.csv``, ``table.tex``, and the comparison with another grid; returns the texts in Markdown."""
    folder, text = Path(folder), to_markdown(tables.document)
    for name, content in (("table.md", text), ("table.csv", tables.csv), ("table.tex", tables.latex)):
        write_atomically(folder / name, content)
    return f"{text}\n{other.save(folder)}" if other else text


def _reading_sections(rows: list[Row], found: dict[str, dict[str, Intervals]]) -> list[Section]:
    sections = [
        Section(f"Reading `{reading}`: {_what(reading, what, rows)}", [], [main_table(rows, reading)], "reading")
        for reading, what in READINGS.items()
    ]
    note = coverage_text(n_dialogues_of(rows))
    return [
        *sections,
        Section("95 % intervals, reading `selected`", [note], interval_tables(rows, found), "statistics"),
    ]


def _what(reading: str, what: str, rows: list[Row]) -> str:
    """What a reading is; where other segments choose than are reported, validation saw only those that choose."""
    if reading == "best_epoch_per_metric" and results_of(rows)[0]["protocol"] in ("nested", "cross_corpus"):
        return "each metric's best epoch on the segments that choose the checkpoint, and not on those that are reported"
    return what


def _statistics_sections(numbers: Numbers, n_resamples: int) -> list[Section]:
    rows, found = numbers.rows, numbers.comparisons
    against = Section(
        f"Against {numbers.base.name}, reading `selected`",
        [*comparison_notes(rows, len(found), n_resamples), *filter(None, [conclusion_text(found.values())])],
        [comparison_table(rows, found)],
        "statistics",
    )
    beside = Section(
        "Beside the published figures, reading `best_epoch_per_metric`",
        [PUBLISHED_NOTE] if is_synthetic(rows) else [],
        [published_table(rows)],
        "statistics",
    )
    of_modalities = added_section(rows, numbers.added)
    return [
        *([against] if found else []),
        *([of_modalities] if of_modalities else []),
        Section(
            "Label distributions, reading `selected`",
            [
                distribution_note(rows[0].label_space),
                disagreement_note(rows, numbers.distributions, numbers.halves),
            ],
            [
                distribution_table(rows, numbers.distributions, numbers.humans),
                disagreement_table(rows, numbers.distributions, numbers.halves),
            ],
            "statistics",
        ),
        *([beside] if has_published(rows) else []),
    ]
