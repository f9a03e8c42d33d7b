"""What every data set gives to training, evaluation and report, and what all of them do the same way.

A *view* is the segments of one mode, fold and selection. It takes its rows from a build (``erc/data/build.py``).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from datasets import Dataset, concatenate_datasets
from datasets.table import InMemoryTable

from erc.data import (
    COLUMN_OF,
    CORPORA,
    BadSegment,
    Build,
    Note,
    SignalBuild,
    SignalForm,
    signal_notes,
    unusable_signals,
)
from erc.labels import LabelSpace
from erc.mistakes import listed

OnBadSegment = Literal["raise", "skip"]

GROUPS = ("gender", "style")
"""Speaker's sex (F, M), and scripted or spontaneous speech."""

MAX_NAMED = 20
"""A message names this many bad segments; ``HF_KEMD.bad`` holds all of them."""


class About(NamedTuple):
    """What is known of a data set before anything of it is built."""

    label_space: LabelSpace
    corpora: tuple[str, ...]
    """Names in the column ``corpus``."""
    is_synthetic: bool


class SegmentDataset:
    """Segments of one mode and fold: what every data set gives to training, evaluation and report.

    Attributes:
        ds: ``datasets.Dataset``, one row a segment: segment_id, corpus, session, dialogue, speaker, waveform (int16, 16 kHz,
            unpadded), n_samples, transcript, votes (counts in the order of ``label_space``; zeros where nobody voted),
            hard_label (index of an emotion, -1 where nobody voted), is_tied, and the dimensions of the label space (NaN where
            not rated).
        label_space: What the raters were asked.
        n_folds: Folds into which the corpora are divided.
        notes: What was found in the corpora and handled; each prints as one line.
        bad: Segments of the selection that cannot be used, and rows of annotation files that cannot be read.
        is_synthetic: Whether a corpus is synthetic; its numbers say nothing about people.
        fingerprint: Of the corpora as a whole, the same for all modes and folds.
        signals: In which form ``ds`` holds bio-signals; None where it holds none.
    """

    ds: Dataset
    label_space: LabelSpace
    n_folds: int
    notes: list[Note]
    bad: list[BadSegment]
    is_synthetic: bool
    fingerprint: str
    signals: SignalForm | None = None

    def describe(self) -> str:
        """Which segments these are, in a few words."""
        raise NotImplementedError

    def folds(self) -> np.ndarray:
        """(N,) fold of each segment of ``ds``; names of sides where the corpora bring their own partition."""
        raise NotImplementedError

    def groups(self) -> pd.DataFrame:
        """Group of each segment by which figures are reported apart, as far as the corpora say: a column for each of ``GROUPS``
        that some segment has, one row a segment of ``ds``, indexed by segment_id; "" where not known.
        """
        found = [name for name in GROUPS if name in self.ds.column_names]
        table = self.ds.select_columns(["segment_id", *found]).to_pandas().set_index("segment_id").fillna("")
        return table[[name for name in found if (table[name] != "").any()]]

    @classmethod
    def fingerprint_of(cls, options: dict[str, Any], base: Path) -> str:
        """``fingerprint`` of the data set that the options of a configuration ask for; builds nothing.

        Args:
            options: Entries of the group ``dataset``.
            base: Folder that relative paths start from.

        Raises:
            OSError: The corpora are not there.
            ValueError: Their files are not what they should be.
        """
        raise NotImplementedError

    @classmethod
    def count_folds(cls, options: dict[str, Any], base: Path) -> int:
        """``n_folds`` of that data set; arguments and errors as for ``fingerprint_of``."""
        raise NotImplementedError

    @classmethod
    def about(cls, options: dict[str, Any], base: Path) -> About:
        """Facts of that data set; arguments and errors as for ``fingerprint_of``."""
        raise NotImplementedError

    @classmethod
    def complaints(cls, options: dict[str, Any]) -> list[str]:
        """What is said of each corpus that the options name and that is not there."""
        raise NotImplementedError

    @classmethod
    def option(cls, options: dict[str, Any], name: str) -> Any:
        """Value of an argument among the options of a configuration; its default where they do not name it."""
        return options.get(name, inspect.signature(cls).parameters[name].default)

    def __len__(self) -> int:
        """Number of segments."""
        return len(self.ds)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One segment as a dictionary; arrays as NumPy."""
        return self.ds.with_format("numpy", dtype=None)[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Segments one by one."""
        return iter(self.ds.with_format("numpy", dtype=None))


def check_num_data(num_data: object) -> None:
    """Raises ValueError unless it is None or a whole number, 1 or more."""
    if num_data is not None and (isinstance(num_data, bool) or not isinstance(num_data, int) or num_data < 1):
        raise ValueError(f"num_data must be a positive whole number, or null for all segments: got {num_data!r}.")


@dataclass(frozen=True)
class Part:
    """What a view takes of one corpus."""

    fingerprint: str
    """Of the build of the whole corpus."""
    ds: Dataset | None
    """The view's rows; None where the view holds no segment of the corpus, so that nothing was opened."""
    bad: list[BadSegment]
    """Segments of the view whose media cannot be used."""


class Choice(NamedTuple):
    """Which build a view takes its rows from."""

    whole: Build
    """Of the whole corpus."""
    build: Build
    rows: pd.DataFrame
    """Rows of the view, in its order."""
    beside: Dataset | None = None
    """Further columns of every row of ``build``, by ``segment_id``."""
    is_shuffled: bool = False
    """Whether the segments of the view exchange what stands in ``beside``."""


def open_build(choice: Choice, num_proc: int | None) -> Part:
    """Opens a corpus's build, which is made first where it is missing, by ``num_proc`` processes."""
    whole, build, rows, beside, is_shuffled = choice
    if rows.empty:
        return Part(whole.fingerprint, None, [])
    ds, unreadable = build.load(num_proc)
    ids = pd.Index(ds.with_format("arrow")["segment_id"][:].to_pylist())
    if beside is not None:
        position = pd.Index(beside.with_format("arrow")["segment_id"][:].to_pylist()).get_indexer(ids)
        if is_shuffled:
            own = ids.get_indexer(rows["segment_id"])
            own = own[own >= 0]
            position[own] = position[np.random.default_rng(0).permutation(own)]
        # in the order of ``ds`` and in memory, for they are small: no waveform is copied to put them beside it
        columns = beside.with_format("arrow")[:].take(position).drop_columns(["segment_id"])
        ds = concatenate_datasets([ds, Dataset(InMemoryTable(columns))], axis=1)
    position = ids.get_indexer(rows["segment_id"])
    chosen = set(rows["segment_id"])
    bad = [problem for problem in unreadable if problem.segment_id in chosen]
    return Part(whole.fingerprint, ds.select(position[position >= 0]), bad)


class Signals(NamedTuple):
    """Bio-signals of one corpus beside a choice of its rows."""

    choice: Choice
    fingerprint: str
    """Of those of the whole corpus."""
    notes: list[Note]
    bad: list[BadSegment]
    """Segments of the view whose file of a signal cannot be used."""


def add_signals(choice: Choice, folder: Path, form: SignalForm, num_proc: int | None) -> Signals:
    """Builds or opens the bio-signals of the rows of a choice's build, and keeps them in one form."""
    corpus, cache_dir = CORPORA[choice.whole.name], choice.whole.path.parent
    whole = SignalBuild(corpus, folder, choice.whole.table, cache_dir)
    if choice.rows.empty:
        return Signals(choice, whole.fingerprint, [], [])
    is_whole = choice.build is choice.whole
    build = whole if is_whole else SignalBuild(corpus, folder, choice.build.table, cache_dir)
    ds, _ = build.load(num_proc)
    bad = unusable_signals(ds, choice.rows[["segment_id", "in_paper"]].to_dict("records"))
    beside = ds.remove_columns([column for name, column in COLUMN_OF.items() if name != form])
    return Signals(choice._replace(beside=beside), whole.fingerprint, signal_notes(corpus, ds), bad)


def report_signals(bad: list[BadSegment], on_bad_segment: OnBadSegment) -> None:
    """Stops where files of bio-signals cannot be used, or says how many segments lack a signal by that."""
    if bad and on_bad_segment == "raise":
        raise ValueError(
            f"Files of bio-signals must be usable: {len(bad)} segments lack a signal because one is not. {name_some(bad)} "
            "Repair the files, or go on without these signals: dataset.on_bad_segment=skip."
        )
    if bad:
        print(f"{len(bad)} segments stay without a signal (on_bad_segment=skip). {name_some(bad)}", file=sys.stderr)


def report_bad(bad: list[BadSegment], on_bad_segment: OnBadSegment) -> None:
    """Stops with all bad segments, or says how many are left out."""
    if on_bad_segment == "raise":
        raise ValueError(
            f"All segments must be usable: {len(bad)} are not. {name_some(bad)} "
            "Repair the files, or go on without these segments: dataset.on_bad_segment=skip."
        )
    print(f"{len(bad)} bad segments left out (on_bad_segment=skip). {name_some(bad)}", file=sys.stderr)


def name_some(bad: list[BadSegment]) -> str:
    """A line for each of the first bad segments, and the number of the others."""
    return f"Each is named with its file:\n{listed(bad, MAX_NAMED)}\n"
