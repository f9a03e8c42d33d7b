"""Figure "folds": every fold of every row, and the mean with its interval over folds."""

from __future__ import annotations

import math
import textwrap
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    GREY,
    INK,
    MIN_FONT,
    PAGE_MM,
    PALE,
    PAPER,
    is_narrow,
    letter_panels,
    new_figure,
    styled,
)
from erc.report.grid_results import COMPARED, metrics_of
from erc.report.rendering import short

TITLE_LETTERS = 26
"""Of a line of a row's title."""


class FoldValues(NamedTuple):
    """One metric of one row."""

    by_fold: dict[int, float]
    low: float = math.nan
    """Lower end of the 95 % interval of the mean over folds; NaN where there is none."""
    high: float = math.nan


Values = dict[str, dict[str, FoldValues]]
"""By metric's title, by row's title."""

DOT: dict[str, Any] = dict(
    linestyle="none", marker="o", markerfacecolor=PAPER, markeredgecolor=GREY, markersize=3.5, markeredgewidth=0.7
)
MEAN: dict[str, Any] = dict(linestyle="none", marker="D", color=INK, markersize=4.5)


@styled
def draw_folds(values: Values, note: str = "", width_mm: float = PAGE_MM) -> Figure:
    """Every fold of every row as a dot, and above the dots the mean with its interval.

    Args:
        values: Of each metric and row.
        note: Grey remark at the bottom.
        width_mm: In print; in a narrow figure the metrics stand one below the other.

    Returns:
        About 6 mm high for each row, of each metric where it is narrow.
    """
    narrow, n_panels = is_narrow(width_mm), len(values)
    names = list(next(iter(values.values())))
    labels = [textwrap.fill(name, TITLE_LETTERS) for name in names]
    row_mm = max(6.0, 0.6 + 2.9 * max(label.count("\n") + 1 for label in labels))
    panel_mm = 15 + row_mm * max(len(names), 2)
    handles = [
        Line2D([], [], **DOT, label="one fold"),
        Line2D([], [], **MEAN, label="mean (number: its value)"),
        Line2D([], [], color=INK, linewidth=1.6, label="95 % interval over folds"),
    ]
    fig = new_figure(width_mm, 10 + panel_mm * (n_panels if narrow else 1), note, handles)
    shape = (n_panels, 1) if narrow else (1, n_panels)
    panels = fig.subplots(shape[0], shape[1], sharey=True, squeeze=False).ravel()
    for ax, (metric, by_row) in zip(panels, values.items(), strict=True):
        _panel(ax, [by_row[name] for name in names], metric)
        ax.xaxis.set_major_locator(MaxNLocator(4 if n_panels < 4 or narrow else 2))
    panels[0].set_yticks(range(len(names)), labels)
    panels[0].set_ylim(len(names) - 0.5, -0.6)
    letter_panels(panels)
    return fig


def _panel(ax: Axes, rows: list[FoldValues], metric: str) -> None:
    for place, row in enumerate(rows):
        dots = list(row.by_fold.values())
        ax.plot(dots, np.full(len(dots), place + 0.2), **DOT)
        mean = float(np.mean(dots)) if dots else math.nan
        if not math.isnan(row.low):
            ax.plot([row.low, row.high], [place - 0.15] * 2, color=INK, linewidth=1.6, solid_capstyle="butt")
        ax.plot(mean, place - 0.15, **MEAN)
        text: dict[str, Any] = dict(transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=MIN_FONT)
        ax.text(0.99, place, short(mean), **text)
    shown = [value for row in rows for value in (*row.by_fold.values(), row.low, row.high)]
    known = np.array([value for value in shown if not math.isnan(value)])
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    span = high - low + 1e-3
    ax.set_xlim(low - 0.08 * span, high + 0.32 * span)  # room for the means
    ax.set_title(metric)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=PALE, linewidth=0.5)


def finding_of(by_row: dict[str, FoldValues], metric: str) -> str:
    """Which row has the highest mean, and in how many folds it is ahead of the next; empty for fewer than two rows or folds.

    Only rows that have every fold of the grid are compared.
    """
    folds = {fold for row in by_row.values() for fold in row.by_fold}
    full = {name: row.by_fold for name, row in by_row.items() if set(row.by_fold) == folds}
    means = {name: float(np.mean(list(values.values()))) for name, values in full.items()}
    if len(folds) < 2 or len(full) < 2 or any(map(math.isnan, means.values())):
        return ""
    first, second, *_ = sorted(means, key=lambda name: -means[name])
    n_ahead = sum(full[first][fold] > full[second][fold] for fold in folds)
    return (
        f"{first} has the highest mean {metric} ({short(means[first])}); it is ahead of {second} "
        f"({short(means[second])}) in {n_ahead} of {len(folds)} folds."
    )


def values_of(grid: GridView) -> Values:
    """What is drawn of a grid: the compared metrics that its corpora have."""
    titles = metrics_of(grid.row)
    ends = {row.name: {name: both.folds for name, both in grid.intervals[row.name].items()} for row in grid.rows}
    return {
        titles[metric]: {
            row.title: FoldValues(
                dict(zip(row.folds, row.values(metric).tolist(), strict=True)),
                float(ends[row.name][metric].low),
                float(ends[row.name][metric].high),
            )
            for row in grid.rows
        }
        for metric in COMPARED
        if metric in titles
    }


def _from_grid(grid: GridView) -> Figure:
    return draw_folds(values_of(grid), grid.note, grid.width_mm)


def _finding(grid: GridView) -> str:
    metric, by_row = next(iter(values_of(grid).items()))
    return finding_of(by_row, metric)


FIGURE = FigureSpec(
    name="folds",
    alt="Dot plot of weighted F1 and of the concordances: folds, mean and interval of each row of the table",
    caption="Every fold of every row, and the mean with its 95 % interval over folds.",
    draw=_from_grid,
    finding=_finding,
)
