"""Views of the data set -> the loaders that Lightning asks for.

Processes that prepare batches (workers) end with the run, whatever they do: one that hangs, or that was stopped, is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from annotated_types import Ge
from torch.utils.data import DataLoader, Sampler

from erc.data import Collator, InputCollator, LengthBucketSampler
from erc.datasets import SegmentDataset
from erc.frozen import StateKind


class SegmentData(pl.LightningDataModule):
    """Training, validation and test loaders.

    The training loader is made anew every epoch (``trainer.reload_dataloaders_every_n_epochs=1``), because its order is a
    function of (seed, epoch). Several processes share each batch. No segment is evaluated twice.

    Args:
        train: Segments for training.
        valid: Segments on which the checkpoint is chosen.
        test: Segments on which metrics are reported.
        collate: Rows -> batch.
        seed: Seed of the order.
        batch_size: Segments per batch and process.
        num_workers: Processes that prepare batches; 0 prepares them in the training process, by a thread where there is a
            CUDA device.
        pool_batches: See ``LengthBucketSampler``.
        timeout_seconds: Longest wait for a batch of a worker, in seconds; then an error is raised.
        cache: Format of the hidden states that are read from disk in the place of audio and text; the program puts them into
            ``collate`` (``cached_inputs.py``). None for none.

    Raises:
        ValueError: A size is out of its range.
    """

    def __init__(
        self,
        train: SegmentDataset,
        valid: SegmentDataset,
        test: SegmentDataset,
        collate: Collator,
        seed: int,
        batch_size: Annotated[int, Ge(1)] = 8,
        num_workers: Annotated[int, Ge(0)] = 0,
        pool_batches: Annotated[int, Ge(1)] = 50,
        timeout_seconds: Annotated[int, Ge(1)] = 300,
        cache: StateKind | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0 or pool_batches < 1:
            raise ValueError(
                "dataloader: batch_size and pool_batches must be 1 or more, num_workers 0 or more: got "
                f"{batch_size}, {pool_batches}, {num_workers}."
            )
        self.train, self.valid, self.test, self.collate, self.seed = train, valid, test, collate, seed
        self.batch_size, self.num_workers, self.pool_batches = batch_size, num_workers, pool_batches
        self.timeout_seconds, self.cache = timeout_seconds, cache
        self._lengths = {id(part): part.ds.with_format("numpy")["n_samples"][:] for part in (train, valid, test)}

    def train_dataloader(self) -> DataLoader:
        """Batches of segments of similar length, in the order of this epoch."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Every segment once, sorted by length."""
        return self._loader(self.valid, shuffle=False)

    def test_dataloader(self) -> DataLoader:
        """Every segment once, sorted by length."""
        return self._loader(self.test, shuffle=False)

    def _loader(self, part: SegmentDataset, shuffle: bool) -> DataLoader:
        is_parallel = torch.distributed.is_available() and torch.distributed.is_initialized()
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        sampler = LengthBucketSampler(
            # What is cut off costs no time, so it does not count as length.
            lengths=self._lengths[id(part)].clip(max=self.collate.max_samples),
            batch_size=self.batch_size,
            seed=self.seed,
            epoch=epoch,
            pool_batches=self.pool_batches,
            shuffle=shuffle,
            n_processes=torch.distributed.get_world_size() if is_parallel else 1,
            process=torch.distributed.get_rank() if is_parallel else 0,
        )
        collate = self.collate.in_epoch(self.seed, epoch) if shuffle else self.collate
        return make_loader(part.ds, collate, sampler, self.num_workers, self.timeout_seconds)


def make_loader(
    ds: Any,
    collate: Collator | InputCollator,
    sampler: Sampler[list[int]],
    num_workers: int = 0,
    timeout_seconds: int = 120,
) -> DataLoader:
    """Loader over rows, with labels or without.

    Workers are spawned, not forked: a process that is forked after OpenMP has run can hang forever.

    Args:
        ds: ``datasets.Dataset`` with the columns that ``collate`` reads.
        collate: Rows -> batch.
        sampler: Yields lists of indices.
        num_workers: Processes that prepare batches; 0 prepares them in this process, by a thread where there is a CUDA device.
        timeout_seconds: Longest wait for a batch of a worker, in seconds; then an error is raised.

    Returns:
        A loader whose iterator raises a RuntimeError that says what to do where a worker died or gave no batch in time.
    """
    return _Loader(
        # dtype=None keeps int16 as int16; the default makes int64 of it
        ds.select_columns(collate.columns).with_format("numpy", dtype=None),
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        multiprocessing_context="spawn" if num_workers else None,
        timeout=timeout_seconds if num_workers else 0,
        pin_memory=torch.cuda.is_available(),
    )


class _Ahead:
    """Batches of an iterator, each prepared by a thread while the one before is worked on.

    While a card computes, this process waits for it, and the thread has the processor. It starts at once, where a worker
    that is spawned imports the whole package first, in every epoch.
    """

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="next-batch")
        self._next = self._thread.submit(next, batches, None)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._batches)

    def __next__(self) -> Any:
        try:
            batch = self._next.result()
        except BaseException:
            self._thread.shutdown(wait=False, cancel_futures=True)
            raise
        if batch is None:
            self._thread.shutdown()
            raise StopIteration
        self._next = self._thread.submit(next, self._batches, None)
        return batch


# --- workers ----------------------------------------------------------------------------------------------------------
_WORKERS: weakref.WeakSet[BaseProcess] = weakref.WeakSet()
"""Every worker of this process that is not yet forgotten."""


class _Loader(DataLoader):
    """A loader whose workers end when it fails, and that prepares a batch ahead where a card computes."""

    def __iter__(self) -> Any:
        batches = super().__iter__()
        if self.num_workers:
            return _Batches(batches, self.timeout)
        return _Ahead(batches) if torch.cuda.is_available() else batches


class _Batches:
    """The batches of one epoch; an error, and Ctrl-C, kill the workers.

    ``multiprocessing`` ends a worker with SIGTERM and waits for it at the end of the program, without a limit. A process that
    was stopped, or that waits for a disk, does not react to that signal; it does to SIGKILL.
    """

    def __init__(self, batches: Any, timeout_seconds: float) -> None:
        self._batches, self._timeout_seconds = batches, timeout_seconds
        self._workers: list[BaseProcess] = list(batches._workers)
        _WORKERS.update(self._workers)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._batches)

    def __next__(self) -> Any:
        try:
            return next(self._batches)
        except StopIteration:
            raise
        except RuntimeError as err:
            ended = [worker for worker in self._workers if worker.exitcode not in (None, 0)]
            kill(self._workers)
            if ended:
                codes = ", ".join(str(worker.exitcode) for worker in ended)
                raise RuntimeError(
                    f"Workers of the loader must live as long as the epoch: expected a batch, got the end of {len(ended)} of "
                    f"{len(self._workers)} (exit code {codes}; -9 is kill -9, or a system that was out of memory). Take fewer "
                    "(dataloader.num_workers; 0 takes none)."
                ) from err
            if "timed out" in str(err):
                raise RuntimeError(
                    f"A worker of the loader must give a batch in time: expected one within {self._timeout_seconds:g} s, got "
                    f"none. All {len(self._workers)} were killed. Does the disk answer? Else give them more time "
                    "(dataloader.timeout_seconds), or take none (dataloader.num_workers=0)."
                ) from err
            raise
        except BaseException:
            kill(self._workers)
            raise


def kill(workers: list[BaseProcess]) -> None:
    """Ends processes at once (SIGKILL), those too that hang or were stopped.

    Meanwhile torch's handler of SIGCHLD is off: it would raise an error about the workers that are killed here.
    """
    with _no_word_of_children():
        for worker in workers:
            with contextlib.suppress(ValueError):  # it is closed already
                worker.kill()
                worker.join(timeout=5)


@contextlib.contextmanager
def _no_word_of_children() -> Iterator[None]:
    """Within the block no Python code runs when a child ends; only the main thread may say so, and only there it would run."""
    handler = signal.getsignal(signal.SIGCHLD)
    if handler is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)


# registered after that of multiprocessing, whose module is imported above, so it runs before it
atexit.register(lambda: kill(list(_WORKERS)))
