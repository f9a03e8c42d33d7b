"""A speech recogniser: waveforms -> words, for speech whose transcript is not known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

from erc.data import SAMPLE_RATE
from erc.model.pretrained import hub_options, quiet_transformers

DEFAULT_TRANSCRIBER = "kresnik/wav2vec2-large-xlsr-korean"
"""The paper's audio encoder, which is a recogniser of Korean itself."""


class Transcriber:
    """Connectionist temporal classification with the likeliest letter of each frame.

    Source: Graves, Fernández, Gomez and Schmidhuber (2006), Connectionist temporal classification, ICML, section 3.2.

    Args:
        name: Hub id, or a directory that ``save_pretrained`` wrote, of a model that ``AutoModelForCTC`` loads.
        device: As torch names it.

    Raises:
        OSError: Its files cannot be loaded.
        ValueError: It takes another rate than 16 kHz.
    """

    def __init__(self, name: str = DEFAULT_TRANSCRIBER, device: str = "cpu") -> None:
        self.name, self._device = name, device
        try:
            with quiet_transformers():
                options = hub_options(name, None)
                self._extract: Any = AutoFeatureExtractor.from_pretrained(name, **options)
                self._tokenizer: Any = AutoTokenizer.from_pretrained(name, **options)
                model: Any = AutoModelForCTC.from_pretrained(name, dtype=torch.float32, **options)
        except (OSError, ValueError, RuntimeError) as err:
            reason = (str(err).splitlines() or [type(err).__name__])[0]
            raise OSError(
                f"A transcriber is a recogniser that AutoModelForCTC loads: expected a hub id that is reachable or cached, or a "
                f"directory written by save_pretrained, got {name!r} ({reason}). Fetch it once (hf download {name}), or name a "
                "directory (--transcriber=DIR)."
            ) from err
        if self._extract.sampling_rate != SAMPLE_RATE:
            raise ValueError(f"A transcriber takes {SAMPLE_RATE} Hz: {name} expects {self._extract.sampling_rate} Hz.")
        self._model = model.to(device).eval()

    def __call__(self, waveform: np.ndarray) -> str:
        """Words of a waveform, (L,) int16 at 16 kHz. One at a time, so that no other one changes them."""
        sound = self._extract(
            np.asarray(waveform, dtype=np.float32) / 32768.0, sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )
        with torch.inference_mode():
            letters = self._model(sound["input_values"].to(self._device)).logits.argmax(dim=-1)
        return " ".join(self._tokenizer.batch_decode(letters.cpu())[0].split())
