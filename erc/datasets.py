"""The public door to the corpora: ``HF_KEMD``, a view of the data set for one mode, fold and selection.

Comes in: corpora under ``root``. Goes out: ``HF_KEMD(...).ds``, a ``datasets.Dataset`` with 16-bit unpadded waveforms.
There is one build per corpus (``erc/data/build.py``). Modes, folds, ``exclude``, ``transcript`` and ``drop_tied`` are
views of it.

Prebuild and look: ``python -m fire erc.datasets HF_KEMD --mode=train --validation_fold=4``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from annotated_types import Ge, Interval
from datasets import Dataset, concatenate_datasets

from erc.data import (
    SAMPLE_RATE,
    Annotations,
    BadSegment,
    Build,
    Corpus,
    Exclude,
    Mode,
    Note,
    Protocol,
    TranscriptKind,
    assign_folds,
    check_choice,
    check_num_proc,
    check_split,
    find_folder,
    is_synthetic,
    parse_dataset_name,
    read_source,
    sessions_text,
    split,
)
from erc.labels import EMOTIONS

OnBadSegment = Literal["raise", "skip"]

MAX_NAMED = 20
"""A message names this many bad segments; ``HF_KEMD.bad`` holds all of them."""


class HF_KEMD:
    """KEMDy19 and KEMDy20 as one Hugging Face data set.

    Args:
        mode: ``train``, ``valid`` or ``test`` (see ``erc.data.split``).
        validation_fold: Held-out block of sessions, 0 to 4; -1 for no split.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        root: Folder that holds ``KEMDy19`` and ``KEMDy20_v1_1`` (or ``KEMDy19_v1_3``, ``KEMDy20_v1_2``).
        cache_dir: Where builds are kept.
        num_proc: Processes that read audio during a build; 0 and 1 stay in this process.
        num_data: Take only this many segments, the first of the mode, for a quick look. Where no build of the whole
            corpus is there yet, only these are built.
        exclude: ``paper`` leaves out what the paper leaves out; ``none`` keeps all that have audio and transcript.
        transcript: ``raw`` keeps the transcribers' tags, ``clean`` strips them.
        on_bad_segment: ``raise`` stops where segments of the selection cannot be used, and names them; ``skip`` goes
            on without them, and says how many.
        protocol: ``paper`` or ``nested`` (see ``erc.data.split``).
        drop_tied: Leave tied segments out (training on hard labels does).

    Attributes:
        ds: ``datasets.Dataset``, one row a segment: segment_id, corpus, session, dialogue, speaker, gender, start and
            end (seconds), waveform (int16, 16 kHz, unpadded), n_samples, transcript, votes (7 counts in ``EMOTIONS``
            order), hard_label (index into ``EMOTIONS``), is_tied, valence and arousal (1 to 5), the ten raters' values
            and the bio-signal cells of the annotation files (NaN where there are none).
        notes: Known defects of the corpora that were handled; each prints as one line.
        bad: Segments of the selection that cannot be used, and annotation rows that cannot be read.
        is_synthetic: Whether a corpus of the view is synthetic; its numbers say nothing about people.
        fingerprint: Of the corpora as a whole, the same for all views of them.

    Raises:
        FileNotFoundError: A corpus folder or its annotation files are missing.
        ValueError: An argument out of its range, a file that is not the corpus's, or bad segments under ``raise``.
        OSError: Not enough room on the disk for the build.
    """

    def __init__(
        self,
        mode: Mode = "train",
        validation_fold: Annotated[int, Interval(ge=-1, le=4)] = 4,
        dataset_name: str = "kemdy19-kemdy20",
        root: str = "data",
        cache_dir: str = "cache",
        num_proc: Annotated[int, Ge(0)] | None = 1,
        num_data: Annotated[int, Ge(1)] | None = None,
        exclude: Exclude = "paper",
        transcript: TranscriptKind = "raw",
        on_bad_segment: OnBadSegment = "raise",
        protocol: Protocol = "paper",
        drop_tied: bool = False,
    ) -> None:
        check_split(validation_fold, mode, protocol)
        check_choice("exclude", exclude, Exclude)
        check_choice("transcript", transcript, TranscriptKind)
        check_choice("on_bad_segment", on_bad_segment, OnBadSegment)
        check_num_proc(num_proc)
        _check_num_data(num_data)
        self.mode, self.validation_fold, self.dataset_name = mode, validation_fold, dataset_name

        corpora = parse_dataset_name(dataset_name)
        folders = [find_folder(corpus, root) for corpus in corpora]
        sources = [_read(corpus, folder) for corpus, folder in zip(corpora, folders, strict=True)]
        self.is_synthetic = any(is_synthetic(folder) for folder in folders)
        self.notes: list[Note] = [note for source in sources for note in source.notes]

        table = pd.concat([source.table for source in sources], ignore_index=True)
        is_held = split(assign_folds(table), validation_fold, mode, protocol)
        selected = _select(table[is_held], exclude, drop_tied, num_data)
        if selected.empty:
            raise ValueError(
                f"No segment is left for {self.describe()}: the corpora under {Path(root).absolute()} hold sessions "
                f"{sessions_text(table['session'])}. Choose another validation_fold, or add the missing sessions."
            )

        parts = []
        for corpus, source in zip(corpora, sources, strict=True):
            rows = selected[selected["corpus"] == corpus.name]
            parts.append(_open(corpus, source.table, rows, Path(cache_dir), num_proc, is_quick=num_data is not None))
        self.fingerprint = "-".join(part.fingerprint for part in parts)
        bad = [problem for source in sources for problem in source.bad]
        bad += [problem for part in parts for problem in part.bad]
        self.bad: list[BadSegment] = [problem for problem in bad if problem.in_paper or exclude == "none"]
        if self.bad:
            _report(self.bad, on_bad_segment)

        ds = concatenate_datasets([part.ds for part in parts if part.ds is not None])
        if not len(ds):
            raise ValueError(
                f"No segment is left for {self.describe()}: all {len(selected)} are bad. Repair the files."
            )
        self.ds: Dataset = _finish(ds, transcript)

    def __len__(self) -> int:
        """Number of segments."""
        return len(self.ds)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One segment as a dictionary; arrays as NumPy."""
        return self.ds.with_format("numpy", dtype=None)[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
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
                f"{sessions_text(part['session'])}, {hours:.2f} h\n    untied: {emotions}"
            )
        lines.append(f"  columns: {', '.join(self.ds.column_names)}")
        if self.bad:
            lines.append(f"  {len(self.bad)} bad segments left out")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _check_num_data(num_data: object) -> None:
    if num_data is not None and (isinstance(num_data, bool) or not isinstance(num_data, int) or num_data < 1):
        raise ValueError(f"num_data must be a positive whole number, or null for all segments: got {num_data!r}.")


def _read(corpus: Corpus, folder: Path) -> Annotations:
    """Annotations of a corpus, which must hold at least one segment."""
    source = read_source(corpus.name, str(folder.resolve()))
    if source.table.empty:
        raise ValueError(
            f"No annotated segment of {corpus.name} has both a wav and a txt under {folder / 'wav'}. "
            f"{_name_some(source.bad)}Copy the whole corpus there."
        )
    return source


def _select(table: pd.DataFrame, exclude: Exclude, drop_tied: bool, num_data: int | None) -> pd.DataFrame:
    """Rows of a view among those of its mode and fold, in the same order."""
    if exclude == "paper":
        table = table[table["in_paper"].astype(bool)]
    if drop_tied:
        table = table[~table["is_tied"].astype(bool)]
    return table if num_data is None else table.head(num_data)


@dataclass(frozen=True)
class _Part:
    """What a view takes of one corpus."""

    fingerprint: str
    """Of the build of the whole corpus."""
    ds: Dataset | None
    """The view's rows; None where the view holds no segment of the corpus, so that nothing was opened."""
    bad: list[BadSegment]
    """Segments of the view whose media cannot be used."""


def _open(
    corpus: Corpus, table: pd.DataFrame, rows: pd.DataFrame, cache_dir: Path, num_proc: int | None, is_quick: bool
) -> _Part:
    """Opens a corpus's build, which is made first where it is missing.

    Args:
        corpus: Facts of the corpus.
        table: All segments of the corpus.
        rows: Those of the view, in its order.
        cache_dir: Where builds are kept.
        num_proc: Processes that read audio during a build.
        is_quick: Build no more than ``rows`` where no build of the whole corpus is there yet.
    """
    whole = Build(corpus, table, cache_dir)
    if rows.empty:
        return _Part(whole.fingerprint, None, [])
    build = Build(corpus, rows, cache_dir) if is_quick and not whole.is_ready() else whole
    ds, unreadable = build.load(num_proc)
    position = pd.Index(ds.with_format("arrow")["segment_id"][:].to_pylist()).get_indexer(rows["segment_id"])
    chosen = set(rows["segment_id"])
    bad = [problem for problem in unreadable if problem.segment_id in chosen]
    return _Part(whole.fingerprint, ds.select(position[position >= 0]), bad)


def _report(bad: list[BadSegment], on_bad_segment: OnBadSegment) -> None:
    """Stops with all bad segments, or says how many are left out."""
    if on_bad_segment == "raise":
        raise ValueError(
            f"All segments must be usable: {len(bad)} are not. {_name_some(bad)} "
            "Repair the files, or go on without these segments: dataset.on_bad_segment=skip."
        )
    print(f"{len(bad)} bad segments left out (on_bad_segment=skip). {_name_some(bad)}", file=sys.stderr)


def _name_some(bad: list[BadSegment]) -> str:
    named = "\n".join(f"  {problem}" for problem in bad[:MAX_NAMED])
    rest = f"\n  and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
    return f"Each is named with its file:\n{named}{rest}\n"


def _finish(ds: Dataset, transcript: TranscriptKind) -> Dataset:
    """Keeps one of the two transcripts, under the name ``transcript``."""
    if transcript == "raw":
        return ds.remove_columns(["transcript_clean", "in_paper"])
    return ds.remove_columns(["transcript", "in_paper"]).rename_column("transcript_clean", "transcript")
