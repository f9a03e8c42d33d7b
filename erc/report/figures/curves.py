"""Figure "curves": training and validation by epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    FILL,
    GREY,
    INK,
    PAGE_MM,
    PAPER,
    is_narrow,
    letter_panels,
    new_figure,
    styled,
    wrapped_title,
)
from erc.report.finished_run import Run
from erc.report.grid_results import METRICS
from erc.report.projection import NotDrawn
from erc.training import read_config

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")

SHADES = (FILL, INK, GREY)
"""Of lines; with more folds than markers, the markers come again in the next shade."""

CURVES = {
    "train/loss": "Training loss",
    "valid/loss": "Validation loss",
    "valid/accuracy": "Accuracy",
    **{f"valid/{metric}": METRICS[metric] for metric in ("weighted_f1", "ccc_arousal", "ccc_valence", "ccc_dominance")},
}
"""What is drawn, as far as the history has it."""

ALWAYS = CURVES.keys() - {"valid/accuracy"}
"""The accuracy is drawn only where it chose the epoch."""

History = list[dict[str, Any]]


def _look(number: int) -> dict[str, Any]:
    """Colour and marker of a fold, by its place among the folds."""
    shade = SHADES[number // len(MARKERS) % len(SHADES)]
    return dict(color=shade, marker=MARKERS[number % len(MARKERS)], markersize=4, linewidth=0.8, markeredgewidth=0.7)


def _series(history: History, key: str) -> np.ndarray:
    """(E,) one value for each epoch; NaN where none was recorded."""
    return np.array([np.nan if row.get(key) is None else row[key] for row in history], dtype=np.float64)


@styled
def draw_curves(
    histories: dict[int, History],
    selected: dict[int, int],
    chooser: str = "",
    title: str = "",
    note: str = "",
    width_mm: float = PAGE_MM,
) -> Figure:
    """Losses and validation metrics by epoch: a line and a marker for each fold, filled at the selected epoch.

    Args:
        histories: Per fold, ``result["history"]``.
        selected: Per fold, the selected epoch, from 0.
        chooser: Key of the figure that chose the epoch, ``valid/accuracy``; empty where none did.
        title: Which row.
        note: Grey remark at the bottom.
        width_mm: In print.

    Returns:
        44 mm high for each line of two or three plots.
    """
    folds = sorted(histories)
    handles = [Line2D([], [], **_look(n), markerfacecolor=PAPER, label=f"fold {fold}") for n, fold in enumerate(folds)]
    handles.append(
        Line2D([], [], color=INK, linestyle="none", marker="o", markersize=5, label="filled: selected epoch")
    )
    recorded = {key for history in histories.values() for row in history for key in row}
    shown = {key: name for key, name in CURVES.items() if key in recorded and key in (chooser, *ALWAYS)}
    if chooser in recorded and chooser not in shown:
        shown[chooser] = chooser.removeprefix("valid/")
    if not shown:
        raise NotDrawn("the history of epochs holds no loss and none of the metrics that are drawn")
    n_columns = 2 if is_narrow(width_mm) or len(shown) < 5 else 3
    n_lines = math.ceil(len(shown) / n_columns)
    fig = new_figure(width_mm, 16 + 44 * n_lines, note, handles)
    axes = fig.subplots(n_lines, n_columns, sharex=True, squeeze=False).ravel()
    for ax in axes[len(shown) :]:
        ax.remove()
    panels = axes[: len(shown)]
    for ax, (key, name) in zip(panels, shown.items(), strict=True):
        _panel(ax, histories, selected, key)
        ax.set_title(f"{name}\n(chose the epoch)" if key == chooser else name)
    for ax in panels[-n_columns:]:
        ax.set(xlabel="epoch")
        ax.tick_params(labelbottom=True)
    letter_panels(panels)
    if title:
        fig.suptitle(wrapped_title(title, "", width_mm), x=0.01, ha="left")
    return fig


def _panel(ax: Axes, histories: dict[int, History], selected: dict[int, int], key: str) -> None:
    n_epochs = max(len(history) for history in histories.values())
    step = max(1, n_epochs // 6)  # markers that have room
    for number, (fold, history) in enumerate(sorted(histories.items())):
        epochs, values = np.array([row["epoch"] for row in history]), _series(history, key)
        ax.plot(
            epochs + 1, values, **_look(number), markerfacecolor=PAPER, markevery=(number % step, step), clip_on=False
        )
        at = epochs == selected[fold]
        dot = _look(number) | dict(color=INK, linestyle="none", markersize=5, zorder=3, clip_on=False)
        ax.plot(epochs[at] + 1, values[at], **dot)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlim(0.5, n_epochs + 0.5)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if not key.endswith("loss"):
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))


def finding_of(histories: dict[int, History], selected: dict[int, int], chooser: str = "") -> str:
    """Which epochs were selected, and whether the models overfit: validation loss rises while training loss falls.

    Overfitting is said where it is so in every fold: validation loss is lowest before the last epoch, and training loss is lower
    at the last epoch than at that one.
    """
    epochs = np.array([selected[fold] + 1 for fold in sorted(histories)])
    longest = max(len(history) for history in histories.values())
    name = CURVES.get(chooser, chooser.removeprefix("valid/"))
    chosen = f"epoch {epochs[0]} of {longest}"
    if np.ptp(epochs):
        chosen = (
            f"epochs {epochs.min()} to {epochs.max()} of {longest} (median {np.median(epochs):g}, {len(epochs)} folds)"
        )
    text = f"{name} chose {chosen}." if chooser else ""
    lowest = []
    for history in histories.values():
        valid, train = _series(history, "valid/loss"), _series(history, "train/loss")
        if np.isnan(valid).any() or np.isnan(train).any() or not len(valid):
            return text
        at = int(valid.argmin())
        if at == len(valid) - 1 or train[-1] >= train[at]:
            return text
        lowest.append(at + 1)
    where = "every fold" if len(lowest) > 1 else "the one fold"
    overfits = (
        f"In {where}, validation loss is lowest before the last epoch (epoch {np.median(lowest):g}) while training loss falls "
        "further: the models overfit."
    )
    return f"{text} {overfits}".strip()


def chooser_of(run: Run) -> str:
    """Key of the figure that chose the epoch, by the run's configuration; empty where none did or it is not known.

    Raises:
        ValueError: ``config.yaml`` is damaged.
    """
    if run.result["protocol"] == "last" or not (run.folder / "config.yaml").is_file():
        return ""
    found: Any = read_config(run.folder)
    for key in ("callbacks", "best", "monitor"):
        found = found.get(key) if isinstance(found, dict) else None
    return str(found or "")


def _inputs(grid: GridView) -> tuple[dict[int, History], dict[int, int], str]:
    histories = {fold: run.result["history"] for fold, run in grid.runs.items() if run.result["history"]}
    if not histories:
        raise NotDrawn("the results hold no history of epochs")
    selected = {fold: grid.runs[fold].result["selected"]["epoch"] for fold in histories}
    return histories, selected, chooser_of(next(iter(grid.runs.values())))


def _from_grid(grid: GridView) -> Figure:
    return draw_curves(*_inputs(grid), grid.title, grid.note, grid.width_mm)


FIGURE = FigureSpec(
    name="curves",
    alt="Line plots by epoch: losses, and the metrics on the validation fold",
    caption=(
        "Losses and validation metrics by epoch: a line and a marker for each fold; the marker is filled at the selected epoch."
    ),
    draw=_from_grid,
    finding=lambda grid: finding_of(*_inputs(grid)),
)
