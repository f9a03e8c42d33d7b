"""A trained model -> a folder of Hugging Face's form, and back. Weights are safetensors; nothing is pickled.

The folder holds ``config.json``, ``model.safetensors``, and the files of tokenizer and feature extractor. Where layers are frozen,
several files and their index are in the place of ``model.safetensors``; see ``weight_files.py``.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedConfig

from erc.files import atomic_folder
from erc.model.configuration import EmotionModelConfig
from erc.model.emotion_model import EmotionModel
from erc.model.pretrained import quiet_transformers
from erc.model.processor import EmotionProcessor
from erc.model.recognition_model import EmotionRecognitionModel
from erc.model.signal_encoder import SignalEncoder
from erc.model.spectrogram import SpectrogramEncoder
from erc.model.weight_files import PREFIX, WEIGHTS, SharedWeights, weight_files, write_weights


class SavedModel(NamedTuple):
    """What a folder of a saved model holds."""

    model: EmotionRecognitionModel
    """In evaluation mode, float32."""
    processor: EmotionProcessor
    config: EmotionModelConfig

    @property
    def processors(self) -> dict[str, Any]:
        """Feature extractor and tokenizer, as ``erc.data.InputCollator`` names them."""
        return _by_name(self.processor)

    @property
    def speech_modalities(self) -> tuple[str, ...]:
        """Which of ``audio`` and ``text`` the model reads: what a recording and its transcript give.

        Raises:
            ValueError: None of them: the model reads bio-signals alone.
        """
        found = tuple(name for name in self.model.emotion_model.encoders if name != "signals")
        if not found:
            raise ValueError(
                "A model that is used on recordings reads audio or text: this one reads bio-signals alone. Score it on its corpus "
                "(python evaluate.py), or use a fusion of three modalities."
            )
        return found


def _by_name(processor: EmotionProcessor) -> dict[str, Any]:
    return {"feature_extractor": processor.feature_extractor, "tokenizer": processor.tokenizer}


def save_model(
    model: EmotionModel,
    processors: dict[str, Any],
    folder: str | Path,
    *,
    max_samples: int,
    max_tokens: int,
    training: dict[str, Any] | None = None,
    shared: str | Path | None = None,
) -> None:
    """Writes a saved model; the folder is there whole or not at all.

    Args:
        model: As trained. Low-rank adapters are added to the weights that they adapt.
        processors: ``feature_extractor`` and ``tokenizer``.
        folder: Must not be there yet, or be a saved model, which is replaced.
        max_samples: Longest audio that training read, in samples at 16 kHz.
        max_tokens: Longest transcript that training read, in tokens.
        training: See ``EmotionModelConfig``.
        shared: Folder of the frozen weights that runs share; None: every saved model has its own.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
        ValueError: The model cannot be built again from its configuration.
    """
    config = config_of(model, max_samples, max_tokens, training)
    weights = {PREFIX + name: value for name, value in plain_weights(model).items()}
    with torch.device("meta"):
        expected = {name: tuple(value.shape) for name, value in EmotionRecognitionModel(config).state_dict().items()}
    if expected != {name: tuple(value.shape) for name, value in weights.items()}:
        differing = sorted(expected.keys() ^ weights.keys()) or ["sizes"]
        raise ValueError(
            "A model is saved with what builds it again: its configuration gives other weights than it has "
            f"({', '.join(differing[:5])}). A fusion keeps every argument that decides its form in its constructor."
        )
    with atomic_folder(folder) as temporary:
        config.save_pretrained(temporary)
        EmotionProcessor(**processors).save_pretrained(temporary)
        write_weights(weights, model, temporary, None if shared is None else SharedWeights(shared))


def config_of(
    model: EmotionModel, max_samples: int, max_tokens: int, training: dict[str, Any] | None
) -> EmotionModelConfig:
    """Configuration from which ``EmotionRecognitionModel`` builds the same model again."""
    encoders: dict[str, Any] = {}
    encoder: Any
    for modality, encoder in model.encoders.items():
        if isinstance(encoder, SpectrogramEncoder):
            encoders["spectrogram"] = encoder.options
        elif isinstance(encoder, SignalEncoder):
            encoders["signals"] = encoder.options
        else:
            encoders[f"{modality}_config"] = _plain(encoder.model.config)
    return EmotionModelConfig(
        **encoders,
        fusion=model.fusion_options,
        modality_dropout=model.missing.dropout,
        learned_missing=sorted(model.missing.replacements),
        label_space=model.label_space.to_json(),
        max_samples=max_samples,
        max_tokens=max_tokens,
        training=training or {},
        architectures=[EmotionRecognitionModel.__name__],
        dtype="float32",
    )


def _plain(config: PreTrainedConfig) -> dict[str, Any]:
    """Values of an encoder's configuration, without where it was loaded from, and without code that it would bring."""
    values = config.to_dict()
    for name in ("_name_or_path", "auto_map", "architectures", "dtype", "torch_dtype", "transformers_version"):
        values.pop(name, None)
    return values


def plain_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights by name, on the CPU, in float32 where they are numbers of lower precision. Low-rank adapters are added to them."""
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    for name, module in model.named_modules():
        base = getattr(module, "base_layer", None)
        if base is None or not hasattr(module, "get_delta_weight"):
            continue
        adapted: Any = module
        delta = sum(adapted.get_delta_weight(adapter) for adapter in adapted.active_adapters)
        for key in [key for key in weights if key.startswith(f"{name}.")]:
            value = weights.pop(key)
            if key.startswith(f"{name}.base_layer."):
                plain = key.replace(".base_layer.", ".")
                weights[plain] = value + delta.detach().cpu() if plain.endswith(".weight") else value
    return {
        name: value.float().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in weights.items()
    }


def load_model(folder: str | Path) -> SavedModel:
    """Reads a saved model. It reaches no network, and runs no code of the folder.

    Raises:
        FileNotFoundError: The folder is no saved model.
        OSError: One of its files is damaged.
        ValueError: Its weights are not those of its configuration.
    """
    folder = Path(folder)
    lacking = [one.name for one in (folder / "config.json", *weight_files(folder)) if not one.is_file()]
    if lacking:
        raise FileNotFoundError(
            f"A saved model has config.json and its weights ({WEIGHTS}, or files and their index): {folder} lacks "
            f"{' and '.join(lacking)}. Weights are read from safetensors only. Name the folder of a finished run, or one that "
            "python -m erc export wrote."
        )
    with _in_words(folder), quiet_transformers():
        _check_type(folder)
        config = EmotionModelConfig.from_pretrained(folder, local_files_only=True)
        model = EmotionRecognitionModel.from_pretrained(folder, config=config, local_files_only=True)
        processor = EmotionProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return SavedModel(model, processor, config)


def load_processors(folder: str | Path) -> dict[str, Any]:
    """Feature extractor and tokenizer of a saved model; errors as for ``load_model``."""
    with _in_words(Path(folder)), quiet_transformers():
        return _by_name(EmotionProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False))


def _check_type(folder: Path) -> None:
    """Raises ValueError unless ``config.json`` is of a model of this program."""
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = stored.get("model_type") if isinstance(stored, dict) else None
    if found != EmotionModelConfig.model_type:
        raise ValueError(
            f"A saved model is one of this program: expected model_type {EmotionModelConfig.model_type}, got {found!r} "
            f"({folder / 'config.json'}). Name the folder of a finished run, or one that python -m erc export wrote."
        )


@contextlib.contextmanager
def _in_words(folder: Path) -> Any:
    """Turns what a damaged file raises into an OSError that names the folder."""
    try:
        yield
    except (StrictDataclassError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as err:
        raise OSError(
            f"A saved model's files must be as they were written: {folder}: {type(err).__name__}: {err}. Save or fetch it again."
        ) from err
