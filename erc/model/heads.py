"""Fused vector -> emotion logits, and valence and arousal; one linear map each."""

from __future__ import annotations

import torch
from torch import nn

from erc.labels import N_EMOTIONS


class Heads(nn.Module):
    """Emotion logits in the order of ``EMOTIONS``; valence and arousal on the raters' scale of 1 to 5.

    Args:
        dim: Width of the fused vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.emotion = nn.Linear(dim, N_EMOTIONS)
        self.va = nn.Linear(dim, 2)

    def forward(self, fused: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fused vectors (B, D) -> emotion logits (B, K), valence and arousal (B, 2)."""
        return self.emotion(fused), self.va(fused)
