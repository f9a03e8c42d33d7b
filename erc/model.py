"""Encoders -> fusion -> heads. A model predicts: no label, no loss, no metric here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from erc.encoders import AudioEncoder, TextEncoder
from erc.heads import Heads


class Prediction(NamedTuple):
    """What the model says of B segments."""

    emotion_logits: torch.Tensor
    """(B, K)"""
    va: torch.Tensor
    """(B, 2) valence, arousal on the raters' scale of 1 to 5, not clipped."""
    embedding: torch.Tensor
    """(B, D) the vector that the heads read."""


class EmotionModel(nn.Module):
    """Emotion and valence-arousal of a segment from its audio and its transcript.

    Args:
        audio_encoder: Builds the audio encoder; called only where the fusion uses audio.
        text_encoder: Builds the text encoder; called only where the fusion uses text.
        fusion: Builds the fusion from ``audio_dim`` and ``text_dim``.
    """

    def __init__(
        self,
        audio_encoder: Callable[[], AudioEncoder],
        text_encoder: Callable[[], TextEncoder],
        fusion: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        cls = getattr(fusion, "func", fusion)
        self.audio_encoder = audio_encoder() if cls.uses_audio else None
        self.text_encoder = text_encoder() if cls.uses_text else None
        self.fusion = fusion(
            audio_dim=self.audio_encoder.dim if self.audio_encoder else 0,
            text_dim=self.text_encoder.dim if self.text_encoder else 0,
        )
        self.heads = Heads(self.fusion.dim)

    def forward(
        self,
        waveform: torch.Tensor,
        waveform_mask: torch.Tensor,
        token_ids: torch.Tensor,
        token_mask: torch.Tensor,
    ) -> Prediction:
        """(B, L) float32, (B, L) bool, (B, S) int64, (B, S) bool -> ``Prediction``; see ``batch.Batch``."""
        audio, audio_mask = self.audio_encoder(waveform, waveform_mask) if self.audio_encoder else (None, None)
        text, text_mask = self.text_encoder(token_ids, token_mask) if self.text_encoder else (None, None)
        fused = self.fusion(audio, audio_mask, text, text_mask)
        emotion_logits, va = self.heads(fused)
        return Prediction(emotion_logits, va, fused)
