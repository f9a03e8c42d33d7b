"""KEMDy19 and KEMDy20 as frozen facts: folders, annotation columns, id grammar, folds, known defects, centroids.

Opens no file; looks only for folders, and for the note that marks a synthetic corpus. A *segment* is one stretch of one
speaker's speech; a *dialogue* is one recording of two speakers.
Ids: ``Sess01_script01_F001`` (KEMDy19), ``Sess01_script01_User001F_001`` (KEMDy20). The last three digits count a
speaker's segments in one dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from erc.labels import LabelSpace

N_FOLDS = 5

EMOTIONS = ("surprise", "fear", "angry", "neutral", "happy", "sad", "disgust")
"""In the authors' order."""

N_RATERS = 10

VA_MIN, VA_MAX = 1, 5
"""Valence and arousal are rated on an integer scale from 1 to 5; a segment's value is the mean over raters."""

KEMD = LabelSpace(EMOTIONS, ("valence", "arousal"), (float(VA_MIN), float(VA_MAX)), N_RATERS)
"""What the raters of both corpora were asked."""

SYNTHETIC_NOTE = "SAMPLE_CORPUS.txt"
"""A release folder that holds a file of this name is a synthetic corpus (``erc.synthetic``)."""


@dataclass(frozen=True)
class SegmentName:
    """What a segment id says."""

    session: int
    dialogue: str
    speaker: str
    gender: str
    number: int


@dataclass(frozen=True)
class Corpus:
    """One corpus on disk. Column numbers count from 0; the raters' triples are always the last 30 columns."""

    name: str
    folders: tuple[str, ...]
    """Release folders under the data root, in the order of preference."""
    n_sessions: int
    annotation_pattern: str
    """Glob below the release folder."""
    annotation_name: re.Pattern[str]
    """Groups: session, and the gender of the rated speaker where the corpus has one file per gender."""
    width: int
    id_column: int
    time_columns: tuple[int, int]
    total_column: int
    """Total emotion; total valence and arousal stand in the two columns behind it."""
    bio_columns: dict[str, int]
    id_pattern: re.Pattern[str]
    centroids: tuple[tuple[float, float], ...]
    """(valence, arousal) per emotion in the order of ``EMOTIONS``; they break ties (published values)."""
    fileless: dict[str, int] = field(default_factory=dict)
    """Dialogues in which that many annotated segments are known to have no wav or txt."""
    silent: frozenset[str] = frozenset()
    """Segments known to hold digital silence only; they stay in."""
    has_scripts: bool = False
    """Whether dialogues named "script" were acted from a text. KEMDy20's name a topic that people spoke about freely."""
    paper_drops: frozenset[str] = frozenset()
    """Dialogues that the paper leaves out."""

    def style(self, dialogue: str) -> Literal["scripted", "spontaneous"]:
        """Kind of speech of a dialogue, such as ``Sess01_script01``."""
        return "scripted" if self.has_scripts and "_script" in dialogue else "spontaneous"

    def parse(self, segment_id: str) -> SegmentName:
        """Parts of an id.

        Raises:
            ValueError: The id does not follow the corpus's grammar, or its session does not exist.
        """
        match = self.id_pattern.fullmatch(segment_id)
        if match is None:
            raise ValueError(f"Segment id must match {self.id_pattern.pattern}: got {segment_id!r}.")
        part = match.groupdict()
        session = int(part["session"])
        if not 1 <= session <= self.n_sessions:
            raise ValueError(f"{self.name} has sessions 1 to {self.n_sessions}: got {segment_id!r}.")
        user = part.get("user")
        return SegmentName(
            session=session,
            dialogue=f"Sess{part['session']}_{part['dialogue']}",
            speaker=f"User{user}{part['gender']}" if user else f"Sess{part['session']}{part['gender']}",
            gender=part["gender"],
            number=int(part["number"]),
        )

    def wav_path(self, folder: Path, segment_id: str) -> Path:
        """Where a segment's audio lies; its transcript has the same stem and the ending ``.txt``.

        Safe against ids that lead out of the folder, because only an id that ``parse`` accepts gets here.
        """
        name = self.parse(segment_id)
        session = folder / "wav" / f"Session{name.session:02d}"
        return (session / name.dialogue if self.name == "kemdy19" else session) / f"{segment_id}.wav"

    @property
    def sessions_per_fold(self) -> int:
        """Length of one of the five consecutive session blocks."""
        return self.n_sessions // N_FOLDS


KEMDY19 = Corpus(
    name="kemdy19",
    folders=("KEMDy19", "KEMDy19_v1_3"),
    n_sessions=20,
    annotation_pattern="annotation/Session*_res.csv",
    annotation_name=re.compile(r"Session(?P<session>\d\d)_(?P<gender>[FM])_res\.csv"),
    width=43,
    id_column=9,
    time_columns=(1, 2),
    total_column=10,
    bio_columns={"ecg_start": 3, "ecg_end": 4, "eda_start": 5, "eda_end": 6, "temp_start": 7, "temp_end": 8},
    id_pattern=re.compile(
        r"Sess(?P<session>\d\d)_(?P<dialogue>(?:script|impro)\d\d)_(?P<gender>[FM])(?P<number>\d{3})", re.ASCII
    ),
    centroids=(
        (2.637565, 3.637669),
        (1.739314, 3.638259),
        (1.802826, 3.800166),
        (2.971001, 2.981144),
        (4.313703, 3.863192),
        (1.895839, 2.612215),
        (2.205371, 3.124297),
    ),
    has_scripts=True,
    fileless={"Sess03_script04": 1, "Sess06_script02": 2, "Sess07_script02": 2},
    paper_drops=frozenset(
        {"Sess01_impro03", "Sess01_impro04", "Sess03_script04", "Sess06_script02", "Sess07_script02"}
    ),
)

KEMDY20 = Corpus(
    name="kemdy20",
    folders=("KEMDy20_v1_1", "KEMDy20_v1_2"),
    n_sessions=40,
    annotation_pattern="annotation/Sess*_eval.csv",
    annotation_name=re.compile(r"Sess(?P<session>\d\d)_eval\.csv"),
    width=37,
    id_column=3,
    time_columns=(1, 2),
    total_column=4,
    bio_columns={},
    id_pattern=re.compile(
        r"Sess(?P<session>\d\d)_(?P<dialogue>script\d\d)_User(?P<user>\d{3})(?P<gender>[FM])_(?P<number>\d{3})",
        re.ASCII,
    ),
    centroids=(
        (3.094231, 3.380769),
        (2.390698, 3.076744),
        (2.220833, 3.569444),
        (2.996043, 3.191259),
        (3.838546, 3.601522),
        (2.508265, 2.918182),
        (2.203279, 3.293443),
    ),
    silent=frozenset(
        [f"Sess01_script05_User001F_{k:03d}" for k in range(4, 11)]
        + [f"Sess01_script06_User001F_{k:03d}" for k in range(9, 12)]
    ),
)

CORPORA = {corpus.name: corpus for corpus in (KEMDY19, KEMDY20)}


def label_space_of(result: dict[str, Any]) -> LabelSpace:
    """Label space of a ``result.json``. One that names none is of KEMD: it was written before other corpora could be read.

    Raises:
        ValueError: It names no label space.
    """
    return LabelSpace.from_json(result["label_space"]) if "label_space" in result else KEMD


def parse_dataset_name(dataset_name: str) -> tuple[Corpus, ...]:
    """Corpora named by ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``, always in that order.

    Raises:
        ValueError: A part is no corpus, or stands twice.
    """
    parts = str(dataset_name).lower().split("-")
    if len(set(parts)) != len(parts) or not set(parts) <= set(CORPORA):
        raise ValueError(
            f"dataset_name names corpora joined by '-': expected kemdy19, kemdy20 or kemdy19-kemdy20, got {dataset_name!r}."
        )
    return tuple(corpus for name, corpus in CORPORA.items() if name in parts)


def find_folder(corpus: Corpus, root: str | Path) -> Path:
    """The corpus's release folder under the data root; the reference release first where there are two.

    Raises:
        FileNotFoundError: No release folder is there.
    """
    root = Path(root)
    for name in corpus.folders:
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(
        f"Corpus {corpus.name} needs a folder {' or '.join(corpus.folders)} under {root.absolute()}: found none. "
        f"Link it there (mkdir -p {root} && ln -s /path/to/{corpus.folders[0]} {root / corpus.folders[0]}), or write "
        f"a synthetic corpus to try things out (python -m erc synthetic --root={root})."
    )


def is_synthetic(folder: Path) -> bool:
    """Whether a release folder holds a synthetic corpus."""
    return (folder / SYNTHETIC_NOTE).is_file()


def sessions_text(sessions: Iterable[int]) -> str:
    """Session numbers as ranges: 1, 2, 3 and 7 become "1-3, 7"."""
    numbers = set(sessions)
    firsts = sorted(n for n in numbers if n - 1 not in numbers)
    lasts = sorted(n for n in numbers if n + 1 not in numbers)
    return ", ".join(
        f"{first}-{last}" if first != last else f"{first}" for first, last in zip(firsts, lasts, strict=True)
    )
