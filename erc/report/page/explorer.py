"""Predictions and vectors of every finished run -> what the page's explorer unpacks."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from erc.data import CORPORA
from erc.evaluation import Columns
from erc.labels import NO_LABEL, LabelSpace
from erc.report.figures.style import Marker, looks_of, scale_ticks
from erc.report.finished_run import Run
from erc.report.grid_results import Row
from erc.report.projection import MIN_MAPPED, Layout, NotDrawn, align_map, principal_components, project

SYMBOLS: dict[Marker, tuple[str, str]] = {
    "^": ("triangle-up", "▲"),
    "v": ("triangle-down", "▼"),
    "s": ("square", "■"),
    "o": ("circle", "●"),
    "D": ("diamond", "◆"),
    "P": ("cross", "✚"),
    "X": ("x", "✖"),
    "*": ("star", "★"),
    "<": ("triangle-left", "◀"),
    ">": ("triangle-right", "▶"),
    "p": ("pentagon", "⬟"),
    "h": ("hexagon", "⬢"),
    "d": ("diamond-tall", "♦"),
    (4, 1, 0): ("star-diamond", "✦"),
}
"""By matplotlib's marker: plotly's symbol, and a letter of the same shape."""

N_NEIGHBOURS = 5

TYPES = {"<f4": "float32", "u1": "uint8", "<u2": "uint16", "<u4": "uint32"}
"""Names of typed arrays in JavaScript, without "Array"."""


@dataclass
class Segments:
    """Segments of a fold, which the runs of all rows share.

    Args:
        table: (N rows) the columns of ``predictions.csv``; what a run predicts is not read.
        transcripts: (N,) or None for a page without.
        audio: (N,) an mp3 each, empty where left out; or None for a page without.
    """

    table: pd.DataFrame
    transcripts: list[str] | None = None
    audio: list[bytes] | None = None


@dataclass
class ExploredRun:
    """One finished run.

    Args:
        row: Name of its row, and its title for people.
        title: See ``row``.
        fold: 0 to F - 1.
        seed: Of the training.
        segments: Index of its segments in ``Explorer.segments``.
        table: (N rows) the columns of ``predictions.csv``.
        xy: (N, 2) place on the map of its own vectors.
        neighbours: (N, M) indices of the nearest other segments among the vectors, nearest first.
        method: How the map was made.
    """

    row: str
    title: str
    fold: int
    seed: int
    segments: int
    table: pd.DataFrame
    xy: np.ndarray
    neighbours: np.ndarray
    method: str


@dataclass
class Explorer:
    """All that can be explored.

    Args:
        label_space: Of the corpora.
        row: Name of the row that is shown first.
        segments: Of each fold.
        runs: Of every row, fold and seed that has vectors.
        left_out: Runs without vectors, in words.
    """

    label_space: LabelSpace
    row: str
    segments: list[Segments] = field(default_factory=list)
    runs: list[ExploredRun] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The row that is shown first, for people."""
        return next(run.title for run in self.runs if run.row == self.row)

    @property
    def n_segments(self) -> int:
        """Segments of all folds."""
        return sum(len(one.table) for one in self.segments)

    @property
    def has_media(self) -> bool:
        """Whether transcripts are in it."""
        return any(one.transcripts is not None for one in self.segments)


def explore(
    rows: Sequence[Row], row: Row, layout: Layout = "pca", on_run: Callable[[], None] = lambda: None
) -> Explorer:
    """Predictions, map and neighbours of every run.

    Args:
        rows: Finished rows.
        row: The one that is shown first.
        layout: Of its maps, see ``projection.project``; those of the other rows are principal components.
        on_run: Called after each run.

    Raises:
        FileNotFoundError: A run of ``row`` has no ``embeddings.npz``; runs of other rows are left out then.
        ValueError: A run's vectors are of other segments than its predictions, or not finite.
    """
    found = Explorer(row.label_space, row.name)
    places: dict[tuple[str, ...], int] = {}
    for one in rows:
        for (fold, seed), run in sorted(one.runs.items()):
            try:
                embedding = run.embeddings
            except FileNotFoundError:
                if one is row:
                    raise
                found.left_out.append(run.cell)
            else:
                key = tuple(run.predictions["segment_id"])
                if key not in places:
                    places[key] = len(found.segments)
                    found.segments.append(Segments(run.predictions))
                xy, method = place_segments(embedding, *labels_of(run), layout if one is row else "pca")
                found.runs.append(
                    ExploredRun(
                        *(one.name, one.title, fold, seed, places[key], run.predictions, xy),
                        neighbours_of(embedding),
                        method,
                    )
                )
            on_run()
    return found


def labels_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) valence and arousal, NaN where not rated; and (N,) emotion index of a run's segments."""
    table = run.predictions
    has_plane = run.label_space.has_plane
    va = table[["valence", "arousal"]].to_numpy() if has_plane else np.full((len(table), 2), np.nan)
    return va, table["hard_label"].to_numpy()


def place_segments(
    embedding: np.ndarray, va: np.ndarray, hard_label: np.ndarray, layout: Layout = "pca"
) -> tuple[np.ndarray, str]:
    """Vectors in front of the heads in two dimensions, turned as a whole to fit the raters' plane.

    Args:
        embedding: (N, D).
        va: (N, 2) valence and arousal; NaN where not rated.
        hard_label: (N,) emotion index; ``NO_LABEL`` where nobody voted. The fit is by segments with both labels.
        layout: See ``projection.project``; fewer segments than it needs are placed by their principal components.

    Returns:
        (N, 2) float32 without unit, and what was done.
    """
    if len(embedding) < MIN_MAPPED:
        xy, method = principal_components(embedding)[0], "principal components"
    else:
        projection = project(embedding, layout)
        xy, method = projection.xy, projection.method
    with contextlib.suppress(NotDrawn), np.errstate(invalid="ignore", divide="ignore"):
        placed = np.where(np.isfinite(va).all(axis=1), hard_label, NO_LABEL)
        turned, _ = align_map(xy, va, placed)
        turned = (turned - turned.mean(axis=0)) / turned.std()
        if np.isfinite(turned).all():
            return turned.astype(np.float32), f"{method}; turned to fit the plane, no unit"
    return xy.astype(np.float32), method


def neighbours_of(embedding: np.ndarray, n_neighbours: int = N_NEIGHBOURS) -> np.ndarray:
    """(N, D) -> (N, M) indices of the nearest other segments by Euclidean distance, nearest first; M may be smaller for few N."""
    n_neighbours = min(n_neighbours, len(embedding) - 1)
    if n_neighbours < 1:
        return np.zeros((len(embedding), 0), dtype=int)
    return NearestNeighbors(n_neighbors=n_neighbours).fit(embedding).kneighbors(return_distance=False)


# --- for the browser --------------------------------------------------------------------------------------------------
def pack(explorer: Explorer) -> dict[str, Any]:
    """Content of the page's ``#data``: names, and flat little-endian arrays as base64, one entry or more a segment.

    Probabilities are in units of 1 / 65535. ``truth`` is the number of emotions where nobody voted. Ratings are NaN where a
    segment was not rated.
    """
    space = explorer.label_space
    looks, ticks = looks_of(space.emotions), [] if space.scale is None else scale_ticks(space.scale)
    corpora = sorted({name for one in explorer.segments for name in one.table["corpus"]})
    return {
        "emotions": space.emotions,
        "colours": [look.color for look in looks],
        "symbols": [SYMBOLS[look.marker][0] for look in looks],
        "glyphs": [SYMBOLS[look.marker][1] for look in looks],
        "dimensions": space.dimensions,
        "hasPlane": space.has_plane,
        "ticks": ticks,
        "language": "ko" if set(corpora) <= CORPORA.keys() else None,
        "corpora": corpora,
        "row": explorer.row,
        "segments": [_pack_segments(one, space, corpora) for one in explorer.segments],
        "runs": [_pack_run(run, space) for run in explorer.runs],
    }


def _pack_segments(one: Segments, space: LabelSpace, corpora: list[str]) -> dict[str, Any]:
    table, columns = one.table, Columns(space)
    votes = table[columns.votes].to_numpy()
    return {
        "ids": "\n".join(table["segment_id"]),
        "corpus": _array(table["corpus"].map(corpora.index), "u1"),
        "truth": _array(table["hard_label"].where(table["hard_label"] != NO_LABEL, space.n_emotions), "u1"),
        "tied": _array(table["is_tied"], "u1"),
        "votes": _array(votes, "u1" if votes.max(initial=0) < 256 else "<u2"),
        "rated": _array(table[[*columns.dimensions]], "<f4"),
        "transcripts": one.transcripts,
        "hasAudio": None if one.audio is None else "".join("1" if audio else "0" for audio in one.audio),
    }


def _pack_run(run: ExploredRun, space: LabelSpace) -> dict[str, Any]:
    columns = Columns(space)
    probs = run.table[columns.prob].to_numpy()
    if not np.isfinite(run.table[[*columns.prob, *columns.predicted]]).all(axis=None):
        raise ValueError("Predictions must be finite: predictions.csv holds NaN or infinite values.")
    return {
        "row": run.row,
        "title": run.title,
        "fold": run.fold,
        "seed": run.seed,
        "segments": run.segments,
        "method": run.method,
        "xy": _array(run.xy, "<f4"),
        "probs": _array((probs * 65535).round(), "<u2"),
        "predicted": _array(probs.argmax(axis=1), "u1"),
        "guessed": _array(run.table[[*columns.predicted]], "<f4"),
        "neighbours": _array(run.neighbours, "<u2" if len(run.table) < 65536 else "<u4"),
    }


def _array(values: Any, kind: str) -> dict[str, str]:
    return {
        "type": TYPES[kind],
        "data": base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode(),
    }
