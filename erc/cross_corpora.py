"""Several corpora as folds: ``HF_CrossCorpus`` trains on all corpora but one and reports the one that is left out.

Comes in: data sets with one label space (``HF_KEMD``, ``HF_Manifest``). Goes out: the views that training asks for. With two corpora
fold 0 trains on the second and reports the first, fold 1 the other way round; with more, every fold leaves one corpus out.
Convention: the checkpoint is chosen on a fold of each training corpus that is not trained on, and therefore shares no speaker
with training where that corpus's folds do not. The reported corpus has no part in training or choosing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge
from datasets import Dataset, Features, Value, concatenate_datasets

from erc.data import NO_SPLIT, Mode, Protocol, check_choice
from erc.labels import DIMENSIONS, LabelSpace
from erc.views import About, OnBadSegment, SegmentDataset

PROTOCOL = "cross_corpus"

HANDED_ON = ("root", "cache_dir", "num_proc", "num_data", "on_bad_segment")
"""Options that hold for every corpus that takes them and sets none of its own."""


class _Part(NamedTuple):
    """A corpus's data set before it is made."""

    kind: type[SegmentDataset]
    arguments: dict[str, Any]


Parts = dict[str, _Part]


class HF_CrossCorpus(SegmentDataset):
    """Several corpora, of which each fold reports one and trains on the others.

    Args:
        corpora: Data set of each corpus by its name, two or more, in the order of the folds. Its own ``validation_fold`` is the
            fold that chooses the checkpoint while that corpus trains.
        mode: ``train``: the training corpora without their choosing folds; ``valid``: those folds; ``test``: all of the
            reported corpus.
        validation_fold: Place of the reported corpus in ``corpora``, from 0; -1 for no split: every mode holds all corpora.
        dimensions: Of valence, arousal and dominance those that are used; null where all corpora have the same.
        root: Handed on to corpora that set none, as are the following; see ``HF_KEMD``.
        cache_dir: Where builds are kept.
        num_proc: Processes that read audio during a build.
        num_data: Take only this many segments of each corpus and mode.
        on_bad_segment: ``raise`` or ``skip``.
        protocol: ``cross_corpus``; any where there is no split.
        drop_tied: Leave tied segments out of training.

    Attributes:
        ds: As for ``SegmentDataset``, with the columns that all its corpora have. All corpora without a split, where some are of
            KEMD and some are not, have no waveform.
        label_space: That of every corpus; ``n_raters`` is None where they differ in it.

    Raises:
        ValueError: The label spaces differ (the differences are named), two data sets have a corpus of the same name, an argument
            is out of its range, or corpora that train together have columns of other types.
        OSError: A corpus is not there.
    """

    def __init__(
        self,
        corpora: dict[str, Callable[..., SegmentDataset]],
        mode: Mode = "train",
        validation_fold: Annotated[int, Ge(-1)] = 0,
        dimensions: list[str] | None = None,
        root: str = "data",
        cache_dir: str = "cache",
        num_proc: Annotated[int, Ge(0)] | None = 1,
        num_data: Annotated[int, Ge(1)] | None = None,
        on_bad_segment: OnBadSegment = "raise",
        protocol: Protocol = "cross_corpus",
        drop_tied: bool = False,
    ) -> None:
        common = {"root": root, "cache_dir": cache_dir, "num_proc": num_proc, "num_data": num_data}
        parts = _with_common(corpora, common | {"on_bad_segment": on_bad_segment})
        names = list(parts)
        _check_arguments(names, mode, validation_fold, protocol)
        abouts = {name: part.kind.about(part.arguments, Path()) for name, part in parts.items()}
        _check_names({name: about.corpora for name, about in abouts.items()})
        self.label_space = joint_space({name: about.label_space for name, about in abouts.items()}, dimensions)
        self.is_synthetic = any(about.is_synthetic for about in abouts.values())
        self.n_folds, self.mode, self.validation_fold = len(names), mode, validation_fold
        self.names = names
        self.fingerprint = _fingerprint(parts, Path())

        views = [_open(parts[name], mode, validation_fold, drop_tied) for name in self._held()]
        self.notes = [note for view in views for note in view.notes]
        self.bad = [problem for view in views for problem in view.bad]
        is_for_looking = mode == "test" and validation_fold == NO_SPLIT
        self.ds = _joined(dict(zip(self._held(), views, strict=True)), self.label_space, is_for_looking)
        places = [names.index(name) for name in self._held()]
        self._folds = np.repeat(np.array(places, dtype=np.int64), [len(view.ds) for view in views])

    def _held(self) -> list[str]:
        """Names of the corpora that this view has segments of."""
        if self.validation_fold == NO_SPLIT:
            return self.names
        reported = self.names[self.validation_fold]
        return [reported] if self.mode == "test" else [name for name in self.names if name != reported]

    def describe(self) -> str:
        """Which segments these are, in a few words."""
        if self.validation_fold == NO_SPLIT:
            return f"{', '.join(self.names)}, {self.mode}, no split"
        return f"{', '.join(self._held())}, {self.mode}, {self.names[self.validation_fold]} is left out of training"

    def folds(self) -> np.ndarray:
        """(N,) fold that reports each segment of ``ds``: the place of its corpus."""
        return self._folds

    @classmethod
    def fingerprint_of(cls, options: dict[str, Any], base: Path) -> str:
        """See ``SegmentDataset.fingerprint_of``."""
        return _fingerprint(_parts_of(options), base)

    @classmethod
    def count_folds(cls, options: dict[str, Any], base: Path) -> int:
        """See ``SegmentDataset.count_folds``."""
        return len(_parts_of(options))

    @classmethod
    def complaints(cls, options: dict[str, Any]) -> list[str]:
        """See ``SegmentDataset.complaints``."""
        return [one for part in _parts_of(options).values() for one in part.kind.complaints(part.arguments)]

    @classmethod
    def about(cls, options: dict[str, Any], base: Path) -> About:
        """See ``SegmentDataset.about``."""
        abouts = {name: part.kind.about(part.arguments, base) for name, part in _parts_of(options).items()}
        space = joint_space({name: one.label_space for name, one in abouts.items()}, options.get("dimensions"))
        names = tuple(name for one in abouts.values() for name in one.corpora)
        return About(space, names, any(one.is_synthetic for one in abouts.values()))

    def __str__(self) -> str:
        """Short summary."""
        lines = [f"HF_CrossCorpus: {self.describe()}: {len(self):,} segments"]
        for name, n in zip(*np.unique(np.array(self.ds["corpus"]), return_counts=True), strict=True):
            lines.append(f"  {name}: {n:,} segments")
        lines.append(f"  labels: {', '.join((*self.label_space.emotions, *self.label_space.dimensions))}")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def joint_space(spaces: dict[str, LabelSpace], dimensions: list[str] | None) -> LabelSpace:
    """The one label space of several corpora.

    Args:
        spaces: Of each corpus.
        dimensions: Those that are kept; None keeps all.

    Raises:
        ValueError: The label spaces differ in more than the number of raters; or a corpus lacks one of ``dimensions``.
    """
    kept = {name: _with_dimensions(name, space, dimensions) for name, space in spaces.items()}
    first, *others = kept
    raters = {space.n_raters for space in spaces.values()}
    found = [
        f"  {first} and {other}: {'; '.join(differing)}"
        for other in others
        if (differing := replace(kept[first], n_raters=None).differences(replace(kept[other], n_raters=None)))
    ]
    if found:
        listing = "\n".join(found)
        raise ValueError(
            "Corpora must have the same emotions in the same order, the same dimensions and the same scale, to train on one and "
            f"test on another. They differ:\n{listing}\n"
            "dataset.corpora.NAME.label_map renames emotions or leaves their votes out, dataset.corpora.NAME.emotions sets the "
            "order, and dataset.dimensions=[valence,arousal] keeps only these dimensions."
        )
    return replace(kept[first], n_raters=raters.pop() if len(raters) == 1 else None)


def _with_dimensions(name: str, space: LabelSpace, dimensions: list[str] | None) -> LabelSpace:
    if dimensions is None:
        return space
    if strange := [one for one in dimensions if one not in space.dimensions]:
        raise ValueError(
            f"dataset.dimensions must be rated in every corpus: {name} has {', '.join(space.dimensions) or 'none'}, and not "
            f"{', '.join(strange)}."
        )
    ordered = tuple(one for one in DIMENSIONS if one in dimensions)
    return replace(space, dimensions=ordered, scale=space.scale if ordered else None)


def _with_common(corpora: dict[str, Any], common: dict[str, Any]) -> Parts:
    """Data set of each corpus with the options that hold for all."""
    parts: Parts = {}
    for name, part in corpora.items():
        if not (isinstance(part, partial) and inspect.isclass(part.func) and issubclass(part.func, SegmentDataset)):
            raise ValueError(
                f"dataset.corpora.{name} must be a data set that is still to be made: expected _target_ and _partial_: true, got "
                f"{part!r}."
            )
        takes = inspect.signature(part.func).parameters
        named = inspect.signature(part.func).bind_partial(*part.args, **part.keywords).arguments
        given = {key: value for key, value in named.items() if value is not None}
        needed = [key for key, one in takes.items() if one.default is one.empty and key not in given]
        if needed:
            raise ValueError(f"dataset.corpora.{name}.{needed[0]} is not set, and {part.func.__name__} needs it.")
        parts[name] = _Part(part.func, {key: common[key] for key in common if key in takes} | given)
    return parts


def _parts_of(options: dict[str, Any]) -> Parts:
    """The same of the options of a configuration."""
    return _with_common(options["corpora"], {key: options[key] for key in HANDED_ON if key in options})


def _check_arguments(names: list[str], mode: str, validation_fold: int, protocol: str) -> None:
    check_choice("mode", mode, Mode)
    check_choice("protocol", protocol, Protocol)
    if len(names) < 2:
        raise ValueError(f"dataset.corpora must name two corpora or more: got {', '.join(names) or 'none'}.")
    if isinstance(validation_fold, bool) or validation_fold not in range(NO_SPLIT, len(names)):
        folds = ", ".join(f"{place} ({name})" for place, name in enumerate(names))
        raise ValueError(
            f"validation_fold must be the place of the corpus that is reported, {folds}, or {NO_SPLIT} for no split: got "
            f"{validation_fold!r}."
        )
    if protocol != PROTOCOL and validation_fold != NO_SPLIT:
        raise ValueError(
            f"A corpus that is reported has no part in choosing here: expected protocol={PROTOCOL}, got {protocol}. Add "
            f"protocol={PROTOCOL}."
        )


def _check_names(corpora: dict[str, tuple[str, ...]]) -> None:
    """Two data sets with a corpus of one name could not be told apart in any result."""
    owner: dict[str, str] = {}
    for name, held in corpora.items():
        for one in held:
            if one in owner:
                raise ValueError(
                    f"Every corpus must have a name of its own: {owner[one]} and {name} both hold one named {one!r}. Write other "
                    "names into the column corpus of the tables."
                )
            owner[one] = name


def _fingerprint(parts: Parts, base: Path) -> str:
    return "-".join(part.kind.fingerprint_of(part.arguments, base) for part in parts.values())


def _open(part: _Part, mode: Mode, validation_fold: int, drop_tied: bool) -> SegmentDataset:
    """A corpus's segments in a mode. Under ``paper`` a corpus's training side is all but its fold, and its valid side is that fold."""
    changes: dict[str, Any] = {"mode": mode, "protocol": "paper", "drop_tied": drop_tied}
    if validation_fold == NO_SPLIT or mode == "test":
        changes |= {"validation_fold": NO_SPLIT}
    return part.kind(**part.arguments | changes)


def _joined(views: dict[str, SegmentDataset], space: LabelSpace, is_for_looking: bool) -> Dataset:
    """All segments as one data set, with the columns that every corpus has.

    Raises:
        ValueError: A column is of other types, and the segments are for training.
    """
    sets = {name: view.ds for name, view in views.items()}
    unused = set(DIMENSIONS) - set(space.dimensions)
    first, *others = sets.values()
    names = [one for one in first.column_names if one not in unused and all(one in ds.column_names for ds in others)]
    sets = {name: ds.select_columns(names) for name, ds in sets.items()}
    differing = [one for one in names if len({repr(ds.features[one]) for ds in sets.values()}) > 1]
    if not differing:
        return concatenate_datasets(list(sets.values()))
    if not is_for_looking:
        types = "; ".join(f"{one} in {name}: {ds.features[one]}" for one in differing for name, ds in sets.items())
        raise ValueError(
            f"Corpora that train together must have columns of one type: {types}. Train on one of them: name two corpora."
        )
    return concatenate_datasets([_as_text(ds, differing) for ds in sets.values()])


def _as_text(ds: Dataset, columns: list[str]) -> Dataset:
    """Rows without sound, in memory, with some columns as text."""
    small = ds.remove_columns("waveform")
    return small.cast(Features(small.features | dict.fromkeys(columns, Value("string"))), keep_in_memory=True)
