"""A run folder as one cell of a grid: finished, running, failed, half-done or not begun; claimed by one process at a time.

``identity.json`` says which run the folder holds. ``result.json`` is written last: a folder that has one is finished.
An exit code says nothing: Lightning exits with 0 when it is terminated.
"""

from __future__ import annotations

import json
import os
import time
import traceback
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from erc.files import write_atomically
from erc.training.identity import Identity, changed_files, named, option_differences

Status = Literal["done", "running", "failed", "half-done", "waiting"]

RESULT, ERROR, IDENTITY, LOCK, LAST = "result.json", "error.json", "identity.json", ".lock", "last.ckpt"

MOVE = "Move the folder away, or choose another one (--out of the grid, hydra.run.dir of train.py)."


@contextmanager
def claimed(run_dir: str | Path, wait_seconds: float = 2.0) -> Iterator[bool]:
    """Claims the folder for the block and yields True; yields False if another process holds it.

    The claim ends with the block, or with the process, whatever ends it.
    """
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / LOCK)
    try:
        # a look at the cell's status takes the lock for a moment: one attempt is not enough
        lock.acquire(timeout=wait_seconds, poll_interval=0.01)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def finished_result(run_dir: str | Path) -> dict | None:
    """The content of ``result.json``; None if there is no whole one."""
    try:
        result = json.loads((Path(run_dir) / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None  # the program renames whole files into place, so somebody else cut this one: train it again
    return result if isinstance(result, dict) else None


def refusal(run_dir: str | Path, identity: Identity, accept_code: bool = False) -> str:
    """Why a run folder may not be used for a run; empty if it may.

    Args:
        run_dir: The folder; it may be new or not there.
        identity: Of the run that is asked for.
        accept_code: Keep a finished run that other code trained.
    """
    run_dir = Path(run_dir)
    result = finished_result(run_dir)
    try:
        known = Identity.from_json((run_dir / IDENTITY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if result is None:
            return ""
        return f"A run folder says which run it holds: {run_dir} has a result but no {IDENTITY}. {MOVE}"
    except ValueError as err:
        return f"A run folder says which run it holds: {run_dir / IDENTITY} cannot be used ({err}). {MOVE}"
    if result is not None and result.get("fingerprint") != known.fingerprint:
        return f"A run folder holds one run: the result in {run_dir} is not of the run that {IDENTITY} names. {MOVE}"
    reasons = option_differences(known.options, identity.options)
    if known.data != identity.data:
        reasons.append(f"other data: the corpora's fingerprint is {known.data} there, {identity.data} now")
    if reasons:
        return f"A run folder holds one run: {run_dir} holds another ({named(reasons)}). {MOVE}"
    changed = changed_files(known.code, identity.code)
    if not changed or (accept_code and result is not None):
        return ""
    if result is None:
        return f"A run is of one version of the code: {run_dir} was begun before these files changed: {named(changed)}. {MOVE}"
    return (
        f"A run is of one version of the code: {run_dir} was trained before these files changed: {named(changed)}. Keep "
        "the result with --accept-code (train.py: accept_code=true), or move the folder away to train it again."
    )


def checkpoint_to_resume(run_dir: str | Path, identity: Identity) -> str | None:
    """Writes the run's identity into its folder and returns the checkpoint to go on from.

    Args:
        run_dir: A folder that is free for this run (``refusal`` is empty).
        identity: Of the run.

    Returns:
        Path of ``last.ckpt``; None for a fresh start. A damaged ``last.ckpt`` is set aside with a warning.
    """
    run_dir = Path(run_dir)
    write_atomically(run_dir / IDENTITY, identity.to_json())
    (run_dir / ERROR).unlink(missing_ok=True)
    last = run_dir / LAST
    if not last.is_file():
        return None
    if not zipfile.is_zipfile(last):  # torch.save ends a file with its table of contents: a cut one has none
        kept = last.with_name(f"{LAST}.damaged")
        os.replace(last, kept)
        warnings.warn(
            f"{last} is no whole checkpoint ({kept.stat().st_size:,} bytes; was the disk full, or did it fail?). It is kept "
            f"as {kept.name}, and this run starts from its first epoch.",
            stacklevel=2,
        )
        return None
    return str(last)


def record_error(run_dir: str | Path, err: BaseException) -> None:
    """Writes down why a run failed."""
    report = {
        "error": f"{type(err).__name__}: {err}",
        "traceback": "".join(traceback.format_exception(type(err), err, err.__traceback__)),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    write_atomically(Path(run_dir) / ERROR, json.dumps(report, indent=1) + "\n")


def state_of(run_dir: str | Path) -> Status:
    """State of a cell, read from its folder."""
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        return "waiting"
    if finished_result(run_dir) is not None:
        return "done"
    if (run_dir / LOCK).exists():
        with claimed(run_dir, wait_seconds=0) as is_free:
            if not is_free:
                return "running"
    if (run_dir / ERROR).is_file():
        return "failed"
    return "half-done" if (run_dir / LAST).is_file() else "waiting"


def error_of(run_dir: str | Path) -> str:
    """First line of the error that a cell failed with; empty if it did not fail."""
    try:
        return json.loads((Path(run_dir) / ERROR).read_text(encoding="utf-8"))["error"].splitlines()[0]
    except (FileNotFoundError, json.JSONDecodeError, KeyError, IndexError):
        return ""


def epochs_done(run_dir: str | Path) -> int:
    """Number of epochs that a cell has finished."""
    try:
        return max(0, len((Path(run_dir) / "metrics.csv").read_text(encoding="utf-8").splitlines()) - 1)
    except FileNotFoundError:
        return 0
