"""Recordings -> features of each segment. Where a segment is shorter than a feature needs, a window around it is used.

A segment's place in a recording is told by the samples that name it, so no two clocks are compared. Its *window* for a feature
is the segment itself where that is as long as the feature's ``min_seconds``; else a stretch of ``min_seconds`` with the segment
in its middle, moved as far as needed to stay inside the dialogue. The dialogue reaches from the first to the last sample that
names one of its segments: nothing outside of it is used. A feature is NaN where the dialogue is shorter than ``min_seconds``,
or where too much of the window was not recorded (``COVERED``, ``COVERED_BY_BEATS``).

Sources: level, slope and range are the mean, the least-squares slope and the largest less the smallest value. Skin conductance
responses follow Boucsein et al. (2012, publication recommendations for electrodermal measurements): they begin 1 to 4 s after
their cause and rise for .5 to 5 s; here they are peaks that stand out of the ten seconds on either side by .05 microsiemens or
more. A high-pass filter, which others use, is not used: what it swings back after a large response looks like a small one.
Skin temperature answers within about 15 s (Kistler et al. 1998). Heart rate and RMSSD of 10 s stand for those of five minutes
(Munoz et al. 2015: r = .85 for RMSSD); SDNN needs longer (r = .76 at 10 s), so that it has 30 s here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from erc.data.heart_beats import Beats, heart_rate, rmssd, sdnn
from erc.data.signal_files import SIGNALS, Recording, Signal

COVERED = 0.9
"""Share of the samples of a window that must be there."""

COVERED_BY_BEATS = 0.5
"""Share of a window that its normal intervals must fill: a wristband loses beats whenever the arm moves."""

SCR_AMPLITUDE = 0.05
"""Smallest skin conductance response, microsiemens."""

SCR_SECONDS = 10.0
"""On either side of a peak, out of which it must stand."""

SCR_RATE = 4.0
"""Hz at which responses are looked for."""

LOST = 2.0
"""A segment whose samples reach further than its annotation by so many seconds was named in two places: the longer one holds."""


@dataclass(frozen=True)
class Feature:
    """One number of a segment."""

    name: str
    signal: Signal
    unit: str
    min_seconds: float


FEATURES = (
    Feature("heart_rate", "heart", "beats/min", 10.0),
    Feature("rmssd", "heart", "ms", 10.0),
    Feature("sdnn", "heart", "ms", 30.0),
    Feature("eda_level", "eda", "microsiemens", 5.0),
    Feature("eda_slope", "eda", "microsiemens/s", 5.0),
    Feature("eda_range", "eda", "microsiemens", 5.0),
    Feature("scr_rate", "eda", "responses/min", 10.0),
    Feature("scr_amplitude", "eda", "microsiemens, mean of the responses, 0 where there is none", 10.0),
    Feature("temp_level", "temp", "degrees Celsius", 15.0),
    Feature("temp_slope", "temp", "degrees Celsius/s", 15.0),
    Feature("temp_range", "temp", "degrees Celsius", 15.0),
)
"""In the order of the data set's column."""

SIGNAL_OF_FEATURE = tuple(SIGNALS.index(feature.signal) for feature in FEATURES)
"""Index into ``SIGNALS`` of each feature."""

Interval = tuple[float, float]
"""First and last moment in seconds since the recording began."""


def segment_interval(recording: Recording, segment_id: str, annotated_seconds: float) -> Interval | None:
    """When a segment is in a recording; None where no sample names it.

    Args:
        recording: Of the segment's speaker.
        segment_id: The segment.
        annotated_seconds: Its length by the annotation. It decides whether samples in two places are one segment that was
            interrupted (by another segment's id) or two, of which one bears a wrong id.
    """
    if segment_id not in recording.ids:
        return None
    at = np.flatnonzero(recording.segment == recording.ids.index(segment_id))
    time = recording.time[at]
    if time[-1] - time[0] > annotated_seconds + LOST:
        time = max(np.split(time, np.flatnonzero(np.diff(at) > 1) + 1), key=len)
    return float(time[0]), float(time[-1])


def dialogue_interval(recording: Recording, dialogue: str) -> Interval | None:
    """From the first to the last sample that names a segment of a dialogue; None where none does."""
    own = np.array([name.startswith(f"{dialogue}_") for name in recording.ids], dtype=bool)
    at = np.flatnonzero((recording.segment >= 0) & np.append(own, False)[recording.segment])
    return (float(recording.time[at[0]]), float(recording.time[at[-1]])) if len(at) else None


def window_of(segment: Interval, dialogue: Interval, min_seconds: float) -> Interval | None:
    """The segment, or ``min_seconds`` around its middle inside the dialogue; None where the dialogue is shorter."""
    start, end = segment
    if end - start >= min_seconds:
        return segment
    first, last = dialogue
    if last - first < min_seconds:
        return None
    start = min(max((start + end - min_seconds) / 2, first), last - min_seconds)
    return start, start + min_seconds


def dialogue_beats(recording: Recording, dialogue: Interval) -> Beats:
    """Beats of a dialogue, from an electrocardiogram or from inter-beat intervals."""
    time, value = recording.between(*dialogue)
    if recording.kind == "ECG":
        return Beats.from_ecg(time, value, recording.rate)
    return Beats.from_intervals(time, value)


def dialogue_features(
    signal: Signal,
    recording: Recording,
    dialogue: Interval,
    segments: list[Interval],
    known_beats: Beats | None = None,
) -> dict[str, np.ndarray]:
    """Features of one signal of segments of one dialogue.

    Args:
        signal: Which.
        recording: Of their speaker.
        dialogue: See ``dialogue_interval``.
        segments: See ``segment_interval``.
        known_beats: ``dialogue_beats`` of them, where they were found before.

    Returns:
        (N,) for each feature of that signal, in its unit; NaN where it cannot be told.
    """
    time, value = recording.between(*dialogue)
    measures = _HEART if signal == "heart" else _LEVELS
    beats, responses = Beats.from_intervals(time[:0], value[:0]), (time[:0], value[:0])
    if signal == "heart":
        beats = dialogue_beats(recording, dialogue) if known_beats is None else known_beats
    elif signal == "eda":
        responses = skin_responses(time, value)
    found: dict[str, np.ndarray] = {}
    for feature in (one for one in FEATURES if one.signal == signal):
        values = np.full(len(segments), np.nan)
        for k, segment in enumerate(segments):
            window = window_of(segment, dialogue, feature.min_seconds)
            if window is None:
                continue
            if signal == "heart":
                part = beats.inside(*window)
                if part.interval[part.is_normal].sum() >= COVERED_BY_BEATS * (window[1] - window[0]):
                    values[k] = measures[feature.name](part)
                continue
            first, last = np.searchsorted(time, (window[0] - 1e-6, window[1] + 1e-6))
            if last - first < max(2, COVERED * (window[1] - window[0]) * recording.rate):
                continue
            if feature.name.startswith("scr"):
                values[k] = _response_measure(feature.name, responses, window)
            else:
                values[k] = measures[feature.name.split("_")[1]](time[first:last], value[first:last])
        found[feature.name] = values
    return found


def skin_responses(time: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skin conductance responses of a stretch: (N,) seconds of their peaks, and (N,) amplitudes in microsiemens.

    The signal is put on a grid of ``SCR_RATE`` and searched for peaks whose prominence within ``SCR_SECONDS`` on either side is
    ``SCR_AMPLITUDE`` or more: the height above the higher of the two lowest points. The prominence is the amplitude.
    """
    if len(time) < 2:
        return np.empty(0), np.empty(0)
    grid = np.arange(time[0], time[-1] + 1e-6, 1 / SCR_RATE)
    around = 2 * round(SCR_SECONDS * SCR_RATE) + 1
    at, facts = find_peaks(np.interp(grid, time, value), prominence=SCR_AMPLITUDE, wlen=around)
    return grid[at], facts["prominences"]


def _response_measure(name: str, responses: tuple[np.ndarray, np.ndarray], window: Interval) -> float:
    time, amplitude = responses
    chosen = amplitude[(time >= window[0]) & (time <= window[1])]
    if name == "scr_rate":
        return 60 * len(chosen) / (window[1] - window[0])
    return float(chosen.mean()) if len(chosen) else 0.0


def _slope(time: np.ndarray, value: np.ndarray) -> float:
    centred = time - time.mean()
    return float(centred @ value / (centred @ centred))


_HEART: dict[str, Callable[..., float]] = {"heart_rate": heart_rate, "rmssd": rmssd, "sdnn": sdnn}

_LEVELS: dict[str, Callable[..., float]] = {
    "level": lambda time, value: float(value.mean()),
    "slope": _slope,
    "range": lambda time, value: float(np.ptp(value)),
}
