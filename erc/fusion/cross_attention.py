"""Cross-attention: the paper's second row. Each modality attends to the other once; padding is never attended to.

Source: Cho, Ryu and Wallraven (2023): one layer each way, 8 heads, width 1024. What a layer holds is not published; here
it is the multi-head attention of Vaswani et al. (2017) with its residual and layer norm, and no feed-forward part.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.pooling import first_token, masked_mean


class CrossAttention(nn.Module):
    """Audio attending to text, averaged over time, beside text attending to audio, its first token; then one layer.

    Args:
        audio_dim: Width of the audio encoder.
        text_dim: Width of the text encoder.
        attention_dim: Width of the attention; an encoder of another width is projected to it.
        n_heads: Attention heads.
        hidden_dim: Width of the result.
        dropout: In front of and behind the hidden layer.

    Raises:
        ValueError: ``n_heads`` does not divide ``attention_dim``.
    """

    uses_audio = True
    uses_text = True

    def __init__(
        self, audio_dim: int, text_dim: int, attention_dim: int, n_heads: int, hidden_dim: int, dropout: float
    ) -> None:
        super().__init__()
        if attention_dim % n_heads:
            raise ValueError(f"n_heads must divide attention_dim: got {n_heads} heads for width {attention_dim}.")
        self.dim = hidden_dim
        self.audio_projection = _projection(audio_dim, attention_dim)
        self.text_projection = _projection(text_dim, attention_dim)
        self.audio_to_text = nn.MultiheadAttention(attention_dim, n_heads, batch_first=True)
        self.text_to_audio = nn.MultiheadAttention(attention_dim, n_heads, batch_first=True)
        self.audio_norm = nn.LayerNorm(attention_dim)
        self.text_norm = nn.LayerNorm(attention_dim)
        self.hidden = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(2 * attention_dim, hidden_dim), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(
        self, audio: torch.Tensor, audio_mask: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor
    ) -> torch.Tensor:
        """(B, T, D_audio), (B, T), (B, S, D_text), (B, S) -> (B, hidden_dim)."""
        audio, text = self.audio_projection(audio), self.text_projection(text)
        # MultiheadAttention's masks are True where nothing is to be read: the other way round from ours
        heard, _ = self.audio_to_text(audio, text, text, key_padding_mask=~text_mask, need_weights=False)
        # only the first token's answer is used, so only it asks
        read, _ = self.text_to_audio(text[:, :1], audio, audio, key_padding_mask=~audio_mask, need_weights=False)
        audio_vector = masked_mean(self.audio_norm(audio + heard), audio_mask)
        text_vector = first_token(self.text_norm(text[:, :1] + read))
        return self.hidden(torch.cat([audio_vector, text_vector], dim=1))


def _projection(dim: int, attention_dim: int) -> nn.Module:
    return nn.Identity() if dim == attention_dim else nn.Linear(dim, attention_dim)
