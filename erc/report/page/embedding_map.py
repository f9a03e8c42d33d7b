"""The page's embedding map: predictions and projected vectors of one row, packed for the browser."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from erc.data import CORPORA
from erc.evaluation import Columns
from erc.labels import NO_LABEL, LabelSpace
from erc.report.figures.style import Marker, looks_of, scale_ticks
from erc.report.grid_results import Row
from erc.report.projection import MIN_MAPPED, NotDrawn, align_map, project

SHAPES: dict[Marker, str] = {
    **{"^": "up", "v": "down", "s": "square", "o": "circle", "D": "diamond", "P": "plus", "X": "cross"},
    **{"*": "star", "<": "left", ">": "right", "p": "pentagon", "h": "hexagon", "d": "lozenge", (4, 1, 0): "spark"},
}
"""Names of matplotlib's markers in ``script/glyphs.js``."""


@dataclass
class EmbeddingMap:
    """Segments of one row of the table, fold after fold.

    Args:
        title: The row, for people.
        label_space: Of the corpora.
        table: (N rows) the columns of ``predictions.csv``, and ``fold``, ``seed``.
        xy: (N, 2) place in the fold's own two-dimensional projection.
        methods: By fold, how it was projected.
        transcripts: (N,) or None for a page without.
        audio: (N,) mu-law bytes at ``sample_rate``, empty where left out; or None for a page without.
        sample_rate: Hz.
    """

    title: str
    label_space: LabelSpace
    table: pd.DataFrame
    xy: np.ndarray
    methods: dict[int, str]
    transcripts: list[str] | None = None
    audio: list[bytes] | None = None
    sample_rate: int = 16_000


def map_of(row: Row, seed: int = 42, on_fold: Callable[[int], None] = lambda fold: None) -> EmbeddingMap:
    """Predictions and projected embeddings of a row: the lowest seed of each finished fold, each in its own space.

    Raises:
        FileNotFoundError: A run has no ``embeddings.npz``.
        ValueError: It holds other segments than ``predictions.csv``, or values that are not finite.
    """
    parts, places, methods = [], [], {}
    for fold, run in row.first_seed().items():
        table = run.predictions
        embedding = run.embeddings
        has_plane = run.label_space.has_plane
        va = table[["valence", "arousal"]].to_numpy() if has_plane else np.full((len(table), 2), np.nan)
        hard_label = table["hard_label"].to_numpy()
        xy, methods[fold] = place_segments(embedding, va, hard_label, seed)
        parts.append(table.assign(fold=fold, seed=run.result["seed"]))
        places.append(xy)
        on_fold(fold)
    table = pd.concat(parts, ignore_index=True)
    return EmbeddingMap(row.title, row.label_space, table, np.concatenate(places), methods)


def place_segments(
    embedding: np.ndarray, va: np.ndarray, hard_label: np.ndarray, seed: int = 42
) -> tuple[np.ndarray, str]:
    """Vectors in front of the heads in two dimensions, turned as a whole to fit the raters' plane.

    Where the segments are too few for UMAP, the two dimensions are the first two principal components.

    Args:
        embedding: (N, D).
        va: (N, 2) valence and arousal; NaN where not rated.
        hard_label: (N,) emotion index; ``NO_LABEL`` where nobody voted. The fit is by segments with both labels.
        seed: Of UMAP; the same seed gives the same map.

    Returns:
        (N, 2) float32 without unit, and what was done.
    """
    if len(embedding) < MIN_MAPPED:
        left, size, _ = np.linalg.svd(embedding - embedding.mean(axis=0), full_matrices=False)
        xy, method = np.zeros((len(embedding), 2)), "principal components (too few segments for UMAP)"
        xy[:, : len(size)] = (left * size)[:, :2]
    else:
        xy, method = project(embedding, seed), "UMAP"
    with contextlib.suppress(NotDrawn), np.errstate(invalid="ignore", divide="ignore"):
        placed = np.where(np.isfinite(va).all(axis=1), hard_label, NO_LABEL)
        turned, _ = align_map(xy, va, placed)
        turned = (turned - turned.mean(axis=0)) / turned.std()
        if np.isfinite(turned).all():
            return turned.astype(np.float32), f"{method}, turned to fit the plane, no unit"
    return xy.astype(np.float32), method


def pack(embedding_map: EmbeddingMap) -> dict:
    """Content of the page's ``#data``: names, folds, and one flat little-endian array for each quantity, as base64.

    Folds become indices into ``folds``, corpora into ``corpora``; votes are counts. ``va`` holds the dimensions, then the
    predicted ones; NaN where a segment was not rated. ``truth`` is the number of emotions where nobody voted.
    """
    table, space = embedding_map.table, embedding_map.label_space
    columns = Columns(space)
    if not np.isfinite(table[[*columns.votes, *columns.prob, *columns.predicted]]).all(axis=None):
        raise ValueError("Predictions must be finite: predictions.csv holds NaN or infinite values.")
    truth = table["hard_label"].where(table["hard_label"] != NO_LABEL, space.n_emotions)
    looks, ticks = looks_of(space.emotions), [] if space.scale is None else scale_ticks(space.scale)
    folds = sorted(table["fold"].unique())
    corpora = sorted(table["corpus"].unique())
    first = table.groupby("fold")["seed"].first()
    arrays = {
        "xy": (embedding_map.xy, "<f4"),
        "va": (table[[*columns.dimensions, *columns.predicted]], "<f4"),
        "probs": (table[columns.prob], "<f4"),
        "votes": (table[columns.votes], "u1" if table[columns.votes].to_numpy().max() < 256 else "<u2"),
        "truth": (truth, "u1"),
        "predicted": (table[columns.prob].to_numpy().argmax(axis=1), "u1"),
        "tied": (table["is_tied"], "u1"),
        "corpus": (table["corpus"].map(corpora.index), "u1"),
        "fold": (table["fold"].map(folds.index), "u1" if len(folds) <= 256 else "<u2"),
    }
    names = {"<f4": "float32", "u1": "uint8", "<u2": "uint16"}
    return {
        "emotions": space.emotions,
        "colours": [look.color for look in looks],
        "shapes": [SHAPES[look.marker] for look in looks],
        "dimensions": space.dimensions,
        "hasPlane": space.has_plane,
        "vaMin": ticks[0] if ticks else None,
        "vaMax": ticks[-1] if ticks else None,
        "vaTicks": ticks,
        "language": "ko" if set(corpora) <= CORPORA.keys() else None,
        "corpora": corpora,
        "folds": [
            {
                "fold": int(fold),
                "seed": int(first[fold]),
                "n": int((table["fold"] == fold).sum()),
                "method": embedding_map.methods[fold],
            }
            for fold in folds
        ],
        "ids": "\n".join(table["segment_id"]),
        "arrays": {
            name: {
                "type": names[kind],
                "data": base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode(),
            }
            for name, (values, kind) in arrays.items()
        },
        "transcripts": embedding_map.transcripts,
        "hasAudio": embedding_map.audio is not None,
        "sampleRate": embedding_map.sample_rate,
    }
