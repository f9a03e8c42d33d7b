"""Is everything sound before a training starts? Looks at the corpora and at the environment, changes nothing.

Comes in: a data folder, or the machine. Goes out: ``Finding``s, as a table on the terminal, as JSON with
``--json=PATH``, and as the exit code: 0 sound (notes and warnings allowed), 1 at least one problem, 2 an argument out
of its range.

    python -m fire erc.doctor corpus --root=data --dataset_name=kemdy19-kemdy20 --exclude=paper --num_proc=4
    python -m fire erc.doctor environment

Severities: *ok*; *note*, known of the corpora or of no consequence; *warning*, training runs but figures may suffer;
*problem*, training stops, or its figures would be wrong. What lies outside the selection (``exclude``) is a note.
The readers are those of the data set (``read_annotations``, ``read_waveform``, ``read_transcript``), so that what
passes here passes there; their messages are sorted into kinds by words that the tests hold to them. No transcript is
printed or written: a finding names ids and files.

JSON: ``{"schema": 1, "command", "arguments", "is_sound", "n": {severity: count}, "findings": [{"name", "severity",
"corpus" ("" for all of them, or none), "expected", "got", "where" [every place, as text], "advice", "table" [header,
row, ...; may be empty]}]}``. ``name`` is stable: ``CORPUS_NAMES`` and ``ENVIRONMENT_NAMES`` list them.
"""

from __future__ import annotations

import csv
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import textwrap
import wave
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from json import dumps
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xxhash
from joblib import Parallel, delayed
from tqdm import tqdm

from erc.annotations import BadSegment, find_folder, read_annotations
from erc.corpora import CORPORA, N_FOLDS, Corpus, parse_dataset_name
from erc.folds import assign_folds
from erc.labels import EMOTIONS
from erc.media import SAMPLE_RATE, MediaError, clean_transcript, read_transcript, read_waveform
from erc.sample import NOTE

Severity = Literal["ok", "note", "warning", "problem"]
Exclude = Literal["paper", "none"]
SEVERITIES = get_args(Severity)
SCHEMA = 1
WIDTH = 100
"""Columns of the terminal table."""
MAX_SHOWN = 3
"""Places that the terminal names; the JSON has all."""

CLIPPED_SHARE = 0.01
"""A segment is clipped when more than this share of its samples lies at full scale."""
CLIPPED_SEGMENTS = 0.01
"""Some files of KEMDy19 are known to clip: up to this share of the segments it is a note."""
MAX_SAMPLES = 112_000
"""Samples at 16 kHz (7 s) that a batch keeps of a segment: ``dataloader.collate.max_samples``."""
INTERVAL_TOLERANCE = 0.05
"""Seconds by which a wav may outlast its annotated interval."""
LONG_WORDS = 12
"""Spontaneous speech repeats short answers word for word, but hardly this many words (about five seconds)."""
SEGMENTS_PER_JOB = 250
UNREAD = {
    "segment_id": "",
    "wav_problem": "",
    "n_samples": 0,
    "is_silent": False,
    "clipped": 0.0,
    "wav_hash": "",
    "wav_format": "",
    "txt_problem": "",
    "encoding": "",
    "words": "",
}
"""What ``examine_segment`` fills in."""


@dataclass(frozen=True)
class Known:
    """What the real corpus holds under a selection, in its reference release."""

    segments: int
    untied: int | None = None
    folds: tuple[int, ...] | None = None
    folds_untied: tuple[int, ...] | None = None
    emotions: tuple[int, ...] | None = None
    """Untied segments per emotion, in the order of ``EMOTIONS``."""


_KEMDY20 = Known(
    segments=13_462,
    untied=12_828,
    folds=(2619, 2935, 2288, 2716, 2904),
    folds_untied=(2513, 2772, 2171, 2582, 2790),
    emotions=(156, 43, 144, 11_120, 1183, 121, 61),
)
KNOWN = {
    ("kemdy19", "paper"): Known(
        segments=9996,
        untied=9360,
        folds=(1874, 1954, 2110, 2032, 2026),  # published without impro03/04; less the other three dropped dialogues
        folds_untied=(1761, 1835, 1980, 1896, 1888),
        emotions=(961, 379, 1805, 3707, 1372, 745, 391),
    ),
    ("kemdy19", "none"): Known(segments=10_277),
    ("kemdy20", "paper"): _KEMDY20,
    ("kemdy20", "none"): _KEMDY20,
}
"""Published counts of KEMDy19 and KEMDy20_v1_1 by corpus and ``exclude``."""

AUDIO_KINDS = {
    "(0 bytes)": "empty audio",
    "promised by the header": "truncated audio",
    "all samples are zero": "silent audio",
    "ms at 16 kHz) are expected": "short audio",
}
"""Words of ``media.read_waveform``'s messages -> finding; any other message is "unreadable audio"."""
TEXT_KINDS = {"the bytes are neither": "undecodable transcripts", "the file has no text": "empty transcripts"}
"""Words of ``media.read_transcript``'s messages -> finding; any other message is "unreadable transcripts"."""
ROW_KINDS = {
    "no file ": "missing files",
    "raters' emotions expected": "raters",
    "ratings are whole numbers": "raters",
}
"""Words of ``annotations.BadSegment.problem`` -> finding; any other one is "rows"."""
ENCODINGS = {"kemdy19": "utf-8", "kemdy20": "cp949"}

CORPUS_NAMES = (
    *("folder", "annotations", "sessions", "rows", "raters", "totals", "missing files", "extra audio", "known defects"),
    *("intervals", "counts", "fold sizes", "emotion counts"),
    *("unreadable audio", "empty audio", "truncated audio", "silent audio", "short audio"),
    *("audio format", "clipped audio", "long audio", "audio beyond annotation"),
    *("unreadable transcripts", "undecodable transcripts", "empty transcripts", "transcript encodings"),
    *("tag-only transcripts", "label shares", "speakers", "repeated text", "duplicate audio"),
)
ENVIRONMENT_NAMES = (
    *("python", "packages", "lightning release", "torch and torchaudio", "torchaudio import", "device", "encoders"),
    *("disk", "wandb", "cores", "shared memory"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    severity: Severity
    got: str
    expected: str = ""
    where: list[str] = field(default_factory=list)
    advice: str = ""
    corpus: str = ""
    table: list[list] = field(default_factory=list)


@dataclass
class Evidence:
    """What was read of one corpus; the checks look at nothing else, but for file names."""

    corpus: Corpus
    folder: Path
    exclude: Exclude
    is_sample: bool
    sessions: list[int]
    """Sessions that have annotation files."""
    n_files: int
    table: pd.DataFrame
    """Columns of ``annotations.COLUMNS``, of ``examine_segment``, and fold, is_selected, annotated_seconds."""
    bad: list[BadSegment]
    notes: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether the published counts must come out."""
        return not self.is_sample and len(self.sessions) == self.corpus.n_sessions

    @property
    def selected(self) -> pd.DataFrame:
        """Rows of the selection."""
        return self.table[self.table["is_selected"]]

    def finding(self, name: str, severity: Severity, got: str, **rest) -> Finding:
        """A finding about this corpus."""
        return Finding(name, severity, got, corpus=self.corpus.name, **rest)

    def judge(
        self, name: str, rows: pd.DataFrame, texts: Iterable[str], severity: Severity, good: str, **rest
    ) -> Finding:
        """A finding about some rows: ok where there are none, a note where none of them is selected."""
        if not len(rows):
            return self.finding(name, "ok", good)
        n_inside = int(rows["is_selected"].sum())
        outside = f", {len(rows) - n_inside} of them outside the selection" if n_inside < len(rows) else ""
        where = [f"{row.segment_id}: {text}" for row, text in zip(rows.itertuples(), texts, strict=True)]
        got = f"{_plural(len(rows), 'segment')}{outside}"
        return self.finding(name, severity if n_inside else "note", got, where=where, **rest)


# --- entry points -----------------------------------------------------------------------------------------------------
def corpus(
    root: str = "data",
    dataset_name: str = "kemdy19-kemdy20",
    exclude: Exclude = "paper",
    num_proc: int | None = 1,
    json: str | None = None,
) -> None:
    """Looks at every file of the corpora that training would use, and ends the process with the exit code.

    Args:
        root: Folder that holds the release folders.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        exclude: Selection, as for ``HF_KEMD``: ``paper`` or ``none``.
        num_proc: Processes that read files; 0 and 1 stay in this process.
        json: File for the findings as JSON.
    """
    arguments = {"root": str(root), "dataset_name": dataset_name, "exclude": exclude, "num_proc": num_proc}
    try:
        _check_corpus_arguments(dataset_name, exclude, num_proc)
        target = _json_target(json)
    except (ValueError, OSError) as err:
        print(err, file=sys.stderr)
        sys.exit(2)
    _conclude("corpus", arguments, diagnose_corpus(**arguments), target)


def environment(
    root: str = "data", cache_dir: str = "cache", run_dir: str = "outputs", json: str | None = None
) -> None:
    """Looks at what the paper's training needs of this machine, and ends the process with the exit code.

    Args:
        root: Folder that holds the release folders; their wav files say how much room a build needs.
        cache_dir: Where builds are kept.
        run_dir: Where runs are written.
        json: File for the findings as JSON.
    """
    arguments = {"root": str(root), "cache_dir": str(cache_dir), "run_dir": str(run_dir)}
    try:
        target = _json_target(json)
    except (ValueError, OSError) as err:
        print(err, file=sys.stderr)
        sys.exit(2)
    _conclude("environment", arguments, diagnose_environment(**arguments), target)


def diagnose_corpus(
    root: str | Path = "data",
    dataset_name: str = "kemdy19-kemdy20",
    exclude: Exclude = "paper",
    num_proc: int | None = 1,
) -> list[Finding]:
    """All findings about the corpora; arguments as for ``corpus``.

    Raises:
        ValueError: An argument out of its range. A bad corpus is a finding.
    """
    wanted = _check_corpus_arguments(dataset_name, exclude, num_proc)
    findings: list[Finding] = []
    cases: list[Evidence] = []
    for one in wanted:
        case = gather(one, Path(root), exclude, num_proc, findings)
        if case is not None:
            findings += [finding for check in ANNOTATION_CHECKS for finding in check(case)]
        if case is not None and len(case.table):
            cases.append(case)
            findings += [finding for check in SEGMENT_CHECKS for finding in check(case)]
    if cases:
        findings += [finding for check in CROSS_CHECKS for finding in check(cases)]
    return findings


def diagnose_environment(
    root: str | Path = "data", cache_dir: str | Path = "cache", run_dir: str | Path = "outputs"
) -> list[Finding]:
    """All findings about the environment; arguments as for ``environment``."""
    return [
        *check_python(),
        *check_packages(),
        *check_lightning(),
        *check_torch_pair(),
        *check_torchaudio(),
        *check_device(),
        *check_encoders(),
        *check_disk(Path(root), Path(cache_dir), Path(run_dir)),
        *check_wandb(),
        *check_cores(),
        *check_shared_memory(),
    ]


def is_sound(findings: list[Finding]) -> bool:
    """Whether training should start: no finding is a problem."""
    return all(finding.severity != "problem" for finding in findings)


def _check_corpus_arguments(dataset_name: str, exclude: str, num_proc: int | None) -> tuple[Corpus, ...]:
    if exclude not in get_args(Exclude):
        raise ValueError(f"exclude must be one of {', '.join(get_args(Exclude))}: got {exclude!r}.")
    if num_proc is not None and (isinstance(num_proc, bool) or not isinstance(num_proc, int) or num_proc < 0):
        raise ValueError(f"num_proc must be a whole number of processes, 0 or more: got {num_proc!r}.")
    return parse_dataset_name(dataset_name)


# --- reading ----------------------------------------------------------------------------------------------------------
def gather(
    corpus: Corpus, root: Path, exclude: Exclude, num_proc: int | None, findings: list[Finding]
) -> Evidence | None:
    """Reads one corpus; None where its annotations cannot be read, which ``findings`` then says."""
    try:
        folder = find_folder(corpus, root)
    except FileNotFoundError as err:
        findings.append(Finding("folder", "problem", str(err), corpus=corpus.name))
        return None
    findings.append(_folder_finding(corpus, root, folder))
    matches = [corpus.annotation_name.fullmatch(path.name) for path in folder.glob(corpus.annotation_pattern)]
    sessions = [int(match["session"]) for match in matches if match]
    try:
        annotations = read_annotations(corpus, folder)
    except (OSError, ValueError, csv.Error) as err:
        findings.append(
            Finding(
                "annotations",
                "problem",
                f"{_plural(len(sessions), 'annotation file')}. {err}",
                expected=f"readable annotation files ({corpus.annotation_pattern})",
                advice=f"Repair this first: nothing else of {corpus.name} could be looked at.",
                corpus=corpus.name,
            )
        )
        return None
    table = annotations.table
    findings.append(
        Finding(
            "annotations",
            "ok" if len(table) else "problem",
            f"{_plural(len(sessions), 'file')}, {_plural(len(table), 'segment')} with ratings, wav and txt",
            advice="" if len(table) else f"Link the whole corpus: {folder / 'wav'} holds nothing that is annotated.",
            corpus=corpus.name,
        )
    )
    media = read_media(corpus, table, num_proc)
    table = table.merge(media, on="segment_id", how="left", validate="one_to_one")
    # every segment its own speaker: the folds alone; who stands in two of them is a check of its own
    folds = assign_folds(table.assign(speaker=table["segment_id"])) if len(table) else []
    table["fold"] = np.array(folds, dtype=np.int64)
    table["is_selected"] = table["in_paper"].astype(bool) if exclude == "paper" else True
    table["annotated_seconds"] = table["end"] - table["start"]
    return Evidence(
        corpus=corpus,
        folder=folder,
        exclude=exclude,
        is_sample=(folder / NOTE).is_file(),
        sessions=sorted(set(sessions)),
        n_files=len(sessions),
        table=table,
        bad=annotations.bad,
        notes=annotations.notes,
    )


def _folder_finding(corpus: Corpus, root: Path, folder: Path) -> Finding:
    others = [name for name in corpus.folders if name != folder.name and (root / name).is_dir()]
    kind = "a sample corpus" if (folder / NOTE).is_file() else f"release {folder.name}"
    if others:
        return Finding(
            "folder",
            "note",
            f"{folder}: {kind}; {', '.join(others)} is there, too, and not used",
            advice=f"To use {others[0]}, take the link {folder} away.",
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


def read_media(corpus: Corpus, table: pd.DataFrame, num_proc: int | None) -> pd.DataFrame:
    """One row per segment: what ``examine_segment`` says."""
    rows = table[["segment_id", "wav_path", "txt_path"]].to_dict("records")
    jobs = (
        delayed(examine_segments)(rows[start : start + SEGMENTS_PER_JOB])
        for start in range(0, len(rows), SEGMENTS_PER_JOB)
    )
    found: list[dict] = []
    with tqdm(total=len(rows), desc=f"Reading {corpus.name}", unit="segment", mininterval=1) as progress:
        for part in Parallel(n_jobs=max(1, num_proc or 1), return_as="generator")(jobs):
            found += part
            progress.update(len(part))
    return pd.DataFrame(found, columns=list(UNREAD)).astype({name: type(value) for name, value in UNREAD.items()})


def examine_segments(rows: list[dict]) -> list[dict]:
    """``examine_segment`` of each row; runs in a worker process."""
    return [examine_segment(**row) for row in rows]


def examine_segment(segment_id: str, wav_path: str, txt_path: str) -> dict:
    """One segment's wav and txt.

    Returns:
        The keys of ``UNREAD``: segment_id; wav_problem and txt_problem, messages or empty; n_samples at 16 kHz;
        is_silent; clipped, the share of samples at full scale; wav_hash of the samples; wav_format, empty for 16 kHz
        mono 16-bit PCM; encoding; words, the cleaned transcript.
    """
    found = UNREAD | {"segment_id": segment_id}
    try:
        waveform = read_waveform(wav_path, may_be_silent=True)
        found["wav_format"] = _other_format(wav_path)
    except (MediaError, OSError, ImportError) as err:  # ImportError: torchaudio, where a rate must be changed
        found["wav_problem"] = str(err)
    else:
        found["n_samples"] = len(waveform)
        found["is_silent"] = not waveform.any()
        found["clipped"] = float(((waveform >= 32767) | (waveform <= -32767)).mean())
        found["wav_hash"] = xxhash.xxh3_128_hexdigest(np.ascontiguousarray(waveform))
    try:
        text = read_transcript(txt_path)
        found["encoding"] = _encoding(Path(txt_path).read_bytes(), text)
    except (MediaError, OSError) as err:
        found["txt_problem"] = str(err)
    else:
        found["words"] = clean_transcript(text)
    return found


def _other_format(path: str) -> str:
    """What a readable wav is instead of 16 kHz mono 16-bit PCM; empty where it is just that."""
    try:
        with wave.open(path, "rb") as file:
            rate, n_channels, n_bits = file.getframerate(), file.getnchannels(), 8 * file.getsampwidth()
    except (wave.Error, EOFError) as err:
        return f"no plain PCM wav ({err or 'another container'})"
    if (rate, n_channels, n_bits) == (SAMPLE_RATE, 1, 16):
        return ""
    return f"{rate} Hz, {_plural(n_channels, 'channel')}, {n_bits} bits"


def _encoding(raw: bytes, text: str) -> str:
    """Which of the encodings that ``read_transcript`` tries gave its text; ASCII is the same in all of them."""
    if raw.isascii():
        return "ascii"
    return "utf-8" if " ".join(raw.decode("utf-8-sig", errors="replace").split()) == text else "cp949"


# --- annotations ------------------------------------------------------------------------------------------------------
def check_sessions(case: Evidence) -> list[Finding]:
    """Sessions that are there."""
    missing = sorted(set(range(1, case.corpus.n_sessions + 1)) - set(case.sessions))
    got = f"{len(case.sessions)} of {case.corpus.n_sessions} sessions, {_plural(case.n_files, 'annotation file')}"
    if not missing:
        return [case.finding("sessions", "ok", got)]
    return [
        case.finding(
            "sessions",
            "note",
            f"{got}; without {_runs(missing)}",
            expected=f"sessions 1 to {case.corpus.n_sessions}, unless it is a sample or a part",
            advice="Fine for trying things out. Figures to report need the whole corpus.",
        )
    ]


def check_rows(case: Evidence) -> list[Finding]:
    """Annotation rows that cannot be used, and segments whose files are missing."""
    findings = []
    for name, expected, advice in (
        ("rows", "rows of the corpus's width, with the id grammar, times and ids of their own", "Restore the file."),
        ("raters", "ten emotions, ten valences and ten arousals of 1 to 5", "Restore the annotation file."),
        ("missing files", "a wav and a txt for every annotated segment", "Copy them from the corpus again."),
    ):
        hits = [bad for bad in case.bad if _kind(bad.problem, ROW_KINDS, "rows") == name]
        if not hits:
            findings.append(
                case.finding(name, "ok", {"rows": "all rows usable", "raters": "ten of each"}.get(name, "none"))
            )
            continue
        is_inside = any(bad.in_paper or case.exclude == "none" for bad in hits)
        findings.append(
            case.finding(
                name,
                "problem" if is_inside else "note",
                _plural(len(hits), "segment") + ("" if is_inside else ", outside the selection"),
                expected=expected,
                where=[str(bad) for bad in hits],
                advice=f"{advice} Or go on without these segments: dataset.on_bad_segment=skip.",
            )
        )
    return findings


def check_notes(case: Evidence) -> list[Finding]:
    """Total columns that disagree with the raters, and the known defects that the reader handled."""
    totals = [note for note in case.notes if "Total columns disagree" in note]
    defects = [note for note in case.notes if note not in totals]
    findings = [case.finding("totals", "ok", "the Total columns agree with the ten raters")]
    if totals:
        findings = [
            case.finding(
                "totals",
                "warning",
                totals[0],
                expected="Total columns that are the plurality and the means of the ten raters",
                advice="Votes are recounted, training ignores the column. Was the file edited? Restore it.",
            )
        ]
    if defects:
        got = f"{_plural(len(defects), 'known defect')} handled"
        findings.append(case.finding("known defects", "note", got, where=defects, advice="Nothing to do."))
    else:
        findings.append(case.finding("known defects", "ok", "none to handle"))
    return findings


def check_extra_audio(case: Evidence) -> list[Finding]:
    """Wav files that no annotation row names."""
    pattern = "wav/Session*/*/*.wav" if case.corpus.name == "kemdy19" else "wav/Session*/*.wav"
    known = set(case.table["segment_id"]) | {bad.segment_id for bad in case.bad}
    handled = " ".join(case.notes)
    extra = sorted(
        str(path) for path in case.folder.glob(pattern) if path.stem not in known and path.stem not in handled
    )
    extra = [path for path in extra if Path(path).parent.name != "converted"]
    if not extra:
        return [case.finding("extra audio", "ok", "every wav is annotated")]
    return [
        case.finding(
            "extra audio",
            "warning" if case.is_whole else "note",
            f"{_plural(len(extra), 'wav')} without an annotation row",
            expected="an annotation row for every wav",
            where=extra,
            advice="They are not used. Did an annotation file lose rows?",
        )
    ]


def check_intervals(case: Evidence) -> list[Finding]:
    """Annotated intervals that are none."""
    rows = case.table[~(np.isfinite(case.table["annotated_seconds"]) & (case.table["annotated_seconds"] > 0))]
    return [
        case.judge(
            "intervals",
            rows,
            [f"{row.start:g} to {row.end:g} s" for row in rows.itertuples()],
            "warning",
            "every segment ends behind its start",
            expected="start < end, in seconds",
            advice="Times are not trained on. Was the file edited? Restore it.",
        )
    ]


# --- counts -----------------------------------------------------------------------------------------------------------
def check_counts(case: Evidence) -> list[Finding]:
    """Segments, fold sizes and emotions against the published ones."""
    known, untied = KNOWN[case.corpus.name, case.exclude], case.selected[~case.selected["is_tied"]]
    folds = range(N_FOLDS)
    sizes = tuple(int((case.selected["fold"] == fold).sum()) for fold in folds)
    sizes_untied = tuple(int((untied["fold"] == fold).sum()) for fold in folds)
    emotions = tuple(int((untied["hard_label"] == index).sum()) for index in range(len(EMOTIONS)))

    def named(counts: tuple[int, ...] | None) -> str:
        return "" if counts is None else ", ".join(f"{e} {n:,}" for e, n in zip(EMOTIONS, counts, strict=True))

    compared = (
        (
            "counts",
            [(len(case.selected), known.segments), (len(untied), known.untied)],
            lambda n, n_untied: f"{n:,} segments" + ("" if n_untied is None else f", {n_untied:,} of them untied"),
        ),
        (
            "fold sizes",
            [(sizes, known.folds), (sizes_untied, known.folds_untied)],
            lambda n, n_untied: f"{_numbers(n)}; untied {_numbers(n_untied)}" if n else "",
        ),
        ("emotion counts", [(emotions, known.emotions)], named),
    )
    findings = []
    for name, pairs, say in compared:
        got, wanted = say(*(pair[0] for pair in pairs)), say(*(pair[1] for pair in pairs))
        is_same = all(published in (None, counted) for counted, published in pairs)
        if not case.is_whole:
            kind = "a sample corpus" if case.is_sample else "a part of the corpus"
            findings.append(case.finding(name, "note", f"{got} ({kind}: not compared)"))
        elif not wanted:
            findings.append(case.finding(name, "note", f"{got} (none published for exclude={case.exclude})"))
        elif is_same:
            findings.append(case.finding(name, "ok", f"{wanted}, as published"))
        else:
            is_reference = case.folder.name == case.corpus.folders[0]
            findings.append(
                case.finding(
                    name,
                    "problem" if is_reference else "warning",
                    got,
                    expected=f"{wanted} (published)",
                    advice="Is the copy whole, and unedited? Other findings may say what is missing."
                    if is_reference
                    else f"The published counts are those of {case.corpus.folders[0]}; this is another release.",
                )
            )
    return findings


# --- audio ------------------------------------------------------------------------------------------------------------
def check_unusable_audio(case: Evidence) -> list[Finding]:
    """Wav files that cannot be trained on, by kind."""
    table = case.table
    kinds = table["wav_problem"].map(lambda problem: _kind(problem, AUDIO_KINDS, "unreadable audio") if problem else "")
    findings = []
    for name, expected in (
        ("unreadable audio", "a wav file with finite samples"),
        ("empty audio", "a wav file, not 0 bytes"),
        ("truncated audio", "as many bytes of sound as the header promises"),
        ("short audio", "at least 25 ms, one frame of the encoder"),
    ):
        rows = table[kinds == name]
        places = [f"{row.wav_problem} ({row.wav_path})" for row in rows.itertuples()]
        findings.append(case.judge(name, rows, places, "problem", "none", expected=expected, advice=_COPY_AGAIN))
    known = case.corpus.silent
    is_known = table["segment_id"].isin(known)
    rows = table[table["is_silent"] & ~is_known]
    n_known = int((table["is_silent"] & is_known).sum())
    silent = case.judge(
        "silent audio",
        rows,
        [f"all samples are zero ({row.wav_path})" for row in rows.itertuples()],
        "problem",
        f"none but the known ones ({n_known} of {len(known)} are here, and stay in)" if known else "none",
        expected="sound" + (f", but for the {len(known)} known ones, which stay in" if known else ""),
        advice=_COPY_AGAIN,
    )
    return [*findings, silent]


def check_audio(case: Evidence) -> list[Finding]:
    """Format, clipping and length of the audio that can be read."""
    table = case.table[case.table["wav_problem"] == ""]
    other = table[table["wav_format"] != ""]
    clipped = table[table["clipped"] > CLIPPED_SHARE].sort_values("clipped", ascending=False)
    seconds = table["n_samples"] / SAMPLE_RATE
    beyond = table[seconds > table["annotated_seconds"] + INTERVAL_TOLERANCE]
    is_common = len(clipped) > CLIPPED_SEGMENTS * len(table)
    percent = f"{100 * CLIPPED_SHARE:g} %"
    return [
        case.judge(
            "audio format",
            other,
            [f"{row.wav_format} ({row.wav_path})" for row in other.itertuples()],
            "warning",
            "16 kHz, mono, 16 bits",
            expected="16 kHz, mono, 16-bit PCM, as the corpus is",
            advice="It is mixed down and resampled when the data set is built. Was the corpus converted?",
        ),
        case.judge(
            "clipped audio",
            clipped,
            [f"{100 * row.clipped:.1f} % of the samples ({row.wav_path})" for row in clipped.itertuples()],
            "warning" if is_common else "note",
            f"no segment with more than {percent} of its samples at full scale",
            expected=f"at most {percent} of a segment's samples at full scale; a few files of KEMDy19 have more",
            advice="Was the corpus amplified?" if is_common else "Nothing to do for a few.",
        ),
        _long_audio(case),
        case.judge(
            "audio beyond annotation",
            beyond,
            [
                f"{row.n_samples / SAMPLE_RATE:.2f} s of sound for {row.annotated_seconds:.2f} s ({row.wav_path})"
                for row in beyond.itertuples()
            ],
            # of KEMDy19 it is published that no wav is longer than its interval
            "warning" if case.corpus.name == "kemdy19" else "note",
            f"no wav is longer than its interval by more than {1000 * INTERVAL_TOLERANCE:g} ms",
            expected=f"a wav no longer than its annotated interval, plus {1000 * INTERVAL_TOLERANCE:g} ms",
            advice="Does the file belong to that id? Listen to one.",
        ),
    ]


def _long_audio(case: Evidence) -> Finding:
    n_samples = case.selected["n_samples"]
    n_long, n_cut = int((n_samples > MAX_SAMPLES).sum()), int((n_samples - MAX_SAMPLES).clip(lower=0).sum())
    limit = f"{MAX_SAMPLES / SAMPLE_RATE:g} s"
    if not n_long:
        return case.finding("long audio", "ok", f"no segment is longer than {limit}")
    return case.finding(
        "long audio",
        "note",
        f"{_plural(n_long, 'segment')} ({100 * n_long / len(n_samples):.1f} %) longer than {limit}: "
        f"{100 * n_cut / n_samples.sum():.1f} % of all sound is cut; "
        f"the longest has {n_samples.max() / SAMPLE_RATE:.1f} s",
        expected=f"training keeps the first {limit} of a segment",
        advice="As published. dataloader.collate.max_samples keeps more, for more memory.",
    )


# --- transcripts ------------------------------------------------------------------------------------------------------
def check_transcripts(case: Evidence) -> list[Finding]:
    """Transcripts that cannot be used, encodings, and transcripts that are tags only."""
    table = case.table
    kinds = table["txt_problem"].map(lambda text: _kind(text, TEXT_KINDS, "unreadable transcripts") if text else "")
    findings = []
    for name, expected in (
        ("unreadable transcripts", "a file that can be read"),
        ("undecodable transcripts", "UTF-8 or CP949"),
        ("empty transcripts", "a line of text"),
    ):
        rows = table[kinds == name]
        places = [f"{row.txt_problem} ({row.txt_path})" for row in rows.itertuples()]
        findings.append(case.judge(name, rows, places, "problem", "none", expected=expected, advice=_COPY_AGAIN))

    usual = ENCODINGS[case.corpus.name]
    counts = table["encoding"].replace("", "not decoded").value_counts()
    got = ", ".join(f"{n:,} {encoding}" for encoding, n in counts.items())
    rows = table[~table["encoding"].isin(["", "ascii", usual])]
    if len(rows):
        findings.append(
            case.finding(
                "transcript encodings",
                "note",
                got,
                expected=f"{usual}, as the corpus is",
                where=[f"{row.segment_id}: {row.encoding} ({row.txt_path})" for row in rows.itertuples()],
                advice="Both encodings are read. Were the files converted or edited?",
            )
        )
    else:
        findings.append(case.finding("transcript encodings", "ok", got))

    rows = table[(table["txt_problem"] == "") & ~_has_words(table["words"])]
    findings.append(
        case.judge(
            "tag-only transcripts",
            rows,
            [row.txt_path for row in rows.itertuples()],
            "note",
            "every transcript has words",
            expected="words; about 20 transcripts of KEMDy19 have only tags",
            advice="Nothing to do: they stay in.",
        )
    )
    return findings


# --- across corpora and folds -----------------------------------------------------------------------------------------
def check_labels(cases: list[Evidence]) -> list[Finding]:
    """Shares of the emotions in each fold; a fold without segments, or without an emotion."""
    rows = pd.concat([case.selected[["corpus", "fold", "is_tied", "hard_label"]] for case in cases])
    untied = rows[~rows["is_tied"]]
    counts = np.array(
        [
            [((untied["fold"] == f) & (untied["hard_label"] == e)).sum() for e in range(len(EMOTIONS))]
            for f in range(N_FOLDS)
        ]
    )
    table = [["fold", "segments", "untied", *(f"{emotion} %" for emotion in EMOTIONS)]]
    for fold in range(N_FOLDS):
        shares = 100 * counts[fold] / max(1, counts[fold].sum())
        n_rows = int((rows["fold"] == fold).sum())
        table.append([fold, n_rows, int(counts[fold].sum()), *(round(float(share), 1) for share in shares)])
    where = [f"fold {fold} holds no untied segment" for fold in range(N_FOLDS) if not counts[fold].any()]
    where += [
        f"fold {fold} has no {emotion}"
        for fold in range(N_FOLDS)
        for index, emotion in enumerate(EMOTIONS)
        if counts[fold].any() and not counts[fold, index]
    ]
    if not where:
        return [Finding("label shares", "ok", "every fold holds every emotion (untied segments)", table=table)]
    return [
        Finding(
            "label shares",
            "warning" if counts.any() else "problem",
            f"{_plural(len(where), 'gap')} in the folds (untied segments)",
            expected="every emotion in every fold",
            where=where,
            advice="A fold without an emotion says nothing about it; one without segments cannot be validation_fold.",
            table=table,
        )
    ]


def check_speakers(cases: list[Evidence]) -> list[Finding]:
    """Speakers in two folds or two sessions, and sessions with more than two speakers."""
    table = pd.concat([case.table[["corpus", "session", "fold", "speaker"]] for case in cases]).drop_duplicates()
    by_speaker = table.groupby(["corpus", "speaker"])
    n_folds, sessions = by_speaker["fold"].nunique(), by_speaker["session"].agg(lambda found: sorted(set(found)))
    shared = [
        f"{name} {speaker}: sessions {_runs(sessions[name, speaker])}" for name, speaker in n_folds[n_folds > 1].index
    ]
    odd = [
        f"{name} {speaker}: sessions {_runs(found)}, one fold"
        for (name, speaker), found in sessions.items()
        if len(found) > 1 and n_folds[name, speaker] == 1
    ]
    n_speakers = table.groupby(["corpus", "session"])["speaker"].nunique()
    odd += [f"{name} session {session}: {n} speakers" for (name, session), n in n_speakers[n_speakers > 2].items()]
    if not shared and not odd:
        return [Finding("speakers", "ok", f"{_plural(len(n_folds), 'speaker')}, none in two folds")]
    return [
        Finding(
            "speakers",
            "problem" if shared else "warning",
            f"{_plural(len(shared), 'speaker')} in two folds"
            + (f"; {_plural(len(odd), 'other oddity', 'other oddities')}" if odd else ""),
            expected="two speakers a session, each in that session only: folds are blocks of sessions",
            where=[*shared, *odd],
            advice="Validation would hear a training speaker. Check the session numbers in the ids and file names.",
        )
    ]


def check_repeated_text(cases: list[Evidence]) -> list[Finding]:
    """Share of each fold's transcripts that stand word for word in the other folds, scripted and spontaneous apart.

    Cleaned transcripts of the selection; those without words count neither way. Training holds every chosen corpus, so
    a transcript is looked for in all of them. The scripts of KEMDy19 repeat over its sessions by design, so folds of
    sessions share text, not speakers (Atmaja and Sasou, 2022, arXiv 2210.14501).
    """
    rows = pd.concat([case.selected[["corpus", "segment_id", "dialogue", "fold", "words"]] for case in cases])
    rows = rows[_has_words(rows["words"])]
    is_script = rows["dialogue"].str.contains("script") & (rows["corpus"] == "kemdy19")
    rows = rows.assign(
        kind=np.where(is_script, "scripted", "spontaneous"),  # KEMDy20's "script" names a topic, not a text
        is_repeated=rows.groupby("words")["fold"].transform("nunique").to_numpy() > 1,
    )
    table = [["corpus", "speech", "transcripts", *(f"fold {fold} %" for fold in range(N_FOLDS)), "all %"]]
    for (name, kind), part in rows.groupby(["corpus", "kind"]):
        by_fold = part.groupby("fold")["is_repeated"].mean().reindex(range(N_FOLDS))
        shares = [None if np.isnan(share) else round(100 * float(share), 1) for share in by_fold]
        table.append([name, kind, len(part), *shares, round(100 * float(part["is_repeated"].mean()), 1)])
    is_long = rows["words"].str.split().str.len() >= LONG_WORDS
    odd = rows[rows["is_repeated"] & is_long].sort_values("segment_id", kind="stable")
    odd = odd[(odd["kind"] == "spontaneous").groupby(odd["words"]).transform("any").to_numpy(dtype=bool)]
    where = [
        f"{' = '.join(part['segment_id'])} ({_plural(len(words.split()), 'word')})"
        for words, part in odd.groupby("words")
    ]
    table = table if len(table) > 1 else []
    said = "; ".join(f"{row[0]} {row[1]} {row[-1]:.1f} %" for row in table[1:])
    got = f"also in other folds, word for word: {said}" if said else "no transcript to compare"
    if where:
        return [
            Finding(
                "repeated text",
                "warning",
                f"{got}; spontaneous ones of {LONG_WORDS} words and more: {_plural(len(where), 'text')}",
                expected=f"no spontaneous sentence of {LONG_WORDS} words and more in two folds",
                where=where,
                advice="Was a transcript copied to another id? Compare the files.",
                table=table,
            )
        ]
    severity: Severity = "note" if rows["is_repeated"].any() else "ok"
    advice = "Report scripted and spontaneous speech apart; the scripts of KEMDy19 repeat by design."
    return [Finding("repeated text", severity, got, advice=advice if severity == "note" else "", table=table)]


def _has_words(texts: Iterable[str]) -> np.ndarray:
    """(N,) bool: whether a letter or a digit is in a cleaned transcript."""
    return np.array([any(letter.isalnum() for letter in text) for text in texts], dtype=bool)


def check_duplicate_audio(cases: list[Evidence]) -> list[Finding]:
    """The same samples under two ids; silence aside."""
    rows = pd.concat([case.selected[["segment_id", "fold", "wav_hash", "is_silent"]] for case in cases])
    rows = rows[(rows["wav_hash"] != "") & ~rows["is_silent"]]
    rows = rows[rows["wav_hash"].duplicated(keep=False)].sort_values("segment_id")
    if not len(rows):
        return [Finding("duplicate audio", "ok", "no two segments have the same samples")]
    groups = [part for _, part in rows.groupby("wav_hash", sort=False)]
    groups.sort(key=lambda part: part["fold"].nunique(), reverse=True)
    n_leaks = sum(part["fold"].nunique() > 1 for part in groups)
    return [
        Finding(
            "duplicate audio",
            "problem" if n_leaks else "warning",
            f"{_plural(len(groups), 'recording')} under several ids, {n_leaks} of them in two folds",
            expected="every segment has samples of its own",
            where=[
                f"{' = '.join(part['segment_id'])} (folds {_numbers(sorted(set(part['fold'])))})" for part in groups
            ],
            advice="Validation would hear training audio. Copy these files from the corpus again.",
        )
    ]


_COPY_AGAIN = "Copy it from the corpus again, or go on without it: dataset.on_bad_segment=skip."
ANNOTATION_CHECKS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    check_sessions,
    check_rows,
    check_notes,
    check_extra_audio,
)
SEGMENT_CHECKS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    check_intervals,
    check_counts,
    check_unusable_audio,
    check_audio,
    check_transcripts,
)
CROSS_CHECKS: tuple[Callable[[list[Evidence]], list[Finding]], ...] = (
    check_labels,
    check_speakers,
    check_repeated_text,
    check_duplicate_audio,
)

# --- environment ------------------------------------------------------------------------------------------------------
REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
PYTHON = ((3, 10), (3, 14))
"""First version that works, first that does not; pyproject.toml's ``requires-python``."""
MALICIOUS = {"pytorch-lightning": ("2.6.2", "2.6.3"), "lightning": ("2.6.2", "2.6.3")}
"""Releases that run an attacker's code when they are imported (GHSA-w37p-236h-pfx3)."""
ENCODERS = {
    "kresnik/wav2vec2-large-xlsr-korean": (("config.json",), ("preprocessor_config.json",)),
    "klue/roberta-large": (("config.json",), ("tokenizer.json", "vocab.txt")),
}
"""Default encoders, and the files of which one each must be in the cache, besides the weights."""
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
ENCODER_BYTES = 3_000_000_000
CORPORA_BYTES = 4_300_000_000
"""Wav files of both corpora."""
RUN_BYTES = 8_000_000_000
"""Checkpoints of one run with the paper's encoders: selected weights, and all that resuming needs."""
SHARED_BYTES = 256_000_000
TRUE = {"1", "ON", "YES", "TRUE"}
"""What huggingface_hub takes for yes in an environment variable."""


def installed(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_python() -> list[Finding]:
    """The interpreter's version."""
    version = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if PYTHON[0] <= tuple(sys.version_info[:2]) < PYTHON[1]:
        return [Finding("python", "ok", version)]
    first, last = (".".join(map(str, bound)) for bound in PYTHON)
    return [
        Finding(
            "python",
            "problem",
            version,
            expected=f"{first} or newer, older than {last}",
            advice="PYTHON=python3.12 ./setup.sh makes an environment of that version.",
        )
    ]


def check_packages() -> list[Finding]:
    """Installed versions against the ranges of requirements.txt."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return [Finding("packages", "warning", "versions not compared: packaging is missing", advice="./setup.sh")]
    try:
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        return [Finding("packages", "warning", f"versions not compared: {err}", advice="Run it in the repository.")]
    requirements = [Requirement(text) for line in lines if (text := line.split("#")[0].strip())]
    wrong = []
    for requirement in requirements:
        version = installed(requirement.name)
        if version is None:
            wrong.append(f"{requirement.name} is not installed; {requirement.specifier or 'any version'} is needed")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version}; {requirement.specifier} is needed")
    if not wrong:
        return [Finding("packages", "ok", f"{len(requirements)} packages within the ranges of {REQUIREMENTS.name}")]
    return [
        Finding(
            "packages",
            "problem",
            f"{_plural(len(wrong), 'package')} missing or out of range",
            expected=f"the ranges of {REQUIREMENTS}",
            where=wrong,
            advice="./setup.sh, or pip install -r requirements.txt -c constraints.txt",
        )
    ]


def check_lightning() -> list[Finding]:
    """Releases of Lightning that must never be installed; nothing is imported."""
    versions = {package: installed(package) for package in MALICIOUS}
    bad = [f"{package} {version}" for package, version in versions.items() if version in MALICIOUS[package]]
    if not bad:
        here = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        return [Finding("lightning release", "ok", here or "not installed")]
    return [
        Finding(
            "lightning release",
            "problem",
            f"{', '.join(bad)}: malicious, steals tokens when it is imported (GHSA-w37p-236h-pfx3)",
            expected="any release but 2.6.2 and 2.6.3",
            advice="Import nothing. Uninstall it, delete the environment, and revoke every token that this machine "
            "knows (Hugging Face, W&B, git, cloud); then ./setup.sh in a new environment.",
        )
    ]


def check_torch_pair() -> list[Finding]:
    """Whether torch and torchaudio are of one release."""
    torch, torchaudio = installed("torch"), installed("torchaudio")
    if torch is None or torchaudio is None:
        lacking = " and ".join(name for name, there in (("torch", torch), ("torchaudio", torchaudio)) if there is None)
        return [Finding("torch and torchaudio", "problem", f"{lacking} not installed", advice="./setup.sh")]
    got = f"torch {torch}, torchaudio {torchaudio}"
    if _release(torch) != _release(torchaudio):
        wanted, advice = "the same release of both", f"pip install torchaudio=={_release(torch)}.*"
    elif "+" in torch and "+" in torchaudio and torch.split("+")[1] != torchaudio.split("+")[1]:
        wanted, advice = "the same build of both (behind the +)", "Install both from the same index."
    else:
        return [Finding("torch and torchaudio", "ok", got)]
    return [Finding("torch and torchaudio", "problem", got, expected=wanted, advice=advice)]


def check_torchaudio() -> list[Finding]:
    """Whether torchaudio can be imported; its library must fit torch's."""
    try:
        import torchaudio
    except (ImportError, OSError, RuntimeError, AttributeError) as err:
        return [
            Finding(
                "torchaudio import",
                "problem",
                f"{type(err).__name__}: {err}",
                expected="an import without error",
                advice="Install torch and torchaudio of the same release and build: ./setup.sh",
            )
        ]
    return [Finding("torchaudio import", "ok", f"torchaudio {torchaudio.__version__} imports")]


def check_device() -> list[Finding]:
    """GPU and bf16."""
    try:
        import torch
    except (ImportError, OSError) as err:
        return [Finding("device", "problem", f"torch does not import: {err}", advice="./setup.sh")]
    if not torch.cuda.is_available():
        build = f"torch built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch built without CUDA"
        return [
            Finding(
                "device",
                "note",
                f"CPU only ({build})",
                expected="a GPU, for the paper's encoders",
                advice="experiment=demo trains on a CPU in minutes. With a GPU here: check nvidia-smi and the driver.",
            )
        ]
    try:
        facts = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        # emulated bf16 would be slower than float32
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    except RuntimeError as err:
        return [Finding("device", "problem", f"the GPU does not answer: {err}", advice="Check nvidia-smi.")]
    got = "; ".join(f"{fact.name}, {fact.total_memory / 2**30:.0f} GiB" for fact in facts)
    if has_bf16:
        return [Finding("device", "ok", f"{got}; bf16", advice="trainer.precision=bf16-mixed is possible.")]
    return [Finding("device", "note", f"{got}; no bf16", advice="Keep trainer.precision=32-true.")]


def check_encoders() -> list[Finding]:
    """Whether the default encoders are in the hub's cache, or can come there."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError as err:
        return [Finding("encoders", "problem", f"huggingface_hub does not import: {err}", advice="./setup.sh")]
    offline = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(name, "").upper() in TRUE]
    lacking = []
    for encoder, files in ENCODERS.items():
        absent = [
            " or ".join(names)
            for names in (*files, WEIGHTS)
            if not any(isinstance(try_to_load_from_cache(encoder, name), str) for name in names)
        ]
        if absent:
            everything = len(absent) == len(files) + 1
            lacking.append(f"{encoder}: " + ("not in the cache" if everything else f"no {', no '.join(absent)}"))
    if not lacking:
        return [Finding("encoders", "ok", "both in the hub's cache" + (f" ({offline[0]} is set)" if offline else ""))]
    if offline:
        return [
            Finding(
                "encoders",
                "problem",
                f"{len(lacking)} of {len(ENCODERS)} not in the hub's cache, and {' and '.join(offline)} is set",
                expected="both in the cache, or the hub within reach",
                where=lacking,
                advice=f"Unset {' and '.join(offline)} once, or name directories: encoders.audio.name=/path "
                "encoders.text.name=/path. experiment=demo needs neither.",
            )
        ]
    return [
        Finding(
            "encoders",
            "note",
            f"{len(lacking)} of {len(ENCODERS)} not in the hub's cache",
            where=lacking,
            advice=f"The first run downloads them (up to {_gigabytes(ENCODER_BYTES)}). Without a network, name "
            "directories: encoders.audio.name=/path encoders.text.name=/path.",
        )
    ]


def check_disk(root: Path, cache_dir: Path, run_dir: Path) -> list[Finding]:
    """Room for the data set's build and for one run's checkpoints, per file system."""
    needs = [(cache_dir, *_build_need(root, cache_dir)), (run_dir, RUN_BYTES, "checkpoints of one run")]
    by_device: dict[int, list[tuple[Path, int, str]]] = {}
    for path, n_bytes, what in needs:
        existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
        by_device.setdefault(existing.stat().st_dev, []).append((existing, n_bytes, what))
    findings = []
    for parts in by_device.values():
        free, need = shutil.disk_usage(parts[0][0]).free, sum(n_bytes for _, n_bytes, _ in parts)
        said = ", ".join(f"{_gigabytes(n_bytes)} {what}" for _, n_bytes, what in parts)
        got = f"{_gigabytes(free)} free at {parts[0][0]}"
        if free >= need:
            findings.append(Finding("disk", "ok", f"{got}; needed: {said}"))
        else:
            findings.append(
                Finding(
                    "disk",
                    "problem",
                    got,
                    expected=f"{_gigabytes(need)}: {said}",
                    advice="Make room, or choose another disk: dataset.cache_dir=/path hydra.run.dir=/path.",
                )
            )
    return findings


def _build_need(root: Path, cache_dir: Path) -> tuple[int, str]:
    """Bytes that the builds of both corpora need and do not have yet, and what to call them."""
    missing, is_estimate = 0, False
    for one in CORPORA.values():
        folder = next((root / name for name in one.folders if (root / name).is_dir()), None)
        if folder is None:
            missing, is_estimate = missing + CORPORA_BYTES // 2, True
        elif not _is_built(one, root, cache_dir):
            wavs = [*folder.glob("wav/Session*/*.wav"), *folder.glob("wav/Session*/Sess*/*.wav")]
            missing += int(1.05 * sum(path.stat().st_size for path in wavs if path.is_file()))
    if not missing:
        return 0, "data set (built already)"
    return missing, "data set" + (" (estimated: a corpus is not here)" if is_estimate else "")


def _is_built(one: Corpus, root: Path, cache_dir: Path) -> bool:
    """Whether the build of just this corpus is there; annotations are read only where there is any build."""
    if not any(cache_dir.glob(f"{one.name}-*/MANIFEST.json")):
        return False
    from erc.datasets import MANIFEST, corpora_fingerprint

    try:
        name = f"{one.name}-{corpora_fingerprint(one.name, str(root))}"
    except (OSError, ValueError, csv.Error):  # a corpus that cannot be read has no build; `corpus` says why
        return False
    return (cache_dir / name / MANIFEST).is_file()


def check_wandb() -> list[Finding]:
    """Whether Weights & Biases will be online; the rule is train.py's ``wandb_offline``, and a test compares them."""
    mode = os.environ.get("WANDB_MODE")
    if mode:
        return [Finding("wandb", "ok", f"WANDB_MODE={mode}" + ("" if mode == "online" else ": offline"))]
    if os.environ.get("WANDB_API_KEY"):
        if mode == "":
            return [Finding("wandb", "note", "offline: WANDB_MODE is set, but empty", advice="unset WANDB_MODE")]
        return [Finding("wandb", "ok", "online: a key is in WANDB_API_KEY")]
    import netrc

    try:
        is_known = any("wandb" in host for host in netrc.netrc().hosts)
    except FileNotFoundError:
        is_known = False
    except (OSError, netrc.NetrcParseError) as err:
        return [
            Finding("wandb", "warning", f"offline: netrc cannot be read ({err})", advice="Repair ~/.netrc (mode 600).")
        ]
    if is_known:
        return [Finding("wandb", "ok", "online: a key is in netrc")]
    return [
        Finding(
            "wandb",
            "note",
            "offline: no key is known; runs are written to disk",
            advice="wandb login for online runs; logger=csv for none. result.json and metrics.csv are written anyway.",
        )
    ]


def check_cores() -> list[Finding]:
    """Cores that this process may use, against the threads that torch would start."""
    n_visible = os.cpu_count() or 1
    n_usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_visible
    quota = _cgroup_cores()
    if quota is not None:
        n_usable = min(n_usable, max(1, round(quota)))
    threads = os.environ.get("OMP_NUM_THREADS", "")
    got = f"{n_usable} of {n_visible} cores usable; OMP_NUM_THREADS {threads or 'not set'}"
    if threads and not (threads.isdigit() and int(threads)):
        return [Finding("cores", "warning", got, expected="a whole number", advice="unset OMP_NUM_THREADS")]
    n_threads = int(threads) if threads else n_visible
    if n_threads > n_usable:
        return [
            Finding(
                "cores",
                "warning",
                got,
                expected=f"at most {n_usable} threads",
                advice=f"More threads than cores wait for each other: export OMP_NUM_THREADS={n_usable}",
            )
        ]
    advice = f"dataset.num_proc={n_usable} builds faster." if n_usable > 1 else ""
    return [Finding("cores", "ok", got, advice=advice)]


def _cgroup_cores(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> float | None:
    """Cores that a container's quota (cgroup 2) allows; None where there is no quota."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # no cgroup 2 here: no quota to respect
        return None


def check_shared_memory(path: Path = Path("/dev/shm")) -> list[Finding]:
    """Room in shared memory, through which loader workers hand over their batches."""
    if not path.is_dir():
        return [
            Finding("shared memory", "note", f"no {path} on this system", advice="dataloader.num_workers=0 is safe.")
        ]
    usage = shutil.disk_usage(path)
    got = f"{path}: {_gigabytes(usage.free)} of {_gigabytes(usage.total)} free"
    if usage.free >= SHARED_BYTES:
        return [Finding("shared memory", "ok", got)]
    return [
        Finding(
            "shared memory",
            "warning",
            got,
            expected=f"{_gigabytes(SHARED_BYTES)}, where loader workers are used",
            advice="Keep dataloader.num_workers=0 (default), or give the container more: docker run --shm-size=2g.",
        )
    ]


# --- report -----------------------------------------------------------------------------------------------------------
def _conclude(command: str, arguments: dict, findings: list[Finding], target: Path | None) -> None:
    """Prints the table, writes the JSON, ends the process."""
    print(render(findings))
    if target is not None:
        try:
            target.write_text(to_json(command, arguments, findings), encoding="utf-8")
        except OSError as err:
            print(f"The JSON could not be written: {err}", file=sys.stderr)
            sys.exit(2)
    sys.exit(0 if is_sound(findings) else 1)


def _json_target(path: str | None) -> Path | None:
    """Where the JSON goes, looked at before minutes of reading.

    Raises:
        ValueError: No path was given with ``--json``.
        OSError: Its folder cannot be made.
    """
    if path is None:
        return None
    if isinstance(path, bool):
        raise ValueError("json names a file: expected --json=PATH, got --json alone.")
    target = Path(str(path))
    if target.is_dir():
        raise ValueError(f"json names a file: {target} is a folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def to_json(command: str, arguments: dict, findings: list[Finding]) -> str:
    """The findings in the schema of the module's docstring."""
    content = {
        "schema": SCHEMA,
        "command": command,
        "arguments": arguments,
        "is_sound": is_sound(findings),
        "n": _count(findings),
        "findings": [asdict(finding) for finding in findings],
    }
    return dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render(findings: list[Finding]) -> str:
    """The findings as text of at most ``WIDTH`` columns, and the verdict."""
    has_corpus = any(finding.corpus for finding in findings)
    name_width = max([len("check"), *(len(finding.name) for finding in findings)])
    margin = 9 + (9 if has_corpus else 0) + name_width + 2

    def head(severity: str, corpus: str, name: str) -> str:
        return f"{severity:<9}" + (f"{corpus:<9}" if has_corpus else "") + f"{name:<{name_width}}  "

    lines = [head("state", "corpus", "check") + "found", "-" * WIDTH]
    for finding in findings:
        is_corpus = finding.name in CORPUS_NAMES
        scope = finding.corpus or ("all" if has_corpus and is_corpus else "")
        found = textwrap.wrap(finding.got, WIDTH - margin) or [""]
        lines.append(head(finding.severity, scope, finding.name) + found[0])
        lines += [" " * margin + line for line in found[1:]]
        shown = finding.where[:MAX_SHOWN]
        if len(finding.where) > MAX_SHOWN:
            shown = [*shown, f"and {len(finding.where) - MAX_SHOWN} more"]
        details = [("expected", finding.expected), *(("where", text) for text in shown), ("do", finding.advice)]
        for label, text in details:
            for position, line in enumerate(textwrap.wrap(text, WIDTH - 21)):
                lines.append(f"{label if position == 0 else '':>19}  {line}")
        lines += _render_table(finding.table)
    n = _count(findings)
    parts = [_plural(n[severity], severity) for severity in ("problem", "warning", "note")] + [f"{n['ok']} ok"]
    verdict = "Sound: training may start." if is_sound(findings) else "Not sound: solve the problems before training."
    return "\n".join([line.rstrip() for line in lines] + ["-" * WIDTH, f"{verdict} {', '.join(parts)}."])


def _render_table(table: list[list]) -> list[str]:
    """Lines of a finding's table, columns to the right."""
    cells = [["-" if v is None else f"{v:.1f}" if isinstance(v, float) else str(v) for v in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["    " + " ".join(f"{v:>{width}}" for v, width in zip(row, widths, strict=True)) for row in cells]


def _count(findings: list[Finding]) -> dict[str, int]:
    return {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}


def _kind(message: str, kinds: dict[str, str], otherwise: str) -> str:
    return next((kind for words, kind in kinds.items() if words in message), otherwise)


def _plural(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _numbers(values: Iterable[int]) -> str:
    return " ".join(f"{value:,}" for value in values)


def _runs(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 -> "1-3, 7"."""
    numbers = sorted(numbers)
    begins = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in zip(begins, ends, strict=True))


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB"


def _release(version: str) -> str:
    """Major and minor number: "2.11.0+cpu" -> "2.11"."""
    return ".".join(re.split(r"[.+]", version)[:2])
