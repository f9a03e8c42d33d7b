"""What stands in for training in tests of grids and run folders."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kemd_columns import PROB, SOFT, VOTES

from erc.data import KEMD
from erc.evaluation import make_result, write_fold
from erc.labels import soft_label
from erc.training import Identity

ROOT = Path(__file__).resolve().parents[1]


def result_of(run_dir: str | Path = "fold0-seed42", fingerprint: str = "0" * 16, **changes: Any) -> dict[str, Any]:
    """Content of a ``result.json`` that is valid, with invented figures; fold and seed are those of the folder's name."""
    cell = re.fullmatch(r"fold(\d+)-seed(\d+)", Path(run_dir).name)
    fold, seed = (int(cell[1]), int(cell[2])) if cell else (0, 42)
    return {
        "schema": 2, "experiment": "paper", "fusion": "concat", "target": "hard", "fold": fold, "protocol": "paper",
        "seed": seed, "corpora": ["kemdy19"], "is_synthetic": True, "n_train": 4, "n_chosen_on": 1, "n_reported_on": 1,
        "selected": {"epoch": 0, "metrics": {"weighted_f1": 0.5}, "metrics_by_corpus": {"kemdy19": {"weighted_f1": 0.5}}},
        "best_epoch_per_metric": {}, "history": [{"epoch": 0, "valid/weighted_f1": None}], "majority": {},
        "majority_by_corpus": {}, "human": {}, "fingerprint": fingerprint, "code": {},
    } | changes  # fmt: skip


def result_text(run_dir: str | Path = "fold0-seed42", fingerprint: str = "0" * 16, **changes: Any) -> str:
    """``result_of`` as JSON."""
    return json.dumps(result_of(run_dir, fingerprint, **changes))


def write_finished_cell(
    grid: Path, row: str, fold: int, seed: int = 42, options: dict[str, Any] | None = None, data: str = "data"
) -> Path:
    """A finished cell of 40 invented segments in five dialogues, with every file that training leaves; returns its folder.

    Args:
        grid: The grid's folder.
        row: ``<fusion>_<target>``.
        fold: Held-out fold.
        seed: Of the run.
        options: Options of its identity that differ from those of the other cells.
        data: Fingerprint of its corpora.
    """
    rng = np.random.default_rng([fold, seed, len(row)])
    labels = np.random.default_rng(fold)
    n = 40
    votes = np.stack([labels.multinomial(10, labels.dirichlet(np.full(7, 0.3))) for _ in range(n)])
    most = votes == votes.max(axis=1, keepdims=True)
    va = labels.integers(10, 51, size=(n, 2)) / 10
    place = [f"Sess{fold + 1:02d}_script{k % 5 + 1:02d}" for k in range(n)]
    table = pd.DataFrame(
        {
            "segment_id": [f"{name}_F{k:03d}" for k, name in enumerate(place)],
            "corpus": "kemdy19",
            "session": fold + 1,
            "dialogue": place,
            "speaker": f"Sess{fold + 1:02d}F",
            **dict(zip(VOTES, votes.T, strict=True)),
            **dict(zip(SOFT, soft_label(votes).T, strict=True)),
            "hard_label": votes.argmax(axis=1),
            "is_tied": most.sum(axis=1) > 1,
            "valence": va[:, 0],
            "arousal": va[:, 1],
            **dict(zip(PROB, (0.5 * votes / 10 + 0.5 * rng.dirichlet(np.ones(7), n)).T, strict=True)),
            "pred_valence": va[:, 0] + rng.normal(0, 0.3, n),
            "pred_arousal": va[:, 1] + rng.normal(0, 0.3, n),
        }
    ).sort_values("segment_id", ignore_index=True)
    run_dir = grid / row / f"fold{fold}-seed{seed}"
    run_dir.mkdir(parents=True)
    fusion, target = row.rsplit("_", 1)
    of_cell = {"seed": seed, "dataset.validation_fold": fold, "fusion.depth": len(fusion), "target.kind": target}
    identity = Identity({"trainer.max_epochs": 2} | of_cell | (options or {}), data, {"model/heads.py": "0" * 12})
    facts = {"experiment": "demo", "fusion": fusion, "target": target, "fold": fold, "protocol": "paper", "seed": seed}
    facts |= {"corpora": ["kemdy19"], "is_synthetic": True, "n_chosen_on": n, "human": {}, "code": identity.code}
    facts |= {"label_space": KEMD, "n_folds": 5}
    facts |= {"fingerprint": identity.fingerprint, "versions": {}, "seconds": 1.0, "peak_memory_mb": 1.0}
    history = [{"epoch": 0, "step": 4, "seconds": 1.0, "train/loss": 1.5, "valid/weighted_f1": 0.5}]
    gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": rng.normal(size=(n, 4))}
    (run_dir / "identity.json").write_text(identity.to_json(), encoding="utf-8")
    (run_dir / "metrics.csv").write_text("epoch,step\n0,4\n", encoding="utf-8")
    (run_dir / "config.yaml").write_text("dataset:\n  root: data\nprotocol: paper\n", encoding="utf-8")
    write_fold(run_dir, table, make_result(table, table, history, 0, facts), gathered)
    return run_dir


@contextmanager
def holder(run_dir: Path):
    """Another process that holds the claim on a folder until it dies."""
    code = (
        "import sys, time\nfrom erc.training.run_folder import claimed\n"
        "with claimed(sys.argv[1]) as is_ours:\n print(is_ours, flush=True)\n time.sleep(300)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, run_dir], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "True\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
