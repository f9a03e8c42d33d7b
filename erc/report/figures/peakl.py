"""Figure "peakl": votes before and after PeakL."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from erc.evaluation import as_same_length
from erc.labels import LabelSpace, soft_label
from erc.peakl import peak_label
from erc.report.figures.matrix import draw_matrix, label_rows
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    GREY,
    INK,
    PAGE_MM,
    PALE,
    PAPER,
    counted,
    is_narrow,
    letter_panels,
    new_figure,
    short_names,
    styled,
)
from erc.report.projection import NotDrawn
from erc.report.rendering import number_text, short


def mean_distributions(distributions: np.ndarray, hard_label: np.ndarray) -> np.ndarray:
    """Mean distribution of the segments of each majority emotion: (N, K), (N,) -> (K, K); NaN rows for absent emotions."""
    means = np.full((distributions.shape[1],) * 2, np.nan)
    for index in np.unique(hard_label):
        means[index] = distributions[hard_label == index].mean(axis=0)
    return means


def moved_mass(votes: np.ndarray, n_raters: int | None) -> dict[float, np.ndarray]:
    """What PeakL adds to the majority's share, by the number of raters who agree; tied segments have no majority.

    Args:
        votes: (N, K) counts, at least one a row.
        n_raters: Raters of every segment; None where their number differs.

    Returns:
        For each number of agreeing raters that occurs, the gains of its segments; where the number of raters differs, for each
        share of the votes, rounded to one decimal.
    """
    untied = votes[(votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1]
    soft = soft_label(untied)
    gain = (peak_label(soft) - soft)[np.arange(len(soft)), soft.argmax(axis=1)]
    agreeing = untied.max(axis=1) if n_raters else soft.max(axis=1).round(1)
    return {level: gain[agreeing == level] for level in np.unique(agreeing).tolist()}


EXAMPLE_VOTES: tuple[tuple[int, ...], ...] = (
    (9, 1),
    (8, 2),
    (7, 3),
    (6, 4),
    (8, 1, 1),
    (7, 2, 1),
    (6, 2, 1, 1),
    (5, 3, 2),
    (4, 3, 2, 1),
)
"""Patterns of ten votes that are shown before and after PeakL."""


@styled
def draw_peakl(
    votes: np.ndarray,
    hard_label: np.ndarray,
    label_space: LabelSpace,
    example: np.ndarray | None = None,
    note: str = "",
    width_mm: float = PAGE_MM,
) -> Figure:
    """Effect of PeakL on the raters' votes: mean distributions, examples, one segment, and gain of the majority.

    Args:
        votes: (N, K) votes of untied segments.
        hard_label: (N,) majority.
        label_space: Of the corpora.
        example: (K,) votes of the segment that is shown; ``_telling_example`` of ``votes`` where not given.
        note: Grey remark at the bottom.
        width_mm: In print; a narrow figure has its panels one below the other.

    Returns:
        140 mm high; where it is narrow, 154 mm and 8.4 mm for each emotion.
    """
    votes, hard_label = as_same_length(votes=votes, hard_label=hard_label)
    soft, emotions, n_raters = soft_label(votes), label_space.emotions, label_space.n_raters
    example = _telling_example(votes) if example is None else np.asarray(example)
    fig, panels = _panels(width_mm, note, len(emotions))
    counts = np.bincount(hard_label, minlength=len(emotions))
    for ax, values, name in ((panels[0], soft, "Votes"), (panels[1], peak_label(soft), "PeakL")):
        means = mean_distributions(values, hard_label)
        texts = [[short(value, 2) for value in row] for row in means]
        draw_matrix(ax, means, texts, emotions, square=not is_narrow(width_mm))
        ax.set_title(f"{name}: the majority holds {short(values.max(axis=1).mean(), 2)}")
        ax.set_xlabel("mean share of each emotion")
        label_rows(ax, counted(emotions, counts) if name == "Votes" or is_narrow(width_mm) else emotions)
    panels[0].set_ylabel("majority emotion")
    usual = n_raters or int(np.bincount(votes.sum(axis=1).astype(int)).argmax())
    _patterns_before_and_after(panels[2], usual, len(emotions))
    _label_bars(panels[3], example, emotions)
    _gains(panels[4], moved_mass(votes, n_raters), n_raters)
    letter_panels(panels)
    return fig


def _panels(width_mm: float, note: str, n_emotions: int) -> tuple[Figure, list[Axes]]:
    """The figure and its five panels: two matrices, then three plots."""
    if is_narrow(width_mm):
        heights = [14 + 4.2 * max(n_emotions, 4)] * 2 + [48, 40, 38]
        fig = new_figure(width_mm, sum(heights), note)
        return fig, list(fig.subplots(5, 1, height_ratios=heights))
    fig = new_figure(width_mm, 140, note)
    grid = fig.add_gridspec(2, 6, height_ratios=(1.25, 1))
    places = (grid[0, :3], grid[0, 3:], grid[1, :2], grid[1, 2:4], grid[1, 4:])
    return fig, [fig.add_subplot(place) for place in places]


def _telling_example(votes: np.ndarray) -> np.ndarray:
    """Votes, half to two thirds of them for the majority, of which PeakL keeps some emotions and drops others.

    Of several such segments, the first with the most of both; of none, the first segment with the most emotions.
    """
    agreeing = votes.max(axis=1)
    untied = (votes == agreeing[:, None]).sum(axis=1) == 1
    total = votes.sum(axis=1)
    candidates = np.flatnonzero(untied & (2 * agreeing >= total) & (3 * agreeing <= 2 * total))
    chosen = votes[candidates] if candidates.size else votes
    n_named, n_kept = (chosen > 0).sum(axis=1), (peak_label(soft_label(chosen)) > 0).sum(axis=1)
    return chosen[(votes.shape[1] * np.minimum(n_kept - 1, n_named - n_kept) + n_named).argmax()]


def _patterns(n_raters: int, n_emotions: int) -> list[tuple[int, ...]]:
    """Patterns of so many votes over so many emotions: those of ``EXAMPLE_VOTES``, or else majorities against one other."""
    found = [votes for votes in EXAMPLE_VOTES if sum(votes) == n_raters and len(votes) <= n_emotions]
    others: list[tuple[int, ...]] = [(n_raters - few, few) for few in range(1, (n_raters + 1) // 2)]
    step = math.ceil(len(others) / 9)  # lines that have room
    return found or others[:: step or 1]


def _patterns_before_and_after(ax: Axes, n_raters: int, n_emotions: int) -> None:
    """Shares of the majority and of the runner-up before and after PeakL: a line for each of some fixed patterns of votes."""
    patterns = _patterns(n_raters, n_emotions)
    looks: tuple[tuple[int, str, str, str], ...] = ((1, "runner-up", "s", GREY), (0, "majority", "o", INK))
    for place, votes in enumerate(patterns):
        label = np.zeros(n_emotions)
        label[: len(votes)] = np.array(votes) / n_raters
        for index, _, marker, color in looks:
            before, after = label[index], peak_label(label)[index]
            ax.plot([before, after], [place, place], color=color, linewidth=1.2)
            style: dict[str, Any] = dict(marker=marker, markeredgecolor=color, markersize=4, markeredgewidth=0.8)
            ax.plot(before, place, markerfacecolor=PAPER, **style)
            ax.plot(after, place, markerfacecolor=color, **style)
    ax.set_yticks(range(len(patterns)), ["-".join(map(str, votes)) for votes in patterns])
    ax.tick_params(axis="y", length=0)
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(len(patterns) - 0.5, -2.1),
        xlabel="share: hollow before, filled after PeakL",
        ylabel="votes",
    )
    handles = [
        Line2D([], [], color=color, marker=marker, markersize=4, linewidth=1.2, label=name)
        for _, name, marker, color in reversed(looks)
    ]
    ax.legend(handles=handles, loc="upper center", ncols=2, borderpad=0.1)
    ax.set_title("Patterns of votes")


def _label_bars(ax: Axes, example: np.ndarray, emotions: tuple[str, ...]) -> None:
    """Hard, soft and PeakL label of one segment, from its votes (K,)."""
    shown = np.argsort(-example, kind="stable")[: max(3, int((example > 0).sum()))]
    soft, names = soft_label(example), short_names(emotions)
    kinds = {"hard": np.eye(len(example))[example.argmax()], "soft": soft, "PeakL": peak_label(soft)}
    faces = {"hard": PAPER, "soft": PALE, "PeakL": INK}
    for number, (kind, label) in enumerate(kinds.items()):
        positions = np.arange(len(shown)) + (number - 1) * 0.27
        ax.bar(positions, label[shown], 0.25, color=faces[kind], edgecolor=INK, linewidth=0.6, label=kind)
    ax.set_xticks(range(len(shown)), [names[index] for index in shown])
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(0, 1.02), ylabel="share in the target")
    votes = "-".join(f"{example[index]:g}" for index in shown if example[index] > 0)
    ax.set_title(f"One segment, votes {votes}")
    ax.legend(loc="upper right")


def _gains(ax: Axes, gains: dict[float, np.ndarray], n_raters: int | None) -> None:
    for number, (level, values) in enumerate(gains.items()):
        names = ("range", "mean") if number == 0 else (None, None)
        ends = [values.min(), values.max()]
        ax.plot([level, level], ends, color=GREY, linewidth=1.2, solid_capstyle="butt", label=names[0])
        dot: dict[str, Any] = dict(color=INK, linestyle="none", marker="o", markersize=4, clip_on=False)
        ax.plot(level, values.mean(), label=names[1], **dot)
    levels = sorted(gains)
    ax.set_xticks(levels, [f"{level:g}" if n_raters else short(level, 1) for level in levels])
    ax.set_ylim(0, max(ax.get_ylim()[1], 1e-3) * 1.25)  # room for the legend
    ax.yaxis.set_major_locator(MaxNLocator(5))
    label = f"raters who agree, of {number_text(n_raters)}" if n_raters else "share of the raters who agree"
    ax.set(xlabel=label, ylabel="share gained")
    ax.grid(axis="y", color=PALE, linewidth=0.5)
    ax.legend(loc="upper right", ncols=2, borderpad=0.1)
    ax.set_title("Gain of the majority")


def finding_of(votes: np.ndarray) -> str:
    """What PeakL does to the majority's mean share, and how many segments it makes unanimous, from (N, K) votes."""
    soft = soft_label(votes)
    before, after = soft.max(axis=1), peak_label(soft).max(axis=1)
    became = float(((after > 1 - 1e-9) & (before < 1 - 1e-9)).mean())
    more = f"; {100 * became:.0f} % of the segments become unanimous" if became >= 0.005 else ""
    return f"PeakL raises the majority's mean share from {short(before.mean(), 2)} to {short(after.mean(), 2)}{more}."


def _from_grid(grid: GridView) -> Figure:
    votes, hard_label = _votes(grid), grid.untied["hard_label"].to_numpy()
    if (votes.sum(axis=1) == votes.max(axis=1)).all():
        raise NotDrawn("the raters of every untied segment agree, or there is one: PeakL changes no label")
    return draw_peakl(votes, hard_label, grid.label_space, note=grid.note_on_votes, width_mm=grid.width_mm)


def _votes(grid: GridView) -> np.ndarray:
    return grid.untied[grid.row.columns.votes].to_numpy()


FIGURE = FigureSpec(
    name="peakl",
    alt="Five plots of label distributions before and after PeakL",
    caption=(
        "Effect of PeakL on the raters' votes: mean distributions before and after, shares of the majority and of the runner-up, "
        "labels of one segment, and share gained by the majority."
    ),
    draw=_from_grid,
    finding=lambda grid: finding_of(_votes(grid)),
)
