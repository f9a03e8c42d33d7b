"""Bio-signals alone. The difference to a fusion with them shows what the others add. Same hidden layer as the concatenation."""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Fusion
from erc.model.pooling import masked_mean


class SignalsOnly(Fusion):
    """Bio-signals -> projection -> linear -> ReLU. No other encoder is loaded.

    Args:
        dims: Width of each encoder, by modality.
        projection_dim: Width of the projected vector.
        hidden_dim: Width of the result.
    """

    modalities = ("signals",)
    pools_first = True

    def __init__(self, dims: dict[str, int], projection_dim: Count, hidden_dim: Count) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projection = nn.Linear(dims["signals"], projection_dim)
        self.hidden = nn.Linear(projection_dim, hidden_dim)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Signals (B, T, D_signals) and their mask (B, T) -> (B, hidden_dim)."""
        return torch.relu(self.hidden(self.projection(masked_mean(sequences["signals"], masks["signals"]))))
