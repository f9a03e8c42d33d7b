"""Fused vector -> emotion logits and valence-arousal, one linear map each."""

from __future__ import annotations

import torch
from torch import nn

from erc.labels import N_EMOTIONS


class Heads(nn.Module):
    """(B, D) -> emotion logits (B, K) in the order of ``EMOTIONS``, valence and arousal (B, 2) on the raters' scale.

    Args:
        dim: Width of the fused vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.emotion = nn.Linear(dim, N_EMOTIONS)
        self.va = nn.Linear(dim, 2)

    def forward(self, fused: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Emotion logits (B, K) and valence-arousal (B, 2)."""
        return self.emotion(fused), self.va(fused)
