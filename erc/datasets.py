"""The public door to the corpora: ``HF_KEMD``, a view of KEMDy19 and KEMDy20 for one mode, fold and selection.

``HF_Manifest`` (``erc/manifests.py``) is the same for any other corpus, and ``HF_CrossCorpus`` (``erc/cross_corpora.py``) trains on
some corpora and reports another; both can be imported from here.
Comes in: corpora under ``root``. Goes out: ``HF_KEMD(...).ds``, a ``datasets.Dataset`` with 16-bit unpadded waveforms.
There is one build per corpus (``erc/data/build.py``). Modes, folds, ``exclude``, ``transcript`` and ``drop_tied`` are
views of it.

Prebuild and look: ``python -m fire erc.datasets HF_KEMD --mode=train --validation_fold=4``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Ge, Interval
from datasets import Dataset, concatenate_datasets

from erc.cross_corpora import HF_CrossCorpus
from erc.data import (
    CORPORA,
    EMOTIONS,
    KEMD,
    N_FOLDS,
    SAMPLE_RATE,
    Annotations,
    Build,
    Corpus,
    Exclude,
    Mode,
    Protocol,
    SignalBuild,
    SignalForm,
    TranscriptKind,
    assign_folds,
    check_choice,
    check_num_proc,
    check_room,
    check_split,
    find_folder,
    is_synthetic,
    parse_dataset_name,
    read_source,
    sessions_text,
    split,
    with_checksums,
)
from erc.files import keep_private
from erc.manifests import HF_Manifest
from erc.mistakes import is_run_by_fire, tell_plainly_at_the_end
from erc.views import (
    About,
    Choice,
    OnBadSegment,
    SegmentDataset,
    add_signals,
    check_num_data,
    name_some,
    open_build,
    report_bad,
    report_signals,
)

__all__ = [
    "HF_KEMD",
    "HF_CrossCorpus",
    "HF_Manifest",
    "SegmentDataset",
    "class_of",
    "count_folds",
    "fingerprint_of",
    "without_specials",
]

if is_run_by_fire():
    keep_private()
    tell_plainly_at_the_end()


class HF_KEMD(SegmentDataset):
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
        protocol: ``paper``, ``nested`` or ``last`` (see ``erc.data.split``).
        drop_tied: Leave tied segments out (training on hard labels does).
        signals: Bio-signals beside the audio, built once like it: ``features`` for eleven numbers a segment
            (``erc.data.FEATURES``), ``sequence`` for 4 Hz; None for none, so that no file of them is opened. A segment without
            a signal stays in.
        shuffle_signals: Negative control: segments of a corpus exchange their signals, always in the same way. Such signals
            must help nothing.

    Attributes:
        ds: ``datasets.Dataset``, one row a segment: segment_id, corpus, session, dialogue, speaker, gender, start and
            end (seconds), waveform (int16, 16 kHz, unpadded), n_samples, transcript, votes (7 counts in the order of
            ``label_space``), hard_label (index of an emotion), is_tied, valence and arousal (1 to 5), the ten raters' values
            and the bio-signal cells of the annotation files (NaN where there are none). With ``signals`` also signal_mask (3,
            whether there are samples, in the order of ``erc.data.SIGNALS``), signal_reason (3, why there are none), and
            signal_features (11) or signal_sequence (T x 3, row by row), NaN where not known.
        notes: Known defects of the corpora that were handled; each prints as one line.
        bad: Segments of the selection that cannot be used, and annotation rows that cannot be read.
        is_synthetic, fingerprint: Of the corpora as a whole; numbers of a synthetic one say nothing about people.

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
        signals: SignalForm | None = None,
        shuffle_signals: bool = False,
    ) -> None:
        check_split(validation_fold, mode, protocol)
        check_choice("exclude", exclude, Exclude)
        check_choice("transcript", transcript, TranscriptKind)
        check_choice("on_bad_segment", on_bad_segment, OnBadSegment)
        check_num_proc(num_proc)
        check_num_data(num_data)
        if signals is not None:
            check_choice("signals", signals, SignalForm)
        self.mode, self.validation_fold, self.dataset_name, self.signals = mode, validation_fold, dataset_name, signals
        self.label_space, self.n_folds = KEMD, N_FOLDS

        corpora = parse_dataset_name(dataset_name)
        folders = [find_folder(corpus, root) for corpus in corpora]
        sources = [_read(corpus, folder, Path(cache_dir)) for corpus, folder in zip(corpora, folders, strict=True)]
        self.is_synthetic = any(is_synthetic(folder) for folder in folders)
        self.notes = [note for source in sources for note in source.notes]

        table = pd.concat([source.table for source in sources], ignore_index=True)
        is_held = split(assign_folds(table), validation_fold, mode, protocol)
        selected = _select(table[is_held], exclude, drop_tied, num_data)
        if selected.empty:
            raise ValueError(
                f"No segment is left for {self.describe()}: the corpora under {Path(root).absolute()} hold sessions "
                f"{sessions_text(table['session'])}. Choose another validation_fold, or add the missing sessions."
            )

        choices = []
        for corpus, source in zip(corpora, sources, strict=True):
            rows = selected[selected["corpus"] == corpus.name]
            choices.append(_choose(corpus, source.table, rows, Path(cache_dir), is_quick=num_data is not None))
        check_room([one.build for one in choices if len(one.rows) and not one.build.is_ready()])
        of_signals: list[str] = []
        if signals is not None:
            found = [add_signals(one, folder, signals, num_proc) for one, folder in zip(choices, folders, strict=True)]
            choices = [one.choice._replace(is_shuffled=shuffle_signals) for one in found]
            of_signals = [one.fingerprint for one in found]
            self.notes += [note for one in found for note in one.notes]
            report_signals(
                [bad for one in found for bad in one.bad if bad.in_paper or exclude == "none"], on_bad_segment
            )
        parts = [open_build(one, num_proc) for one in choices]
        self.fingerprint = "-".join([*(part.fingerprint for part in parts), *of_signals])
        bad = [problem for source in sources for problem in source.bad]
        bad += [problem for part in parts for problem in part.bad]
        self.bad = [problem for problem in bad if problem.in_paper or exclude == "none"]
        if self.bad:
            report_bad(self.bad, on_bad_segment)

        ds = concatenate_datasets([part.ds for part in parts if part.ds is not None])
        if not len(ds):
            raise ValueError(f"No segment is left for {self.describe()}: all {len(selected)} are bad. Repair them.")
        self.ds = _finish(ds, transcript)

    def describe(self) -> str:
        """Which view this is, in a few words."""
        fold = "no split" if self.validation_fold == -1 else f"validation_fold {self.validation_fold}"
        return f"{self.dataset_name}, {self.mode}, {fold}"

    def folds(self) -> np.ndarray:
        """(N,) fold of each segment of ``ds``."""
        return assign_folds(self.ds.select_columns(["corpus", "session", "speaker", "segment_id"]).to_pandas())

    @classmethod
    def fingerprint_of(cls, options: dict[str, Any], base: Path) -> str:
        """See ``SegmentDataset.fingerprint_of``; files whose checksum is not kept yet are read for it."""
        from erc.data import corpora_fingerprint

        root, cache_dir = (str(base / cls.option(options, name)) for name in ("root", "cache_dir"))
        dataset_name = cls.option(options, "dataset_name")
        found = [corpora_fingerprint(dataset_name, root, cache_dir)]
        if cls.option(options, "signals") is not None:
            for corpus in parse_dataset_name(dataset_name):
                folder = find_folder(corpus, root)
                table = read_source(corpus.name, str(folder.resolve())).table
                found.append(SignalBuild(corpus, folder, table, Path(cache_dir)).fingerprint)
        return "-".join(found)

    @classmethod
    def count_folds(cls, options: dict[str, Any], base: Path) -> int:
        """See ``SegmentDataset.count_folds``."""
        return N_FOLDS

    @classmethod
    def about(cls, options: dict[str, Any], base: Path) -> About:
        """See ``SegmentDataset.about``."""
        corpora = parse_dataset_name(cls.option(options, "dataset_name"))
        folders = [find_folder(corpus, str(base / cls.option(options, "root"))) for corpus in corpora]
        return About(KEMD, tuple(corpus.name for corpus in corpora), any(map(is_synthetic, folders)))

    @classmethod
    def complaints(cls, options: dict[str, Any]) -> list[str]:
        """See ``SegmentDataset.complaints``."""
        found = []
        for corpus in parse_dataset_name(cls.option(options, "dataset_name")):
            try:
                find_folder(corpus, cls.option(options, "root"))
            except OSError as err:
                found.append(str(err))
        return found

    def groups(self) -> pd.DataFrame:
        """See ``SegmentDataset``: speaker's sex, and scripted or spontaneous speech, which the dialogue's name tells."""
        names = self.ds.select_columns(["segment_id", "corpus", "dialogue"]).to_pandas()
        style = [CORPORA[corpus].style(name) for corpus, name in zip(names["corpus"], names["dialogue"], strict=True)]
        return super().groups().assign(style=style)

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


def _read(corpus: Corpus, folder: Path, cache_dir: Path) -> Annotations:
    """Annotations of a corpus with the checksums of its files; it must hold at least one segment."""
    source = read_source(corpus.name, str(folder.resolve()))
    if source.table.empty:
        raise ValueError(
            f"No annotated segment of {corpus.name} has both a wav and a txt under {folder / 'wav'}. "
            f"{name_some(source.bad)}Copy the whole corpus there."
        )
    return replace(source, table=with_checksums(corpus, source.table, cache_dir))


def _select(table: pd.DataFrame, exclude: Exclude, drop_tied: bool, num_data: int | None) -> pd.DataFrame:
    """Rows of a view among those of its mode and fold, in the same order."""
    if exclude == "paper":
        table = table[table["in_paper"].astype(bool)]
    if drop_tied:
        table = table[~table["is_tied"].astype(bool)]
    return table if num_data is None else table.head(num_data)


def _choose(corpus: Corpus, table: pd.DataFrame, rows: pd.DataFrame, cache_dir: Path, is_quick: bool) -> Choice:
    """Chooses a corpus's build, which need not be there yet.

    Args:
        corpus: Facts of the corpus.
        table: All segments of the corpus.
        rows: Those of the view, in its order.
        cache_dir: Where builds are kept.
        is_quick: Build no more than ``rows`` where no build of the whole corpus is there yet.
    """
    whole = Build(corpus, table, cache_dir)
    return Choice(whole, Build(corpus, rows, cache_dir) if is_quick and not whole.is_ready() else whole, rows)


def _finish(ds: Dataset, transcript: TranscriptKind) -> Dataset:
    """Keeps one of the two transcripts, under the name ``transcript``."""
    if transcript == "raw":
        return ds.remove_columns(["transcript_clean", "in_paper"])
    return ds.remove_columns(["transcript", "in_paper"]).rename_column("transcript_clean", "transcript")


def class_of(options: dict[str, Any]) -> type[SegmentDataset]:
    """The class that the options of a configuration's group ``dataset`` build.

    Raises:
        ValueError: They name none.
    """
    known: dict[str, type[SegmentDataset]] = {
        f"erc.datasets.{one.__name__}": one for one in (HF_KEMD, HF_Manifest, HF_CrossCorpus)
    }
    target = options.get("_target_", "erc.datasets.HF_KEMD")
    if target not in known:
        raise ValueError(f"dataset._target_ must be one of {', '.join(known)}: got {target!r}.")
    return known[target]


def without_specials(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a data set: its options without those of Hydra (``_target_``, ``_partial_``).

    A data set among them, as ``HF_CrossCorpus`` has, stands as Hydra makes it: as its class with its arguments.
    """
    return {name: _made(value) for name, value in options.items() if not name.startswith("_")}


def _made(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "_target_" in value:
        return partial(class_of(value), **without_specials(value))
    return {name: _made(one) for name, one in value.items()}


def fingerprint_of(options: dict[str, Any], base: str | Path = ".") -> str:
    """Fingerprint of the data set of a configuration; see ``SegmentDataset.fingerprint_of``."""
    return class_of(options).fingerprint_of(without_specials(options), Path(base))


def count_folds(options: dict[str, Any], base: str | Path = ".") -> int:
    """Folds of the data set of a configuration; see ``SegmentDataset.count_folds``."""
    return class_of(options).count_folds(without_specials(options), Path(base))
