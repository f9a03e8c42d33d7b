"""Everything that the checks of a corpus look at: its annotations, and what every wav and txt is."""

from __future__ import annotations

import csv
import wave
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xxhash
from joblib import Parallel, delayed
from tqdm import tqdm

from erc.data import (
    SAMPLE_RATE,
    BadSegment,
    Corpus,
    Exclude,
    MediaError,
    Note,
    assign_folds,
    clean_transcript,
    find_folder,
    is_synthetic,
    read_annotations,
    read_transcript,
    read_waveform,
)
from erc.doctor.findings import Finding, Severity, plural
from erc.doctor.mojibake import garbled

SEGMENTS_PER_JOB = 250


@dataclass
class Evidence:
    """What was read of one corpus. The checks look at nothing else but the names of its files."""

    corpus: Corpus
    folder: Path
    exclude: Exclude
    is_synthetic: bool
    sessions: list[int]
    """Sessions that have annotation files."""
    n_files: int
    """Annotation files."""
    table: pd.DataFrame
    """Columns of ``segments.COLUMNS``, those of ``Media``, and fold, is_selected and annotated_seconds."""
    bad: list[BadSegment]
    notes: list[Note]

    @property
    def heard(self) -> pd.DataFrame:
        """Rows whose wav can be read and is not silent."""
        return self.table[(self.table["wav_kind"] == "") & ~self.table["is_silent"]]

    @property
    def selected(self) -> pd.DataFrame:
        """Rows of the selection."""
        return self.table[self.table["is_selected"]]

    def finding(self, name: str, severity: Severity, got: str, **rest: Any) -> Finding:
        """A finding about this corpus."""
        return Finding(name, severity, got, corpus=self.corpus.name, **rest)

    def judge(
        self, name: str, rows: pd.DataFrame, texts: Iterable[str], severity: Severity, good: str, **rest: Any
    ) -> Finding:
        """A finding about some rows: *ok* where there are none, a *note* where none of them is selected.

        Args:
            name: Of the finding.
            rows: Segments that have the defect.
            texts: What to say of each of them.
            severity: Where at least one of them is selected.
            good: What to say where there are none.
            **rest: ``expected`` and ``advice``.
        """
        if rows.empty:
            return self.finding(name, "ok", good)
        n_inside = int(rows["is_selected"].sum())
        outside = f", {len(rows) - n_inside} of them outside the selection" if n_inside < len(rows) else ""
        where = [f"{row.segment_id}: {text}" for row, text in zip(rows.itertuples(), texts, strict=True)]
        got = f"{plural(len(rows), 'segment')}{outside}"
        return self.finding(name, severity if n_inside else "note", got, where=where, **rest)


def gather(corpus: Corpus, root: Path, exclude: Exclude, num_proc: int | None) -> tuple[Evidence | None, list[Finding]]:
    """Reads one corpus.

    Returns:
        What was read, None where the annotations cannot be read; and findings about the folder and the annotations.
    """
    try:
        folder = find_folder(corpus, root)
    except FileNotFoundError as err:
        return None, [Finding("folder", "problem", str(err), corpus=corpus.name)]
    findings = [_folder_finding(corpus, root, folder)]
    matches = [corpus.annotation_name.fullmatch(path.name) for path in folder.glob(corpus.annotation_pattern)]
    sessions = [int(match["session"]) for match in matches if match]
    try:
        annotations = read_annotations(corpus, folder)
    except (OSError, ValueError, csv.Error) as err:
        unreadable = Finding(
            "annotations",
            "problem",
            f"{plural(len(sessions), 'annotation file')}. {err}",
            expected=f"readable annotation files ({corpus.annotation_pattern})",
            advice=f"Repair this first: nothing else of {corpus.name} could be looked at.",
            corpus=corpus.name,
        )
        return None, [*findings, unreadable]
    table = annotations.table
    findings.append(
        Finding(
            "annotations",
            "ok" if len(table) else "problem",
            f"{plural(len(sessions), 'file')}, {plural(len(table), 'segment')} with ratings, wav and txt",
            advice="" if len(table) else f"Link the whole corpus: {folder / 'wav'} holds nothing that is annotated.",
            corpus=corpus.name,
        )
    )
    case = Evidence(
        corpus=corpus,
        folder=folder,
        exclude=exclude,
        is_synthetic=is_synthetic(folder),
        sessions=sorted(set(sessions)),
        n_files=len(sessions),
        table=_complete(table, read_media(corpus, table, num_proc), exclude),
        bad=annotations.bad,
        notes=annotations.notes,
    )
    return case, findings


def _folder_finding(corpus: Corpus, root: Path, folder: Path) -> Finding:
    others = [name for name in corpus.folders if name != folder.name and (root / name).is_dir()]
    kind = "a synthetic corpus" if is_synthetic(folder) else f"release {folder.name}"
    if others:
        return Finding(
            "folder",
            "note",
            f"{folder}: {kind}; {', '.join(others)} is there as well, and is not used",
            advice=f"To use {others[0]}, remove the link {folder}.",
            corpus=corpus.name,
        )
    if folder.name != corpus.folders[0]:
        return Finding(
            "folder",
            "note",
            f"{folder}: {kind}",
            expected=f"the reference release {corpus.folders[0]}; published counts are those of it",
            corpus=corpus.name,
        )
    return Finding("folder", "ok", f"{folder}: {kind}", corpus=corpus.name)


def _complete(table: pd.DataFrame, media: pd.DataFrame, exclude: Exclude) -> pd.DataFrame:
    """The table of ``Evidence``."""
    table = table.merge(media, on="segment_id", how="left", validate="one_to_one")
    # the folds alone are wanted here: with one speaker a segment, a speaker in two folds does not stop the reading
    folds = assign_folds(table.assign(speaker=table["segment_id"])) if len(table) else np.array([], dtype=np.int64)
    return table.assign(
        fold=folds,
        is_selected=table["in_paper"].astype(bool) if exclude == "paper" else True,
        annotated_seconds=table["end"] - table["start"],
    )


@dataclass
class Media:
    """What one segment's wav and txt are."""

    segment_id: str = ""
    wav_kind: str = ""
    """Kind of the problem (``MediaError.kind``); empty where the wav can be used."""
    wav_problem: str = ""
    n_samples: int = 0
    """At 16 kHz."""
    is_silent: bool = False
    clipped: float = 0.0
    """Share of the samples at full scale."""
    peak: int = 0
    """Largest absolute sample."""
    flat: float = 0.0
    """Share of the samples that stay at the file's own largest or smallest value for two samples and more."""
    mean: float = 0.0
    """Mean of the samples, the constant part."""
    rms: float = 0.0
    """Root mean square of the samples without their mean."""
    smoothness: float = 1.0
    """Correlation of each sample with the next: near 1 in speech, near 0 in white noise."""
    zeros: float = 0.0
    """Share of the samples that are zero."""
    wav_hash: str = ""
    """Of the samples."""
    wav_format: str = ""
    """Empty for 16 kHz mono 16-bit PCM."""
    txt_kind: str = ""
    txt_problem: str = ""
    encoding: str = ""
    garbled: str = ""
    """What shows that the text was decoded wrongly; empty where nothing does."""
    words: str = ""
    """The cleaned transcript."""


def read_media(corpus: Corpus, table: pd.DataFrame, num_proc: int | None) -> pd.DataFrame:
    """One row per segment with the columns of ``Media``."""
    rows = table[["segment_id", "wav_path", "txt_path"]].to_dict("records")
    jobs = (
        delayed(examine_segments)(rows[start : start + SEGMENTS_PER_JOB])
        for start in range(0, len(rows), SEGMENTS_PER_JOB)
    )
    found: list[Media] = []
    with tqdm(total=len(rows), desc=f"Reading {corpus.name}", unit="segment", mininterval=1) as progress:
        for part in Parallel(n_jobs=max(1, num_proc or 1), return_as="generator")(jobs):
            found += part
            progress.update(len(part))
    types = {field.name: type(field.default) for field in fields(Media)}
    return pd.DataFrame(map(asdict, found), columns=list(types)).astype(types)


def examine_segments(rows: list[dict[str, str]]) -> list[Media]:
    """``examine_segment`` of each row; runs in a worker process."""
    return [examine_segment(**row) for row in rows]


def examine_segment(segment_id: str, wav_path: str, txt_path: str) -> Media:
    """One segment's wav and txt."""
    found = Media(segment_id)
    try:
        waveform = read_waveform(wav_path, may_be_silent=True)
        found.wav_format = _other_format(wav_path)
    except (MediaError, OSError, ImportError) as err:  # ImportError: torchaudio, where a rate must be changed
        found.wav_kind = err.kind if isinstance(err, MediaError) else "unreadable audio"
        found.wav_problem = str(err)
    else:
        found.n_samples = len(waveform)
        found.is_silent = not waveform.any()
        found.clipped = float(((waveform >= 32767) | (waveform <= -32767)).mean())
        measure_level(found, waveform)
        found.wav_hash = xxhash.xxh3_128_hexdigest(np.ascontiguousarray(waveform).data)
    try:
        text = read_transcript(txt_path)
        raw = Path(txt_path).read_bytes()
        found.encoding = _encoding(raw, text)
    except (MediaError, OSError) as err:
        found.txt_kind = err.kind if isinstance(err, MediaError) else "unreadable transcript"
        found.txt_problem = str(err)
    else:
        found.words = clean_transcript(text)
        found.garbled = garbled(raw, found.words)
    return found


def measure_level(found: Media, waveform: np.ndarray) -> None:
    """Peak, flat tops, mean, root mean square, smoothness and zeros of a waveform, (L,) int16."""
    top, bottom = int(waveform.max()), int(waveform.min())
    found.peak = max(top, -bottom)
    n_flat = 0
    for extreme in (top, bottom):
        is_extreme = waveform == extreme
        if np.count_nonzero(is_extreme) > 1:
            n_flat += int(np.count_nonzero(is_extreme[1:] & is_extreme[:-1]))
    found.flat = n_flat / len(waveform)
    found.mean = float(waveform.mean(dtype=np.float64))
    centred = waveform.astype(np.float32) - np.float32(found.mean)
    power = float(np.dot(centred, centred))
    found.rms = float(np.sqrt(power / len(waveform)))
    found.smoothness = float(np.dot(centred[1:], centred[:-1])) / power if power > 0 else 1.0
    found.zeros = 1 - np.count_nonzero(waveform) / len(waveform)


def _other_format(path: str) -> str:
    """What a readable wav is instead of 16 kHz mono 16-bit PCM; empty where it is that."""
    try:
        with wave.open(path, "rb") as file:
            rate, n_channels, n_bits = file.getframerate(), file.getnchannels(), 8 * file.getsampwidth()
    except (wave.Error, EOFError) as err:
        return f"no plain PCM wav ({err or 'another container'})"
    if (rate, n_channels, n_bits) == (SAMPLE_RATE, 1, 16):
        return ""
    return f"{rate} Hz, {plural(n_channels, 'channel')}, {n_bits} bits"


def _encoding(raw: bytes, text: str) -> str:
    """The encoding that gave ``read_transcript`` its text; ASCII is the same in all of them."""
    if raw.isascii():
        return "ascii"
    return "utf-8" if " ".join(raw.decode("utf-8-sig", errors="replace").split()) == text else "cp949"
