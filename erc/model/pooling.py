"""A sequence and its mask -> one vector. The functions change no argument in place."""

from __future__ import annotations

import torch


def masked_mean(sequence: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the real steps: (B, T, D), (B, T) bool -> (B, D)."""
    weight = mask.unsqueeze(-1).to(sequence.dtype)  # (B, T, 1)
    # torch.where instead of a product: a padded step may hold infinity, and 0 * inf is NaN.
    total = torch.where(mask.unsqueeze(-1), sequence, 0.0).sum(dim=1)
    return total / weight.sum(dim=1)


def first_token(sequence: torch.Tensor) -> torch.Tensor:
    """Vector of the first token ([CLS]): (B, S, D) -> (B, D)."""
    return sequence[:, 0]


def pooled(sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One vector (B, D) of each modality: the first token of text, the mean over the real steps of all others."""
    return {
        modality: first_token(sequence) if modality == "text" else masked_mean(sequence, masks[modality])
        for modality, sequence in sequences.items()
    }
