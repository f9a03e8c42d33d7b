"""Vectors in front of the heads -> a map in two dimensions, turned onto the raters' plane; how well both agree."""

from __future__ import annotations

import csv
import io
import warnings
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from tqdm import tqdm

from erc.evaluation import MIN_SEGMENTS, Mantel, as_same_length, mantel, present_emotions
from erc.files import write_atomically
from erc.labels import NO_LABEL
from erc.report.finished_run import Run
from erc.report.grid_results import Row

MIN_MAPPED = 10
"""Fewer segments make no map."""

UMAP_NEIGHBOURS = 15
"""Neighbours of each point, itself included, that UMAP keeps together: its default."""


class NotDrawn(Exception):
    """The input of a figure is not there, or too small to show anything."""


@dataclass(frozen=True)
class Alignment:
    """How well the arrangement of the vectors in front of the heads matches the raters' valence-arousal map."""

    space: Mantel
    """In the space of the vectors itself: the number that counts."""
    map: Mantel
    """In the plane that UMAP made of them."""
    trustworthiness: float
    """Of that plane, in [0, 1]: whether neighbours in the plane are neighbours among the vectors (Venna and Kaski, 2001)."""
    disparity: float
    """What does not fit, in [0, 1], after the plane is turned and scaled onto the raters' by the emotions' centroids."""
    n_segments: int


@dataclass(frozen=True)
class AlignmentRow:
    """Alignment of one fold of one row; the last four are None where no map was made of it."""

    row: str
    fold: int
    n_segments: int
    n_emotions: int
    rho: float
    """``Mantel.rho`` in the space of the vectors."""
    p: float
    map_rho: float | None = None
    """``Mantel.rho`` in the map."""
    map_p: float | None = None
    trustworthiness: float | None = None
    disparity: float | None = None


@dataclass(frozen=True)
class Alignments:
    """Alignment of a grid."""

    rows: list[AlignmentRow]
    """One for each row and fold."""
    maps: dict[int, tuple[np.ndarray, Alignment]]
    """By fold of the mapped row: its map (N, 2) of ``project``, and all its numbers."""


def project(embedding: np.ndarray, seed: int = 42) -> np.ndarray:
    """(N, D) -> (N, 2) by UMAP (McInnes, Healy and Melville, 2018), the same for the same input and seed.

    The layout starts from the principal components (from random places where the vectors are all equal). UMAP's default
    start, ``spectral``, is not repeatable: its eigenvector solver draws random vectors that ``random_state`` does not reach.
    The map depends on the processor and on the number of BLAS threads, which round the components differently.

    Raises:
        NotDrawn: Fewer than ``MIN_MAPPED`` segments.
    """
    if len(embedding) < MIN_MAPPED:
        raise NotDrawn(f"a map needs {MIN_MAPPED} untied segments or more: there are {len(embedding)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba and scikit-learn announce changes that concern umap-learn only
        from umap import UMAP

        points = np.asarray(embedding, dtype=np.float32)
        has_components = points.shape[1] > 1 and np.ptp(points, axis=0).any()
        umap = UMAP(
            n_neighbors=min(UMAP_NEIGHBOURS, len(points) - 1),
            init="pca" if has_components else "random",
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(umap.fit_transform(points), dtype=np.float64)


def align_map(map_2d: np.ndarray, va: np.ndarray, hard_label: np.ndarray) -> tuple[np.ndarray, float]:
    """Map turned, mirrored, shifted and scaled so that its emotion centroids are as near as possible to the raters'.

    The axes of a UMAP have no meaning, so no information is lost. The fit is no evidence either: some turn always fits
    best. Every emotion counts the same, however frequent. Source: Gower (1975), Psychometrika 40:33-51.

    Args:
        map_2d: (N, 2).
        va: (N, 2) valence and arousal of the same segments.
        hard_label: (N,) emotion index.

    Returns:
        (N, 2) in units of the ratings; and the disparity of ``scipy.spatial.procrustes``, the share of the centroids'
        variance that does not fit, in [0, 1].

    Raises:
        NotDrawn: Fewer than three emotions have ``MIN_SEGMENTS`` segments.
    """
    map_2d, va, hard_label = as_same_length(map_2d=map_2d, va=va, hard_label=hard_label)
    present = present_emotions(hard_label)
    if len(present) < 3:
        raise NotDrawn(
            f"three emotions with {MIN_SEGMENTS} untied segments or more are needed: there are {len(present)}"
        )
    source, target = (np.array([part[hard_label == index].mean(axis=0) for index in present]) for part in (map_2d, va))
    centred = source - source.mean(axis=0)
    rotation, strength = orthogonal_procrustes(centred, target - target.mean(axis=0))
    scale = strength / (centred**2).sum()
    aligned = (map_2d - source.mean(axis=0)) @ rotation * scale + target.mean(axis=0)
    return aligned, float(procrustes(target, source)[2])


def alignment(
    va: np.ndarray, embedding: np.ndarray, hard_label: np.ndarray, map_2d: np.ndarray | None = None
) -> Alignment:
    """All numbers on how well the vectors in front of the heads match the raters' map.

    Args:
        va: (N, 2) valence and arousal of untied segments.
        embedding: (N, D) vectors.
        hard_label: (N,) emotion index.
        map_2d: (N, 2) of ``project``; made here where not given.

    Raises:
        ValueError: Lengths differ.
        NotDrawn: Too few segments or emotions.
    """
    from sklearn.manifold import trustworthiness

    va, embedding, hard_label = as_same_length(va=va, embedding=embedding, hard_label=hard_label)
    map_2d = project(embedding) if map_2d is None else map_2d
    n_neighbours = min(UMAP_NEIGHBOURS, (len(va) - 1) // 2)  # defined below N / 2 only
    return Alignment(
        space=mantel(va, embedding, hard_label),
        map=mantel(va, map_2d, hard_label),
        trustworthiness=float(trustworthiness(embedding, map_2d, n_neighbors=n_neighbours)),
        disparity=align_map(map_2d, va, hard_label)[1],
        n_segments=len(va),
    )


def vectors(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raters' va (N, 2), vectors in front of the heads (N, D) and hard_label (N,) of a run's untied segments with all labels.

    Raises:
        NotDrawn: The corpora do not rate valence and arousal.
        FileNotFoundError: The run has no ``embeddings.npz``.
        ValueError: ``embeddings.npz`` is not of the segments of ``predictions.csv``.
    """
    if not run.label_space.has_plane:
        raise NotDrawn("the plane needs ratings of valence and arousal: the corpora have none")
    table, embedding = run.predictions, run.embeddings.astype(np.float64)
    untied = ~table["is_tied"].to_numpy(dtype=bool) & (table["hard_label"] != NO_LABEL).to_numpy()
    untied &= table[["valence", "arousal"]].notna().all(axis=1).to_numpy()
    return (
        table.loc[untied, ["valence", "arousal"]].to_numpy(),
        embedding[untied],
        table["hard_label"].to_numpy()[untied],
    )


def alignments(rows: list[Row], row: Row) -> Alignments:
    """Alignment of every row and fold, and a map of each fold of one row.

    Each fold has its own network, hence its own space of vectors and its own map. The lowest seed stands for a fold. A run
    without ``embeddings.npz`` is left out, except in ``row``.

    Args:
        rows: Finished rows.
        row: The one of them that is mapped.

    Raises:
        FileNotFoundError: A run of ``row`` has no ``embeddings.npz``.
        NotDrawn: A fold of ``row`` has too few segments or emotions.
        ValueError: The vectors of a run are not of the segments of its ``predictions.csv``.
    """
    found, maps = [], {}
    cells = [(one, fold, run) for one in rows for fold, run in one.first_seed().items()]
    for one, fold, run in tqdm(cells, desc="alignment", unit="fold", disable=None):
        try:
            va, embedding, hard = vectors(run)
        except FileNotFoundError:
            if one is row:
                raise
            continue
        space = mantel(va, embedding, hard)
        line = AlignmentRow(one.name, fold, len(va), space.n_emotions, space.rho, space.p_value)
        if one is row:
            map_2d = project(embedding)
            numbers = alignment(va, embedding, hard, map_2d)
            maps[fold] = map_2d, numbers
            line = replace(
                line,
                map_rho=numbers.map.rho,
                map_p=numbers.map.p_value,
                trustworthiness=numbers.trustworthiness,
                disparity=numbers.disparity,
            )
        found.append(line)
    return Alignments(found, maps)


def write_alignments(path: str | Path, rows: list[AlignmentRow]) -> None:
    """Writes one line for each row and fold as CSV, in full precision; what was not computed is left empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(AlignmentRow)])
    writer.writerows(["" if value is None else value for value in astuple(row)] for row in rows)
    write_atomically(Path(path), stream.getvalue())
