"""Tensor Mixer Network: the outer product of the two pooled vectors is an image that an MLP-Mixer reads.

Source: Cho, Ryu and Wallraven (2023). The published sizes stand in ``config/fusion/tensor_mixer.yaml``.
"""

from __future__ import annotations

import torch
from torch import nn

from erc.model.fusion.base import Count, Dropout, Fusion
from erc.model.fusion.mixer import Mixer
from erc.model.pooling import first_token, masked_mean


class TensorMixer(Fusion):
    """Audio and text -> outer product -> mixer.

    Args:
        dims: Width of each encoder, by modality.
        projection_dim: Width P of each of the two projected vectors; the image is P x P.
        patch_size: Height and width of a patch of the image.
        mixer_dim: Width of the mixer, and of the result.
        depth: Blocks of the mixer.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: Inside the mixer.
    """

    modalities = ("audio", "text")
    pools_first = True

    def __init__(
        self,
        dims: dict[str, int],
        projection_dim: Count,
        patch_size: Count,
        mixer_dim: Count,
        depth: Count,
        tokens_mlp_dim: Count,
        channels_mlp_dim: Count,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        self.dim = mixer_dim
        self.audio_projection = nn.Linear(dims["audio"], projection_dim)
        self.text_projection = nn.Linear(dims["text"], projection_dim)
        self.mixer = Mixer(projection_dim, patch_size, mixer_dim, depth, tokens_mlp_dim, channels_mlp_dim, dropout)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Audio (B, T, D_audio) with mask (B, T), text (B, S, D_text) -> (B, mixer_dim)."""
        # The projection of the mean equals the mean of the projections and costs T times less.
        audio_vector = self.audio_projection(masked_mean(sequences["audio"], masks["audio"]))  # (B, P)
        text_vector = self.text_projection(first_token(sequences["text"]))  # (B, P)
        image = audio_vector.unsqueeze(2) * text_vector.unsqueeze(1)  # (B, P, P): rows audio, columns text
        return self.mixer(image)
