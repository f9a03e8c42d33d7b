"""Figure "map": the raters' valence-arousal plane beside the model's vectors."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from erc.evaluation import MIN_SEGMENTS, Mantel, as_same_length
from erc.labels import EMOTIONS, N_EMOTIONS, VA_MAX, VA_MIN
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    COLORS,
    INK,
    MARKERS,
    PAGE_MM,
    emotion_handle,
    new_figure,
    point_style,
    styled,
)
from erc.report.projection import Alignment, align_map, vectors
from erc.report.rendering import p_text, short

ARRANGED_BELOW = 0.05
"""Largest p value at which emotions are called arranged as the raters arrange them."""


@styled
def draw_map(
    va: np.ndarray,
    aligned: np.ndarray,
    hard_label: np.ndarray,
    numbers: Alignment,
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
        by_fold: ``mantel`` in the space of the vectors, of every fold.
        title: Which row.
        fold: Which fold.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 118 mm.
    """
    va, aligned, hard_label = as_same_length(va=va, aligned=aligned, hard_label=hard_label)
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    handles = [emotion_handle(emotion, f"{emotion} ({n:,})") for emotion, n in zip(EMOTIONS, counts, strict=True)]
    fig = new_figure(PAGE_MM, 118, note, handles, h_pad=0.1)  # a gap between the findings and the titles
    left, right = fig.subplots(1, 2)
    for ax, points in ((left, va), (right, aligned)):
        _clusters(ax, points, hard_label)
        ax.set_box_aspect(1)
    left.set(xlim=(VA_MIN - 0.1, VA_MAX + 0.1), ylim=(VA_MIN - 0.1, VA_MAX + 0.1))
    left.set(xticks=range(VA_MIN, VA_MAX + 1), yticks=range(VA_MIN, VA_MAX + 1))
    left.set(xlabel="valence (mean of ten raters)", ylabel="arousal (mean of ten raters)")
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


def _clusters(ax: Axes, points: np.ndarray, hard_label: np.ndarray) -> None:
    """Points, then ellipses, then centroids; the most frequent emotion is drawn first."""
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    for index in order:
        ax.scatter(
            *points[hard_label == index].T,
            marker=MARKERS[EMOTIONS[index]],
            color=COLORS[EMOTIONS[index]],
            **point_style(len(points)),
        )
    for index in (index for index in order if counts[index] >= MIN_SEGMENTS):
        members, emotion = points[hard_label == index], EMOTIONS[index]
        ax.add_patch(_ellipse(members, COLORS[emotion]))
        ax.plot(
            *members.mean(axis=0),
            linestyle="none",
            marker=MARKERS[emotion],
            markersize=8,
            markerfacecolor=COLORS[emotion],
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
    return draw_map(va, align_map(map_2d, va, hard)[0], hard, numbers, by_fold, grid.title, which, grid.note)


FIGURE = FigureSpec(
    name="map",
    alt="Two scatter plots with a centroid and an ellipse for each emotion: raters' plane, and UMAP of the model's vectors",
    caption=(
        "The raters' place of each emotion, and the vectors in front of the heads: one fold, untied segments only, hence "
        "another projection than that of the map to explore."
    ),
    draw=_from_grid,
)
