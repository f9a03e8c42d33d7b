"""One writer for every file and folder that must be whole or not there at all."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def keep_private() -> None:
    """From here on, what this process and its children create can be read by its owner only (0700, 0600).

    Recordings and transcripts of people, and what is computed of them, stand in caches, run folders, grids and pages.
    Every program calls this first.
    """
    os.umask(0o077)


def make_private(folder: str | Path) -> None:
    """Takes from others the access to a folder that this program writes into: a run folder, a build of a data set.

    For a folder of the program's own only, never for one above it. A folder of somebody else is left as it is.
    """
    status = os.stat(folder)
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        os.chmod(folder, stat.S_IMODE(status.st_mode) & ~0o077)


@contextmanager
def waited_lock(path: str | Path, doing: str) -> Iterator[None]:
    """Holds a lock file for the block; says so where another process holds it, and waits.

    Args:
        path: The lock file.
        doing: What the other process does, and to what: ``building cache/kemdy19-…``.
    """
    from filelock import FileLock, Timeout  # every program imports this file at its start, and few take a lock

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another process is {doing}: waiting for it.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside ``path``, and renames it to ``path`` when the block has ended well.

    The content is on the disk before the renaming, so a power cut leaves the old file or the new one. When the block
    raises, the temporary file is removed and the old file stays as it is.

    Args:
        path: The file to write; its folder must exist.

    Yields:
        The temporary file, open for bytes.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Writes a whole file by way of a temporary one; text is written as UTF-8."""
    with atomic_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Makes a temporary folder beside ``path``, and renames it to ``path`` when the block has ended well.

    A folder that is there already is replaced. When the block raises, the temporary folder is removed and the old one stays as
    it is. One process at a time may write to a path: what a killed one left is removed.

    Args:
        path: The folder to write; folders above it are made.

    Yields:
        The temporary folder, which is empty.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():
            old = path.with_name(f".{path.name}.tmp-{os.getpid()}-old")
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


TEMPORARY = re.compile(r"\..+\.tmp-\d+", re.ASCII)
"""Name of a file that ``atomic_file`` has not yet renamed."""


def sweep_temporaries(folder: str | Path) -> None:
    """Removes the temporary files that killed processes left in a folder.

    For a folder that one process at a time writes into, and that the caller has claimed: a file of another process could
    be half-written otherwise.
    """
    for path in Path(folder).glob(".*.tmp-*"):
        if TEMPORARY.fullmatch(path.name) and (path.is_file() or path.is_symlink()):
            path.unlink(missing_ok=True)
