"""A new model, or a saved one that is trained on: with the same labels or with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from erc.labels import LabelSpace
from erc.model.emotion_model import EmotionModel, arguments_of
from erc.model.encoders import AudioEncoder, Encoder, TextEncoder
from erc.model.fusion.base import Fusion
from erc.model.heads import Heads
from erc.model.missing import ModalityDropout
from erc.model.places import saved_model
from erc.model.saving import load_model
from erc.model.signal_encoder import SignalEncoder


def build_model(
    encoders: dict[str, Callable[[], Encoder]],
    fusion: Callable[..., Fusion],
    label_space: LabelSpace,
    init_from: str | None = None,
    modality_dropout: ModalityDropout = 0.0,
) -> EmotionModel:
    """The model of a configuration (option ``model``).

    Args:
        encoders: See ``EmotionModel``.
        fusion: See ``EmotionModel``.
        label_space: What is predicted.
        init_from: A saved model or a finished run folder whose weights training starts from; None starts from the encoders'
            own. Encoders and tokenizer are those of the saved model then, and the encoders' names are not looked at; options
            such as ``freeze`` and ``lora_rank`` hold. A head is taken over if it answers the same question, else it is new,
            and a line says so.
        modality_dropout: See ``EmotionModel``.

    Raises:
        FileNotFoundError: ``init_from`` names no saved model.
        OSError: Its files are damaged.
        ValueError: Its fusion or the kind of its encoders is another than the configuration's.
    """
    if init_from is None:
        return EmotionModel(encoders, fusion, label_space, modality_dropout)
    model = load_model(saved_model(init_from)).model.emotion_model
    _check_fusion(model, fusion, init_from)
    model.train()
    model.unused = tuple(modality for modality in encoders if modality not in model.encoders)
    for modality, encoder in model.encoders.items():
        asked: Any = encoders[modality]
        if not isinstance(encoder, getattr(asked, "func", asked)):
            raise ValueError(
                f"A model that is trained on keeps its encoders: {init_from} has a {type(encoder).__name__} for {modality}, the "
                f"configuration another. Set encoders to that kind."
            )
        options = {name: value for name, value in asked.keywords.items() if name not in ("name", "revision")}
        if isinstance(encoder, AudioEncoder | TextEncoder):
            encoder.adapt(**options)
        elif isinstance(encoder, SignalEncoder) and encoder.options["form"] != options["form"]:
            raise ValueError(
                f"A model that is trained on keeps the form of its bio-signals: {init_from} reads {encoder.options['form']}, the "
                f"configuration gives {options['form']}. Set dataset.signals={encoder.options['form']}."
            )
    _renew_heads(model, label_space)
    model.missing.dropout = modality_dropout
    if modality_dropout > 0:
        model.missing.learn(model.encoders)
    return model


def _check_fusion(model: EmotionModel, fusion: Any, init_from: str) -> None:
    fusion_class = getattr(fusion, "func", fusion)
    asked = {"name": fusion_class.__name__, **arguments_of(fusion_class, fusion)}
    # dropout has no weights, so it may be another
    differing = [name for name in asked if name != "dropout" and asked[name] != model.fusion_options.get(name)]
    if differing:
        listed = "; ".join(f"{name}: {model.fusion_options.get(name)} there, {asked[name]} here" for name in differing)
        raise ValueError(
            f"A model that is trained on keeps its fusion: {init_from} differs ({listed}). Choose the fusion of that model (fusion=…)."
        )


def _renew_heads(model: EmotionModel, label_space: LabelSpace) -> None:
    """Gives a model the heads of a label space; those that answer the same question keep their weights."""
    before, new = model.label_space, Heads(model.fusion.dim, label_space)
    if label_space.emotions == before.emotions:
        new.emotion = model.heads.emotion
    else:
        print(f"New head for the emotions: {', '.join(label_space.emotions)} (before: {', '.join(before.emotions)}).")
    if (label_space.dimensions, label_space.scale) == (before.dimensions, before.scale):
        new.va = model.heads.va
    elif label_space.dimensions:
        print(f"New head for {', '.join(label_space.dimensions)}: dimensions or scale are others than before.")
    model.heads, model.label_space = new, label_space
