"""Figure "map": the raters' valence-arousal plane beside the model's vectors, before training and after it."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from erc.evaluation import MIN_SEGMENTS, MeanMantel, as_same_length
from erc.labels import LabelSpace
from erc.report.arrangement import Alignment, Mapped, arrangements
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    INK,
    PAGE_MM,
    Look,
    counted,
    emotion_handles,
    is_narrow,
    letter_panels,
    letters_in,
    looks_of,
    mean_of,
    new_figure,
    point_style,
    scale_ticks,
    styled,
)
from erc.report.figures.valence_arousal import jittered
from erc.report.projection import NotDrawn, align_map
from erc.report.rendering import ends_text, p_text, short, signed

ARRANGED_BELOW = 0.05
"""Largest p value at which emotions are called arranged as the raters arrange them."""

MIN_ELLIPSE = 10
"""An emotion with fewer segments gets a centroid, but no ellipse: four points make one of any shape."""


@styled
def draw_map(
    mapped: Mapped,
    label_space: LabelSpace,
    over_folds: MeanMantel | None = None,
    title: str = "",
    fold: str = "",
    note: str = "",
    width_mm: float = PAGE_MM,
) -> Figure:
    """From left to right: the raters' emotions in the valence-arousal plane; the vectors before training, where the run has kept
    them; the vectors after training. Both are turned to fit the plane.

    Args:
        mapped: The pictured fold.
        label_space: Of the corpora; it has valence and arousal.
        over_folds: Mean over all folds of the row.
        title: Which row.
        fold: Which fold.
        note: Grey remark at the bottom.
        width_mm: In print; in a narrow figure the panels stand one below the other.
    """
    va, hard_label = as_same_length(va=mapped.va, hard_label=mapped.hard_label)
    emotions, scale = label_space.emotions, label_space.scale
    if scale is None or not label_space.has_plane:
        raise NotDrawn("the plane needs ratings of valence and arousal: the corpora have none")
    handles = emotion_handles(emotions, counted(emotions, np.bincount(hard_label, minlength=len(emotions))))
    panels = [] if mapped.untrained is None else [("Before training", mapped.untrained, mapped.untrained_numbers)]
    panels.append(("After training" if panels else "Model", mapped.trained, mapped.numbers))
    heading = _finding(mapped.numbers, over_folds)
    heading = [line for text in (*heading, title) for line in textwrap.wrap(text, letters_in(width_mm) - 2)]
    narrow, n_panels = is_narrow(width_mm), 1 + len(panels)
    height_mm = 68 * n_panels if narrow else 80 if n_panels > 2 else 106
    fig = new_figure(width_mm, height_mm + 4 * len(heading), note, handles, h_pad=0.1)
    axes = fig.subplots(*((n_panels, 1) if narrow else (1, n_panels)))
    looks = looks_of(emotions)
    _clusters(axes[0], np.column_stack([jittered(va[:, 0]), jittered(va[:, 1], 7)]), hard_label, looks, centres=va)
    margin = 0.025 * (scale[1] - scale[0])
    ends = (scale[0] - margin, scale[1] + margin)
    axes[0].set(xlim=ends, ylim=ends, xticks=scale_ticks(scale), yticks=scale_ticks(scale))
    axes[0].set(xlabel="valence", ylabel="arousal")
    axes[0].set_title(f"Raters ({mean_of(label_space.n_raters)})\n{len(va):,} untied segments")
    for ax, (name, projection, numbers) in zip(axes[1:], panels, strict=True):
        aligned = align_map(projection.xy, va, hard_label)[0]
        _clusters(ax, aligned, hard_label, looks)
        _equal_limits(ax)
        ax.set(xticks=[], yticks=[], xlabel=projection.method.replace(", ", "\n", 1))
        where = f", {fold}" if fold and ax is axes[-1] else ""
        ax.set_title(f"{name}{where}\n{_rho_text(numbers)}")
    for ax in axes:
        ax.set_box_aspect(1)
    letter_panels(axes)
    fig.suptitle("\n".join(heading), x=0.01, ha="left")
    return fig


def _rho_text(numbers: Alignment | None) -> str:
    """What the drawn map says, with its range over layouts where there are several."""
    if numbers is None:
        return ""
    text = f"on this map ρ = {short(numbers.map.rho, 2)}, {p_text(numbers.map.p_value)}"
    if numbers.map_range is not None:
        text += f" ({ends_text(*numbers.map_range)} over layouts)"
    return text


def _finding(numbers: Alignment, over_folds: MeanMantel | None) -> list[str]:
    """Heading of the figure: the finding over all folds, in the vectors' own space; of one fold where there is only one."""
    p_value = numbers.space.p_value if over_folds is None else over_folds.p_value
    arranged = "arranged" if p_value < ARRANGED_BELOW else "not clearly arranged"
    first = f"Emotions are {arranged} as the raters arrange them: "
    if over_folds is None:
        return [
            f"{first}rank correlation of distances ρ = {short(numbers.space.rho, 2)}, {p_text(numbers.space.p_value)}"
        ]
    chance = ends_text(over_folds.null_low, over_folds.null_high, with_sign=True)
    return [
        f"{first}rank correlation of distances ρ = {signed(over_folds.rho).lstrip('+')}",
        f"(mean over {over_folds.n_folds} folds, among the vectors; by chance {chance}; {p_text(over_folds.p_value)})",
    ]


def _clusters(
    ax: Axes, points: np.ndarray, hard_label: np.ndarray, looks: tuple[Look, ...], centres: np.ndarray | None = None
) -> None:
    """Points, then ellipses, then centroids; the most frequent emotion is drawn first.

    ``centres`` are the points of ellipses and centroids where they are not the drawn ones.
    """
    places = points if centres is None else centres
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
        members, look = places[hard_label == index], looks[index]
        if counts[index] >= MIN_ELLIPSE:
            ax.add_patch(_ellipse(members, look.color))
        ax.plot(
            *members.mean(axis=0),
            linestyle="none",
            marker=look.marker,
            markersize=7,
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


def _shown_fold(grid: GridView) -> int:
    if grid.fold is not None:
        return grid.fold
    return median_fold(dict(zip(grid.row.folds, grid.row.values("weighted_f1"), strict=True)))


def _from_grid(grid: GridView) -> Figure:
    found, shown = grid.alignments, _shown_fold(grid)
    mapped = found.maps[shown]
    over_folds = arrangements([grid.row], grid.arrangements)[grid.row.name] if len(found.maps) > 1 else None
    which = f"fold {shown}" + (" (median F1)" if grid.fold is None and len(grid.runs) > 1 else "")
    table = grid.runs[shown].predictions
    unplaced = int((~table["is_tied"].astype(bool)).sum()) - len(mapped.va)
    note = grid.note_with(unplaced, "votes or rating")
    return draw_map(mapped, grid.label_space, over_folds, grid.title, which, note, grid.width_mm)


def _finding_of(grid: GridView) -> str:
    """Arrangement before training and after it, where the runs have kept the vectors of both."""
    rows = [one for one in grid.alignments.rows if one.untrained_rho is not None and np.isfinite(one.rho)]
    if not rows:
        return ""
    before, after = (float(np.mean([getattr(one, name) for one in rows])) for name in ("untrained_rho", "rho"))
    over = "fold" if len(rows) == 1 else "folds"
    return (
        f"Training takes the rank correlation with the raters' arrangement from {short(before, 2)} to {short(after, 2)} "
        f"(mean of {len(rows)} {over}, among the vectors)."
    )


FIGURE = FigureSpec(
    name="map",
    alt="Scatter plots with a centroid for each emotion: raters' plane, and the model's vectors before and after training",
    caption=(
        "Where the raters place each emotion, and where the vectors in front of the heads do: one fold, untied segments. Large "
        f"markers are centroids; ellipses hold one standard deviation of emotions with {MIN_ELLIPSE} segments or more. Equal ratings "
        "are moved apart a little."
    ),
    draw=_from_grid,
    finding=_finding_of,
)
