"""Figure "confusion": raters' majority against prediction."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from erc.evaluation import as_same_length, confusion_sums
from erc.report.figures.matrix import count_text, draw_matrix, label_rows
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    PAGE_MM,
    counted,
    is_narrow,
    letter_panels,
    new_figure,
    styled,
    wrapped_title,
)
from erc.report.rendering import short

MIN_SEGMENTS = 10
"""The finding speaks of emotions with so many segments or more."""


def confusions(truth: np.ndarray, prediction: np.ndarray, folds: np.ndarray, n_emotions: int) -> np.ndarray:
    """(F, K, K) counts, truth by prediction, fold by fold in ascending order."""
    truth, prediction, folds = as_same_length(truth=truth, prediction=prediction, folds=folds)
    sums = confusion_sums(truth=truth, prediction=prediction, clusters=folds, n_classes=n_emotions)
    return sums.sums.astype(np.int64)


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """(F, K, K) counts -> (K, K) share of each emotion's segments predicted as each, mean over folds that have it.

    NaN rows for emotions that no fold has.
    """
    totals = confusion.sum(axis=-1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0).sum(axis=0)
    n_folds = (totals > 0).sum(axis=0)
    return np.divide(shares, n_folds, out=np.full(shares.shape, np.nan), where=n_folds > 0)


@styled
def draw_confusion(
    confusion: np.ndarray,
    emotions: tuple[str, ...],
    title: str = "",
    note: str = "",
    width_mm: float = PAGE_MM,
) -> Figure:
    """Counts over all folds, and each emotion's shares (mean over folds).

    Args:
        confusion: (F, K, K) counts, truth by prediction, of untied segments.
        emotions: K names.
        title: Which row.
        note: Grey remark at the bottom.
        width_mm: In print; a narrow figure has one matrix below the other.

    Returns:
        92 mm high; where it is narrow, 40 mm and 12 mm for each emotion.
    """
    narrow = is_narrow(width_mm)
    fig = new_figure(width_mm, 40 + 12 * max(len(emotions), 4) if narrow else 92, note)
    left, right = fig.subplots(2, 1) if narrow else fig.subplots(1, 2)
    counts, shares = confusion.sum(axis=0), row_shares(confusion)
    n_texts = [[count_text(n, len(emotions)) for n in row] for row in counts]
    draw_matrix(left, row_shares(counts[None]), n_texts, emotions, square=not narrow)
    draw_matrix(right, shares, [[short(value, 2) for value in row] for row in shares], emotions, square=not narrow)
    label_rows(left, counted(emotions, counts.sum(axis=1)))
    label_rows(right, emotions)
    title_mm = (0.75 if narrow else 0.45) * width_mm
    folds = f"{len(confusion)} fold" + ("s" if len(confusion) > 1 else "")
    left.set(xlabel="predicted", ylabel="majority of the raters")
    left.set_title(wrapped_title(f"Segments, {folds} together", "shade: share of the row", title_mm))
    right.set(xlabel="predicted")
    right.set_title(wrapped_title(f"Share of each emotion, mean of {folds}", "shade: share of the row", title_mm))
    if narrow:
        right.set(ylabel="majority of the raters")
    letter_panels((left, right))
    if title:
        fig.suptitle(wrapped_title(title, "", width_mm), x=0.01, ha="left")
    return fig


def finding_of(confusion: np.ndarray, emotions: tuple[str, ...]) -> str:
    """Which emotion is recognised best, and the most frequent confusion, from (K, K) counts of all folds.

    Empty where fewer than two emotions have ``MIN_SEGMENTS`` segments.
    """
    totals = confusion.sum(axis=1)
    known = totals >= MIN_SEGMENTS
    if known.sum() < 2:
        return ""
    shares = np.where(known[:, None], confusion / np.maximum(totals, 1)[:, None], -1.0)
    best = int(shares.diagonal().argmax())
    text = f"{emotions[best].capitalize()} is recognised best ({short(shares[best, best], 2)} of its {totals[best]:,} segments)"
    np.fill_diagonal(shares, -1.0)
    true, predicted = (int(index) for index in np.unravel_index(shares.argmax(), shares.shape))
    if shares[true, predicted] <= 0:
        return f"{text}."
    return (
        f"{text}; the most frequent confusion is {emotions[true]} predicted as {emotions[predicted]} "
        f"({short(shares[true, predicted], 2)} of {totals[true]:,})."
    )


def _counts(grid: GridView) -> np.ndarray:
    folds = grid.untied["fold"].to_numpy()
    return confusions(*grid.truth_and_prediction, folds, grid.label_space.n_emotions)


def _from_grid(grid: GridView) -> Figure:
    return draw_confusion(_counts(grid), grid.label_space.emotions, grid.title, grid.note_on_votes, grid.width_mm)


def _finding(grid: GridView) -> str:
    return finding_of(_counts(grid).sum(axis=0), grid.label_space.emotions)


FIGURE = FigureSpec(
    name="confusion",
    alt="Two confusion matrices of the emotions: counts and shares",
    caption="Raters' majority by predicted emotion, untied segments of all folds: counts, and shares of each emotion.",
    draw=_from_grid,
    finding=_finding,
)
