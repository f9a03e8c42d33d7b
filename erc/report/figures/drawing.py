"""Run folders -> the paper's figures: PNG (300 dpi) and PDF or SVG, 84 or 174 mm wide, no text below 6 pt.

Comes in: a grid's folder with ``predictions.csv`` and ``embeddings.npz``, and the data set that its ``config.yaml`` names.
Goes out: files, and one ``Drawn`` for each figure. ``python -m erc figures runs/paper`` writes into ``runs/paper/figures``.
Conventions:

- Each figure is a file of this folder: a function on plain arrays (``draw_...``), and a ``FigureSpec`` that feeds it.
- An emotion has one colour (after Okabe and Ito, 2008: colour-blind readers can tell them apart) and one marker, everywhere.
- The panels of a figure have letters; in a narrow figure they stand one below the other.
- Tied segments have no emotion, hence no colour: they are left out, except where votes themselves are shown.
- Figures of one row are of its lowest seed; the map is of the fold with the median weighted F1.
- A figure whose input is missing is left out, and its ``Drawn`` says why. "robustness" is of what a command of its own computes:
  where that was not done, nothing is said of it.

Shapes: N segments, K emotions, F folds, D width of the vector in front of the heads.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from erc.files import write_atomically
from erc.report.arrangement import write_alignments
from erc.report.figures import (
    calibration,
    confusion,
    corpus_overview,
    curves,
    embedding_map,
    f1,
    over_folds,
    peakl,
    robustness,
    valence_arousal,
)
from erc.report.figures.spec import FigureSpec, GridView, NotComputed
from erc.report.figures.style import STYLE, Width
from erc.report.figures.themed_svg import themed_svg
from erc.report.grid_results import choose_row, load
from erc.report.projection import Layout, NotDrawn, check_layout

FIGURES: list[FigureSpec] = [
    over_folds.FIGURE,
    confusion.FIGURE,
    f1.FIGURE,
    calibration.FIGURE,
    valence_arousal.FIGURE,
    robustness.FIGURE,
    curves.FIGURE,
    peakl.FIGURE,
    corpus_overview.FIGURE,
    embedding_map.FIGURE,
]
"""Every figure of a report, in the order of the page."""

ALIGNMENT_FILE = "alignment.csv"


@dataclass(frozen=True)
class Drawn:
    """What became of one figure."""

    name: str
    path: Path | None
    """The PNG; None where the figure is missing."""
    missing: str = ""
    """Why it is missing, in one line."""
    seconds: float = 0.0
    """Duration of drawing and writing."""
    finding: str = ""
    """What it shows in this grid; empty where the data do not support a sentence."""
    svg: str = field(default="", repr=False)
    """``themed_svg`` of it, where a page was asked for."""


def draw_figures(
    folder: str,
    out: str | None = None,
    row: str | None = None,
    fold: int | None = None,
    vector: str = "pdf",
    n_resamples: int = 2000,
    layout: Layout = "pca",
    only: str | None = None,
    width: Width = "page",
) -> str:
    """Draws every figure of a grid, and writes ``alignment.csv``, the alignment of every row and fold.

    Prints a line for each figure, and below it what the figure shows.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        out: Folder of the figures; ``<folder>/figures`` where not given.
        row: Row of the figures that show one; tensor_mixer_peakl, or else the last row, where not given.
        fold: Fold of the map; the one of median weighted F1 where not given.
        vector: ``pdf`` or ``svg``, beside the PNG.
        n_resamples: Of the bootstrap.
        layout: Of the map: ``pca``, or ``umap``, see ``projection.project``.
        only: Name of one figure, such as ``map``; all where not given.
        width: ``page`` (174 mm in print) or ``column`` (84 mm).

    Returns:
        How many figures were drawn, and where.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: An argument out of its range.
    """
    names = [spec.name for spec in FIGURES]
    if only is not None and only not in names:
        raise ValueError(f"only must be a figure, one of {', '.join(names)}: got {only!r}.")
    check_layout(layout)
    rows = load(folder)
    chosen = choose_row(rows, row)
    if fold is not None and fold not in chosen.folds:
        raise ValueError(f"fold must be a finished fold of {chosen.name}, one of {chosen.folds}: got {fold!r}.")
    out_dir = Path(folder, "figures") if out is None else Path(out)

    def tell(one: Drawn) -> None:
        what = f"left out: {one.missing}"
        if one.path is not None:
            what = f"{one.path}, .{vector}  {one.seconds:.1f} s"
        print(f"{one.name:<14} {what}", flush=True)
        if one.finding:
            print(f"{'':<14} {one.finding}", flush=True)

    view = GridView(rows, chosen, fold, n_resamples, layout, width)
    drawn = draw_all(view, out_dir, vector, on_figure=tell, only=only)
    return f"{sum(one.path is not None for one in drawn)} figures of {chosen.title} in {out_dir}"


def draw_all(
    grid: GridView,
    out_dir: Path,
    vector: str = "pdf",
    on_figure: Callable[[Drawn], None] = lambda drawn: None,
    only: str | None = None,
    for_page: bool = False,
) -> list[Drawn]:
    """Every figure of a grid as files of ``out_dir``, in the order of ``FIGURES``; and ``alignment.csv`` beside the map.

    Args:
        grid: Rows, and the one that is pictured.
        out_dir: Folder of the figures; made where it is not there.
        vector: ``pdf`` or ``svg``, beside the PNG.
        on_figure: Called after each figure.
        only: Name of one figure; all where None.
        for_page: Keeps each figure's ``svg``, too.

    Raises:
        ValueError: ``vector`` is neither, or files of a run do not belong together.
    """
    if vector not in ("pdf", "svg"):
        raise ValueError(f"vector must be pdf or svg: got {vector!r}.")
    out_dir.mkdir(parents=True, exist_ok=True)
    drawn = []
    for spec in FIGURES if only is None else [spec_of(only)]:
        started = time.monotonic()
        try:
            fig = spec.draw(grid)
            save(fig, out_dir / spec.name, vector)
            finding = spec.finding(grid)
        except (FileNotFoundError, NotDrawn) as err:
            if isinstance(err, NotComputed) and only is None:
                continue
            drawn.append(Drawn(spec.name, None, str(err).splitlines()[0]))
        else:
            path = out_dir / f"{spec.name}.png"
            svg = themed_svg(fig, spec.name, spec.alt) if for_page else ""
            drawn.append(Drawn(spec.name, path, "", time.monotonic() - started, finding, svg))
        on_figure(drawn[-1])
    if any(one.name == embedding_map.FIGURE.name and one.path for one in drawn):
        write_alignments(out_dir / ALIGNMENT_FILE, grid.alignments.rows)
    return drawn


def spec_of(name: str) -> FigureSpec:
    """The figure of that name."""
    return next(spec for spec in FIGURES if spec.name == name)


def save(fig: Figure, stem: Path, vector: str = "pdf") -> None:
    """Writes ``<stem>.png`` (300 dpi) and ``<stem>.pdf`` or ``.svg``, each whole or not at all; no date inside."""
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with matplotlib.rc_context(STYLE):
        for kind in ("png", vector):
            stream = io.BytesIO()
            fig.savefig(stream, format=kind, dpi=300, metadata=dates[kind])
            write_atomically(stem.with_name(f"{stem.name}.{kind}"), stream.getvalue())
