"""Stretches of sound files against the whole file read by soundfile, in every format and at many rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
from own_corpora import write_tone

from erc.data.media import MediaError
from erc.data.sound_cuts import Cut, iter_cuts, read_cuts


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_stretches_are_those_of_the_whole_file(tmp_path, name):
    rng = np.random.default_rng(1)
    soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(16_000 * 30), 16_000)
    whole = np.rint(soundfile.read(tmp_path / name, dtype="float32")[0] * 32768).clip(-32768, 32767)
    starts = [20.0, 0.5, 3.25, 11.125, 3.0, 28.0]  # Ogg: libsndfile's own seek misses some places
    found = read_cuts(tmp_path / name, [Cut(start, start + 1.5) for start in starts])
    for start, piece in zip(starts, found, strict=True):
        expected = whole[round(start * 16_000) : round((start + 1.5) * 16_000)]
        assert np.abs(piece.astype(float) - expected).max() <= 1  # the decoder's rounding


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 37_800, 44_056, 44_100, 48_000, 96_000])
def test_any_usual_rate_and_several_channels_become_16_khz_mono(tmp_path, rate):
    write_tone(tmp_path / "a.wav", 0.5, rate, channels=2)
    (piece,) = read_cuts(tmp_path / "a.wav", [Cut(0, math.nan)])
    assert abs(len(piece) - 8_000) <= 1
    assert np.abs(np.fft.rfft(piece[:8000])).argmax() * 16_000 / min(len(piece), 8000) == pytest.approx(220, abs=2)


def test_a_rate_whose_filter_would_take_gigabytes_is_refused(tmp_path):
    write_tone(tmp_path / "a.wav", 0.5, 16_001)
    with pytest.raises(MediaError, match="16001"):
        read_cuts(tmp_path / "a.wav", [Cut(0, math.nan)])


def test_a_bad_stretch_spoils_no_other(tmp_path):
    write_tone(tmp_path / "a.wav", 1.0)
    cuts = [Cut(0, 0.5), Cut(0.5, 1.2), Cut(1.5, math.nan), Cut(0.2, 0.21), Cut(0.9, 1.04)]
    good, beyond, behind, short, rounded = read_cuts(tmp_path / "a.wav", cuts)
    assert len(good) == 8_000 and len(rounded) == 1_600  # 0.04 s beyond the end is a rounded end
    assert "column end: at most 1.000 s is expected" in str(beyond)
    assert "column start" in str(behind) and short.kind == "short audio"


def test_another_container_and_a_text_are_refused(tmp_path):
    write_tone(tmp_path / "a.aiff")
    (tmp_path / "b.wav").write_text("no sound")
    for name in ("a.aiff", "b.wav"):
        with pytest.raises(MediaError):
            read_cuts(tmp_path / name, [Cut(0, math.nan)])


@pytest.mark.parametrize("name", ["a.wav", "a.ogg"])
def test_a_long_file_is_decoded_once_for_all_its_stretches(tmp_path, name, monkeypatch):
    write_tone(tmp_path / name, 60)
    n_read = []
    read = soundfile.SoundFile.read

    def counted(self, *args, **kwargs):
        found = read(self, *args, **kwargs)
        n_read.append(len(found))
        return found

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    found = read_cuts(tmp_path / name, [Cut(0.5 * k, 0.5 * k + 0.5) for k in range(119)])
    assert all(len(piece) == 8_000 for piece in found)
    assert sum(n_read) <= 60 * 16_000


def test_stretches_of_ogg_come_while_the_file_is_read(tmp_path, monkeypatch):
    write_tone(tmp_path / "a.ogg", 100)
    n_read = 0
    read = soundfile.SoundFile.read

    def counted(self, *args, **kwargs):
        nonlocal n_read
        found = read(self, *args, **kwargs)
        n_read += len(found)
        return found

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    cuts = [Cut(float(k), k + 2.0) for k in range(98)]
    so_far = [(place, n_read, len(piece)) for place, piece in iter_cuts(tmp_path / "a.ogg", cuts)]
    assert [place for place, _, _ in so_far] == list(range(98)) and {length for _, _, length in so_far} == {32_000}
    assert so_far[0][1] < 20 * 16_000 and so_far[-1][1] <= 100 * 16_000
