"""Recordings -> a sequence of each segment at 4 Hz, normalised by what its speaker's dialogue held until then.

A sequence ends with the segment's last sample. It begins with the segment, or ``SEQUENCE_SECONDS`` before its end where that is
earlier, and never before the dialogue. Heart is the heart rate (beats a minute) of the last normal interval that has ended; skin
conductance and temperature are interpolated between samples. A step is NaN where nothing was recorded for ``MAX_GAP``.

Normalisation: the mean and the standard deviation of the same signal from the dialogue's beginning to the segment's end are
taken off. Nothing of another speaker, another dialogue or a later moment is in them, so that a reported fold gives nothing to
another one, and a sequence can be made while people speak. (R-peaks of an electrocardiogram are the exception: they are found in
the dialogue as a whole, with a threshold that looks a few seconds ahead.)
"""

from __future__ import annotations

import numpy as np

from erc.data.heart_beats import Beats
from erc.data.signal_features import Interval, dialogue_beats
from erc.data.signal_files import Recording, Signal

SEQUENCE_RATE = 4
"""Steps a second: the sampling rate of EDA and TEMP in both corpora."""

SEQUENCE_SECONDS = 10.0
"""Shortest sequence, where the dialogue has begun that long before."""

MAX_GAP = 2.0
"""Seconds without a sample, or since the last beat, after which a step is not known."""


def dialogue_sequences(
    signal: Signal,
    recording: Recording,
    dialogue: Interval,
    segments: list[Interval],
    known_beats: Beats | None = None,
) -> list[np.ndarray]:
    """Normalised sequence of one signal for segments of one dialogue.

    Args:
        signal: Which.
        recording: Of their speaker.
        dialogue: See ``signal_features.dialogue_interval``.
        segments: See ``signal_features.segment_interval``.
        known_beats: ``signal_features.dialogue_beats`` of them, where they were found before.

    Returns:
        (T,) float64 for each segment, its last step at the segment's end; NaN where not known.
    """
    time, value = recording.between(*dialogue)
    if signal == "heart":
        beats = dialogue_beats(recording, dialogue) if known_beats is None else known_beats
        time, value = beats.time, beats.interval
    found = []
    for start, end in segments:
        n_before = int((end - dialogue[0]) * SEQUENCE_RATE + 1e-6)
        steps = end - np.arange(n_before, -1, -1) / SEQUENCE_RATE
        now = np.searchsorted(time, end + 1e-6)
        values = (_heart_rates if signal == "heart" else _between)(steps, time[:now], value[:now])
        n_steps = int((end - min(start, max(end - SEQUENCE_SECONDS, dialogue[0]))) * SEQUENCE_RATE + 1e-6) + 1
        found.append(_normalised(values)[-n_steps:])
    return found


def _between(steps: np.ndarray, time: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(T,) values between samples; NaN inside of gaps."""
    if not len(time):
        return np.full(len(steps), np.nan)
    after = np.searchsorted(time, steps - 1e-6).clip(max=len(time) - 1)
    before = (np.searchsorted(time, steps + 1e-6) - 1).clip(min=0)
    is_known = (time[after] - time[before] <= MAX_GAP) & (abs(steps - np.clip(steps, time[0], time[-1])) <= MAX_GAP)
    return np.where(is_known, np.interp(steps, time, value), np.nan)


def _heart_rates(steps: np.ndarray, time: np.ndarray, interval: np.ndarray) -> np.ndarray:
    """(T,) heart rate of the last normal interval that has ended; NaN where that is long ago."""
    beats = Beats.from_intervals(time, interval)
    time, interval = time[beats.is_normal], interval[beats.is_normal]
    if not len(time):
        return np.full(len(steps), np.nan)
    last = np.searchsorted(time, steps + 1e-6) - 1
    rate = 60 / interval[last.clip(min=0)]
    return np.where((last >= 0) & (steps - time[last.clip(min=0)] <= MAX_GAP), rate, np.nan)


def _normalised(values: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 over the known steps; 0 where they are all alike."""
    known = values[np.isfinite(values)]
    if not len(known):
        return values
    spread = known.std()
    return (values - known.mean()) / (spread if spread > 1e-6 else np.inf)


def stack_sequences(sequences: list[np.ndarray | None]) -> np.ndarray:
    """(T, signals) float32: the signals of one segment beside each other, with one end; NaN where one is shorter or missing."""
    n_steps = max((len(one) for one in sequences if one is not None), default=0)
    stacked = np.full((n_steps, len(sequences)), np.nan, dtype=np.float32)
    for column, one in enumerate(sequences):
        if one is not None and len(one):
            stacked[-len(one) :, column] = one
    return stacked
