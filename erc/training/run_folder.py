"""A run folder: finished, running, damaged, failed, half-done or not begun; claimed by one process at a time.

``identity.json`` says which run the folder holds. ``result.json`` is written last: a folder that has one is finished.
An exit code says nothing: Lightning exits with 0 when it is terminated. A run can go on from ``last.ckpt``, and from
``previous.ckpt``, the one before it, where ``last.ckpt`` is damaged.
"""

from __future__ import annotations

import json
import os
import re
import struct
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from erc.files import make_private, sweep_temporaries, write_atomically
from erc.model import MODEL
from erc.training.identity import Identity, changed_files, differences, named
from erc.training.read_back import ERROR, IDENTITY, damage_of, epochs_done, read_identity, read_result

Status = Literal["done", "of another run", "running", "damaged", "failed", "half-done", "waiting"]

LOCK = ".lock"

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"

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


def refusal(run_dir: str | Path, identity: Identity, accept_code: bool = False, more_epochs: bool = False) -> str:
    """Why a run folder may not be used for a run; empty if it may.

    Args:
        run_dir: The folder; it may be new or not there.
        identity: Of the run that is asked for.
        accept_code: Keep a finished run that other code trained.
        more_epochs: An unfinished run may go on to another number of epochs.
    """
    run_dir = Path(run_dir)
    stored = read_result(run_dir)
    result, of_folder = stored.value, read_identity(run_dir)
    if of_folder.state == "absent":
        if stored.state == "absent":
            return ""
        return f"A run folder says which run it holds: {run_dir} has a result but no {IDENTITY}. {MOVE}"
    if of_folder.state == "damaged":
        reason = of_folder.reason.removeprefix(f"{IDENTITY}: ")
        return f"A run folder says which run it holds: {run_dir / IDENTITY} cannot be used ({reason}). {MOVE}"
    if stored.state == "of another run":
        return f"A run folder holds one run: {run_dir} cannot be used ({stored.reason}). {MOVE}"
    known = of_folder.value
    reasons = differences(known, identity, more_epochs=more_epochs and result is None)
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


def enter(run_dir: str | Path, identity: Identity) -> None:
    """Writes the run's identity into its folder, which becomes private.

    The error of an attempt before is removed, and so are temporary files that a killed process left.
    """
    make_private(run_dir)
    sweep_temporaries(run_dir)
    write_atomically(Path(run_dir) / IDENTITY, identity.to_json())
    (Path(run_dir) / ERROR).unlink(missing_ok=True)


# --- checkpoints ------------------------------------------------------------------------------------------------------
def checkpoint_damage(checkpoint: str | Path) -> str:
    """What is damaged in a checkpoint; empty if every byte of its weights is as it was written.

    A checkpoint is a zip file, which holds a checksum of each of its parts. ``torch.load`` does not compare them: most
    damaged files load, with other weights.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            part = archive.testzip()
    # what a damaged table of contents can lead zipfile to
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, struct.error) as err:
        return f"it is no whole zip file: {err}"
    return f"the checksum of its part {part} is wrong" if part else ""


def newest_whole(run_dir: str | Path, sets_aside: bool = True) -> str | None:
    """Path of the newest whole checkpoint that a run can go on from; None if there is none.

    Damaged checkpoints are named in a warning and kept under another name. The run starts afresh if the selected
    checkpoint is damaged, because no later epoch brings that one back.

    Args:
        run_dir: The run folder.
        sets_aside: False only looks.
    """
    run_dir = Path(run_dir)
    present = [run_dir / name for name in (LAST, PREVIOUS) if (run_dir / name).is_file()]
    damaged = {path: checkpoint_damage(path) for path in present}
    whole = [path for path in present if not damaged[path]]
    best = run_dir / BEST
    if present and best.is_file() and (reason := checkpoint_damage(best)):
        # what is left belongs to a run whose best epoch is lost
        damaged = {best: reason} | {path: damaged[path] or "the selected checkpoint is damaged" for path in present}
        whole = []
    bad = {path: reason for path, reason in damaged.items() if reason}
    if bad and sets_aside:
        then = (
            f"goes on from {whole[0].name}, the one before it"
            if whole
            else f"starts from its first epoch: {epochs_done(run_dir)} epochs are trained again"
        )
        listing = "; ".join(f"{path.name} ({path.stat().st_size:,} bytes): {reason}" for path, reason in bad.items())
        for path in bad:
            os.replace(path, path.with_name(f"{path.name}.damaged"))
        warnings.warn(
            f"A run goes on from whole checkpoints only: {run_dir} holds {listing}. Was the disk full, or did it fail? Each is "
            f"kept with .damaged behind its name, and this run {then}.",
            stacklevel=3,
        )
    return str(whole[0]) if whole else None


def has_checkpoint(run_dir: str | Path) -> bool:
    """Returns True if there is a checkpoint that a run could go on from, damaged or not."""
    return any((Path(run_dir) / name).is_file() for name in (LAST, PREVIOUS))


def drop_checkpoints(run_dir: str | Path, is_cell: bool = True) -> None:
    """Removes the checkpoints that a finished run needs no more; with the optimizer's state each is three times the model.

    Args:
        run_dir: The run folder.
        is_cell: A cell of a grid keeps its weights once, as saved model. Any other run keeps ``best.ckpt`` and ``last.ckpt``
            too, so that it can go on for more epochs.
    """
    run_dir = Path(run_dir)
    # a cell that was finished before runs had saved models has its weights in best.ckpt only
    weights = (BEST,) if (run_dir / MODEL).is_dir() else ()
    for name in (LAST, PREVIOUS, *weights) if is_cell else (PREVIOUS,):
        (run_dir / name).unlink(missing_ok=True)


# --- state ------------------------------------------------------------------------------------------------------------
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
    stored = read_result(run_dir)
    if stored.state in ("valid", "of another run"):
        return "done" if stored.state == "valid" else "of another run"
    if (run_dir / LOCK).exists():
        with claimed(run_dir, wait_seconds=0) as is_free:
            if not is_free:
                return "running"
    if damage_of(run_dir):
        return "damaged"
    if (run_dir / ERROR).is_file():
        return "failed"
    return "half-done" if has_checkpoint(run_dir) else "waiting"


def override_value(path: Path) -> str:
    """A path as a value of Hydra's command line, in which commas, brackets and equals signs mean something."""
    text = str(path)
    if re.fullmatch(r"[\w./ -]+", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
