"""Corruptions of sound, measured back: levels by their definition, bands by FFT, reverberation by Schroeder's integral."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset
from saved_models import speech

from erc.robustness import sounds

WAVEFORM = (speech(1.5, 3) * 32767).astype(np.int16)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("snr_db", [20, 10, 0])
@pytest.mark.parametrize("level", [1e-3, 1.0, 1e4])
def test_the_ratio_of_signal_to_noise_is_the_one_that_was_asked_for(snr_db, level):
    noise = level * sounds.white_noise(len(WAVEFORM), rng())
    added = sounds.add_noise(WAVEFORM, noise, snr_db).astype(np.float64) - WAVEFORM
    measured = 10 * np.log10(np.sum(WAVEFORM.astype(np.float64) ** 2) / np.sum(added**2))
    assert measured == pytest.approx(snr_db, abs=0.1)
    assert np.corrcoef(added, noise)[0, 1] == pytest.approx(1, abs=1e-6)  # it is this noise, and no other


def test_silence_and_silent_noise_stay_as_they_are():
    silence = np.zeros(800, dtype=np.int16)
    assert not sounds.add_noise(silence, sounds.white_noise(800, rng()), 10).any()
    assert np.array_equal(sounds.add_noise(WAVEFORM, np.zeros(len(WAVEFORM)), 10), WAVEFORM)
    for change in (sounds.clip, sounds.telephone):
        assert not change(silence).any()


def test_white_noise_is_equally_strong_at_all_frequencies():
    power = np.abs(np.fft.rfft(sounds.white_noise(1 << 16, rng()))) ** 2
    bands = power[1:].reshape(16, -1).mean(axis=1)
    assert bands == pytest.approx(bands.mean(), rel=0.1)


def test_babble_holds_each_voice_equally_loud():
    tones = [np.sin(2 * np.pi * hz * np.arange(n) / 16_000) for hz, n in ((400, 16_000), (1000, 8000), (3000, 4000))]
    mixed = sounds.babble(16_000, [tone * 10**k for k, tone in enumerate(tones)], rng())
    power = np.abs(np.fft.rfft(mixed)) ** 2
    of_tones = power[[400, 1000, 3000]]
    assert of_tones == pytest.approx(of_tones.mean(), rel=0.01)
    assert of_tones.sum() == pytest.approx(power.sum(), rel=0.01)  # whole periods are repeated: nothing else is heard
    assert np.array_equal(sounds.babble(100, [np.zeros(50)], rng()), np.zeros(100))


def test_a_room_fades_by_60_db_in_its_reverberation_time():
    response = sounds.room_response(rng(), rt60_seconds=0.6, direct_db=3.0)
    assert response[0] == 1 and len(response) == 9601
    assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(3.0)
    left = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1])  # Schroeder (1965): the energy that is still to come
    left -= left[0]
    places = np.flatnonzero((left < -5) & (left > -35))
    slope = np.polyfit(places / 16_000, left[places], 1)[0]
    assert -60 / slope == pytest.approx(0.6, rel=0.05)


def test_a_waveform_in_a_room_is_the_convolution_cut_to_its_length():
    short = WAVEFORM[:400]
    response = sounds.room_response(rng(1))
    expected = [sum(response[k - i] * float(short[i]) for i in range(k + 1)) for k in range(400)]
    assert sounds.reverberate(short, response) == pytest.approx(expected, abs=1e-2)


def test_clipping_cuts_a_tenth_of_the_samples_and_leaves_the_others():
    clipped = sounds.clip(WAVEFORM)
    limit = np.abs(clipped).max()
    assert np.mean(np.abs(WAVEFORM.astype(int)) > limit) == pytest.approx(0.1, abs=0.002)
    below = np.abs(WAVEFORM.astype(int)) <= limit
    assert np.array_equal(clipped[below], WAVEFORM[below])
    assert np.array_equal(np.sign(clipped), np.sign(WAVEFORM))


def test_the_telephone_keeps_its_band_and_delays_nothing():
    noise = sounds.white_noise(1 << 15, rng(2))
    heard = sounds.telephone(noise)
    hz = np.fft.rfftfreq(1 << 15, 1 / 16_000)
    gain = np.abs(np.fft.rfft(heard)) / np.abs(np.fft.rfft(noise))
    inside, outside = (hz > 450) & (hz < 3000), (hz < 150) | (hz > 4200)
    assert np.median(gain[inside]) == pytest.approx(1, abs=0.02) and np.median(gain[outside]) < 0.01
    assert np.argmax(np.correlate(heard[:4000], noise[:4000], "full")) == 3999


def corpus(n: int, n_speakers: int) -> Dataset:
    return Dataset.from_dict(
        {
            "segment_id": [f"s{k:02d}" for k in range(n)],
            "corpus": ["c"] * n,
            "speaker": [f"p{k % n_speakers}" for k in range(n)],
            "waveform": [[k + 1] * 50 for k in range(n)],
        }
    )


def test_babble_is_never_of_the_segment_itself_and_of_other_speakers_where_there_are_enough():
    voices = sounds.Voices(corpus(30, 6))
    for k in range(30):
        chosen = voices.chosen(f"s{k:02d}", rng(k))
        speakers = {int(name[1:]) % 6 for name in chosen}
        assert len(chosen) == 5 == len(speakers) and k % 6 not in speakers
        assert [wave[0] for wave in voices.waveforms(f"s{k:02d}", rng(k))] == [int(name[1:]) + 1 for name in chosen]
    few = sounds.Voices(corpus(8, 2)).chosen("s00", rng())
    assert len(set(few)) == 5 and "s00" not in few and sum(int(name[1:]) % 2 for name in few) == 4
    assert sounds.Voices(corpus(3, 1)).chosen("s00", rng()) in (["s01", "s02"], ["s02", "s01"])


def test_the_voices_do_not_depend_on_the_order_of_the_data_set():
    ds = corpus(30, 6)
    backwards = ds.select(range(29, -1, -1))
    assert sounds.Voices(ds).chosen("s07", rng(5)) == sounds.Voices(backwards).chosen("s07", rng(5))
