"""Tensor Mixer Network: the outer product of the two pooled vectors is an image that an MLP-Mixer reads.

Source: Cho, Ryu and Wallraven (2023); published-size values are the defaults of ``config/fusion/tensor_mixer.yaml``.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.fusion.mixer import Mixer
from erc.pooling import first_token, masked_mean


class TensorMixer(nn.Module):
    """Audio and text -> outer product -> mixer.

    Args:
        audio_dim: Width of the audio encoder.
        text_dim: Width of the text encoder.
        projection_dim: Both pooled vectors are brought to this width P; the image is P x P.
        patch_size: Height and width of a patch of the image.
        mixer_dim: Width of the mixer, and of the result.
        depth: Blocks of the mixer.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: Inside the mixer.
    """

    uses_audio = True
    uses_text = True

    def __init__(
        self,
        audio_dim: int,
        text_dim: int,
        projection_dim: int,
        patch_size: int,
        mixer_dim: int,
        depth: int,
        tokens_mlp_dim: int,
        channels_mlp_dim: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim = mixer_dim
        self.audio_projection = nn.Linear(audio_dim, projection_dim)
        self.text_projection = nn.Linear(text_dim, projection_dim)
        self.mixer = Mixer(projection_dim, patch_size, mixer_dim, depth, tokens_mlp_dim, channels_mlp_dim, dropout)

    def forward(
        self, audio: torch.Tensor, audio_mask: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor
    ) -> torch.Tensor:
        """(B, T, D_audio), (B, T), (B, S, D_text), (B, S) -> (B, mixer_dim)."""
        # a mean of projections is the projection of the mean, for T times less work
        audio_vector = self.audio_projection(masked_mean(audio, audio_mask))  # (B, P)
        text_vector = self.text_projection(first_token(text))  # (B, P)
        image = audio_vector.unsqueeze(2) * text_vector.unsqueeze(1)  # (B, P, P): rows audio, columns text
        return self.mixer(image)
