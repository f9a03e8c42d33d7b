"""Cross-attention: the paper's second row. Each modality attends to the other once; padding is never attended to.

Source: Cho, Ryu and Wallraven (2023): one layer each way, 8 heads, width 1024. The paper does not say what a layer holds.
Here a layer is the multi-head attention of Vaswani et al. (2017) with its residual and layer norm, without a feed-forward
part.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Dropout, Fusion
from erc.model.pooling import first_token, masked_mean


class CrossAttention(Fusion):
    """Audio attends to text and text attends to audio; both results are pooled and pass one hidden layer together.

    The audio's result is averaged over time. Of the text's result the first token is taken.

    Args:
        dims: Width of each encoder, by modality.
        attention_dim: Width of the attention; an encoder of another width is projected to it.
        n_heads: Number of attention heads.
        hidden_dim: Width of the result.
        dropout: Dropout before and after the hidden layer.

    Raises:
        ValueError: ``n_heads`` does not divide ``attention_dim``.
    """

    modalities = ("audio", "text")

    def __init__(
        self, dims: dict[str, int], attention_dim: Count, n_heads: Count, hidden_dim: Count, dropout: Dropout
    ) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.audio_projection = projection_to(attention_dim, dims["audio"])
        self.text_projection = projection_to(attention_dim, dims["text"])
        self.audio_to_text = attention_of(attention_dim, n_heads)
        self.text_to_audio = attention_of(attention_dim, n_heads)
        self.audio_norm = nn.LayerNorm(attention_dim)
        self.text_norm = nn.LayerNorm(attention_dim)
        self.hidden = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(2 * attention_dim, hidden_dim), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Audio (B, T, D_audio) with mask (B, T), text (B, S, D_text) with mask (B, S) -> (B, hidden_dim)."""
        audio, text = self.audio_projection(sequences["audio"]), self.text_projection(sequences["text"])
        audio_mask, text_mask = masks["audio"], masks["text"]
        # A mask of MultiheadAttention is True where nothing is read. Ours is True where something is read.
        heard, _ = self.audio_to_text(audio, text, text, key_padding_mask=~text_mask, need_weights=False)
        # Only the result of the first token is used, so only the first token is the query.
        read, _ = self.text_to_audio(text[:, :1], audio, audio, key_padding_mask=~audio_mask, need_weights=False)
        audio_vector = masked_mean(self.audio_norm(audio + heard), audio_mask)
        text_vector = first_token(self.text_norm(text[:, :1] + read))
        return self.hidden(torch.cat([audio_vector, text_vector], dim=1))


def attention_of(attention_dim: int, n_heads: int) -> nn.MultiheadAttention:
    """Attention of a width; raises ValueError if the heads do not divide it."""
    if attention_dim % n_heads:
        raise ValueError(f"n_heads must divide attention_dim: got {n_heads} heads for width {attention_dim}.")
    return nn.MultiheadAttention(attention_dim, n_heads, batch_first=True)


def projection_to(attention_dim: int, dim: int) -> nn.Module:
    """Brings an encoder's width to that of the attention; nothing where they are the same."""
    return nn.Identity() if dim == attention_dim else nn.Linear(dim, attention_dim)
