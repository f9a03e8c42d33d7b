"""MLP-Mixer over a one-channel image.

Source: Tolstikhin et al. (2021), "MLP-Mixer: An all-MLP Architecture for Vision", arXiv 2105.01601.
Conventions: exact GELU, layer norm before each mixing, residuals around both, layer norm and mean over patches last.
"""

from __future__ import annotations

import torch
from torch import nn


class MixerBlock(nn.Module):
    """Mixes patches with each other, then the channels of each patch.

    Args:
        n_patches: Patches of the image.
        dim: Width of a patch's vector.
        tokens_mlp_dim: Hidden width of the mixing over patches.
        channels_mlp_dim: Hidden width of the mixing over channels.
        dropout: After each linear map.
    """

    def __init__(self, n_patches: int, dim: int, tokens_mlp_dim: int, channels_mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.tokens_norm = nn.LayerNorm(dim)
        self.tokens_mlp = _mlp(n_patches, tokens_mlp_dim, dropout)
        self.channels_norm = nn.LayerNorm(dim)
        self.channels_mlp = _mlp(dim, channels_mlp_dim, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, patches, dim) -> (B, patches, dim)."""
        x = x + self.tokens_mlp(self.tokens_norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels_mlp(self.channels_norm(x))


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


def _mlp(dim: int, hidden_dim: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim, hidden_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden_dim, dim), nn.Dropout(dropout)
    )
