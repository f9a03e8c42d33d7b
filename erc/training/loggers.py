"""Loggers that may fail without ending the run."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

Value = TypeVar("Value")


class DispensableLogger(Logger):
    """Passes everything on to another logger. When that one raises, it warns once, and training goes on without it.

    A run of days must not end because a tracking service fails. The run folder has all figures anyway.

    Args:
        logger: The other logger.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self.logger = logger
        self.is_working = True

    def _try(self, do: Callable[[], Value]) -> Value | None:
        if not self.is_working:
            return None
        try:
            return do()
        except Exception as err:
            self.is_working = False
            warnings.warn(
                f"{type(self.logger).__name__} failed and is left out from here on; training goes on, and the run folder has all "
                f"figures. {type(err).__name__}: {err}",
                stacklevel=3,
            )
            return None

    @property
    def name(self) -> str | None:
        """Name of the experiment."""
        return self._try(lambda: self.logger.name)

    @property
    def version(self) -> int | str | None:
        """Version of the experiment."""
        return self._try(lambda: self.logger.version)

    @property
    def save_dir(self) -> str | None:
        """Folder that the other logger writes to."""
        return self._try(lambda: self.logger.save_dir)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Passes on the figures of one step."""
        self._try(lambda: self.logger.log_metrics(metrics, step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Passes on the options of the run."""
        self._try(lambda: self.logger.log_hyperparams(params, *args, **kwargs))

    def log_graph(self, model: torch.nn.Module, input_array: torch.Tensor | None = None) -> None:
        """Passes on the model."""
        self._try(lambda: self.logger.log_graph(model, input_array))

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Passes on that a checkpoint was written."""
        self._try(lambda: self.logger.after_save_checkpoint(checkpoint_callback))

    def save(self) -> None:
        """Saves everything so far."""
        self._try(self.logger.save)

    def finalize(self, status: str) -> None:
        """Passes on that the run has ended."""
        self._try(lambda: self.logger.finalize(status))
