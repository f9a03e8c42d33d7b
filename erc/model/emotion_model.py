"""Encoders -> fusion -> heads. A model predicts: no label, no loss, no metric here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from erc.data import Inputs
from erc.labels import LabelSpace
from erc.model.encoders import Encoder
from erc.model.fusion.base import Fusion
from erc.model.heads import Heads
from erc.model.missing import MissingModalities, ModalityDropout
from erc.model.products import speed_up


class Prediction(NamedTuple):
    """What the model says of B segments."""

    emotion_logits: torch.Tensor
    """(B, K)"""
    va: torch.Tensor
    """(B, R) the dimensions of the label space (valence, arousal) on the raters' scale, not clipped; R may be 0."""
    embedding: torch.Tensor
    """(B, D) the vector that the heads read."""

    def probabilities(self) -> torch.Tensor:
        """(B, K) float64: the soft-max runs in it, so that the rows of predictions.csv sum to 1 in every digit."""
        return self.emotion_logits.double().softmax(dim=-1)


class EmotionModel(nn.Module):
    """Emotion and valence-arousal of a segment from the modalities that the fusion reads.

    Args:
        encoders: Builds the encoder of each modality. Those that the fusion does not read are not called.
        fusion: Class of the fusion, or a ``functools.partial`` of it that lacks ``dims`` only.
        label_space: What is predicted: emotions in their order, dimensions and their scale.
        modality_dropout: Chance with which a segment loses a modality in a training step; see ``MissingModalities``.

    Attributes:
        label_space: As given.
        encoders: The encoders that were built, by modality.
        missing: Replaces what a segment lacks, by the same rule for all fusions.
        unused: Modalities that were offered and that the fusion does not read.
        fusion_options: ``name`` of the fusion's class and its arguments without ``dims``; what a saved model needs.

    Raises:
        ValueError: There is no encoder for a modality that the fusion reads.
    """

    def __init__(
        self,
        encoders: dict[str, Callable[[], Encoder]],
        fusion: Callable[..., Fusion],
        label_space: LabelSpace,
        modality_dropout: ModalityDropout = 0.0,
    ) -> None:
        super().__init__()
        self.label_space = label_space
        fusion_class: Any = getattr(fusion, "func", fusion)  # a functools.partial has its class in func
        modalities: tuple[str, ...] = fusion_class.modalities
        lacking = [modality for modality in modalities if modality not in encoders]
        if lacking:
            raise ValueError(
                f"Each modality of the fusion must have an encoder: expected {', '.join(modalities)}, got "
                f"{', '.join(encoders) or 'none'}. Add encoders.{lacking[0]}, or choose another fusion."
            )
        self.unused = tuple(modality for modality in encoders if modality not in modalities)
        # built in this order, so that one seed always gives the same weights
        built = {modality: encoders[modality]() for modality in modalities}
        self.encoders = nn.ModuleDict(built)
        dims = {modality: encoder.dim for modality, encoder in built.items()}
        self.fusion = fusion(dims=dims)
        self.fusion_options = {"name": fusion_class.__name__, **arguments_of(fusion_class, fusion)}
        self.heads = Heads(self.fusion.dim, label_space)
        self.missing = MissingModalities(dims, modality_dropout)
        speed_up(self)

    def parts(self) -> dict[str, nn.Module]:
        """Encoders by modality, ``fusion`` and ``heads``: the names that ``optim.lr`` uses."""
        return {**self.encoders, "fusion": self.fusion, "heads": self.heads}

    def forward(self, inputs: Inputs) -> Prediction:
        """Inputs by modality -> ``Prediction``. Modalities that the fusion does not read are ignored.

        A segment lacks a modality where its mask is False everywhere; ``missing.py`` says what is read then. A modality for
        which the model has learned that may be left out of the inputs.

        Raises:
            ValueError: A modality that the fusion reads is not there, and the model has not learned to do without it.
        """
        given = [modality for modality in self.encoders if modality in inputs]
        lacking = [modality for modality in self.encoders if modality not in inputs]
        if not given or len(self.missing.may_be_left_out(lacking)) < len(lacking):
            raise ValueError(
                f"Inputs must hold every modality that the fusion reads: expected {', '.join(self.encoders)}, got "
                f"{', '.join(inputs) or 'none'}. Give the rows a column for {lacking[0]}, and the collator its processor."
            )
        sequences, masks, present = {}, {}, {}
        for modality in given:
            values, mask = inputs[modality]["values"], inputs[modality]["mask"]
            sequences[modality], masks[modality] = self.encoders[modality](values, mask)
            present[modality] = mask.flatten(start_dim=1).any(dim=1)
        for modality in lacking:
            absent = torch.zeros_like(present[given[0]])
            sequences[modality] = self.missing.replacements[modality].expand(absent.shape[0], 1, -1)
            masks[modality], present[modality] = absent.unsqueeze(1), absent
        fused = self.fusion(*self.missing(sequences, masks, present))
        emotion_logits, va = self.heads(fused)
        return Prediction(emotion_logits, va, fused)


def arguments_of(fusion_class: Any, fusion: Any) -> dict[str, Any]:
    """Arguments that a fusion is made with, those by default as well, without ``dims``."""
    given = inspect.signature(fusion_class).bind_partial(**getattr(fusion, "keywords", {}))
    given.apply_defaults()
    return {name: value for name, value in given.arguments.items() if name != "dims"}
