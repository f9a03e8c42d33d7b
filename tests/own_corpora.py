"""Small corpora of tones, each listed in one table of segments: what a user of ``HF_Manifest`` brings."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

EMOTIONS = ("화남", "기쁨", "حزن", "neutral", "fear")


def write_tone(path: Path, seconds: float = 0.5, rate: int = 16_000, hertz: float = 220.0, channels: int = 1) -> None:
    """A tone with a little noise, in the format of the path's ending."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    wave = (0.3 * np.sin(2 * np.pi * hertz * time) + 0.01 * noise).astype("float32")
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate)


def write_csv(path: Path, rows: list[dict[str, Any]], encoding: str = "utf-8") -> Path:
    """A table of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_corpus(folder: Path, n_speakers: int = 6, n_each: int = 5) -> Path:
    """Five emotions with Korean, Arabic and Latin names, three raters, valence without arousal, mp3 at 44.1 kHz."""
    rng = np.random.default_rng(0)
    rows = []
    for speaker in range(n_speakers):
        for number in range(n_each):
            file = f"{'가나' if speaker % 2 else 'صوت'}/{speaker}_{number}.mp3"
            write_tone(folder / file, 0.5, 44_100, 200 + 40 * number)
            votes = np.eye(5, dtype=int)[number % 5] * 2 + np.eye(5, dtype=int)[rng.integers(5)]
            row: dict[str, Any] = {
                "file": file,
                "speaker": f"s{speaker}",
                "text": "" if number == 0 else f"말 {number}",
            }
            row["valence"] = "" if number == 1 else f"{1 + 4 * rng.random():.2f}"
            rows.append(row | {f"votes_{name}": count for name, count in zip(EMOTIONS, votes, strict=True)})
    rows[3] |= {f"votes_{name}": "" for name in EMOTIONS}
    return write_csv(folder / "segments.csv", rows, "utf-8-sig")
