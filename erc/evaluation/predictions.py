"""One fold's predictions -> ``predictions.csv`` and ``result.json``.

Every figure of ``selected.metrics`` is computed from the numbers of ``predictions.csv``, and can be computed again from it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erc.evaluation.checks import Segments
from erc.evaluation.metrics import evaluate, majority_prediction
from erc.evaluation.result_schema import SCHEMA, sha256_of
from erc.files import write_atomically
from erc.labels import DIMENSIONS, NO_LABEL, LabelSpace, soft_label

NAMES = ("segment_id", "corpus", "session", "dialogue", "speaker")
"""Columns that say which segment it is."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of ``predictions.csv`` in one label space."""

    label_space: LabelSpace

    @property
    def votes(self) -> list[str]:
        """The raters' counts, whose sum is the number of raters."""
        return [f"votes_{emotion}" for emotion in self.label_space.emotions]

    @property
    def soft(self) -> list[str]:
        """The raters' shares; empty cells where nobody voted."""
        return [f"soft_{emotion}" for emotion in self.label_space.emotions]

    @property
    def prob(self) -> list[str]:
        """The predicted probabilities."""
        return [f"prob_{emotion}" for emotion in self.label_space.emotions]

    @property
    def dimensions(self) -> list[str]:
        """The rated dimensions, on the raters' scale; empty cells where a segment was not rated."""
        return list(self.label_space.dimensions)

    @property
    def predicted(self) -> list[str]:
        """The predicted dimensions."""
        return [f"pred_{name}" for name in self.label_space.dimensions]

    @property
    def truth(self) -> list[str]:
        """Columns of ``truth_table``."""
        return [*NAMES, *self.votes, *self.soft, "hard_label", "is_tied", *self.dimensions]

    @property
    def all(self) -> list[str]:
        """Every column, in the order of the file."""
        return [*self.truth, *self.prob, *self.predicted]


def truth_table(ds: Segments, label_space: LabelSpace) -> pd.DataFrame:
    """Labels of a data set's segments.

    Args:
        ds: ``HF_KEMD(...).ds``.
        label_space: Of the data set.

    Returns:
        ``Columns.truth``: segment_id, corpus, session, dialogue (unique within its corpus), speaker, votes_<emotion> (counts),
        soft_<emotion> (shares of raters), hard_label (index of an emotion), is_tied, and the dimensions.
    """
    columns = Columns(label_space)
    table = ds.select_columns([*NAMES, "votes", "hard_label", "is_tied", *columns.dimensions]).to_pandas()
    votes = np.stack(table["votes"].to_numpy())
    counts = pd.DataFrame(votes, columns=columns.votes, index=table.index)
    shares = pd.DataFrame(soft_label(votes), columns=columns.soft, index=table.index)
    return pd.concat([table, counts, shares], axis=1)[columns.truth]


def predictions_table(ds: Segments, label_space: LabelSpace, gathered: dict[str, np.ndarray]) -> pd.DataFrame:
    """Truth and prediction of each segment, with the columns of ``Columns.all``, sorted by segment id.

    Args:
        ds: The segments that were predicted.
        label_space: Of the data set and of the model.
        gathered: segment_id (N,), emotion_probs (N, K), pred_va (N, R).

    Raises:
        ValueError: A segment was not predicted, or one was that is not in ``ds``.
    """
    columns = Columns(label_space)
    predicted = pd.DataFrame(gathered["emotion_probs"], columns=columns.prob)
    predicted[columns.predicted] = gathered["pred_va"]
    predicted.insert(0, "segment_id", gathered["segment_id"])
    table = truth_table(ds, label_space).merge(
        predicted, on="segment_id", how="outer", validate="one_to_one", indicator=True
    )
    if not (table["_merge"] == "both").all():
        raise ValueError(
            f"Every segment is predicted once: {int((table['_merge'] != 'both').sum())} of {len(ds)} are not. Do not set "
            "limit_test_batches."
        )
    return table.sort_values("segment_id", ignore_index=True)[columns.all]


def evaluate_table(table: pd.DataFrame, label_space: LabelSpace) -> dict[str, float]:
    """Metrics of a table with the columns of ``Columns.all``."""
    columns = Columns(label_space)
    return evaluate(
        label_space=label_space,
        hard_label=table["hard_label"].to_numpy(),
        is_tied=table["is_tied"].to_numpy(),
        va=table[columns.dimensions].to_numpy(dtype=np.float64),
        emotion_probs=table[columns.prob].to_numpy(),
        pred_va=table[columns.predicted].to_numpy(dtype=np.float64),
    )


def evaluate_groups(table: pd.DataFrame, groups: pd.DataFrame, label_space: LabelSpace) -> dict[str, dict[str, float]]:
    """Metrics of each group of segments by its name, ``gender:F``; segments of no known group are in none.

    Args:
        table: ``Columns.all``.
        groups: A column for each kind of group, indexed by segment_id; "" where not known.
        label_space: Of the run.
    """
    found = {}
    for kind in groups.columns:
        of_row = groups[kind].reindex(table["segment_id"]).to_numpy()
        for name in sorted(set(of_row) - {""}):
            found[f"{kind}:{name}"] = evaluate_table(table[of_row == name], label_space)
    return found


def evaluate_majority(table: pd.DataFrame, train: pd.DataFrame, label_space: LabelSpace) -> dict[str, float]:
    """Metrics of always predicting the most frequent emotion and the mean valence-arousal of ``train``."""
    columns = Columns(label_space)
    probs, va = majority_prediction(
        hard_label=train["hard_label"].to_numpy(),
        is_tied=train["is_tied"].to_numpy(),
        va=train[columns.dimensions].to_numpy(dtype=np.float64),
        n_emotions=label_space.n_emotions,
        n=len(table),
    )
    guess = table.copy()
    guess[columns.prob], guess[columns.predicted] = probs, va
    return evaluate_table(guess, label_space)


def make_result(table: pd.DataFrame, train: pd.DataFrame, history: list[dict], epoch: int, facts: dict) -> dict:
    """Content of ``result.json``.

    Args:
        table: Predictions of the reported fold at the selected checkpoint, with the columns of ``Columns.all``.
        train: ``truth_table`` of the training segments.
        history: ``EpochHistory.rows``.
        epoch: Epoch of the selected checkpoint, from 0.
        facts: What is known of the run:

            - experiment, fusion, target, fold, protocol, seed, corpora
            - trained_on: corpora of the training segments; the result names them where they are others than ``corpora``
            - label_space: of the data set
            - n_folds: folds into which the corpora are divided
            - is_synthetic: whether any corpus is a synthetic one
            - n_chosen_on: segments on which the checkpoint was chosen; under protocol=paper those that are reported
            - human: ``rater_reference`` of the reported segments
            - fingerprint: of everything that decides the result
            - code: hash of each source file that decides the result, by its path in the package
            - target_options: options of the label kind, a value for each; left out where it has none
            - groups: ``SegmentDataset.groups`` of the reported segments; may be left out
            - n_threads: CPU threads of the process; may be left out where they are not known
            - train_last: number of layers that are trained of each pre-trained encoder, None for all; left out where all are
            - precision: what the network computed in, such as 32-true; may be left out
            - versions, seconds, peak_memory_mb

    Returns:
        The result; NaN stands as None, since JSON has no NaN. ``n_unlabelled`` counts the reported segments without a vote, and
        without a rating of each dimension: no figure is over them. ``predictions_sha256`` is of the content of
        ``predictions.csv``, ``result_sha256`` of all other fields: what was damaged later is known when it is read back.
    """
    space: LabelSpace = facts["label_space"]
    metrics = evaluate_table(table, space)
    by_group = evaluate_groups(table, facts["groups"], space) if "groups" in facts else {}
    result = {
        "schema": SCHEMA,
        **{key: facts[key] for key in ("experiment", "fusion", "target", "fold", "protocol", "seed", "corpora")},
        **({"target_options": facts["target_options"]} if facts.get("target_options") else {}),
        **{key: facts.get(key) for key in ("n_threads", "precision")},
        **({"train_last": facts["train_last"]} if facts.get("train_last") else {}),
        "label_space": space.to_json(),
        "n_folds": facts["n_folds"],
        "is_synthetic": bool(facts["is_synthetic"]),
        "n_train": len(train),
        "n_chosen_on": facts["n_chosen_on"],
        "n_reported_on": len(table),
        "n_unlabelled": {
            "emotion": int((table["hard_label"] == NO_LABEL).sum()),
            **{name: int(table[name].isna().sum()) for name in space.dimensions},
        },
        "selected": {
            "epoch": epoch,
            "metrics": metrics,
            "metrics_by_corpus": {name: evaluate_table(part, space) for name, part in table.groupby("corpus")},
        },
        "best_epoch_per_metric": _best_epochs(history, metrics),
        "history": history,
        **({"metrics_by_group": by_group} if by_group else {}),
        "majority": evaluate_majority(table, train, space),
        "majority_by_corpus": {name: evaluate_majority(part, train, space) for name, part in table.groupby("corpus")},
        **{key: facts[key] for key in ("human", "fingerprint", "code", "versions", "seconds", "peak_memory_mb")},
        "predictions_sha256": hashlib.sha256(_csv_of(table).encode()).hexdigest(),
    }
    if facts.get("trained_on", facts["corpora"]) != facts["corpora"]:
        result["trained_on"] = facts["trained_on"]
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
    write_embeddings(run_dir / "embeddings.npz", gathered)
    write_atomically(run_dir / "predictions.csv", _csv_of(table))
    write_atomically(run_dir / "result.json", json.dumps(result, indent=1, allow_nan=False) + "\n")


def write_embeddings(path: Path, gathered: dict[str, np.ndarray]) -> None:
    """Writes segment_id (N,) and embedding (N, D) as float32, sorted by id, into a compressed ``.npz``."""
    order = np.argsort(gathered["segment_id"], kind="stable")
    stream = io.BytesIO()
    np.savez_compressed(
        stream, segment_id=gathered["segment_id"][order], embedding=gathered["embedding"][order].astype(np.float32)
    )
    write_atomically(path, stream.getvalue())


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
    metrics = result["selected"]["metrics"]
    names = [
        "weighted_f1",
        "micro_f1",
        "macro_f1",
        "uar",
        *(f"ccc_{name}" for name in DIMENSIONS if f"ccc_{name}" in metrics),
    ]
    rows = [("model", metrics), ("majority", result["majority"])]
    widths = [max(8, len(name) + 2) for name in names]
    lines = [" " * 8 + "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))]
    for label, metrics in rows:
        values = ("    -" if metrics[name] is None else f"{round(metrics[name], 3) + 0.0:.3f}" for name in names)
        lines.append(f"{label:<8}" + "".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True)))
    return "\n".join(lines)
