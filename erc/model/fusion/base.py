"""What every fusion has: the modalities that it reads, the width of its result, one signature."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Interval
from torch import nn

Count = Annotated[int, Ge(1)]
"""Widths and numbers of parts."""

Dropout = Annotated[float, Interval(ge=0, lt=1)]
"""Share that is left out in training."""


class Fusion(nn.Module):
    """Sequences of the modalities -> one vector per segment.

    A subclass sets both attributes and writes ``forward``. Its first argument is ``dims``, the width of each encoder by
    modality. Only the encoders named in ``modalities`` are built.

    Attributes:
        modalities: Modalities that the fusion reads, in the order in which their encoders are built.
        pools_first: Whether all that it reads of the sequences of audio and text is what ``pooled`` makes of them. So a sequence of
            that one vector gives the same result.
        dim: Width of the result.
    """

    modalities: ClassVar[tuple[str, ...]]
    pools_first: ClassVar[bool] = False
    dim: int

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Sequences (B, T, D) and masks (B, T) bool, both by modality -> (B, ``dim``). T and D differ by modality."""
        raise NotImplementedError
