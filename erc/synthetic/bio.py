"""Bio-signals of a synthetic corpus: values at the borders of segments, and the CSVs of whole sessions."""

from __future__ import annotations

from typing import Any

import numpy as np

from erc.data import KEMDY19, Corpus
from erc.synthetic.annotation_files import BIO_FORMATS
from erc.synthetic.layout import DIALOGUES, Segment, speakers_of, stream

WRONG_BIO_PREFIX = {12: "Sess41", 17: "Sess42"}
"""KEMDy20 sessions whose bio files name another session inside."""

MIDNIGHT = 1_599_955_200
"""Of an invented day, Unix time in seconds."""

NO_LABELLED_BIO = ("Sess18_script03_User036M", "Sess36_script03_User072F")
"""KEMDy20 dialogues and speakers whose bio files name no segment."""


def draw_bio(arousal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One person's signals at the start and end of each segment.

    Args:
        arousal: (N,) mean arousal of the segments, 1 to 5.
        rng: Random generator.

    Returns:
        (N, 3, 2) ECG (mV, in the device's steps), EDA (microsiemens) and TEMP (deg C) by start and end.
    """
    n = len(arousal)
    ecg = (rng.normal(0, 0.15, (n, 2)).clip(-2.11, 3.15) / 0.003615046).round() * 0.003615046
    level = rng.uniform(0.3, 6) * np.exp(0.03 * rng.standard_normal(n + 1).cumsum())
    level[1:] += 0.06 * (arousal - 1)  # skin conductance answers arousal
    warmth = (rng.uniform(31, 34) + 0.03 * rng.standard_normal(n + 1).cumsum()).clip(26.25, 35.21)
    eda, temp = (np.stack([walk[:-1], walk[1:]], axis=1) for walk in (level, warmth))
    return np.stack([ecg + 0.0, eda.round(6), temp.round(2)], axis=1)


def bio_files(corpus: Corpus, session: int, drawn: list[Segment], seed: int) -> dict[str, str]:
    """Bio-signal CSVs of a session, path below the corpus folder -> text.

    There is a sample every 0.25 s. Between a segment's start and end the values follow a straight line. The two seconds
    before each dialogue belong to no segment and carry no id. ECG has the same rate, unlike in the corpora.
    """
    rng = stream(seed, corpus, session, "bio")
    lines: dict[str, list[str]] = {}
    offset = 0.0  # seconds from the first dialogue's beginning to this one's
    for dialogue in (f"Sess{session:02d}_{name}" for name in DIALOGUES[corpus.name]):
        members = [segment for segment in drawn if segment.id.startswith(dialogue) and not segment.is_phantom]
        began = 9 * 3600 + 600 * session + offset  # seconds since midnight
        for speaker in speakers_of(corpus, session):
            if corpus is KEMDY19:
                for row, signal in enumerate(("ECG", "EDA", "TEMP")):
                    path = f"{signal}/Session{session:02d}/Original/Sess{session:02d}{speaker}.csv"
                    usable = [m for m in members if signal == "ECG" or speaker not in m.without_bio]
                    for time, value, *ids in _samples(usable, speaker, row):
                        pair = (f"{offset + time:.10g}", value) if signal == "ECG" else (value, f"{offset + time:.10g}")
                        lines.setdefault(path, []).append(",".join((*pair, clock(began + time), *ids)))
                continue
            stem = f"{dialogue}_{speaker[:-1]}"
            own = [m for m in members if m.id.startswith(stem) and stem not in NO_LABELLED_BIO]
            prefix = WRONG_BIO_PREFIX.get(session, stem[:6])
            for row, signal in enumerate(("IBI", "EDA", "TEMP")):
                begin = f"{MIDNIGHT + began:.6f}"
                found = lines[f"{signal}/Session{session:02d}/{stem}.csv"] = (
                    [f"{begin}, IBI"] if signal == "IBI" else [begin, "4.000000"]
                )
                for time, value, *ids in _samples(own, "", row):
                    cells = (value, clock(began + time), *(prefix + name[6:] for name in ids))
                    if signal != "IBI":
                        found.append(",".join(cells))
                    elif rng.random() < 0.3:  # about one beat in 0.8 s
                        found.append(",".join((f"{time:.6f}", f"{rng.normal(0.8, 0.06):.6f}", *cells[1:])))
        offset += float(np.ceil(members[-1].end)) + 30
    return {path: "\n".join(found) + "\n" for path, found in lines.items()}


def _samples(members: list[Segment], rated: str, row: int) -> list[tuple[Any, ...]]:
    """(seconds since two before the dialogue, value, id if any) of one row of a person's ``Segment.bio``."""
    form = BIO_FORMATS[row]
    found: list[tuple[Any, ...]] = [
        (k / 4, f"{members[0].bio[rated][row, 0] if members else 0:{form}}") for k in range(8)
    ]
    for segment in members:
        times = np.arange(np.ceil(segment.start * 4), np.ceil(segment.end * 4)) / 4
        values = np.interp(times, [segment.start, segment.end], segment.bio[rated][row]).round((7, 6, 2)[row])
        found += [(2 + t, f"{v:{form}}", segment.id) for t, v in zip(times.tolist(), values.tolist(), strict=True)]
    return found


def clock(seconds: float) -> str:
    """A time of day, HH:MM:SS.mmm."""
    milliseconds = round(seconds * 1000)
    hours, minutes, rest = milliseconds // 3_600_000, milliseconds // 60_000 % 60, milliseconds % 60_000
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
