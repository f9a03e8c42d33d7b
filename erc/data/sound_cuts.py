"""Stretches of a sound file -> waveforms. A file is opened once for all its stretches, and never decoded once for each.

Convention: as in ``media.py``, a waveform is 16 kHz mono 16-bit; channels are averaged. WAV, FLAC and MP3 are read from
where a stretch starts. In Ogg libsndfile 1.2.2 does not always find the place that it is sent to, so such a file is decoded
from its beginning, in one pass for all stretches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from erc.data.media import MAX_SECONDS, MAX_VALUES, MIN_SAMPLES, SAMPLE_RATE, MediaError, check_riff, resample, to_int16
from erc.data.source_files import open_regular

MAX_SOUND_BYTES = 8_000_000_000
"""Of a file: it may hold a recording of hours."""

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")

MIN_RATE, MAX_RATE = 4_000, 384_000
"""Hz."""

MAX_FILTER = 20_000_000
"""Values of the resampling filter (160 MB): to bring 16,001 Hz to 16 kHz takes 256 million. Every usual rate is far below."""

END_TOLERANCE = 0.05
"""Seconds that a rounded end may lie behind the end of the sound; the stretch then ends with the sound."""

_BLOCK = 1 << 18

Pieces = Iterator[tuple[int, np.ndarray | MediaError]]


class Cut(NamedTuple):
    """One stretch, in seconds; ``end`` is NaN where it goes on to the end of the file."""

    start: float
    end: float


def sound_header(path: str | Path) -> tuple[int, float]:
    """Rate in Hz and length in seconds of a sound file, as its header has them; errors as for ``read_cuts``."""
    with _opened(path) as sound:
        return sound.samplerate, sound.frames / sound.samplerate


@contextmanager
def _opened(path: str | Path) -> Iterator[soundfile.SoundFile]:
    """The file after its header was checked; what libsndfile cannot read is a ``MediaError``."""
    with open_regular(path, MAX_SOUND_BYTES) as file:
        check_riff(file)
        file.seek(0)
        try:
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                _check_header(sound)
                yield sound
        except soundfile.LibsndfileError as err:
            raise MediaError(
                f"a readable sound file is expected, got an error: {err.error_string}", "unreadable audio"
            ) from err


def read_cuts(path: str | Path, cuts: list[Cut], may_be_silent: bool = False) -> list[np.ndarray | MediaError]:
    """Waveform of each stretch, or what is wrong with it.

    Args:
        path: A sound file of ``FORMATS``.
        cuts: The stretches, in any order; they may overlap.
        may_be_silent: Accept stretches whose samples are all zero.

    Returns:
        For each stretch (L,) int16 at 16 kHz, or the error.

    Raises:
        MediaError: The whole file cannot be used.
        OSError: It is not there, no regular file, or larger than ``MAX_SOUND_BYTES``.
    """
    found = dict(iter_cuts(path, cuts, may_be_silent))
    return [found[place] for place in range(len(cuts))]


def iter_cuts(path: str | Path, cuts: list[Cut], may_be_silent: bool = False) -> Pieces:
    """The same, each stretch when it has been read: no more of the sound is held than stretches overlap.

    Yields:
        The place of a stretch in ``cuts``, and its waveform or its error. Errors that need no reading come first; the rest
        comes in the order of ``cuts``, in Ogg in the order of their ends.
    """
    with _opened(path) as sound:
        found = [_bounds(sound, cut) for cut in cuts]
        yield from ((place, one) for place, one in enumerate(found) if isinstance(one, MediaError))
        for place, piece in (_in_one_pass if sound.format == "OGG" else _one_by_one)(sound, found):
            yield place, piece if isinstance(piece, MediaError) else _finish(piece, sound.samplerate, may_be_silent)


def _check_header(sound: soundfile.SoundFile) -> None:
    if sound.format not in FORMATS:
        raise MediaError(f"wav, flac, ogg or mp3 is expected, the file is {sound.format}", "unreadable audio")
    check_rate(sound.samplerate)


def check_rate(rate: int) -> None:
    """Raises MediaError for a rate in Hz that no sound has, or that takes gigabytes to be brought to 16 kHz."""
    common = math.gcd(rate, SAMPLE_RATE)
    if not MIN_RATE <= rate <= MAX_RATE or (rate // common) * (SAMPLE_RATE // common) > MAX_FILTER:
        raise MediaError(
            f"a rate of {MIN_RATE} to {MAX_RATE} Hz that can be brought to {SAMPLE_RATE} Hz is expected, the sound has {rate}",
            "unreadable audio",
        )


def _bounds(sound: soundfile.SoundFile, cut: Cut) -> np.ndarray | MediaError:
    """(2,) first frame and the one behind the last; or what is wrong with the stretch."""
    seconds = sound.frames / sound.samplerate
    end = seconds if math.isnan(cut.end) else cut.end
    if end > seconds + END_TOLERANCE:
        return MediaError(
            f"column end: at most {seconds:.3f} s is expected, the end of the sound, got {end:g} s", "truncated audio"
        )
    if cut.start >= min(end, seconds):
        return MediaError(
            f"column start: less than {min(end, seconds):.3f} s is expected, got {cut.start:g} s", "short audio"
        )
    if end - cut.start > MAX_SECONDS:
        return MediaError(
            f"at most {MAX_SECONDS} s of sound are expected, the segment has {end - cut.start:.0f} s",
            "unreadable audio",
        )
    first, stop = round(cut.start * sound.samplerate), min(round(end * sound.samplerate), sound.frames)
    if (stop - first) * sound.channels > MAX_VALUES:
        return MediaError(
            f"at most {MAX_VALUES} values are expected, the segment has {stop - first} samples of {sound.channels} channels",
            "unreadable audio",
        )
    return np.array([first, stop])


def _one_by_one(sound: soundfile.SoundFile, bounds: list[np.ndarray | MediaError]) -> Pieces:
    for place, bound in enumerate(bounds):
        if not isinstance(bound, MediaError):
            first, stop = map(int, bound)
            sound.seek(first)
            samples = sound.read(stop - first, dtype="float32", always_2d=True).mean(axis=1)
            yield place, samples if len(samples) == stop - first else _cut_off(stop - first, len(samples))


def _in_one_pass(sound: soundfile.SoundFile, bounds: list[np.ndarray | MediaError]) -> Pieces:
    spans = [(int(one[0]), int(one[1]), place) for place, one in enumerate(bounds) if not isinstance(one, MediaError)]
    waiting = sorted(spans, reverse=True)  # the next one is the last
    begun: dict[tuple[int, int, int], list[np.ndarray]] = {}
    last = max((stop for _, stop, _ in spans), default=0)
    sound.seek(0)
    position = 0
    while position < last:
        block = sound.read(min(_BLOCK, last - position), dtype="float32", always_2d=True).mean(axis=1)
        if not len(block):
            break
        while waiting and waiting[-1][0] < position + len(block):
            begun[waiting.pop()] = []
        for (first, stop, _), parts in begun.items():
            parts.append(block[max(first - position, 0) : stop - position].copy())
        position += len(block)
        for span in sorted((one for one in begun if one[1] <= position), key=lambda one: one[1:]):
            yield span[2], np.concatenate(begun.pop(span))
    for first, stop, place in [*begun, *waiting]:
        yield place, _cut_off(stop - first, max(position - first, 0))


def _cut_off(expected: int, got: int) -> MediaError:
    return MediaError(f"{expected} samples are promised by the header, {got} are there", "truncated audio")


def _finish(samples: np.ndarray, rate: int, may_be_silent: bool) -> np.ndarray | MediaError:
    if not np.isfinite(samples).all():
        return MediaError("finite samples are expected, the sound holds NaN or infinite ones", "audio not finite")
    waveform = to_int16(resample(samples, rate))
    if len(waveform) < MIN_SAMPLES:
        return MediaError(
            f"at least {MIN_SAMPLES} samples ({1000 * MIN_SAMPLES // SAMPLE_RATE} ms at 16 kHz) are expected, the segment has "
            f"{len(waveform)}",
            "short audio",
        )
    if not may_be_silent and not waveform.any():
        return MediaError("sound is expected, all samples are zero", "silent audio")
    return waveform
