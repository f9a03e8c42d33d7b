"""Predictions of the selected epoch, kept from its validation: a fold that was just validated is not predicted once more."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint


class _Validation(NamedTuple):
    step: int
    n_segments: int
    predictions: dict[str, np.ndarray] | None
    """None on other ranks than 0."""


class SelectedPredictions(pl.Callback):
    """Keeps what the validation of the selected epoch predicted.

    The predictions of two epochs at most are in memory: the newest, and the selected one so far. A run that goes on from a
    checkpoint does not have those of the epochs before it.
    """

    def __init__(self) -> None:
        self._selected: _Validation | None = None
        self._newest: _Validation | None = None
        self._score_before: float | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Keeps the newest predictions; the module has ``valid_predictions``, as an ``EmotionModule`` does."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._settle(trainer)
        found = pl_module.valid_predictions
        kept = found if trainer.is_global_zero else None
        self._newest = _Validation(trainer.global_step, len(found["segment_id"]), kept)
        self._score_before = _best_score(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Settles whether the last epoch is the selected one."""
        self._settle(trainer)
        self._newest = None

    def _settle(self, trainer: pl.Trainer) -> None:
        """The newest validation is of the selected epoch if a checkpoint was chosen since."""
        if self._newest is not None and _best_score(trainer) != self._score_before:
            self._selected = self._newest

    def holds(self, step: int, n_segments: int) -> bool:
        """Whether the predictions of all these segments, by the weights after this step, are there; the same on every rank."""
        kept = self._selected
        return kept is not None and (kept.step, kept.n_segments) == (step, n_segments)

    def take(self) -> dict[str, np.ndarray] | None:
        """The predictions, as ``EmotionModule.gathered`` gives them; None on other ranks than 0."""
        return None if self._selected is None else self._selected.predictions


def _best_score(trainer: pl.Trainer) -> float | None:
    """What the checkpoint that is selected so far scored."""
    savers = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]
    score = next((one.best_model_score for one in savers if one.monitor is not None), None)
    return None if score is None else float(score)
