"""What all figures share: colours, markers, sizes, and the parts that several of them draw."""

from __future__ import annotations

import functools
import math
import re
import string
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, ParamSpec

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from erc.report.rendering import raters_text

Marker = str | tuple[int, Literal[0, 1, 2], int]


class Look(NamedTuple):
    """How an emotion is drawn."""

    color: str
    marker: Marker


LOOKS = dict(
    surprise=Look("#56B4E9", "^"),
    fear=Look("#994477", "v"),
    angry=Look("#D55E00", "s"),
    neutral=Look("#BBBBBB", "o"),
    happy=Look("#F0B020", "D"),
    sad=Look("#0072B2", "P"),
    disgust=Look("#009E73", "X"),
    excited=Look("#CCCC66", "*"),
    frustrated=Look("#882222", "<"),
    calm=Look("#2222EE", "p"),
    bored=Look("#AAAA44", ">"),
    anxious=Look("#AA44EE", "h"),
    contempt=Look("#4422AA", "d"),
    other=Look("#222266", (4, 1, 0)),
)
"""Emotions that corpora ask for. The first seven follow the palette of Okabe and Ito. Black and yellow are left out: black
marks what is no emotion, and yellow is too pale on white. Fear is darker and happy lighter than in that palette, so that
readers without red or green see each two of the seven at least 20 apart (CIE 1976; Machado, Oliveira and Fernandes, 2009).
Neutral, the emotion of two thirds of KEMD's segments, is light grey. The other colours are those of a grid over RGB that stay
farthest from all before them, as readers with and without red or green see them."""

SYNONYMS = {
    **dict.fromkeys(("anger", "ang", "hot anger"), "angry"),
    **dict.fromkeys(("happiness", "hap", "joy", "joyful"), "happy"),
    **dict.fromkeys(("sadness",), "sad"),
    **dict.fromkeys(("fearful", "fea", "scared"), "fear"),
    **dict.fromkeys(("surprised", "sur"), "surprise"),
    **dict.fromkeys(("disgusted", "dis"), "disgust"),
    **dict.fromkeys(("neu", "neutrality"), "neutral"),
    **dict.fromkeys(("excitement", "exc"), "excited"),
    **dict.fromkeys(("frustration", "fru"), "frustrated"),
    **dict.fromkeys(("calmness",), "calm"),
    **dict.fromkeys(("boredom",), "bored"),
    **dict.fromkeys(("anxiety", "worried"), "anxious"),
    **dict.fromkeys(("oth", "others"), "other"),
}
"""Other names of the emotions in ``LOOKS``."""


@functools.cache
def looks_of(emotions: tuple[str, ...]) -> tuple[Look, ...]:
    """Colour and marker of each emotion of a label space, the same wherever it is drawn, and no two alike.

    A known name has its look of ``LOOKS``. The other names have, in their order, the looks that no emotion of the space has;
    after those, colours and markers in other pairs.
    """
    found: dict[str, Look] = {}
    for emotion in emotions:
        name = emotion.strip().lower()
        look = LOOKS.get(SYNONYMS.get(name, name))
        if look is not None and look not in found.values():
            found[emotion] = look
    known = tuple(LOOKS.values())
    pairs = (
        Look(color, known[(index + step) % len(known)].marker)
        for step in range(len(known))
        for index, (color, _) in enumerate(known)
    )
    free = (look for look in pairs if look not in found.values())
    return tuple(found[emotion] if emotion in found else next(free) for emotion in emotions)


def short_names(emotions: Sequence[str]) -> list[str]:
    """The first three letters of each name; as many more as it takes to tell the names apart."""
    for length in range(3, max(map(len, emotions))):
        short_ones = [emotion[:length] for emotion in emotions]
        if len(set(short_ones)) == len(emotions):
            return short_ones
    return list(emotions)


def mean_of(n_raters: int | None) -> str:
    """Whose mean a rating is: ``mean of three raters``; ``mean of the raters`` where their number differs."""
    return (
        "mean of the raters"
        if n_raters is None
        else f"mean of {raters_text(n_raters)}"
        if n_raters > 1
        else "one rater"
    )


def scale_ticks(scale: tuple[float, float]) -> list[float]:
    """Ticks of a scale of ratings: every whole number where those are few, else five."""
    low, high = scale
    if low == int(low) and high == int(high) and high - low <= 10:
        return [int(low) + step for step in range(int(high - low) + 1)]
    return np.linspace(low, high, 5).tolist()


CORPUS_TITLES = {"kemdy19": "KEMDy19", "kemdy20": "KEMDy20"}

Width = Literal["column", "page"]

COLUMN_MM, PAGE_MM = 84, 174

WIDTHS_MM: dict[str, int] = {"column": COLUMN_MM, "page": PAGE_MM}
"""Printed width of a figure in one column of a page, and over the whole page."""

MIN_FONT = 7  # pt

SMALLEST_FONT = 6  # pt, of numbers and names within cells and bars

INK, PAPER, GREY, FILL, PALE = "#000000", "#FFFFFF", "#6E6E6E", "#8C8C8C", "#D0D0D0"
"""Text and lines; background; less important text; bars; help lines. All but ``FILL`` change with the page's theme."""

BLACK, WHITE = "#010101", "#FEFEFE"
"""Of text on an emotion's colour: these do not change with the theme."""

LEGEND_LINE_MM, NOTE_LINE_MM = 3.6, 3.0

CJK_FONTS = ("Noto Sans CJK KR", "NanumGothic", "UnDotum", "Apple SD Gothic Neo", "Malgun Gothic")
"""Fonts for names of emotions that DejaVu cannot write; those that are installed are used, for these letters only."""


def _installed(families: Sequence[str]) -> list[str]:
    known = {font.name for font in font_manager.fontManager.ttflist}
    return [family for family in families if family in known]


FONTS = ["DejaVu Sans", *_installed(CJK_FONTS)]
"""DejaVu comes with matplotlib: the same on every machine. It lacks Hangul and Chinese characters."""

STYLE: dict[Any, Any] = {
    "font.family": FONTS,
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
            fig = draw(*args, **kwargs)
        for axis in (axis for ax in fig.axes for axis in (ax.xaxis, ax.yaxis)):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(_ShortTicks())
        return fig

    return wrapped


class _ShortTicks(ScalarFormatter):
    """Numbers of an axis as ``short`` writes them, without the zero before the decimal point."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = super().__call__(x, pos)
        return "0" if abs(x) < 1e-12 else re.sub(r"^([-−]?)0\.", r"\1.", text)


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
        handles: Entries of the legend, which is in one line where the page is wide enough for it.
        h_pad: Room above and below each plot, in inches.
        legend: More options of the legend.
    """
    columns = _legend_columns(width_mm, handles, legend)
    more_lines = math.ceil(len(handles) / columns) - 1 if handles else 0
    note_lines = textwrap.wrap(note, letters_in(width_mm, MIN_FONT))
    note_strip = 1.5 + NOTE_LINE_MM * len(note_lines) if note else 0.0
    legend_strip = 7.0 + LEGEND_LINE_MM * more_lines if handles else 0.0
    height_mm += LEGEND_LINE_MM * more_lines + NOTE_LINE_MM * max(len(note_lines) - 1, 0)
    strips = (note_strip + legend_strip) / height_mm
    layout = ConstrainedLayoutEngine(rect=(0, strips, 1, 1 - strips), w_pad=0.04, h_pad=h_pad, wspace=0.04, hspace=0.04)
    fig = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout=layout)
    FigureCanvasAgg(fig)
    if note:
        text = "\n".join(note_lines)
        fig.text(1 - 1.2 / width_mm, 1 / height_mm, text, ha="right", va="bottom", color=GREY, fontsize=MIN_FONT)
    if handles:
        fig.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, note_strip / height_mm),
            ncols=columns,
            borderpad=0.2,
            **legend,
        ).set_in_layout(False)
    return fig


def _legend_columns(width_mm: float, handles: Sequence[Artist], options: dict[str, Any]) -> int:
    """Most entries that a line of the legend has room for."""
    columns = max(len(handles), 1)
    while columns > 1:
        trial = Figure(figsize=(width_mm / 25.4, 1))
        canvas = FigureCanvasAgg(trial)
        box = trial.legend(handles=handles, loc="lower center", ncols=columns, borderpad=0.2, **options)
        # some letters are wider at another resolution
        if box.get_window_extent(canvas.get_renderer()).width <= 0.96 * trial.bbox.width:
            break
        fewer = math.ceil(len(handles) / (math.ceil(len(handles) / columns) + 1))
        columns = min(fewer, columns - 1)
    return columns


def emotion_handles(emotions: tuple[str, ...], labels: Sequence[str] | None = None) -> list[Line2D]:
    """Legend entries of the emotions."""
    return [_handle(look, label) for look, label in zip(looks_of(emotions), labels or emotions, strict=True)]


def _handle(look: Look, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=look.marker,
        markersize=5,
        markerfacecolor=look.color,
        markeredgecolor=INK,
        markeredgewidth=0.4,
        label=label,
    )


def point_style(n: int) -> dict:
    """Size and opacity of ``n`` points; they are an image even in a PDF, since thousands of them would open slowly."""
    size, alpha = (12, 0.7) if n < 1000 else (4, 0.4) if n < 8000 else (1.5, 0.3)
    return dict(s=size, alpha=alpha, linewidths=0, rasterized=True)


def is_narrow(width_mm: float) -> bool:
    """Whether a figure is so narrow that its panels stand one below the other."""
    return width_mm < (COLUMN_MM + PAGE_MM) / 2


def letters_in(width_mm: float, font_size: float = 8) -> int:
    """Letters of DejaVu Sans that a line of that width holds, on average; ``font_size`` in pt."""
    return int(width_mm / 25.4 * 72 / (0.6 * font_size))


def wrapped_title(first: str, title: str, width_mm: float = COLUMN_MM) -> str:
    """Title of a figure: its subject, then the row's title, in as many lines as they need."""
    lines = [line for text in (first, title) for line in textwrap.wrap(text, letters_in(width_mm) - 4)]
    return "\n".join(lines)


def letter_panels(axes: Iterable[Axes], pad: float = 6, first: int = 0) -> None:
    """Letters a, b, c … in bold, left of each panel's title, which has to stand already.

    Args:
        axes: Panels in their order.
        pad: Of the titles, in pt.
        first: Place of the first letter in the alphabet, from 0.
    """
    for letter, ax in zip(string.ascii_lowercase[first:], axes, strict=False):
        above = pad + 9.6 * ax.get_title(loc="left").count("\n")
        ax.annotate(
            letter,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-3, above),
            textcoords="offset points",
            ha="right",
            va="baseline",
            fontsize=9,
            fontweight="bold",
        )


def counted(emotions: Sequence[str], counts: np.ndarray) -> list[str]:
    """``happy (1,234)`` of each emotion."""
    return [f"{emotion} ({n:,})" for emotion, n in zip(emotions, counts, strict=True)]
