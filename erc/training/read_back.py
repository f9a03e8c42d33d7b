"""The files of a run folder, read back: each is valid, damaged, or of another run; none of them stops the program.

Comes in: a run folder. Goes out: what a file holds, or why it cannot be used. The program renames whole files into place;
a damaged one was cut or changed by something else. It is named and left where it is. ``predictions.csv`` is read by
``erc.evaluation.read_predictions``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from erc.training.identity import Identity

if TYPE_CHECKING:
    from erc.data import Mode
    from erc.datasets import SegmentDataset

RESULT, ERROR, IDENTITY = "result.json", "error.json", "identity.json"

MAX_BYTES = 200_000_000
"""A larger file is none that a run wrote, and is not read into memory."""


class Stored(NamedTuple):
    """A file of a run folder."""

    state: Literal["absent", "valid", "damaged", "of another run", "of another version"]
    value: Any = None
    """What the file holds; None unless it is valid."""
    reason: str = ""
    """Name of the file and what is wrong with it; empty if it is valid or absent."""


def read_text(path: Path) -> str:
    """Content of a file of a run folder.

    Raises:
        FileNotFoundError: There is none of that name.
        ValueError: It is no regular file, is too large, cannot be read, or is not UTF-8.
    """
    try:
        status = path.stat()
        if not path.is_file() or status.st_size > MAX_BYTES:
            raise ValueError(f"expected a regular file of at most {MAX_BYTES // 1_000_000} MB")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except NotADirectoryError as err:
        raise FileNotFoundError(str(path)) from err
    except OSError as err:
        raise ValueError(f"it cannot be read ({err.strerror or type(err).__name__})") from err


def read_json(path: Path) -> Any:
    """What JSON a file of a run folder holds; errors as ``read_text``."""
    try:
        return json.loads(read_text(path))
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err


def read_result(run_dir: str | Path) -> Stored:
    """``result.json``, checked field by field; of another run if its fold, seed or fingerprint is not the folder's."""
    from erc.evaluation import OtherSchema, check_result  # pydantic: only where there is a result

    run_dir = Path(run_dir)
    try:
        result = check_result(read_json(run_dir / RESULT))
    except FileNotFoundError:
        return Stored("absent")
    except OtherSchema as err:
        return Stored("of another version", None, f"{RESULT}: {err}")
    except ValueError as err:
        return Stored("damaged", None, f"{RESULT}: {err}")
    cell = re.fullmatch(r"fold(\d+)-seed(\d+)", run_dir.name)
    if cell and (result["fold"], result["seed"]) != (int(cell[1]), int(cell[2])):
        found = f"fold {result['fold']}, seed {result['seed']}"
        return Stored("of another run", None, f"{RESULT}: it is of {found}, and lies in {run_dir.name}")
    identity = read_identity(run_dir)
    if identity.state == "valid" and identity.value.fingerprint != result["fingerprint"]:
        return Stored("of another run", None, f"{RESULT}: it is not of the run that {IDENTITY} names")
    return Stored("valid", result)


def finished_result(run_dir: str | Path) -> dict | None:
    """The content of ``result.json``; None if there is no valid one of the folder's fold and seed."""
    found = read_result(run_dir)
    return found.value if found.state == "valid" else None


def read_identity(run_dir: str | Path) -> Stored:
    """``identity.json`` as an ``Identity``."""
    try:
        return Stored("valid", Identity.from_json(read_text(Path(run_dir) / IDENTITY)))
    except FileNotFoundError:
        return Stored("absent")
    except (ValueError, RecursionError) as err:
        return Stored("damaged", None, f"{IDENTITY}: {err}")


def read_error(run_dir: str | Path) -> Stored:
    """First line of the error in ``error.json``."""
    try:
        stored = read_json(Path(run_dir) / ERROR)
        text = stored.get("error") if isinstance(stored, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise ValueError("expected an object with a text under 'error'")
    except FileNotFoundError:
        return Stored("absent")
    except ValueError as err:
        return Stored("damaged", None, f"{ERROR}: {err}")
    return Stored("valid", text.strip().splitlines()[0])


def read_config(run_dir: str | Path) -> dict[str, Any]:
    """The configuration of a run, ``config.yaml``, as far as its data are concerned.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged; the message names it.
    """
    path = Path(run_dir) / "config.yaml"
    try:
        config = yaml.safe_load(read_text(path))
        if not isinstance(config, dict) or not isinstance(config.get("dataset"), dict):
            raise ValueError("expected options with a group 'dataset'")
        if not all(isinstance(key, str) for key in config["dataset"]) or not isinstance(config.get("protocol"), str):
            raise ValueError("expected names of options, and a protocol")
    except (ValueError, RecursionError, yaml.YAMLError) as err:
        first = str(err).strip().splitlines()[0]
        raise ValueError(
            f"A run's configuration must be whole: {path} is damaged ({first}). Put the file back, or train the cell again."
        ) from err
    return config


def open_view(config: dict[str, Any], mode: Mode = "test", **changes: Any) -> SegmentDataset:
    """The data set of a run, with every dataset option of its ``config.yaml`` and with its protocol.

    A relative ``root``, ``path`` or ``cache_dir`` is relative to the working directory, as it was for the run.

    Args:
        config: See ``read_config``.
        mode: ``test`` for the segments that the run was scored on; ``train`` or ``valid``.
        **changes: Arguments of the data set that replace the run's own.

    Raises:
        FileNotFoundError: The corpora are not there.
    """
    from erc.datasets import class_of, without_specials  # Hugging Face datasets takes seconds to import

    options = {"mode": mode, "protocol": config["protocol"], **without_specials(config["dataset"]), **changes}
    return class_of(config["dataset"])(**options)


def damage_of(run_dir: str | Path) -> str:
    """What is wrong with the result and the error of a run; empty if each is valid or absent."""
    return "; ".join(filter(None, (read_result(run_dir).reason, read_error(run_dir).reason)))


def error_of(run_dir: str | Path) -> str:
    """First line of the error that a cell failed with, and what is damaged in it; empty if neither is there."""
    return "; ".join(filter(None, (read_error(run_dir).value, damage_of(run_dir))))


def epochs_done(run_dir: str | Path) -> int:
    """Number of epochs that a cell has finished; 0 where ``metrics.csv`` is not there or is damaged."""
    try:
        return max(0, len(read_text(Path(run_dir) / "metrics.csv").splitlines()) - 1)
    except (FileNotFoundError, ValueError):
        return 0
