"""Audio alone: what the text adds is the difference to it. Same hidden layer as the concatenation."""

from __future__ import annotations

import torch
from torch import nn

from erc.pooling import masked_mean


class AudioOnly(nn.Module):
    """Audio -> projection -> linear -> ReLU; the text encoder is not even loaded.

    Args:
        audio_dim: Width of the audio encoder.
        text_dim: Not used.
        projection_dim: The pooled vector is brought to this width.
        hidden_dim: Width of the result.
    """

    uses_audio = True
    uses_text = False

    def __init__(self, audio_dim: int, text_dim: int, projection_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projection = nn.Linear(audio_dim, projection_dim)
        self.hidden = nn.Linear(projection_dim, hidden_dim)

    def forward(self, audio: torch.Tensor, audio_mask: torch.Tensor, text: None, text_mask: None) -> torch.Tensor:
        """(B, T, D_audio), (B, T) -> (B, hidden_dim)."""
        return torch.relu(self.hidden(self.projection(masked_mean(audio, audio_mask))))
