"""Figure "peakl": votes before and after PeakL."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from erc.evaluation import as_same_length
from erc.labels import LabelSpace, soft_label
from erc.peakl import peak_label
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    GREY,
    INK,
    MIN_FONT,
    PAGE_MM,
    PALE,
    counted,
    draw_matrix,
    label_rows,
    new_figure,
    share_text,
    short_names,
    styled,
)
from erc.report.projection import NotDrawn
from erc.report.rendering import number_text


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


Place = tuple[float, float, Literal["left", "center"], Literal["bottom", "top"]]
"""Of a label: points right, points up, alignment."""

EXAMPLE_VOTES: dict[tuple[int, ...], Place] = {
    (9, 1): (4, 1, "left", "bottom"),
    (8, 2): (4, 1, "left", "bottom"),
    (7, 3): (4, 1, "left", "bottom"),
    (6, 4): (4, 1, "left", "bottom"),
    (8, 1, 1): (-3, -4, "center", "top"),
    (7, 2, 1): (0, 4, "center", "bottom"),
    (6, 2, 1, 1): (-3, -4, "center", "top"),
    (5, 3, 2): (0, -4, "center", "top"),
    (4, 3, 2, 1): (-4, 4, "center", "bottom"),
}
"""Patterns of ten votes, each the start of an arrow, and the place of its label."""


@styled
def draw_peakl(
    votes: np.ndarray,
    hard_label: np.ndarray,
    label_space: LabelSpace,
    example: np.ndarray | None = None,
    note: str = "",
) -> Figure:
    """Effect of PeakL on the raters' votes: mean distributions, examples, one segment, and gain of the majority.

    Args:
        votes: (N, K) votes of untied segments.
        hard_label: (N,) majority.
        label_space: Of the corpora.
        example: (K,) votes of the segment that is shown; ``_telling_example`` of ``votes`` where not given.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 135 mm.
    """
    votes, hard_label = as_same_length(votes=votes, hard_label=hard_label)
    soft, emotions, n_raters = soft_label(votes), label_space.emotions, label_space.n_raters
    example = _telling_example(votes) if example is None else np.asarray(example)
    fig = new_figure(PAGE_MM, 135, note)
    grid = fig.add_gridspec(2, 6, height_ratios=(1.25, 1))
    before, after = fig.add_subplot(grid[0, :3]), fig.add_subplot(grid[0, 3:])
    counts = np.bincount(hard_label, minlength=len(emotions))
    for ax, values, name in ((before, soft, "Votes"), (after, peak_label(soft), "PeakL")):
        means = mean_distributions(values, hard_label)
        draw_matrix(ax, means, [[share_text(value) for value in row] for row in means], emotions)
        ax.set_title(f"{name}: the majority holds {100 * values.max(axis=1).mean():.0f} %")
        ax.set_xlabel("mean share of")
    label_rows(before, counted(emotions, counts))
    label_rows(after, emotions)
    before.set_ylabel("majority emotion")
    usual = n_raters or int(np.bincount(votes.sum(axis=1).astype(int)).argmax())
    _arrows(fig.add_subplot(grid[1, :2]), usual, len(emotions))
    _label_bars(fig.add_subplot(grid[1, 2:4]), example, emotions)
    _gains(fig.add_subplot(grid[1, 4:]), moved_mass(votes, n_raters), n_raters)
    return fig


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


def _patterns(n_raters: int, n_emotions: int) -> dict[tuple[int, ...], Place]:
    """Patterns of so many votes over so many emotions: those of ``EXAMPLE_VOTES``, or else majorities against one other."""
    found = {
        votes: place for votes, place in EXAMPLE_VOTES.items() if sum(votes) == n_raters and len(votes) <= n_emotions
    }
    others = [(n_raters - few, few) for few in range(1, (n_raters + 1) // 2)]
    step = math.ceil(len(others) / 6)  # labels that have room
    return found or {votes: (4, 1, "left", "bottom") for votes in others[:: step or 1]}


def _arrows(ax: Axes, n_raters: int, n_emotions: int) -> None:
    """Share of the majority by share of the runner-up, before -> after, for fixed patterns of votes."""
    for votes, (right, up, ha, va) in _patterns(n_raters, n_emotions).items():
        label = np.zeros(n_emotions)
        label[: len(votes)] = np.array(votes) / n_raters
        start, end = label[:2], peak_label(label)[:2]
        ax.annotate(
            "",
            xy=(end[0], end[1]),
            xytext=(start[0], start[1]),
            arrowprops=dict(arrowstyle="-|>", mutation_scale=6, color=INK, linewidth=0.8, shrinkA=0, shrinkB=0),
        )
        ax.plot(*start, "o", color="white", markeredgecolor=INK, markersize=4, markeredgewidth=0.8, zorder=3)
        text = "-".join(map(str, votes))
        ax.annotate(
            text, (start[0], start[1]), xytext=(right, up), textcoords="offset points", ha=ha, va=va, fontsize=MIN_FONT
        )
    ax.plot([0.5, 1], [0.5, 0], color=PALE, linewidth=0.8, zorder=0)
    ax.set(xlim=(0.2, 1.02), ylim=(0, 0.5), xlabel="share of the majority", ylabel="share of the runner-up")
    ax.set_title("PeakL moves votes to the majority")


def _label_bars(ax: Axes, example: np.ndarray, emotions: tuple[str, ...]) -> None:
    """Hard, soft and PeakL label of one segment, from its votes (K,)."""
    shown = np.argsort(-example, kind="stable")[: max(3, int((example > 0).sum()))]
    soft, names = soft_label(example), short_names(emotions)
    kinds = {"hard": np.eye(len(example))[example.argmax()], "soft": soft, "PeakL": peak_label(soft)}
    faces = {"hard": "white", "soft": "#B0B0B0", "PeakL": INK}
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
    for level, values in gains.items():
        ax.plot([level, level], [values.min(), values.max()], color=GREY, linewidth=1.2, solid_capstyle="butt")
        ax.plot(level, values.mean(), "o", color=INK, markersize=4, clip_on=False)
    levels = sorted(gains)
    ax.set_xticks(levels, [f"{level:g}" for level in levels])
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    label = f"raters who agree, of {number_text(n_raters)}" if n_raters else "share of the raters who agree"
    ax.set(xlabel=label, ylabel="share gained by the majority")
    ax.set_title("Gain (line: its range)")


def _from_grid(grid: GridView) -> Figure:
    votes, hard_label = grid.untied[grid.row.columns.votes].to_numpy(), grid.untied["hard_label"].to_numpy()
    if (votes.sum(axis=1) == votes.max(axis=1)).all():
        raise NotDrawn("the raters of every untied segment agree, or there is one: PeakL changes no label")
    return draw_peakl(votes, hard_label, grid.label_space, note=grid.note_on_votes)


FIGURE = FigureSpec(
    name="peakl",
    alt="Five plots of label distributions before and after PeakL",
    caption=(
        "Effect of PeakL on the raters' votes: mean distributions before and after, share of the runner-up, labels of one "
        "segment, and share gained by the majority."
    ),
    draw=_from_grid,
)
