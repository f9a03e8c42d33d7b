"""Figure "confusion": raters' majority against prediction."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from erc.evaluation import as_same_length, confusion_sums
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    PAGE_MM,
    count_text,
    counted,
    draw_matrix,
    label_rows,
    new_figure,
    share_text,
    styled,
)


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
def draw_confusion(confusion: np.ndarray, emotions: tuple[str, ...], title: str = "", note: str = "") -> Figure:
    """Counts over all folds, and each emotion's shares (mean over folds).

    Args:
        confusion: (F, K, K) counts, truth by prediction, of untied segments.
        emotions: K names.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 86 mm.
    """
    fig = new_figure(PAGE_MM, 86, note)
    left, right = fig.subplots(1, 2)
    counts, shares = confusion.sum(axis=0), row_shares(confusion)
    n_texts = [[count_text(n, len(emotions)) for n in row] for row in counts]
    draw_matrix(left, row_shares(counts[None]), n_texts, emotions)  # the shades are shares here, too
    draw_matrix(right, shares, [[share_text(value) for value in row] for row in shares], emotions)
    label_rows(left, counted(emotions, counts.sum(axis=1)))
    label_rows(right, emotions)
    folds = f"{len(confusion)} fold" + ("s" if len(confusion) > 1 else "")
    left.set(xlabel="predicted", ylabel="majority of the raters")
    left.set_title(f"Segments, {folds} together")
    right.set(xlabel="predicted")
    right.set_title(f"Share of each emotion, mean of {folds}")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def _from_grid(grid: GridView) -> Figure:
    emotions = grid.label_space.emotions
    counts = confusions(*grid.truth_and_prediction, grid.untied["fold"].to_numpy(), len(emotions))
    return draw_confusion(counts, emotions, grid.title, grid.note_on_votes)


FIGURE = FigureSpec(
    name="confusion",
    alt="Two confusion matrices of the emotions: counts and shares",
    caption="Raters' majority by predicted emotion, untied segments of all folds: counts, and shares of each emotion.",
    draw=_from_grid,
)
