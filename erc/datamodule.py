"""Views of the data set -> the loaders that Lightning asks for."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from erc.batch import Collator, LengthBucketSampler, make_loader
from erc.datasets import HF_KEMD


class SegmentData(pl.LightningDataModule):
    """Training, validation and test loaders.

    The training loader is made anew every epoch (``trainer.reload_dataloaders_every_n_epochs=1``), its order being a
    function of (seed, epoch). Several processes share each batch, and no segment is evaluated twice.

    Args:
        train: Training segments.
        valid: Segments that choose the checkpoint.
        test: Segments that are reported.
        collate: Rows -> batch.
        seed: Of the order.
        batch_size: Segments a batch (of each process).
        num_workers: Processes that prepare batches; 0 stays in the training process.
        pool_batches: See ``LengthBucketSampler``.
        timeout_seconds: A worker that is silent for so long raises an error.

    Raises:
        ValueError: A size out of its range.
    """

    def __init__(
        self,
        train: HF_KEMD,
        valid: HF_KEMD,
        test: HF_KEMD,
        collate: Collator,
        seed: int,
        batch_size: int = 8,
        num_workers: int = 0,
        pool_batches: int = 50,
        timeout_seconds: int = 300,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0 or pool_batches < 1:
            raise ValueError(
                "dataloader: batch_size and pool_batches must be 1 or more, num_workers 0 or more: got "
                f"{batch_size}, {pool_batches}, {num_workers}."
            )
        self.train, self.valid, self.test, self.collate, self.seed = train, valid, test, collate, seed
        self.batch_size, self.num_workers, self.pool_batches = batch_size, num_workers, pool_batches
        self.timeout_seconds = timeout_seconds
        self._lengths = {id(part): part.ds.with_format("numpy")["n_samples"][:] for part in (train, valid, test)}

    def train_dataloader(self) -> DataLoader:
        """Batches of like length in the order of this epoch."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Every segment once, sorted by length."""
        return self._loader(self.valid, shuffle=False)

    def test_dataloader(self) -> DataLoader:
        """Every segment once, sorted by length."""
        return self._loader(self.test, shuffle=False)

    def _loader(self, part: HF_KEMD, shuffle: bool) -> DataLoader:
        is_parallel = torch.distributed.is_available() and torch.distributed.is_initialized()
        sampler = LengthBucketSampler(
            # what is cut off costs nothing, so it must not count
            lengths=self._lengths[id(part)].clip(max=self.collate.max_samples),
            batch_size=self.batch_size,
            seed=self.seed,
            epoch=self.trainer.current_epoch if self.trainer is not None else 0,
            pool_batches=self.pool_batches,
            shuffle=shuffle,
            n_processes=torch.distributed.get_world_size() if is_parallel else 1,
            process=torch.distributed.get_rank() if is_parallel else 0,
        )
        return make_loader(part.ds, self.collate, sampler, self.num_workers, self.timeout_seconds)
