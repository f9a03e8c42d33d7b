"""Files of a corpus, opened safely: regular files only, inside the corpus, and no larger than they can be.

The release folder may be a link, and so may ``annotation`` and ``wav`` in it: large audio often lies on another disk.
Every other link must end below the folder that it starts from. A FIFO, a device, a socket and a folder are never
opened, because reading them may hang or never end.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class UnfitFileError(OSError):
    """A file that must not be read: it is no regular file, or it is too large."""


@contextmanager
def open_regular(path: str | Path, max_bytes: int) -> Iterator[io.FileIO]:
    """Opens a regular file for reading, without a buffer, at its first byte.

    Args:
        path: The file.
        max_bytes: The largest size that it may have.

    Raises:
        UnfitFileError: It is no regular file, or larger than ``max_bytes``.
        OSError: The system cannot open it.
    """
    _check_status(os.stat(path), max_bytes)
    # non-blocking: a FIFO that has taken the file's place meanwhile does not hang
    with io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)) as file:
        _check_status(os.fstat(file.fileno()), max_bytes)
        yield file


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """Content of a regular file.

    Raises:
        UnfitFileError: It is no regular file, or larger than ``max_bytes``.
        OSError: The system cannot read it.
    """
    with open_regular(path, max_bytes) as file, io.BufferedReader(file) as buffered:
        content = buffered.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnfitFileError(f"at most {max_bytes} bytes are expected, the file has more")
    return content


def _check_status(status: os.stat_result, max_bytes: int) -> None:
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise UnfitFileError(f"a regular file is expected, it is {name}")
    if status.st_size > max_bytes:
        raise UnfitFileError(f"at most {max_bytes} bytes are expected, the file has {status.st_size}")


class Boundary:
    """The folder that the files of a corpus must lie in.

    Args:
        folder: ``annotation`` or ``wav`` of a release folder; it may itself be a link.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._real_parents: dict[str, str] = {}

    def stat(self, path: str | Path) -> os.stat_result:
        """Status of a file inside the folder; links are followed.

        Raises:
            UnfitFileError: The file lies outside the folder, or a link of it leads out.
            OSError: It is not there, or links lead in a circle.
        """
        path = os.fspath(path)
        status = os.lstat(path)
        parent, name = os.path.split(path)
        if parent not in self._real_parents:  # asked once per folder: a corpus has 23,000 files in 240 folders
            self._real_parents[parent] = os.path.realpath(parent, strict=True)
        real = os.path.join(self._real_parents[parent], name)
        if stat.S_ISLNK(status.st_mode):
            status, real = os.stat(path), os.path.realpath(path, strict=True)
        if os.path.commonpath([real, self._folder]) != self._folder:
            raise UnfitFileError(f"it leads out of the corpus, to {real}")
        return status
