"""MLP-Mixer over a one-channel image.

Source: Tolstikhin et al. (2021), "MLP-Mixer: An all-MLP Architecture for Vision", arXiv 2105.01601.
Conventions: exact GELU, layer norm before each mixing, residuals around both, layer norm and mean over patches last.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

LARGE = 64
"""From so many patches on, the way of computing matters; see ``MixerBlock``."""


class MixerBlock(nn.Module):
    """Mixes patches with each other, then the channels of each patch.

    Mixing of patches is a linear map of transposed vectors, or a convolution of width 1 with the patches as its channels. Both
    are the same sums with other last digits. The convolution copies nothing. At the paper's size it takes two thirds of the time
    on an AMD processor with two threads, and as much or more elsewhere (``benchmarks/mixer.py``).

    Args:
        n_patches: Patches of the image.
        dim: Width of a patch's vector.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: After each linear map.
    """

    def __init__(self, n_patches: int, dim: int, tokens_mlp_dim: int, channels_mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self._is_large = n_patches >= LARGE
        self.tokens_norm = nn.LayerNorm(dim)
        self.tokens_mlp = _mlp(n_patches, tokens_mlp_dim, dropout)
        self.channels_norm = nn.LayerNorm(dim)
        self.channels_mlp = _mlp(dim, channels_mlp_dim, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, patches, dim) -> (B, patches, dim)."""
        x = x + self._mix_patches(self.tokens_norm(x))
        return x + self.channels_mlp(self.channels_norm(x))

    def _mix_patches(self, x: torch.Tensor) -> torch.Tensor:
        """(B, patches, dim) -> (B, patches, dim)."""
        is_fit = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)
        if not (self._is_large and is_fit and is_amd()):
            return self.tokens_mlp(x.transpose(1, 2)).transpose(1, 2)
        widen, gelu, dropout, narrow, last_dropout = self.tokens_mlp
        return last_dropout(_over_patches(narrow, dropout(gelu(_over_patches(widen, x)))))


class PatchMixer(nn.Module):
    """Patches -> one vector: a linear map of each patch, blocks, layer norm, mean over patches.

    Args:
        n_patches: Patches of an image or volume.
        n_values: Values of a patch.
        dim: Width of a patch's vector, and of the result.
        depth: Number of blocks.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: After each linear map of a block.
    """

    def __init__(
        self,
        n_patches: int,
        n_values: int,
        dim: int,
        depth: int,
        tokens_mlp_dim: int,
        channels_mlp_dim: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(n_values, dim)
        self.blocks = nn.Sequential(
            *(MixerBlock(n_patches, dim, tokens_mlp_dim, channels_mlp_dim, dropout) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """(B, patches, values) -> (B, dim)."""
        return self.norm(self.blocks(self.patch_embedding(patches))).mean(dim=1)


class Mixer(PatchMixer):
    """One-channel image -> one vector.

    At the paper's size (256 x 256 image, patch 16, width 512, depth 12, 1024 and 256) it has 9,618,944 parameters;
    with the two heads, 9,623,561.

    Args:
        image_size: Height and width of the image.
        patch_size: Height and width of a patch; it must divide ``image_size``.
        dim: Width of a patch's vector, and of the result.
        depth: Number of blocks.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: After each linear map of a block.

    Raises:
        ValueError: The patches do not tile the image.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        dim: int,
        depth: int,
        tokens_mlp_dim: int,
        channels_mlp_dim: int,
        dropout: float = 0.0,
    ) -> None:
        if image_size % patch_size:
            raise ValueError(
                f"Patches must tile the image: {image_size} is not a multiple of patch_size {patch_size}. Change "
                "fusion.patch_size or fusion.projection_dim."
            )
        n_patches = (image_size // patch_size) ** 2
        super().__init__(n_patches, patch_size**2, dim, depth, tokens_mlp_dim, channels_mlp_dim, dropout)
        self.patch_size = patch_size

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, H, W) -> (B, dim). Patches are read row by row, and the pixels of a patch row by row."""
        batch, height, width = image.shape
        p = self.patch_size
        patches = image.view(batch, height // p, p, width // p, p).transpose(2, 3)  # (B, H/p, W/p, p, p)
        return super().forward(patches.reshape(batch, -1, p * p))


@functools.cache
def is_amd() -> bool:
    """Whether the processor is of AMD."""
    return "AMD" in str(torch.cpu.get_capabilities().get("cpu_name", ""))


def _over_patches(linear: Any, x: torch.Tensor) -> torch.Tensor:
    """A linear map of (B, patches, dim) along the patches."""
    return nn.functional.conv1d(x, linear.weight.unsqueeze(2), linear.bias)


def _mlp(dim: int, hidden_dim: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim, hidden_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden_dim, dim), nn.Dropout(dropout)
    )
