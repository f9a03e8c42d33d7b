"""Where a network places the segments before it is trained: what "after training" is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.seed import isolate_rng

from erc.evaluation import write_embeddings


class UntrainedEmbeddings(pl.Callback):
    """Writes the vectors in front of the heads of the reported segments before the first step of training.

    It costs one pass over the reported fold, in float32. Training is not changed by it: generators of random numbers are put back. A run that
    goes on from a checkpoint keeps the file of its first start.

    Args:
        path: File of the vectors, of the form of ``embeddings.npz``.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Predicts the reported segments; the module gathers predictions of all processes, as an ``EmotionModule`` does."""
        if trainer.ckpt_path or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        was_training = pl_module.training
        pl_module.eval()
        with isolate_rng(), torch.inference_mode():
            pl_module.on_test_epoch_start()
            for index, batch in enumerate(trainer.datamodule.test_dataloader()):  # type: ignore[attr-defined]
                pl_module.test_step(trainer.strategy.batch_to_device(batch, pl_module.device), index)
            gathered = pl_module.gathered()
        pl_module.train(was_training)
        if trainer.is_global_zero:
            write_embeddings(self.path, gathered)
