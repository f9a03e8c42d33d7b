"""Text alone: what the audio adds is the difference to it. Same hidden layer as the concatenation."""

from __future__ import annotations

import torch
from torch import nn

from erc.pooling import first_token


class TextOnly(nn.Module):
    """Text -> projection -> linear -> ReLU; the audio encoder is not even loaded.

    Args:
        audio_dim: Not used.
        text_dim: Width of the text encoder.
        projection_dim: The pooled vector is brought to this width.
        hidden_dim: Width of the result.
    """

    uses_audio = False
    uses_text = True

    def __init__(self, audio_dim: int, text_dim: int, projection_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projection = nn.Linear(text_dim, projection_dim)
        self.hidden = nn.Linear(projection_dim, hidden_dim)

    def forward(self, audio: None, audio_mask: None, text: torch.Tensor, text_mask: torch.Tensor) -> torch.Tensor:
        """(B, S, D_text), (B, S) -> (B, hidden_dim)."""
        return torch.relu(self.hidden(self.projection(first_token(text))))
