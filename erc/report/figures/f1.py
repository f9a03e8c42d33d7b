"""Figure "f1": F1 of each emotion with its interval."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from erc.evaluation import Interval, f1_by_emotion_interval
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import COLUMN_MM, INK, PALE, counted, looks_of, new_figure, styled, wrapped_title
from erc.report.rendering import ends_text, short


@styled
def draw_f1(
    found: Interval,
    n_segments: np.ndarray,
    emotions: tuple[str, ...],
    title: str = "",
    note: str = "",
    width_mm: float = COLUMN_MM,
) -> Figure:
    """F1 of each emotion with its 95 % interval.

    Args:
        found: (K,) estimates and ends (``f1_by_emotion_interval``).
        n_segments: (K,) segments of each emotion.
        emotions: K names.
        title: Which row.
        note: Grey remark at the bottom.
        width_mm: In print.

    Returns:
        7 mm high for each emotion.
    """
    fig = new_figure(width_mm, 15 + 7 * max(len(emotions), 4), note)
    ax = fig.subplots()
    for index, look in enumerate(looks_of(emotions)):
        value, low, high = (float(np.asarray(part)[index]) for part in found)
        if not np.isnan(low):
            ax.plot([low, high], [index, index], color=look.color, linewidth=2, solid_capstyle="butt")
        if not np.isnan(value):
            ax.plot(
                value,
                index,
                marker=look.marker,
                color=look.color,
                markersize=6,
                markeredgecolor=INK,
                markeredgewidth=0.5,
            )
    ax.set_yticks(range(len(emotions)), counted(emotions, n_segments))
    ax.set(xlim=(-0.02, 1.02), ylim=(len(emotions) - 0.5, -0.5), xlabel="F1, 95 % interval over dialogues")
    ax.grid(axis="x", color=PALE, linewidth=0.5)
    ax.set_title(wrapped_title("F1 by emotion", title, width_mm))
    return fig


def finding_of(found: Interval, emotions: tuple[str, ...]) -> str:
    """Which emotion has the highest F1 and which the lowest, where their intervals share no value; and which have none."""
    estimate, low, high = (np.atleast_1d(part) for part in found)
    never = [name for name, value in zip(emotions, estimate, strict=True) if value == 0]
    missed = f"Not one segment of {', '.join(never)} is predicted right." if never else ""
    known = np.flatnonzero((estimate > 0) & ~np.isnan(low))
    if not len(known):
        return missed
    best, worst = known[estimate[known].argmax()], known[estimate[known].argmin()]
    if low[best] <= high[worst]:
        return missed
    first, second = (
        f"{emotions[k]} ({short(estimate[k], 2)}, 95 % interval {ends_text(low[k], high[k], digits=2)})"
        for k in (best, worst)
    )
    return f"F1 is highest for {first} and lowest{' of the others' if never else ''} for {second}. {missed}".strip()


def _interval(grid: GridView) -> Interval:
    table, emotions = grid.untied, grid.label_space.emotions
    return f1_by_emotion_interval(
        *grid.truth_and_prediction,
        table["fold"].to_numpy(),
        table["dialogue"].to_numpy(),
        len(emotions),
        grid.n_resamples,
    )


def _from_grid(grid: GridView) -> Figure:
    table, emotions = grid.untied, grid.label_space.emotions
    counts = np.bincount(table["hard_label"], minlength=len(emotions))
    return draw_f1(_interval(grid), counts, emotions, grid.title, grid.note_on_votes, grid.width_mm)


def _finding(grid: GridView) -> str:
    return finding_of(_interval(grid), grid.label_space.emotions)


FIGURE = FigureSpec(
    name="f1",
    alt="Dot plot of the F1 of each emotion with intervals",
    caption="F1 of each emotion over all folds, with 95 % bootstrap intervals over dialogues.",
    draw=_from_grid,
    finding=_finding,
)
