"""Table of segments + files of bio-signals -> one data set on disk, kept beside that of the audio under its own fingerprint.

It is built as ``build.py`` does. The fingerprint is over each segment's id and times, and the checksums of the files that hold
its speaker's signals. A segment without a signal stays in: its mask says so, and ``signal_reason`` why.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, Features, List, Value

from erc.data.build import Build, finish_shard
from erc.data.checksums import known_checksums
from erc.data.corpora import CORPORA, Corpus
from erc.data.manifest import Shard
from erc.data.options import SignalForm
from erc.data.segments import BadSegment, Note
from erc.data.signal_features import FEATURES, dialogue_beats, dialogue_features, dialogue_interval, segment_interval
from erc.data.signal_files import KINDS, MAX_SIGNAL_BYTES, SIGNALS, Recording, Signal, read_recording, signal_path
from erc.data.signal_sequences import dialogue_sequences, stack_sequences

FORMAT_VERSION = 1
"""Raise it whenever the code writes other content for the same files."""

REASONS = ("", "no file", "file without samples", "no sample of the segment")
"""Why a segment lacks a signal; empty where it has it. Anything else is why the file cannot be used."""

SCHEMA = Features(
    {
        "segment_id": Value("string"),
        "signal_mask": List(Value("bool"), length=len(SIGNALS)),
        "signal_features": List(Value("float64"), length=len(FEATURES)),
        "signal_sequence": List(Value("float32")),
        "signal_reason": List(Value("string"), length=len(SIGNALS)),
        "signal_repaired": List(Value("bool"), length=len(SIGNALS)),
    }
)
"""``signal_mask``: whether a sample names the segment, in the order of ``SIGNALS``. ``signal_features``: in the order of
``FEATURES``, NaN where not known. ``signal_sequence``: (T, 3) at 4 Hz, row by row (``signal_sequences.py``).
``signal_repaired``: whether the file's ids began with another session."""


COLUMN_OF: dict[SignalForm, str] = {"features": "signal_features", "sequence": "signal_sequence"}
"""Column of each form of the signals."""


class SignalBuild(Build):
    """Build of the bio-signals of some rows.

    Args:
        corpus: Facts of the corpus.
        folder: Its release folder.
        table: Rows (``segments.COLUMNS``).
        cache_dir: Where builds are kept.

    Raises:
        FileNotFoundError: No file of any of the rows is there.
        ValueError: A file cannot be read.
    """

    def __init__(self, corpus: Corpus, folder: Path, table: pd.DataFrame, cache_dir: Path) -> None:
        self.name, self.features = f"{corpus.name}-signals", SCHEMA
        self.table = _with_files(corpus, folder, table, cache_dir)
        content = self.table.drop(columns=[f"{signal}_path" for signal in SIGNALS])
        schema = str(SCHEMA.arrow_schema.remove_metadata())
        key = f"{FORMAT_VERSION}\n{schema}\n{content.to_json(orient='split', index=False, double_precision=15)}"
        self.fingerprint = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.path = cache_dir / f"{self.name}-{self.fingerprint}"
        self.write_shard = functools.partial(write_signal_shard, corpus.name, str(folder))

    def _bytes_of_audio(self) -> int:
        return 5000 * len(self.table)


def _with_files(corpus: Corpus, folder: Path, table: pd.DataFrame, cache_dir: Path) -> pd.DataFrame:
    """The columns that count, and path and checksum of the file of each signal; "missing" where there is none."""
    table = table[["segment_id", "dialogue", "start", "end"]]
    paths = {
        signal: [signal_path(corpus, folder, signal, segment_id) for segment_id in table["segment_id"]]
        for signal in SIGNALS
    }
    keys: dict[Path, str] = {}
    for path in {path for column in paths.values() for path in column}:
        try:
            status = os.stat(path)
        except OSError:
            continue
        keys[path] = f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}"
    if not keys:
        raise FileNotFoundError(
            f"Bio-signals of {corpus.name} must be there where dataset.signals asks for them: expected files such as "
            f"{next(iter(paths['eda']), folder)}, got none of the folders {', '.join(KINDS[corpus.name].values())} under "
            f"{folder}. Copy them there, or train without them (dataset.signals=null)."
        )
    wanted = {key: str(path) for path, key in keys.items()}
    found = known_checksums(f"{corpus.name}-signals", wanted, cache_dir, MAX_SIGNAL_BYTES)
    checksum = dict(zip(keys, found, strict=True))
    columns: dict[str, Any] = {}
    for signal, column in paths.items():
        columns[f"{signal}_path"] = [str(path) for path in column]
        columns[f"{signal}_xxh3"] = [checksum.get(path, "missing") for path in column]
    return table.assign(**columns)


def write_signal_shard(
    corpus_name: str, folder: str, rows: list[dict[str, Any]], path: str
) -> tuple[Shard, list[BadSegment]]:
    """Signals of some rows as one Arrow stream; runs in a worker process. No segment is bad: it may lack signals."""
    found = [
        {"segment_id": row["segment_id"], "signal_mask": [False] * 3, "signal_features": [np.nan] * len(FEATURES)}
        | {"signal_reason": [""] * 3, "signal_repaired": [False] * 3, "signal_sequence": [None] * 3}
        for row in rows
    ]
    for s, signal in enumerate(SIGNALS):
        groups: dict[tuple[str, str], list[int]] = {}
        for k, row in enumerate(rows):
            groups.setdefault((row[f"{signal}_path"], row["dialogue"]), []).append(k)
        for (file, dialogue), members in sorted(groups.items()):
            recording = _read(corpus_name, folder, file)
            if isinstance(recording, str):
                for k in members:
                    found[k]["signal_reason"][s] = recording
            else:
                _fill(signal, recording, dialogue, [(rows[k], found[k]) for k in members])
    for entry in found:
        entry["signal_sequence"] = stack_sequences(entry["signal_sequence"]).ravel()
    return finish_shard(found, path, SCHEMA), []


@functools.lru_cache(maxsize=2)  # the files of one session follow each other; an ECG of 97 minutes takes 35 MB
def _read(corpus_name: str, folder: str, file: str) -> Recording | str:
    """A recording, or why there is none."""
    try:
        recording = read_recording(CORPORA[corpus_name], Path(folder), Path(file))
    except FileNotFoundError:
        return REASONS[1]
    except ValueError as err:
        return str(err)
    return recording if len(recording) else REASONS[2]


def _fill(
    signal: Signal, recording: Recording, dialogue: str, members: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """Sets one signal's entries of segments of one dialogue and speaker."""
    s = SIGNALS.index(signal)
    whole = dialogue_interval(recording, dialogue)
    places = [segment_interval(recording, row["segment_id"], row["end"] - row["start"]) for row, _ in members]
    there = [(entry, place) for (_, entry), place in zip(members, places, strict=True) if place is not None]
    for (_, entry), place in zip(members, places, strict=True):
        entry["signal_reason"][s] = "" if place is not None else REASONS[3]
    if whole is None:
        return
    beats = dialogue_beats(recording, whole) if signal == "heart" else None
    measured = dialogue_features(signal, recording, whole, [place for _, place in there], beats)
    sequences = dialogue_sequences(signal, recording, whole, [place for _, place in there], beats)
    for k, (entry, _) in enumerate(there):
        entry["signal_sequence"][s] = sequences[k]
        entry["signal_mask"][s] = True
        entry["signal_repaired"][s] = entry["segment_id"] in recording.repaired
        for f, feature in enumerate(FEATURES):
            if feature.signal == signal:
                entry["signal_features"][f] = float(measured[feature.name][k])


def signal_notes(corpus: Corpus, ds: Dataset) -> list[Note]:
    """What was found in a build of signals and handled, with its counts."""
    table = ds.with_format("arrow")[:].select(["segment_id", "signal_reason", "signal_repaired"]).to_pandas()
    ids = table["segment_id"].to_numpy()
    notes = []
    for s, signal in enumerate(SIGNALS):
        reason = np.array([cells[s] for cells in table["signal_reason"]], dtype=object)
        lacking = reason != ""
        if lacking.any():
            counts = Counter(one if one in REASONS else "file cannot be used" for one in reason[lacking])
            parts = ", ".join(f"{n:,} {one}" for one, n in sorted(counts.items()))
            text = f"{corpus.name}: {lacking.sum():,} of {len(ids):,} segments without the signal {signal} ({parts})"
            notes.append(Note("signals", text, tuple(ids[lacking])))
    repaired = np.array([any(cells) for cells in table["signal_repaired"]], dtype=bool)
    if repaired.any():
        text = (
            f"{corpus.name}: the bio files name {repaired.sum():,} segments by another session than their own name says; "
            "the file's name holds"
        )
        notes.append(Note("signals", text, tuple(ids[repaired])))
    return notes


def unusable_signals(ds: Dataset, rows: Iterable[dict[str, Any]]) -> list[BadSegment]:
    """Segments of a view whose file of a signal cannot be used.

    Args:
        ds: A build of signals.
        rows: ``segment_id`` and ``in_paper`` of the view's segments.
    """
    in_paper = {row["segment_id"]: bool(row["in_paper"]) for row in rows}
    table = ds.with_format("arrow")[:].select(["segment_id", "signal_reason"]).to_pydict()
    bad = []
    for segment_id, reasons in zip(table["segment_id"], table["signal_reason"], strict=True):
        for signal, reason in zip(SIGNALS, reasons, strict=True):
            if reason not in REASONS and segment_id in in_paper:
                bad.append(BadSegment(signal, reason, segment_id, in_paper[segment_id], "unreadable signal"))
    return bad
