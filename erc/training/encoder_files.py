"""The files of an encoder in a directory -> one hash, by which a run knows its encoder wherever the directory lies."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

ENCODER_FILES = {".bin", ".json", ".model", ".safetensors", ".txt"}
"""Endings of the files that ``save_pretrained`` writes: weights, configuration, vocabulary."""


def content_hash(folder: Path) -> str:
    """Sixteen hex digits of names, sizes and content of an encoder's files in a directory."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in ENCODER_FILES)
    listing = []
    for path in files:
        status = path.stat()
        listing.append([path.name, status.st_size, _sha256(str(path.resolve()), status.st_mtime_ns, status.st_size)])
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]


@functools.cache
def _sha256(path: str, mtime_ns: int, size: int) -> str:
    """Hash of a file of this time and size: gigabytes of weights are read once per process."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
