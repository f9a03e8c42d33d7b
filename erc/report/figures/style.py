"""What all figures share: colours, markers, sizes, and the parts that several of them draw."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from erc.labels import EMOTIONS, N_EMOTIONS
from erc.report.rendering import short

COLORS = dict(
    surprise="#56B4E9",
    fear="#CC79A7",
    angry="#D55E00",
    neutral="#BBBBBB",
    happy="#E69F00",
    sad="#0072B2",
    disgust="#009E73",
)
"""Okabe and Ito's palette, with two colours left out: black marks what is no emotion, and yellow is too pale on white.
Neutral, the emotion of two thirds of the segments, is light grey; red-blind readers see fear's purple as a middle grey."""

MARKERS = dict(surprise="^", fear="v", angry="s", neutral="o", happy="D", sad="P", disgust="X")

SHORT = [emotion[:3] for emotion in EMOTIONS]

CORPUS_TITLES = {"kemdy19": "KEMDy19", "kemdy20": "KEMDy20"}

COLUMN_MM, PAGE_MM = 85, 180

MIN_FONT = 7  # pt

INK, GREY, FILL, PALE = "#000000", "#6E6E6E", "#8C8C8C", "#D0D0D0"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.labelsize": MIN_FONT,
    "ytick.labelsize": MIN_FONT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": MIN_FONT,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.0,
    "figure.titlesize": 8,
    "figure.dpi": 100,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "path",
    "svg.hashsalt": "erc",  # the same figure, the same bytes
}

SYNTHETIC_REMARK = "synthetic sample corpus"

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """A function that draws with ``STYLE`` and leaves matplotlib's settings as they were."""

    @functools.wraps(draw)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def new_figure(
    width_mm: float,
    height_mm: float,
    note: str,
    handles: Sequence[Artist] = (),
    h_pad: float = 0.06,
    **legend: Any,
) -> Figure:
    """A figure of that printed size; a legend and a grey note have strips of their own at the bottom.

    Args:
        width_mm: Width in print.
        height_mm: Height in print.
        note: Grey remark; empty for none.
        handles: Entries of the legend, which is in one line.
        h_pad: Room above and below each plot, in inches.
        legend: More options of the legend.
    """
    note_strip, legend_strip = (4.5 if note else 0.0), (7.0 if handles else 0.0)
    strips = (note_strip + legend_strip) / height_mm
    layout = ConstrainedLayoutEngine(rect=(0, strips, 1, 1 - strips), w_pad=0.04, h_pad=h_pad, wspace=0.04, hspace=0.04)
    fig = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout=layout)
    FigureCanvasAgg(fig)
    if note:
        fig.text(1 - 1.2 / width_mm, 1 / height_mm, note, ha="right", va="bottom", color=GREY, fontsize=MIN_FONT)
    if handles:
        fig.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, note_strip / height_mm),
            ncols=len(handles),
            borderpad=0.2,
            **legend,
        ).set_in_layout(False)
    return fig


def emotion_handle(emotion: str, label: str | None = None) -> Line2D:
    """Legend entry of an emotion."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=MARKERS[emotion],
        markersize=5,
        markerfacecolor=COLORS[emotion],
        markeredgecolor=INK,
        markeredgewidth=0.4,
        label=label or emotion,
    )


def point_style(n: int) -> dict:
    """Size and opacity of ``n`` points; they are an image even in a PDF, since thousands of them would open slowly."""
    size, alpha = (12, 0.7) if n < 1000 else (4, 0.4) if n < 8000 else (1.5, 0.3)
    return dict(s=size, alpha=alpha, linewidths=0, rasterized=True)


def share_text(value: float) -> str:
    """.06; 0 for nothing at all, – for an absent emotion."""
    return "0" if value == 0 else short(value, digits=2)


def wrapped_title(first: str, title: str, width: int = 48) -> str:
    """Title of a narrow figure: its subject, then the row's title in as many lines as it needs."""
    return "\n".join([first, *textwrap.wrap(title, width)])


def draw_matrix(ax: Axes, values: np.ndarray, texts: list[list[str]]) -> None:
    """Heat map of shares with numbers; the columns' labels have three letters, the rows' labels are the caller's."""
    ax.imshow(values, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.ndindex(values.shape):
        color = "white" if values[row, column] > 0.55 else INK
        ax.text(column, row, texts[row][column], ha="center", va="center", fontsize=MIN_FONT, color=color)
    ax.set_xticks(range(values.shape[1]), SHORT)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def label_rows(ax: Axes, labels: list[str]) -> None:
    """Labels of a matrix's rows, one for each emotion."""
    ax.set_yticks(range(N_EMOTIONS), labels)
