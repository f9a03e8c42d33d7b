"""Electrocardiogram or inter-beat intervals -> beats, and heart rate and its variability in a window.

R-peaks are found with SciPy's filters and ``find_peaks``, in the steps of Pan and Tompkins (1985): a band of 5 to 15 Hz, the
squared slope, a mean over 150 ms, a threshold that follows the signal. Why SciPy: NeuroKit2 0.2.13 needs pandas below 3, and
this project runs with 3. SleepECG finds beats and no skin conductance responses, so that a second library would be needed.
BioSPPy brings a dozen packages, for pictures and storage among others. SciPy is here already. On invented electrocardiograms of
300 s with noise of 2 to 20 % of an R-peak, ``r_peaks`` found every beat and no other; SleepECG 0.6.0 found 99 % and 1 % false ones.

Conventions: times and intervals in seconds. A beat ends the interval that belongs to it. An interval counts as normal
(``is_normal``) where it lies between .3 and 2 s (200 and 30 beats a minute), and within 30 % of the median of the five around
it: one missed beat doubles an interval, one false beat halves two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

MIN_ECG_RATE = 100.0
"""Hz. Below 100 Hz the place of an R-peak is too coarse (Task Force of the ESC and NASPE 1996)."""

MIN_INTERVAL, MAX_INTERVAL = 0.3, 2.0

MAX_DEVIATION = 0.3
"""From the median of the five intervals around, as a share of it."""

NEIGHBOURS = 0.05
"""Two intervals are neighbours where one begins within so many seconds of the other's end."""


@dataclass(frozen=True)
class Beats:
    """Beats of one person in one dialogue.

    Attributes:
        time: (N,) when each interval ends, rising.
        interval: (N,) its length.
        is_normal: (N,) bool, whether it may be used; see the conventions of the file.
    """

    time: np.ndarray
    interval: np.ndarray
    is_normal: np.ndarray

    @classmethod
    def from_intervals(cls, time: np.ndarray, interval: np.ndarray) -> Beats:
        """Marks the intervals that may be used."""
        if not len(interval):
            return cls(time, interval, np.empty(0, dtype=bool))
        middle = median_filter(interval, size=5, mode="nearest")
        is_normal = (interval >= MIN_INTERVAL) & (interval <= MAX_INTERVAL)
        return cls(time, interval, is_normal & (abs(interval - middle) <= MAX_DEVIATION * middle))

    @classmethod
    def from_ecg(cls, time: np.ndarray, ecg: np.ndarray, rate: float) -> Beats:
        """Beats of a stretch of electrocardiogram; none where its rate is below ``MIN_ECG_RATE``.

        Args:
            time: (L,) seconds.
            ecg: (L,) in any unit.
            rate: Samples a second.
        """
        at = time[r_peaks(ecg, rate)] if rate >= MIN_ECG_RATE else np.empty(0)
        return cls.from_intervals(at[1:], np.diff(at))

    def inside(self, start: float, end: float) -> Beats:
        """Those that end between two times, both included."""
        chosen = (self.time >= start) & (self.time <= end)
        return Beats(self.time[chosen], self.interval[chosen], self.is_normal[chosen])


def r_peaks(ecg: np.ndarray, rate: float) -> np.ndarray:
    """(N,) indices of the R-peaks of an electrocardiogram, rising.

    Args:
        ecg: (L,) in any unit; an R-peak may point up or down.
        rate: Samples a second, ``MIN_ECG_RATE`` or more.
    """
    if len(ecg) < 2 * rate:
        return np.empty(0, dtype=np.int64)
    band = sosfiltfilt(butter(2, (5, 15), "bandpass", fs=rate, output="sos"), ecg)
    energy = uniform_filter1d(np.gradient(band) ** 2, max(1, round(0.15 * rate)))
    highest = uniform_filter1d(maximum_filter1d(energy, round(2 * rate)), round(10 * rate))
    found, _ = find_peaks(energy, height=0.3 * highest, distance=max(1, round(MIN_INTERVAL * rate)))
    reach = round(0.1 * rate)
    steep = abs(band)
    places = [max(0, k - reach) + int(steep[max(0, k - reach) : k + reach + 1].argmax()) for k in found.tolist()]
    return np.unique(np.array(places, dtype=np.int64))


def heart_rate(beats: Beats) -> float:
    """Mean heart rate in beats a minute, of the normal intervals; NaN where there are fewer than two."""
    normal = beats.interval[beats.is_normal]
    return 60 / float(normal.mean()) if len(normal) >= 2 else np.nan


def rmssd(beats: Beats) -> float:
    """Root mean square of successive differences of normal intervals in milliseconds (Task Force 1996).

    Only neighbours are compared. NaN where there are fewer than two pairs.
    """
    begin = beats.time - beats.interval
    is_pair = beats.is_normal[1:] & beats.is_normal[:-1] & (abs(begin[1:] - beats.time[:-1]) <= NEIGHBOURS)
    differences = np.diff(beats.interval)[is_pair]
    return 1000 * float(np.sqrt((differences**2).mean())) if len(differences) >= 2 else np.nan


def sdnn(beats: Beats) -> float:
    """Standard deviation of the normal intervals in milliseconds (Task Force 1996), divided by n - 1; NaN below three."""
    normal = beats.interval[beats.is_normal]
    return 1000 * float(normal.std(ddof=1)) if len(normal) >= 3 else np.nan
