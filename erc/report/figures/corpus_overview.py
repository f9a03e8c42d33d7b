"""Figure "corpus": votes, agreement, durations, folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from erc.data import NO_SPLIT, assign_folds
from erc.labels import EMOTIONS, N_EMOTIONS, N_RATERS
from erc.report.figures.spec import FigureSpec, GridView
from erc.report.figures.style import COLORS, CORPUS_TITLES, FILL, INK, MIN_FONT, PAGE_MM, new_figure, styled
from erc.report.grid_results import Run


@styled
def draw_corpus(table: pd.DataFrame, cut_seconds: float | None = 7.0, note: str = "") -> Figure:
    """Votes, agreement, durations and folds of the corpora.

    Args:
        table: One row for each segment: corpus, fold, votes (list of K counts), hard_label, is_tied, seconds.
        cut_seconds: Length of the model's input, in seconds; None where nothing is cut.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 138 mm.
    """
    handles = [Patch(facecolor=COLORS[e], edgecolor=INK, linewidth=0.5, label=e) for e in EMOTIONS]
    handles.append(Patch(facecolor="white", edgecolor=INK, linewidth=0.5, label="tied"))
    fig = new_figure(PAGE_MM, 138, note, handles)
    (ax_votes, ax_agreement), (ax_seconds, ax_folds) = fig.subplots(2, 2)
    parts = {name: part for name, part in table.groupby("corpus", sort=True)}
    hatches = dict(zip(parts, (None, "////"), strict=False))
    _corpus_bars(ax_votes, ax_agreement, parts, hatches)
    _durations(ax_seconds, parts, hatches, cut_seconds)
    _fold_bars(ax_folds, parts)
    for ax in (ax_votes, ax_agreement, ax_seconds):
        ax.yaxis.set_major_locator(MaxNLocator(5))
    for ax in (ax_votes, ax_agreement, ax_seconds, ax_folds):
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return fig


def _corpus_bars(ax_votes: Axes, ax_agreement: Axes, parts: dict[str, pd.DataFrame], hatches: dict) -> None:
    width = 0.8 / len(parts)
    for number, (name, part) in enumerate(parts.items()):
        votes = np.stack(part["votes"].to_numpy())
        shift = (number - (len(parts) - 1) / 2) * width
        style = dict(width=width * 0.94, edgecolor=INK, linewidth=0.5, hatch=hatches[name])
        shares = votes.sum(axis=0) / votes.sum()
        ax_votes.bar(np.arange(N_EMOTIONS) + shift, shares, color=[COLORS[emotion] for emotion in EMOTIONS], **style)
        agreeing = np.bincount(votes.max(axis=1), minlength=N_RATERS + 1)[2:] / len(part)
        color = "white" if hatches[name] else FILL
        ax_agreement.bar(np.arange(2, N_RATERS + 1) + shift, agreeing, color=color, **style)
    handles = [
        Patch(
            facecolor="white" if hatch else FILL,
            edgecolor=INK,
            linewidth=0.5,
            hatch=hatch,
            label=CORPUS_TITLES.get(name, name),
        )
        for name, hatch in hatches.items()
    ]
    ax_votes.legend(handles=handles, loc="upper right")
    ax_agreement.legend(handles=handles, loc="upper left")
    ax_agreement.margins(y=0.25)
    ax_votes.set_xticks(range(N_EMOTIONS), EMOTIONS)
    ax_votes.tick_params(axis="x", length=0)
    ax_votes.set(ylabel="share of all votes")
    ax_votes.set_title("Votes by emotion")
    ax_agreement.set_xticks(range(2, N_RATERS + 1))
    ax_agreement.set(xlabel="votes for the most frequent emotion, of ten", ylabel="share of segments")
    ax_agreement.set_title("Agreement of the raters")


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
    ax.set_ylim(0, ax.get_ylim()[1] / 0.75)  # room for the legend
    if cut_seconds is not None:
        ax.axvline(cut_seconds, ymax=0.76, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        ax.annotate(
            f"cut at {cut_seconds:g} s",
            (cut_seconds, 0.6),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=MIN_FONT,
        )
    ax.set(xlabel="duration of a segment, seconds", ylabel="share of segments", xlim=(0, edges[-1] * 1.12))
    ax.set_title("Durations")
    ax.legend(loc="upper right")


def _fold_bars(ax: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Shares of the majority emotions and of ties: one bar for each fold of each corpus."""
    places, labels, middles = [], [], {}
    position = 0.0
    for name, part in parts.items():
        start = position
        for fold, members in part.groupby("fold", sort=True):
            untied = members.loc[~members["is_tied"].astype(bool), "hard_label"]
            counts = [*np.bincount(untied, minlength=N_EMOTIONS), len(members) - len(untied)]
            below = 0.0
            for count, color in zip(counts, [*(COLORS[emotion] for emotion in EMOTIONS), "white"], strict=True):
                share = count / len(members)
                ax.bar(position, share, 0.85, bottom=below, color=color, edgecolor=INK, linewidth=0.4)
                below += share
            places.append(position)
            labels.append(f"{fold}\n{len(members):,}")
            position += 1
        middles[name] = (start + position - 1) / 2
        position += 0.7
    ax.set_xticks(places, labels)
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(0, 1), ylabel="share of segments", xlabel="fold, and its number of segments")
    for name, middle in middles.items():
        ax.text(middle, 1.015, CORPUS_TITLES.get(name, name), ha="center", va="bottom", fontsize=MIN_FONT)
    ax.set_title("Majority emotion by fold", pad=13)


def corpus_table(run: Run) -> tuple[pd.DataFrame, float | None]:
    """Segments of a run's data set without its split, for ``draw_corpus``; and where the run's inputs end, in seconds.

    Raises:
        FileNotFoundError: The configuration or the corpora are not there.
    """
    from erc.data import SAMPLE_RATE

    ds = run.dataset(validation_fold=NO_SPLIT, on_bad_segment="skip", protocol="paper").ds
    names = ["corpus", "session", "speaker", "segment_id", "votes", "hard_label", "is_tied", "n_samples"]
    table = ds.select_columns(names).to_pandas()
    table["fold"] = assign_folds(table)
    table["seconds"] = table["n_samples"] / SAMPLE_RATE
    config = yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8"))
    max_samples = config["dataloader"]["collate"]["max_samples"]
    return table, None if max_samples is None else max_samples / SAMPLE_RATE


def _from_grid(grid: GridView) -> Figure:
    return draw_corpus(*corpus_table(next(iter(grid.runs.values()))), grid.note)


FIGURE = FigureSpec(
    name="corpus",
    alt="Four bar plots of the corpora",
    caption="The corpora: votes, agreement of the raters, durations, and emotions by fold.",
    draw=_from_grid,
)
