"""Checkpoints that are whole or not there, that say whose they are, and from which a run can go on in another folder.

Every checkpoint is compared with its checksums before it is loaded, and is loaded as plain values and weights only.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from erc.files import atomic_file
from erc.training.grid_identity import cells_in, is_cell
from erc.training.identity import Identity
from erc.training.run_folder import BEST, LAST, PREVIOUS, checkpoint_damage, state_of


class Owner(NamedTuple):
    """The run that a checkpoint is of, as far as the checkpoint says."""

    fingerprint: str
    identity: Identity | None
    n_epochs: int
    """Epochs that were finished when it was saved."""


def read_checkpoint(path: str | Path, **options: Any) -> dict[str, Any]:
    """Content of a checkpoint that is whole.

    Args:
        path: The file.
        **options: Further arguments of ``torch.load``.

    Raises:
        OSError: A byte of it is not as it was written.
        ValueError: It holds more than plain values and weights.
    """
    if reason := checkpoint_damage(path):
        raise OSError(
            f"A checkpoint must be whole: expected every checksum to fit, got {reason} ({path}). Use another one."
        )
    try:
        return torch.load(path, weights_only=True, **options)
    except pickle.UnpicklingError as err:
        raise ValueError(
            f"A checkpoint must hold plain values and weights only: {path} holds something that would run code when it is "
            "loaded, so it is not loaded. Use a checkpoint that this program saved."
        ) from err


def owner_of(path: str | Path) -> Owner:
    """The run that a checkpoint is of; see ``read_checkpoint`` for the errors."""
    checkpoint = read_checkpoint(path, map_location="cpu", mmap=True)
    states = checkpoint.get("callbacks", {})
    history: dict = next((state for name, state in states.items() if name.startswith("EpochHistory")), {})
    try:
        identity = Identity.from_json(history["identity"])
    except (KeyError, ValueError):
        identity = None
    return Owner(history.get("fingerprint", ""), identity, int(checkpoint.get("epoch", -1)) + 1)


class RunCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback; a run can go on in another folder.

    A run that goes on from the ``last.ckpt`` of another folder takes the selected checkpoint along. Lightning alone forgets
    how good that checkpoint was, and selects among the later epochs only.
    """

    def load_state_dict(self, state_dict: dict) -> None:
        """Takes over what a checkpoint kept.

        Raises:
            FileNotFoundError: The checkpoint that was selected so far is no longer beside the one that the run goes on from.
            OSError: It is damaged.
        """
        before = state_dict.get("dirpath", self.dirpath)
        if self.monitor is not None and state_dict["best_model_path"]:
            folder = Path(self.dirpath or ".")
            kept = Path(state_dict["best_model_path"])
            moved = folder / kept.name
            # a folder that was moved holds it itself
            best = kept if kept.is_file() else moved
            if not best.is_file():
                raise FileNotFoundError(
                    f"A run that goes on elsewhere takes its selected checkpoint along: {kept} is not there. Put it back, or "
                    "start afresh (ckpt_path=null)."
                )
            if reason := checkpoint_damage(best):
                raise OSError(
                    f"The checkpoint selected so far must be whole: got {reason} ({best}). Start afresh (ckpt_path=null)."
                )
            if before != self.dirpath:
                folder.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(shutil.SameFileError):
                    shutil.copyfile(best, moved)
                state_dict = state_dict | {
                    "dirpath": self.dirpath,
                    "best_model_path": str(moved),
                    "kth_best_model_path": str(moved),
                    "best_k_models": dict.fromkeys(
                        [str(moved)], next(iter(state_dict["best_k_models"].values()), None)
                    ),
                }
        elif before != self.dirpath:
            state_dict = state_dict | {"dirpath": self.dirpath, "best_model_path": "", "best_k_models": {}}
        super().load_state_dict(state_dict)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file beside it and renames that, so that a kill leaves the old one or the new one.

    Lightning writes to the temporary directory first, which may be on another disk. Moving the file is then a copy, and a
    copy can be cut off half-way. A ``last.ckpt`` that is replaced stays as ``previous.ckpt``.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Saves a checkpoint.

        Raises:
            OSError: The disk is full, or the folder cannot be written to. An older checkpoint of that name is untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in (path.name, PREVIOUS):
            for leftover in path.parent.glob(f".{name}.tmp-*"):
                leftover.unlink(missing_ok=True)
        try:
            with atomic_file(path) as file:
                torch.save(checkpoint, file)
                if path.name == LAST and path.is_file():
                    _keep_previous(path)
        except (OSError, RuntimeError) as err:  # torch raises RuntimeError on a full disk
            free = shutil.disk_usage(path.parent).free
            raise OSError(
                f"The checkpoint {path} could not be written ({err}): it takes about {n_bytes(checkpoint):,} bytes, and "
                f"{free:,} bytes are free. Make room on that disk, or set run_dir to another; the checkpoint before it is "
                "untouched."
            ) from err

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, _: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Loads a checkpoint that is whole; always as plain values and weights, whatever ``weights_only`` says."""
        return read_checkpoint(path, map_location=map_location)


def _keep_previous(last: Path) -> None:
    """Gives ``last.ckpt`` the second name ``previous.ckpt``; there is a ``last.ckpt`` at every moment."""
    previous = last.with_name(PREVIOUS)
    temporary = last.with_name(f".{PREVIOUS}.tmp-{os.getpid()}")
    try:
        os.link(last, temporary)
    except OSError:  # a file system without links
        os.replace(last, previous)
        return
    os.replace(temporary, previous)
    temporary.unlink(missing_ok=True)  # renaming one name of a file to another name of it does nothing


# --- room -------------------------------------------------------------------------------------------------------------
def n_bytes(value: Any) -> int:
    """Bytes of all tensors in a nested structure."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(n_bytes, value.values()))
    return sum(map(n_bytes, value)) if isinstance(value, list | tuple) else 0


def check_room(
    run_dir: str | Path,
    module: pl.LightningModule,
    callbacks: Iterable[Any],
    left_out: Container[str] = (),
    frozen_bytes: int = 0,
) -> None:
    """Checks that the run folder's disk has room for the checkpoints, before hours of training.

    Args:
        run_dir: The run folder; checkpoints that lie there already make room as they are replaced. Where it is a cell of a
            grid, the other cells that are being trained now need as much each, less what they have written.
        module: Its weights are counted, and AdamW's two averages of each weight that is trained.
        callbacks: The run's callbacks; those that save checkpoints count. A checkpoint for going on is there three times
            while it is written: ``last.ckpt``, ``previous.ckpt`` and the new one. One of weights only is there twice.
        left_out: Names of weights that no checkpoint holds.
        frozen_bytes: What these take in the saved model, once for all cells.

    Raises:
        OSError: There is less room.
    """
    weights = n_bytes({name: value for name, value in module.state_dict().items() if name not in left_out})
    trained = sum(parameter.nbytes for parameter in module.parameters() if parameter.requires_grad)
    savers = [callback for callback in callbacks if isinstance(callback, ModelCheckpoint)]
    needed = sum(2 * weights if saver.save_weights_only else 3 * (weights + 2 * trained) for saver in savers)
    run_dir = Path(run_dir)
    others = _running_beside(run_dir)
    total = frozen_bytes + sum(max(0, needed - _present(folder)) for folder in (run_dir, *others))
    free = shutil.disk_usage(run_dir).free
    if total > free:
        beside = f" of this cell and of {len(others)} others that are being trained" if others else ""
        fewer = ", or train fewer cells at a time (--jobs)" if others else ""
        raise OSError(
            f"The run folder's disk must have room for the checkpoints{beside}: expected {total:,} bytes, got {free:,} "
            f"bytes free ({run_dir}). Make room there, or choose a folder on another disk (hydra.run.dir=FOLDER; --out of "
            f"a grid){fewer}."
        )


def _present(run_dir: Path) -> int:
    """Bytes of the checkpoints in a run folder; another process may replace them meanwhile."""
    n_bytes_there = 0
    for name in (BEST, LAST, PREVIOUS):
        with contextlib.suppress(FileNotFoundError):
            n_bytes_there += (run_dir / name).stat().st_size
    return n_bytes_there


def _running_beside(run_dir: Path) -> list[Path]:
    """Other cells of the run folder's grid that processes are training now; none where it is no cell of a grid."""
    run_dir = run_dir.absolute()
    if not is_cell(run_dir):
        return []
    return [path for path in cells_in(run_dir.parents[1]) if path != run_dir and state_of(path) == "running"]
