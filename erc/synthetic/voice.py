"""Latent emotion -> speech-like audio."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from erc.data import KEMDY20, SAMPLE_RATE, Corpus
from erc.synthetic.layout import NEUTRAL, Segment, speakers_of, stream

CUES = np.array(
    [
        [6.0, 4.5, 5.0, 7.0, 0.0, 7.0],
        [4.5, 1.2, 6.6, 10.0, 1.3, 1.0],
        [3.5, 2.8, 5.8, 3.0, 0.0, -2.0],
        [0.0, 1.2, 4.2, 9.0, 0.0, -1.0],
        [3.0, 4.0, 4.6, 8.0, 0.2, 0.0],
        [-3.0, 0.6, 2.6, 14.0, 0.4, -2.0],
        [-2.5, 2.4, 3.0, 4.0, 0.1, -4.0],
    ]
)
"""Per emotion: pitch and pitch movement (semitones), tempo (syllables/s), tilt (dB/octave), tremor and final rise
(semitones)."""

AROUSAL_CUES = np.array([1.2, 0.2, 0.4, -1.0, 0.0, 0.0])
"""Added to the cues for each point of arousal beyond what the emotion brings."""

FORMANTS = np.array(  # Hz; a, i, u, e, o, eo
    [[800, 1250, 2600], [300, 2300, 3000], [320, 800, 2300], [500, 1900, 2600], [450, 850, 2500], [600, 1000, 2500]]
)

BANDWIDTHS = np.array([80.0, 110.0, 160.0])  # Hz


class Voice(NamedTuple):
    """What is the same in all segments of a speaker."""

    pitch: float  # Hz
    formants: float  # factor
    tempo: float  # factor
    tilt: float  # dB/octave, added


def draw_voices(corpus: Corpus, session: int, seed: int) -> dict[str, Voice]:
    """The two speakers' voices, by the speaker's mark in the ids."""
    rng = stream(seed, corpus, session, "voice")
    voices = {}
    for speaker in speakers_of(corpus, session):
        pitch, formants = (205.0, 1.12) if "F" in speaker else (115.0, 1.0)
        own = rng.standard_normal(4).tolist()
        voices[speaker] = Voice(pitch * 2 ** (own[0] / 12), formants * 1.03 ** own[1], 1.06 ** own[2], 0.7 * own[3])
    return voices


def synthesise(
    n_samples: int, voice: Voice, emotion: int, ambiguity: float, arousal: float, rng: np.random.Generator
) -> np.ndarray:
    """Speech-like audio: syllables of one vowel each, pauses, consonant-like bursts and light noise.

    Each syllable has a wave table: one period, made of harmonics under three formants. The pitch contour says how fast
    the table is read.

    Args:
        n_samples: Length in samples of 16 kHz.
        voice: The speaker's voice.
        emotion: Latent emotion, an index into ``EMOTIONS``.
        ambiguity: 0 to 1; the voice moves that far (times 0.6) towards neutral.
        arousal: Arousal beyond what the emotion brings.
        rng: Random generator.

    Returns:
        (L,) int16; a loud wave may clip, as in the corpora.
    """
    cues = CUES[emotion] + 0.6 * ambiguity * (CUES[NEUTRAL] - CUES[emotion]) + arousal * AROUSAL_CUES
    pitch, movement, tempo, tilt, tremor, rise = cues * (1 + 0.08 * rng.standard_normal(len(cues)))
    tempo, tilt = tempo * voice.tempo, tilt + voice.tilt

    n_units = int(n_samples / SAMPLE_RATE * tempo * 1.6) + 4  # more than will fit
    lengths = (SAMPLE_RATE / tempo * np.exp(0.18 * rng.standard_normal(n_units))).astype(int).clip(400)
    unit = np.repeat(np.arange(n_units), lengths)[:n_samples]  # (L,) syllable or pause of each sample
    unit = np.pad(unit, (0, n_samples - len(unit)), mode="edge")
    begins = lengths.cumsum() - lengths
    time = np.arange(n_samples, dtype=np.float32)
    inside = ((time - begins[unit]) / lengths[unit]).clip(0, 1).astype(np.float32)  # 0 to 1 within the unit
    progress = time / n_samples
    is_pause = rng.random(n_units) < 0.12
    is_pause[0] = False

    steps = pitch + abs(movement) * rng.standard_normal(n_units)  # (units,) semitones
    semitones = steps[unit] - 1.5 * progress + rise * (progress - 0.7).clip(0) / 0.3 - 0.4 * movement * (inside - 0.5)
    semitones += tremor * np.sin(2 * np.pi * 6.5 / SAMPLE_RATE * time + rng.uniform(0, 2 * np.pi))
    hertz = voice.pitch * np.exp2(semitones / 12)
    phase = (hertz / SAMPLE_RATE).cumsum() % 1.0
    tables = _wave_tables(voice.pitch * np.exp2(steps / 12), FORMANTS[rng.integers(6, size=n_units)], tilt, voice)
    loudness = np.where(is_pause, 0, np.exp(0.2 * rng.standard_normal(n_units)))[unit]
    voiced = tables[unit, (phase * tables.shape[1]).astype(int)] * np.sqrt(np.sin(np.pi * inside).clip(0))
    noise = rng.standard_normal(n_samples, dtype=np.float32)
    wave = loudness * (voiced + 0.15 * noise * np.exp(-25 * inside)) + 0.02 * noise
    return (wave / abs(wave).max() * rng.uniform(0.15, 1.02) * 32767).clip(-32768, 32767).astype(np.int16)


def _wave_tables(pitches: np.ndarray, formants: np.ndarray, tilt: float, voice: Voice) -> np.ndarray:
    """(units, 1024) one period each, root mean square 1: harmonics below 7 kHz under formants and a spectral tilt."""
    harmonics = np.arange(1, 129)
    frequency = pitches[:, None] * harmonics  # (units, harmonics)
    peaks = voice.formants * formants[:, None, :] - frequency[:, :, None]
    level = 0.03 + (1 / (1 + (peaks / BANDWIDTHS) ** 2)).sum(axis=2)
    level *= np.where(frequency < 7000, 10 ** (-tilt / 20 * np.log2(frequency / 100)), 0)
    spectrum = np.zeros((len(pitches), 513), dtype=complex)
    spectrum[:, harmonics] = level * np.exp(1j * 2.4 * np.sqrt(harmonics))  # spread phases: no click per period
    tables = np.fft.irfft(spectrum, axis=1)
    return tables / tables.std(axis=1, keepdims=True)


def wav_length(corpus: Corpus, segment: Segment, rng: np.random.Generator) -> int:
    """Samples in a segment's wav.

    In KEMDy20 they fill the annotated time. In KEMDy19 they are 22 fewer, and one wav in twenty is shorter still.
    """
    n_samples = round((segment.end - segment.start) * SAMPLE_RATE)
    if corpus is KEMDY20:
        return n_samples
    return int((n_samples - 22) * (rng.uniform(0.8, 0.98) if rng.random() < 0.05 else 1))
