"""The cut through an encoder: what is below it is frozen, what is above it is trained (option ``train_last``).

The last ``train_last`` transformer layers are above the cut. Below it are the layers before them and all that comes before the
layers: convolutions, feature projection, positional convolution, SpecAugment's vector and embeddings. Norms:

- The norm at the end of the last layer (wav2vec2 with ``do_stable_layer_norm``: ``encoder.layer_norm``) is above the cut.
- The norm before the first layer (wav2vec2 without it: ``encoder.layer_norm``; ``feature_projection.layer_norm``) is below.

Nothing is above a cut of 0: the whole encoder is frozen, the last norm as well. What is below stays in evaluation mode: no
dropout, no layer drop, no SpecAugment.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
import xxhash
from torch import nn
from transformers.masking_utils import create_bidirectional_mask

LAYERS = {
    "wav2vec2": "layers",
    "hubert": "layers",
    "wavlm": "layers",
    "bert": "layer",
    "roberta": "layer",
    "xlm-roberta": "layer",
}
"""Kinds of encoders that can be cut above 0, by ``config.model_type``, and the name of the layers in ``model.encoder``."""

NOT_COMPUTING = ("architectures", "auto_map", "dtype", "torch_dtype", "transformers_version")
"""Entries of a configuration that say where a model comes from."""

INSTEAD = ("freeze", "freeze_feature_encoder", "lora_rank")
"""Options that say in another way what is trained."""


def cut_complaint(options: dict[str, Any]) -> str:
    """What is wrong with an encoder's options where ``train_last`` is set; empty if nothing is.

    Args:
        options: Values by name; those that are missing count as not set.
    """
    others = [name for name in INSTEAD if options.get(name)]
    if options.get("train_last") is None or not others:
        return ""
    return (
        f"train_last says alone what is trained of an encoder: expected no other option for it, got "
        f"{' and '.join(f'{name}={options[name]}' for name in others)}. Set train_last=null, or leave "
        f"{' and '.join(others)} out; below the cut all is frozen"
    )


class LayerCut:
    """Divides an encoder into a frozen part below and a trained part above.

    Args:
        model: Hugging Face model; all below the cut is frozen in place.
        train_last: Number of layers above the cut, 0 or more.

    Raises:
        ValueError: The encoder has fewer layers, or is of a kind that cannot be divided.
    """

    def __init__(self, model: Any, train_last: int) -> None:
        self.model, self.train_last = model, train_last
        self.trained: list[nn.Module] = []
        """Parts above the cut."""
        if train_last:
            _check_kind(model)
            layers = self._layers()
            if train_last > len(layers):
                raise ValueError(
                    f"train_last is a number of the encoder's layers: expected 0 to {len(layers)}, got {train_last} "
                    f"({model.config.model_type}). Set fewer, or train_last=null, which trains all of it."
                )
            self.trained = [*layers[-train_last:], *self._last_norm()]
        model.requires_grad_(False)
        for part in self.trained:
            part.requires_grad_(True)

    def set_mode(self, training: bool) -> None:
        """Sets training or evaluation mode above the cut, and always evaluation mode below."""
        self.model.eval()
        for part in self.trained:
            part.train(training)

    def below(self) -> Any:
        """The frozen part as a model, which shares its weights: its ``last_hidden_state`` is what the cut lets through."""
        if not self.train_last:
            return self.model
        kept = nn.ModuleList(list(self._layers())[: -self.train_last])
        norms = {"layer_norm": nn.Identity()} if self._last_norm() else {}
        return _view(self.model, encoder=_view(self.model.encoder, **{self._name: kept}, **norms))

    def above(self, hidden: torch.Tensor, mask: torch.Tensor, training: bool) -> torch.Tensor:
        """The trained layers: (B, T, D) and mask (B, T) bool -> (B, T, D).

        Args:
            hidden: What the cut lets through; any values in padded steps.
            mask: Real steps.
            training: Whether layer drop is on.
        """
        if not self.train_last:
            return hidden
        first, options = self._layers()[0], self._attention(hidden, mask)
        layerdrop = getattr(self.model.config, "layerdrop", 0.0) if training else 0.0
        for layer in self._layers()[-self.train_last :]:
            is_needed = layer is first and "position_bias" in options  # WavLM never drops the layer that holds the bias
            if layerdrop > 0 and not is_needed and torch.rand([]) < layerdrop:
                continue
            result = layer(hidden, **options)
            hidden = result[0] if isinstance(result, tuple) else result
        for norm in self._last_norm():
            hidden = norm(hidden)
        return hidden

    def frozen(self) -> list[torch.Tensor]:
        """All weights below; SpecAugment's vector is none, because it may be drawn anew in each run and is not used."""
        below = self.below()
        named = (*below.named_parameters(), *below.named_buffers())
        return [value for name, value in named if name != "masked_spec_embed"]

    def fingerprint(self) -> str:
        """Hash of everything that ``below`` computes with: kind, configuration and weights."""
        config = {
            name: value
            for name, value in self.model.config.to_dict().items()
            if name not in NOT_COMPUTING and not name.startswith("_")
        }
        digest = xxhash.xxh3_128(json.dumps(config, sort_keys=True, default=str).encode())
        for name, value in self.below().state_dict().items():
            if name != "masked_spec_embed":  # SpecAugment is off, and its weight may be drawn anew in each run
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @property
    def _name(self) -> str:
        return LAYERS[self.model.config.model_type]

    def _layers(self) -> nn.ModuleList:
        return getattr(self.model.encoder, self._name)

    def _last_norm(self) -> list[nn.Module]:
        """The norm behind the last layer, where there is one."""
        return [self.model.encoder.layer_norm] if getattr(self.model.config, "do_stable_layer_norm", False) else []

    def _attention(self, hidden: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
        """What each layer reads beside the hidden states."""
        config = self.model.config
        if config.model_type != "wavlm":
            return {"attention_mask": create_bidirectional_mask(config, hidden, mask.long())}
        n_segments, n_steps, _ = hidden.shape
        attention: Any = self._layers()[0].attention
        bias = attention.compute_bias(n_steps, n_steps)  # (heads, T, T), the same for all segments
        return {"attention_mask": mask, "position_bias": bias.repeat(n_segments, 1, 1)}


def _check_kind(model: Any) -> None:
    """Raises ValueError unless the encoder's layers can be run apart from what is before them."""
    kind = model.config.model_type
    if kind not in LAYERS:
        raise ValueError(
            f"Some layers of an encoder are trained where its kind is known: expected one of {', '.join(LAYERS)}, got {kind}. Set "
            "train_last=0, or train_last=null."
        )
    if getattr(model, "adapter", None) is not None:
        raise ValueError(
            "An encoder whose last layers are trained has nothing behind them: expected one without convolutional adapter, got "
            "add_adapter=true. Set train_last=0, or train_last=null."
        )


def _view(module: nn.Module, **replaced: nn.Module) -> nn.Module:
    """A module that shares everything with another but some submodules."""
    view = copy.copy(module)
    view._modules = {**module._modules, **replaced}
    return view
