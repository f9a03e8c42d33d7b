"""Figure "folds": every fold of every row."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import INK, MIN_FONT, PAGE_MM, PALE, new_figure, styled
from erc.report.grid_results import COMPARED, metrics_of
from erc.report.rendering import short


@styled
def draw_folds(values: dict[str, dict[str, dict[int, float]]], note: str = "") -> Figure:
    """Every fold of every row: one dot each; a line joins the dots of a fold; a bar marks the mean.

    Args:
        values: By metric's title, by row's title: a value for each fold.
        note: Grey remark at the bottom.

    Returns:
        180 mm wide, 11 mm a row.
    """
    names = list(next(iter(values.values())))
    folds = sorted({fold for by_row in values.values() for by_fold in by_row.values() for fold in by_fold})
    fig = new_figure(PAGE_MM, 24 + 11 * max(len(names), 2), note)
    step = min(0.13, 0.6 / max(len(folds) - 1, 1))
    shift = {fold: (number - (len(folds) - 1) / 2) * step for number, fold in enumerate(folds)}
    for ax, (metric, by_row) in zip(
        np.atleast_1d(fig.subplots(1, len(values), sharey=True)), values.items(), strict=True
    ):
        for fold in folds:
            places = [(by_row[name].get(fold, np.nan), row + shift[fold]) for row, name in enumerate(names)]
            ax.plot(*zip(*places, strict=True), color=PALE, linewidth=0.8, zorder=1)
            ax.plot(
                *zip(*places, strict=True), "o", color="white", markeredgecolor=INK, markersize=4, markeredgewidth=0.7
            )
        for row, name in enumerate(names):
            mean = float(np.mean(list(by_row[name].values()))) if by_row[name] else np.nan
            ax.plot([mean, mean], [row - 0.34, row + 0.34], color=INK, linewidth=1.6, zorder=3)
            ax.text(
                0.99,
                row,
                short(mean),
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=MIN_FONT,
            )
        known = [value for by_fold in by_row.values() for value in by_fold.values() if not np.isnan(value)]
        low, high = min(known, default=0), max(known, default=1)
        ax.set_xlim(low - 0.08 * (high - low + 1e-3), high + 0.32 * (high - low + 1e-3))  # room for the means
        ax.set_title("mean", loc="right", fontsize=MIN_FONT)
        ax.set_title(metric)
        ax.xaxis.set_major_locator(MaxNLocator(4 if len(values) < 4 else 2))
        ax.tick_params(axis="y", length=0)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.7)
    if len(folds) > 1:
        listed = ", ".join(map(str, folds)) if len(folds) < 12 else f"{folds[0]} to {folds[-1]}"
        order = f"dots: folds {listed} from top to bottom; a line joins the dots of one fold; bar: mean"
        fig.supxlabel(order, fontsize=MIN_FONT)
    return fig


def _from_grid(grid: GridView) -> Figure:
    metrics = metrics_of(grid.row)
    values = {
        metrics[metric]: {
            row.title: dict(zip(row.folds, row.values(metric).tolist(), strict=True)) for row in grid.rows
        }
        for metric in COMPARED
        if metric in metrics
    }
    return draw_folds(values, grid.note)


FIGURE = FigureSpec(
    name="folds",
    alt="Dot plot of weighted F1 and of the concordances, one line for each row of the table",
    caption="Every fold of every row: one dot each. A line joins the dots of one fold; a bar marks the mean.",
    draw=_from_grid,
)
