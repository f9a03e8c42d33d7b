"""What ``result.json`` must hold to be read back; light, so that the state of a run is known without NumPy.

Comes in: what JSON gave. Goes out: the same dictionary, or a ``ValueError`` that names each field that is wrong. Fields that
are not listed here may stand beside them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA = 2
"""Version of ``result.json`` and ``predictions.csv``; another version is not read."""

MAX_NAMED = 3
"""So many wrong fields are named in a message."""

Score = Annotated[float, Field(allow_inf_nan=False)] | None
"""A finite figure; None where it is not defined."""

Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class Selected(_Strict):
    """Figures at the selected checkpoint."""

    epoch: Count
    metrics: dict[str, Score]
    metrics_by_corpus: dict[str, dict[str, Score]]


class BestEpoch(_Strict):
    """Highest value of one metric over epochs."""

    epoch: Count
    value: Score


class Labels(_Strict):
    """Of ``erc.labels.LabelSpace``."""

    emotions: list[str]
    dimensions: list[str]
    scale: list[float] | None
    n_raters: Annotated[int, Field(ge=1)] | None


class Result(_Strict):
    """``result.json``; its fields are explained at ``make_result``."""

    fusion: str
    target: str
    target_options: dict[str, float] = {}
    """Empty where the label kind has none."""
    fold: Count
    protocol: str
    seed: Count
    n_threads: Annotated[int, Field(ge=1)] | None = None
    """None in a result of before the number was an option."""
    train_last: dict[str, Count | None] = {}
    """Last layers that are trained of each pre-trained encoder, None for all of it; empty where all of every encoder is."""
    precision: str | None = None
    """None without a network, and in a result of before it was written down."""
    corpora: list[str]
    trained_on: list[str] | None = None
    """None where they are the same corpora."""
    label_space: Labels | None = None
    """None in a result of before corpora other than KEMD could be read."""
    n_folds: Annotated[int, Field(ge=1)] = 5
    is_synthetic: bool
    n_train: Annotated[int, Field(ge=1)]
    n_chosen_on: Count
    n_reported_on: Annotated[int, Field(ge=1)]
    selected: Selected
    metrics_by_group: dict[str, dict[str, Score]] = {}
    """By ``<kind>:<group>``, at the selected checkpoint; empty in a result of before groups were told apart."""
    best_epoch_per_metric: dict[str, BestEpoch]
    history: list[dict[str, Score]]
    majority: dict[str, Score]
    majority_by_corpus: dict[str, dict[str, Score]]
    human: dict[str, Score]
    fingerprint: str
    code: dict[str, str]
    versions: dict[str, str] = {}
    predictions_sha256: str = ""
    result_sha256: str = ""


class OtherSchema(ValueError):
    """A whole result that another version of this program wrote."""


def sha256_of(result: dict[str, Any]) -> str:
    """Hash of every field of a result but ``result_sha256``."""
    rest = {key: value for key, value in result.items() if key != "result_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def check_result(stored: Any) -> dict[str, Any]:
    """The content of a ``result.json``, as it came in.

    Args:
        stored: What JSON gave.

    Raises:
        OtherSchema: Another version of this program wrote it.
        ValueError: It is no object, a field is missing or of another type, or a value was changed.
    """
    if not isinstance(stored, dict):
        raise ValueError(f"expected a JSON object, got {type(stored).__name__}")
    # results of before these fields were added have neither
    has_hash = "result_sha256" in stored or "predictions_sha256" in stored
    if has_hash and stored.get("result_sha256") != sha256_of(stored):
        raise ValueError("it was changed after the run wrote it: its SHA-256 is another")
    if stored.get("schema") != SCHEMA:
        kind = OtherSchema if isinstance(stored.get("schema"), int) else ValueError
        raise kind(f"it is of schema {stored.get('schema')!r}, and not of {SCHEMA}")
    try:
        Result.model_validate(stored)
    except ValidationError as err:
        raise ValueError(_complaints(err)) from err
    return stored


def _complaints(err: ValidationError) -> str:
    """Field and complaint of the first errors in one line."""
    every = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in err.errors(include_url=False)]
    rest = len(every) - MAX_NAMED
    return "; ".join(every[:MAX_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
