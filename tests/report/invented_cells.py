"""Invented inputs of figures: segments, votes, and finished cells of a grid."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from invented_world import CENTROIDS, SHARES
from kemd_columns import PROB, SOFT, VOTES

from erc.data import KEMD
from erc.evaluation import predictions
from erc.labels import hard_label, is_tied
from erc.report.figures.over_folds import FoldValues
from erc.robustness import Effect, conditions


def make_votes(rng, n):
    centre = np.eye(7)[rng.choice(7, n, p=SHARES)]
    return np.stack([rng.multinomial(10, p) for p in 0.65 * centre + 0.35 * SHARES])


def write_cell(grid, row, fold, rng, is_synthetic=True):
    """A finished cell of 60 segments, written as training writes one."""
    fusion, target = row.rsplit("_", 1)
    votes = make_votes(rng, 60)
    va = (CENTROIDS[votes.argmax(axis=1)] + rng.normal(0, 0.4, (60, 2))).clip(1, 5).round(1)
    hard = hard_label(votes, va, CENTROIDS)
    probs = 0.6 * np.eye(7)[hard] + 0.4 * rng.dirichlet(np.ones(7), 60)
    table = pd.DataFrame(
        {
            "segment_id": [f"Sess{4 * fold + 1:02d}_script{k % 6 + 1:02d}_F{k:03d}" for k in range(60)],
            "corpus": "kemdy19",
            "session": 4 * fold + 1,
            "dialogue": [f"Sess{4 * fold + 1:02d}_script{k % 6 + 1:02d}" for k in range(60)],
            "speaker": f"Sess{4 * fold + 1:02d}F",
            **dict(zip(VOTES, votes.T, strict=True)),
            **dict(zip(SOFT, (votes / 10).T, strict=True)),
            "hard_label": hard,
            "is_tied": is_tied(votes),
            "valence": va[:, 0],
            "arousal": va[:, 1],
            **dict(zip(PROB, probs.T, strict=True)),
            "pred_valence": va[:, 0] + rng.normal(0, 0.3, 60),
            "pred_arousal": va[:, 1] + rng.normal(0, 0.3, 60),
        }
    ).sort_values("segment_id", ignore_index=True)
    epochs = [
        {
            "epoch": k,
            "train/loss": 2.0 - k,
            **{f"valid/{n}": v for n, v in predictions.evaluate_table(table, KEMD).items()},
        }
        for k in range(2)
    ]
    facts = {"experiment": "demo", "fusion": fusion, "target": target, "fold": fold, "protocol": "paper", "seed": 42}
    facts |= {"corpora": ["kemdy19"], "is_synthetic": is_synthetic, "n_chosen_on": 60, "human": {}}
    facts |= {"label_space": KEMD, "n_folds": 5}
    facts |= {"fingerprint": "f", "code": {}, "versions": {}, "seconds": 1.0, "peak_memory_mb": 1.0}
    run_dir = grid / row / f"fold{fold}-seed42"
    run_dir.mkdir(parents=True)
    embedding = table[["valence", "arousal"]].to_numpy() @ rng.normal(size=(2, 8)) + rng.normal(size=(60, 8))
    gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": embedding}
    predictions.write_fold(run_dir, table, predictions.make_result(table, table, epochs, 1, facts), gathered)
    return run_dir


def corpus(rng, n=400, names=("kemdy19", "kemdy20")):
    votes = make_votes(rng, n)
    return pd.DataFrame(
        {
            "corpus": rng.choice(names, n),
            "fold": rng.integers(0, 5, n),
            "votes": votes.tolist(),
            "hard_label": votes.argmax(axis=1),
            "is_tied": is_tied(votes),
            "seconds": np.exp(rng.normal(1.2, 0.7, n)),
        }
    )


def history(rng, n_epochs):
    return [
        {
            "epoch": epoch,
            "train/loss": 2 - 0.05 * epoch,
            "valid/loss": 2 + 0.01 * (epoch - 2) ** 2,
            "valid/accuracy": rng.uniform(0.2, 0.9),
            "valid/weighted_f1": None if epoch == 0 else rng.uniform(0.2, 0.9),
            "valid/ccc_arousal": rng.uniform(-0.1, 0.9),
            "valid/ccc_valence": rng.uniform(0, 0.9),
        }
        for epoch in range(n_epochs)
    ]


def fold_values(rng, n_rows, n_folds=5):
    names = [f"Tensor Mixer Network, {k} (3/5 folds)" for k in range(n_rows)]
    return {
        metric: {
            name: FoldValues({fold: rng.uniform(0.7, 0.9) for fold in range(n_folds)}, 0.68, 0.92) for name in names
        }
        for metric in ("Weighted-F1", "CCC (arousal)", "CCC (valence)")
    }


def robustness_effects(rng):
    """Three metrics under every condition; signals are not read, and one interval is not defined."""
    found = []
    for condition in conditions(with_transcriber=True):
        for metric, value in (("macro_f1", 0.6), ("ccc_valence", 0.7), ("ccc_arousal", 0.4)):
            is_read, is_clean = condition.modality != "signals", condition.name == "clean"
            difference = -float(rng.uniform(0, 0.3)) if is_read and not is_clean else 0.0
            half = float(rng.uniform(0.01, 0.2)) if difference else 0.0
            half = math.nan if condition.name == "clipping" else half
            rate = float(rng.uniform(0, 1)) if condition.modality == "text" and not condition.removes else math.nan
            found.append(
                Effect(
                    condition.name, condition.title, condition.modality, is_read, metric, value + difference, difference,
                    difference - half, difference + half, rate,
                )
            )  # fmt: skip
    return found
