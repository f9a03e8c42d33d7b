"""Invented cells of corpora that asked their raters something else than KEMD did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from erc.data import KEMD
from erc.evaluation import Columns, make_result, predictions, write_fold
from erc.labels import NO_LABEL, LabelSpace, hard_label, is_tied, soft_label

FIVE = LabelSpace(("anger", "joy", "boredom", "wonder", "sorrow"), ("valence",), (1.0, 7.0), None)
"""Five emotions, one to three raters, no arousal."""

TWELVE = LabelSpace(
    (*KEMD.emotions, "frustrated", "excited", "disappointed", "contempt", "other"),
    ("valence", "arousal", "dominance"),
    (-1.0, 1.0),
    5,
)

ONE_VOTE = LabelSpace(("negative", "positive"), (), None, 1)
"""Two emotions, one label a segment, no dimension."""


def draw_votes(rng, space: LabelSpace, n: int) -> np.ndarray:
    """(N, K) votes that mostly agree."""
    k = space.n_emotions
    n_raters = rng.integers(1, 4, n) if space.n_raters is None else np.full(n, space.n_raters)
    chances = 0.7 * np.eye(k)[rng.integers(0, k, n)] + 0.3 / k
    return np.stack([rng.multinomial(m, chance) for m, chance in zip(n_raters, chances, strict=True)])


def make_table(rng, space: LabelSpace, fold: int, n: int = 90) -> pd.DataFrame:
    """Predictions of a fold; nobody voted on the first segment, and the second has no rating."""
    columns = Columns(space)
    votes = draw_votes(rng, space, n)
    votes[0] = 0
    votes[1] = votes[1].sum() * np.eye(space.n_emotions, dtype=int)[0]  # no tie
    hard = hard_label(votes)
    low, high = space.scale or (0.0, 1.0)
    shape = (n, len(space.dimensions))
    va = (low + (high - low) * (0.1 + 0.8 * (hard[:, None] + rng.random(shape)) / (space.n_emotions + 1))).clip(
        low, high
    )
    va[1] = np.nan
    probs = 0.4 * np.eye(space.n_emotions)[hard] + 0.6 * rng.dirichlet(np.ones(space.n_emotions), n)
    places = [f"ses{fold:02d}_dialogue{k % 6}" for k in range(n)]
    table = pd.DataFrame(
        {
            "segment_id": [f"{place}_{k:03d}" for k, place in enumerate(places)],
            "corpus": "elsewhere",
            "session": fold + 1,
            "dialogue": places,
            "speaker": f"ses{fold:02d}",
        }
    )
    table[columns.votes], table[columns.soft] = votes, soft_label(votes)
    table["hard_label"], table["is_tied"] = hard, is_tied(votes)
    table[columns.dimensions] = va
    table[columns.prob] = probs
    table[columns.predicted] = np.nan_to_num(va, nan=(low + high) / 2) + rng.normal(0, 0.1, shape)
    return table[columns.all].sort_values("segment_id", ignore_index=True)


def write_cell(grid: Path, row: str, fold: int, space: LabelSpace, n_folds: int = 3) -> Path:
    """A finished cell, written as training writes one; the same segments for every row."""
    table = make_table(np.random.default_rng(fold), space, fold)
    columns, noise = Columns(space), np.random.default_rng([fold, len(row)])
    table[columns.prob] = 0.5 * table[columns.prob] + 0.5 * noise.dirichlet(np.ones(space.n_emotions), len(table))
    table[columns.predicted] += noise.normal(0, 0.1, (len(table), len(space.dimensions)))
    fusion, target = row.rsplit("_", 1)
    facts = dict(experiment="demo", fusion=fusion, target=target, fold=fold, protocol="paper", seed=42)
    facts |= dict(corpora=["elsewhere"], is_synthetic=False, n_chosen_on=len(table), human={}, fingerprint="f", code={})
    facts |= dict(versions={}, seconds=1.0, peak_memory_mb=1.0, label_space=space, n_folds=n_folds)
    metrics = {f"valid/{name}": value for name, value in predictions.evaluate_table(table, space).items()}
    history = [{"epoch": k, "train/loss": 2.0 - k, **metrics} for k in range(3)]
    result = make_result(table, table, history, 1, facts)
    embedding = np.eye(space.n_emotions)[table["hard_label"]] * 4 + noise.normal(size=(len(table), space.n_emotions))
    embedding[table["hard_label"] == NO_LABEL] = 0
    run_dir = grid / row / f"fold{fold}-seed42"
    run_dir.mkdir(parents=True)
    gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": embedding}
    write_fold(run_dir, table, result, gathered)
    return run_dir


def write_grid(grid: Path, space: LabelSpace, n_folds: int = 3) -> Path:
    """Two rows of all folds."""
    for row in ("tensor_mixer_peakl", "concat_hard"):
        for fold in range(n_folds):
            write_cell(grid, row, fold, space, n_folds)
    return grid
