"""Any sound -> stretches of it as training reads them: 16 kHz, mono, 16 bit. A file is read stretch by stretch.

A file goes through the reader of the corpora: its header is checked before memory is taken, and wav, flac, ogg and mp3 are
told from anything else by their content, not by their name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from erc.data import (
    END_TOLERANCE,
    MIN_SAMPLES,
    SAMPLE_RATE,
    Cut,
    MediaError,
    check_rate,
    iter_cuts,
    resample,
    sound_header,
    to_int16,
)

MAX_HOURS = 12.0
"""Longest sound; a header that claims more is taken for damaged."""


class Sound:
    """One sound of known length.

    Args:
        source: Path of a file; an array (L,) or (L, channels) of floats (-1 to 1) or 16-bit integers; or a dictionary with
            ``array`` (or ``raw``) and ``sampling_rate``, as ``datasets`` and ``transformers`` have it.
        sampling_rate: Of an array, in Hz.
        start: Where it begins in its source, in seconds.
        end: Where it ends; NaN: with its source.

    Attributes:
        rate: Samples a second of the source.
        seconds: Length.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no sound that can be read; an array without its rate, or of another form.
    """

    def __init__(
        self, source: Any, sampling_rate: float | None = None, start: float = 0.0, end: float = math.nan
    ) -> None:
        self._path = Path(source) if isinstance(source, str | Path) else None
        try:
            self.rate, self.seconds = self._header(source, sampling_rate)
            self._start, self._end = start, end
            self._set_bounds()
        except MediaError as err:
            raise self.unusable(err) from err

    def unusable(self, err: MediaError) -> ValueError:
        """What is told of a sound that cannot be read."""
        return ValueError(f"The audio cannot be used: {err}{f' ({self._path.name})' if self._path else ''}.")

    def _set_bounds(self) -> None:
        whole = self.seconds
        if whole > MAX_HOURS * 3600:
            raise MediaError(
                f"at most {MAX_HOURS:g} hours of sound are expected, got {whole / 3600:.0f}", "unreadable audio"
            )
        if not math.isnan(self._end) and self._end > whole + END_TOLERANCE:
            raise MediaError(
                f"end: at most {whole:.3f} s is expected, the end of the sound, got {self._end:g} s", "truncated audio"
            )
        if math.isnan(self._end) or self._end >= whole:
            self._end = whole
        if self._start >= self._end:
            raise MediaError(f"start: less than {self._end:.3f} s is expected, got {self._start:g} s", "short audio")
        self.seconds = self._end - self._start
        self._is_to_the_end = self._end >= whole

    def _header(self, source: Any, sampling_rate: float | None) -> tuple[int, float]:
        """Rate and length of the whole source; an array is brought to 16 kHz."""
        if isinstance(source, Mapping):
            array = source.get("array", source.get("raw"))
            if array is None or "sampling_rate" not in source:
                raise ValueError(
                    "A dictionary of audio has array (or raw) and sampling_rate: got "
                    f"{', '.join(map(str, source)) or 'nothing'}."
                )
            source, sampling_rate = array, source["sampling_rate"]
        if self._path is not None:
            if not self._path.exists():
                raise FileNotFoundError(f"A sound is a file: {self._path.absolute()} is not there. Check its name.")
            return sound_header(self._path)
        waveform = _mono(source)
        is_number = isinstance(sampling_rate, Real) and not isinstance(sampling_rate, bool)
        if sampling_rate is None or not is_number or not 1 <= sampling_rate < math.inf:
            raise ValueError(f"An array of audio needs its rate: expected sampling_rate in Hz, got {sampling_rate!r}.")
        rate = int(sampling_rate)
        check_rate(rate)
        self._waveform = to_int16(resample(waveform, rate))
        return rate, len(waveform) / rate

    def stretches(self, windows: list[tuple[float, float]]) -> Iterator[tuple[int, np.ndarray]]:
        """Stretches, each when it has been read.

        Args:
            windows: Start and end of each, in seconds; the later they begin, the later they end.

        Yields:
            The place in ``windows``, and (L,) int16 at 16 kHz.

        Raises:
            OSError: The file cannot be read.
            ValueError: A stretch cannot be used.
        """
        try:
            for place, waveform in self._read([(self._start + start, self._start + end) for start, end in windows]):
                if isinstance(waveform, MediaError):
                    raise waveform
                if len(waveform) < MIN_SAMPLES:
                    raise MediaError(
                        f"at least {MIN_SAMPLES} samples at 16 kHz are expected, got {len(waveform)}", "short audio"
                    )
                yield place, waveform
        except MediaError as err:
            raise self.unusable(err) from err

    def _read(self, windows: list[tuple[float, float]]) -> Iterator[tuple[int, np.ndarray | MediaError]]:
        if self._path is not None:
            is_last = [self._is_to_the_end and end >= self._end for _, end in windows]
            cuts = [Cut(start, math.nan if last else end) for (start, end), last in zip(windows, is_last, strict=True)]
            yield from iter_cuts(self._path, cuts, may_be_silent=True)
            return
        for place, (start, end) in enumerate(windows):
            yield place, self._waveform[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


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
