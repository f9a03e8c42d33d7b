"""The table of segments: its columns, the segments that cannot be used, and notes on what was handled.

Every reader of a corpus returns ``Annotations``: a table with one row per segment and the columns of ``COLUMNS``, the
bad rows, and the notes. Kinds are values: code groups by ``kind``, and the texts are for people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

COLUMNS = (
    "segment_id",
    "corpus",
    "session",
    "dialogue",
    "speaker",
    "gender",
    "wav_path",
    "txt_path",
    "start",
    "end",
    "votes",
    "valence",
    "arousal",
    "emotion_ratings",
    "valence_ratings",
    "arousal_ratings",
    "is_tied",
    "hard_label",
    "ecg_start",
    "ecg_end",
    "eda_start",
    "eda_end",
    "temp_start",
    "temp_end",
    "in_paper",
    "wav_bytes",
    "wav_mtime_ns",
    "txt_bytes",
    "txt_mtime_ns",
)

BIO_COLUMNS = ("ecg_start", "ecg_end", "eda_start", "eda_end", "temp_start", "temp_end")

RowKind = Literal["row", "raters", "interval", "missing files", "no row"]
"""What is wrong with an annotation row: the row itself, the ten raters' cells, its times, or the files that it names.
``no row``: a wav that no row of its speaker names."""

AudioKind = Literal[
    "empty audio", "truncated audio", "silent audio", "short audio", "audio not finite", "unreadable audio"
]
"""What is wrong with a wav. ``truncated``: shorter than its header or its annotated interval says. ``unreadable``: no
regular file, too large, no sound file, or of a rate or length that no segment has."""

TextKind = Literal["empty transcript", "undecodable transcript", "unreadable transcript"]
"""What is wrong with a txt."""

SignalKind = Literal["unreadable signal"]
"""A file of bio-signals that cannot be used."""

Kind = RowKind | AudioKind | TextKind | SignalKind


@dataclass(frozen=True)
class BadSegment:
    """One segment or annotation row that cannot be used, and why."""

    where: str
    """File, with the line in it where there is one."""
    problem: str
    """What was expected and what came, for people."""
    segment_id: str = ""
    in_paper: bool = True
    """Whether the paper's selection would hold it; only such a segment stops ``exclude=paper``."""
    kind: Kind | None = None
    """None where a build of an earlier version did not store it."""

    def __str__(self) -> str:
        return f"{self.segment_id or '(no id)'}: {self.problem} ({self.where})"


NoteKind = Literal[
    "repaired id", "known without files", "total disagrees", "gap in numbering", "table of segments", "signals"
]


@dataclass(frozen=True)
class Note:
    """Something in the annotation files that the reader handled and that costs nobody a usable segment."""

    kind: NoteKind
    text: str
    segment_ids: tuple[str, ...] = ()
    """Segments that the note is about."""

    def __str__(self) -> str:
        return self.text


@dataclass
class Annotations:
    """What the annotation files of one corpus say."""

    table: pd.DataFrame
    bad: list[BadSegment] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
