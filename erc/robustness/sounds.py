"""A waveform -> the same one with noise, in a room, clipped, or as a telephone carries it.

Comes in: (L,) samples at 16 kHz, int16 or in its units. Goes out: (L,) float32 in the same units, neither rounded nor limited
to the range of int16: a model reads waveforms of unit variance, so their level means nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal
import torch
import torchaudio.functional

from erc.data import SAMPLE_RATE

TELEPHONE_HZ = (300, 3400)
"""Band of an analogue telephone line (ITU-T recommendation G.712)."""

N_VOICES = 5
"""Of babble. Snyder et al. (2018) mix three to seven."""


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Adds noise at a signal-to-noise ratio of ``10 log10(sum x^2 / sum n^2)`` dB, both sums over the whole segment.

    Args:
        waveform: (L,); one that is silent, or a noise that is, stays as it is: there is no such ratio.
        noise: (L,) of any level.
        snr_db: In dB.
    """
    clean, added = _tensor(waveform), _tensor(noise)
    if not clean.any() or not added.any():
        return _array(clean)
    return _array(torchaudio.functional.add_noise(clean, added, torch.tensor(float(snr_db), dtype=torch.float64)))


def white_noise(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """(n_samples,) Gaussian noise: equally strong at all frequencies."""
    return rng.standard_normal(n_samples)


def babble(n_samples: int, voices: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(n_samples,) several voices at once, equally loud; each begins anywhere and is repeated to that length.

    Source: Snyder, Garcia-Romero, Sell, Povey and Khudanpur (2018), X-vectors: robust DNN embeddings for speaker recognition,
    ICASSP, section 3.3.

    Args:
        n_samples: Length of the result.
        voices: Waveforms of any length; a silent one adds nothing.
        rng: Draws where each begins.
    """
    mixed = np.zeros(n_samples)
    for voice in voices:
        samples = voice.astype(np.float64)
        level = np.sqrt(np.mean(samples**2)) if samples.size else 0.0
        start = int(rng.integers(max(samples.size, 1)))
        if level > 0:
            mixed += np.resize(np.roll(samples, -start), n_samples) / level
    return mixed


def room_response(rng: np.random.Generator, rt60_seconds: float = 0.6, direct_db: float = 0.0) -> np.ndarray:
    """Impulse response of a synthetic room: the direct sound, then Gaussian noise that decays by 60 dB in ``rt60_seconds``.

    Sources: Polack (1988), La transmission de l'énergie sonore dans les salles (exponentially decaying noise); Ko, Peddinti,
    Povey, Seltzer and Khudanpur (2017), A study on data augmentation of reverberant speech for robust speech recognition,
    ICASSP (simulated responses in place of measured ones).

    Args:
        rng: Draws the reflections.
        rt60_seconds: Reverberation time, above 0.
        direct_db: Energy of the direct sound over that of the reflections, in dB.

    Returns:
        (1 + rt60_seconds * 16,000,) float64; the direct sound is 1.
    """
    n_samples = round(rt60_seconds * SAMPLE_RATE)
    decay = 10.0 ** (-3.0 * np.arange(1, n_samples + 1) / n_samples)  # of the amplitude: 60 dB at the end
    reflections = rng.standard_normal(n_samples) * decay
    reflections *= np.sqrt(10.0 ** (-direct_db / 10.0) / np.sum(reflections**2))
    return np.concatenate([[1.0], reflections])


def reverberate(waveform: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The waveform in a room: convolved with its impulse response, and cut to the waveform's own length."""
    return _array(torchaudio.functional.fftconvolve(_tensor(waveform), _tensor(response))[: len(waveform)])


def clip(waveform: np.ndarray, share: float = 0.1) -> np.ndarray:
    """Cuts the loudest samples off, as an input that is turned up too far does.

    Source: Mauch and Ewert (2013), The Audio Degradation Toolbox, ISMIR (clipping by the share of samples that are cut).

    Args:
        waveform: (L,)
        share: Of the samples, which are cut to the size of the loudest other one.
    """
    samples = np.asarray(waveform, dtype=np.float64)
    limit = np.quantile(np.abs(samples), 1.0 - share, method="lower")
    return samples.clip(-limit, limit).astype(np.float32)


def telephone(waveform: np.ndarray) -> np.ndarray:
    """The band of ``TELEPHONE_HZ``: a Butterworth filter of order 8, forwards and backwards, so that nothing is delayed."""
    sections = scipy.signal.butter(8, TELEPHONE_HZ, btype="bandpass", fs=SAMPLE_RATE, output="sos")
    samples = np.asarray(waveform, dtype=np.float64)
    return scipy.signal.sosfiltfilt(sections, samples).astype(np.float32)


class Voices:
    """The segments from which babble is mixed.

    Args:
        ds: ``datasets.Dataset`` with segment_id, corpus, speaker and waveform.
        n_voices: Voices of a mix.
    """

    def __init__(self, ds: Any, n_voices: int = N_VOICES) -> None:
        names = ds.select_columns(["segment_id", "corpus", "speaker"]).to_pandas()
        names["index"] = range(len(names))
        # in the order of their names: what is drawn does not depend on the order of the data set
        names = names.sort_values("segment_id")
        self._ids, self._indices = names["segment_id"].to_numpy(), names["index"].to_numpy()
        self._speakers = (names["corpus"] + ":" + names["speaker"]).to_numpy()
        self._ds = ds.select_columns(["waveform"]).with_format("numpy", dtype=None)
        self.n_voices = n_voices

    def chosen(self, segment_id: str, rng: np.random.Generator) -> list[str]:
        """Segments that are mixed to go with one: each of another speaker, as far as there are so many, and never itself.

        Returns:
            ``n_voices`` names; fewer where there are not so many other segments.
        """
        return [str(self._ids[place]) for place in self._places(segment_id, rng)]

    def waveforms(self, segment_id: str, rng: np.random.Generator) -> list[np.ndarray]:
        """Waveforms of ``chosen``."""
        return [self._ds[int(self._indices[place])]["waveform"] for place in self._places(segment_id, rng)]

    def _places(self, segment_id: str, rng: np.random.Generator) -> list[int]:
        own = int(np.flatnonzero(self._ids == segment_id)[0])
        others = [int(place) for place in rng.permutation(len(self._ids)) if place != own]
        heard = {self._speakers[own]}
        found: list[int] = []
        for place in others:
            if len(found) < self.n_voices and self._speakers[place] not in heard:
                heard.add(self._speakers[place])
                found.append(place)
        if len(found) < self.n_voices:  # further segments of these speakers; the segment's own speaker last
            left = set(others) - set(found)
            found += sorted(
                (place for place in others if place in left),
                key=lambda place: self._speakers[place] == self._speakers[own],
            )
        return found[: self.n_voices]


def _tensor(waveform: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(waveform, dtype=np.float64))


def _array(waveform: torch.Tensor) -> np.ndarray:
    return waveform.numpy().astype(np.float32)
