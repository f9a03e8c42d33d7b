"""Figure "predictions": predicted against true valence and arousal."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from erc.evaluation import as_same_length, concordance
from erc.labels import EMOTIONS, N_EMOTIONS, VA_MAX, VA_MIN
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    COLORS,
    GREY,
    MARKERS,
    PAGE_MM,
    emotion_handle,
    new_figure,
    point_style,
    styled,
)
from erc.report.rendering import mean_std_text


@styled
def draw_predictions(
    va: np.ndarray, pred_va: np.ndarray, hard_label: np.ndarray, folds: np.ndarray, title: str = "", note: str = ""
) -> Figure:
    """Predicted by true valence and arousal, with the concordance of the table.

    Args:
        va: (N, 2) valence and arousal of untied segments.
        pred_va: (N, 2) as predicted.
        hard_label: (N,) emotion index, for the colour.
        folds: (N,) fold in which each was predicted.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 112 mm.
    """
    va, pred_va, hard_label, folds = as_same_length(va=va, pred_va=pred_va, hard_label=hard_label, folds=folds)
    fig = new_figure(PAGE_MM, 112, note, [emotion_handle(emotion) for emotion in EMOTIONS])
    low, high = (
        edge(side, bound) for edge, side, bound in ((min, pred_va.min(), VA_MIN), (max, pred_va.max(), VA_MAX))
    )
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    for column, (name, ax) in enumerate(zip(("valence", "arousal"), fig.subplots(1, 2), strict=True)):
        cccs = [
            concordance(truth=va[folds == fold, column], prediction=pred_va[folds == fold, column])
            for fold in np.unique(folds)
        ]
        ax.plot([VA_MIN, VA_MAX], [VA_MIN, VA_MAX], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        for index in np.argsort(-counts, kind="stable"):
            chosen, emotion = hard_label == index, EMOTIONS[index]
            ax.scatter(
                va[chosen, column],
                pred_va[chosen, column],
                marker=MARKERS[emotion],
                color=COLORS[emotion],
                **point_style(len(va)),
            )
        ax.set(xlabel=f"{name}, mean of ten raters", ylabel=f"{name}, predicted")
        ax.set(xlim=(low - 0.1, high + 0.1), ylim=(low - 0.1, high + 0.1), box_aspect=1)
        ax.set(xticks=range(VA_MIN, VA_MAX + 1), yticks=range(VA_MIN, VA_MAX + 1))
        ax.set_title(f"{name.capitalize()}: CCC {mean_std_text(np.array(cccs))}")
    n_folds = len(np.unique(folds))
    over = f"CCC: mean ± standard deviation of {n_folds} folds" if n_folds > 1 else "one fold"
    fig.suptitle(f"{title}; {over}" if title else over, x=0.01, ha="left")
    return fig


def _from_grid(grid: GridView) -> Figure:
    table = grid.untied
    va, pred_va = (table[[f"{kind}valence", f"{kind}arousal"]].to_numpy() for kind in ("", "pred_"))
    return draw_predictions(
        va, pred_va, table["hard_label"].to_numpy(), table["fold"].to_numpy(), grid.title, grid.note
    )


FIGURE = FigureSpec(
    name="predictions",
    alt="Two scatter plots, predicted by true valence and predicted by true arousal",
    caption="Predicted by true valence and arousal, untied segments of all folds.",
    draw=_from_grid,
)
