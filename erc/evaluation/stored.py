"""``predictions.csv``, read back and checked: against itself, and against the ``result.json`` beside it.

Comes in: a path, or a table and a result. Goes out: a table, or a ``ValueError`` that says what does not hold. No table,
figure or interval is made from a file that was not checked here.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erc.data import KEMD, label_space_of
from erc.evaluation.predictions import Columns, evaluate_table
from erc.labels import NO_LABEL, LabelSpace, hard_label, has_votes, is_tied, soft_label

TOLERANCE = 1e-9
"""So much may a figure differ when it is computed again: the order of a sum is not the same everywhere."""

_NAMES = ("segment_id", "corpus", "dialogue", "speaker")


def read_predictions(path: str | Path, label_space: LabelSpace, sha256: str = "") -> pd.DataFrame:
    """``predictions.csv`` as it was written, to the last digit.

    Args:
        path: The file.
        label_space: Of the run.
        sha256: Hash of the file's content as ``result.json`` has it; empty where it has none.

    Returns:
        ``Columns.all``; votes and hard_label (in KEMD session, too) as integers, is_tied as bool. Shares of a segment that nobody voted on
        and ratings that are not known are NaN.

    Raises:
        ValueError: The file is not there, is cut or was changed, or a row is not what a run writes.
    """
    columns = Columns(label_space)
    try:
        content = Path(path).read_bytes()
    except OSError as err:
        raise ValueError(f"the file cannot be read ({err.strerror or type(err).__name__})") from err
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("the file was changed after the run wrote it: its SHA-256 is not that of result.json")
    try:
        # Python's float reads back exactly what was written; pandas' fast reader may miss by a digit
        converters: dict[str, Callable[[str], float]] = dict.fromkeys([*columns.prob, *columns.predicted], float)
        converters |= dict.fromkeys([*columns.soft, *columns.dimensions], _number_or_nan)
        # a speaker may be called NA
        table = pd.read_csv(
            io.BytesIO(content), converters=converters, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False
        )
    except (ValueError, OverflowError) as err:  # of pandas' own errors all are ValueErrors
        raise ValueError(f"expected a table of numbers and names ({str(err).strip().splitlines()[0]})") from err
    if table.columns.tolist() != columns.all:
        strange = sorted(set(columns.all) ^ set(table.columns)) or ["another order"]
        raise ValueError(f"expected the columns of a run, got others ({', '.join(strange[:3])})")
    _check_rows(table, columns)
    return table


def _number_or_nan(cell: str) -> float:
    """A number; NaN for an empty cell. A cell that says NaN is neither."""
    value = float(cell) if cell else math.nan
    if cell and math.isnan(value):
        raise ValueError(f"could not convert string to float: {cell!r}")
    return value


def _check_rows(table: pd.DataFrame, columns: Columns) -> None:
    """Raises a ValueError where a row is not what a run writes: labels must follow from the votes."""
    integers = [*columns.votes, "hard_label", *(["session"] if columns.label_space == KEMD else [])]
    if not all(pd.api.types.is_integer_dtype(table[name]) for name in integers):
        raise ValueError("votes, session and hard_label must be whole numbers in every row")
    if not pd.api.types.is_bool_dtype(table["is_tied"]):
        raise ValueError("is_tied must be True or False in every row")
    needed = [
        name for name in _NAMES if name != "speaker" or columns.label_space == KEMD
    ]  # others may not know the speaker
    if (table[needed] == "").to_numpy().any() or table["segment_id"].duplicated().any():
        raise ValueError("every row must have a corpus, a dialogue, a speaker and a segment id of its own")
    space = columns.label_space
    votes, hard = table[columns.votes].to_numpy(), table["hard_label"].to_numpy()
    if (votes < 0).any() or (hard >= space.n_emotions).any():
        raise ValueError(f"votes must be counts, and hard_label an index below {space.n_emotions}")
    numbers = table[[*columns.prob, *columns.predicted]].to_numpy()
    va = table[columns.dimensions].to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all() or np.isinf(va).any():
        raise ValueError("labels and predictions must be finite in every row")
    voted, most = has_votes(votes), votes.max(axis=1)
    apart = np.abs(table[columns.soft].to_numpy() - soft_label(votes))
    unlabelled = hard_label(votes)
    follows = {
        "soft labels": np.where(voted[:, None], apart < TOLERANCE, table[columns.soft].isna()).all(axis=1),
        "hard_label": np.where(voted, (hard >= 0) & (votes[np.arange(len(votes)), hard] == most), hard == unlabelled),
        "is_tied": is_tied(votes) == table["is_tied"].to_numpy(),
    }
    for name, holds in follows.items():
        if not holds.all():
            raise ValueError(f"{name} must follow from the votes: row {int(np.argmin(holds)) + 1} does not")
    if space.scale is not None and ((va < space.scale[0] - TOLERANCE) | (va > space.scale[1] + TOLERANCE)).any():
        raise ValueError(f"{' and '.join(space.dimensions)} must lie in {space.scale[0]:g} to {space.scale[1]:g}")
    probs = table[columns.prob].to_numpy()
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
    for name, n in result.get("n_unlabelled", {}).items():
        here = (table["hard_label"] == NO_LABEL) if name == "emotion" else table[name].isna()
        if int(here.sum()) != n:
            return f"expected {n} segments without {name}, as result.json says, got {int(here.sum())}"
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
        again = evaluate_table(part, label_space_of(result))
        unknown = sorted(metrics.keys() - again.keys())
        if unknown:
            return f"{', '.join(unknown)} in result.json is no metric"
        for name in metrics:
            stored = math.nan if metrics[name] is None else metrics[name]
            if not np.isclose(again[name], stored, rtol=0, atol=TOLERANCE, equal_nan=True):
                place = f"{name} of {corpus}" if corpus else name
                return f"{place} is {stored!r} in result.json, and {again[name]!r} from these rows"
    return ""
