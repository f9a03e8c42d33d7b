"""Features of bio-signals against plain loops over the samples, known heart beats and known skin conductance responses."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given, strategies as st

from erc.data.heart_beats import Beats, heart_rate, r_peaks, rmssd, sdnn
from erc.data.signal_features import (
    FEATURES,
    SIGNAL_OF_FEATURE,
    dialogue_features,
    dialogue_interval,
    segment_interval,
    skin_responses,
    window_of,
)
from erc.data.signal_files import SIGNALS, Recording

DIALOGUE = "Sess01_script01"
IDS = tuple(f"{DIALOGUE}_F{k:03d}" for k in (1, 2, 3))


def recording(kind: str, time, value, segments: dict[str, tuple[float, float]], rate: float = np.nan) -> Recording:
    """A recording in which each segment names the samples between two times."""
    index = np.full(len(time), -1, dtype=np.int32)
    for k, (start, end) in enumerate(segments.values()):
        index[(time >= start) & (time <= end)] = k
    return Recording(kind, rate, np.asarray(time, float), np.asarray(value, float), index, tuple(segments))


def slow(kind: str, seconds: float = 60, segments=None, seed: int = 3) -> Recording:
    """A wandering signal of 4 Hz from second 100 on."""
    time = 100 + np.arange(0, seconds, 0.25)
    value = 3 + 0.05 * np.random.default_rng(seed).standard_normal(len(time)).cumsum()
    return recording(kind, time, value, segments or {IDS[0]: (104, 106), IDS[1]: (110, 140), IDS[2]: (157, 158)}, 4)


# --- windows ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ((20, 32), (20, 32)),  # long enough: the segment itself
        ((20, 22), (16, 26)),  # widened on both sides
        ((1, 3), (0, 10)),  # moved, so that it begins with the dialogue
        ((99, 100), (90, 100)),
    ],
)
def test_a_short_segment_has_a_window_around_it_inside_the_dialogue(segment, expected):
    assert window_of(segment, (0, 100), 10) == expected


@given(st.floats(0, 50), st.floats(0, 50), st.floats(1, 40))
def test_a_window_is_long_enough_holds_the_segment_and_never_leaves_the_dialogue(start, length, minimum):
    segment, dialogue = (start, start + length), (0.0, 100.0)
    first, last = window_of(segment, dialogue, minimum)
    assert 0 <= first <= start + 1e-9 and start + length - 1e-9 <= last <= 100 + 1e-9
    assert last - first >= minimum - 1e-9


def test_a_dialogue_that_is_shorter_than_the_window_gives_none():
    assert window_of((2, 3), (0, 9), 10) is None


def test_a_segment_is_where_its_samples_are_also_when_another_interrupts_it():
    time = np.arange(0, 20, 0.25)
    found = recording("EDA", time, time, {IDS[0]: (2, 6), IDS[1]: (3, 4)}, 4)
    assert segment_interval(found, IDS[0], 4.2) == (2, 6)
    assert segment_interval(found, IDS[2], 4.2) is None
    assert dialogue_interval(found, DIALOGUE) == (2, 6) and dialogue_interval(found, "Sess01_script02") is None


def test_of_two_places_that_bear_one_id_the_longer_holds():
    time = np.arange(0, 60, 0.25)
    found = recording("EDA", time, time, {IDS[0]: (2, 6)}, 4)
    found.segment[(time >= 40) & (time <= 41)] = 0
    assert segment_interval(found, IDS[0], 4.2) == (2, 6)


def test_the_dialogue_of_both_speakers_counts_and_no_other():
    time = np.arange(0, 60, 0.25)
    places = {f"{DIALOGUE}_M001": (2, 6), f"{DIALOGUE}_F001": (7, 9), "Sess01_script02_F001": (20, 22)}
    assert dialogue_interval(recording("EDA", time, time, places, 4), DIALOGUE) == (2, 9)


# --- level, slope, range ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("signal", "kind", "minimum"), [("eda", "EDA", 5), ("temp", "TEMP", 15)])
def test_level_slope_and_range_are_those_of_a_plain_loop(signal, kind, minimum):
    found = slow(kind)
    dialogue = dialogue_interval(found, DIALOGUE)
    segments = [segment_interval(found, name, 99) for name in IDS]
    got = dialogue_features(signal, found, dialogue, segments)
    for k, (start, end) in enumerate([(104, 106), (110, 140), (157, 158)]):
        if end - start < minimum:
            begin = min(max((start + end) / 2 - minimum / 2, 104), 158 - minimum)
            start, end = begin, begin + minimum
        samples = [(t, v) for t, v in zip(found.time, found.value, strict=True) if start - 1e-9 <= t <= end + 1e-9]
        times, values = zip(*samples, strict=True)
        assert got[f"{signal}_level"][k] == pytest.approx(sum(values) / len(values), abs=1e-6)
        assert got[f"{signal}_slope"][k] == pytest.approx(statistics.linear_regression(times, values).slope, abs=1e-6)
        assert got[f"{signal}_range"][k] == pytest.approx(max(values) - min(values), abs=1e-6)


def test_nothing_outside_of_the_dialogue_is_used():
    found = slow("EDA")
    other = Recording(**{**vars(found), "value": np.where((found.time < 104) | (found.time > 158), 99.0, found.value)})
    dialogue, segments = (104.0, 158.0), [(104.0, 106.0), (157.0, 158.0)]
    first, second = (dialogue_features("eda", one, dialogue, segments) for one in (found, other))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    # control: a value inside of it does count
    third = dialogue_features(
        "eda", Recording(**{**vars(found), "value": found.value + (found.time == 105)}), dialogue, segments
    )
    assert not np.array_equal(first["eda_level"], third["eda_level"])


def test_a_window_with_a_hole_and_a_short_dialogue_give_no_number():
    found = slow("EDA")
    keep = (found.time < 120) | (found.time > 130)
    holed = Recording("EDA", 4, found.time[keep], found.value[keep], found.segment[keep], found.ids)
    got = dialogue_features("eda", holed, (104.0, 158.0), [(110.0, 140.0), (104.0, 106.0)])
    assert np.isnan(got["eda_level"][0]) and np.isfinite(got["eda_level"][1])
    got = dialogue_features("temp", slow("TEMP"), (104.0, 118.9), [(104.0, 106.0)])
    assert all(np.isnan(values).all() for values in got.values())


# --- skin conductance responses ---------------------------------------------------------------------------------------
def response(time: np.ndarray, at: float, amplitude: float) -> np.ndarray:
    """A response that begins at ``at``, peaks about 1.5 s later with that amplitude, and decays."""
    t = (time - at).clip(0)
    shape = np.exp(-t / 3) - np.exp(-t / 0.75)
    return amplitude * shape / 0.4725  # the largest value of the shape, at t = ln(4) = 1.386


def test_each_planted_response_is_found_where_it_is_and_small_ones_are_not():
    time = np.arange(0, 120, 0.25)
    value = 4 + 0.002 * time
    for at, amplitude in [(20, 0.4), (50, 0.3), (80, 0.02), (100, 0.5)]:
        value = value + response(time, at, amplitude)
    peaks, amplitudes = skin_responses(time, value)
    assert peaks == pytest.approx([21.4, 51.4, 101.4], abs=0.3)
    assert amplitudes == pytest.approx([0.4, 0.3, 0.5], rel=0.15)  # 10 s later a part of each is left


def test_rate_and_amplitude_are_those_of_a_plain_search_for_peaks():
    time = np.arange(0, 60, 0.25)
    value = 4 + sum(response(time, at, 0.2 + at / 100) for at in (5, 12, 30, 41))
    found = recording("EDA", time, value, {IDS[0]: (0, 59.75), IDS[1]: (10, 45)}, 4)
    got = dialogue_features("eda", found, (0.0, 59.75), [(0.0, 59.75), (10.0, 45.0)])
    # a second way: the prominence by its definition, within 40 samples (10 s) on either side
    peaks = {}
    for k in range(1, len(value) - 1):
        if value[k - 1] < value[k] > value[k + 1]:
            left = next((j for j in range(k, max(k - 41, -1), -1) if value[j] > value[k]), max(k - 41, -1))
            right = next((j for j in range(k, min(k + 41, 240)) if value[j] > value[k]), min(k + 41, 240))
            prominence = value[k] - max(value[left + 1 : k + 1].min(), value[k:right].min())
            if prominence >= 0.05:
                peaks[time[k]] = prominence
    assert len(peaks) == 4
    for k, (start, end) in enumerate([(0, 59.75), (10, 45)]):
        inside = [amplitude for at, amplitude in peaks.items() if start <= at <= end]
        assert got["scr_rate"][k] == pytest.approx(60 * len(inside) / (end - start), abs=1e-6)
        assert got["scr_amplitude"][k] == pytest.approx(sum(inside) / len(inside), abs=1e-6)


def test_a_flat_line_has_no_response_and_that_is_a_number():
    time = np.arange(0, 60, 0.25)
    got = dialogue_features(
        "eda", recording("EDA", time, 0 * time + 2, {IDS[0]: (0, 59)}, 4), (0.0, 59.0), [(20.0, 21.0)]
    )
    assert got["scr_rate"].tolist() == [0] and got["scr_amplitude"].tolist() == [0]
    assert [len(found) for found in skin_responses(time[:3], time[:3])] == [0, 0]


# --- heart ------------------------------------------------------------------------------------------------------------
def beat_times(seconds: float, seed: int = 5) -> np.ndarray:
    """Beats about every .8 s, at multiples of 4 ms."""
    intervals = 0.8 + 0.06 * np.sin(np.arange(400) / 3) + 0.03 * np.random.default_rng(seed).standard_normal(400)
    times = 1 + intervals.cumsum()
    return (times[times < seconds - 1] * 250).round() / 250


def ecg_of(beats: np.ndarray, seconds: float, rate: float = 250, sign: float = 1) -> tuple[np.ndarray, np.ndarray]:
    """An electrocardiogram with R-peaks at known times, T waves, a wandering base line and noise."""
    time = np.arange(0, seconds, 1 / rate)
    near = time[:, None] - beats
    wave = np.exp(-((near / 0.01) ** 2) / 2).sum(axis=1) + 0.25 * np.exp(-(((near - 0.25) / 0.04) ** 2) / 2).sum(axis=1)
    noise = np.random.default_rng(1).standard_normal(len(time))
    return time, sign * wave + 0.3 * np.sin(time / 2) + 0.02 * noise


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rate", [250, 500, 128])
def test_r_peaks_are_found_at_the_known_beats(rate, sign):
    beats = beat_times(60)
    time, ecg = ecg_of(beats, 60, rate, sign)
    found = time[r_peaks(ecg, rate)]
    assert len(found) == len(beats) and abs(found - beats).max() <= 0.012


def test_a_rate_below_that_of_an_electrocardiogram_and_a_flat_line_give_no_beat():
    time, ecg = ecg_of(beat_times(60), 60, rate=20)
    assert len(Beats.from_ecg(time, ecg, 20).time) == 0 and len(r_peaks(ecg[:30], 250)) == 0
    assert len(r_peaks(np.zeros(5000), 250)) == 0


def test_heart_rate_rmssd_and_sdnn_are_those_of_plain_loops():
    times = beat_times(100)
    intervals = np.diff(times)
    found = recording("IBI", times[1:], intervals, {IDS[0]: (2, 12), IDS[1]: (20, 60), IDS[2]: (96, 98.9)})
    dialogue = dialogue_interval(found, DIALOGUE)
    segments = [(2.0, 12.0), (20.0, 60.0), (96.0, 98.9)]
    got = dialogue_features("heart", found, dialogue, segments)
    for name, minimum in (("heart_rate", 10), ("rmssd", 10), ("sdnn", 30)):
        for k, (start, end) in enumerate(segments):
            if end - start < minimum:
                begin = min(max((start + end) / 2 - minimum / 2, dialogue[0]), dialogue[1] - minimum)
                start, end = begin, begin + minimum
            inside = [float(i) for t, i in zip(times[1:], intervals, strict=True) if start <= t <= end]
            expected = {
                "heart_rate": 60 / statistics.mean(inside),
                "rmssd": 1000 * statistics.mean((b - a) ** 2 for a, b in itertools.pairwise(inside)) ** 0.5,
                "sdnn": 1000 * statistics.stdev(inside),
            }[name]
            assert got[name][k] == pytest.approx(expected, abs=1e-6)


def test_an_electrocardiogram_and_the_intervals_of_its_beats_give_the_same_features():
    beats = beat_times(60)
    time, ecg = ecg_of(beats, 60)
    whole = {IDS[0]: (0, 60)}
    by_ecg = dialogue_features("heart", recording("ECG", time, ecg, whole, 250), (0.0, 60.0), [(10.0, 50.0)])
    intervals = recording("IBI", beats[1:], np.diff(beats), whole)
    by_ibi = dialogue_features("heart", intervals, (0.0, 60.0), [(10.0, 50.0)])
    assert by_ecg["heart_rate"] == pytest.approx(by_ibi["heart_rate"], abs=0.05)
    assert by_ecg["sdnn"] == pytest.approx(by_ibi["sdnn"], rel=0.03)


def test_an_interval_that_no_heart_has_and_one_that_stands_out_do_not_count():
    intervals = np.array([0.8, 0.8, 0.2, 0.8, 1.6, 0.8, 0.8, 2.5, 0.8])
    beats = Beats.from_intervals(intervals.cumsum(), intervals)
    assert beats.is_normal.tolist() == [True, True, False, True, False, True, True, False, True]
    assert heart_rate(beats) == pytest.approx(75) and rmssd(beats) == pytest.approx(0, abs=1e-9)


def test_an_interval_may_differ_by_thirty_percent_from_those_around_it():
    intervals = np.array([0.8, 0.8, 1.03, 0.8, 0.8, 0.8, 1.05, 0.8, 0.57, 0.8, 0.55, 0.8, 0.8])
    is_normal = Beats.from_intervals(intervals.cumsum(), intervals).is_normal
    assert np.flatnonzero(~is_normal).tolist() == [6, 10]  # 1.05 and .55


def test_a_window_must_be_filled_with_beats_by_half():
    time = np.array([*np.arange(10.8, 15.9, 0.8), *np.arange(25.0, 35, 0.8), 59.0])
    found = recording("IBI", time, np.full(len(time), 0.8), {IDS[0]: (0, 60)})
    got = dialogue_features("heart", found, (0.0, 60.0), [(10.0, 22.0), (10.0, 20.0)])["heart_rate"]
    assert np.isnan(got[0]) and got[1] == pytest.approx(75)  # 5.6 s of beats in 12 s, and in 10 s


def test_intervals_with_lost_beats_between_them_are_no_successive_ones():
    # 20 ms apart within each run of three; 100 ms apart across the hole
    time = np.array([1.0, 1.8, 2.62, 10.0, 10.9, 11.82])
    beats = Beats.from_intervals(time, np.array([0.8, 0.8, 0.82, 0.92, 0.9, 0.92]))
    assert rmssd(beats) == pytest.approx(1000 * np.sqrt(np.mean(np.square([0, 0.02, 0.02, 0.02]))), abs=1e-6)


def test_too_few_beats_give_no_number():
    none = Beats.from_intervals(np.empty(0), np.empty(0))
    one = Beats.from_intervals(np.array([1.0]), np.array([0.8]))
    assert all(np.isnan(measure(beats)) for measure in (heart_rate, rmssd, sdnn) for beats in (none, one))
    found = recording("IBI", np.array([1.0, 20.0, 60.0]), np.array([0.8, 0.8, 0.8]), {IDS[0]: (0, 60)})
    got = dialogue_features("heart", found, (0.0, 60.0), [(10.0, 30.0)])
    assert all(np.isnan(values).all() for values in got.values())  # two beats in 20 s: most were lost


def test_every_feature_names_its_signal_unit_and_shortest_window():
    assert [FEATURES[k].signal for k in range(len(FEATURES))] == [SIGNALS[k] for k in SIGNAL_OF_FEATURE]
    assert all(feature.unit and feature.min_seconds >= 5 for feature in FEATURES)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES) == 11
