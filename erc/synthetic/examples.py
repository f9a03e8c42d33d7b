"""A few invented segments as sound files with their words, to try a model with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from erc.data import EMOTIONS, KEMDY19, SAMPLE_RATE
from erc.synthetic.voice import draw_voices, synthesise
from erc.synthetic.words import CLAUSES


def write_examples(folder: str | Path, emotions: tuple[str, ...] = ("happy", "sad", "angry")) -> list[tuple[Path, str]]:
    """Writes a sound file for each emotion, spoken by invented voices.

    Args:
        folder: Where ``synthetic_<emotion>.wav`` go; it exists.
        emotions: Of ``erc.data.EMOTIONS``.

    Returns:
        Each file and its words in Korean.
    """
    voices = list(draw_voices(KEMDY19, 1, seed=7).values())
    found = []
    for i, emotion in enumerate(emotions):
        rng = np.random.default_rng(i)
        waveform = synthesise(2 * SAMPLE_RATE, voices[i % len(voices)], EMOTIONS.index(emotion), 0.0, 0.0, rng)
        path = Path(folder) / f"synthetic_{emotion}.wav"
        soundfile.write(path, waveform, SAMPLE_RATE)
        found.append((path, f"{CLAUSES[emotion][0]}. {CLAUSES[emotion][1]}."))
    return found
