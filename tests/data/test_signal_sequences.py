"""Sequences of bio-signals: where they begin and end, what they are normalised by, and that nothing later is in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from erc.data.collate import InputCollator
from erc.data.signal_files import Recording
from erc.data.signal_sequences import dialogue_sequences, stack_sequences

DIALOGUE = (100.0, 160.0)
SEGMENTS = [(102.0, 103.0), (120.0, 121.5), (130.0, 155.0)]


def wandering(kind: str = "EDA", seed: int = 1) -> Recording:
    time = np.arange(90, 170, 0.25)
    value = 3 + 0.1 * np.random.default_rng(seed).standard_normal(len(time)).cumsum()
    return Recording(kind, 4, time, value, np.full(len(time), -1), ())


def beating(change_after: float = np.inf) -> Recording:
    """Intervals of .7 to .9 s; other ones after a time."""
    intervals = 0.8 + 0.1 * np.sin(np.arange(90))
    time = 95 + intervals.cumsum()
    intervals = np.where(time > change_after, 0.5, intervals)
    return Recording("IBI", np.nan, time, intervals, np.full(len(time), -1), ())


def test_a_sequence_ends_with_its_segment_and_is_normalised_by_the_dialogue_so_far():
    found = wandering()
    sequences = dialogue_sequences("eda", found, DIALOGUE, SEGMENTS)
    for (start, end), sequence in zip(SEGMENTS, sequences, strict=True):
        begin = min(start, max(end - 10, 100))
        so_far = [v for t, v in zip(found.time, found.value, strict=True) if 100 <= t <= end]
        mean = sum(so_far) / len(so_far)
        spread = (sum((v - mean) ** 2 for v in so_far) / len(so_far)) ** 0.5
        own = [v for t, v in zip(found.time, found.value, strict=True) if begin <= t <= end]
        assert sequence == pytest.approx([(v - mean) / spread for v in own], abs=1e-6)
    assert [len(one) for one in sequences] == [13, 41, 101]  # 3 s of dialogue, 10 s, the segment's 25 s


@pytest.mark.parametrize(("signal", "make"), [("eda", wandering), ("heart", beating)])
def test_nothing_after_the_segment_or_before_the_dialogue_changes_a_sequence(signal, make):
    found = make()
    plain = dialogue_sequences(signal, found, DIALOGUE, SEGMENTS)

    def changed(where: np.ndarray) -> list[np.ndarray]:
        other = np.where(where, found.value * 3, found.value)
        return dialogue_sequences(signal, Recording(**{**vars(found), "value": other}), DIALOGUE, SEGMENTS)

    later = changed(found.time > 121.5)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(plain[:2], later[:2], strict=True))
    assert not np.array_equal(plain[2], later[2], equal_nan=True)  # control: what was before its end does count
    outside = changed((found.time < 100) | (found.time > 160))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(plain, outside, strict=True))


def test_a_beat_counts_as_normal_by_those_before_it_only():
    intervals = np.random.default_rng(4).choice([0.7, 1.0], 80)  # each stands out where those around are the other
    found = Recording("IBI", np.nan, 95 + intervals.cumsum(), intervals, np.full(80, -1), ())
    for end in np.arange(110, 140, 0.5):
        now = found.time <= end
        cut = Recording("IBI", np.nan, found.time[now], intervals[now], found.segment[now], ())
        (whole,), (part,) = (dialogue_sequences("heart", r, DIALOGUE, [(end - 5, end)]) for r in (found, cut))
        assert np.array_equal(whole, part, equal_nan=True)


def test_the_heart_is_the_rate_of_the_last_beat_that_has_ended():
    found = beating()
    (sequence,) = dialogue_sequences("heart", found, DIALOGUE, [(130.0, 145.0)])
    inside = [(t, i) for t, i in zip(found.time, found.value, strict=True) if 100 <= t <= 145]
    rates = []
    for step in np.arange(100, 145.1, 0.25):
        last = [60 / i for t, i in inside if t <= step]
        rates.append(last[-1] if last else np.nan)
    expected = (np.array(rates) - np.nanmean(rates)) / np.nanstd(rates)
    assert sequence == pytest.approx(expected[-61:], abs=1e-6)


def test_gaps_and_lost_beats_are_not_known():
    found = wandering()
    keep = (found.time < 125) | (found.time > 135)
    holed = Recording("EDA", 4, found.time[keep], found.value[keep], found.segment[keep], ())
    (sequence,) = dialogue_sequences("eda", holed, DIALOGUE, [(120.0, 140.0)])
    assert np.array_equal(np.isnan(sequence), [(124.75 < t < 135.25) for t in np.arange(120, 140.1, 0.25)])
    heart = beating()
    keep = (heart.time < 125) | (heart.time > 135)
    holed = Recording("IBI", np.nan, heart.time[keep], heart.value[keep], heart.segment[keep], ())
    (sequence,) = dialogue_sequences("heart", holed, DIALOGUE, [(120.0, 140.0)])
    assert np.isnan(sequence).mean() == pytest.approx(0.4, abs=0.1)
    nothing = Recording("IBI", np.nan, heart.time[:0], heart.value[:0], heart.segment[:0], ())
    assert all(np.isnan(dialogue_sequences(s, nothing, DIALOGUE, SEGMENTS)[0]).all() for s in ("heart", "eda"))


def test_an_electrocardiogram_gives_the_sequence_of_its_beats():
    beats = 95 + (0.8 + 0.1 * np.sin(np.arange(90))).cumsum()
    beats = (beats * 250).round() / 250
    time = np.arange(95, 165, 1 / 250)
    wave = np.exp(-(((time[:, None] - beats) / 0.01) ** 2) / 2).sum(axis=1)
    ecg = Recording("ECG", 250, time, wave, np.full(len(time), -1), ())
    ibi = Recording("IBI", np.nan, beats[1:], np.diff(beats), np.full(len(beats) - 1, -1), ())
    (one,), (other,) = (dialogue_sequences("heart", r, DIALOGUE, [(130.0, 145.0)]) for r in (ecg, ibi))
    assert np.mean(abs(one - other) < 0.1) > 0.9


def test_a_flat_line_is_zero():
    found = wandering()
    flat = Recording(**{**vars(found), "value": np.full(len(found), 2.0)})
    assert not dialogue_sequences("eda", flat, DIALOGUE, SEGMENTS)[1].any()


def test_signals_of_one_segment_stand_beside_each_other_with_one_end():
    stacked = stack_sequences([None, np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])])
    np.testing.assert_array_equal(stacked, [[np.nan, np.nan, 3], [np.nan, 1, 4], [np.nan, 2, 5]])
    assert stack_sequences([None, None, None]).shape == (0, 3)


def test_a_batch_is_padded_behind_and_masked_where_nothing_is_known():
    collate = InputCollator(None, None, signals="sequence")
    assert collate.columns == ["segment_id", "signal_sequence"]
    first = np.array([[1, np.nan, 3], [4, 5, 6]], dtype=np.float32)
    rows = [{"segment_id": "a", "signal_sequence": first.ravel()}, {"segment_id": "b", "signal_sequence": np.empty(0)}]
    given = collate(rows)["inputs"]["signals"]
    assert given["values"].tolist() == [[[1, 0, 3], [4, 5, 6]], [[0, 0, 0], [0, 0, 0]]]
    assert given["mask"].tolist() == [[[True, False, True], [True] * 3], [[False] * 3] * 2]
    alone = collate(rows[1:])["inputs"]["signals"]
    assert alone["values"].shape == (1, 1, 3) and not alone["mask"].any() and alone["values"].dtype == torch.float32
