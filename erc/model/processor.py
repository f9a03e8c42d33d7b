"""Sound and words -> what ``EmotionRecognitionModel`` reads, in Hugging Face's form: ``AutoProcessor`` gives it.

``erc.Predictor`` is the way to use a model. This is for those who call the model themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import AutoProcessor, BatchFeature, ProcessorMixin

from erc.data import SAMPLE_RATE
from erc.model.configuration import EmotionModelConfig


class EmotionProcessor(ProcessorMixin):
    """Feature extractor and tokenizer of a saved model.

    Args:
        feature_extractor: Of the audio encoder.
        tokenizer: Of the text encoder.
    """

    def __init__(self, feature_extractor: Any = None, tokenizer: Any = None, **kwargs: Any) -> None:
        super().__init__(feature_extractor, tokenizer, **kwargs)

    def __call__(
        self,
        audio: np.ndarray | Sequence[np.ndarray] | None = None,
        text: str | Sequence[str] | None = None,
        sampling_rate: int | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Inputs of the model for B segments.

        Args:
            audio: Waveforms at 16 kHz as shares of full scale (-1 to 1): one, or a list of B. They are not cut.
            text: Transcripts: one, or a list of B. They are cut to the tokenizer's own greatest length.
            sampling_rate: Of the audio, in Hz.
            **kwargs: Ignored; what transformers' callers pass to every processor.

        Returns:
            ``input_values`` (B, L) and ``audio_attention_mask`` (B, L) for audio; ``input_ids`` (B, S) and
            ``attention_mask`` (B, S) for text; all are torch tensors.

        Raises:
            ValueError: Neither audio nor text, or audio of another rate than 16 kHz.
        """
        if audio is None and text is None:
            raise ValueError("A processor reads audio, text or both: got neither.")
        found: dict[str, Any] = {}
        if audio is not None:
            if sampling_rate != SAMPLE_RATE:
                raise ValueError(
                    f"Audio must be at {SAMPLE_RATE} Hz: expected sampling_rate={SAMPLE_RATE}, got {sampling_rate}. Resample it "
                    f"(torchaudio.functional.resample), then pass sampling_rate={SAMPLE_RATE}."
                )
            waveforms = [audio] if isinstance(audio, np.ndarray) and audio.ndim == 1 else list(audio)
            sound = self.feature_extractor(
                [np.asarray(waveform, dtype=np.float32) for waveform in waveforms],
                sampling_rate=sampling_rate,
                padding=True,
                return_attention_mask=True,
                return_tensors="pt",
            )
            found |= {"input_values": sound["input_values"].float(), "audio_attention_mask": sound["attention_mask"]}
        if text is not None:
            transcripts = [text] if isinstance(text, str) else list(text)
            words = self.tokenizer(transcripts, padding=True, truncation=True, return_tensors="pt")
            found |= {"input_ids": words["input_ids"], "attention_mask": words["attention_mask"]}
        return BatchFeature(found)

    @property
    def model_input_names(self) -> list[str]:
        """Names of what ``__call__`` gives."""
        return ["input_values", "audio_attention_mask", "input_ids", "attention_mask"]


AutoProcessor.register(EmotionModelConfig, EmotionProcessor)
