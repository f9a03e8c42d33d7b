"""Figure "curves": training and validation by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import GREY, INK, PAGE_MM, new_figure, styled
from erc.report.projection import NotDrawn

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))

CURVES = {
    "train/loss": "training loss",
    "valid/weighted_f1": "weighted F1, validation",
    "valid/ccc_arousal": "CCC (arousal), validation",
    "valid/ccc_valence": "CCC (valence), validation",
}


@styled
def draw_curves(histories: dict[int, list[dict]], selected: dict[int, int], title: str = "", note: str = "") -> Figure:
    """Loss and validation metrics by epoch: one line for each fold, with the selected epoch marked.

    Args:
        histories: Per fold, ``result["history"]``.
        selected: Per fold, the selected epoch, from 0.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 110 mm.
    """
    handles = [
        Line2D([], [], color=GREY, linewidth=1, linestyle=LINE_STYLES[number % len(LINE_STYLES)], label=f"fold {fold}")
        for number, fold in enumerate(sorted(histories))
    ]
    handles.append(Line2D([], [], color=INK, linestyle="none", marker="o", markersize=4, label="selected epoch"))
    fig = new_figure(PAGE_MM, 110, note, handles, handlelength=3.2)
    axes = fig.subplots(2, 2, sharex=True)
    for ax, (key, name) in zip(axes.ravel(), CURVES.items(), strict=True):
        for number, (fold, history) in enumerate(sorted(histories.items())):
            epochs = np.array([row["epoch"] for row in history])
            values = np.array([np.nan if row.get(key) is None else row[key] for row in history], dtype=np.float64)
            ax.plot(epochs + 1, values, color=GREY, linewidth=1, linestyle=LINE_STYLES[number % len(LINE_STYLES)])
            at = epochs == selected[fold]
            ax.plot(epochs[at] + 1, values[at], "o", color=INK, markersize=4, zorder=3)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        ax.set_xlim(0.5, max(len(history) for history in histories.values()) + 0.5)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        if key.startswith("valid/"):
            ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
        ax.set(ylabel=name)
    for ax in axes[1]:
        ax.set(xlabel="epoch")
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
    alt="Four line plots by epoch: training loss, weighted F1, concordance of arousal and of valence",
    caption="Training loss and validation metrics by epoch: one line for each fold; a dot marks the selected epoch.",
    draw=_from_grid,
)
