"""Checkpoints that are whole or not there, and from which a run can go on in another folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from erc.files import atomic_file


class RunCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback; a run can go on in another folder.

    A run that goes on from the ``last.ckpt`` of another folder takes the selected checkpoint along. Lightning alone forgets
    how good that checkpoint was, and selects among the later epochs only.
    """

    def load_state_dict(self, state_dict: dict) -> None:
        """Takes over what a checkpoint kept.

        Raises:
            FileNotFoundError: The checkpoint that was selected so far is no longer beside the one that the run goes on from.
        """
        before = state_dict.get("dirpath", self.dirpath)
        if before != self.dirpath and self.monitor is not None and state_dict["best_model_path"]:
            best = Path(state_dict["best_model_path"])
            if not best.is_file():
                raise FileNotFoundError(
                    f"A run that goes on elsewhere takes its selected checkpoint along: {best} is not there. Put it back, or "
                    "start afresh (ckpt_path=null)."
                )
            folder = Path(self.dirpath or ".")
            folder.mkdir(parents=True, exist_ok=True)
            moved = str(folder / best.name)
            shutil.copyfile(best, moved)
            state_dict = state_dict | {
                "dirpath": self.dirpath,
                "best_model_path": moved,
                "kth_best_model_path": moved,
                "best_k_models": dict.fromkeys([moved], next(iter(state_dict["best_k_models"].values()), None)),
            }
        elif before != self.dirpath:
            state_dict = state_dict | {"dirpath": self.dirpath, "best_model_path": "", "best_k_models": {}}
        super().load_state_dict(state_dict)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file beside it and renames that, so that a kill leaves the old one or the new one.

    Lightning writes to the temporary directory first, which may be on another disk. Moving the file is then a copy, and a
    copy can be cut off half-way.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Saves a checkpoint.

        Raises:
            OSError: The disk is full, or the folder cannot be written to. An older checkpoint of that name is untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.tmp-*"):
            leftover.unlink(missing_ok=True)
        try:
            with atomic_file(path) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as err:  # torch raises RuntimeError on a full disk
            raise OSError(
                f"The checkpoint {path} could not be written ({err}). Make room on that disk, or set run_dir to another; "
                "the checkpoint before it is untouched."
            ) from err
