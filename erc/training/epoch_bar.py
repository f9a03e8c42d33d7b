"""The progress bar of a single run on a terminal."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


class EpochBar(RichProgressBar):
    """Lightning's bar, which counts epochs from one, as the lines of ``EpochHistory`` do, and leaves no line behind."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)

    def _init_progress(self, trainer: pl.Trainer) -> None:
        super()._init_progress(trainer)
        if self.progress is not None:
            self.progress.live.transient = True

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1}/{self.trainer.max_epochs}"
