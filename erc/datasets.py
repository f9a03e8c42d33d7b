"""Table + media -> Hugging Face data set on disk -> the view that a mode, a fold and a selection ask for.

Comes in: corpora under ``root``. Goes out: ``HF_KEMD(...).ds``, a ``datasets.Dataset`` with 16-bit unpadded waveforms.
One build per corpus, named by a fingerprint of everything that goes into it (every row of the table, size and
modification time of every file, the format version). Folds, modes, label kinds, ``exclude`` and ``transcript`` are
views of it. A build is written to a temporary folder and renamed; a second process waits for the first.

Prebuild and look: ``python -m fire erc.datasets HF_KEMD --mode=train --validation_fold=4``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import xxhash
from datasets import Dataset, Features, List, Value, concatenate_datasets
from filelock import FileLock, Timeout
from joblib import Parallel, delayed
from tqdm import tqdm

from erc.annotations import BIO_COLUMNS, BadSegment, find_folder, read_annotations
from erc.corpora import CORPORA, Corpus, parse_dataset_name
from erc.folds import Mode, Protocol, assign_folds, check_split, split
from erc.labels import EMOTIONS, N_EMOTIONS, N_RATERS
from erc.media import (
    SAMPLE_RATE,
    MediaError,
    TranscriptKind,
    clean_transcript,
    read_transcript,
    read_waveform,
)

Exclude = Literal["paper", "none"]
OnBadSegment = Literal["raise", "skip"]

FORMAT_VERSION = 1
"""Raised whenever the code writes other content for the same corpus; older builds are then left aside."""
SEGMENTS_PER_SHARD = 250
MANIFEST = "MANIFEST.json"
STALE_SECONDS = 24 * 3600
"""A temporary folder that nobody has touched for so long belongs to a dead build of other content; it is swept."""
MAX_NAMED = 20
"""So many bad segments are named in a message; all of them stand in the manifest."""

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
        "votes": List(Value("int64"), length=N_EMOTIONS),
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


class HF_KEMD:
    """KEMDy19 and KEMDy20 as one Hugging Face data set.

    Args:
        mode: ``train``, ``valid`` or ``test`` (see ``folds.split``).
        validation_fold: Held-out block of sessions, 0 to 4; -1 for no split.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        root: Folder that holds ``KEMDy19`` and ``KEMDy20_v1_1`` (or ``KEMDy19_v1_3``, ``KEMDy20_v1_2``).
        cache_dir: Where builds are kept.
        num_proc: Processes that read audio during a build; 0 and 1 stay in this process.
        num_data: First so many segments of the mode only, for a quick look. Builds just these where no build of the
            whole corpus is there yet.
        exclude: ``paper`` leaves out what the paper leaves out; ``none`` keeps all that have audio and transcript.
        transcript: ``raw`` keeps the transcribers' tags, ``clean`` strips them.
        on_bad_segment: ``raise`` stops where a segment of the selection cannot be used, naming each; ``skip`` goes on
            without them and says how many.
        protocol: ``paper`` or ``nested`` (see ``folds.split``).
        drop_tied: Leave tied segments out (training on hard labels does).

    Attributes:
        ds: ``datasets.Dataset``, one row a segment: segment_id, corpus, session, dialogue, speaker, gender, start and
            end (seconds), waveform (int16, 16 kHz, unpadded), n_samples, transcript, votes (7 counts in ``EMOTIONS``
            order), hard_label (index into ``EMOTIONS``), is_tied, valence and arousal (1 to 5), the ten raters' values
            and the bio-signal cells of the annotation files (NaN where there are none).
        notes: Known defects of the corpora that were handled, one line each.
        bad: Segments of the selection that cannot be used, and annotation rows that cannot be read.
        fingerprint: Of the corpora as a whole: the same for all views of them.

    Raises:
        FileNotFoundError: A corpus folder or its annotation files are missing.
        ValueError: An argument out of its range, a file that is not the corpus's, or bad segments under ``raise``.
        OSError: Not enough room on the disk for the build.
    """

    def __init__(
        self,
        mode: Mode = "train",
        validation_fold: int = 4,
        dataset_name: str = "kemdy19-kemdy20",
        root: str = "data",
        cache_dir: str = "cache",
        num_proc: int | None = 1,
        num_data: int | None = None,
        exclude: Exclude = "paper",
        transcript: TranscriptKind = "raw",
        on_bad_segment: OnBadSegment = "raise",
        protocol: Protocol = "paper",
        drop_tied: bool = False,
    ) -> None:
        check_split(validation_fold, mode, protocol)
        _check_choice("exclude", exclude, Exclude)
        _check_choice("transcript", transcript, TranscriptKind)
        _check_choice("on_bad_segment", on_bad_segment, OnBadSegment)
        if num_data is not None and (isinstance(num_data, bool) or not isinstance(num_data, int) or num_data < 1):
            raise ValueError(f"num_data must be a positive whole number, or null for all segments: got {num_data!r}.")
        if num_proc is not None and (isinstance(num_proc, bool) or not isinstance(num_proc, int) or num_proc < 0):
            raise ValueError(f"num_proc must be a whole number of processes, 0 or more: got {num_proc!r}.")

        self.mode, self.validation_fold, self.dataset_name = mode, validation_fold, dataset_name
        corpora = parse_dataset_name(dataset_name)
        folders = [find_folder(corpus, root) for corpus in corpora]
        sources = [
            _read_source(corpus.name, str(folder.resolve())) for corpus, folder in zip(corpora, folders, strict=True)
        ]
        for corpus, folder, source in zip(corpora, folders, sources, strict=True):
            if not len(source.table):
                raise ValueError(
                    f"No annotated segment of {corpus.name} has both a wav and a txt under {folder / 'wav'}. "
                    f"{_name_some(source.bad)}Copy the whole corpus there."
                )
        table = pd.concat([source.table for source in sources], ignore_index=True)
        self.notes = [note for source in sources for note in source.notes]

        keep = split(assign_folds(table), validation_fold, mode, protocol)
        if exclude == "paper":
            keep &= table["in_paper"].to_numpy(dtype=bool)
        if drop_tied:
            keep &= ~table["is_tied"].to_numpy(dtype=bool)
        selected = table[keep]
        if num_data is not None:
            selected = selected.head(num_data)
        if not len(selected):
            raise ValueError(
                f"No segment is left for {self.describe()}: the corpora under {Path(root).absolute()} hold sessions "
                f"{_sessions(table)}. Choose another validation_fold, or add the missing sessions."
            )

        parts, whole_builds = [], []
        bad = [problem for source in sources for problem in source.bad]
        for corpus, source in zip(corpora, sources, strict=True):
            rows = selected[selected["corpus"] == corpus.name]
            whole = Build(corpus, source.table, Path(cache_dir))
            build = whole if num_data is None or whole.is_ready() else Build(corpus, rows, Path(cache_dir))
            whole_builds.append(whole.fingerprint)
            if len(rows):
                ds, unreadable = build.load(num_proc)
                chosen = set(rows["segment_id"])
                bad += [problem for problem in unreadable if problem.segment_id in chosen]
                position = {
                    segment_id: index
                    for index, segment_id in enumerate(ds.with_format("arrow")["segment_id"][:].to_pylist())
                }
                indices = [position[segment_id] for segment_id in rows["segment_id"] if segment_id in position]
                parts.append(ds.select(indices))
        self.fingerprint = "-".join(whole_builds)
        self.bad = [problem for problem in bad if problem.in_paper or exclude == "none"]
        if self.bad and on_bad_segment == "raise":
            raise ValueError(
                f"All segments must be usable: {len(self.bad)} are not. {_name_some(self.bad)} "
                "Repair the files, or go on without these segments: dataset.on_bad_segment=skip."
            )
        if self.bad:
            print(
                f"{len(self.bad)} bad segments left out (on_bad_segment=skip). {_name_some(self.bad)}", file=sys.stderr
            )
        ds = concatenate_datasets(parts)
        if not len(ds):
            raise ValueError(
                f"No segment is left for {self.describe()}: all {len(selected)} are bad. Repair the files."
            )
        unused = "transcript" if transcript == "clean" else "transcript_clean"
        ds = ds.remove_columns([unused, "in_paper"])
        self.ds = ds.rename_column("transcript_clean", "transcript") if transcript == "clean" else ds

    def __len__(self) -> int:
        """Number of segments."""
        return len(self.ds)

    def __getitem__(self, index: int) -> dict:
        """One segment as a dictionary; arrays as NumPy."""
        return self.ds.with_format("numpy", dtype=None)[index]

    def __iter__(self) -> Iterator[dict]:
        """Segments one by one."""
        return iter(self.ds.with_format("numpy", dtype=None))

    def describe(self) -> str:
        """Which view this is, in a few words."""
        fold = "no split" if self.validation_fold == -1 else f"validation_fold {self.validation_fold}"
        return f"{self.dataset_name}, {self.mode}, {fold}"

    def __str__(self) -> str:
        """Short summary; what ``python -m fire`` prints."""
        small = self.ds.select_columns(
            ["corpus", "session", "speaker", "hard_label", "is_tied", "n_samples"]
        ).to_pandas()
        lines = [f"HF_KEMD: {self.describe()}: {len(self):,} segments, {int(small['is_tied'].sum()):,} of them tied"]
        for name, part in small.groupby("corpus"):
            counts = part["hard_label"][~part["is_tied"]].value_counts()
            emotions = "  ".join(f"{emotion} {counts.get(index, 0):,}" for index, emotion in enumerate(EMOTIONS))
            hours = part["n_samples"].sum() / SAMPLE_RATE / 3600
            lines.append(
                f"  {name}: {len(part):,} segments, {part['speaker'].nunique()} speakers, sessions "
                f"{_sessions(part)}, {hours:.2f} h\n    untied: {emotions}"
            )
        lines.append(f"  columns: {', '.join(self.ds.column_names)}")
        if self.bad:
            lines.append(f"  {len(self.bad)} bad segments left out")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def corpora_fingerprint(dataset_name: str, root: str) -> str:
    """Fingerprint of the corpora under ``root``: the ``fingerprint`` of every ``HF_KEMD`` view of them; builds nothing."""
    corpora = parse_dataset_name(dataset_name)
    tables = [_read_source(corpus.name, str(find_folder(corpus, root).resolve())).table for corpus in corpora]
    return "-".join(Build(corpus, table, Path()).fingerprint for corpus, table in zip(corpora, tables, strict=True))


def _check_choice(name: str, value: str, choices: type) -> None:
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}: got {value!r}.")


def _name_some(bad: list[BadSegment]) -> str:
    named = "\n".join(f"  {problem}" for problem in bad[:MAX_NAMED])
    rest = f"\n  and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
    return f"Each is named with its file:\n{named}{rest}\n"


def _sessions(table: pd.DataFrame) -> str:
    sessions = sorted(table["session"].unique())
    runs, start = [], sessions[0]
    for this, following in zip(sessions, [*sessions[1:], None], strict=True):
        if following != this + 1:
            runs.append(f"{start}-{this}" if this > start else f"{this}")
            start = following
    return ",".join(runs)


@functools.lru_cache(maxsize=4)
def _read_source(corpus_name: str, folder: str):
    """Annotations of a corpus; read once per process, because train and valid both ask."""
    return read_annotations(CORPORA[corpus_name], Path(folder))


class Build:
    """One data set on disk: shards of Arrow streams and a manifest that was written last.

    Args:
        corpus: Facts of the corpus.
        table: Rows that go in (``annotations.COLUMNS``).
        cache_dir: Where builds are kept.
    """

    def __init__(self, corpus: Corpus, table: pd.DataFrame, cache_dir: Path) -> None:
        self.corpus, self.table = corpus, table
        content = table.drop(columns=["wav_path", "txt_path"]).to_json(orient="split", double_precision=15)
        schema = str(FEATURES.arrow_schema.remove_metadata())
        key = f"{FORMAT_VERSION}\n{schema}\n{content}"
        self.fingerprint = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.path = cache_dir / f"{corpus.name}-{self.fingerprint}"

    def is_ready(self) -> bool:
        """Whether a finished build is there (its content is checked by ``load``)."""
        return (self.path / MANIFEST).is_file()

    def load(self, num_proc: int | None) -> tuple[Dataset, list[BadSegment]]:
        """The data set, built now if it is not there or not whole; and the segments whose media cannot be used."""
        manifest = self._read_manifest()
        if manifest is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{self.path}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                print(f"Another process is building {self.path}: waiting for it.", file=sys.stderr)
                lock.acquire()
            try:
                manifest = self._read_manifest() or self._write(num_proc)
            finally:
                lock.release()
        shards = [Dataset.from_file(str(self.path / shard["name"])) for shard in manifest["shards"]]
        if not shards:
            return Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES), _bad_from(manifest)
        return concatenate_datasets(shards), _bad_from(manifest)

    def _read_manifest(self) -> dict | None:
        """The manifest where every shard is whole; None where the build must be made (again)."""
        try:
            manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            if manifest["fingerprint"] != self.fingerprint:
                raise KeyError(manifest["fingerprint"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            manifest = {"shards": [{"name": MANIFEST, "bytes": -1, "xxh3": ""}]}
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            is_whole = list(pool.map(self._is_whole, manifest["shards"]))
        if all(is_whole):
            return manifest
        damaged = [shard["name"] for shard, whole in zip(manifest["shards"], is_whole, strict=True) if not whole]
        print(f"{self.path} is damaged ({', '.join(damaged[:3])}): building it again.", file=sys.stderr)
        return None

    def _is_whole(self, shard: dict) -> bool:
        path = self.path / shard["name"]
        return path.is_file() and path.stat().st_size == shard["bytes"] and _checksum(path) == shard["xxh3"]

    def _write(self, num_proc: int | None) -> dict:
        for leftover in self.path.parent.glob(f".{self.path.name}.tmp-*"):
            # of a build that was killed: the lock is ours; at most an orphan of its workers still writes there
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.path.parent.glob(".*.tmp-*"):
            if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
        if self.path.exists():
            shutil.rmtree(self.path)
        need = int(self.table["wav_bytes"].sum() * 1.05) + 50_000_000
        free = shutil.disk_usage(self.path.parent).free
        if free < need:
            raise OSError(
                f"The data set of {self.corpus.name} needs {need / 1e9:.1f} GB under {self.path.parent.absolute()}: "
                f"{free / 1e9:.1f} GB are free. Make room, or set dataset.cache_dir to another disk."
            )
        temporary = self.path.parent / f".{self.path.name}.tmp-{os.getpid()}"
        temporary.mkdir(mode=0o700)  # human-subject data: for the owner only
        starts = range(0, len(self.table), SEGMENTS_PER_SHARD)
        jobs = (
            delayed(write_shard)(
                self.corpus.name,
                self.table.iloc[start : start + SEGMENTS_PER_SHARD].to_dict("records"),
                str(temporary / f"shard-{number:05d}.arrow"),
            )
            for number, start in enumerate(starts)
        )
        shards, bad = [], []
        with tqdm(
            total=len(self.table), desc=f"Building {self.corpus.name}", unit="segment", mininterval=1
        ) as progress:
            for shard in Parallel(n_jobs=max(1, num_proc or 1), return_as="generator_unordered")(jobs):
                bad += shard.pop("bad")
                progress.update(shard.pop("n_rows"))
                shards.append(shard)
        shards.sort(key=lambda shard: shard["name"])
        bad.sort(key=lambda problem: problem["segment_id"])
        manifest = {
            "format": FORMAT_VERSION,
            "corpus": self.corpus.name,
            "fingerprint": self.fingerprint,
            "n_segments": sum(shard["n_segments"] for shard in shards),
            "shards": [shard for shard in shards if shard["n_segments"]],
            "bad": bad,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, self.path)
        return manifest


def _bad_from(manifest: dict) -> list[BadSegment]:
    return [BadSegment(**problem) for problem in manifest["bad"]]


def _checksum(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def write_shard(corpus_name: str, rows: list[dict], path: str) -> dict:
    """Reads the media of some rows and writes one Arrow stream; runs in a worker process.

    Returns:
        name, bytes, xxh3, n_segments of the shard; n_rows asked for; bad (as dictionaries).
    """
    silent = CORPORA[corpus_name].silent
    schema = FEATURES.arrow_schema
    good, bad = [], []
    waveforms = []
    for row in rows:
        reading = row["wav_path"]
        try:
            waveform = read_waveform(reading, may_be_silent=row["segment_id"] in silent)
            reading = row["txt_path"]
            transcript = read_transcript(reading)
        except (MediaError, OSError) as err:
            bad.append(
                {
                    "where": reading,
                    "problem": str(err),
                    "segment_id": row["segment_id"],
                    "in_paper": bool(row["in_paper"]),
                }
            )
            continue
        waveforms.append(waveform)
        good.append(
            row
            | {
                "n_samples": len(waveform),
                "transcript": transcript,
                "transcript_clean": clean_transcript(transcript),
            }
        )
    columns = {name: [row[name] for row in good] for name in FEATURES if name != "waveform"}
    # int32 offsets: a shard of 250 segments would have to last 37 hours to overflow them
    offsets = np.concatenate([[0], np.cumsum([len(waveform) for waveform in waveforms])]).astype(np.int32)
    samples = np.concatenate(waveforms) if waveforms else np.zeros(0, dtype=np.int16)
    columns["waveform"] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(samples))
    table = pa.table(
        {
            name: pa.array(columns[name], type=schema.field(name).type) if name != "waveform" else columns[name]
            for name in FEATURES
        },
        schema=schema,
    )
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table, max_chunksize=50)
    return {
        "name": Path(path).name,
        "bytes": os.path.getsize(path),
        "xxh3": _checksum(Path(path)),
        "n_segments": len(good),
        "n_rows": len(rows),
        "bad": bad,
    }
