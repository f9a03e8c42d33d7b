"""``predictions.csv``, read back and checked: against itself, and against the ``result.json`` beside it.

Comes in: a path, or a table and a result. Goes out: a table, or a ``ValueError`` that says what does not hold. No table,
figure or interval is made from a file that was not checked here.
"""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erc.evaluation.predictions import COLUMNS, PROB, SOFT, VOTES, evaluate_table
from erc.labels import N_EMOTIONS, VA_MAX, VA_MIN

TOLERANCE = 1e-9
"""So much may a figure differ when it is computed again: the order of a sum is not the same everywhere."""

_NAMES = ("segment_id", "corpus", "dialogue", "speaker")

_NUMBERS = [*SOFT, *PROB, "valence", "arousal", "pred_valence", "pred_arousal"]


def read_predictions(path: str | Path, sha256: str = "") -> pd.DataFrame:
    """``predictions.csv`` as it was written, to the last digit.

    Args:
        path: The file.
        sha256: Hash of the file's content as ``result.json`` has it; empty where it has none.

    Returns:
        ``COLUMNS``; votes, session and hard_label as integers, is_tied as bool.

    Raises:
        ValueError: The file is not there, is cut or was changed, or a row is not what a run writes.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as err:
        raise ValueError(f"the file cannot be read ({err.strerror or type(err).__name__})") from err
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("the file was changed after the run wrote it: its SHA-256 is not that of result.json")
    try:
        # Python's float reads back exactly what was written; pandas' fast reader may miss by a digit
        table = pd.read_csv(
            io.BytesIO(content), converters=dict.fromkeys(_NUMBERS, float), dtype=dict.fromkeys(_NAMES, str)
        )
    except (ValueError, OverflowError) as err:  # of pandas' own errors all are ValueErrors
        raise ValueError(f"expected a table of numbers and names ({str(err).strip().splitlines()[0]})") from err
    if table.columns.tolist() != COLUMNS:
        strange = sorted(set(COLUMNS) ^ set(table.columns)) or ["another order"]
        raise ValueError(f"expected the columns of a run, got others ({', '.join(strange[:3])})")
    _check_rows(table)
    return table


def _check_rows(table: pd.DataFrame) -> None:
    """Raises a ValueError where a row is not what a run writes: labels must follow from the votes."""
    integers = [*VOTES, "session", "hard_label"]
    if not all(pd.api.types.is_integer_dtype(table[name]) for name in integers):
        raise ValueError("votes, session and hard_label must be whole numbers in every row")
    if not pd.api.types.is_bool_dtype(table["is_tied"]):
        raise ValueError("is_tied must be True or False in every row")
    if table[list(_NAMES)].isna().to_numpy().any() or table["segment_id"].duplicated().any():
        raise ValueError("every row must have a corpus, a dialogue, a speaker and a segment id of its own")
    votes, hard = table[VOTES].to_numpy(), table["hard_label"].to_numpy()
    if (votes < 0).any() or (votes.sum(axis=1) < 1).any() or ((hard < 0) | (hard >= N_EMOTIONS)).any():
        raise ValueError(f"votes must be counts, and hard_label an index from 0 to {N_EMOTIONS - 1}")
    numbers = table[_NUMBERS].to_numpy()
    if not np.isfinite(numbers).all():
        raise ValueError("labels and predictions must be finite in every row")
    most = votes.max(axis=1)
    follows = {
        "soft labels": np.abs(table[SOFT].to_numpy() - votes / votes.sum(axis=1, keepdims=True)).max(axis=1)
        < TOLERANCE,
        "hard_label": votes[np.arange(len(votes)), hard] == most,
        "is_tied": ((votes == most[:, None]).sum(axis=1) > 1) == table["is_tied"].to_numpy(),
    }
    for name, holds in follows.items():
        if not holds.all():
            raise ValueError(f"{name} must follow from the votes: row {int(np.argmin(holds)) + 1} does not")
    va, probs = table[["valence", "arousal"]].to_numpy(), table[PROB].to_numpy()
    if ((va < VA_MIN - TOLERANCE) | (va > VA_MAX + TOLERANCE)).any():
        raise ValueError(f"valence and arousal must lie in {VA_MIN} to {VA_MAX}")
    if (probs < 0).any() or (np.abs(probs.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("predicted probabilities must be 0 or more and sum to 1")


def disagreement(table: pd.DataFrame, result: dict[str, Any]) -> str:
    """Where predictions and result are not of one run; empty if they are.

    The number of rows must be ``n_reported_on``, and every figure of ``selected`` must come out of the table again to
    within ``TOLERANCE``, over all corpora and for each.

    Args:
        table: ``read_predictions``.
        result: Content of ``result.json``.
    """
    if len(table) != result["n_reported_on"]:
        return f"expected {result['n_reported_on']} rows, as result.json says, got {len(table)}"
    selected = result["selected"]
    parts = {"": (selected["metrics"], table)}
    by_corpus = dict(tuple(table.groupby("corpus")))
    if selected["metrics_by_corpus"].keys() - by_corpus.keys():
        return (
            f"result.json has figures of {', '.join(sorted(selected['metrics_by_corpus']))}, the rows are of "
            + ", ".join(sorted(by_corpus))
        )
    parts |= {name: (metrics, by_corpus[name]) for name, metrics in selected["metrics_by_corpus"].items()}
    for corpus, (metrics, part) in parts.items():
        again = evaluate_table(part)
        unknown = sorted(metrics.keys() - again.keys())
        if unknown:
            return f"{', '.join(unknown)} in result.json is no metric"
        for name in metrics:
            stored = math.nan if metrics[name] is None else metrics[name]
            if not np.isclose(again[name], stored, rtol=0, atol=TOLERANCE, equal_nan=True):
                place = f"{name} of {corpus}" if corpus else name
                return f"{place} is {stored!r} in result.json, and {again[name]!r} from these rows"
    return ""
