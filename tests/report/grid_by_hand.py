"""Run folders written by hand, and their figures by scikit-learn and NumPy: what the tests of the tables share."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
from kemd_columns import COLUMNS, PROB, SOFT, VOTES
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

FOLDS = range(5)
NAMES = ("weighted_f1", "micro_f1", "macro_f1", "uar", "ccc_arousal", "ccc_valence")
"""Order of the table's columns: that of the published one, with macro F1 and UAR added."""
HEADER = ["", "Weighted-F1", "Micro-F1", "Macro-F1", "UAR", "CCC (arousal)", "CCC (valence)"]
SKILL = {"concat_hard": 0.1, "cross_attention_peakl": 0.3, "tensor_mixer_peakl": 0.45}
OPTIMISM = 0.03125
"""What ``best_epoch_per_metric`` is above ``selected`` in the folders written here."""
SELECTED = "Reading `selected`"
BEST = "Reading `best_epoch_per_metric`"
TITLES = [
    "Concatenation, hard (3/5 folds), seed 42",
    "Cross-attention, PeakL, seed 42",
    "Tensor Mixer Network, PeakL, seeds 7, 42 (7 in 1/5 folds)",
]


def make_truth(fold: int, n_dialogues: int = 4, corpora: tuple[str, ...] = ("kemdy19", "kemdy20")) -> pd.DataFrame:
    """Labels of a fold: dialogues of one to nine segments; the same for every row of the table."""
    rng = np.random.default_rng([7, fold])
    ids = []
    for corpus in corpora:
        for dialogue in range(1, n_dialogues + 1):
            start = f"Sess{4 * fold + 1:02d}_script{dialogue:02d}"
            person = "F" if corpus == "kemdy19" else "User001F_"
            ids += [(f"{start}_{person}{i:03d}", corpus) for i in range(1, rng.integers(2, 11))]
    table = pd.DataFrame(sorted(ids), columns=["segment_id", "corpus"])
    votes = np.stack([rng.multinomial(10, rng.dirichlet(np.full(7, 0.3))) for _ in ids])
    table = table.assign(session=4 * fold + 1, dialogue=table["segment_id"].str[:15], speaker="Sess01F")
    table[VOTES] = votes
    table[SOFT] = votes / 10
    table["hard_label"] = votes.argmax(axis=1)
    table["is_tied"] = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    table[["valence", "arousal"]] = rng.integers(10, 51, size=(len(ids), 2)) / 10
    return table


def predict(truth: pd.DataFrame, skill: float, seed: list[int]) -> pd.DataFrame:
    """Random predictions that know of the truth as much as ``skill`` (0 to 1) says."""
    rng = np.random.default_rng(seed)
    table, n = truth.copy(), len(truth)
    table[PROB] = skill * truth[SOFT].to_numpy() + (1 - skill) * rng.dirichlet(np.ones(7), size=n)
    for name in ("valence", "arousal"):
        table[f"pred_{name}"] = skill * truth[name] + (1 - skill) * rng.normal(3, 1, size=n)
    return table[COLUMNS]


@functools.cache
def score_of(row: str, fold: int, seed: int = 42, corpus: str | None = None) -> dict[str, float]:
    """``score`` of a cell that is written here, or of one corpus in it."""
    table = table_of(row, fold, seed)
    return score(table if corpus is None else table[table["corpus"] == corpus])


def quick_score(labels: np.ndarray) -> dict[str, float]:
    """``score`` from an (N, 6) array of label, guess, valence, predicted valence, arousal, predicted arousal: for bootstraps."""
    truth, guess = labels[:, 0], labels[:, 1]
    classes = sorted(set(truth) | set(guess))
    f1 = [2 * ((truth == k) & (guess == k)).sum() / ((truth == k).sum() + (guess == k).sum()) for k in classes]
    share = [(truth == k).mean() for k in classes]
    return {
        "weighted_f1": float(np.dot(f1, share)),
        "macro_f1": float(np.mean(f1)),
        "micro_f1": float((truth == guess).mean()),
        "uar": float(np.mean([(guess[truth == k] == k).mean() for k in sorted(set(truth))])),
        "ccc_valence": lin(labels[:, 2], labels[:, 3]),
        "ccc_arousal": lin(labels[:, 4], labels[:, 5]),
    }


def as_labels(table: pd.DataFrame) -> np.ndarray:
    """Untied segments as ``quick_score`` reads them."""
    table = table[~table["is_tied"]]
    guess = table[PROB].to_numpy().argmax(axis=1)
    columns = ["valence", "pred_valence", "arousal", "pred_arousal"]
    return np.column_stack([table["hard_label"], guess, table[columns]])


def lin(x: np.ndarray, y: np.ndarray) -> float:
    """Concordance (Lin 1989), moments divided by n."""
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def score(table: pd.DataFrame) -> dict[str, float]:
    """Metrics over the untied segments without a line of this repository's."""
    scored = table[~table["is_tied"]]
    truth, guess = scored["hard_label"], scored[PROB].to_numpy().argmax(axis=1)
    averages = {f"{how}_f1": f1_score(truth, guess, average=how, zero_division=0) for how in ("weighted", "macro")}
    return averages | {
        "micro_f1": accuracy_score(truth, guess),
        "uar": balanced_accuracy_score(truth, guess),
        **{
            f"ccc_{name}": lin(scored[name].to_numpy(), scored[f"pred_{name}"].to_numpy())
            for name in ("valence", "arousal")
        },
    }


def write_cell(out: Path, row: str, fold: int, table: pd.DataFrame, seed: int = 42, **changes) -> None:
    """A finished cell; ``changes`` go into its result."""
    fusion, target = row.rsplit("_", 1)
    metrics = score(table)
    result = {
        "schema": 2, "experiment": "paper", "fusion": fusion, "target": target, "fold": fold, "protocol": "paper",
        "seed": seed, "corpora": sorted(table["corpus"].unique()), "is_synthetic": False, "code": {"model/a.py": "0" * 12},
        "n_train": 400 + fold, "n_chosen_on": 3 * len(table), "n_reported_on": len(table),
        "selected": {
            "epoch": 3,
            "metrics": metrics,
            "metrics_by_corpus": {name: score(part) for name, part in table.groupby("corpus")},
        },
        "best_epoch_per_metric": {name: {"epoch": 1, "value": value + OPTIMISM} for name, value in metrics.items()},
        "history": [],
        "majority": {name: 0.1 + fold / 64 for name in NAMES},
        "majority_by_corpus": {corpus: {name: 0.3 + fold / 64 for name in NAMES} for corpus in table["corpus"].unique()},
        "human": {"weighted_f1": 0.5 + fold / 64, "ccc_valence": 0.25, "ccc_arousal": 0.375},
        "fingerprint": "0" * 16,
    } | changes  # fmt: skip
    folder = out / row / f"fold{fold}-seed{seed}"
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / "result.json").write_text(json.dumps(result, allow_nan=False), encoding="utf-8")


def table_of(row: str, fold: int, seed: int = 42, **shape) -> pd.DataFrame:
    return predict(make_truth(fold, **shape), SKILL[row], [list(SKILL).index(row), fold, seed])


def seeds_of(row: str, fold: int) -> tuple[int, ...]:
    """Seeds of a cell that ``write_paper_grid`` writes."""
    return (7, 42) if (row, fold) == ("tensor_mixer_peakl", 1) else (42,)


def values_of(row: str, metric: str) -> list[float]:
    """The metric of each fold by scikit-learn; where a fold has two seeds, their mean."""
    found = []
    for fold in FOLDS[:3] if row == "concat_hard" else FOLDS:
        found.append(float(np.mean([score_of(row, fold, seed)[metric] for seed in seeds_of(row, fold)])))
    return found


def read_markdown(text: str) -> dict[str, list[list[str]]]:
    """Cells of the tables of a text, by the heading above each; a second table under one heading as ``heading/2``."""
    found: dict[str, list[list[str]]] = {}
    heading, inside = "", False
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").split(":")[0]
        if line.startswith("|"):
            if not inside:
                key = heading if heading not in found else f"{heading}/2"
                found[key] = []
            found[key].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return {key: [cells for cells in lines if set("".join(cells)) != {"-"}] for key, lines in found.items()}


def shown(value: float) -> str:
    """A figure as the paper prints it: three decimals, no zero in front, a minus sign."""
    return ("−" if value < 0 else "") + re.sub(r"^0\.", ".", f"{abs(value):.3f}")


def shown_pair(values) -> str:
    return f"{shown(np.mean(values))} ± {shown(np.std(values, ddof=1))}"


def holm_by_hand(p_values: list[float]) -> list[float]:
    """Holm (1979): the smallest times m, the next times m - 1 ..., never below the one before, at most 1."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, running)
    return adjusted


def write_paper_grid(out: Path) -> Path:
    """Three rows: five folds of two, three folds of the first; the second fold of the last with two seeds."""
    for row in SKILL:
        for fold in FOLDS[:3] if row == "concat_hard" else FOLDS:
            write_cell(out, row, fold, table_of(row, fold))
    write_cell(out, "tensor_mixer_peakl", 1, table_of("tensor_mixer_peakl", 1, seed=7), seed=7)
    return out
