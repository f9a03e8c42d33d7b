"""Table of segments of any corpus + its audio -> one data set on disk, built and kept as ``build.py`` does for KEMD.

The fingerprint is over the rows, the label space and the checksums of the audio files. Where files lie, their times and the
folds are not in it: another division into folds needs no new build.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Features, List, Value

from erc.data.build import Build, finish_shard
from erc.data.checksums import known_checksums
from erc.data.manifest import Shard
from erc.data.media import SAMPLE_RATE, MediaError
from erc.data.segment_list import PASSED_ON, SegmentList
from erc.data.segments import BadSegment
from erc.data.sound_cuts import MAX_SOUND_BYTES, Cut, read_cuts
from erc.files import write_atomically
from erc.labels import LabelSpace

FORMAT_VERSION = 1
"""Raise it whenever the code writes other content for the same corpus."""

BYTES_PER_SECOND = 2 * SAMPLE_RATE
"""Of a waveform in a build."""

_NO_CONTENT = ("file", "audio_path", "audio_bytes", "audio_mtime_ns", "where")


def segment_features(label_space: LabelSpace) -> Features:
    """Columns of a build of that label space."""
    return Features(
        {
            **{name: Value("string") for name in ("segment_id", "corpus", "dialogue", *PASSED_ON)},
            "start": Value("float64"),
            "end": Value("float64"),
            "waveform": List(Value("int16")),
            "n_samples": Value("int64"),
            "transcript": Value("string"),
            "votes": List(Value("int64"), length=label_space.n_emotions),
            "hard_label": Value("int64"),
            "is_tied": Value("bool"),
            **{name: Value("float64") for name in label_space.dimensions},
        }
    )


def with_audio_checksums(segments: SegmentList, folder: Path, cache_dir: Path) -> pd.DataFrame:
    """The table with a column ``audio_xxh3``; reads only files that are not known by their size and time.

    Args:
        segments: The table.
        folder: Of the table. Two corpora may hold files of the same name, size and time, so each folder has its own list.
        cache_dir: Where the checksums are kept.
    """
    # the reading of a table is kept for the views of one process; its audio may have changed since
    status = {path: _size_and_time(path) for path in segments.table["audio_path"].unique()}
    table = segments.table.assign(
        audio_bytes=[status[path][0] for path in segments.table["audio_path"]],
        audio_mtime_ns=[status[path][1] for path in segments.table["audio_path"]],
    )
    place = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    there = table[table["audio_bytes"] >= 0].drop_duplicates("file")
    rows = zip(there["file"], there["audio_bytes"], there["audio_mtime_ns"], there["audio_path"], strict=True)
    wanted = {f"{file} {size} {mtime}": path for file, size, mtime, path in rows}
    found = known_checksums(f"{segments.name}-{place}", wanted, cache_dir, MAX_SOUND_BYTES)
    by_file = dict(zip(there["file"], found, strict=True))
    return table.assign(audio_xxh3=[by_file.get(file, "missing") for file in table["file"]])


def _size_and_time(path: str) -> tuple[int, int]:
    """Bytes and modification time of a file; (-1, 0) where it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def folds_fingerprint(segments: SegmentList) -> str:
    """Sixteen hex digits of the division into folds."""
    content = json.dumps([segments.n_folds, segments.table["segment_id"].tolist(), segments.fold.tolist()])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def write_folds(segments: SegmentList, fingerprint: str, cache_dir: Path) -> Path:
    """Writes segment ids and folds beside the build, as ``<name>-<fingerprint>.folds.csv``, unless they are there."""
    path = cache_dir / f"{segments.name}-{fingerprint}.folds.csv"
    if not path.is_file():
        content = pd.DataFrame({"segment_id": segments.table["segment_id"], "fold": segments.fold}).to_csv(index=False)
        write_atomically(path, content)
    return path


class SegmentBuild(Build):
    """Build of a table of segments.

    Args:
        segments: The whole table; its name and label space count.
        table: Rows that go in, with ``audio_xxh3``.
        cache_dir: Where builds are kept.
    """

    segments_per_shard = 100  # of up to ten minutes: 1.9 GB of samples, which an Arrow list can count

    def __init__(self, segments: SegmentList, table: pd.DataFrame, cache_dir: Path) -> None:
        self.name, self.table = segments.name, table
        self.features = segment_features(segments.label_space)
        content = table.drop(columns=list(_NO_CONTENT)).to_json(orient="split", index=False, double_precision=15)
        schema = str(self.features.arrow_schema.remove_metadata())
        space = json.dumps(segments.label_space.to_json(), sort_keys=True)
        self.fingerprint = hashlib.sha256(f"{FORMAT_VERSION}\n{schema}\n{space}\n{content}".encode()).hexdigest()[:16]
        self.path = cache_dir / f"{self.name}-{self.fingerprint}"
        self.write_shard = partial(write_segment_shard, self.features)

    def _located(self, bad: list[BadSegment]) -> list[BadSegment]:
        where = dict(zip(self.table["segment_id"], self.table["where"], strict=True))
        return [replace(one, where=where[one.segment_id]) for one in bad]

    def _bytes_of_audio(self) -> int:
        """Bytes that the waveforms will take: of the given times, else eight times the file (an mp3 is packed that much)."""
        seconds = self.table["end"] - self.table["start"].fillna(0)
        return int((seconds * BYTES_PER_SECOND).fillna(8 * self.table["audio_bytes"].clip(lower=0)).sum())


def write_segment_shard(features: Features, rows: list[dict[str, Any]], path: str) -> tuple[Shard, list[BadSegment]]:
    """Reads the audio of some rows and writes one Arrow stream; runs in a worker process. Each file is opened once."""
    found: dict[str, dict[str, Any]] = {}
    bad: list[BadSegment] = []
    by_file = sorted(rows, key=lambda row: (row["audio_path"], row["start"] if row["start"] == row["start"] else 0.0))
    for _, group in groupby(by_file, key=lambda row: row["audio_path"]):
        members = list(group)
        for row, piece in zip(members, read_audio(members), strict=True):
            start = 0.0 if np.isnan(row["start"]) else row["start"]
            if isinstance(piece, np.ndarray):
                times = {"start": start, "end": start + len(piece) / SAMPLE_RATE}
                found[row["segment_id"]] = row | times | {"waveform": piece, "n_samples": len(piece)}
            else:
                kind = piece.kind if isinstance(piece, MediaError) else "unreadable audio"
                bad.append(BadSegment(row["where"], f"{row['file']}: {piece}", row["segment_id"], True, kind))
    good = [found[row["segment_id"]] for row in rows if row["segment_id"] in found]
    return finish_shard(good, path, features), bad


def read_audio(rows: list[dict[str, Any]]) -> list[np.ndarray | MediaError | OSError]:
    """Waveform of each row of one audio file, or why it cannot be used; the file is opened once.

    Args:
        rows: Rows of a ``SegmentList.table`` with the same ``audio_path``.
    """
    cuts = [Cut(0.0 if np.isnan(row["start"]) else row["start"], row["end"]) for row in rows]
    try:
        return list(read_cuts(rows[0]["audio_path"], cuts))
    except (MediaError, OSError) as err:
        return [err] * len(rows)
