"""Concatenation of three: pooled, projected vectors of audio, text and bio-signals side by side, then one hidden layer.

The paper's concatenation (``concat.py``) with a third vector. This project's own; the paper has two modalities.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Fusion
from erc.model.pooling import pooled


class Concat3(Fusion):
    """Audio, text and bio-signals -> concatenation -> linear -> ReLU.

    Args:
        dims: Width of each encoder, by modality.
        projection_dim: Width of each of the three projected vectors.
        hidden_dim: Width of the result.
    """

    modalities = ("audio", "text", "signals")
    pools_first = True

    def __init__(self, dims: dict[str, int], projection_dim: Count, hidden_dim: Count) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projections = nn.ModuleDict({name: nn.Linear(dims[name], projection_dim) for name in self.modalities})
        self.hidden = nn.Linear(len(self.modalities) * projection_dim, hidden_dim)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Sequences (B, T, D) and masks (B, T) of the three -> (B, hidden_dim)."""
        vectors = pooled(sequences, masks)
        projected = [self.projections[name](vectors[name]) for name in self.modalities]  # (B, P) each
        return torch.relu(self.hidden(torch.cat(projected, dim=1)))
