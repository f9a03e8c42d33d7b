"""Cross-attention of three: each modality attends to the two others together, once; nothing attends to padding.

The paper's cross-attention (``cross_attention.py``) with a third modality. This project's own; the paper has two modalities.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Dropout, Fusion
from erc.model.fusion.cross_attention import attention_of, projection_to
from erc.model.pooling import pooled


class CrossAttention3(Fusion):
    """Audio, text and bio-signals attend to each other; the three results are pooled and pass one hidden layer together.

    Args:
        dims: Width of each encoder, by modality.
        attention_dim: Width of the attention; an encoder of another width is projected to it.
        n_heads: Number of attention heads.
        hidden_dim: Width of the result.
        dropout: Dropout before and after the hidden layer.

    Raises:
        ValueError: ``n_heads`` does not divide ``attention_dim``.
    """

    modalities = ("audio", "text", "signals")

    def __init__(
        self, dims: dict[str, int], attention_dim: Count, n_heads: Count, hidden_dim: Count, dropout: Dropout
    ) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.projections = nn.ModuleDict({name: projection_to(attention_dim, dims[name]) for name in self.modalities})
        self.attentions = nn.ModuleDict({name: attention_of(attention_dim, n_heads) for name in self.modalities})
        self.norms = nn.ModuleDict({name: nn.LayerNorm(attention_dim) for name in self.modalities})
        self.hidden = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(3 * attention_dim, hidden_dim), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Sequences (B, T, D) and masks (B, T) of the three -> (B, hidden_dim)."""
        projected = {name: self.projections[name](sequences[name]) for name in self.modalities}
        attended = {}
        for name in self.modalities:
            others = [other for other in self.modalities if other != name]
            keys = torch.cat([projected[other] for other in others], dim=1)
            is_real = torch.cat([masks[other] for other in others], dim=1)
            # Of the text only the first token's result is used, so only the first token is the query.
            query = projected[name][:, :1] if name == "text" else projected[name]
            found, _ = self.attentions[name](query, keys, keys, key_padding_mask=~is_real, need_weights=False)
            attended[name] = self.norms[name](query + found)
        vectors = pooled(attended, masks)
        return self.hidden(torch.cat([vectors[name] for name in self.modalities], dim=1))
