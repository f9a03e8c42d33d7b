"""Two grids -> the differences of their rows of the same name: another number of epochs, another encoder, another code.

Comes in: two grid folders, or two single runs. Goes out: a section of the page, ``against.md``, ``against.csv``, and one sentence.
Conventions: difference = A minus B, on the folds that both have. Intervals and tests pair the same segments, dialogue by
dialogue, as for two rows of one grid (comparisons.py); both p are Holm-corrected over all rows and metrics.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from erc.files import write_atomically
from erc.report.comparisons import Comparison, compare_rows, corrected
from erc.report.grid_results import METRICS, Row, load, metrics_of
from erc.report.rendering import Document, Section, Table, ends_text, short, short_p, signed, to_markdown
from erc.report.single_tables import comparison_notes, conclusion_text, difference_texts
from erc.report.table_files import harmless
from erc.training import changed_files, option_differences, read_identity

SENTENCE_METRIC = "weighted_f1"

MAX_TOLD = 3
"""So many differences of options stand in the sentence; the section has all."""

COLUMNS = (
    "row",
    "metric",
    "a",
    "b",
    "difference",
    "low",
    "high",
    "n_folds",
    "p_t",
    "p_bootstrap",
    "p_bootstrap_is_bound",
)
"""Columns of ``against.csv``: ``a`` and ``b`` are the means over the ``n_folds`` folds of both; p as in ``table.csv``."""


@dataclass(frozen=True)
class Pair:
    """A row of both grids, and the folds that both have."""

    a: Row
    b: Row
    folds: list[int]

    def means(self, metric: str) -> tuple[float, float]:
        """Mean of each over the folds of both."""
        a, b = (dict(zip(row.folds, row.values(metric), strict=True)) for row in (self.a, self.b))
        return float(np.mean([a[fold] for fold in self.folds])), float(np.mean([b[fold] for fold in self.folds]))


@dataclass(frozen=True)
class Against:
    """What the comparison of two grids has shown."""

    title: str
    section: Section
    sentence: str
    """The same in short."""
    csv: str
    """Every figure in full precision; see ``COLUMNS``."""

    def save(self, folder: str | Path) -> str:
        """Writes ``against.md`` and ``against.csv`` into a folder; returns the text of ``against.md``."""
        text = to_markdown(Document(self.title, [self.sentence], [self.section]))
        write_atomically(Path(folder) / "against.md", text)
        write_atomically(Path(folder) / "against.csv", self.csv)
        return text


def compare_grids(
    folder: str | Path,
    against: str | Path,
    n_resamples: int = 2000,
    row: str | None = None,
    known_rows: list[Row] | None = None,
) -> Against:
    """Compares every row of a grid with the row of the same name of another grid.

    Args:
        folder: Grid A, or a single run.
        against: Grid B, or a single run, which is subtracted.
        n_resamples: Resamples of the bootstrap.
        row: The row that the sentence is about; the one with the highest weighted F1 in grid A where not given.
        known_rows: What ``load`` returns for grid A, where it was read before.

    Raises:
        FileNotFoundError: No cell of a grid is finished.
        ValueError: The grids share no row and fold, or differ in corpora, label space or reported segments.
    """
    if Path(folder).resolve() == Path(against).resolve():
        raise ValueError(
            f"A grid is compared with another one: expected two folders, got {folder} twice. Name the other one."
        )
    names = _names(folder, against)
    rows_a, rows_b = load(folder) if known_rows is None else known_rows, load(against)
    _check_corpora(rows_a, rows_b, names)
    by_name = {one.name: one for one in rows_b}
    pairs = [
        Pair(one, by_name[one.name], folds)
        for one in rows_a
        if one.name in by_name and (folds := [fold for fold in one.folds if fold in by_name[one.name].folds])
    ]
    if not pairs:
        listed = [
            ", ".join(f"{one.name} (folds {', '.join(map(str, one.folds))})" for one in rows)
            for rows in (rows_a, rows_b)
        ]
        raise ValueError(
            f"Two grids are compared on rows and folds of both: expected some of {listed[0]}, got {listed[1]} "
            f"({names[1]}). Train the same rows and folds in both."
        )
    for pair in pairs:
        _check_segments(pair, names)
    keys = [(pair, metric) for pair in pairs for metric in metrics_of(pair.a)]
    by_pair = {pair.a.name: compare_rows(pair.a, pair.b, n_resamples, len(keys)) for pair in pairs}
    found = corrected([by_pair[pair.a.name][metric] for pair, metric in keys])
    title = f"{names[0]} against {names[1]}"
    different, n_unknown = differing(pairs, names)
    several = [one for pair in pairs for one in (pair.a, pair.b)]
    paragraphs = [
        f"Difference = {names[0]} minus {names[1]}, in the folds of both. Both p are Holm-corrected over this table.",
        *filter(None, [_alone(rows_a, rows_b, pairs, names), _differing_text(different, n_unknown)]),
        *comparison_notes(several, len(keys), n_resamples)[1:],
        *filter(None, [conclusion_text(found)]),
    ]
    table = _table(keys, found, names)
    means = {pair.a.name: pair.means(SENTENCE_METRIC)[0] for pair in pairs}
    name = row if row in means else max(means, key=lambda name: means[name])
    told = next(pair.a for pair in pairs if pair.a.name == name)
    sentence = f"{_sentence(keys, found, told, title, names)} {_differing_text(different, n_unknown, MAX_TOLD)}"
    return Against(
        title, Section(f"{title}, reading `selected`", paragraphs, [table], "statistics"), sentence, _csv(keys, found)
    )


def _names(folder: str | Path, against: str | Path) -> tuple[str, str]:
    """Names of the folders, or their paths where both have one name."""
    a, b = Path(folder).absolute(), Path(against).absolute()
    return (str(folder), str(against)) if a.name == b.name else (a.name, b.name)


def _check_corpora(rows_a: list[Row], rows_b: list[Row], names: tuple[str, str]) -> None:
    of_a, of_b = (
        sorted({name for row in rows for run in row.runs.values() for name in run.result["corpora"]})
        for rows in (rows_a, rows_b)
    )
    if of_a != of_b:
        raise ValueError(
            f"Two grids are compared on the same corpora: expected {', '.join(of_a)} as in {names[0]}, got {', '.join(of_b)} "
            f"({names[1]}). Name a grid of the same corpora."
        )
    if rows_a[0].label_space != rows_b[0].label_space:
        reasons = "; ".join(rows_a[0].label_space.differences(rows_b[0].label_space))
        raise ValueError(
            f"Two grids are compared in one label space: {names[0]} and {names[1]} differ ({reasons}). Name a grid of the same."
        )


def _check_segments(pair: Pair, names: tuple[str, str]) -> None:
    labels = ["segment_id", "dialogue", "hard_label", "is_tied", *pair.a.columns.dimensions]
    for fold in pair.folds:
        a, b = (row.runs_of(fold)[0].predictions for row in (pair.a, pair.b))
        where = f"{pair.a.name}, fold {fold}"
        what_to_do = "Train both on the same data with the same folds."
        if not a["segment_id"].equals(b["segment_id"]):
            n_shared = len(set(a["segment_id"]) & set(b["segment_id"]))
            raise ValueError(
                f"Two grids are compared on the same segments: expected the {len(a):,} of {names[0]}, got {len(b):,}, of which "
                f"{n_shared:,} are the same ({names[1]}, {where}). {what_to_do}"
            )
        if not a[labels].equals(b[labels]):
            raise ValueError(
                f"Two grids are compared on the same labels: expected those of {names[0]}, got others for the same segments "
                f"({names[1]}, {where}). {what_to_do}"
            )


def _alone(rows_a: list[Row], rows_b: list[Row], pairs: list[Pair], names: tuple[str, str]) -> str:
    """Names the rows that cannot be compared; empty if all can."""
    compared = {pair.a.name for pair in pairs}
    in_a, in_b = ([row.name for row in rows if row.name not in compared] for rows in (rows_a, rows_b))
    parts = {
        f"only {names[0]} has": [name for name in in_a if name not in in_b],
        f"only {names[1]} has": [name for name in in_b if name not in in_a],
        "no fold of both grids has": [name for name in in_a if name in in_b],
    }
    told = "; ".join(f"{who} {', '.join(rows)}" for who, rows in parts.items() if rows)
    return f"Not compared: {told}." if told else ""


def differing(pairs: list[Pair], names: tuple[str, str]) -> tuple[list[str], int]:
    """What differs in options, data, seeds and code between two grids; a difference of some rows names them.

    Returns:
        The differences, and the number of rows of which only the seeds are known: a cell has no ``identity.json``.
    """
    rows_of: dict[str, list[str]] = {}
    code: set[str] = set()
    n_unknown = 0
    for pair in pairs:
        texts = []
        if pair.a.seeds != pair.b.seeds:
            seeds = [", ".join(map(str, row.seeds)) for row in (pair.a, pair.b)]
            texts.append(f"seeds: {seeds[0]} in {names[0]}, {seeds[1]} in {names[1]}")
        a, b = (read_identity(row.runs_of(pair.folds[0])[0].folder).value for row in (pair.a, pair.b))
        if a is None or b is None:
            n_unknown += 1
        else:
            of_options = option_differences(a.options, b.options, (f"in {names[0]}", f"in {names[1]}"))
            texts += [text for text in of_options if not text.startswith("seed: ")]
            if a.data != b.data:
                texts.append("the fingerprint of the corpora, so the training segments may be others")
            code |= set(changed_files(a.code, b.code))
        for text in texts:
            rows_of.setdefault(text, []).append(pair.a.name)
    found = [text if len(rows) == len(pairs) else f"{text} (of {', '.join(rows)})" for text, rows in rows_of.items()]
    return [*found, *([f"code: {', '.join(sorted(code))}"] if code else [])], n_unknown


def _differing_text(found: list[str], n_unknown: int, at_most: int | None = None) -> str:
    """Differences in a sentence; of many the first, and how many there are besides."""
    n_more = len(found) - len(found[:at_most])
    listed = "; ".join(found[:at_most]) + (f"; and {n_more} more" if n_more else "")
    unknown = f"What else differs is not known in {n_unknown} rows, which have no identity.json." if n_unknown else ""
    same = "" if found or unknown else "Options, data and code are the same in both grids."
    return " ".join(filter(None, [f"The grids differ in {listed}." if found else same, unknown]))


def _table(keys: list[tuple[Pair, str]], found: Iterable[Comparison], names: tuple[str, str]) -> Table:
    lines = []
    for (pair, metric), one in zip(keys, found, strict=True):
        means = [short(value) for value in pair.means(metric)]
        lines.append(
            [pair.a.title, METRICS[metric], str(one.n_folds), *difference_texts(one), *means]
            + [short_p(one.p_t), short_p(one.p_bootstrap, one.is_bound)]
        )
    header = ["", "metric", "folds", "difference", "95 % interval", *names, "p (t)", "p (bootstrap)"]
    return Table(header, lines)


def _sentence(
    keys: list[tuple[Pair, str]],
    found: list[Comparison],
    told: Row,
    title: str,
    names: tuple[str, str],
) -> str:
    of_rows = {pair.a.name: one for (pair, metric), one in zip(keys, found, strict=True) if metric == SENTENCE_METRIC}
    one = of_rows[told.name]
    n_higher = sum(other.difference > 0 for other in of_rows.values())
    text = (
        f"**{title}**: the weighted F1 of {told.title} differs by **{signed(one.difference)}** "
        f"(95 % interval {ends_text(one.low, one.high, with_sign=True)})"
    )
    if one.low <= 0 <= one.high:
        text += ", so which is better is not shown"
    if len(of_rows) > 1:
        text += f"; {names[0]} is higher in {n_higher} of {len(of_rows)} rows"
    return f"{text}."


def _csv(keys: list[tuple[Pair, str]], found: Iterable[Comparison]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (pair, metric), one in zip(keys, found, strict=True):
        numbers = [repr(value) for value in (*pair.means(metric), one.difference, one.low, one.high)]
        p_values = [repr(one.p_t), repr(one.p_bootstrap), one.is_bound]
        writer.writerow([harmless(pair.a.name), metric, *numbers, one.n_folds, *p_values])
    return stream.getvalue()
