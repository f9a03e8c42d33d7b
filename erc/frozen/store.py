"""Hidden states on disk: a folder of shards, each of which is whole or not there.

A shard is a safetensors file of some segments: their states one below the other, unpadded, and their keys. Its name is the
checksum of its content. It is written to a temporary file, which is renamed when it is whole. So a process that is killed at any
moment loses the shard in progress and no other, and the next process goes on behind the last one. Checksums are compared whenever
a store is opened; the shards are then mapped into memory.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from erc.data import file_checksum
from erc.files import sweep_temporaries, write_atomically

SHARD = re.compile(r"shard-([0-9a-f]{32})\.safetensors", re.ASCII)

MAX_SHARD_BYTES = 4_000_000_000
"""A hundred segments of 30 s at the width of 2,048 in fp32 take 1.2 billion."""


class Place(NamedTuple):
    """Where the states of a segment are."""

    shard: str
    start: int
    stop: int


class StateStore:
    """Hidden states by a segment's key.

    Args:
        folder: Its shards; it need not be there yet.

    Attributes:
        places: Where the states of each key are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: dict[str, Place] = {}
        self._open: dict[str, Any] = {}
        self.refresh()

    def __getstate__(self) -> dict[str, Any]:
        """A process that prepares batches maps the shards itself."""
        return self.__dict__ | {"_open": {}}

    def refresh(self) -> list[Path]:
        """Looks for shards that have come; returns those that are not as they were written."""
        known = {place.shard for place in self.places.values()}
        new = [path for path in sorted(self.folder.glob("shard-*")) if path.name not in known]
        with ThreadPoolExecutor() as pool:
            whole = list(pool.map(_is_whole, new))
        for path in itertools.compress(new, whole):
            self._add(path)
        return [path for path, is_whole in zip(new, whole, strict=True) if not is_whole]

    def _add(self, path: Path) -> None:
        with safe_open(path, "pt") as shard:
            keys, first = json.loads(shard.metadata()["keys"]), shard.get_tensor("first").tolist()
        places = [Place(path.name, *bounds) for bounds in itertools.pairwise(first)]
        self.places |= dict(zip(keys, places, strict=True))

    def sweep(self) -> None:
        """Removes what killed processes left, and damaged shards, which is said; the caller holds the store's lock."""
        sweep_temporaries(self.folder)
        for path in self.refresh():
            print(f"{path} is damaged: its segments are computed again.", file=sys.stderr)
            path.unlink()

    def write(self, states: dict[str, torch.Tensor]) -> None:
        """Writes one shard.

        Args:
            states: (T, D) of each segment by its key; T may be 1 and more.
        """
        lengths = [len(one) for one in states.values()]
        tensors = {
            "states": torch.cat([*states.values()]).contiguous(),
            "first": torch.tensor([0, *itertools.accumulate(lengths)]),
        }
        content = save(tensors, metadata={"keys": json.dumps([*states])})
        path = self.folder / f"shard-{xxhash.xxh3_128_hexdigest(content)}.safetensors"
        write_atomically(path, content)
        self._add(path)

    def read(self, keys: Iterable[str]) -> list[torch.Tensor]:
        """States (T, D) float32 of each segment.

        Raises:
            KeyError: The store lacks one of them.
        """
        found = []
        for key in keys:
            place = self.places[key]
            if place.shard not in self._open:
                self._open[place.shard] = safe_open(self.folder / place.shard, "pt").get_slice("states")
            found.append(self._open[place.shard][place.start : place.stop].float())
        return found


def _is_whole(path: Path) -> bool:
    """Whether a file is a shard with the content that its name says."""
    named = SHARD.fullmatch(path.name)
    try:
        return named is not None and file_checksum(path, MAX_SHARD_BYTES) == named[1]
    except (OSError, SafetensorError):
        return False
