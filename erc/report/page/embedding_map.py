"""The page's embedding map: predictions and projected vectors of one row, packed for the browser."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from erc.evaluation import PROB, VOTES
from erc.labels import EMOTIONS, N_RATERS, VA_MAX, VA_MIN
from erc.report.figures.style import COLORS, MARKERS
from erc.report.grid_results import Row
from erc.report.projection import MIN_MAPPED, NotDrawn, align_map, project

SHAPES = {"^": "up", "v": "down", "s": "square", "o": "circle", "D": "diamond", "P": "plus", "X": "cross"}
"""Names of matplotlib's markers in ``script/glyphs.js``."""


@dataclass
class EmbeddingMap:
    """Segments of one row of the table, fold after fold.

    Args:
        title: The row, for people.
        table: (N rows) the columns of ``predictions.csv``, and ``fold``, ``seed``.
        xy: (N, 2) place in the fold's own two-dimensional projection.
        methods: By fold, how it was projected.
        transcripts: (N,) or None for a page without.
        audio: (N,) mu-law bytes at ``sample_rate``, empty where left out; or None for a page without.
        sample_rate: Hz.
    """

    title: str
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
        va, hard_label = table[["valence", "arousal"]].to_numpy(), table["hard_label"].to_numpy()
        xy, methods[fold] = place_segments(embedding, va, hard_label, seed)
        parts.append(table.assign(fold=fold, seed=run.result["seed"]))
        places.append(xy)
        on_fold(fold)
    return EmbeddingMap(row.title, pd.concat(parts, ignore_index=True), np.concatenate(places), methods)


def place_segments(
    embedding: np.ndarray, va: np.ndarray, hard_label: np.ndarray, seed: int = 42
) -> tuple[np.ndarray, str]:
    """Vectors in front of the heads in two dimensions, turned as a whole to fit the raters' plane.

    Where the segments are too few for UMAP, the two dimensions are the first two principal components.

    Args:
        embedding: (N, D).
        va: (N, 2) valence and arousal.
        hard_label: (N,) emotion index.
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
        turned, _ = align_map(xy, va, hard_label)
        turned = (turned - turned.mean(axis=0)) / turned.std()
        if np.isfinite(turned).all():
            return turned.astype(np.float32), f"{method}, turned to fit the plane, no unit"
    return xy.astype(np.float32), method


def pack(embedding_map: EmbeddingMap) -> dict:
    """Content of the page's ``#data``: names, folds, and one flat little-endian array for each quantity, as base64.

    Folds become indices into ``folds``, corpora into ``corpora``; votes are counts.
    """
    table = embedding_map.table
    if not np.isfinite(table[[*VOTES, *PROB, "valence", "arousal", "pred_valence", "pred_arousal"]]).all(axis=None):
        raise ValueError("Predictions must be finite: predictions.csv holds NaN or infinite values.")
    folds = sorted(table["fold"].unique())
    corpora = sorted(table["corpus"].unique())
    first = table.groupby("fold")["seed"].first()
    arrays = {
        "xy": (embedding_map.xy, "<f4"),
        "va": (table[["valence", "arousal", "pred_valence", "pred_arousal"]], "<f4"),
        "probs": (table[PROB], "<f4"),
        "votes": (table[VOTES], "u1"),
        "truth": (table["hard_label"], "u1"),
        "predicted": (table[PROB].to_numpy().argmax(axis=1), "u1"),
        "tied": (table["is_tied"], "u1"),
        "corpus": (table["corpus"].map(corpora.index), "u1"),
        "fold": (table["fold"].map(folds.index), "u1"),
    }
    names = {"<f4": "float32", "u1": "uint8"}
    return {
        "emotions": EMOTIONS,
        "colours": [COLORS[emotion] for emotion in EMOTIONS],
        "shapes": [SHAPES[MARKERS[emotion]] for emotion in EMOTIONS],
        "raters": N_RATERS,
        "vaMin": VA_MIN,
        "vaMax": VA_MAX,
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
