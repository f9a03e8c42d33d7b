"""What a saved model is made of: the content of its ``config.json``, in Hugging Face's form.

Comes in: plain values, or the file. Goes out: ``EmotionModelConfig``. Nothing here loads a weight or needs torch.
"""

# no `from __future__ import annotations` here: @strict checks no field whose type is a string
import importlib
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from erc.labels import LabelSpace


@strict
class EmotionModelConfig(PreTrainedConfig):
    """Configuration of ``EmotionRecognitionModel``.

    Attributes:
        audio_config: Of the pre-trained audio encoder; None where the model reads no audio or a spectrogram.
        text_config: Of the text encoder; None where the model reads no text.
        spectrogram: Arguments of ``SpectrogramEncoder``, where the model reads one.
        signals: Arguments of ``SignalEncoder``, where the model reads bio-signals.
        modality_dropout: As in training.
        learned_missing: Modalities for which the model has learned what to read in their place.
        fusion: ``name``, a class of ``erc.model.fusion``, and its arguments without ``dims``.
        label_space: ``LabelSpace.to_json()``; ``id2label`` and ``label2id`` follow from it.
        max_samples: Longest audio that training read, in samples at 16 kHz.
        max_tokens: Longest transcript that training read, in tokens with the two special ones.
        training: Facts of the training that a user of the model needs: corpora, fold, seed, lengths. Never a segment's
            id, words or audio. See ``erc.training.facts``.
    """

    model_type = "erc_emotion"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "audio_config": SubConfigSpec(config_class=AutoConfig, model_type="wav2vec2", optional=True),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="roberta", optional=True),
    }

    audio_config: PreTrainedConfig | dict | None = None
    text_config: PreTrainedConfig | dict | None = None
    spectrogram: dict[str, Any] | None = None
    signals: dict[str, Any] | None = None
    modality_dropout: float = 0.0
    learned_missing: list[str] | None = None
    fusion: dict[str, Any] | None = None
    label_space: dict[str, Any] | None = None
    max_samples: int = 112_000
    max_tokens: int = 64
    training: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Makes the encoders' configurations of plain values, and the tables of labels of the label space."""
        if self.label_space is not None:
            emotions = LabelSpace.from_json(self.label_space).emotions
            self.id2label = dict(enumerate(emotions))
            self.label2id = {name: i for i, name in enumerate(emotions)}
        super().__post_init__(**kwargs)
        # AutoModel looks for the class of a configuration that it has just made; it is registered where it is defined
        importlib.import_module("erc.model.recognition_model")

    @property
    def labels(self) -> LabelSpace:
        """The label space.

        Raises:
            ValueError: There is none, or it is no label space.
        """
        return LabelSpace.from_json(self.label_space)


AutoConfig.register(EmotionModelConfig.model_type, EmotionModelConfig)
