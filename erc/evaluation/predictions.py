"""One fold's predictions -> ``predictions.csv`` and ``result.json``.

Every figure of ``selected.metrics`` is computed from the numbers of ``predictions.csv``, and can be computed again from it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erc.evaluation.checks import Segments
from erc.evaluation.metrics import evaluate, majority_prediction
from erc.evaluation.result_schema import SCHEMA, sha256_of
from erc.files import write_atomically
from erc.labels import EMOTIONS, soft_label

VOTES = [f"votes_{emotion}" for emotion in EMOTIONS]
"""Columns of the raters' counts, whose sum is the number of raters."""

SOFT = [f"soft_{emotion}" for emotion in EMOTIONS]
"""Columns of the raters' shares."""

PROB = [f"prob_{emotion}" for emotion in EMOTIONS]
"""Columns of the predicted probabilities."""

TRUTH = ["segment_id", "corpus", "session", "dialogue", "speaker"] + [
    *VOTES,
    *SOFT,
    "hard_label",
    "is_tied",
    "valence",
    "arousal",
]
"""Columns of ``truth_table``."""

COLUMNS = [*TRUTH, *PROB, "pred_valence", "pred_arousal"]
"""Columns of ``predictions.csv``."""


def truth_table(ds: Segments) -> pd.DataFrame:
    """Labels of a data set's segments.

    Args:
        ds: ``HF_KEMD(...).ds``.

    Returns:
        ``TRUTH``: segment_id, corpus, session, dialogue (unique within its corpus), speaker, votes_<emotion> (counts),
        soft_<emotion> (shares of raters), hard_label (index into ``EMOTIONS``), is_tied, valence, arousal (1 to 5).
    """
    names = ["segment_id", "corpus", "session", "dialogue", "speaker", "votes"]
    table = ds.select_columns([*names, "hard_label", "is_tied", "valence", "arousal"]).to_pandas()
    votes = np.stack(table["votes"].to_numpy())
    counts = pd.DataFrame(votes, columns=VOTES, index=table.index)
    shares = pd.DataFrame(soft_label(votes), columns=SOFT, index=table.index)
    return pd.concat([table, counts, shares], axis=1)[TRUTH]


def predictions_table(ds: Segments, gathered: dict[str, np.ndarray]) -> pd.DataFrame:
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
            f"Every segment is predicted once: {int((table['_merge'] != 'both').sum())} of {len(ds)} are not. Do not set "
            "limit_test_batches."
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


def make_result(table: pd.DataFrame, train: pd.DataFrame, history: list[dict], epoch: int, facts: dict) -> dict:
    """Content of ``result.json``.

    Args:
        table: Predictions of the reported fold at the selected checkpoint, with the columns of ``COLUMNS``.
        train: ``truth_table`` of the training segments.
        history: ``EpochHistory.rows``.
        epoch: Epoch of the selected checkpoint, from 0.
        facts: What is known of the run:

            - experiment, fusion, target, fold, protocol, seed, corpora
            - is_synthetic: whether any corpus is a synthetic one
            - n_chosen_on: segments on which the checkpoint was chosen; under protocol=paper those that are reported
            - human: ``rater_reference`` of the reported segments
            - fingerprint: of everything that decides the result
            - code: hash of each source file that decides the result, by its path in the package
            - versions, seconds, peak_memory_mb

    Returns:
        The result; NaN stands as None, since JSON has no NaN. ``predictions_sha256`` is of the content of
        ``predictions.csv``, ``result_sha256`` of all other fields: what was damaged later is known when it is read back.
    """
    metrics = evaluate_table(table)
    result = {
        "schema": SCHEMA,
        **{key: facts[key] for key in ("experiment", "fusion", "target", "fold", "protocol", "seed", "corpora")},
        "is_synthetic": bool(facts["is_synthetic"]),
        "n_train": len(train),
        "n_chosen_on": facts["n_chosen_on"],
        "n_reported_on": len(table),
        "selected": {
            "epoch": epoch,
            "metrics": metrics,
            "metrics_by_corpus": {name: evaluate_table(part) for name, part in table.groupby("corpus")},
        },
        "best_epoch_per_metric": _best_epochs(history, metrics),
        "history": history,
        "majority": evaluate_majority(table, train),
        "majority_by_corpus": {name: evaluate_majority(part, train) for name, part in table.groupby("corpus")},
        **{key: facts[key] for key in ("human", "fingerprint", "code", "versions", "seconds", "peak_memory_mb")},
        "predictions_sha256": hashlib.sha256(_csv_of(table).encode()).hexdigest(),
    }
    result = _without_nan(result)
    return result | {"result_sha256": sha256_of(result)}


def _best_epochs(history: list[dict], metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Highest validation value of each metric, and its epoch: of equal values the first, as a checkpoint is chosen."""
    best = {}
    for name in metrics:
        values = [
            (row[f"valid/{name}"], row["epoch"])
            for row in history
            if not math.isnan(row.get(f"valid/{name}", math.nan))
        ]
        if values and not name.startswith("n_"):
            value, epoch = max(values, key=lambda pair: (pair[0], -pair[1]))
            best[name] = {"epoch": epoch, "value": value}
    return best


def write_fold(run_dir: str | Path, table: pd.DataFrame, result: dict, gathered: dict[str, np.ndarray]) -> None:
    """Writes ``embeddings.npz``, ``predictions.csv``, then ``result.json``: a fold that has a result is finished.

    ``embeddings.npz`` holds ``segment_id`` (N,) and ``embedding`` (N, D) float32, the vectors in front of the heads, in the
    order of ``predictions.csv``.

    Args:
        run_dir: The run's folder.
        table: ``predictions_table``.
        result: ``make_result``.
        gathered: segment_id (N,), embedding (N, D).
    """
    run_dir = Path(run_dir)
    order = np.argsort(gathered["segment_id"], kind="stable")
    stream = io.BytesIO()
    np.savez_compressed(
        stream, segment_id=gathered["segment_id"][order], embedding=gathered["embedding"][order].astype(np.float32)
    )
    write_atomically(run_dir / "embeddings.npz", stream.getvalue())
    write_atomically(run_dir / "predictions.csv", _csv_of(table))
    write_atomically(run_dir / "result.json", json.dumps(result, indent=1, allow_nan=False) + "\n")


def _csv_of(table: pd.DataFrame) -> str:
    """Content of ``predictions.csv``; Python's shortest form of a float reads back as the same float."""
    return table.to_csv(index=False)


def _without_nan(value: Any) -> Any:
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
