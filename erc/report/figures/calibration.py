"""Figure "calibration": how often a prediction is right, by its probability."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from erc.evaluation import as_same_length, expected_calibration_error
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import COLUMN_MM, GREY, INK, MIN_FONT, new_figure, styled, wrapped_title
from erc.report.rendering import mean_std_text

N_BINS = 15


class Bins(NamedTuple):
    """Calibration of the predicted emotion, bin by bin of its probability."""

    confidence: np.ndarray
    """(bins,) mean probability; NaN for an empty bin."""
    accuracy: np.ndarray
    """(bins,) share of segments that were predicted right."""
    n: np.ndarray
    """(bins,) segments."""


def calibration_bins(hard_label: np.ndarray, probs: np.ndarray, n_bins: int = N_BINS) -> Bins:
    """Equal-width bins ``((b - 1)/B, b/B]`` of the largest probability, as in ``expected_calibration_error``."""
    hard_label, probs = as_same_length(hard_label=hard_label, probs=probs)
    confidence, is_correct = probs.max(axis=1), probs.argmax(axis=1) == hard_label
    index = np.searchsorted(np.arange(1, n_bins) / n_bins, confidence, side="left")
    n = np.bincount(index, minlength=n_bins)
    sums = [np.bincount(index, weights=values, minlength=n_bins) for values in (confidence, is_correct)]
    mean_confidence, accuracy = (np.divide(total, n, out=np.full(n_bins, np.nan), where=n > 0) for total in sums)
    return Bins(mean_confidence, accuracy, n)


@styled
def draw_calibration(folds: list[tuple[np.ndarray, np.ndarray]], title: str = "", note: str = "") -> Figure:
    """Accuracy by confidence over all folds, the number of segments in each bin, and the ECE of the table.

    Args:
        folds: hard_label (N,) and probabilities (N, K) of each fold's untied segments.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        85 mm x 92 mm.
    """
    fig = new_figure(COLUMN_MM, 92, note)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    hard_label, all_probs = (np.concatenate(part) for part in zip(*folds, strict=True))
    bins = calibration_bins(hard_label, all_probs)
    errors = [expected_calibration_error(hard_label=hard, probs=probs, n_bins=N_BINS) for hard, probs in folds]
    has = bins.n > 0
    top.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    top.vlines(bins.confidence[has], bins.confidence[has], bins.accuracy[has], color=INK, linewidth=1)
    top.plot(bins.confidence[has], bins.accuracy[has], "o", color=INK, markersize=4)
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share predicted right")
    top.text(0.03, 0.95, "under-confident", transform=top.transAxes, va="top", color=GREY, fontsize=MIN_FONT)
    top.text(0.97, 0.05, "over-confident", transform=top.transAxes, ha="right", color=GREY, fontsize=MIN_FONT)
    top.set_title(wrapped_title(f"Calibration: ECE {mean_std_text(np.array(errors))}", title))
    bottom.bar((np.arange(N_BINS) + 0.5) / N_BINS, bins.n, 0.9 / N_BINS, color=GREY)
    bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    bottom.set(xlabel="probability of the predicted emotion", ylabel="segments")
    fig.align_ylabels()
    return fig


def _from_grid(grid: GridView) -> Figure:
    prob = grid.row.columns.prob
    folds = [(part["hard_label"].to_numpy(), part[prob].to_numpy()) for _, part in grid.untied.groupby("fold")]
    return draw_calibration(folds, grid.title, grid.note_on_votes)


FIGURE = FigureSpec(
    name="calibration",
    alt="Reliability diagram above a histogram of the predicted probabilities",
    caption="Share of right predictions by the probability that the model gave them; below, the number of segments.",
    draw=_from_grid,
)
