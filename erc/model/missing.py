"""What a model reads in place of a modality that a segment lacks, and modality dropout: one rule for all fusions.

A segment *lacks* a modality where the mask of its input is False everywhere, or where the inputs do not hold the modality. After
the encoder, its sequence is replaced by one vector at the first step, which is the only step that the mask then names. A fusion
that averages reads that vector, a fusion that takes the first token reads it, and attention attends to nothing else. The vector
is learned (it starts at 0) for bio-signals, which some segments of the corpora lack, and for every modality where training uses
modality dropout. Else it is 0.

Source of modality dropout: Neverova et al. (2016), "ModDrop: Adaptive multi-modal gesture recognition", IEEE TPAMI 38(8).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from annotated_types import Interval
from torch import nn

ModalityDropout = Annotated[float, Interval(ge=0, lt=1)]
"""Chance with which a segment loses a modality in a training step."""

OFTEN_MISSING = ("signals",)
"""Modalities that some segments of a corpus lack: their replacement is always learned."""


class MissingModalities(nn.Module):
    """Replaces the sequences of missing modalities; drops modalities at random in training.

    Args:
        dims: Width of each encoder, by modality.
        dropout: Each modality of a segment is dropped with this chance in each training step, independently of the others. A
            segment that would lose all it has keeps them all, so that a model of one modality never loses it.

    Attributes:
        replacements: (D,) learned vectors by modality; empty where nothing is learned.
    """

    def __init__(self, dims: dict[str, int], dropout: ModalityDropout = 0.0) -> None:
        super().__init__()
        self.dropout, self._dims = dropout, dims
        self.replacements = nn.ParameterDict()
        self.learn([modality for modality in dims if dropout > 0 or modality in OFTEN_MISSING])

    def learn(self, modalities: Iterable[str]) -> None:
        """Makes the replacement of these modalities a learned vector, where it is none yet."""
        for modality in modalities:
            if modality not in self.replacements:
                self.replacements[modality] = nn.Parameter(torch.zeros(self._dims[modality]))

    def may_be_left_out(self, modalities: Iterable[str]) -> list[str]:
        """Those modalities for which the model has learned what to read in their place."""
        return [modality for modality in modalities if modality in self.replacements]

    def forward(
        self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor], present: dict[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Sequences and masks in which each missing modality is replaced.

        Args:
            sequences: (B, T, D) by modality.
            masks: (B, T) bool by modality.
            present: (B,) bool by modality, whether a segment has it.
        """
        if self.training and self.dropout > 0:
            present = self._dropped(present)
        read, read_masks = {}, {}
        for modality, sequence in sequences.items():
            has = present[modality]
            vector = sequence.new_zeros(sequence.shape[-1])
            if modality in self.replacements:
                vector = self.replacements[modality].to(sequence.dtype)
            is_first = torch.arange(sequence.shape[1], device=sequence.device) == 0
            # torch.where keeps the vector in the graph even where no segment lacks the modality; DDP waits for its gradient
            read[modality] = torch.where(has[:, None, None], sequence, vector)
            # and, or: ONNX Runtime knows no torch.where of booleans
            read_masks[modality] = (masks[modality] & has[:, None]) | (is_first & ~has[:, None])
        return read, read_masks

    def _dropped(self, present: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Which modalities are left in this step."""
        has = torch.stack(list(present.values()), dim=1)  # (B, modalities)
        left = has & (torch.rand(has.shape, device=has.device) >= self.dropout)
        left = torch.where(left.any(dim=1, keepdim=True), left, has)
        return dict(zip(present, left.unbind(dim=1), strict=True))
