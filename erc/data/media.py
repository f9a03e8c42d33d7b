"""One segment's wav -> waveform, one segment's txt -> transcript. No padding, no tokenising.

Convention: a waveform is 16 kHz mono 16-bit, whatever the file holds; a transcript is one line of text. What a header
says is checked before any memory is taken for it.
"""

from __future__ import annotations

import io
import re
import struct
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from erc.data.segments import AudioKind, TextKind
from erc.data.source_files import open_regular, read_regular

SAMPLE_RATE = 16_000
"""Hz."""

MIN_SAMPLES = 400
"""Samples (25 ms): one frame of a wav2vec2 encoder. A shorter segment has nothing to encode."""

SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
"""Hz; the rates that a wav may have. The corpora have 16,000. To bring any other rate to 16 kHz may take gigabytes (16,001
shares no divisor with it), and such a rate is a damaged header."""

MAX_SECONDS = 600
"""No segment is longer: the longest known one has 78.4 s, the longest dialogue 510 s."""

MAX_VALUES = 60_000_000
"""Samples times channels of a wav: 240 MB while it is decoded. Ten minutes of 48 kHz stereo are 57.6 million."""

MAX_WAV_BYTES = 500_000_000

MAX_CHUNKS = 1000
"""A wav has a handful of chunks; a damaged one may seem to have a million."""

MAX_TXT_BYTES = 1_000_000

MIN_SHARE_OF_INTERVAL = 0.25
"""A wav shorter than this share of its annotated interval was cut.

The wavs of KEMDy19 are shorter than their intervals, because silence at the end was trimmed: most by 1.4 ms, and of the
published examples one has 75 % of its interval. How far the trimming goes in all 10,277 segments is not published.
Intervals follow each other without a gap, so they hold the pause before the next speaker. A quarter leaves that pause
three times the length of the speech; a bound nearer to 1 would refuse sound segments."""

TranscriptKind = Literal["raw", "clean"]

_HANGUL = re.compile(r"[가-힣]")

_TAG = re.compile(r"(?<![^\s()+/])[cnNulbos]/")

_MARKS = re.compile(r"[/*+()]")


class MediaError(ValueError):
    """A wav or txt that cannot be used.

    Attributes:
        kind: What is wrong; code asks this.
        problem: What was expected and what came; people read this.
    """

    def __init__(self, problem: str, kind: AudioKind | TextKind) -> None:
        super().__init__(problem, kind)  # both, so that a worker process can hand the error on
        self.problem, self.kind = problem, kind

    def __str__(self) -> str:
        return self.problem


def read_waveform(path: str | Path, may_be_silent: bool = False) -> np.ndarray:
    """Waveform of a segment.

    A file may have any of ``SAMPLE_RATES`` and several channels: channels are averaged, and the rate is brought to
    16 kHz (torchaudio, sinc).

    Args:
        path: A wav file.
        may_be_silent: Accept a file whose samples are all zero.

    Returns:
        (L,) int16 at 16 kHz.

    Raises:
        MediaError: Unreadable, cut off, too short, too long, of another rate, all zero, or with samples that are not
            finite.
        OSError: Not there, no regular file, or larger than ``MAX_WAV_BYTES``.
    """
    with open_regular(path, MAX_WAV_BYTES) as file:
        check_riff(file)
        file.seek(0)
        try:
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                _check_header(sound.samplerate, sound.frames, sound.channels)
                rate, is_plain = sound.samplerate, sound.subtype == "PCM_16" and sound.channels == 1
                samples = sound.read(dtype="int16" if is_plain and rate == SAMPLE_RATE else "float32", always_2d=True)
        except soundfile.LibsndfileError as err:
            raise MediaError(
                f"a readable wav is expected, got an error: {err.error_string}", "unreadable audio"
            ) from err
    if samples.dtype == np.int16:
        waveform = samples[:, 0]
    else:
        if not np.isfinite(samples).all():
            raise MediaError("finite samples are expected, the wav holds NaN or infinite ones", "audio not finite")
        waveform = to_int16(resample(samples.mean(axis=1), rate))
    if len(waveform) < MIN_SAMPLES:
        raise MediaError(
            f"at least {MIN_SAMPLES} samples ({1000 * MIN_SAMPLES // SAMPLE_RATE} ms at 16 kHz) are expected, "
            f"the wav has {len(waveform)}",
            "short audio",
        )
    if not may_be_silent and not waveform.any():
        raise MediaError("sound is expected, all samples are zero", "silent audio")
    return waveform


def check_length(n_samples: int, start: float, end: float) -> None:
    """Compares a waveform with its annotated interval.

    Args:
        n_samples: Length of the waveform at 16 kHz.
        start: Annotated start in seconds.
        end: Annotated end in seconds.

    Raises:
        MediaError: The waveform has less than ``MIN_SHARE_OF_INTERVAL`` of the interval.
    """
    seconds, least = n_samples / SAMPLE_RATE, MIN_SHARE_OF_INTERVAL * (end - start)
    if seconds < least:
        raise MediaError(
            f"at least {least:.2f} s of sound are expected, a quarter of the annotated {end - start:.2f} s; "
            f"the wav has {seconds:.2f} s",
            "truncated audio",
        )


def check_riff(file: io.FileIO) -> None:
    """Refuses an empty file, and one whose header promises more bytes than there are.

    libsndfile reads what is left of a file that was cut off, and reports nothing.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise MediaError("a wav is expected, the file is empty (0 bytes)", "empty audio")
    if file.read(4) != b"RIFF":
        return  # another container: libsndfile decides
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        chunk, length = struct.unpack("<4sI", file.read(8))
        if chunk == b"data":
            # a writer to a pipe does not know the length and leaves 0 or 0xFFFFFFFF there
            if length not in (0, 0xFFFFFFFF) and position + 8 + length > size:
                raise MediaError(
                    f"{length} bytes of sound are promised by the header, {size - position - 8} are there",
                    "truncated audio",
                )
            return
        position += 8 + length + length % 2
    raise MediaError(f"sound within the first {MAX_CHUNKS} chunks of the wav is expected, got none", "unreadable audio")


def _check_header(rate: int, n_frames: int, n_channels: int) -> None:
    """Refuses what no segment is, before memory is taken for it."""
    if rate not in SAMPLE_RATES:
        rates = ", ".join(map(str, SAMPLE_RATES))
        raise MediaError(f"a rate of {rates} Hz is expected, the wav has {rate}", "unreadable audio")
    if n_frames > MAX_SECONDS * rate:
        raise MediaError(
            f"at most {MAX_SECONDS} s of sound are expected, the wav has {n_frames / rate:.0f} s", "unreadable audio"
        )
    if n_frames * n_channels > MAX_VALUES:
        raise MediaError(
            f"at most {MAX_VALUES} values are expected, the wav has {n_frames} samples of {n_channels} channels",
            "unreadable audio",
        )


def resample(waveform: np.ndarray, rate: int) -> np.ndarray:
    """(L,) at ``rate`` Hz -> (L',) at 16 kHz (torchaudio, sinc)."""
    if rate == SAMPLE_RATE or not len(waveform):
        return waveform
    import torch
    import torchaudio

    return torchaudio.functional.resample(torch.from_numpy(waveform), rate, SAMPLE_RATE).numpy()


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Shares of full scale -> 16-bit samples; what is beyond full scale is clipped."""
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)


def read_transcript(path: str | Path) -> str:
    """Transcript of a segment, with its tags, as one stripped line.

    KEMDy19 is UTF-8, KEMDy20 CP949; both are tried in that order on every file. A few CP949 syllables happen to be
    valid UTF-8, so text that decodes to letters without any Hangul is read as CP949 where that gives Hangul.

    White space, line ends among it, becomes single spaces. Other control characters are refused: no transcript has
    them, and a file of another kind or encoding does.

    Raises:
        MediaError: Neither encoding fits, the file has no text, or it holds control characters.
        OSError: Not there, no regular file, or larger than ``MAX_TXT_BYTES``.
    """
    raw = read_regular(path, MAX_TXT_BYTES)
    text = _decode(raw, "utf-8-sig")
    if text is None or not _HANGUL.search(text):
        korean = _decode(raw, "cp949")
        if korean is not None and (text is None or _HANGUL.search(korean)):
            text = korean
    if text is None:
        raise MediaError("a transcript in UTF-8 or CP949 is expected, the bytes are neither", "undecodable transcript")
    text = " ".join(text.split())
    if not text:
        raise MediaError("a transcript is expected, the file has no text", "empty transcript")
    controls = sorted({ord(character) for character in text if unicodedata.category(character) == "Cc"})
    if controls:
        raise MediaError(
            f"text without control characters is expected, the file has U+{controls[0]:04X}", "undecodable transcript"
        )
    return text


def _decode(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def clean_transcript(text: str) -> str:
    """Transcript without its transcribers' tags; the words stay.

    Removed: noise tags that stand alone (``b/ c/ l/ n/ N/ o/ s/ u/``), the slash of an interjection (``word/``), the
    marks ``*`` and ``+``, and the brackets of overlapped speech (``(A+B)`` becomes ``A B``). May be empty.
    """
    text = _TAG.sub(" ", text)
    return " ".join(_MARKS.sub(" ", text).split())
