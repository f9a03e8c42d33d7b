"""A prediction -> pictures: its point in the valence-arousal plane, and emotions over time. Light and dark at once."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from erc.labels import LabelSpace
from erc.report import FONTS

INK, FAINT = "#78838f", "#9aa7b4"
"""Colours that are legible on white and on a dark page; the background is transparent."""

CROSS = "#d55e00"

LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
STYLES = ("-", "--", "-.", ":")
"""Of the emotions over time: told apart without colour, too."""

MAX_LINES = len(LINES)


def plane(answer: dict[str, Any], space: LabelSpace, centroids: dict[str, list[float]]) -> Figure:
    """The point of a prediction among the emotions' centroids.

    Args:
        answer: Of ``Predictor``.
        space: With valence and arousal.
        centroids: Mean valence and arousal of emotions, as far as known.
    """
    if space.scale is None:
        raise ValueError("A plane needs a scale of valence and arousal.")
    low, high = space.scale
    figure, axes = _axes(5.6, 3.4)
    above: list[tuple[float, float]] = []
    for name, (valence, arousal) in sorted(centroids.items(), key=lambda one: -one[1][1]):
        axes.plot(valence, arousal, "o", color=FAINT, markersize=4)
        # a name stands above its point, or below where another name is
        is_free = all(
            abs(valence - x) > 0.14 * (high - low) or abs(arousal - y) > 0.07 * (high - low) for x, y in above
        )
        above += [(valence, arousal)] if is_free else []
        offset, side = (5, "bottom") if is_free else (-5, "top")
        style: dict[str, Any] = {"ha": "center", "va": side, "color": INK, "fontsize": 8, "family": FONTS}
        axes.annotate(name, (valence, arousal), (0, offset), textcoords="offset points", **style)
    edge = 0.02 * (high - low)
    valence, arousal = (min(max(answer[name], low + edge), high - edge) for name in ("valence", "arousal"))
    axes.plot(valence, arousal, "P", color=CROSS, markersize=13, markeredgecolor="white")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="valence", ylabel="arousal")
    return figure


def over_time(answer: dict[str, Any], words: dict[str, str]) -> Figure:
    """The likeliest emotions of a prediction in windows, each a line over the middle of the windows."""
    figure, axes = _axes(6.2, 2.8)
    windows = answer["windows"]
    middle = [(one["start"] + one["end"]) / 2 for one in windows]
    for i, emotion in enumerate(one["label"] for one in answer["emotions"][:MAX_LINES]):
        scores = [next(each["score"] for each in one["emotions"] if each["label"] == emotion) for one in windows]
        axes.plot(middle, scores, STYLES[i], color=LINES[i], marker="o", markersize=3, label=emotion)
    axes.set(ylim=(0, 1), xlabel=words["seconds"], ylabel=words["score"])
    axes.xaxis.label.set_fontfamily(FONTS)
    axes.yaxis.label.set_fontfamily(FONTS)
    axes.legend(
        frameon=False,
        labelcolor=INK,
        ncols=MAX_LINES,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        prop={"family": FONTS},
    )
    return figure


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A transparent figure of so many inches, and its axes."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.grid(color=FAINT, alpha=0.25)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes
