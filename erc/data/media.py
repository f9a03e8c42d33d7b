"""One segment's wav -> waveform, one segment's txt -> transcript. No padding, no tokenising.

Convention: a waveform is 16 kHz mono 16-bit, whatever the file holds; a transcript is one line of text.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from erc.data.segments import AudioKind, TextKind

SAMPLE_RATE = 16_000
"""Hz."""

MIN_SAMPLES = 400
"""Samples (25 ms): one frame of a wav2vec2 encoder. A shorter segment has nothing to encode."""

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

    A file may have any rate and any number of channels: channels are averaged, and the rate is brought to 16 kHz
    (torchaudio, sinc).

    Args:
        path: A wav file.
        may_be_silent: Accept a file whose samples are all zero.

    Returns:
        (L,) int16 at 16 kHz.

    Raises:
        MediaError: Unreadable, cut off, too short, all zero, or with samples that are not finite.
    """
    path = Path(path)
    _check_riff(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate, is_plain = file.samplerate, file.subtype == "PCM_16" and file.channels == 1
            samples = file.read(dtype="int16" if is_plain and rate == SAMPLE_RATE else "float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as err:
        raise MediaError(f"a readable wav is expected, got an error: {err}", "unreadable audio") from err
    if samples.dtype == np.int16:
        waveform = samples[:, 0]
    else:
        if not np.isfinite(samples).all():
            raise MediaError("finite samples are expected, the wav holds NaN or infinite ones", "audio not finite")
        waveform = _to_int16(_resample(samples.mean(axis=1), rate))
    if len(waveform) < MIN_SAMPLES:
        raise MediaError(
            f"at least {MIN_SAMPLES} samples ({1000 * MIN_SAMPLES // SAMPLE_RATE} ms at 16 kHz) are expected, "
            f"the wav has {len(waveform)}",
            "short audio",
        )
    if not may_be_silent and not waveform.any():
        raise MediaError("sound is expected, all samples are zero", "silent audio")
    return waveform


def _check_riff(path: Path) -> None:
    """Refuses an empty file, and one whose header promises more bytes than there are.

    libsndfile reads what is left of a file that was cut off, and reports nothing.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        if size == 0:
            raise MediaError("a wav is expected, the file is empty (0 bytes)", "empty audio")
        if file.read(4) != b"RIFF":
            return  # another container: libsndfile decides
        position = 12
        while position + 8 <= size:
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


def _resample(waveform: np.ndarray, rate: int) -> np.ndarray:
    if rate == SAMPLE_RATE or not len(waveform):
        return waveform
    import torch
    import torchaudio

    return torchaudio.functional.resample(torch.from_numpy(waveform), rate, SAMPLE_RATE).numpy()


def _to_int16(waveform: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)


def read_transcript(path: str | Path) -> str:
    """Transcript of a segment, with its tags, as one stripped line.

    KEMDy19 is UTF-8, KEMDy20 CP949; both are tried in that order on every file. A few CP949 syllables happen to be
    valid UTF-8, so text that decodes to letters without any Hangul is read as CP949 where that gives Hangul.

    Raises:
        MediaError: Neither encoding fits, or the file has no text.
    """
    raw = Path(path).read_bytes()
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
