"""Figure "robustness": how much each metric changes with noise, wrong words, or without a modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from erc.report.figures.spec import FigureSpec, GridView, NotComputed
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
    wrapped_title,
)
from erc.report.finished_run import Run
from erc.report.rendering import short
from erc.report.robustness_tables import NOT_READ, by_condition, effects_of_run, finding_of, run_title, shown_metrics
from erc.robustness import CLEAN, Effect

DOT: dict[str, Any] = dict(linestyle="none", marker="o", markersize=4, markeredgecolor=INK, markeredgewidth=0.7)


@styled
def draw_robustness(effects: Sequence[Effect], title: str = "", note: str = "", width_mm: float = PAGE_MM) -> Figure:
    """Difference of each metric to the clean one under every condition, with its interval.

    Args:
        effects: Of one run (``erc.robustness.effects_of``).
        title: Which run.
        note: Grey remark at the bottom.
        width_mm: In print; in a narrow figure the metrics stand one below the other.

    Returns:
        About 4 mm high for each condition, of each metric where it is narrow.
    """
    metrics, conditions = shown_metrics(effects), by_condition(effects)
    clean = conditions.pop(CLEAN)
    narrow, n_panels = is_narrow(width_mm), len(metrics)
    panel_mm = 12 + (3.3 if narrow else 4.2) * len(conditions)
    handles = [
        Line2D([], [], **DOT, markerfacecolor=INK, label="difference to clean"),
        Line2D([], [], **DOT, markerfacecolor=PAPER, label="the same, its interval holds 0"),
        Line2D([], [], color=INK, linewidth=1.6, label="95 % interval over dialogues"),
    ]
    fig = new_figure(width_mm, 14 + panel_mm * (n_panels if narrow else 1), note, handles)
    shape = (n_panels, 1) if narrow else (1, n_panels)
    panels = fig.subplots(shape[0], shape[1], sharey=True, squeeze=False).ravel()
    for ax, (metric, name) in zip(panels, metrics.items(), strict=True):
        _panel(ax, [by_metric[metric] for by_metric in conditions.values()])
        ax.set_title(f"{name}, clean {short(clean[metric].value)}")
        ax.xaxis.set_major_locator(MaxNLocator(4))
    panels[0].set_yticks(range(len(conditions)), [next(iter(one.values())).title for one in conditions.values()])
    panels[0].set_ylim(len(conditions) - 0.5, -0.5)
    letter_panels(panels)
    if title:
        fig.suptitle(wrapped_title(title, "", width_mm), x=0.01, ha="left")
    return fig


def _panel(ax: Axes, effects: Sequence[Effect]) -> None:
    ax.axvline(0, color=GREY, linewidth=0.8)
    for place, one in enumerate(effects):
        if place and _group(one) != _group(effects[place - 1]):
            ax.axhline(place - 0.5, color=PALE, linewidth=0.5)
        if not one.is_read:
            at_left: dict[str, Any] = dict(transform=ax.get_yaxis_transform(), va="center", fontsize=MIN_FONT)
            ax.text(0.02, place, NOT_READ, color=GREY, **at_left)
            continue
        has_interval = not np.isnan(one.low)
        if has_interval:
            ax.plot([one.low, one.high], [place] * 2, color=INK, linewidth=1.6, solid_capstyle="butt")
        is_apart = has_interval and (one.low > 0 or one.high < 0)
        ax.plot(one.difference, place, **DOT, markerfacecolor=INK if is_apart else PAPER)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=PALE, linewidth=0.5)


def _group(one: Effect) -> tuple[bool, str]:
    """Conditions without a modality, then those of the sound, then those of the words."""
    is_removed = one.condition == f"no_{one.modality}"
    return is_removed, "" if is_removed else one.modality


def _first(grid: GridView) -> tuple[Run, list[Effect]]:
    """The pictured row's first run whose robustness was computed.

    Raises:
        NotComputed: There is none.
    """
    for run in grid.runs.values():
        if effects := effects_of_run(run):
            return run, effects
    first = next(iter(grid.runs.values()))
    raise NotComputed(f"the robustness of {grid.title} was not computed: python -m erc robustness {first.folder}")


def _from_grid(grid: GridView) -> Figure:
    run, effects = _first(grid)
    return draw_robustness(effects, run_title(grid.title, run), grid.note, grid.width_mm)


FIGURE = FigureSpec(
    name="robustness",
    alt="Dot plot of the change of macro F1 and of the concordances under noise, wrong words and missing modalities",
    caption="Change of each metric where sound or words are worse, or a modality is removed: the same model on the same segments.",
    draw=_from_grid,
    finding=lambda grid: finding_of(_first(grid)[1]),
)
