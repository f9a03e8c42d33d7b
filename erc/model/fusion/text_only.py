"""Text alone. The difference to a fusion of both shows what the audio adds. Same hidden layer as the concatenation."""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Fusion
from erc.model.pooling import first_token


class TextOnly(Fusion):
    """Text -> projection -> linear -> ReLU. The audio encoder is not loaded.

    Args:
        dims: Width of each encoder, by modality.
        projection_dim: Width of the projected text vector.
        hidden_dim: Width of the result.
    """

    modalities = ("text",)
    pools_first = True

    def __init__(self, dims: dict[str, int], projection_dim: Count, hidden_dim: Count) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projection = nn.Linear(dims["text"], projection_dim)
        self.hidden = nn.Linear(projection_dim, hidden_dim)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Text (B, S, D_text) -> (B, hidden_dim)."""
        return torch.relu(self.hidden(self.projection(first_token(sequences["text"]))))
