"""Bio-signals -> sequence and mask: features of a segment by two linear maps, sequences of 4 Hz by three convolutions.

What is not known is told to the encoder: beside each value it reads whether the value is known. Another length of the batch
changes nothing of a segment.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Interval
from torch import nn

from erc.data import FEATURES, SIGNALS, SignalForm
from erc.model.encoders import Encoder

SMALLEST_SCALE = 1e-6
"""A feature that varies less than this in training is only centred."""


class SignalEncoder(Encoder):
    """Encoder of electrocardiogram (or inter-beat intervals), electrodermal activity and temperature.

    ``features``: the eleven numbers of a segment, brought to zero mean and unit variance over the training segments, beside
    eleven flags whether each is known -> linear -> GELU -> linear; a sequence of one step. ``sequence``: three dilated
    convolutions over time (5 steps each, dilation 1, 2, 4: each step reads 7.25 s) with residuals, after Bai et al. (2018),
    arXiv 1803.01271, here not causal.

    Args:
        form: Form of the signals in the data (``dataset.signals``).
        hidden_dim: Width of the result.
        dropout: After the first activation, or after each convolution's.

    Attributes:
        dim: Width D of the sequence.
        options: The arguments; what a saved model needs.

    Raises:
        ValueError: ``form`` is None: the data hold no signals.
    """

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        form: SignalForm | None,
        hidden_dim: Annotated[int, Ge(1)] = 64,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        if form is None:
            raise ValueError(
                "A fusion that reads bio-signals needs them in the data: expected dataset.signals=features or "
                "dataset.signals=sequence, got null. Set one of them, or choose a fusion without signals."
            )
        self.options: dict[str, Any] = {"form": form, "hidden_dim": hidden_dim, "dropout": dropout}
        self.form, self.dim = form, hidden_dim
        if form == "features":
            self.register_buffer("center", torch.zeros(len(FEATURES)))
            self.register_buffer("scale", torch.ones(len(FEATURES)))
            self.layers = nn.Sequential(
                nn.Linear(2 * len(FEATURES), hidden_dim),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(hidden_dim, hidden_dim),
            )
            return
        self.projection = nn.Conv1d(2 * len(SIGNALS), hidden_dim, kernel_size=1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden_dim, hidden_dim, kernel_size=5, padding=2 * dilation, dilation=dilation)
            for dilation in (1, 2, 4)
        )
        self.dropout = nn.Dropout(dropout)

    def normalise_by(self, features: np.ndarray) -> None:
        """Takes mean and standard deviation of each feature from the training segments.

        Args:
            features: (N, 11) in their units, NaN where not known. A feature that no segment has stays as it is.
        """
        column: np.ndarray
        for k, column in enumerate(np.asarray(features, dtype=np.float64).T):
            known = column[np.isfinite(column)]
            if len(known):
                self.center[k] = float(known.mean())
                self.scale[k] = float(known.std()) if known.std() > SMALLEST_SCALE else 1.0

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, 11) or sequences (B, T, 3), with masks of their shape -> sequence (B, 1 or T, D) and mask (B, 1 or T)."""
        known = mask.to(values.dtype)
        if self.form == "features":
            scaled = (values - self.center) / self.scale * known
            return self.layers(torch.cat([scaled, known], dim=1)).unsqueeze(1), mask.any(dim=1, keepdim=True)
        is_step = mask.any(dim=2)  # (B, T)
        real = is_step.unsqueeze(1)  # (B, 1, T)
        # a step without any signal is 0 before each convolution, be it padding or a gap
        hidden = torch.where(real, self.projection(torch.cat([values * known, known], dim=2).transpose(1, 2)), 0.0)
        for convolution in self.convolutions:
            hidden = torch.where(real, hidden + self.dropout(nn.functional.gelu(convolution(hidden))), 0.0)
        return hidden.transpose(1, 2), is_step
