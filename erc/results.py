"""One fold's predictions -> ``predictions.csv`` and ``result.json``; how far a grid of folds is.

Every figure of ``selected.metrics`` is computed from the very numbers that stand in ``predictions.csv``.
``python -m fire erc.results status runs/paper`` says what is finished, running, failed and missing.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from erc import runs
from erc.labels import EMOTIONS, soft_label
from erc.metrics import evaluate, majority_prediction
from erc.statistics import leave_one_rater_out

SCHEMA = 1
SOFT = [f"soft_{emotion}" for emotion in EMOTIONS]
PROB = [f"prob_{emotion}" for emotion in EMOTIONS]
COLUMNS = ["segment_id", "corpus", "speaker", *SOFT, "hard_label", "is_tied", "valence", "arousal"] + [
    *PROB,
    "pred_valence",
    "pred_arousal",
]


def truth_table(ds) -> pd.DataFrame:
    """Labels of a data set's segments.

    Args:
        ds: ``HF_KEMD(...).ds``.

    Returns:
        segment_id, corpus, speaker, soft_<emotion> (shares of raters), hard_label (index into ``EMOTIONS``), is_tied,
        valence, arousal.
    """
    names = ["segment_id", "corpus", "speaker", "votes", "hard_label", "is_tied", "valence", "arousal"]
    table = ds.select_columns(names).to_pandas()
    table[SOFT] = soft_label(np.stack(table["votes"].to_numpy()))
    return table.drop(columns="votes")


def predictions_table(ds, gathered: dict[str, np.ndarray]) -> pd.DataFrame:
    """Truth and prediction of each segment, with the columns of ``COLUMNS``, sorted by segment id.

    Args:
        ds: The segments that were predicted.
        gathered: segment_id (N,), emotion_probs (N, K), pred_va (N, 2).

    Raises:
        ValueError: A segment was not predicted, or one was that is not in ``ds``.
    """
    predicted = pd.DataFrame(gathered["emotion_probs"], columns=PROB)
    predicted[["pred_valence", "pred_arousal"]] = gathered["pred_va"]
    predicted.insert(0, "segment_id", gathered["segment_id"])
    table = truth_table(ds).merge(predicted, on="segment_id", how="outer", validate="one_to_one", indicator=True)
    if not (table["_merge"] == "both").all():
        raise ValueError(
            f"Every segment is predicted once: {int((table['_merge'] != 'both').sum())} of {len(ds)} are not "
            "(limit_test_batches must not be set)."
        )
    return table.sort_values("segment_id", ignore_index=True)[COLUMNS]


def evaluate_table(table: pd.DataFrame) -> dict[str, float]:
    """Metrics of a table with the columns of ``COLUMNS``."""
    return evaluate(
        hard_label=table["hard_label"].to_numpy(),
        is_tied=table["is_tied"].to_numpy(),
        va=table[["valence", "arousal"]].to_numpy(),
        emotion_probs=table[PROB].to_numpy(),
        pred_va=table[["pred_valence", "pred_arousal"]].to_numpy(),
    )


def evaluate_majority(table: pd.DataFrame, train: pd.DataFrame) -> dict[str, float]:
    """Metrics of always predicting the most frequent emotion and the mean valence-arousal of ``train``."""
    probs, va = majority_prediction(
        hard_label=train["hard_label"].to_numpy(),
        is_tied=train["is_tied"].to_numpy(),
        va=train[["valence", "arousal"]].to_numpy(),
        n=len(table),
    )
    guess = table.copy()
    guess[PROB], guess[["pred_valence", "pred_arousal"]] = probs, va
    return evaluate_table(guess)


def human_ceiling(ds) -> dict[str, float]:
    """How well one rater predicts the other nine, over a data set's segments: see ``statistics.leave_one_rater_out``."""
    names = ["emotion_ratings", "valence_ratings", "arousal_ratings"]
    ratings = ds.select_columns(names).to_pandas()
    return leave_one_rater_out(*(np.stack(ratings[name].to_numpy()) for name in names))


def make_result(table: pd.DataFrame, train: pd.DataFrame, history: list[dict], epoch: int, facts: dict) -> dict:
    """Content of ``result.json``.

    Args:
        table: Predictions of the reported fold at the selected checkpoint.
        train: ``truth_table`` of the training segments.
        history: ``EpochHistory.rows``.
        epoch: Epoch of the selected checkpoint, from 0.
        facts: experiment, fusion, target, fold, protocol, seed, corpora, human, fingerprint, versions,
            seconds, peak_memory_mb.

    Returns:
        The result; NaN stands as None (JSON has no NaN).
    """
    best = {}
    for name in evaluate_table(table):
        values = [
            (row[f"valid/{name}"], row["epoch"])
            for row in history
            if not math.isnan(row.get(f"valid/{name}", math.nan))
        ]
        if values and not name.startswith("n_"):
            # the first of equal epochs, as the checkpoint's rule is
            value, at = max(values, key=lambda pair: (pair[0], -pair[1]))
            best[name] = {"epoch": at, "value": value}
    result = {
        "schema": SCHEMA,
        **{key: facts[key] for key in ("experiment", "fusion", "target", "fold", "protocol", "seed", "corpora")},
        "n_train": len(train),
        "n_valid": len(table),
        "selected": {
            "epoch": epoch,
            "metrics": evaluate_table(table),
            "metrics_by_corpus": {name: evaluate_table(part) for name, part in table.groupby("corpus")},
        },
        "best_epoch_per_metric": best,
        "history": history,
        "majority": evaluate_majority(table, train),
        "majority_by_corpus": {name: evaluate_majority(part, train) for name, part in table.groupby("corpus")},
        **{key: facts[key] for key in ("human", "fingerprint", "versions", "seconds", "peak_memory_mb")},
    }
    return _without_nan(result)


def write_fold(run_dir: str | Path, table: pd.DataFrame, result: dict, gathered: dict[str, np.ndarray]) -> None:
    """Writes ``predictions.csv``, ``embeddings.npz``, then ``result.json``: where the latter is, the fold is done.

    ``embeddings.npz`` holds ``segment_id`` (N,) and ``embedding`` (N, D) float32, the vectors in front of the heads, in the
    order of ``predictions.csv``.
    """
    run_dir = Path(run_dir)
    order = np.argsort(gathered["segment_id"], kind="stable")
    stream = io.BytesIO()
    np.savez_compressed(
        stream, segment_id=gathered["segment_id"][order], embedding=gathered["embedding"][order].astype(np.float32)
    )
    runs.write_atomically(run_dir / "embeddings.npz", stream.getvalue())
    # Python's shortest form of a float reads back as the same float
    runs.write_atomically(run_dir / "predictions.csv", table.to_csv(index=False))
    runs.write_atomically(run_dir / "result.json", json.dumps(result, indent=1, allow_nan=False) + "\n")


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary_text(result: dict) -> str:
    """The fold's main figures beside the majority row, for a terminal."""
    names = ("weighted_f1", "micro_f1", "macro_f1", "uar", "ccc_valence", "ccc_arousal")
    rows = [("model", result["selected"]["metrics"]), ("majority", result["majority"])]
    lines = [" " * 10 + "".join(f"{name:>13}" for name in names)]
    for label, metrics in rows:
        values = ("    -" if metrics[name] is None else f"{round(metrics[name], 3) + 0.0:.3f}" for name in names)
        lines.append(f"{label:<10}" + "".join(f"{value:>13}" for value in values))
    return "\n".join(lines)


def status(folder: str) -> str:
    """How the cells of a grid stand, a line a row: done, running (with its epoch), failed, half-done, waiting.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.

    Raises:
        FileNotFoundError: There is no cell in it.
    """
    cells = sorted(path for path in Path(folder).glob("*/fold*-seed*") if path.is_dir())
    if not cells:
        raise FileNotFoundError(
            f"A grid's folder holds <row>/fold<k>-seed<s>/: {folder} holds none. Run sh reproduce.sh."
        )
    states = {cell: runs.status(cell) for cell in cells}
    lines, counts = [], {}
    for row in sorted({cell.parent for cell in cells}):
        parts = []
        for cell in (cell for cell in cells if cell.parent == row):
            state = states[cell]
            counts[state] = counts.get(state, 0) + 1
            detail = f" (epoch {runs.epochs_done(cell) + 1})" if state == "running" else ""
            parts.append(f"{cell.name.removeprefix('fold')}: {state}{detail}")
        lines.append(f"{row.name:<24} {'  '.join(parts)}")
    lines += [
        f"failed: {cell.parent.name}/{cell.name}: {runs.error_of(cell)}" for cell in cells if states[cell] == "failed"
    ]
    lines.append(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    return "\n".join(lines)
