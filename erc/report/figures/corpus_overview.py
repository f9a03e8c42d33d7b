"""Figure "corpus": votes, agreement, durations, folds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from erc.labels import NO_LABEL, LabelSpace, has_votes
from erc.report.figures.matrix import label_columns
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import (
    BLACK,
    CORPUS_TITLES,
    FILL,
    GREY,
    INK,
    MIN_FONT,
    PAGE_MM,
    PAPER,
    SMALLEST_FONT,
    WHITE,
    is_narrow,
    letter_panels,
    looks_of,
    new_figure,
    short_names,
    styled,
)
from erc.report.rendering import number_text

LETTERS_IN_LINE = 45
"""Of all names of emotions below the bars; with more, the names are short."""

N_TENTHS = 10
"""Steps of the agreement of raters whose number differs."""

FOLD_PAD = 13
"""Room between the bars of the folds and their title, for the names of the corpora; pt."""

LABELLED = 0.08
"""Share from which a part of a bar has its emotion's name in it."""

HATCHES = (None, "////", "....", "xxxx", "----")
"""Of the corpora, in the order of their names."""


@styled
def draw_corpus(
    table: pd.DataFrame,
    label_space: LabelSpace,
    cut_seconds: float | None = None,
    note: str = "",
    width_mm: float = PAGE_MM,
) -> Figure:
    """Votes, agreement, durations and folds of the corpora.

    Args:
        table: One row for each segment: corpus, fold, votes (list of K counts, zeros where nobody voted), hard_label,
            is_tied, seconds.
        label_space: Of the corpora.
        cut_seconds: Length of the model's input, in seconds; None where nothing is cut.
        note: Grey remark at the bottom.
        width_mm: In print; in a narrow figure the plots stand one below the other.

    Returns:
        138 mm high; 206 mm where it is narrow.
    """
    emotions = label_space.emotions
    faces = dict(zip(emotions, (look.color for look in looks_of(emotions)), strict=True)) | {"tied": PAPER}
    if (table["hard_label"] == NO_LABEL).any():
        faces["no votes"] = GREY
    handles = [Patch(facecolor=color, edgecolor=INK, linewidth=0.5, label=name) for name, color in faces.items()]
    narrow = is_narrow(width_mm)
    fig = new_figure(width_mm, 206 if narrow else 138, note, handles)
    panels = (fig.subplots(4, 1) if narrow else fig.subplots(2, 2)).ravel()
    ax_votes, ax_agreement, ax_seconds, ax_folds = panels
    parts = {name: part for name, part in table.groupby("corpus", sort=True)}
    hatches = dict(zip(parts, itertools.cycle(HATCHES), strict=False))
    _vote_bars(ax_votes, parts, hatches, emotions)
    _agreement_bars(ax_agreement, parts, hatches, label_space)
    _durations(ax_seconds, parts, hatches, cut_seconds)
    names = [*short_names(emotions), "tied", "none"]
    _fold_bars(ax_folds, parts, dict(zip(names, faces.values(), strict=False)), len(emotions))
    for ax in (ax_votes, ax_agreement, ax_seconds):
        ax.yaxis.set_major_locator(MaxNLocator(5))
    for ax in (ax_votes, ax_agreement, ax_seconds, ax_folds):
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    letter_panels(panels[:3])
    letter_panels([ax_folds], pad=FOLD_PAD, first=3)
    return fig


def _sides(parts: dict[str, pd.DataFrame], hatches: dict) -> Iterator[tuple[np.ndarray, float, dict]]:
    """Of each corpus: votes (N, K) of the segments that anybody voted on, place beside the tick, and style of its bars."""
    width = 0.8 / len(parts)
    for number, (name, part) in enumerate(parts.items()):
        votes = np.stack(part["votes"].to_numpy())
        shift = (number - (len(parts) - 1) / 2) * width
        style = dict(width=width * 0.94, edgecolor=INK, linewidth=0.5, hatch=hatches[name])
        yield votes[has_votes(votes)], shift, style


def _corpus_handles(hatches: dict) -> list[Patch]:
    return [
        Patch(
            facecolor=PAPER if hatch else FILL,
            edgecolor=INK,
            linewidth=0.5,
            hatch=hatch,
            label=CORPUS_TITLES.get(name, name),
        )
        for name, hatch in hatches.items()
    ]


def _vote_bars(ax: Axes, parts: dict[str, pd.DataFrame], hatches: dict, emotions: tuple[str, ...]) -> None:
    places, colors = np.arange(len(emotions)), [look.color for look in looks_of(emotions)]
    for votes, shift, style in _sides(parts, hatches):
        if len(votes):
            ax.bar(places + shift, votes.sum(axis=0) / votes.sum(), color=colors, **style)
    ax.legend(handles=_corpus_handles(hatches), loc="upper right")
    if sum(map(len, emotions)) <= LETTERS_IN_LINE:
        ax.set_xticks(places, emotions)
    else:
        label_columns(ax, emotions)
    ax.tick_params(axis="x", length=0)
    ax.set(ylabel="share of all votes")
    ax.set_title("Votes by emotion")


def _agreement_bars(ax: Axes, parts: dict[str, pd.DataFrame], hatches: dict, label_space: LabelSpace) -> None:
    """Segments by the votes of their most frequent emotion; by its share of them where the raters' number differs."""
    n_raters, n_emotions = label_space.n_raters, label_space.n_emotions
    first, last = (1, N_TENTHS) if n_raters is None else (-(-n_raters // n_emotions), n_raters)
    for votes, shift, style in _sides(parts, hatches):
        if not len(votes):
            continue
        most = votes.max(axis=1)
        levels = most if n_raters else N_TENTHS * most // votes.sum(axis=1)
        agreeing = np.bincount(levels, minlength=last + 1)[first:] / len(votes)
        color = PAPER if style["hatch"] else FILL
        ax.bar(np.arange(first, last + 1) + shift, agreeing, color=color, **style)
    ax.legend(handles=_corpus_handles(hatches), loc="upper left")
    ax.margins(y=0.25)
    if n_raters is None:
        ax.set_xticks(range(first, last + 1), [f"{100 * level // N_TENTHS}" for level in range(first, last + 1)])
        ax.set(xlabel="votes for the most frequent emotion, percent (rounded down to tens)")
    else:
        ax.set_xticks(range(first, last + 1))
        ax.set(xlabel=f"votes for the most frequent emotion, of {number_text(n_raters)}")
    ax.set(ylabel="share of segments")
    ax.set_title("Agreement of the raters")


def _durations(ax: Axes, parts: dict[str, pd.DataFrame], hatches: dict, cut_seconds: float | None) -> None:
    longest = max(part["seconds"].max() for part in parts.values())
    edges = np.linspace(0, max(longest, cut_seconds or 0), 33)
    for name, part in parts.items():
        longer = "" if cut_seconds is None else f", {100 * (part['seconds'] > cut_seconds).mean():.1f} % longer"
        shares = np.histogram(part["seconds"], edges)[0] / len(part)
        ax.stairs(
            shares,
            edges,
            fill=hatches[name] is None,
            facecolor=FILL,
            edgecolor=FILL if hatches[name] is None else INK,
            linewidth=1,
            label=f"{CORPUS_TITLES.get(name, name)}: median {part['seconds'].median():.1f} s{longer}",
        )
    ax.set_ylim(0, ax.get_ylim()[1] / 0.65)  # room for the legend
    if cut_seconds is not None:
        ax.axvline(cut_seconds, ymax=0.66, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        ax.annotate(
            f"cut at {cut_seconds:g} s",
            (cut_seconds, 0.55),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=MIN_FONT,
        )
    ax.set(xlabel="duration of a segment, seconds", ylabel="share of segments", xlim=(0, edges[-1] * 1.12))
    ax.set_title("Durations")
    ax.legend(loc="upper right")


def _fold_bars(ax: Axes, parts: dict[str, pd.DataFrame], faces: dict[str, str], n_emotions: int) -> None:
    """Shares of the majority emotions, of ties, and of segments without votes: one bar for each fold of each corpus."""
    places, labels, middles = [], [], {}
    n_bars = sum(part["fold"].nunique() for part in parts.values())
    position = 0.0
    for name, part in parts.items():
        start = position
        for fold, members in part.groupby("fold", sort=True):
            for (below, share), (short_name, color) in zip(_stack(members, n_emotions), faces.items(), strict=False):
                ax.bar(position, share, 0.85, bottom=below, color=color, edgecolor=INK, linewidth=0.4)
                if share >= LABELLED and n_bars <= 12:
                    text: dict[str, Any] = dict(ha="center", va="center", fontsize=SMALLEST_FONT, color=_ink_on(color))
                    ax.text(position, below + share / 2, short_name, **text)
            places.append(position)
            labels.append(f"{fold}\n{len(members):,}" if n_bars <= 12 else f"{fold}")
            position += 1
        middles[name] = (start + position - 1) / 2
        position += 0.7
    every = max(1, n_bars // 24 + 1) if n_bars > 24 else 1  # labels that have room
    ax.set_xticks(places[::every], labels[::every])
    ax.tick_params(axis="x", length=0)
    counted = ", and its number of segments" if n_bars <= 12 else ""
    ax.set(ylim=(0, 1), ylabel="share of segments", xlabel=f"fold{counted}")
    for name, middle in middles.items():
        ax.text(middle, 1.015, CORPUS_TITLES.get(name, name), ha="center", va="bottom", fontsize=MIN_FONT)
    ax.set_title("Majority emotion by fold", pad=FOLD_PAD)


def _ink_on(color: str) -> str:
    """Black or white, whichever is easier to read on a colour (relative luminance of WCAG 2)."""
    if color == PAPER:
        return INK
    linear = [((part + 0.055) / 1.055) ** 2.4 if part > 0.04045 else part / 12.92 for part in to_rgb(color)]
    return BLACK if np.dot(linear, (0.2126, 0.7152, 0.0722)) > 0.179 else WHITE


def _stack(members: pd.DataFrame, n_emotions: int) -> Iterator[tuple[float, float]]:
    """Lower end and height of each part of a bar; parts as in the legend."""
    tied = members["is_tied"].astype(bool)
    voted = members["hard_label"] != NO_LABEL
    untied = np.bincount(members.loc[~tied & voted, "hard_label"], minlength=n_emotions)
    counts = [*untied, int(tied.sum()), int((~voted).sum())]
    below = 0.0
    for count in counts:
        share = count / len(members)
        yield below, share
        below += share


def finding_of(table: pd.DataFrame, emotions: tuple[str, ...]) -> str:
    """Which emotion has most votes, and how often raters agree or tie, over segments of all corpora that have votes."""
    votes = np.stack(table["votes"].to_numpy())
    votes = votes[has_votes(votes)]
    if not len(votes):
        return ""
    shares, most, total = votes.sum(axis=0) / votes.sum(), votes.max(axis=1), votes.sum(axis=1)
    text = f"{emotions[int(shares.argmax())].capitalize()} holds {100 * shares.max():.0f} % of all votes"
    if total.max() < 2:
        return f"{text}."
    tied = ((votes == most[:, None]).sum(axis=1) > 1).mean()
    return f"{text}; all raters agree on {100 * (most == total).mean():.0f} % of the segments, and {100 * tied:.0f} % are tied."


def _from_grid(grid: GridView) -> Figure:
    table, cut_seconds = grid.corpus
    return draw_corpus(table, grid.label_space, cut_seconds, grid.note, grid.width_mm)


def _finding(grid: GridView) -> str:
    table, _ = grid.corpus
    return finding_of(table, grid.label_space.emotions)


FIGURE = FigureSpec(
    name="corpus",
    alt="Four bar plots of the corpora",
    caption="The corpora: votes, agreement of the raters, durations, and emotions by fold.",
    draw=_from_grid,
    finding=_finding,
)
