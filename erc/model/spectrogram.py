"""An audio encoder without pre-trained weights: log-mel spectrogram, convolutions, a recurrent layer.

For small corpora and for machines without a hub: it is trained from scratch, on a CPU in minutes. Waveform in, sequence and
mask out, as the pre-trained encoders have it.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import torch
import torchaudio
from annotated_types import Ge, Interval
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from erc.data import SAMPLE_RATE
from erc.model.encoders import Encoder

WINDOW, HOP = 400, 160
"""Samples: windows of 25 ms, every 10 ms."""

FLOOR = 1e-2
"""Added to the power of a waveform of unit variance before the logarithm: digital silence has a level near that of noise."""

Share = Annotated[float, Interval(ge=0, lt=1)]


class SpectrogramEncoder(Encoder):
    """Log-mel spectrogram -> convolutions, each of which halves time and frequency -> bidirectional GRU.

    Every spectrogram is brought to zero mean and unit variance over its real frames. Training masks bands of frequency and of
    time (SpecAugment: Park et al., 2019, arXiv 1904.08779). Padding is set to zero after every layer, so the other segments
    of a batch change no prediction.

    Args:
        name: ``spectrogram``: there are no weights to load.
        revision: None; there is nothing to load.
        n_mels: Bands of the mel scale; a multiple of 2 to the power of the number of convolutions.
        channels: Channels of each convolution.
        hidden_dim: Width of each direction of the GRU.
        dropout: Share that is left out after each convolution in training.
        freq_mask: Widest masked band, in mel bands; two are masked.
        time_mask: Longest masked stretch, in frames of 10 ms; one is masked.

    Attributes:
        dim: Width of the sequence, 2 x ``hidden_dim``.
        options: The arguments above without name and revision; what a saved model needs.

    Raises:
        ValueError: ``n_mels`` cannot be halved so often, or a revision of something that is not loaded.
    """

    def __init__(
        self,
        name: Literal["spectrogram"] = "spectrogram",
        revision: str | None = None,
        n_mels: Annotated[int, Ge(8)] = 64,
        channels: tuple[Annotated[int, Ge(1)], ...] = (32, 64, 96, 128),
        hidden_dim: Annotated[int, Ge(1)] = 64,
        dropout: Share = 0.2,
        freq_mask: Annotated[int, Ge(0)] = 12,
        time_mask: Annotated[int, Ge(0)] = 30,
    ) -> None:
        super().__init__()
        self._reduction = 2 ** len(channels)
        if n_mels % self._reduction:
            raise ValueError(
                f"encoders.audio: {len(channels)} convolutions halve the bands so often: expected n_mels divisible by "
                f"{self._reduction}, got {n_mels}."
            )
        if name != "spectrogram" or revision is not None:
            raise ValueError(
                f"encoders.audio: a spectrogram has no weights to load: expected name spectrogram and no revision, got {name!r} "
                f"and {revision!r}. For pre-trained encoders choose encoders=paper."
            )
        self.dim = 2 * hidden_dim
        self.options = {"n_mels": n_mels, "channels": list(channels), "hidden_dim": hidden_dim, "dropout": dropout}
        self.options |= {"freq_mask": freq_mask, "time_mask": time_mask}
        self.mel = torchaudio.transforms.MelSpectrogram(
            SAMPLE_RATE, n_fft=WINDOW, hop_length=HOP, n_mels=n_mels, center=False
        )
        self.frequency_masking = torchaudio.transforms.FrequencyMasking(freq_mask, iid_masks=True)
        self.time_masking = torchaudio.transforms.TimeMasking(time_mask, iid_masks=True)
        widths = [1, *channels]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, kernel_size=3, padding=1),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Dropout(dropout),
            )
            for before, after in itertools.pairwise(widths)
        )
        self.gru = nn.GRU(widths[-1] * n_mels // self._reduction, hidden_dim, batch_first=True, bidirectional=True)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (B, L) float32 and mask (B, L) bool -> sequence (B, T, D) and mask (B, T) bool; a step is 2^n x 10 ms."""
        shortest = WINDOW + (self._reduction - 1) * HOP  # one step of the sequence
        if values.shape[1] < shortest:
            values = nn.functional.pad(values, (0, shortest - values.shape[1]))
        n_frames = (mask.sum(dim=1).clamp(min=shortest) - WINDOW) // HOP + 1
        with torch.autocast(values.device.type, enabled=False):
            hidden = self._spectrogram(values.float(), n_frames)
        for block in self.blocks:
            hidden = block(hidden)
            n_frames = n_frames // 2
            hidden = hidden * _real(n_frames, hidden.shape[-1]).view(len(hidden), 1, 1, -1)
        steps = hidden.flatten(1, 2).transpose(1, 2)  # (B, T, channels x bands)
        # what lies behind a segment's end must not reach it through the backward direction
        packed = pack_padded_sequence(steps, n_frames.cpu(), batch_first=True, enforce_sorted=False)
        sequence, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=steps.shape[1])
        return sequence, _real(n_frames, steps.shape[1])

    def _spectrogram(self, values: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
        """Waveforms (B, L) -> normalised log-mel spectrograms (B, 1, bands, frames), 0 behind the end of a segment."""
        log_mel = torch.log(self.mel(values) + FLOOR)
        real = _real(n_frames, log_mel.shape[-1]).unsqueeze(1)  # (B, 1, frames)
        count = (n_frames * log_mel.shape[1]).view(-1, 1, 1)
        mean = (log_mel * real).sum(dim=(1, 2), keepdim=True) / count
        centred = (log_mel - mean) * real
        deviation = (centred.square().sum(dim=(1, 2), keepdim=True) / count).sqrt()
        hidden = (centred / deviation.clamp(min=1e-3)).unsqueeze(1)
        if self.training:
            hidden = self.time_masking(self.frequency_masking(self.frequency_masking(hidden)))
        return hidden


def _real(n_frames: torch.Tensor, length: int) -> torch.Tensor:
    """(B,) numbers of frames -> (B, length) bool, True for the first frames of each segment."""
    return torch.arange(length, device=n_frames.device) < n_frames.unsqueeze(1)
