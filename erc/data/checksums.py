"""Checksum of every wav and txt of a corpus, so that a corpus is known by its content and not by its files' times.

A checksum is kept in the cache folder beside the builds, under the segment, the size and the modification time of the file.
A file of the same size and time is not read again. A file of another time is read: a copy has the same checksum, a changed
file has another one. What this cannot find: a file that was changed and kept both its size and its modification time.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import xxhash
from filelock import FileLock
from tqdm import tqdm

from erc.data.corpora import Corpus
from erc.data.media import MAX_TXT_BYTES, MAX_WAV_BYTES
from erc.data.source_files import open_regular, read_regular
from erc.files import write_atomically

CHECKSUMS = ("wav_xxh3", "txt_xxh3")
"""Columns that ``with_checksums`` adds: 128 bits in hexadecimal digits, or ``UNREADABLE``."""

UNREADABLE = "unreadable"
"""Instead of a checksum: the file cannot be read. It is not kept, so that the file is tried again at the next start."""

MAX_ENTRIES = 1_000_000
"""Of the file; a corpus has 27,000. Beyond them, those of other copies are dropped."""

_MAX_BYTES = 300_000_000
_FORMAT = 1
_CHECKSUM = re.compile(r"[0-9a-f]{32}", re.ASCII)


def checksum_file(name: str, cache_dir: Path) -> Path:
    """Where the checksums of the corpus of that name are kept."""
    return cache_dir / f"checksums-{name}.json"


def with_checksums(corpus: Corpus, table: pd.DataFrame, cache_dir: Path) -> pd.DataFrame:
    """The table with the columns ``CHECKSUMS``; reads only files that are not known by their size and time.

    Args:
        corpus: Facts of the corpus.
        table: Rows of the corpus (``segments.COLUMNS``).
        cache_dir: Where the checksums are kept; it is made where files must be read.
    """
    wanted: dict[str, str] = {}
    for kind in ("wav", "txt"):
        columns = (table[name] for name in ("segment_id", f"{kind}_bytes", f"{kind}_mtime_ns", f"{kind}_path"))
        wanted |= {f"{name}.{kind} {size} {mtime}": path for name, size, mtime, path in zip(*columns, strict=True)}
    found = known_checksums(corpus.name, wanted, cache_dir)
    return table.assign(wav_xxh3=found[: len(table)], txt_xxh3=found[len(table) :])


def known_checksums(name: str, wanted: dict[str, str], cache_dir: Path, max_bytes: int = MAX_WAV_BYTES) -> list[str]:
    """Checksum of each file, ``UNREADABLE`` for one that cannot be read; reads only files whose key is not known.

    Args:
        name: Of the corpus.
        wanted: Path of each file by its key, which names the file, its size and its modification time.
        cache_dir: Where the checksums are kept; it is made where files must be read.
        max_bytes: The largest size of a file that is read.
    """
    path = checksum_file(name, cache_dir)
    known = _known(path)
    if not wanted.keys() <= known.keys():
        known = _read_missing(name, path, wanted, max_bytes)
    return [known.get(key, UNREADABLE) for key in wanted]


def file_checksum(path: str | Path, max_bytes: int) -> str:
    """Checksum (XXH3, 128 bits) of a regular file.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger than ``max_bytes``.
    """
    digest = xxhash.xxh3_128()
    with open_regular(path, max_bytes) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _read_missing(name: str, path: Path, wanted: dict[str, str], max_bytes: int) -> dict[str, str]:
    """All known checksums, after the files that lack one were read; one process reads, others wait for it."""
    with ExitStack() as stack:
        unwritable = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(f"{path}.lock"))
        except OSError as err:  # a cache that others made, and that may only be read
            unwritable = str(err)
        known = _known(path)
        new = _read_files(name, {key: file for key, file in wanted.items() if key not in known}, max_bytes)
        both = known | new
        if new and not unwritable:
            kept = both if len(both) <= MAX_ENTRIES else {key: both[key] for key in wanted if key in both}
            try:
                for leftover in path.parent.glob(f".{path.name}.tmp-*"):  # of a killed process: the lock is ours
                    leftover.unlink(missing_ok=True)
                write_atomically(path, json.dumps({"format": _FORMAT, "checksums": kept}, indent=0))
            except OSError as err:
                unwritable = str(err)
        if new and unwritable:
            print(
                f"Checksums of {name} are kept in {path}, which cannot be written ({unwritable}): {len(new):,} files "
                "will be read again at the next start. Set dataset.cache_dir to a folder of yours.",
                file=sys.stderr,
            )
    return both


def _read_files(name: str, files: dict[str, str], max_bytes: int) -> dict[str, str]:
    """Checksums of files by their key; those that cannot be read are left out."""
    found: dict[str, str] = {}

    def read(path: str) -> str:
        try:
            return file_checksum(path, MAX_TXT_BYTES if path.endswith(".txt") else max_bytes)
        except OSError:  # the build reads it next, and names it with the reason
            return UNREADABLE

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results: Iterable[str] = pool.map(read, files.values())
        progress = tqdm(results, f"Reading {name} for checksums", len(files), unit="file", mininterval=1, delay=2)
        for key, checksum in zip(files, progress, strict=True):
            if checksum != UNREADABLE:
                found[key] = checksum
    return found


def _known(path: Path) -> dict[str, str]:
    """Checksums that are kept; none where there is no file of them, or where it is damaged, which is said."""
    try:
        status = path.stat()
        return _parse(str(path), status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as err:
        print(f"{path} is damaged ({err}): the corpus is read again.", file=sys.stderr)
        return {}


@functools.lru_cache(maxsize=4)
def _parse(path: str, mtime_ns: int, size: int) -> dict[str, str]:
    """Content of the file; parsed once per process as long as it does not change."""
    content = json.loads(read_regular(path, _MAX_BYTES).decode("utf-8"))
    checksums = content.get("checksums") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    if not isinstance(checksums, dict):
        raise ValueError("it holds no checksums")
    if not all(isinstance(value, str) and _CHECKSUM.fullmatch(value) for value in checksums.values()):
        raise ValueError("a checksum is not 32 hexadecimal digits")
    return checksums
