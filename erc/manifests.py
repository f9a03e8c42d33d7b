"""Any corpus as a data set: ``HF_Manifest``, a view of the segments that one table lists (README, "Your own corpus").

Comes in: a CSV, Parquet or JSON-lines table beside its audio. Goes out: ``HF_Manifest(...).ds``, as ``HF_KEMD`` gives it.
There is one build per table. Modes, folds and ``drop_tied`` are views of it.

Look: ``python -m fire erc.datasets HF_Manifest --path=corpus/segments.csv --validation_fold=0``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Ge, Interval

from erc.data import (
    SAMPLE_RATE,
    Mode,
    Protocol,
    SegmentBuild,
    SegmentList,
    check_choice,
    check_num_proc,
    check_room,
    check_split,
    folds_fingerprint,
    is_synthetic,
    make_segment_list_options,
    missing_audio,
    read_segment_list,
    split,
    split_partition,
    with_audio_checksums,
    write_folds,
)
from erc.labels import NO_LABEL
from erc.views import About, Choice, OnBadSegment, SegmentDataset, check_num_data, open_build, report_bad


class HF_Manifest(SegmentDataset):
    """Segments of any corpus, listed in one table, as one Hugging Face data set.

    Args:
        path: The table: ``.csv``, ``.parquet`` or ``.jsonl``. Its audio lies in the same folder or below it.
        mode: ``train``, ``valid`` or ``test`` (see ``erc.data.split``, and ``erc.data.split_partition`` for a table with a
            column split).
        validation_fold: Held-out fold, from 0; -1 for no split. Only 0 where the table has a column split.
        cache_dir: Where builds are kept.
        num_proc: Processes that read audio during a build; 0 and 1 stay in this process.
        num_data: Take only this many segments, the first of the mode, for a quick look. Where no build of the whole
            corpus is there yet, only these are built.
        emotions: Names of the emotions in their order; null takes the order of the votes_ columns, or all names, sorted.
        scale: Lowest and highest rating of valence, arousal and dominance; needed where the table has one of them.
        label_map: Other names of emotions by the names in the table; null instead of a name leaves its votes out.
        n_folds: Folds to make where the table has none (null: 5), from 2 to the number of speakers, which leaves one speaker
            out at a time.
        fold_seed: Of the folds that are made.
        allow_outside: Audio may lie outside the table's folder.
        allow_shared_speakers: Folds of the table may share speakers.
        on_bad_segment: ``raise`` stops where audio of the selection cannot be used, and names it; ``skip`` goes on without.
        protocol: ``paper``, ``nested`` or ``last`` (see ``erc.data.split``).
        drop_tied: Leave tied segments out, and those without a vote (training on hard labels does).

    Attributes:
        ds: ``datasets.Dataset``, one row a segment: segment_id, corpus, session, dialogue, speaker, gender, style,
            transcript_source ("" where not known), start and end (seconds), waveform (int16, 16 kHz, unpadded), n_samples,
            transcript ("" where there is none), votes, hard_label, is_tied, and the dimensions.
        notes: What a reader of results should know; each prints as one line.
        bad: Segments of the selection whose audio cannot be used.
        fingerprint: Of the table, its audio and its folds, the same for all views.

    Raises:
        FileNotFoundError: The table is not there.
        ValueError: The table has mistakes, all of which are named; an argument out of its range; bad segments under
            ``raise``.
        OSError: Not enough room on the disk for the build.
    """

    def __init__(
        self,
        path: str,
        mode: Mode = "train",
        validation_fold: Annotated[int, Ge(-1)] = 0,
        cache_dir: str = "cache",
        num_proc: Annotated[int, Ge(0)] | None = 1,
        num_data: Annotated[int, Ge(1)] | None = None,
        emotions: list[str] | None = None,
        scale: list[float] | None = None,
        label_map: dict[str, str | None] | None = None,
        n_folds: Annotated[int, Ge(2)] | None = None,
        fold_seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 42,
        allow_outside: bool = False,
        allow_shared_speakers: bool = False,
        on_bad_segment: OnBadSegment = "raise",
        protocol: Protocol = "paper",
        drop_tied: bool = False,
    ) -> None:
        check_path(path)
        check_choice("on_bad_segment", on_bad_segment, OnBadSegment)
        check_num_proc(num_proc)
        check_num_data(num_data)
        options = make_segment_list_options(
            emotions, scale, label_map, n_folds, fold_seed, allow_outside, allow_shared_speakers
        )
        segments = read_segment_list(path, options)
        check_split(validation_fold, mode, protocol, segments.n_folds)
        self.path, self.mode, self.validation_fold = str(path), mode, validation_fold
        self.label_space, self.n_folds, self.notes = segments.label_space, segments.n_folds, list(segments.notes)
        self.is_synthetic = is_synthetic(Path(path).absolute().parent)

        table = with_audio_checksums(segments, Path(path).absolute().parent, Path(cache_dir))
        if segments.has_partition:
            is_held = split_partition(segments.fold, validation_fold, mode, protocol)
        else:
            is_held = split(segments.fold, validation_fold, mode, protocol, segments.n_folds)
        selected = table[is_held]
        if drop_tied:
            selected = selected[~selected["is_tied"] & (selected["hard_label"] != NO_LABEL)]
        selected = selected if num_data is None else selected.head(num_data)
        if selected.empty:
            raise ValueError(f"No segment is left for {self.describe()}. Choose another validation_fold or mode.")
        missing = missing_audio(selected)
        if missing and on_bad_segment == "raise":
            report_bad(missing, on_bad_segment)  # before the rest is built, which may take long
        whole = SegmentBuild(segments, _present(table), Path(cache_dir))
        rows = _present(selected)
        is_quick = num_data is not None and not whole.is_ready()
        build = SegmentBuild(segments, rows, Path(cache_dir)) if is_quick else whole
        check_room([build] if len(rows) and not build.is_ready() else [])
        part = open_build(Choice(whole, build, rows), num_proc)
        self.fingerprint = f"{whole.fingerprint}-{folds_fingerprint(segments)}"
        self.bad = missing + part.bad
        if self.bad:
            report_bad(self.bad, on_bad_segment)
        if part.ds is None or not len(part.ds):
            raise ValueError(
                f"No segment is left for {self.describe()}: all {len(selected)} are bad. Repair the files."
            )
        write_folds(segments, self.fingerprint, Path(cache_dir))
        self.ds = part.ds
        self._fold_of = dict(zip(table["segment_id"], segments.fold.tolist(), strict=True))

    def describe(self) -> str:
        """Which view this is, in a few words."""
        fold = "no split" if self.validation_fold == -1 else f"validation_fold {self.validation_fold}"
        return f"{Path(self.path).name}, {self.mode}, {fold}"

    def folds(self) -> np.ndarray:
        """(N,) fold of each segment of ``ds``; names of sides where the table has a column split."""
        return np.array([self._fold_of[one] for one in self.ds["segment_id"]])

    @classmethod
    def fingerprint_of(cls, options: dict[str, Any], base: Path) -> str:
        """See ``SegmentDataset.fingerprint_of``; files whose checksum is not kept yet are read for it."""
        segments, cache_dir = _segments_of(options, base), base / cls.option(options, "cache_dir")
        table = with_audio_checksums(segments, (base / options["path"]).absolute().parent, cache_dir)
        return f"{SegmentBuild(segments, _present(table), cache_dir).fingerprint}-{folds_fingerprint(segments)}"

    @classmethod
    def complaints(cls, options: dict[str, Any]) -> list[str]:
        """See ``SegmentDataset.complaints``."""
        path = Path(options["path"])
        return (
            [] if path.is_file() else [f"The table of segments {path.absolute()} is not there: correct dataset.path."]
        )

    @classmethod
    def count_folds(cls, options: dict[str, Any], base: Path) -> int:
        """See ``SegmentDataset.count_folds``."""
        return _segments_of(options, base).n_folds

    @classmethod
    def about(cls, options: dict[str, Any], base: Path) -> About:
        """See ``SegmentDataset.about``."""
        segments = _segments_of(options, base)
        corpora = tuple(sorted(set(segments.table["corpus"])))
        return About(segments.label_space, corpora, is_synthetic((base / options["path"]).absolute().parent))

    def __str__(self) -> str:
        """Short summary; what ``python -m fire`` prints."""
        names = ["corpus", "speaker", "votes", "hard_label", "is_tied", "n_samples", "transcript"]
        names += self.label_space.dimensions
        small = self.ds.select_columns(names).to_pandas()
        n_tied, n_folds = int(small["is_tied"].sum()), self.n_folds
        lines = [
            f"HF_Manifest: {self.describe()}: {len(self):,} segments, {n_tied:,} of them tied; "
            + (f"{n_folds} folds" if n_folds > 1 else "the corpus's own partition")
        ]
        for name, part in small.groupby("corpus"):
            untied = part["hard_label"][~part["is_tied"]].value_counts()
            emotions = "  ".join(
                f"{one} {untied.get(index, 0):,}" for index, one in enumerate(self.label_space.emotions)
            )
            hours = part["n_samples"].sum() / SAMPLE_RATE / 3600
            n_speakers = part["speaker"][part["speaker"] != ""].nunique()
            lines.append(
                f"  {name}: {len(part):,} segments, {n_speakers} speakers, {hours:.2f} h\n    untied: {emotions}"
            )
        space = self.label_space
        raters = "differing numbers of raters" if space.n_raters is None else f"{space.n_raters} rater(s)"
        lines.append(f"  labels: {', '.join(space.emotions)}; {raters}")
        ends = " to ".join(f"{end:g}" for end in space.scale or ())
        for name in space.dimensions:
            n_rated = int(small[name].notna().sum())
            lines.append(f"  {name}: {n_rated:,} of {len(small):,} segments rated, scale {ends}")
        lines.append(f"  columns: {', '.join(self.ds.column_names)}")
        if self.bad:
            lines.append(f"  {len(self.bad)} bad segments left out")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _segments_of(options: dict[str, Any], base: Path) -> SegmentList:
    """The table that the options of a configuration name."""
    names = ("emotions", "scale", "label_map", "n_folds", "fold_seed", "allow_outside", "allow_shared_speakers")
    check_path(options.get("path"))
    given = {name: options[name] for name in names if name in options}
    return read_segment_list(base / options["path"], make_segment_list_options(**given))


def check_path(path: object) -> None:
    """Raises ValueError unless it is the text that names a table; ``???`` is Hydra's mark of what must be given."""
    if not isinstance(path, str | Path) or str(path) in ("", "???"):
        raise ValueError(f"A table of segments must be named, as in dataset.path=segments.csv: got {path!r}.")


def _present(table: pd.DataFrame) -> pd.DataFrame:
    """Rows whose audio file is there."""
    return table[table["audio_bytes"] >= 0]
