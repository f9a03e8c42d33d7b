"""Values around the map: facts, states of the cells, figures, alignment of each fold, agreement of the raters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from erc.data import NO_SPLIT
from erc.report.arrangement import AlignmentRow
from erc.report.figures.drawing import Drawn, spec_of
from erc.report.figures.embedding_map import ARRANGED_BELOW
from erc.report.grid_results import Row, is_single_run, trained_part
from erc.report.raters import Agreement, NoRaters, agreement
from erc.report.rendering import NOT_DEFINED, Section, Table, raters_text, short, short_p
from erc.training import state_of


class Picture(NamedTuple):
    """One figure as it goes into the page."""

    name: str
    """Of its file."""
    svg: str
    """An ``<svg>`` element (``figures.themed_svg``)."""
    caption: str
    finding: str = ""
    """What it shows, in a sentence; empty for none."""


class CellState(NamedTuple):
    """Runs of one row and fold."""

    state: str
    """``state_of`` the first of them; "absent" where none was begun."""
    text: str
    """State and seed of each."""


class Cells(NamedTuple):
    """State of every cell that was begun: one line for each row, one column for each fold."""

    header: list[str]
    rows: list[tuple[str, list[CellState]]]


def facts_of(rows: list[Row]) -> dict[str, str]:
    """What the report is about, label by label."""
    results = [run.result for row in rows for run in row.runs.values()]

    def each(values: Iterable[Any]) -> str:
        return ", ".join(map(str, sorted(set(values))))

    folds = sorted({result["fold"] for result in results})
    versions = {", ".join(f"{k} {v}" for k, v in result["versions"].items()) for result in results}
    return {
        "Experiment": each(result["experiment"] for result in results),
        "Corpora": each(name for result in results for name in result["corpora"]),
        "Protocol": each(result["protocol"] for result in results),
        "Seeds": each(result["seed"] for result in results),
        **({"Pre-trained encoders": each(filter(None, parts))} if any(parts := [*map(trained_part, results)]) else {}),
        "Folds with a finished cell": f"{each(folds)} ({len(folds)} of {rows[0].n_folds}); {len(results)} cells in all",
        "Versions": "; ".join(sorted(versions)),
    }


def cells_of(rows: list[Row], runs: str) -> Cells:
    """State of each cell of the grid's folder; rows without a finished cell come last, under their folder's name."""
    titles = {row.name: row.title for row in rows}
    found: dict[str, dict[int, list[tuple[str, str]]]] = {}
    for path in sorted(Path(runs).glob("*/fold*-seed*")):
        match = re.fullmatch(r"fold(\d+)-seed(\d+)", path.name)
        if match and path.is_dir():
            found.setdefault(path.parent.name, {}).setdefault(int(match[1]), []).append((state_of(path), match[2]))

    folds = list(range(rows[0].n_folds))
    if is_single_run(runs):
        (run,) = rows[0].runs.values()
        folds = [run.result["fold"]]
        found = {rows[0].name: {folds[0]: [("done", str(run.result["seed"]))]}}

    def cell(states: list[tuple[str, str]]) -> CellState:
        if not states:
            return CellState("absent", "not begun")
        return CellState(states[0][0], ", ".join(f"{state} (seed {seed})" for state, seed in states))

    order = [*titles, *sorted(set(found) - set(titles))]
    return Cells(
        ["", *(f"fold {fold}" for fold in folds)],
        [(titles.get(name, name), [cell(found.get(name, {}).get(fold, [])) for fold in folds]) for name in order],
    )


def pictures_of(drawn: Sequence[Drawn]) -> tuple[list[Picture], list[str]]:
    """Figures for the page; and one line for each figure that was not drawn."""
    pictures = []
    for one in drawn:
        if one.path is not None:
            spec = spec_of(one.name)
            pictures.append(Picture(one.name, one.svg, spec.caption, one.finding))
    return pictures, [f"Figure {one.name} is missing: {one.missing}" for one in drawn if one.path is None]


def alignment_section(rows: list[Row], found: Sequence[AlignmentRow]) -> Section:
    """Arrangement of the emotions by the vectors of every row and fold, against the raters' arrangement."""
    titles = {row.name: row.title for row in rows}
    n_arranged = sum(one.p < ARRANGED_BELOW for one in found)
    title = f"Emotions are arranged as the raters arrange them in {n_arranged} of {len(found)} cells (p < .05)"
    if not n_arranged:
        title = f"Emotions are not clearly arranged as the raters arrange them in any of {len(found)} cells (p ≥ .05)"
    note = (
        "ρ of each fold, among the vectors in front of the heads and on the map that is drawn of them. p comes from all "
        "relabellings of the emotions (Mantel, 1967); it is not corrected for the number of lines. Trustworthiness: share of a "
        "point's neighbours on the map that are its neighbours among the vectors, as a score in [0, 1]. Disparity: what does not "
        "fit after the map is turned onto the plane. Before training: ρ among the vectors of the network with which the run "
        "began, where the run has kept them."
    )
    header = ["", "fold", "segments", "emotions", "ρ", "p"]
    header += ["on the map", "p", "trustworthiness", "disparity", "before training", "p"]
    lines = [
        [titles[one.row], str(one.fold), f"{one.n_segments:,}", str(one.n_emotions), short(one.rho), short_p(one.p)]
        + [_or_undefined(short, one.map_rho), _or_undefined(short_p, one.map_p)]
        + [_or_undefined(short, one.trustworthiness), _or_undefined(short, one.disparity)]
        + [_or_undefined(short, one.untrained_rho), _or_undefined(short_p, one.untrained_p)]
        for one in found
    ]
    return Section(title, [note], [Table(header, lines)], "statistics")


def _or_undefined(show: Callable[[float], str], value: float | None) -> str:
    return NOT_DEFINED if value is None else show(value)


RATER_COLUMNS = {
    "fleiss_kappa": "Fleiss' kappa",
    "known": "licensed corpora",
    "alpha_nominal": "alpha, nominal",
    "alpha_ordinal": "alpha, ordinal",
    "alpha_interval": "alpha, interval",
    "correlation_mean": "mean correlation of two raters",
    "correlation_range": "lowest to highest",
}


def raters_section(row: Row, n_resamples: int) -> Section:
    """Agreement of the raters in the data set of the row's runs; a notice where the data set is not there."""
    title = "Agreement of the raters"
    run = next(iter(row.first_seed().values()))
    try:
        segments = run.dataset(validation_fold=NO_SPLIT, on_bad_segment="skip", protocol="paper")
    except FileNotFoundError as err:
        return Section(title, [f"**Not computed: {str(err).splitlines()[0]}**"], [], "statistics")
    space = row.label_space
    try:
        found = agreement(segments, space, n_resamples=n_resamples)
    except NoRaters as err:
        return Section(title, [f"**Not computed: {err}**"], [], "statistics")
    sizes = {one.group: f"{one.group}: {one.n_segments:,} segments, {one.n_clusters:,} dialogues" for one in found}
    is_known = any(not np.isnan(one.known) for one in found)
    beside = "The value of the licensed corpora stands beside kappa. " if is_known else ""
    note = (
        f"Statistics are computed within each group of {raters_text(space.n_raters)}, with 95 % bootstrap intervals over "
        f"dialogues. {beside}Alpha is Krippendorff's. {'; '.join(sizes.values())}."
    )
    columns = {name: header for name, header in RATER_COLUMNS.items() if name != "known" or is_known}
    return Section(
        title, [note], [Table(["", "ratings", *columns.values()], _rater_rows(found, columns))], "statistics"
    )


def _rater_rows(found: list[Agreement], columns: Iterable[str]) -> list[list[str]]:
    """One row of these ``RATER_COLUMNS`` for each group and kind of rating; empty where a statistic is not defined for it."""
    by_line: dict[tuple[str, str], dict[str, Agreement]] = {}
    for one in found:
        by_line.setdefault((one.group, one.ratings), {})[one.statistic] = one
    rows = []
    for key, line in by_line.items():
        cells = {name: short(one.estimate) + _ends(one) for name, one in line.items()}
        known = next((one.known for one in line.values() if not np.isnan(one.known)), None)
        if known is not None:
            cells["known"] = short(known)
        if "correlation_max" in line:
            lowest, highest = (short(line[f"correlation_{end}"].estimate) for end in ("min", "max"))
            cells["correlation_range"] = f"{lowest} to {highest}"
        rows.append([*key, *(cells.get(name, "") for name in columns)])
    return rows


def _ends(one: Agreement) -> str:
    return "" if np.isnan(one.low) else f" ({short(one.low)} to {short(one.high)})"
