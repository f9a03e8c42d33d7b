"""The manifest of a build: what was written, so that a reader knows whether all of it is there.

It is read with distrust: it may be cut, edited, or of another build. A manifest either says exactly which rows lie in
which shard and which segments are bad, or it is a ``ManifestError`` and the build is made again.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, get_args

from erc.data.segments import AudioKind, BadSegment, RowKind, TextKind

_SHARD_NAME = re.compile(r"shard-\d{5,}\.arrow", re.ASCII)
_CHECKSUM = re.compile(r"[0-9a-f]{32}", re.ASCII)
_KINDS = [*get_args(RowKind), *get_args(AudioKind), *get_args(TextKind)]

MAX_MANIFEST_BYTES = 100_000_000
"""Every segment of a corpus as a bad one takes about 10 million."""


class ManifestError(ValueError):
    """A manifest that does not describe the build; the text says why."""


@dataclass(frozen=True)
class Shard:
    """One file of a build."""

    name: str
    """Without a folder."""
    bytes: int
    xxh3: str
    """128 bits, in hexadecimal digits."""
    n_segments: int


@dataclass(frozen=True)
class Manifest:
    """All files of a build, and the segments whose media cannot be used."""

    corpus: str
    fingerprint: str
    shards: list[Shard]
    bad: list[BadSegment]

    def to_json(self, format_version: int) -> str:
        """Text of the file; shards without a row are left out."""
        content = {
            "format": format_version,
            "corpus": self.corpus,
            "fingerprint": self.fingerprint,
            "n_segments": sum(shard.n_segments for shard in self.shards),
            "shards": [asdict(shard) for shard in self.shards if shard.n_segments],
            "bad": [asdict(problem) for problem in self.bad],
        }
        return json.dumps(content, indent=1, ensure_ascii=False)


def parse_manifest(text: bytes, fingerprint: str, segment_ids: list[str]) -> Manifest:
    """Reads a manifest.

    Args:
        text: Content of the file.
        fingerprint: Of the build.
        segment_ids: Of the build's table; each must be in a shard or among the bad ones.

    Raises:
        ManifestError: The manifest is damaged, of another build, or its rows and bad segments are not those of the table.
    """
    try:
        content = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise ManifestError("it is no JSON") from err
    content = _fields(content, "manifest", fingerprint=str, corpus=str, n_segments=int, shards=list, bad=list)
    if content["fingerprint"] != fingerprint:
        raise ManifestError("it is of another build")
    shards = [_shard(item) for item in content["shards"]]
    bad = [_bad_segment(item) for item in content["bad"]]
    n_rows = sum(shard.n_segments for shard in shards)
    if len({shard.name for shard in shards}) != len(shards):
        raise ManifestError("a shard stands twice")
    if n_rows != content["n_segments"] or n_rows + len(bad) != len(segment_ids):
        raise ManifestError(
            f"{n_rows} rows in shards and {len(bad)} bad segments, {len(segment_ids)} segments in the table"
        )
    bad_ids = {problem.segment_id for problem in bad}
    if len(bad_ids) != len(bad) or not bad_ids <= set(segment_ids):
        raise ManifestError("its bad segments are not in the table")
    return Manifest(content["corpus"], fingerprint, shards, bad)


def _shard(item: object) -> Shard:
    fields = _fields(item, "shard", name=str, bytes=int, xxh3=str, n_segments=int)
    shard = Shard(**{name: fields[name] for name in ("name", "bytes", "xxh3", "n_segments")})
    if not _SHARD_NAME.fullmatch(shard.name) or not _CHECKSUM.fullmatch(shard.xxh3):
        raise ManifestError(f"a shard has no valid name or checksum: {shard.name[:60]!r}")
    if shard.bytes < 1 or shard.n_segments < 1:
        raise ManifestError(f"{shard.name} has no rows or no bytes")
    return shard


def _bad_segment(item: object) -> BadSegment:
    """A bad segment; one of an earlier version has no kind."""
    fields = _fields(item, "bad segment", where=str, problem=str, segment_id=str, in_paper=bool)
    kind = fields.get("kind")
    if kind is not None and kind not in _KINDS:
        raise ManifestError("a bad segment is of no known kind")
    return BadSegment(fields["where"], fields["problem"], fields["segment_id"], fields["in_paper"], kind)


def _fields(item: object, what: str, **types: type) -> dict[str, Any]:
    """A JSON object that has the fields, each of its type."""
    if not isinstance(item, dict):
        raise ManifestError(f"a {what} is no JSON object")
    for name, expected in types.items():
        if type(item.get(name)) is not expected:  # a bool is an int to isinstance
            raise ManifestError(f"the {what} has no valid {name!r}")
    return item
