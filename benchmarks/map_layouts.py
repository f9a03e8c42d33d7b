"""Which layout the map of the vectors should have: how far each keeps neighbours and the emotions' arrangement, and how still it stands.

Of each fold of a row: Mantel's rho on the map against rho among the vectors, over seeds and after noise that is 1e-6 of the
vectors' spread; and how far the picture itself moves (Procrustes disparity, 0: the same picture, 1: another).

    python benchmarks/map_layouts.py --grid=runs/demo --row=tensor_mixer_peakl

Layouts: ``pca``, the first two principal components; ``umap``, one layout of UMAP from a start of principal components;
``umap, medoid``, of nine seeds the one nearest to all; ``ratings``, the plane of the vectors that predicts the raters'
valence and arousal best (ridge regression, each fold of segments by a model of the others): it is told the answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import fire
import numpy as np
from scipy.spatial import procrustes
from sklearn.linear_model import RidgeCV
from sklearn.manifold import trustworthiness
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits
from tqdm import tqdm

sys.path[0] = str(Path(__file__).parents[1])  # in place of this folder, whose coverage.py would hide the package

from erc.evaluation import mantel
from erc.report import choose_row, load, vectors
from erc.report.projection import N_LAYOUTS, medoid, principal_components, umap_layout

SEEDS = [0, 100, 200, 300, 400]
"""First seeds of the layouts that are compared."""

NOISE = 1e-6

Draw = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(vectors, valence and arousal, seed) -> map."""

LAYOUTS: dict[str, Draw] = {
    "pca": lambda embedding, va, seed: principal_components(embedding)[0],
    "umap": lambda embedding, va, seed: umap_layout(embedding, seed),
    "umap, medoid": lambda embedding, va, seed: medoid(
        [umap_layout(embedding, seed + step) for step in range(N_LAYOUTS)]
    ),
    "ratings": lambda embedding, va, seed: cross_val_predict(RidgeCV(np.logspace(-3, 3, 7)), embedding, va, cv=5),
}


def measure(grid: str, row: str | None = None) -> str:
    """A Markdown table: one line a layout and fold.

    Args:
        grid: Folder of a grid, or of a run.
        row: Row of the grid; ``tensor_mixer_peakl`` where not given.
    """
    header = ["layout", "fold", "segments", "ρ among the vectors", "ρ on the map, over seeds", "ρ after noise"]
    header += ["picture moved by seeds", "by noise", "trustworthiness", "seconds"]
    lines = [header, ["---"] * len(header)]
    runs = choose_row(load(grid), row).first_seed()
    with threadpool_limits(1):
        for fold, run in tqdm(runs.items(), unit="fold"):
            va, embedding, hard = vectors(run)
            space = mantel(va, embedding, hard).rho
            shaken = embedding + NOISE * embedding.std() * np.random.default_rng(0).standard_normal(embedding.shape)
            for name, draw in LAYOUTS.items():
                began = time.perf_counter()
                first = draw(embedding, va, SEEDS[0])
                seconds = time.perf_counter() - began
                others = [draw(embedding, va, seed) for seed in SEEDS[1:]] if "umap" in name else [first]
                after = draw(shaken, va, SEEDS[0])
                rho = [mantel(va, one, hard).rho for one in [first, *others]]
                lines.append(
                    [
                        name,
                        str(fold),
                        str(len(va)),
                        f"{space:.2f}",
                        f"{min(rho):.2f} to {max(rho):.2f}",
                        f"{mantel(va, after, hard).rho:.2f}",
                        f"{max(procrustes(first, one)[2] for one in others):.4f}",
                        f"{procrustes(first, after)[2]:.4f}",
                        f"{trustworthiness(embedding, first, n_neighbors=15):.3f}",
                        f"{seconds:.2f}",
                    ]
                )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    fire.Fire(measure)
