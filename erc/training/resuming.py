"""Which run and which checkpoint a run goes on from.

Comes in: the configuration and the identity of the run that is asked for. Goes out: the folder and the checkpoint to go on
from, or an error. A checkpoint of another run is never taken; another number of epochs is the one exception.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import NamedTuple

from erc.datasets import fingerprint_of
from erc.files import sweep_temporaries
from erc.training.checkpoints import Owner, owner_of, read_checkpoint
from erc.training.identity import Identity, changed_files, continued, differences, identify, named
from erc.training.read_back import finished_result
from erc.training.run_folder import (
    ERROR,
    IDENTITY,
    LAST,
    PREVIOUS,
    drop_checkpoints,
    enter,
    epochs_done,
    has_checkpoint,
    newest_whole,
    override_value,
    refusal,
    state_of,
)

OUTPUTS = Path("outputs")
"""Folder below which ``python train.py`` makes its run folders."""

_CHOSEN = "ERC_GOES_ON_IN"
"""Environment variable by which the first process of several tells the others the folder of ``resume=auto``."""


class Taken(NamedTuple):
    """A run folder that a run may use."""

    result: dict | None
    """Content of ``result.json`` if the run is finished already."""
    checkpoint: str | None
    """What to go on from."""
    identity: Identity
    """Of the run; it names the run of fewer epochs that it goes on from."""


def take_folder(config: dict, identity: Identity, is_first: bool) -> Taken:
    """Takes the run folder for a run, or refuses it; nothing of a folder that is refused is changed.

    Args:
        config: Plain values.
        identity: Of the run.
        is_first: False for the other processes of the same run, which change nothing.

    Raises:
        FileExistsError: The folder holds another run, or an unfinished run that is not to be gone on with.
        FileNotFoundError: ``ckpt_path`` names no file.
        OSError: The checkpoint of ``ckpt_path`` is damaged.
        ValueError: The checkpoint is of another run, or it holds more than plain values.
    """
    run_dir = Path(config["run_dir"])
    asked_for = _checkpoint_asked_for(config["ckpt_path"])
    if asked_for is not None and (before := owner_of(asked_for).identity) is not None:
        identity = continued(before, identity)
    is_in_place = asked_for is not None and asked_for.parent == run_dir.resolve()
    if reason := refusal(run_dir, identity, config["accept_code"], more_epochs=is_in_place):
        raise FileExistsError(reason)
    result = finished_result(run_dir)
    if result is not None:
        if is_first:
            (run_dir / ERROR).unlink(missing_ok=True)
            sweep_temporaries(run_dir)
            drop_checkpoints(run_dir, is_cell=config["resume"] is True)
        return Taken(result, None, identity)
    checkpoint = newest_whole(run_dir, sets_aside=is_first) if config["resume"] else None
    if checkpoint is None and asked_for is not None:
        checkpoint = str(asked_for)
    if checkpoint is None and not config["resume"] and has_checkpoint(run_dir):
        raise FileExistsError(
            f"A run folder is begun once: {run_dir} holds {epochs_done(run_dir)} epochs of this run. Go on with them "
            "(resume=auto), or choose another folder (hydra.run.dir=FOLDER)."
        )
    if checkpoint is not None:
        owner = owner_of(checkpoint)
        if reason := _why_not(owner, identity, more_epochs=checkpoint == str(asked_for)):
            raise ValueError(f"A checkpoint belongs to one run: {checkpoint} is of another ({reason}).")
    if is_first:
        enter(run_dir, identity)
    return Taken(None, checkpoint, identity)


def _checkpoint_asked_for(ckpt_path: str | None) -> Path | None:
    """The file of the option ``ckpt_path``; a word such as ``last``, which Lightning would look up, is no file."""
    if ckpt_path is None:
        return None
    path = Path(ckpt_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"ckpt_path names a checkpoint to go on from: expected a file, got {ckpt_path}, where there is none. Name the "
            f"{LAST} of a run folder, or look for it with resume=auto."
        )
    return path.resolve()


def _why_not(owner: Owner, identity: Identity, more_epochs: bool) -> str:
    """Why a run may not go on from a checkpoint; empty if it may. See ``differences`` on ``more_epochs``."""
    if owner.fingerprint == identity.fingerprint:
        return ""
    if not owner.fingerprint:
        return "it does not say of which"
    if owner.identity is None:
        return f"its fingerprint is {owner.fingerprint}, not {identity.fingerprint}"
    found = differences(owner.identity, identity, more_epochs)
    if changed := changed_files(owner.identity.code, identity.code):
        found.append(f"other code: {named(changed)}")
    if not found and identity.options.get("trainer.max_epochs", 0) < owner.n_epochs:
        found.append(f"it has {owner.n_epochs} epochs already, more than trainer.max_epochs")
    return named(found)


# --- resume=auto ------------------------------------------------------------------------------------------------------
def newest_unfinished(config: dict) -> Path | None:
    """Folder of the newest unfinished run of the same identity; None if there is none.

    It is looked for in the run folder itself, in the folders beside it, and below ``outputs``. Says what it found.

    Args:
        config: Plain values.
    """
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:
        chosen = os.environ.get(_CHOSEN)
        return Path(chosen) if chosen else None
    os.environ.pop(_CHOSEN, None)
    try:
        data = fingerprint_of(config["dataset"])
    except (OSError, ValueError):
        return None  # synthetic corpora that are not yet written; or the run says what is wrong with them
    identity = identify(config, data)
    run_dir = Path(config["run_dir"]).resolve()
    found, others = [], []
    for path in {*run_dir.parent.glob(f"*/{IDENTITY}"), *OUTPUTS.resolve().rglob(IDENTITY)}:
        state = state_of(path.parent)
        if state == "done" or not has_checkpoint(path.parent):
            continue
        try:
            known = Identity.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if known.fingerprint != identity.fingerprint:
            others += [path.parent] if not differences(known, identity) else []
        elif state == "running":
            print(f"resume=auto: another process is training this run in {path.parent}.")
        else:
            found.append(path.parent)
    if not found:
        print("resume=auto: there is no unfinished run of these options, this data and this code; a new one begins.")
        if others:
            print(f"Not gone on with, because the code has changed since: {', '.join(map(str, sorted(others)))}")
        return None
    chosen_dir = run_dir if run_dir in found else max(found, key=lambda folder: _saved_at(folder))
    os.environ[_CHOSEN] = str(chosen_dir)
    return chosen_dir


def _saved_at(run_dir: Path) -> int:
    """When the newest checkpoint of a run was saved, in nanoseconds."""
    return max((run_dir / name).stat().st_mtime_ns for name in (LAST, PREVIOUS) if (run_dir / name).is_file())


def how_to_go_on(run_dir: str | Path, arguments: list[str], max_epochs: int) -> str:
    """What an interrupted run has saved, and the command that goes on.

    Args:
        run_dir: Its folder.
        arguments: Those that train.py was started with.
        max_epochs: Epochs of the whole run.
    """
    last = Path(run_dir, LAST)
    try:
        n_epochs = int(read_checkpoint(last, map_location="cpu", mmap=True)["epoch"]) + 1
    except (OSError, ValueError, KeyError):
        n_epochs = 0
    saved = f"{n_epochs} of {max_epochs} epochs are saved in {last}" if n_epochs else f"No epoch is saved in {run_dir}"
    names = [word.split("=")[0].lstrip("+") for word in arguments]
    kept = [word for word, name in zip(arguments, names, strict=True) if name not in ("resume", "ckpt_path")]
    go_on = "resume=true" if "resume=true" in arguments else "resume=auto"
    if "ckpt_path" in names and "resume" not in names:
        # a run that goes on from another number of epochs is found by its checkpoint only
        go_on = f"ckpt_path={override_value(last)}" if n_epochs else arguments[names.index("ckpt_path")]
    verb = "goes on from there" if n_epochs else "starts again"
    return f"{saved}. This {verb}:\n    python train.py {shlex.join([*kept, go_on])}"
