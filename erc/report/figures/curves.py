"""Figure "curves": training and validation by epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import GREY, INK, PAGE_MM, new_figure, styled
from erc.report.projection import NotDrawn

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))

SHADES = (GREY, "#A8A8A8", "#303030")
"""Of lines; with more folds than line styles, the styles come again in the next shade."""

CURVES = {
    "train/loss": "training loss",
    "valid/weighted_f1": "weighted F1, validation",
    "valid/ccc_arousal": "CCC (arousal), validation",
    "valid/ccc_valence": "CCC (valence), validation",
    "valid/ccc_dominance": "CCC (dominance), validation",
}
"""Of a dimension that was not rated there is no metric, hence no plot."""


def _line(number: int) -> dict[str, Any]:
    """Colour and line style of a fold, by its place among the folds."""
    shade = number // len(LINE_STYLES) % len(SHADES)
    return dict(color=SHADES[shade], linewidth=1, linestyle=LINE_STYLES[number % len(LINE_STYLES)])


@styled
def draw_curves(histories: dict[int, list[dict]], selected: dict[int, int], title: str = "", note: str = "") -> Figure:
    """Loss and validation metrics by epoch: one line for each fold, with the selected epoch marked.

    Args:
        histories: Per fold, ``result["history"]``.
        selected: Per fold, the selected epoch, from 0.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm wide, 48 mm for each line of plots.
    """
    handles = [Line2D([], [], **_line(number), label=f"fold {fold}") for number, fold in enumerate(sorted(histories))]
    handles.append(Line2D([], [], color=INK, linestyle="none", marker="o", markersize=4, label="selected epoch"))
    recorded = {key for history in histories.values() for row in history for key in row}
    shown = {key: name for key, name in CURVES.items() if not key.startswith("valid/ccc_") or key in recorded}
    n_lines = math.ceil(len(shown) / 2)
    fig = new_figure(PAGE_MM, 14 + 48 * n_lines, note, handles, handlelength=3.2)
    axes = fig.subplots(n_lines, 2, sharex=True, squeeze=False)
    for ax in axes.ravel()[len(shown) :]:
        ax.remove()
    for ax, (key, name) in zip(axes.ravel(), shown.items(), strict=False):
        for number, (fold, history) in enumerate(sorted(histories.items())):
            epochs = np.array([row["epoch"] for row in history])
            values = np.array([np.nan if row.get(key) is None else row[key] for row in history], dtype=np.float64)
            ax.plot(epochs + 1, values, **_line(number))
            at = epochs == selected[fold]
            ax.plot(epochs[at] + 1, values[at], "o", color=INK, markersize=4, zorder=3)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        ax.set_xlim(0.5, max(len(history) for history in histories.values()) + 0.5)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        if key.startswith("valid/"):
            ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
        ax.set(ylabel=name)
    for ax in axes.ravel()[: len(shown)][-2:]:
        ax.set(xlabel="epoch")
        ax.tick_params(labelbottom=True)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def _from_grid(grid: GridView) -> Figure:
    histories = {fold: run.result["history"] for fold, run in grid.runs.items() if run.result["history"]}
    if not histories:
        raise NotDrawn("the results hold no history of epochs")
    selected = {fold: grid.runs[fold].result["selected"]["epoch"] for fold in histories}
    return draw_curves(histories, selected, grid.title, grid.note)


FIGURE = FigureSpec(
    name="curves",
    alt="Line plots by epoch: training loss, weighted F1, and the concordance of each dimension",
    caption="Training loss and validation metrics by epoch: one line for each fold; a dot marks the selected epoch.",
    draw=_from_grid,
)
