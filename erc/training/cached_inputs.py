"""A run whose encoders have frozen layers -> a collator that reads what these layers give from disk (option ``dataloader.cache``)."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl

from erc.data import Collator
from erc.frozen import Computation, Segments, find_states
from erc.model import EmotionModel
from erc.training.loaders import SegmentData

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""Precisions in which the frozen layers can be run apart from training: the weights are float32."""


def with_cached_inputs(data: SegmentData, model: EmotionModel, trainer: pl.Trainer, cache_dir: str) -> Collator:
    """The collator of a run with the hidden states of its segments; computes those that are not on disk yet.

    Args:
        data: Loaders of the run.
        model: As training begins with it.
        trainer: Its device and precision count.
        cache_dir: Option ``dataset.cache_dir``.

    Raises:
        OSError: The disk has no room for them.
        ValueError: No encoder has frozen layers, or the precision is one in which they cannot be run apart.
    """
    assert data.cache is not None
    if trainer.precision not in PRECISIONS:
        raise ValueError(
            f"Frozen layers are run apart from training in float32 or in mixed precision: expected trainer.precision of "
            f"{', '.join(PRECISIONS)}, got {trainer.precision}. Choose one of these, or dataloader.cache=null."
        )
    views = (data.train, data.valid, data.test)
    segments = Segments(tuple(view.ds for view in views), data.train.fingerprint, data.collate.make_inputs)
    context = trainer.precision_plugin.forward_context
    computation = Computation(data.cache, trainer.strategy.root_device, trainer.precision, context)
    states = find_states(model, segments, computation, Path(cache_dir))
    return data.collate.with_states(states, states.stores)
