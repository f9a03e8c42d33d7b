"""One row of figures and one line on the terminal per epoch.

The history is kept in the checkpoint, so that a resumed run continues it.
"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from erc.files import write_atomically

SHOWN = ("weighted_f1", "ccc_valence", "ccc_arousal")
"""On the line of an epoch, behind the metric that chooses the checkpoint."""


class EpochHistory(pl.Callback):
    """Keeps one row of figures per epoch, writes them to ``metrics.csv`` and prints the main ones.

    Args:
        path: The csv file; rewritten whole after every epoch.

    Attributes:
        rows: One dictionary per epoch: epoch (from 0), step, seconds (since training began, sum over resumed runs),
            train/loss, train/loss_emotion, train/loss_va, the same of valid/ (means over segments), valid/<metric>.
        fingerprint: Of the run, see ``erc.training.identity``; it goes into the checkpoint with the rows.
        identity: Content of the run's ``identity.json``; it goes into the checkpoint, too. So a checkpoint says by itself
            which run it is of.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict] = []
        self.fingerprint = ""
        self.identity = ""
        self._seconds_before = 0.0
        self._train = _Means()
        self._valid = _Means()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock. A run that was interrupted after it had stopped early takes no further epoch."""
        self._started = time.monotonic()
        for callback in trainer.early_stopping_callbacks:
            if callback.wait_count >= callback.patience:
                trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Resets the means."""
        self._train = _Means()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds the batch's losses."""
        self._train.add(outputs, len(batch["segment_id"]))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Resets the means."""
        self._valid = _Means()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Adds the batch's losses."""
        self._valid.add(outputs, len(batch["segment_id"]))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Adds the epoch's row; the module has ``valid_metrics``, as an ``EmotionModule`` does."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": round(self._seconds_before + time.monotonic() - self._started, 2),
            **{f"train/{name}": value for name, value in self._train.over_processes().items()},
            **{f"valid/{name}": value for name, value in self._valid.over_processes().items()},
            **{f"valid/{name}": value for name, value in pl_module.valid_metrics.items()},
        }
        self.rows = [*(known for known in self.rows if known["epoch"] < row["epoch"]), row]
        if trainer.is_global_zero:
            self._write()
            print(self._line(trainer), flush=True)

    def _line(self, trainer: pl.Trainer) -> str:
        """The last epoch on the terminal; the metric that chooses the checkpoint comes first, with a mark on a new best."""
        row = self.rows[-1]
        shown = {name: f"{row[f'valid/{name}']:.3f}" for name in SHOWN if f"valid/{name}" in row}
        savers = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]
        # under protocol=last the epoch itself is monitored: no metric chooses
        chooser = next((one for one in savers if one.monitor in row and one.monitor != "epoch"), None)
        if chooser is not None:
            metric = str(chooser.monitor)
            values = [known[metric] for known in self.rows if metric in known]
            is_best = len(values) < 2 or _is_better(values[-1], values[:-1], chooser.mode)
            mark = " (best)" if is_best else ""
            shown = {metric.removeprefix("valid/"): f"{row[metric]:.3f}{mark}"} | shown
        figures = "  ".join(f"{name} {value}" for name, value in shown.items())
        return (
            f"epoch {row['epoch'] + 1}/{trainer.max_epochs}  train loss {row.get('train/loss', float('nan')):.3f}  "
            f"valid {figures}  {row['seconds']:.0f} s"
        )

    def _write(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(self.rows[-1]), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, text.getvalue())

    def state_dict(self) -> dict:
        """What the checkpoint keeps."""
        seconds = self.rows[-1]["seconds"] if self.rows else 0.0
        return {"rows": self.rows, "seconds": seconds, "fingerprint": self.fingerprint, "identity": self.identity}

    def load_state_dict(self, state_dict: dict) -> None:
        """Takes over what a checkpoint kept."""
        self.rows, self._seconds_before = list(state_dict["rows"]), float(state_dict["seconds"])


def _is_better(value: float, before: list[float], mode: str) -> bool:
    return value > max(before) if mode == "max" else value < min(before)


class _Means:
    """Losses of an epoch: means over segments."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.n = 0

    def add(self, losses: dict[str, torch.Tensor], n: int) -> None:
        """Adds those of a batch of so many segments."""
        for name in ("loss", "loss_emotion", "loss_va"):
            self.sums[name] = self.sums.get(name, 0.0) + n * losses[name].detach()
        self.n += n

    def over_processes(self) -> dict[str, float]:
        """The means over all processes."""
        sums, n = {name: float(value) for name, value in self.sums.items()}, self.n
        if self.sums and torch.distributed.is_initialized():
            parts = [value.double() for value in self.sums.values()]
            together = torch.stack([*parts, torch.full_like(parts[0], n)])
            torch.distributed.all_reduce(together)
            sums, n = dict(zip(sums, together[:-1].tolist(), strict=True)), int(together[-1])
        return {name: value / max(1, n) for name, value in sums.items()}
