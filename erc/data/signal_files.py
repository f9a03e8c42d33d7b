"""Bio-signal CSVs of KEMDy19 and KEMDy20 -> recordings: time, value and segment of each sample.

Comes in: one file. Goes out: a ``Recording``. Three signals stand for the four kinds of files, so that both corpora have the
same: ``heart`` (KEMDy19: an electrocardiogram, ``ECG``; KEMDy20: inter-beat intervals, ``IBI``), ``eda`` (skin conductance,
microsiemens) and ``temp`` (skin temperature, degrees Celsius). Conventions and quirks, each counted in ``Recording.counts``:

- Rows are ragged. A row names a segment in its last cell, or none. A comma may end a row that names none, and two commas may
  stand for one.
- KEMDy19 has one file a session and person without a header: ``value, elapsed, clock[, id]``; in ECG the elapsed time is first.
  The segments of both speakers are named in it.
- KEMDy20 has one file a dialogue and speaker. EDA and TEMP begin with two lines, the start and the sampling rate; a sample's
  time follows from its position. IBI begins with one line; a row is ``elapsed, interval, clock[, id]``, and the elapsed time is
  that of the beat that ends the interval.
- In KEMDy20's sessions 12 and 17 the ids begin with another session than the file's name: the file's name holds.
- A file may hold its header alone, or name no segment.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from erc.data.corpora import Corpus
from erc.data.source_files import Boundary, read_regular

Signal = Literal["heart", "eda", "temp"]

SIGNALS: tuple[Signal, ...] = get_args(Signal)
"""In the order of every mask."""

KINDS: dict[str, dict[Signal, str]] = {
    "kemdy19": {"heart": "ECG", "eda": "EDA", "temp": "TEMP"},
    "kemdy20": {"heart": "IBI", "eda": "EDA", "temp": "TEMP"},
}
"""Folder of each signal, by corpus. Units: ECG mV, IBI seconds, EDA microsiemens, TEMP degrees Celsius."""

MAX_SIGNAL_BYTES = 500_000_000
"""Of a file; an ECG of 97 minutes at 250 Hz has about 65 million."""

N_CELLS = 4
"""Most cells of a row."""

Quirk = Literal["repaired prefix", "foreign id", "time runs backwards"]
"""What was handled, counted in samples. ``foreign id``: it follows no grammar, or is of another session or dialogue; the sample
then counts as one that names no segment. ``time runs backwards``: a clock was set back; it goes on by the usual step."""


@dataclass(frozen=True)
class Recording:
    """One file.

    Attributes:
        kind: ``ECG``, ``IBI``, ``EDA`` or ``TEMP``.
        rate: Samples a second; NaN for IBI, which is irregular, and where there are fewer than two samples.
        time: (N,) seconds since the recording began, not falling.
        value: (N,) in the unit of the kind.
        segment: (N,) index into ``ids``; -1 where the sample lies in no segment.
        ids: Segments that the file names, in the order in which they first stand there.
        counts: Samples of each quirk.
        repaired: Those of ``ids`` that were written with another session.
        clock: (N,) seconds since midnight; NaN where the cell is no time of day. Empty unless it was asked for.
    """

    kind: str
    rate: float
    time: np.ndarray
    value: np.ndarray
    segment: np.ndarray
    ids: tuple[str, ...]
    counts: dict[Quirk, int] = field(default_factory=dict)
    repaired: frozenset[str] = frozenset()
    clock: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.time)

    def between(self, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
        """(L,) times and (L,) values of the samples between two times, both included."""
        inside = (self.time >= start) & (self.time <= end)
        return self.time[inside], self.value[inside]


def signal_path(corpus: Corpus, folder: Path, signal: Signal, segment_id: str) -> Path:
    """File that holds a signal of the speaker of a segment.

    Safe against ids that lead out of the folder: only an id that ``corpus.parse`` accepts gets here.
    """
    name = corpus.parse(segment_id)
    session = folder / KINDS[corpus.name][signal] / f"Session{name.session:02d}"
    if corpus.name == "kemdy19":
        return session / "Original" / f"Sess{name.session:02d}{name.gender}.csv"
    return session / f"{name.dialogue}_{name.speaker}.csv"


def read_recording(corpus: Corpus, folder: Path, path: Path, with_clock: bool = False) -> Recording:
    """One file of bio-signals.

    Args:
        corpus: Facts of the corpus.
        folder: Release folder.
        path: A file below it, as ``signal_path`` gives it.
        with_clock: Whether to read the times of day as well.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or a row is not as it should be.
    """
    kind = path.relative_to(folder).parts[0]
    try:
        Boundary(folder / kind).stat(path)
        content = read_regular(path, MAX_SIGNAL_BYTES)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise ValueError(f"Signal files must be readable: {path}: {err}. Copy it again.") from err
    n_header = 0 if corpus.name == "kemdy19" else 1 if kind == "IBI" else 2
    rate = _stated_rate(content, path) if n_header == 2 else np.nan
    cells = _cells(content, path, n_header)
    is_row = (cells != "").any(axis=1)
    cells, line = cells[is_row], np.flatnonzero(is_row) + n_header + 1
    if kind in ("EDA", "TEMP"):  # value first
        value = _numbers(cells[0], line, path, "a value")
        if n_header:
            time = np.arange(len(value)) / rate
            clock, ids = cells[1], cells[[2, 3]]
        else:
            time = _numbers(cells[1], line, path, "the elapsed seconds")
            clock, ids = cells[2], cells[[3]]
    else:
        time = _numbers(cells[0], line, path, "the elapsed seconds")
        value = _numbers(cells[1], line, path, "a value")
        clock, ids = cells[2], cells[[3]]
    segment, names, repaired, counts = _segments(corpus, path, ids, line)
    if kind != "IBI" and not n_header and len(time) > 1:
        step = float(np.median(np.diff(time)))
        rate = 1 / step if step > 0 else np.nan
    seconds = pd.to_timedelta(clock, errors="coerce").dt.total_seconds().to_numpy() if with_clock else np.empty(0)
    if n_backwards := int(np.count_nonzero(np.diff(time) < 0)):
        counts["time runs backwards"] = n_backwards
        time = _unbroken(time)
    return Recording(kind, rate, time, value, segment, names, counts, repaired, seconds)


def _unbroken(time: np.ndarray) -> np.ndarray:
    """Times that go on by the usual step where a clock was set back; samples keep the order of the file."""
    step = np.diff(time)
    usual = float(np.median(step[step > 0])) if (step > 0).any() else 0.0
    return time[0] + np.append(0.0, np.where(step < 0, usual, step).cumsum())


def _stated_rate(content: bytes, path: Path) -> float:
    """Sampling rate on the second line, in hertz; NaN where the file is empty."""
    lines = content[:200].decode("utf-8-sig", errors="replace").splitlines()
    if not any(lines):
        return np.nan
    try:
        rate = float(lines[1].split(",")[0])
    except (IndexError, ValueError):
        rate = np.nan
    if not 0 < rate < 10_000:
        raise ValueError(
            f"A signal file states its sampling rate on line 2: expected a number above 0, got "
            f"{lines[1][:60] if len(lines) > 1 else 'no such line'!r} ({path}). Copy it again."
        )
    return rate


def _cells(content: bytes, path: Path, n_header: int) -> pd.DataFrame:
    """Rows behind the header as text, ``N_CELLS`` columns; a cell that is not there is empty."""
    if content.count(b"\n") < n_header or not content:
        return pd.DataFrame({column: pd.Series(dtype=str) for column in range(N_CELLS)})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row that is too long loses cells
            cells = pd.read_csv(
                io.BytesIO(content),
                header=None,
                names=list(range(N_CELLS + 2)),
                index_col=False,
                skiprows=n_header,
                dtype=str,
                na_filter=False,
                quoting=csv.QUOTE_NONE,
                skip_blank_lines=False,
                encoding="utf-8-sig",
            )
    except pd.errors.EmptyDataError:
        return pd.DataFrame({column: pd.Series(dtype=str) for column in range(N_CELLS)})
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError) as err:
        raise ValueError(
            f"Signal files are CSV of at most {N_CELLS} cells a row: {path}: {err}. Copy it again."
        ) from err
    is_doubled = (cells[1] == "") & (cells[2] != "")  # two commas for one
    cells.loc[is_doubled, list(range(1, N_CELLS + 1))] = cells.loc[is_doubled, list(range(2, N_CELLS + 2))].to_numpy()
    is_long = (cells[[N_CELLS, N_CELLS + 1]] != "").any(axis=1)
    if is_long.any():
        line = int(np.flatnonzero(is_long)[0]) + n_header + 1
        raise ValueError(
            f"A row of a signal file has at most {N_CELLS} cells: got more ({path}, line {line}). Copy it again."
        )
    return cells[list(range(N_CELLS))]


def _numbers(column: pd.Series, line: np.ndarray, path: Path, what: str) -> np.ndarray:
    """(N,) finite numbers of a column."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if len(wrong := np.flatnonzero(~np.isfinite(values))):
        raise ValueError(
            f"A row of a signal file holds {what}: expected a number, got {column.iloc[wrong[0]][:60]!r} "
            f"({path}, line {line[wrong[0]]}; {len(wrong)} such rows). Copy the file again."
        )
    return values


def _segments(
    corpus: Corpus, path: Path, columns: pd.DataFrame, line: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], frozenset[str], dict[Quirk, int]]:
    """Index of each row's segment, the segments' ids, those that were repaired, and the samples that were handled."""
    text = columns.iloc[:, -1]
    for column in columns.columns[-2::-1]:
        text = text.where(text != "", columns[column])
    codes, written = pd.factorize(text.str.strip())
    prefix, counts = path.name[:6], dict[Quirk, int]()
    number_of: dict[str, int] = {}
    repaired: set[str] = set()
    index = np.full(len(written), -1, dtype=np.int32)
    sizes = np.bincount(codes, minlength=len(written))
    for code, name in enumerate(written):
        if not name:
            continue
        if not name.startswith("Sess"):
            first = int(line[np.flatnonzero(codes == code)[0]])
            raise ValueError(
                f"The last cell of a signal file's row is a segment id, or empty: got {name[:60]!r} ({path}, line {first}). "
                "Copy the file again."
            )
        own = re.sub(r"^Sess\d\d", prefix, name) if corpus.name == "kemdy20" else name
        if not _belongs(corpus, path, own):
            counts["foreign id"] = counts.get("foreign id", 0) + int(sizes[code])
            continue
        if own != name:
            repaired.add(own)
            counts["repaired prefix"] = counts.get("repaired prefix", 0) + int(sizes[code])
        index[code] = number_of.setdefault(own, len(number_of))
    return index[codes], tuple(number_of), frozenset(repaired), counts


def _belongs(corpus: Corpus, path: Path, segment_id: str) -> bool:
    """Whether a file may name that segment: one of its session (KEMDy19), or of its dialogue and speaker (KEMDy20)."""
    if not corpus.id_pattern.fullmatch(segment_id):
        return False
    return segment_id.startswith(f"{path.stem}_" if corpus.name == "kemdy20" else f"{path.stem[:6]}_")
