"""An upload is checked before it is decoded: its size, what it is, and how long its header says it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from erc.data import MediaError
from erc.inference import Sound


class UploadError(ValueError):
    """An upload that is not read; the text is in the language of the page."""


@dataclass(frozen=True)
class Limits:
    """What the page accepts.

    Attributes:
        megabytes: Largest upload, in 10^6 bytes.
        seconds: Longest recording.
    """

    megabytes: float = 25.0
    seconds: float = 120.0

    @property
    def n_bytes(self) -> int:
        """Largest upload in bytes."""
        return int(self.megabytes * 1e6)


def check_upload(path: str | Path | None, limits: Limits, words: dict[str, str]) -> Path:
    """The file of an upload that may be decoded.

    Raises:
        UploadError: There is none, it is too large or too long, or it is no sound.
    """
    if not path or not Path(path).is_file():
        raise UploadError(words["no_audio"])
    path = Path(path)
    n_bytes = path.stat().st_size
    if n_bytes > limits.n_bytes:
        raise UploadError(words["too_large"].format(most=limits.megabytes, got=n_bytes / 1e6))
    try:
        seconds = Sound(path).seconds
    except (MediaError, OSError) as err:
        raise UploadError(words["not_sound"].format(problem=err)) from err
    if seconds > limits.seconds:
        raise UploadError(words["too_long"].format(most=limits.seconds, got=seconds))
    return path
