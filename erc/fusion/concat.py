"""Concatenation: the paper's first row. Both pooled, projected vectors side by side, then one hidden layer.

Source: Cho, Ryu and Wallraven (2023); 512 -> 256 -> ReLU in front of the heads.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.pooling import first_token, masked_mean


class Concat(nn.Module):
    """Audio and text -> concatenation -> linear -> ReLU.

    Args:
        audio_dim: Width of the audio encoder.
        text_dim: Width of the text encoder.
        projection_dim: Both pooled vectors are brought to this width.
        hidden_dim: Width of the result.
    """

    uses_audio = True
    uses_text = True

    def __init__(self, audio_dim: int, text_dim: int, projection_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.audio_projection = nn.Linear(audio_dim, projection_dim)
        self.text_projection = nn.Linear(text_dim, projection_dim)
        self.hidden = nn.Linear(2 * projection_dim, hidden_dim)

    def forward(
        self, audio: torch.Tensor, audio_mask: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor
    ) -> torch.Tensor:
        """(B, T, D_audio), (B, T), (B, S, D_text), (B, S) -> (B, hidden_dim)."""
        audio_vector = self.audio_projection(masked_mean(audio, audio_mask))  # (B, P)
        text_vector = self.text_projection(first_token(text))  # (B, P)
        return torch.relu(self.hidden(torch.cat([audio_vector, text_vector], dim=1)))
