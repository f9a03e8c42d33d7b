"""The list of conditions under which a model is scored, and what each of them changes.

A condition removes a modality after the batch is made, or changes the row of a segment before: its waveform or its transcript.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from erc.robustness.effects import CLEAN
from erc.robustness.sounds import (
    Voices,
    add_noise,
    babble,
    clip,
    reverberate,
    room_response,
    telephone,
    white_noise,
)
from erc.robustness.words import drop_words, replace_words

SNRS_DB = (20, 10, 0)
"""Signal-to-noise ratios."""

WORD_ERROR_RATES = (0.1, 0.3)


@dataclass(frozen=True)
class Material:
    """What the changes draw from.

    Attributes:
        seed: Of everything that is drawn.
        voices: Segments that babble is mixed of.
        vocabulary: Words of all scored segments, in an order that does not depend on that of the data set.
        transcriber: (L,) int16 at 16 kHz -> what a recogniser hears; None where none is given.
    """

    seed: int
    voices: Voices
    vocabulary: Sequence[str]
    transcriber: Callable[[np.ndarray], str] | None = None

    def rng(self, kind: str, segment_id: str) -> np.random.Generator:
        """A generator for one kind of change and one segment: the same wherever and whenever it is asked for."""
        digest = hashlib.sha256(f"{self.seed}\0{kind}\0{segment_id}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))


Change = Callable[[dict[str, Any], Material], dict[str, Any]]
"""A row with ``segment_id``, ``waveform`` and ``transcript`` -> the row with one of the last two changed."""


@dataclass(frozen=True)
class Condition:
    """One condition."""

    name: str
    """Of its file of predictions, and in ``robustness.csv``."""
    title: str
    modality: str = ""
    """The one that it changes; empty for ``clean``."""
    change: Change | None = None
    """None: the row stays as it is."""
    removes: bool = False
    """Whether the modality is removed from the batch."""


def conditions(with_transcriber: bool = False) -> list[Condition]:
    """Every condition, in the order of the table; the last one only where there is a recogniser."""
    found = [Condition(CLEAN, "Clean")]
    for modality, words in (("audio", "audio"), ("text", "text"), ("signals", "bio-signals")):
        found.append(Condition(f"no_{modality}", f"Without {words}", modality, removes=True))
    for snr in SNRS_DB:
        found.append(Condition(f"white_noise_{snr}", f"White noise, {snr} dB", "audio", partial(_white, snr)))
    for snr in SNRS_DB:
        found.append(Condition(f"babble_{snr}", f"Babble, {snr} dB", "audio", partial(_babble, snr)))
    found += [
        Condition("reverberation", "Reverberation, .6 s", "audio", _reverberate),
        Condition("clipping", "Clipping, 10 % of samples", "audio", _clip),
        Condition("telephone", "Telephone, 300 to 3400 Hz", "audio", _telephone),
    ]
    for name, title, change in (("dropped", "Words dropped", _drop), ("replaced", "Words replaced", _replace)):
        for rate in WORD_ERROR_RATES:
            percent = round(100 * rate)
            found.append(Condition(f"words_{name}_{percent}", f"{title}, {percent} %", "text", partial(change, rate)))
    if with_transcriber:
        found.append(Condition("recognised", "Words of the recogniser", "text", _recognise))
    return found


# --- changes of the sound ---------------------------------------------------------------------------------------------
def _white(snr_db: float, row: dict[str, Any], material: Material) -> dict[str, Any]:
    noise = white_noise(len(row["waveform"]), material.rng("white noise", row["segment_id"]))
    return row | {"waveform": add_noise(row["waveform"], noise, snr_db)}


def _babble(snr_db: float, row: dict[str, Any], material: Material) -> dict[str, Any]:
    rng = material.rng("babble", row["segment_id"])
    voices = material.voices.waveforms(row["segment_id"], rng)
    return row | {"waveform": add_noise(row["waveform"], babble(len(row["waveform"]), voices, rng), snr_db)}


def _reverberate(row: dict[str, Any], material: Material) -> dict[str, Any]:
    response = room_response(material.rng("reverberation", row["segment_id"]))
    return row | {"waveform": reverberate(row["waveform"], response)}


def _clip(row: dict[str, Any], material: Material) -> dict[str, Any]:
    return row | {"waveform": clip(row["waveform"])}


def _telephone(row: dict[str, Any], material: Material) -> dict[str, Any]:
    return row | {"waveform": telephone(row["waveform"])}


# --- changes of the words ---------------------------------------------------------------------------------------------
def _drop(rate: float, row: dict[str, Any], material: Material) -> dict[str, Any]:
    words = drop_words(row["transcript"].split(), rate, material.rng("words dropped", row["segment_id"]))
    return row | {"transcript": " ".join(words)}


def _replace(rate: float, row: dict[str, Any], material: Material) -> dict[str, Any]:
    rng = material.rng("words replaced", row["segment_id"])
    return row | {"transcript": " ".join(replace_words(row["transcript"].split(), rate, rng, material.vocabulary))}


def _recognise(row: dict[str, Any], material: Material) -> dict[str, Any]:
    assert material.transcriber is not None
    return row | {"transcript": material.transcriber(row["waveform"])}
