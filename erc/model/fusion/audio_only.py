"""Audio alone. The difference to a fusion of both shows what the text adds. Same hidden layer as the concatenation."""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Fusion
from erc.model.pooling import masked_mean


class AudioOnly(Fusion):
    """Audio -> projection -> linear -> ReLU. The text encoder is not loaded.

    Args:
        dims: Width of each encoder, by modality.
        projection_dim: Width of the projected audio vector.
        hidden_dim: Width of the result.
    """

    modalities = ("audio",)
    pools_first = True

    def __init__(self, dims: dict[str, int], projection_dim: Count, hidden_dim: Count) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projection = nn.Linear(dims["audio"], projection_dim)
        self.hidden = nn.Linear(projection_dim, hidden_dim)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Audio (B, T, D_audio) and its mask (B, T) -> (B, hidden_dim)."""
        return torch.relu(self.hidden(self.projection(masked_mean(sequences["audio"], masks["audio"]))))
