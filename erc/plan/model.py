"""The model of a configuration with random weights and few layers, on which costs are measured.

A layer costs what its neighbours cost, so a deep encoder is built with ``MAX_LAYERS`` of its layers, and the others are counted.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import nn

from erc.labels import LabelSpace
from erc.model import AudioEncoder, EmotionModel, Encoder, TextEncoder, encoder_config, saved_encoder_config

MAX_LAYERS = 3
"""Layers that are built of a deeper encoder."""


class Built(NamedTuple):
    """An encoder with few layers, and what is known of the whole one."""

    encoder: Any
    n_layers: int
    """Of the whole encoder; 0 where it has no transformer layers."""
    source: str
    """Where its size was found, in words."""

    @property
    def layers(self) -> nn.ModuleList:
        """The layers that are built; an empty list where the encoder has none."""
        return getattr(self.stack, self._name) if self._name else nn.ModuleList()

    @property
    def stack(self) -> Any:
        """The module that holds the layers."""
        return self.encoder.model.encoder

    @property
    def _name(self) -> str:
        stack = getattr(getattr(self.encoder, "model", None), "encoder", nn.Module())
        return next((name for name, part in stack.named_children() if isinstance(part, nn.ModuleList)), "")

    @contextlib.contextmanager
    def without_layers(self) -> Iterator[None]:
        """Within the block the encoder has no layer."""
        layers, name = self.layers, self._name
        if name:
            setattr(self.stack, name, nn.ModuleList())
        try:
            yield
        finally:
            if name:
                setattr(self.stack, name, layers)

    @contextlib.contextmanager
    def without_checkpointing(self) -> Iterator[None]:
        """Within the block every activation is kept."""
        found = [one for one in self.encoder.modules() if getattr(one, "gradient_checkpointing", False)]
        for one in found:
            one.gradient_checkpointing = False
        try:
            yield
        finally:
            for one in found:
                one.gradient_checkpointing = True

    def parameters_of_layer(self, trained: bool) -> int:
        """Weights of one layer; those that its options train, or all."""
        return n_parameters(self.layers[0], trained) if len(self.layers) else 0

    def parameters_of_base(self, trained: bool) -> int:
        """Weights outside of the layers."""
        return n_parameters(self.encoder, trained) - sum(n_parameters(layer, trained) for layer in self.layers)


def n_parameters(module: nn.Module, trained: bool) -> int:
    """Number of weights; only those that are trained, or all."""
    return sum(one.numel() for one in module.parameters() if one.requires_grad or not trained)


def few_layers(config: dict[str, Any], modality: str) -> Built:
    """An encoder of the configuration with random weights and at most ``MAX_LAYERS`` layers, whole in training.

    Args:
        config: Plain values of the run.
        modality: Which encoder.

    Raises:
        OSError: Its size is not known.
    """
    node, saved = config["encoders"][modality], config["model"].get("init_from")
    kind = get_class(node["_target_"])
    if not issubclass(kind, AudioEncoder | TextEncoder):
        encoder: Encoder = instantiate(OmegaConf.create(node), _convert_="all")()
        return Built(encoder.train(), 0, "no pre-trained weights")
    kept = saved_encoder_config(modality, saved) if saved else None
    found, source = (
        encoder_config(modality, node["name"], node["revision"]) if kept is None else (kept, "the saved model")
    )
    small = copy.deepcopy(found)
    small.num_hidden_layers = min(found.num_hidden_layers, MAX_LAYERS)
    if hasattr(small, "layerdrop"):
        small.layerdrop = 0.0  # every layer that is built is measured
    encoder = kind.from_config(small)
    passed = ("freeze_feature_encoder", "gradient_checkpointing", "lora_rank")
    encoder.adapt(**{name: node[name] for name in passed if name in node})
    return Built(encoder.train(), found.num_hidden_layers, source)


def layerdrop_of(config: dict[str, Any], modality: str) -> float:
    """Share of an encoder's layers that training leaves out; none where several processes train."""
    node, saved = config["encoders"][modality], config["model"].get("init_from")
    if "layerdrop" not in node or config["trainer"].get("devices", 1) != 1:
        return 0.0
    if node["layerdrop"] is not None:
        return float(node["layerdrop"])
    kept = (
        saved_encoder_config(modality, saved) if saved else encoder_config(modality, node["name"], node["revision"])[0]
    )
    return float(getattr(kept, "layerdrop", 0.0))


def build_model(
    built: dict[str, Built], fusion: dict[str, Any], label_space: LabelSpace, offered: Iterable[str] = ()
) -> EmotionModel:
    """A model of these encoders and a fusion.

    Args:
        built: Encoders by modality, those at least that the fusion reads.
        fusion: Options of the fusion.
        label_space: What is predicted.
        offered: Further modalities that the configuration has and no fusion reads.
    """
    made = instantiate(OmegaConf.create(fusion), _convert_="all")
    encoders: dict[str, Any] = dict.fromkeys(offered) | {
        name: lambda one=one: one.encoder for name, one in built.items()
    }
    return EmotionModel(encoders, made, label_space)


def parts_of(config: dict[str, Any]) -> dict[str, Any]:
    """The parts of a configuration that build something, as train.py has them."""
    wanted = ("dataset", "dataloader", "loss", "optim", "scheduler", "trainer", "synthetic")
    return instantiate(OmegaConf.create({name: config[name] for name in wanted}), _convert_="all")
