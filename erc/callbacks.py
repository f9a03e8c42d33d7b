"""What happens around training: a line and a row per epoch, loggers that may fail, checkpoints that are whole or not there.

The history rides in the checkpoint, so a resumed run continues it.
"""

from __future__ import annotations

import csv
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.io import TorchCheckpointIO

SHOWN = ("weighted_f1", "ccc_valence", "ccc_arousal")


class EpochHistory(pl.Callback):
    """Keeps one row of figures per epoch, writes them to ``metrics.csv`` and prints the main ones.

    Args:
        path: The csv file; rewritten whole after every epoch.

    Attributes:
        rows: One dictionary per epoch: epoch (from 0), step, seconds (since training began, sum over resumed runs),
            train/loss, train/loss_emotion, train/loss_va (means over segments), valid/<metric>.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict] = []
        self._seconds_before = 0.0
        self._sums: dict[str, float] = {}
        self._n = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock; a run that had stopped early when it was interrupted does not take another epoch."""
        self._started = time.monotonic()
        for callback in trainer.early_stopping_callbacks:
            if callback.wait_count >= callback.patience:
                trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the means anew."""
        self._sums, self._n = {}, 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Adds the batch's losses."""
        n = len(batch["segment_id"])
        for name in ("loss", "loss_emotion", "loss_va"):
            self._sums[name] = self._sums.get(name, 0.0) + n * outputs[name].detach()
        self._n += n

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the epoch's row."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        losses, n = _over_processes(self._sums, self._n)
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": round(self._seconds_before + time.monotonic() - self._started, 2),
            **{f"train/{name}": value / max(1, n) for name, value in losses.items()},
            **{f"valid/{name}": value for name, value in pl_module.valid_metrics.items()},
        }
        self.rows = [*(known for known in self.rows if known["epoch"] < row["epoch"]), row]
        if trainer.is_global_zero:
            self._write()
            shown = "  ".join(f"{name} {row.get(f'valid/{name}', float('nan')):.3f}" for name in SHOWN)
            print(
                f"epoch {row['epoch'] + 1}/{trainer.max_epochs}  train loss {row.get('train/loss', float('nan')):.3f}  "
                f"valid {shown}  {row['seconds']:.0f} s",
                flush=True,
            )

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[-1]), restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(temporary, self.path)

    def state_dict(self) -> dict:
        """Goes into the checkpoint."""
        seconds = self.rows[-1]["seconds"] if self.rows else 0.0
        return {"rows": self.rows, "seconds": seconds}

    def load_state_dict(self, state_dict: dict) -> None:
        """Comes from the checkpoint."""
        self.rows, self._seconds_before = list(state_dict["rows"]), float(state_dict["seconds"])


def _over_processes(sums: dict[str, torch.Tensor], n: int) -> tuple[dict[str, float], int]:
    """Sums of all processes together."""
    if not torch.distributed.is_initialized():
        return {name: float(value) for name, value in sums.items()}, n
    parts = [value.double() for value in sums.values()]
    together = torch.stack([*parts, torch.full_like(parts[0], n)])
    torch.distributed.all_reduce(together)
    return dict(zip(sums, together[:-1].tolist(), strict=True)), int(together[-1])


class DispensableLogger(Logger):
    """Passes everything on to another logger until that one raises: then it warns once, and training goes on without it.

    A run of days does not end because a tracking service does; the run folder has all figures anyway.

    Args:
        logger: The other one.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self.logger = logger
        self.is_working = True

    def _try(self, do: Callable[[], object], otherwise: object = None) -> object:
        if not self.is_working:
            return otherwise
        try:
            return do()
        except Exception as err:
            self.is_working = False
            warnings.warn(
                f"{type(self.logger).__name__} failed and is left out from here on; training goes on, and the run folder has all "
                f"figures. {type(err).__name__}: {err}",
                stacklevel=3,
            )
            return otherwise

    @property
    def name(self) -> str | None:
        """Of the experiment."""
        return self._try(lambda: self.logger.name)

    @property
    def version(self) -> int | str | None:
        """Of the experiment."""
        return self._try(lambda: self.logger.version)

    @property
    def save_dir(self) -> str | None:
        """Where the other one writes."""
        return self._try(lambda: self.logger.save_dir)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Figures of one step."""
        self._try(lambda: self.logger.log_metrics(metrics, step))

    def log_hyperparams(self, params: dict, *args, **kwargs) -> None:
        """Options of the run."""
        self._try(lambda: self.logger.log_hyperparams(params, *args, **kwargs))

    def log_graph(self, model: torch.nn.Module, input_array: torch.Tensor | None = None) -> None:
        """The model."""
        self._try(lambda: self.logger.log_graph(model, input_array))

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """A checkpoint was written."""
        self._try(lambda: self.logger.after_save_checkpoint(checkpoint_callback))

    def save(self) -> None:
        """Everything so far."""
        self._try(self.logger.save)

    def finalize(self, status: str) -> None:
        """The run has ended."""
        self._try(lambda: self.logger.finalize(status))


class RunCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback that goes on in another folder as well.

    A run resumed from another run's ``last.ckpt`` takes the selected checkpoint along; Lightning by itself forgets how good
    it was, and would select among the later epochs only.
    """

    def load_state_dict(self, state_dict: dict) -> None:
        """Comes from the checkpoint.

        Raises:
            FileNotFoundError: The checkpoint selected so far is not beside the one that is resumed from any more.
        """
        before = state_dict.get("dirpath", self.dirpath)
        if before != self.dirpath and self.monitor is not None and state_dict["best_model_path"]:
            best = Path(state_dict["best_model_path"])
            if not best.is_file():
                raise FileNotFoundError(
                    f"A run that goes on elsewhere takes its selected checkpoint along: {best} is not there. Put it back, or "
                    "start afresh (ckpt_path=null)."
                )
            Path(self.dirpath).mkdir(parents=True, exist_ok=True)
            moved = str(Path(self.dirpath) / best.name)
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
    """Writes a checkpoint beside its name and renames it, so that a kill leaves the old one or the new one.

    Lightning stages in the temporary directory, which may be another disk: its move is then a copy, and a copy can be
    cut off half-way.
    """

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: object = None) -> None:
        """Saves atomically.

        Raises:
            OSError: The disk is full, or the folder cannot be written to; an older checkpoint of that name is untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.tmp-*"):
            leftover.unlink(missing_ok=True)
        temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except (OSError, RuntimeError) as err:
            temporary.unlink(missing_ok=True)
            raise OSError(
                f"The checkpoint {path} could not be written ({err}). Make room on that disk, or set run_dir to another; "
                "the checkpoint before it is untouched."
            ) from err
