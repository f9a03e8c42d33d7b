"""A trained model as Hugging Face models are: ``AutoModel.from_pretrained(folder)`` gives it once ``erc`` is imported.

Convention: the encoders are built from their configurations and never load anything themselves. A load in which one weight
is missing, of another size or too many is an error: no head stays random.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModel, PreTrainedModel
from transformers.utils import ModelOutput

from erc.data import Inputs
from erc.model import fusion as fusions
from erc.model.configuration import EmotionModelConfig
from erc.model.emotion_model import EmotionModel
from erc.model.encoders import AudioEncoder, Encoder, TextEncoder
from erc.model.fusion.base import Fusion
from erc.model.pretrained import quiet_transformers
from erc.model.signal_encoder import SignalEncoder
from erc.model.spectrogram import SpectrogramEncoder


@dataclass
class EmotionOutput(ModelOutput):
    """What ``EmotionRecognitionModel`` says of B segments."""

    logits: torch.FloatTensor | None = None
    """(B, K) in the order of ``config.id2label``."""
    va: torch.FloatTensor | None = None
    """(B, R) the dimensions of the label space (valence, arousal) on the raters' scale, not clipped; R may be 0."""
    embeddings: torch.FloatTensor | None = None
    """(B, D) the vector that the heads read."""


class EmotionRecognitionModel(PreTrainedModel):
    """Encoders, fusion and heads in one saved model.

    Args:
        config: What the model is made of.

    Attributes:
        emotion_model: The model as it was trained; it reads inputs by modality.

    Raises:
        ValueError: The configuration names a fusion that there is not, or lacks an encoder that the fusion reads.
    """

    config_class = EmotionModelConfig
    main_input_name = "input_values"
    input_modalities = ["audio", "text", "signals"]  # noqa: RUF012  the form of the class above
    _supports_sdpa = True

    def __init__(self, config: EmotionModelConfig) -> None:
        super().__init__(config)
        self.emotion_model = EmotionModel(
            encoders_of(config), fusion_of(config), config.labels, config.modality_dropout
        )
        self.emotion_model.missing.learn(config.learned_missing or [])
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        signals: torch.Tensor | None = None,
        signals_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> EmotionOutput:
        """What ``EmotionProcessor`` gives -> ``EmotionOutput``. Modalities that the fusion does not read are ignored.

        Args:
            input_values: (B, L) float32 waveforms at 16 kHz, zero mean and unit variance over the real samples.
            audio_attention_mask: (B, L), 1 for a real sample; all samples are real where not given.
            input_ids: (B, S) int64 token ids.
            attention_mask: (B, S), 1 for a real token; all tokens are real where not given.
            signals: (B, 11) features or (B, T, 3) sequences of bio-signals, as ``erc.data.ModalityInput`` has them; where not
                given, the segments lack them.
            signals_mask: Of the same shape, 1 for a known value; all values are known where not given.
            **kwargs: Ignored; what transformers' callers pass to every model.

        Raises:
            ValueError: A modality that the fusion reads is not there.
        """
        inputs: Inputs = {}
        for modality, values, mask in (
            ("audio", input_values, audio_attention_mask),
            ("text", input_ids, attention_mask),
            ("signals", signals, signals_mask),
        ):
            if values is not None:
                real = torch.ones_like(values, dtype=torch.bool) if mask is None else mask.bool()
                inputs[modality] = {"values": values, "mask": real}
        prediction = self.emotion_model(inputs)
        return EmotionOutput(prediction.emotion_logits, prediction.va, prediction.embedding)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Loads a saved model, as ``PreTrainedModel.from_pretrained`` does, in float32 unless ``dtype`` says otherwise.

        Raises:
            OSError: The folder lacks a file, or a file is damaged, or its weights are no safetensors.
            ValueError: A weight is missing, of another size, or belongs to no part of the model.
        """
        wants_report = kwargs.pop("output_loading_info", False)
        options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True} | kwargs
        options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
        with quiet_transformers():  # what is wrong is an error below, not a table on the terminal
            try:
                loaded: Any = super().from_pretrained(pretrained_model_name_or_path, *args, **options)
            except SafetensorError as err:
                raise OSError(
                    f"A saved model's files must be as they were written: {pretrained_model_name_or_path}: {err}. "
                    "Save or fetch it again."
                ) from err
        model, report = loaded
        check_report(str(pretrained_model_name_or_path), report)
        for value in [*model.parameters(), *model.buffers()]:
            # a tensor in the mapped file may begin at any byte, and then some kernels add up in another order
            value.data = value.data.clone()
        return (model, report) if wants_report else model


def check_report(name: str, report: dict[str, Any]) -> None:
    """Raises ValueError if a load left a weight random, or weights over."""
    wrong = [f"{key} is missing" for key in sorted(report["missing_keys"])]
    wrong += [
        f"{key[0]} has shape {tuple(key[1])} and not {tuple(key[2])}" for key in sorted(report["mismatched_keys"])
    ]
    wrong += [f"{key} belongs to no part of the model" for key in sorted(report["unexpected_keys"])]
    if wrong:
        rest = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(
            f"A saved model must hold every weight of its configuration, and no other: {name}: {'; '.join(wrong[:5])}{rest}. "
            "Save or fetch it again. For other labels train it on (model.init_from)."
        )


def encoders_of(config: EmotionModelConfig) -> dict[str, Callable[[], Encoder]]:
    """Builds the encoder of each modality that a configuration has."""
    found: dict[str, Callable[[], Encoder]] = {}
    audio: Any = config.audio_config
    text: Any = config.text_config
    if config.spectrogram is not None:
        found["audio"] = functools.partial(_spectrogram, config.spectrogram)
    elif audio is not None:
        found["audio"] = functools.partial(AudioEncoder.from_config, audio)
    if text is not None:
        found["text"] = functools.partial(TextEncoder.from_config, text)
    if config.signals is not None:
        found["signals"] = functools.partial(SignalEncoder, **config.signals)
    return found


def _spectrogram(options: dict[str, Any]) -> SpectrogramEncoder:
    """The filters of torchaudio are computed from values, and a tensor on the meta device has none."""
    with torch.device("cpu"):
        return SpectrogramEncoder(**{**options, "channels": tuple(options["channels"])})


def fusion_of(config: EmotionModelConfig) -> functools.partial[Fusion]:
    """The fusion of a configuration, without the widths of the encoders.

    Raises:
        ValueError: No fusion has that name.
    """
    options = dict(config.fusion or {})
    name = options.pop("name", "")
    found = getattr(fusions, name, None)
    if not (isinstance(found, type) and issubclass(found, Fusion)):
        raise ValueError(
            f"A saved model has a fusion of erc.model.fusion: expected the name of one, got {name!r}. The model was saved by "
            "another version of erc, or its config.json was changed."
        )
    return functools.partial(found, **options)


AutoModel.register(EmotionModelConfig, EmotionRecognitionModel)
