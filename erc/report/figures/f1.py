"""Figure "f1": F1 of each emotion with its interval."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from erc.evaluation import Interval, f1_by_emotion_interval
from erc.labels import EMOTIONS, N_EMOTIONS
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import COLORS, COLUMN_MM, INK, MARKERS, PALE, new_figure, styled, wrapped_title


@styled
def draw_f1(found: Interval, n_segments: np.ndarray, title: str = "", note: str = "") -> Figure:
    """F1 of each emotion with its 95 % interval.

    Args:
        found: (K,) estimates and ends (``f1_by_emotion_interval``).
        n_segments: (K,) segments of each emotion.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        85 mm x 64 mm.
    """
    fig = new_figure(COLUMN_MM, 64, note)
    ax = fig.subplots()
    for index, emotion in enumerate(EMOTIONS):
        value, low, high = (float(np.asarray(part)[index]) for part in found)
        if not np.isnan(low):
            ax.plot([low, high], [index, index], color=COLORS[emotion], linewidth=2, solid_capstyle="butt")
        if not np.isnan(value):
            ax.plot(
                value,
                index,
                marker=MARKERS[emotion],
                color=COLORS[emotion],
                markersize=6,
                markeredgecolor=INK,
                markeredgewidth=0.5,
            )
    ax.set_yticks(range(N_EMOTIONS), [f"{emotion} ({n:,})" for emotion, n in zip(EMOTIONS, n_segments, strict=True)])
    ax.set(xlim=(-0.02, 1.02), ylim=(N_EMOTIONS - 0.5, -0.5), xlabel="F1, 95 % interval over dialogues")
    ax.grid(axis="x", color=PALE, linewidth=0.5)
    ax.set_title(wrapped_title("F1 by emotion", title))
    return fig


def _from_grid(grid: GridView) -> Figure:
    table = grid.untied
    found = f1_by_emotion_interval(
        *grid.truth_and_prediction, table["fold"].to_numpy(), table["dialogue"].to_numpy(), grid.n_resamples
    )
    return draw_f1(found, np.bincount(table["hard_label"], minlength=N_EMOTIONS), grid.title, grid.note)


FIGURE = FigureSpec(
    name="f1",
    alt="Dot plot of the F1 of seven emotions with intervals",
    caption="F1 of each emotion over all folds, with 95 % bootstrap intervals over dialogues.",
    draw=_from_grid,
)
