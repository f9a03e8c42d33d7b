"""Any sound -> stretches of it as training reads them: 16 kHz, mono, 16 bit. A file is read stretch by stretch.

A file goes through the reader of the corpora: its header is checked before memory is taken, and wav, flac, ogg and mp3 are
told from anything else by their content, not by their name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from erc.data import SAMPLE_RATE, Cut, MediaError, check_rate, read_cuts, resample, sound_header, to_int16

MAX_HOURS = 12.0
"""Longest sound; a header that claims more is taken for damaged."""


class Sound:
    """One sound of known length.

    Args:
        source: Path of a file; an array (L,) or (L, channels) of floats (-1 to 1) or 16-bit integers; or a dictionary with
            ``array`` (or ``raw``) and ``sampling_rate``, as ``datasets`` and ``transformers`` have it.
        sampling_rate: Of an array, in Hz.

    Attributes:
        rate: Samples a second of the source.
        seconds: Length.

    Raises:
        FileNotFoundError: There is no such file.
        MediaError: It is no sound that can be read.
        ValueError: An array without its rate, or of another form.
    """

    def __init__(self, source: Any, sampling_rate: int | None = None) -> None:
        if isinstance(source, Mapping):
            array = source.get("array", source.get("raw"))
            if array is None or "sampling_rate" not in source:
                raise ValueError(
                    "A dictionary of audio has array (or raw) and sampling_rate: got "
                    f"{', '.join(map(str, source)) or 'nothing'}."
                )
            source, sampling_rate = array, source["sampling_rate"]
        self._path: Path | None = None
        if isinstance(source, str | Path):
            self._path = Path(source)
            if not self._path.exists():
                raise FileNotFoundError(f"A sound is a file: {self._path.absolute()} is not there. Check its name.")
            self.rate, self.seconds = sound_header(self._path)
        else:
            waveform = _mono(source)
            if sampling_rate is None or isinstance(sampling_rate, bool) or sampling_rate < 1:
                raise ValueError(
                    f"An array of audio needs its rate: expected sampling_rate in Hz, got {sampling_rate!r}."
                )
            check_rate(int(sampling_rate))
            self.rate, self.seconds = int(sampling_rate), len(waveform) / sampling_rate
            self._waveform = to_int16(resample(waveform, self.rate))
        if self.seconds > MAX_HOURS * 3600:
            raise MediaError(
                f"at most {MAX_HOURS:g} hours of sound are expected, got {self.seconds / 3600:.0f}", "unreadable audio"
            )

    def stretches(self, windows: list[tuple[float, float]]) -> list[np.ndarray | MediaError]:
        """(L,) int16 at 16 kHz of each stretch, given by start and end in seconds; or what is wrong with it."""
        if self._path is not None:
            cuts = [Cut(start, math.nan if end >= self.seconds else end) for start, end in windows]
            return read_cuts(self._path, cuts, may_be_silent=True)
        return [self._waveform[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in windows]


def _mono(source: Any) -> np.ndarray:
    """(L,) float32, as shares of full scale."""
    values = np.asarray(source)
    is_shaped = values.ndim in (1, 2) and values.size > 0 and (values.ndim == 1 or values.shape[1] <= 16)
    if not is_shaped or values.dtype.kind not in "fiu":
        raise ValueError(
            f"An array of audio has a sample a row: expected (samples,) or (samples, channels) of numbers, got {values.dtype} of "
            f"shape {values.shape}. Transpose one that has (channels, samples)."
        )
    if values.dtype.kind in "iu":
        if values.dtype != np.int16:
            raise ValueError(f"Whole numbers of audio have 16 bits: expected int16 or floats, got {values.dtype}.")
        values = values.astype(np.float32) / 32768.0
    if not np.isfinite(values).all():
        raise MediaError("finite samples are expected, the array holds NaN or infinite ones", "audio not finite")
    if np.abs(values).max() > 8.0:
        raise ValueError(
            f"Floats of audio are shares of full scale, -1 to 1: got {np.abs(values).max():g}. Divide 16-bit values by 32768."
        )
    mono = values.astype(np.float32)
    return mono if mono.ndim == 1 else mono.mean(axis=1)
