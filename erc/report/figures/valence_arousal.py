"""Figure "predictions": predicted against true valence and arousal, and whatever other dimension was rated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter

from erc.evaluation import as_same_length, concordance
from erc.labels import NO_LABEL, LabelSpace
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    GREY,
    INK,
    PAGE_MM,
    Look,
    emotion_handles,
    is_narrow,
    letter_panels,
    looks_of,
    mean_of,
    new_figure,
    point_style,
    scale_ticks,
    styled,
    wrapped_title,
)
from erc.report.projection import NotDrawn
from erc.report.rendering import mean_std_text, short

NO_VOTES = Look(GREY, ".")
"""Of a segment that nobody voted on: it has a place, and no emotion."""

HELD = (0.9, 0.5)
"""Share of the segments that each line of the density holds."""

MIN_DENSITY = 50
"""Fewer segments have no lines of density."""


def jittered(values: np.ndarray, seed: int = 42) -> np.ndarray:
    """(N,) ratings moved at random by less than half of their smallest difference, so that equal ones can be told apart."""
    steps = np.diff(np.unique(values.round(6)))
    half = steps.min() / 2 if len(steps) else 0.0
    return values + np.random.default_rng(seed).uniform(-half, half, len(values))


def density_levels(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Density of points on a grid, and the levels whose lines hold the shares ``HELD`` of the points.

    Args:
        x: (N,) places.
        y: (N,) places.
        edges: (B + 1,) edges of the grid's cells along both axes.

    Returns:
        (B, B) smoothed counts, rows along y; rising levels.
    """
    density = gaussian_filter(np.histogram2d(y, x, bins=(edges, edges))[0], 2.0)
    column, row = (np.clip(np.searchsorted(edges, part, side="right") - 1, 0, len(edges) - 2) for part in (x, y))
    at_points = density[row, column]
    return density, [float(np.quantile(at_points, 1 - share)) for share in HELD]


def _density(ax: Axes, x: np.ndarray, y: np.ndarray, low: float, high: float) -> None:
    edges = np.linspace(low, high, 61)
    density, levels = density_levels(x, y, edges)
    if levels[0] < levels[1]:
        middles = (edges[1:] + edges[:-1]) / 2
        ax.contour(middles, middles, density, levels=levels, colors=INK, linewidths=(0.7, 1.3), zorder=3)


@styled
def draw_predictions(
    va: np.ndarray,
    pred_va: np.ndarray,
    hard_label: np.ndarray,
    folds: np.ndarray,
    label_space: LabelSpace,
    title: str = "",
    note: str = "",
    width_mm: float = PAGE_MM,
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
        width_mm: In print; in a narrow figure the dimensions stand one below the other.

    Returns:
        112 mm high; 82 mm for each dimension where it is narrow.
    """
    va, pred_va, hard_label, folds = as_same_length(va=va, pred_va=pred_va, hard_label=hard_label, folds=folds)
    if label_space.scale is None:
        raise NotDrawn("no dimension such as valence or arousal was rated")
    emotions, scale = label_space.emotions, label_space.scale
    narrow, n_panels = is_narrow(width_mm), len(label_space.dimensions)
    lines = [Line2D([], [], color=INK, linewidth=1.0, label="hold 50 % and 90 % of segments")]
    handles = [*emotion_handles(emotions), *(lines if len(va) >= MIN_DENSITY else [])]
    fig = new_figure(width_mm, 82 * n_panels + 20 if narrow else 112, note, handles)
    low, high = min(pred_va.min(), scale[0]), max(pred_va.max(), scale[1])
    margin, ticks = 0.025 * (scale[1] - scale[0]), scale_ticks(scale)
    counts = np.bincount(hard_label[hard_label != NO_LABEL], minlength=len(emotions))
    looks = dict(enumerate(looks_of(emotions))) | {NO_LABEL: NO_VOTES}
    shape = (n_panels, 1) if narrow else (1, n_panels)
    panels = fig.subplots(shape[0], shape[1], squeeze=False).ravel()
    for column, (name, ax) in enumerate(zip(label_space.dimensions, panels, strict=True)):
        rated = ~np.isnan(va[:, column])
        cccs = [
            concordance(truth=va[chosen, column], prediction=pred_va[chosen, column])
            for fold in np.unique(folds)
            for chosen in [rated & (folds == fold)]
        ]
        ax.plot(scale, scale, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        rating = va[:, column].copy()
        rating[rated] = jittered(rating[rated])
        for index in [NO_LABEL, *np.argsort(-counts, kind="stable").tolist()]:
            chosen = rated & (hard_label == index)
            if index == NO_LABEL and not chosen.any():
                continue
            ax.scatter(
                rating[chosen],
                pred_va[chosen, column],
                marker=looks[index].marker,
                color=looks[index].color,
                **point_style(len(va)),
            )
        if rated.sum() >= MIN_DENSITY:
            _density(ax, rating[rated], pred_va[rated, column], low - margin, high + margin)
        ax.set(xlabel=f"{name}, {mean_of(label_space.n_raters)}", ylabel=f"{name}, predicted")
        ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), box_aspect=1)
        ax.set(xticks=ticks, yticks=ticks)
        ax.set_title(f"{name.capitalize()}: CCC {mean_std_text(np.array(cccs))}")
    n_folds = len(np.unique(folds))
    over = f"CCC: mean ± standard deviation of {n_folds} folds" if n_folds > 1 else "one fold"
    letter_panels(panels)
    fig.suptitle(wrapped_title(f"{title}; {over}" if title else over, "", width_mm), x=0.01, ha="left")
    return fig


def finding_of(va: np.ndarray, pred_va: np.ndarray, folds: np.ndarray, dimensions: tuple[str, ...]) -> str:
    """Where predictions spread less than ratings, and which of two dimensions is predicted better in every fold."""
    spreads, cccs = {}, {}
    for column, name in enumerate(dimensions):
        rated = ~np.isnan(va[:, column])
        truth, prediction, fold = va[rated, column], pred_va[rated, column], folds[rated]
        if len(truth) < 2 or truth.std() == 0:
            continue
        spreads[name] = float(prediction.std() / truth.std())
        cccs[name] = np.array(
            [concordance(truth=truth[fold == k], prediction=prediction[fold == k]) for k in np.unique(fold)]
        )
    parts = []
    if len(cccs) > 1 and len({len(values) for values in cccs.values()}) == 1:
        best, *others = sorted(cccs, key=lambda name: -float(cccs[name].mean()))
        values = cccs[best]
        if len(values) > 1 and all((values > cccs[name]).all() for name in others):
            than = ", ".join(f"{name} ({short(cccs[name].mean(), 2)})" for name in others)
            parts.append(f"CCC is higher for {best} ({short(values.mean(), 2)}) than for {than} in every fold.")
    if spreads and max(spreads.values()) < 0.95:
        listed = ", ".join(f"{short(ratio, 2)} ({name})" for name, ratio in spreads.items())
        parts.append(f"Predictions spread less than the ratings: their standard deviation is {listed} of the raters'.")
    return " ".join(parts)


def _rated(grid: GridView) -> tuple[pd.DataFrame, int]:
    """Untied segments with a rating, those of the concordances of the table; and how many lack one."""
    table = grid.predictions[~grid.predictions["is_tied"].astype(bool)]
    rated = table[grid.row.columns.dimensions].notna().any(axis=1)
    return table[rated], int((~rated).sum())


def _finding(grid: GridView) -> str:
    table, _ = _rated(grid)
    columns = grid.row.columns
    va, pred_va = (table[names].to_numpy(dtype=np.float64) for names in (columns.dimensions, columns.predicted))
    return finding_of(va, pred_va, table["fold"].to_numpy(), grid.label_space.dimensions)


def _from_grid(grid: GridView) -> Figure:
    space, columns = grid.label_space, grid.row.columns
    table, n_unrated = _rated(grid)
    if not len(table):
        raise NotDrawn("no untied segment has a rating of a dimension such as valence or arousal")
    va, pred_va = (table[names].to_numpy(dtype=np.float64) for names in (columns.dimensions, columns.predicted))
    note = grid.note_with(n_unrated, "a rating")
    n_voteless = int((table["hard_label"] == NO_LABEL).sum())
    if n_voteless:
        note = "; ".join(filter(None, (f"grey: {n_voteless:,} without votes", note)))
    hard_label, folds = table["hard_label"].to_numpy(), table["fold"].to_numpy()
    return draw_predictions(va, pred_va, hard_label, folds, space, grid.title, note, grid.width_mm)


FIGURE = FigureSpec(
    name="predictions",
    alt="Scatter plots of predicted by true rating, one for each dimension",
    caption=(
        "Predicted by true rating of each dimension, untied segments of all folds. Ratings are moved at random within half a step, "
        "so that equal ones can be told apart; the lines are of density."
    ),
    draw=_from_grid,
    finding=_finding,
)
