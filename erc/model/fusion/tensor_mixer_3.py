"""Tensor Mixer of three: the outer product of three pooled vectors is a volume that an MLP-Mixer reads, block by block.

The paper's network (``tensor_mixer.py``) with a third vector. Each vector begins with a 1, as in Zadeh et al. (2017, "Tensor Fusion
Network", arXiv 1707.07250): beside the products of three, the volume then holds those of two, and each vector by itself. A segment
without bio-signals still has its products of audio and text. This project's own; the paper has two modalities and no 1.

At the size of ``config/fusion/tensor_mixer_3.yaml`` the volume is 64 x 64 x 16 and a patch 8 x 8 x 4: 256 patches of 256 values,
as many as the paper's image has, so that the mixer has the same 9,618,944 parameters and takes the same time.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import nn

from erc.model.fusion.base import Count, Dropout, Fusion
from erc.model.fusion.mixer import PatchMixer
from erc.model.pooling import pooled

Width = Annotated[int, Ge(2)]
"""Of a vector that begins with a 1."""


class TensorMixer3(Fusion):
    """Audio, text and bio-signals -> outer product -> mixer.

    Args:
        dims: Width of each encoder, by modality.
        audio_dim: Width A of the audio vector: a 1, and a projection to A - 1 values.
        text_dim: Width X of the text vector, in the same way.
        signals_dim: Width G of the vector of bio-signals, in the same way; the volume is A x X x G.
        audio_patch: Extent of a patch along the audio vector.
        text_patch: Along the text vector.
        signals_patch: Along the vector of bio-signals.
        mixer_dim: Width of the mixer, and of the result.
        depth: Blocks of the mixer.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: Inside the mixer.

    Raises:
        ValueError: The patches do not tile the volume.
    """

    modalities = ("audio", "text", "signals")
    pools_first = True

    def __init__(
        self,
        dims: dict[str, int],
        audio_dim: Width,
        text_dim: Width,
        signals_dim: Width,
        audio_patch: Count,
        text_patch: Count,
        signals_patch: Count,
        mixer_dim: Count,
        depth: Count,
        tokens_mlp_dim: Count,
        channels_mlp_dim: Count,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        volume = (audio_dim, text_dim, signals_dim)
        self.patch = (audio_patch, text_patch, signals_patch)
        if any(size % patch for size, patch in zip(volume, self.patch, strict=True)):
            raise ValueError(
                f"Patches must tile the volume: expected three extents that divide {volume}, got {self.patch}. Change "
                "fusion.audio_patch, fusion.text_patch or fusion.signals_patch."
            )
        self.dim = mixer_dim
        self.projections = nn.ModuleDict(
            {name: nn.Linear(dims[name], width - 1) for name, width in zip(self.modalities, volume, strict=True)}
        )
        p, q, r = self.patch
        n_patches = audio_dim * text_dim * signals_dim // (p * q * r)
        self.mixer = PatchMixer(n_patches, p * q * r, mixer_dim, depth, tokens_mlp_dim, channels_mlp_dim, dropout)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Sequences (B, T, D) and masks (B, T) of the three -> (B, mixer_dim)."""
        vectors = pooled(sequences, masks)
        audio, text, signals = (_after_one(self.projections[name](vectors[name])) for name in self.modalities)
        volume = audio[:, :, None, None] * text[:, None, :, None] * signals[:, None, None, :]  # (B, A, X, G)
        return self.mixer(self._patches(volume))

    def _patches(self, volume: torch.Tensor) -> torch.Tensor:
        """(B, A, X, G) -> (B, patches, values); patches in the order audio, text, signals, and their values as well."""
        batch, a, x, g = volume.shape
        p, q, r = self.patch
        cut = volume.view(batch, a // p, p, x // q, q, g // r, r).permute(0, 1, 3, 5, 2, 4, 6)
        return cut.reshape(batch, -1, p * q * r)


def _after_one(vector: torch.Tensor) -> torch.Tensor:
    """(B, P) -> (B, 1 + P), a 1 first."""
    return nn.functional.pad(vector, (1, 0), value=1.0)
