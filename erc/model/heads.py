"""Fused vector -> emotion logits, and the rated dimensions (valence and arousal); one linear map each."""

from __future__ import annotations

import torch
from torch import nn

from erc.labels import LabelSpace


class Heads(nn.Module):
    """Emotion logits and dimensions in the order of the label space; dimensions are on the raters' scale.

    Args:
        dim: Width of the fused vector.
        label_space: What is predicted. Without a dimension there is no head for them.
    """

    def __init__(self, dim: int, label_space: LabelSpace) -> None:
        super().__init__()
        self.emotion = nn.Linear(dim, label_space.n_emotions)
        self.va = nn.Linear(dim, len(label_space.dimensions)) if label_space.dimensions else None

    def forward(self, fused: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fused vectors (B, D) -> emotion logits (B, K), dimensions (B, R); R is 0 where none was rated."""
        return self.emotion(fused), fused[:, :0] if self.va is None else self.va(fused)
