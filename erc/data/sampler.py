"""The order of the batches: segments of similar length together, shuffled by seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class LengthBucketSampler(Sampler[list[int]]):
    """Batches of segments of similar length, in random order.

    Segments are shuffled and cut into pools of ``pool_batches`` batches. Each pool is sorted by length and cut into
    batches. Then the batches are shuffled. The cost of a batch grows with its longest segment, so similar lengths waste
    little work on padding. The order depends on (seed, epoch) alone: a resumed run sees the batches that the
    uninterrupted run would have seen.

    Several processes share each batch of ``batch_size * n_processes`` segments. Together they take the same steps as one
    process with that batch size. In training, each process gets equally many segments of a batch. The remainder is left out
    in this epoch.

    Args:
        lengths: Number of samples of each segment.
        batch_size: Segments per batch and process; the last batch may be smaller.
        seed: Seed of the order.
        epoch: Epoch of the order, from 0.
        pool_batches: Batches per pool; a larger pool wastes less padding and mixes lengths less.
        shuffle: False gives sorted batches in sorted order (for evaluation), with every segment once.
        n_processes: Number of processes that share a batch.
        process: Index of this process, from 0.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int = 42,
        epoch: int = 0,
        pool_batches: int = 50,
        shuffle: bool = True,
        n_processes: int = 1,
        process: int = 0,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size, self.seed, self.epoch = batch_size * n_processes, seed, epoch
        self.pool_batches, self.shuffle = pool_batches, shuffle
        self.n_processes, self.process = n_processes, process

    def __len__(self) -> int:
        """Number of batches of this process."""
        n_whole, rest = divmod(len(self.lengths), self.batch_size)
        has_share = rest >= self.n_processes if self.shuffle else rest > self.process
        return n_whole + has_share

    def __iter__(self) -> Iterator[list[int]]:
        """Lists of indices, one list per batch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        n = len(self.lengths)
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        pool = self.batch_size * self.pool_batches if self.shuffle else max(n, 1)
        batches: list[list[int]] = []
        for start in range(0, n, pool):
            indices = order[start : start + pool]
            indices = indices[np.argsort(self.lengths[indices], kind="stable")]
            batches += [indices[i : i + self.batch_size].tolist() for i in range(0, len(indices), self.batch_size)]
        if self.shuffle:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        for batch in batches:
            # Training needs equal shares: otherwise the mean of the processes' losses is not the mean of the batch.
            shared = len(batch) // self.n_processes * self.n_processes if self.shuffle else len(batch)
            share = batch[self.process : shared : self.n_processes]
            if share:
                yield share
