"""Figure "predictions": predicted against true valence and arousal, and whatever other dimension was rated."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from erc.evaluation import as_same_length, concordance
from erc.labels import NO_LABEL, LabelSpace
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    GREY,
    PAGE_MM,
    Look,
    emotion_handles,
    looks_of,
    mean_of,
    new_figure,
    point_style,
    scale_ticks,
    styled,
)
from erc.report.projection import NotDrawn
from erc.report.rendering import mean_std_text

NO_VOTES = Look(GREY, ".")
"""Of a segment that nobody voted on: it has a place, and no emotion."""


@styled
def draw_predictions(
    va: np.ndarray,
    pred_va: np.ndarray,
    hard_label: np.ndarray,
    folds: np.ndarray,
    label_space: LabelSpace,
    title: str = "",
    note: str = "",
) -> Figure:
    """Predicted by true rating of each dimension, with the concordance of the table.

    Args:
        va: (N, R) dimensions of untied segments; NaN where not rated.
        pred_va: (N, R) as predicted.
        hard_label: (N,) emotion index, for the colour; ``NO_LABEL`` where nobody voted.
        folds: (N,) fold in which each was predicted.
        label_space: Of the corpora, with one dimension or more.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 112 mm.
    """
    va, pred_va, hard_label, folds = as_same_length(va=va, pred_va=pred_va, hard_label=hard_label, folds=folds)
    if label_space.scale is None:
        raise NotDrawn("no dimension such as valence or arousal was rated")
    emotions, scale = label_space.emotions, label_space.scale
    fig = new_figure(PAGE_MM, 112, note, emotion_handles(emotions))
    low, high = min(pred_va.min(), scale[0]), max(pred_va.max(), scale[1])
    margin, ticks = 0.025 * (scale[1] - scale[0]), scale_ticks(scale)
    counts = np.bincount(hard_label[hard_label != NO_LABEL], minlength=len(emotions))
    looks = dict(enumerate(looks_of(emotions))) | {NO_LABEL: NO_VOTES}
    panels = fig.subplots(1, len(label_space.dimensions), squeeze=False)[0]
    for column, (name, ax) in enumerate(zip(label_space.dimensions, panels, strict=True)):
        rated = ~np.isnan(va[:, column])
        cccs = [
            concordance(truth=va[chosen, column], prediction=pred_va[chosen, column])
            for fold in np.unique(folds)
            for chosen in [rated & (folds == fold)]
        ]
        ax.plot(scale, scale, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        for index in [NO_LABEL, *np.argsort(-counts, kind="stable").tolist()]:
            chosen = rated & (hard_label == index)
            if index == NO_LABEL and not chosen.any():
                continue
            ax.scatter(
                va[chosen, column],
                pred_va[chosen, column],
                marker=looks[index].marker,
                color=looks[index].color,
                **point_style(len(va)),
            )
        ax.set(xlabel=f"{name}, {mean_of(label_space.n_raters)}", ylabel=f"{name}, predicted")
        ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), box_aspect=1)
        ax.set(xticks=ticks, yticks=ticks)
        ax.set_title(f"{name.capitalize()}: CCC {mean_std_text(np.array(cccs))}")
    n_folds = len(np.unique(folds))
    over = f"CCC: mean ± standard deviation of {n_folds} folds" if n_folds > 1 else "one fold"
    fig.suptitle(f"{title}; {over}" if title else over, x=0.01, ha="left")
    return fig


def _from_grid(grid: GridView) -> Figure:
    space, columns = grid.label_space, grid.row.columns
    table = grid.predictions[~grid.predictions["is_tied"].astype(bool)]  # those of the concordances of the table
    rated = table[columns.dimensions].notna().any(axis=1)
    n_unrated, table = int((~rated).sum()), table[rated]
    if not len(table):
        raise NotDrawn("no untied segment has a rating of a dimension such as valence or arousal")
    va, pred_va = (table[names].to_numpy(dtype=np.float64) for names in (columns.dimensions, columns.predicted))
    note = grid.note_with(n_unrated, "a rating")
    n_voteless = int((table["hard_label"] == NO_LABEL).sum())
    if n_voteless:
        note = "; ".join(filter(None, (f"grey: {n_voteless:,} without votes", note)))
    hard_label, folds = table["hard_label"].to_numpy(), table["fold"].to_numpy()
    return draw_predictions(va, pred_va, hard_label, folds, space, grid.title, note)


FIGURE = FigureSpec(
    name="predictions",
    alt="Scatter plots of predicted by true rating, one for each dimension",
    caption="Predicted by true rating of each dimension, untied segments of all folds.",
    draw=_from_grid,
)
