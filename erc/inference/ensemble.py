"""One model or several -> probabilities and dimensions of prepared segments. Several are averaged.

Shapes: N segments, K emotions, R dimensions, D width of an embedding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from erc.data import SAMPLE_RATE, InputCollator, inputs_on
from erc.labels import LabelSpace
from erc.model import SavedModel


class Predicted(NamedTuple):
    """What is said of N segments."""

    probabilities: np.ndarray
    """(N, K) float64, rows sum to 1."""
    va: np.ndarray
    """(N, R) float64, on the raters' scale, not clipped."""
    embedding: np.ndarray
    """(N, D) float32; of several models side by side, in their order."""


def contribution(
    whole: Predicted, probabilities: np.ndarray, va: np.ndarray, label_space: LabelSpace
) -> dict[str, float]:
    """What a modality adds to the likeliest emotion (``score``) and to each dimension: with it minus without it.

    Args:
        whole: Prediction of one segment with every modality.
        probabilities: (K,) without one of them.
        va: (R,) without it.
        label_space: Of the models.
    """
    best = int(np.argmax(whole.probabilities))
    dimensions = dict(zip(label_space.dimensions, (whole.va - va).tolist(), strict=True))
    return {"score": float(whole.probabilities[best] - probabilities[best]), **dimensions}


class Ensemble:
    """Models that answer as one: their probabilities and dimensions are averaged.

    Args:
        models: One or more, of one label space, which read the same modalities.
        device: As torch names it.

    Attributes:
        label_space: Of all of them.
        modalities: What they read of a recording: ``audio``, ``text`` or both.
        reads_signals: Whether one of them was trained with bio-signals, which nobody gives here.
        max_samples: Longest audio that the training of each of them read, at 16 kHz.
        training: Facts of the first one's training; see ``EmotionModelConfig``.

    Raises:
        ValueError: They differ in their questions or in what they read.
    """

    def __init__(self, models: list[SavedModel], device: str = "cpu") -> None:
        first = models[0].config
        self.label_space: LabelSpace = first.labels
        self.modalities: tuple[str, ...] = models[0].speech_modalities
        self.reads_signals = any("signals" in one.model.emotion_model.encoders for one in models)
        for i, one in enumerate(models[1:], start=2):
            if differing := self.label_space.differences(one.config.labels):
                raise ValueError(
                    f"Models are averaged over one label space: model {i} differs from the first in {'; '.join(differing)}."
                )
            if (modalities := one.speech_modalities) != self.modalities:
                raise ValueError(
                    f"Models that are averaged read the same: the first reads {' and '.join(self.modalities)}, model {i} reads "
                    f"{' and '.join(modalities)}."
                )
        self.max_samples = min(one.config.max_samples for one in models)
        self.training: dict[str, Any] = first.training or {}
        self.device = device
        self._models = [one.model.emotion_model.to(device).eval() for one in models]
        self._collators = [
            InputCollator(**one.processors, max_samples=self.max_samples, max_tokens=one.config.max_tokens)
            for one in models
        ]

    @property
    def max_seconds(self) -> float:
        """``max_samples`` in seconds."""
        return self.max_samples / SAMPLE_RATE

    def predict(self, rows: list[dict[str, Any]], batch_size: int, without: str | None = None) -> Predicted:
        """Predictions of segments, in their order, whatever they are batched with.

        Args:
            rows: Each ``segment_id``, and ``waveform`` (int16 at 16 kHz) and ``transcript`` as far as the models read them.
            batch_size: Segments a batch. Those of like length share one, so that little is padded.
            without: A modality that is removed: the models read in its place what they read where a segment lacks it.
        """
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].get("waveform", ())))
        parts = []
        for first in range(0, len(rows), batch_size):
            parts.append(self._batch([rows[i] for i in order[first : first + batch_size]], without))
        place = np.argsort(order)
        return Predicted(*(np.concatenate(one)[place] for one in zip(*parts, strict=True)))

    def _batch(self, rows: list[dict[str, Any]], without: str | None) -> Predicted:
        probabilities, va, embedding = [], [], []
        for model, collate in zip(self._models, self._collators, strict=True):
            inputs = inputs_on(self.device, collate(rows)["inputs"], without)
            with torch.inference_mode():
                prediction = model(inputs)
            probabilities.append(prediction.probabilities().cpu().numpy())
            va.append(prediction.va.double().cpu().numpy())
            embedding.append(prediction.embedding.float().cpu().numpy())
        return Predicted(np.mean(probabilities, axis=0), np.mean(va, axis=0), np.concatenate(embedding, axis=1))
