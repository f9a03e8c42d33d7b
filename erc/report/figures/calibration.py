"""Figure "calibration": how often a prediction is right, by its probability."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import binomtest

from erc.evaluation import Interval, as_same_length, cluster_bootstrap, expected_calibration_error
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    COLUMN_MM,
    GREY,
    INK,
    PAPER,
    is_narrow,
    letter_panels,
    new_figure,
    styled,
    wrapped_title,
)
from erc.report.rendering import ends_text, short

N_BINS = 15

FEW = 10
"""A bin of fewer segments has a hollow dot."""


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


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of ``n`` independent segments (Wilson, 1927)."""
    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


@styled
def draw_calibration(
    hard_label: np.ndarray, probs: np.ndarray, title: str = "", note: str = "", width_mm: float = COLUMN_MM
) -> Figure:
    """Accuracy by confidence with intervals, the number of segments in each bin, and the ECE, all over the same segments.

    Args:
        hard_label: (N,) of the untied segments of all folds.
        probs: (N, K) probabilities.
        title: Which row.
        note: Grey remark at the bottom.
        width_mm: In print; a narrow figure has the histogram below.

    Returns:
        104 mm high where it is narrow, else 84 mm.
    """
    narrow = is_narrow(width_mm)
    dot: dict[str, Any] = dict(color=INK, linestyle="none", marker="o", markersize=4, markeredgewidth=0.8)
    diagonal: dict[str, Any] = dict(color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    handles = [
        Line2D([], [], label=f"{FEW} segments or more", **dot),
        Line2D([], [], label="fewer", markerfacecolor=PAPER, **dot),
        Line2D([], [], label="95 % interval", color=INK, linewidth=1),
        Line2D([], [], label="above: under-, below: over-confident", **diagonal),
    ]
    fig = new_figure(width_mm, 104 if narrow else 84, note, handles)
    top, bottom = fig.subplots(2, 1, height_ratios=(3, 1)) if narrow else fig.subplots(1, 2)
    bins = calibration_bins(hard_label, probs)
    top.plot([0, 1], [0, 1], **diagonal)
    for confidence, accuracy, n in zip(*bins, strict=True):
        if n:
            top.vlines(confidence, *wilson_interval(accuracy, n), color=INK, linewidth=1)
            top.plot(confidence, accuracy, markerfacecolor=PAPER if n < FEW else INK, clip_on=False, **dot)
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share predicted right", xlabel="probability of the predicted emotion")
    error = expected_calibration_error(hard_label=hard_label, probs=probs, n_bins=N_BINS)
    top.set_title(f"Calibration: ECE {short(error)}, folds together")
    bottom.bar((np.arange(N_BINS) + 0.5) / N_BINS, bins.n, 0.9 / N_BINS, color=GREY)
    bottom.yaxis.set_major_locator(MaxNLocator(3 if narrow else 5, integer=True))
    bottom.set(xlim=(0, 1), xlabel="probability of the predicted emotion", ylabel="segments")
    bottom.set_title("Segments in each bin")
    letter_panels((top, bottom))
    if title:
        fig.suptitle(wrapped_title(title, "", width_mm), x=0.01, ha="left")
    fig.align_ylabels()
    return fig


def gap_interval(hard_label: np.ndarray, probs: np.ndarray, dialogues: np.ndarray, n_resamples: int) -> Interval:
    """Mean probability of the predicted emotion minus the share predicted right, with its interval over dialogues."""
    gap = probs.max(axis=1) - (probs.argmax(axis=1) == hard_label)
    together = np.zeros(len(gap), dtype=int)
    return cluster_bootstrap(lambda chosen: float(gap[chosen].mean()), together, dialogues, n_resamples)


def finding_of(hard_label: np.ndarray, probs: np.ndarray, gap: Interval) -> str:
    """Whether the model is over- or under-confident; empty where the interval of ``gap_interval`` holds 0."""
    low, high = float(gap.low), float(gap.high)
    if not (low > 0 or high < 0):
        return ""
    ends = ends_text(*((low, high) if low > 0 else (-high, -low)), digits=2)
    return (
        f"The model is {'over' if low > 0 else 'under'}-confident: the mean probability is {short(probs.max(axis=1).mean(), 2)} "
        f"and {short((probs.argmax(axis=1) == hard_label).mean(), 2)} of the predictions are right (95 % interval of the "
        f"difference {ends})."
    )


def _from_grid(grid: GridView) -> Figure:
    truth, _ = grid.truth_and_prediction
    return draw_calibration(truth, grid.probs, grid.title, grid.note_on_votes, grid.width_mm)


def _finding(grid: GridView) -> str:
    truth, _ = grid.truth_and_prediction
    gap = gap_interval(truth, grid.probs, grid.untied["dialogue"].to_numpy(), grid.n_resamples)
    return finding_of(truth, grid.probs, gap)


FIGURE = FigureSpec(
    name="calibration",
    alt="Reliability diagram with intervals, and a histogram of the predicted probabilities",
    caption=(
        "Share of right predictions by the probability that the model gave them, and the number of segments in each bin. Points, "
        "intervals (Wilson, segments taken as independent) and ECE are over the segments of all folds together; the ECE of the "
        "table is the mean over folds."
    ),
    draw=_from_grid,
    finding=_finding,
)
