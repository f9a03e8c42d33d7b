"""Concatenation: the paper's first row. Both pooled, projected vectors side by side, then one hidden layer.

Source: Cho, Ryu and Wallraven (2023); 512 -> 256 -> ReLU in front of the heads.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Fusion
from erc.model.pooling import first_token, masked_mean


class Concat(Fusion):
    """Audio and text -> concatenation -> linear -> ReLU.

    Args:
        dims: Width of each encoder, by modality.
        projection_dim: Width of each of the two projected vectors.
        hidden_dim: Width of the result.
    """

    modalities = ("audio", "text")
    pools_first = True

    def __init__(self, dims: dict[str, int], projection_dim: Count, hidden_dim: Count) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.audio_projection = nn.Linear(dims["audio"], projection_dim)
        self.text_projection = nn.Linear(dims["text"], projection_dim)
        self.hidden = nn.Linear(2 * projection_dim, hidden_dim)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Audio (B, T, D_audio) with mask (B, T), text (B, S, D_text) -> (B, hidden_dim)."""
        audio_vector = self.audio_projection(masked_mean(sequences["audio"], masks["audio"]))  # (B, P)
        text_vector = self.text_projection(first_token(sequences["text"]))  # (B, P)
        return torch.relu(self.hidden(torch.cat([audio_vector, text_vector], dim=1)))
