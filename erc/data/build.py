"""Table of segments + media -> one data set on disk, in Arrow shards with a manifest.

There is one build per corpus. Its name holds a fingerprint of everything that goes into it: every row of the table, the
checksum of every file (``checksums.py``), and the format version. Paths and times of files are not in it, so that a copy of
a corpus has the same build. A build is written to a temporary folder, which is renamed when the build is whole. A second
process waits for the first.

Sizes, checksums, row counts and segment ids are compared whenever a build is opened, before any of it is used. The
shards are then mapped into memory. What cannot be prevented: a shard that another program shortens in place while it is
mapped ends the process (SIGBUS). This program never changes a build in place: it makes a new one and renames it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from datasets import Dataset, Features, List, Value, concatenate_datasets
from joblib import Parallel, delayed
from tqdm import tqdm

from erc.data.checksums import CHECKSUMS, file_checksum, with_checksums
from erc.data.corpora import CORPORA, EMOTIONS, N_RATERS, Corpus, find_folder, parse_dataset_name
from erc.data.kemdy import read_annotations
from erc.data.manifest import MAX_MANIFEST_BYTES, Manifest, Shard, parse_manifest
from erc.data.media import MediaError, check_length, clean_transcript, read_transcript, read_waveform
from erc.data.segments import BIO_COLUMNS, COLUMNS, Annotations, AudioKind, BadSegment, TextKind
from erc.data.source_files import read_regular
from erc.files import make_private, waited_lock

FORMAT_VERSION = 1
"""Raise it whenever the code writes other content for the same corpus: builds of an earlier version are then not used."""

SEGMENTS_PER_SHARD = 250

MANIFEST = "MANIFEST.json"

STALE_SECONDS = 24 * 3600
"""A temporary folder of this age belongs to a build that died; the next build removes it."""

FEATURES = Features(
    {
        "segment_id": Value("string"),
        "corpus": Value("string"),
        "session": Value("int64"),
        "dialogue": Value("string"),
        "speaker": Value("string"),
        "gender": Value("string"),
        "start": Value("float64"),
        "end": Value("float64"),
        "waveform": List(Value("int16")),
        "n_samples": Value("int64"),
        "transcript": Value("string"),
        "transcript_clean": Value("string"),
        "votes": List(Value("int64"), length=len(EMOTIONS)),
        "hard_label": Value("int64"),
        "is_tied": Value("bool"),
        "valence": Value("float64"),
        "arousal": Value("float64"),
        "emotion_ratings": List(Value("int64"), length=N_RATERS),
        "valence_ratings": List(Value("int64"), length=N_RATERS),
        "arousal_ratings": List(Value("int64"), length=N_RATERS),
        **{column: Value("float64") for column in BIO_COLUMNS},
        "in_paper": Value("bool"),
    }
)


_NO_CONTENT = {"wav_path", "txt_path", "wav_mtime_ns", "txt_mtime_ns"}
"""Columns that say where a file is and how old, and nothing of what is in it."""


def corpora_fingerprint(dataset_name: str, root: str, cache_dir: str) -> str:
    """Fingerprint of the corpora under ``root``, as every ``HF_KEMD`` view of them has it; builds nothing.

    Files whose checksum is not kept in ``cache_dir`` yet are read for it.
    """
    fingerprints = []
    for corpus in parse_dataset_name(dataset_name):
        source = read_source(corpus.name, str(find_folder(corpus, root).resolve()))
        table = with_checksums(corpus, source.table, Path(cache_dir))
        fingerprints.append(Build(corpus, table, Path(cache_dir)).fingerprint)
    return "-".join(fingerprints)


@functools.lru_cache(maxsize=4)
def read_source(corpus_name: str, folder: str) -> Annotations:
    """Annotations of a corpus; read once per process, because the training and the validation view both ask."""
    return read_annotations(CORPORA[corpus_name], Path(folder))


class Build:
    """One data set on disk: shards of Arrow streams and a manifest that was written last.

    Args:
        corpus: Facts of the corpus.
        table: Rows that go in (``segments.COLUMNS`` and ``checksums.CHECKSUMS``).
        cache_dir: Where builds are kept.
    """

    segments_per_shard: int | None = None
    """``SEGMENTS_PER_SHARD`` where None."""

    def __init__(self, corpus: Corpus, table: pd.DataFrame, cache_dir: Path) -> None:
        self.name, self.table, self.features = corpus.name, table, FEATURES
        self.write_shard: Callable[[list[dict[str, Any]], str], tuple[Shard, list[BadSegment]]]
        self.write_shard = functools.partial(write_shard, corpus.name)
        columns = [*(name for name in COLUMNS if name not in _NO_CONTENT), *CHECKSUMS]
        content = table[columns].to_json(orient="split", index=False, double_precision=15)
        schema = str(FEATURES.arrow_schema.remove_metadata())
        key = f"{FORMAT_VERSION}\n{schema}\n{content}"
        self.fingerprint = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.path = cache_dir / f"{corpus.name}-{self.fingerprint}"

    def is_ready(self) -> bool:
        """Whether a finished build is there; ``load`` checks its content."""
        return (self.path / MANIFEST).is_file()

    def load(self, num_proc: int | None) -> tuple[Dataset, list[BadSegment]]:
        """The data set, and the segments whose media cannot be used; builds where no whole build is there."""
        found = self._open()
        if found is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with waited_lock(f"{self.path}.lock", f"building {self.path}"):
                found = self._open()
                if found is None:
                    manifest = self._write(num_proc)
                    found = _map(self.path, manifest, self.features), manifest.bad
        return found

    def _open(self) -> tuple[Dataset, list[BadSegment]] | None:
        """A whole build's rows and bad segments; None where the build must be made, which is said unless it is missing."""
        segment_ids = self.table["segment_id"].tolist()
        try:
            text = read_regular(self.path / MANIFEST, MAX_MANIFEST_BYTES)
            manifest = parse_manifest(text, self.fingerprint, segment_ids)
            damaged = self._damaged_shards(manifest)
            if not damaged:
                ds = _map(self.path, manifest, self.features)
                bad_ids = {problem.segment_id for problem in manifest.bad}
                expected = [segment_id for segment_id in segment_ids if segment_id not in bad_ids]
                if ds.features == self.features and ds.with_format("arrow")["segment_id"][:].to_pylist() == expected:
                    make_private(self.path)
                    return ds, self._located(manifest.bad)
                damaged = ["its segments are not those of the table"]
        except FileNotFoundError:
            return None
        except (ValueError, OSError, pa.ArrowException) as err:  # ManifestError is a ValueError
            damaged = [f"{MANIFEST}: {err}"]
        print(f"{self.path} is damaged ({', '.join(damaged[:3])}): building it again.", file=sys.stderr)
        return None

    def _located(self, bad: list[BadSegment]) -> list[BadSegment]:
        """Bad segments with the paths of this corpus: the build may be of a copy that lies elsewhere."""
        rows = self.table.set_index("segment_id")
        column = {kind: "wav_path" for kind in get_args(AudioKind)} | {kind: "txt_path" for kind in get_args(TextKind)}
        return [
            replace(one, where=rows.at[one.segment_id, column[one.kind]]) if one.kind in column else one for one in bad
        ]

    def _damaged_shards(self, manifest: Manifest) -> list[str]:
        """Names of the shards that are not as they were written."""
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            is_whole = list(pool.map(self._is_whole, manifest.shards))
        return [shard.name for shard, whole in zip(manifest.shards, is_whole, strict=True) if not whole]

    def _is_whole(self, shard: Shard) -> bool:
        path = self.path / shard.name
        is_file = path.is_file() and not path.is_symlink()
        return is_file and path.stat().st_size == shard.bytes and file_checksum(path, shard.bytes) == shard.xxh3

    def _write(self, num_proc: int | None) -> Manifest:
        """Writes the build and gives its manifest; the caller holds the lock."""
        self._sweep()
        check_room([self])
        temporary = self.path.parent / f".{self.path.name}.tmp-{os.getpid()}"
        temporary.mkdir(mode=0o700)  # human-subject data: for the owner only
        shards, bad = self._write_shards(temporary, num_proc)
        manifest = Manifest(self.name, self.fingerprint, [shard for shard in shards if shard.n_segments], bad)
        (temporary / MANIFEST).write_text(manifest.to_json(FORMAT_VERSION), encoding="utf-8")
        os.replace(temporary, self.path)
        return manifest

    def _sweep(self) -> None:
        """Removes a damaged build, and what killed builds left behind."""
        for leftover in self.path.parent.glob(f".{self.path.name}.tmp-*"):
            # this process holds the lock, so no build is writing here (at most a killed build's worker, for a moment)
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.path.parent.glob(".*.tmp-*"):
            if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)

    def room_needed(self) -> int:
        """Bytes that the build will take, estimated from the wavs; less what a process has written of it by now."""
        begun = sum(
            path.stat().st_size for path in self.path.parent.glob(f".{self.path.name}.tmp-*/*") if path.is_file()
        )
        return max(0, int(self._bytes_of_audio() * 1.05) + 50_000_000 - begun)

    def _bytes_of_audio(self) -> int:
        return int(self.table["wav_bytes"].sum())

    def _write_shards(self, folder: Path, num_proc: int | None) -> tuple[list[Shard], list[BadSegment]]:
        """Facts of each shard, and the bad segments of all; both in a fixed order, whatever the number of processes."""
        size = self.segments_per_shard or SEGMENTS_PER_SHARD
        jobs = (
            delayed(self.write_shard)(
                self.table.iloc[start : start + size].to_dict("records"),
                str(folder / f"shard-{number:05d}.arrow"),
            )
            for number, start in enumerate(range(0, len(self.table), size))
        )
        shards: list[Shard] = []
        bad: list[BadSegment] = []
        with tqdm(total=len(self.table), desc=f"Building {self.name}", unit="segment", mininterval=1) as progress:
            for shard, problems in Parallel(n_jobs=max(1, num_proc or 1), return_as="generator_unordered")(jobs):
                shards.append(shard)
                bad += problems
                progress.update(shard.n_segments + len(problems))
        return sorted(shards, key=attrgetter("name")), sorted(bad, key=attrgetter("segment_id"))


def _map(folder: Path, manifest: Manifest, features: Features) -> Dataset:
    """Maps the shards of a build into memory; they were checked before."""
    shards = [Dataset.from_file(str(folder / shard.name)) for shard in manifest.shards]
    if not shards:
        return Dataset.from_dict({name: [] for name in features}, features=features)
    return concatenate_datasets(shards)


def check_room(builds: list[Build]) -> None:
    """Checks that the disk has room for builds of one cache folder, before the first of them is begun.

    Raises:
        OSError: There is less room.
    """
    if not builds:
        return
    cache_dir = builds[0].path.parent.absolute()
    existing = next(folder for folder in (cache_dir, *cache_dir.parents) if folder.exists())
    needed, free = sum(build.room_needed() for build in builds), shutil.disk_usage(existing).free
    if free < needed:
        names = " and ".join(build.name for build in builds)
        raise OSError(
            f"The cache folder's disk must have room for the data set of {names}: expected {needed:,} bytes, got {free:,} "
            f"bytes free ({cache_dir}). Make room there, or choose a folder on another disk (dataset.cache_dir=FOLDER)."
        )


def write_shard(corpus_name: str, rows: list[dict[str, Any]], path: str) -> tuple[Shard, list[BadSegment]]:
    """Reads the media of some rows and writes one Arrow stream; runs in a worker process.

    Returns:
        Facts of the shard; and the rows whose media cannot be used.
    """
    silent = CORPORA[corpus_name].silent
    good: list[dict[str, Any]] = []
    bad: list[BadSegment] = []
    for row in rows:
        media = _read_media(row, may_be_silent=row["segment_id"] in silent)
        if isinstance(media, BadSegment):
            bad.append(media)
        else:
            good.append(row | media)
    return finish_shard(good, path, FEATURES), bad


def finish_shard(rows: list[dict[str, Any]], path: str, features: Features) -> Shard:
    """Writes rows as one Arrow stream, and gives its facts."""
    _write_stream(rows, path, features)
    n_bytes = os.path.getsize(path)
    return Shard(Path(path).name, n_bytes, file_checksum(path, n_bytes), len(rows))


def _read_media(row: dict[str, Any], may_be_silent: bool) -> dict[str, Any] | BadSegment:
    """Columns that the wav and the txt of one row give."""

    def refuse(path: str, err: MediaError | OSError, unreadable: AudioKind | TextKind) -> BadSegment:
        kind = err.kind if isinstance(err, MediaError) else unreadable
        return BadSegment(path, str(err), row["segment_id"], bool(row["in_paper"]), kind)

    try:
        waveform = read_waveform(row["wav_path"], may_be_silent)
        check_length(len(waveform), row["start"], row["end"])
    except (MediaError, OSError) as err:
        return refuse(row["wav_path"], err, "unreadable audio")
    try:
        transcript = read_transcript(row["txt_path"])
    except (MediaError, OSError) as err:
        return refuse(row["txt_path"], err, "unreadable transcript")
    return {
        "waveform": waveform,
        "n_samples": len(waveform),
        "transcript": transcript,
        "transcript_clean": clean_transcript(transcript),
    }


def _write_stream(rows: list[dict[str, Any]], path: str, features: Features) -> None:
    """Writes the columns of ``features`` as one Arrow stream."""
    schema = features.arrow_schema
    columns = {
        name: pa.array([row[name] for row in rows], type=schema.field(name).type)
        for name in features
        if name != "waveform"
    }
    if "waveform" in features:
        waveforms = [row["waveform"] for row in rows]
        # int32 offsets: a shard of 250 segments would have to last 37 hours to overflow them
        offsets = np.cumsum([0, *map(len, waveforms)], dtype=np.int32)
        samples = np.concatenate(waveforms) if waveforms else np.zeros(0, dtype=np.int16)
        columns["waveform"] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(samples))
    table = pa.table({name: columns[name] for name in features}, schema=schema)
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table, max_chunksize=50)
