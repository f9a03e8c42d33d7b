"""Figure "map": the raters' valence-arousal plane beside the model's vectors."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from erc.evaluation import MIN_SEGMENTS, Mantel, as_same_length
from erc.labels import LabelSpace
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    INK,
    PAGE_MM,
    Look,
    counted,
    emotion_handles,
    looks_of,
    mean_of,
    new_figure,
    point_style,
    scale_ticks,
    styled,
)
from erc.report.projection import Alignment, NotDrawn, align_map, vectors
from erc.report.rendering import p_text, short

ARRANGED_BELOW = 0.05
"""Largest p value at which emotions are called arranged as the raters arrange them."""


@styled
def draw_map(
    va: np.ndarray,
    aligned: np.ndarray,
    hard_label: np.ndarray,
    numbers: Alignment,
    label_space: LabelSpace,
    by_fold: dict[int, Mantel] | None = None,
    title: str = "",
    fold: str = "",
    note: str = "",
) -> Figure:
    """Left, the raters' emotions in the valence-arousal plane; right, the model's vectors (UMAP), turned to fit it.

    Args:
        va: (N, 2) mean valence and arousal of the pictured fold's untied segments.
        aligned: (N, 2) of ``align_map``.
        hard_label: (N,) emotion index.
        numbers: Of the pictured fold.
        label_space: Of the corpora; it has valence and arousal.
        by_fold: ``mantel`` in the space of the vectors, of every fold.
        title: Which row.
        fold: Which fold.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 118 mm.
    """
    va, aligned, hard_label = as_same_length(va=va, aligned=aligned, hard_label=hard_label)
    emotions, scale = label_space.emotions, label_space.scale
    if scale is None or not label_space.has_plane:
        raise NotDrawn("the plane needs ratings of valence and arousal: the corpora have none")
    handles = emotion_handles(emotions, counted(emotions, np.bincount(hard_label, minlength=len(emotions))))
    fig = new_figure(PAGE_MM, 118, note, handles, h_pad=0.1)  # a gap between the findings and the titles
    left, right = fig.subplots(1, 2)
    for ax, points in ((left, va), (right, aligned)):
        _clusters(ax, points, hard_label, looks_of(emotions))
        ax.set_box_aspect(1)
    margin = 0.025 * (scale[1] - scale[0])
    left.set(xlim=(scale[0] - margin, scale[1] + margin), ylim=(scale[0] - margin, scale[1] + margin))
    left.set(xticks=scale_ticks(scale), yticks=scale_ticks(scale))
    whose = mean_of(label_space.n_raters)
    left.set(xlabel=f"valence ({whose})", ylabel=f"arousal ({whose})")
    left.set_title(f"Raters: place of each emotion\n{len(va):,} untied segments; ellipse: 1 σ")
    _equal_limits(right)
    right.set(xticks=[], yticks=[], xlabel="UMAP, turned and scaled onto the left map (no units)")
    right.set_title(f"Model: vector before the heads{', ' if fold else ''}{fold}\n{title}")
    fig.suptitle("\n".join(_map_findings(numbers, by_fold)), x=0.01, ha="left")
    return fig


def _map_findings(numbers: Alignment, by_fold: dict[int, Mantel] | None) -> list[str]:
    """Heading of the figure: the finding in the vectors' own space, then the numbers of the map and of all folds."""
    space, plane = numbers.space, numbers.map
    arranged = "arranged" if space.p_value < ARRANGED_BELOW else "not clearly arranged"
    first = (
        f"Emotions are {arranged} as the raters arrange them: rank correlation of distances ρ = {short(space.rho, 2)}, "
        f"{p_text(space.p_value)}"
    )
    second = (
        f"In the map ρ = {short(plane.rho, 2)}, {p_text(plane.p_value)}; its trustworthiness "
        f"{short(numbers.trustworthiness, 2)}."
    )
    if by_fold and len(by_fold) > 1:
        found = [by_fold[fold] for fold in sorted(by_fold)]
        n_arranged = sum(one.p_value < ARRANGED_BELOW for one in found)
        second += (
            f" Folds {', '.join(map(str, sorted(by_fold)))}: ρ = {', '.join(short(one.rho, 2) for one in found)} "
            f"(p < .05 in {n_arranged} of {len(found)})."
        )
    return [first, second]


def _clusters(ax: Axes, points: np.ndarray, hard_label: np.ndarray, looks: tuple[Look, ...]) -> None:
    """Points, then ellipses, then centroids; the most frequent emotion is drawn first."""
    counts = np.bincount(hard_label, minlength=len(looks))
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    for index in order:
        ax.scatter(
            *points[hard_label == index].T,
            marker=looks[index].marker,
            color=looks[index].color,
            **point_style(len(points)),
        )
    for index in (index for index in order if counts[index] >= MIN_SEGMENTS):
        members, look = points[hard_label == index], looks[index]
        ax.add_patch(_ellipse(members, look.color))
        ax.plot(
            *members.mean(axis=0),
            linestyle="none",
            marker=look.marker,
            markersize=8,
            markerfacecolor=look.color,
            markeredgecolor=INK,
            markeredgewidth=0.8,
            zorder=4,
        )


def _ellipse(members: np.ndarray, color: str) -> Ellipse:
    """One standard deviation along each principal axis (39 % of a normal cloud)."""
    values, vectors = np.linalg.eigh(np.cov(members.T))
    width, height = 2 * np.sqrt(np.maximum(values, 0))
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return Ellipse(
        members.mean(axis=0), width, height, angle=angle, facecolor="none", edgecolor=color, linewidth=1.2, zorder=3
    )


def _equal_limits(ax: Axes) -> None:
    """Limits that hold all points and ellipses, with the same scale along both axes."""
    boxes = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    corners = np.concatenate(
        [collection.get_offsets() for collection in ax.collections] + [[b.min, b.max] for b in boxes]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    half, middle = max((high - low).max() * 0.53, 1e-6), (low + high) / 2
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))


def median_fold(values: dict[int, float]) -> int:
    """Fold with the median value; of an even number, the better of the two in the middle. NaN counts as lowest."""
    order = sorted(values, key=lambda fold: (np.nan_to_num(values[fold], nan=-np.inf), -fold))
    return order[len(order) // 2]


def _from_grid(grid: GridView) -> Figure:
    found = grid.alignments
    shown = grid.fold
    if shown is None:
        shown = median_fold(dict(zip(grid.row.folds, grid.row.values("weighted_f1"), strict=True)))
    va, _, hard = vectors(grid.runs[shown])
    map_2d, numbers = found.maps[shown]
    by_fold = {fold: one.space for fold, (_, one) in found.maps.items()}
    which = f"fold {shown}" + (" (median F1)" if grid.fold is None and len(grid.runs) > 1 else "")
    table = grid.runs[shown].predictions
    unplaced = int((~table["is_tied"].astype(bool)).sum()) - len(va)
    note = grid.note_with(unplaced, "votes or rating")
    aligned = align_map(map_2d, va, hard)[0]
    return draw_map(va, aligned, hard, numbers, grid.label_space, by_fold, grid.title, which, note)


FIGURE = FigureSpec(
    name="map",
    alt="Two scatter plots with a centroid and an ellipse for each emotion: raters' plane, and UMAP of the model's vectors",
    caption=(
        "The raters' place of each emotion, and the vectors in front of the heads: one fold, untied segments only, hence "
        "another projection than that of the map to explore."
    ),
    draw=_from_grid,
)
