"""Vectors in front of the heads -> a map in two dimensions, turned onto the raters' plane.

The map is of the first two principal components. They are the same for the same vectors, and move little where those do. UMAP is
there on request: its layout changes with its seed, and with noise in the last digit (``benchmarks/map_layouts.py`` has
measured both), so its map is the one of several layouts that lies nearest to all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.linalg import eigh, orthogonal_procrustes
from scipy.spatial import procrustes

from erc.evaluation import MIN_SEGMENTS, as_same_length, present_emotions

Layout = Literal["pca", "umap"]

MIN_MAPPED = 10
"""Fewer segments make no map."""

UMAP_NEIGHBOURS = 15
"""Neighbours of each point, itself included, that UMAP keeps together: its default."""

N_LAYOUTS = 9
"""Layouts of UMAP, one a seed, of which the map is one."""


class NotDrawn(Exception):
    """The input of a figure is not there, or too small to show anything."""


@dataclass(frozen=True)
class Projection:
    """Vectors in two dimensions."""

    xy: np.ndarray
    """(N, 2), without unit."""
    method: str
    """How it was made, in words."""
    layouts: tuple[np.ndarray, ...]
    """Every layout that was made, each (N, 2); ``xy`` is one of them."""


def check_layout(layout: str) -> None:
    """Raises a ValueError for an unknown layout."""
    if layout not in get_args(Layout):
        raise ValueError(f"layout must be one of {', '.join(get_args(Layout))}: got {layout!r}.")


def project(embedding: np.ndarray, layout: Layout = "pca", seed: int = 42) -> Projection:
    """Vectors in two dimensions.

    Args:
        embedding: (N, D).
        layout: ``pca``: the first two principal components. ``umap`` (McInnes, Healy and Melville, 2018): of ``N_LAYOUTS``
            layouts, each with its seed, the medoid: the one with the smallest sum of Procrustes disparities to the others.
        seed: First seed of UMAP.

    Raises:
        NotDrawn: Fewer than ``MIN_MAPPED`` segments.
        ValueError: An unknown layout.
    """
    check_layout(layout)
    if len(embedding) < MIN_MAPPED:
        raise NotDrawn(f"a map needs {MIN_MAPPED} untied segments or more: there are {len(embedding)}")
    if layout == "pca":
        xy, share = principal_components(embedding)
        return Projection(xy, f"principal components, {100 * share:.0f} % of the variance", (xy,))
    layouts = tuple(umap_layout(embedding, seed + step) for step in range(N_LAYOUTS))
    return Projection(medoid(layouts), f"UMAP, the medoid of {N_LAYOUTS} layouts", layouts)


def principal_components(embedding: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components (N, 2), and their share of the variance, in [0, 1].

    Computed in the precision of the vectors. A component's sign is that which makes its largest loading positive. Vectors
    without variance lie in one point.
    """
    embedding = np.asarray(embedding)
    centred = embedding - embedding.mean(axis=0, dtype=np.float64).astype(embedding.dtype)
    scatter = centred.T @ centred
    n_axes = min(2, len(scatter))
    values, axes = eigh(scatter, subset_by_index=(len(scatter) - n_axes, len(scatter) - 1))  # rising
    axes, total = axes[:, ::-1], np.trace(scatter)
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), range(n_axes)] < 0, -1, 1)
    xy = np.zeros((len(centred), 2))
    xy[:, :n_axes] = centred @ axes
    return xy, float(values.sum() / total) if total > 0 else 1.0


def umap_layout(embedding: np.ndarray, seed: int) -> np.ndarray:
    """(N, D) -> (N, 2) by UMAP, the same for the same input and seed on the same processor.

    The layout starts from the principal components (from random places where the vectors are all equal). UMAP's default
    start, ``spectral``, is not repeatable: its eigenvector solver draws random vectors that ``random_state`` does not reach.
    """
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


def medoid(layouts: Sequence[np.ndarray]) -> np.ndarray:
    """The layout with the smallest sum of Procrustes disparities to the others; the first where they are all one point."""
    if any(not np.ptp(layout, axis=0).any() for layout in layouts):
        return layouts[0]
    far = [sum(procrustes(one, other)[2] for other in layouts) for one in layouts]
    return layouts[int(np.argmin(far))]


def align_map(map_2d: np.ndarray, va: np.ndarray, hard_label: np.ndarray) -> tuple[np.ndarray, float]:
    """Map turned, mirrored, shifted and scaled so that its emotion centroids are as near as possible to the raters'.

    The axes of such a map have no meaning, so no information is lost. The fit is no evidence either: some turn always fits
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
