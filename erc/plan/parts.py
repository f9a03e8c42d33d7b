"""The pieces of a training step, each measured at two lengths: encoders without layers, layers, fusion, loader, optimizer.

A piece's cost at another length, batch size or number of layers follows from these two points (``costs.py``).
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from erc.data import FEATURES, SAMPLE_RATE, SIGNALS
from erc.plan.model import Built, build_model
from erc.plan.timing import interleaved, kept_bytes, operations, synchronize

SHORT = 0.5
"""The shorter of the two lengths, as a share of the longer one, which is what training reads at most. Audio of a
much shorter one would be computed in another way than the batches of training are (``erc/model/products.py``), and mislead at
every other length."""

SLOW_SECONDS = 1.0
"""Where the slowest piece takes longer, fewer segments are measured at once."""


MOST_FUSED = 8
"""Segments of a fusion that are measured at once, at most."""


class Curve(NamedTuple):
    """Cost of a piece for the measured batch, (2,) each: at the shorter and at the longer length."""

    forward: np.ndarray
    """Seconds without a gradient."""
    train: np.ndarray
    """Seconds of forward and backward pass."""
    forward_operations: np.ndarray
    train_operations: np.ndarray
    kept: np.ndarray
    """Bytes that are kept for the backward pass."""
    largest: np.ndarray
    """Of these, the largest tensor."""

    def minus(self, other: Curve) -> Curve:
        """What this piece has beyond another; 0 where noise would make it negative."""
        return Curve(*(np.maximum(mine - its, 0) for mine, its in zip(self, other, strict=True)))._replace(
            largest=self.largest
        )

    def times(self, factor: float) -> Curve:
        """So many of it, one after the other."""
        return Curve(*(factor * value for value in self))._replace(largest=self.largest)


class Piece(NamedTuple):
    """A forward pass of a part of the model."""

    module: nn.Module
    run: Callable[[int], torch.Tensor]
    """Index of the length (0 or 1) -> a number to differentiate."""
    built: Built | None = None
    is_bare: bool = False
    """Without its layers."""


class Points(NamedTuple):
    """Where the costs are measured."""

    n_segments: int
    """Of an encoder."""
    n_fused: int
    """Of a fusion, whose cost grows with the number of segments and hardly with their length."""
    samples: tuple[int, int]
    tokens: tuple[int, int]
    steps: tuple[int, int]
    """Of the bio-signals; features have one length, so these may be alike."""

    def lengths(self, modality: str) -> tuple[int, int]:
        """The two lengths of a modality."""
        return {"audio": self.samples, "text": self.tokens, "signals": self.steps}[modality]


def points_of(
    config: dict[str, Any], built: dict[str, Built], models: dict[str, Any], most_steps: int, device: torch.device
) -> Points:
    """The two lengths of a configuration, and how many segments at once this machine measures in time.

    Args:
        config: Plain values of the run.
        built: Encoders by modality.
        models: Models by the name of their fusion.
        most_steps: Of the longest bio-signals; no option cuts them.
        device: Where the encoders are.
    """
    collate, size = config["dataloader"]["collate"], config["dataloader"]["batch_size"]
    samples = max(SAMPLE_RATE // 10, round(SHORT * collate["max_samples"])), collate["max_samples"]
    tokens = max(3, round(SHORT * collate["max_tokens"])), max(4, collate["max_tokens"])
    steps = max(1, round(SHORT * most_steps)), most_steps
    one = Points(1, 1, samples, tokens, steps)
    seconds = {"encoders": 1e-9, "fusions": 1e-9}
    for name, piece in pieces_of(built, models, one, device, torch.float32).items():
        step = _training(piece, 1, device, torch.float32)
        step()
        begun = time.perf_counter()
        step()
        synchronize(device)
        kind = "fusions" if name in models else "encoders"
        seconds[kind] = max(seconds[kind], time.perf_counter() - begun)
    n_segments, n_fused = (int(min(size, max(1, SLOW_SECONDS // taken))) for taken in seconds.values())
    return Points(n_segments, min(n_fused, MOST_FUSED), samples, tokens, steps)


def pieces_of(
    built: dict[str, Built], models: dict[str, Any], points: Points, device: torch.device, dtype: torch.dtype
) -> dict[str, Piece]:
    """Pieces by name: ``audio``, ``text`` and ``signals`` without layers, ``audio layers``, ``text layers``, and each fusion.

    Args:
        built: Encoders by modality.
        models: Models by the name of their fusion.
        points: Lengths.
        device: Where the encoders are.
        dtype: Of what a layer or a fusion reads.
    """
    found: dict[str, Piece] = {}
    n_frames: dict[str, tuple[int, int]] = {}
    for modality, one in built.items():
        inputs = [_inputs(modality, one, points, index, device) for index in (0, 1)]
        with torch.no_grad(), one.without_layers():
            n_frames[modality] = tuple(one.encoder(*pair)[0].shape[1] for pair in inputs)
        found[modality] = Piece(one.encoder, functools.partial(_encoded, one.encoder, inputs), one, True)
        if not one.n_layers:
            continue
        if modality == "text":
            found["text layers"] = found["text"]._replace(is_bare=False)
            continue
        hidden = [torch.randn(points.n_segments, n, one.encoder.dim, device=device) for n in n_frames[modality]]
        masks = [_mask(points.n_segments, n, device) for n in n_frames[modality]]

        def layers(i: int, one: Built = one, hidden: Any = hidden, masks: Any = masks) -> torch.Tensor:
            # times 1: an encoder sets padded frames to zero in place, which a leaf forbids
            return one.stack(hidden[i].requires_grad_() * 1, attention_mask=masks[i]).last_hidden_state.sum()

        found[f"{modality} layers"] = Piece(one.stack, layers, one)
        found[f"{modality} stack"] = Piece(one.stack, layers, one, True)
    for name, model in models.items():
        found[name] = Piece(nn.ModuleList([model.fusion, model.heads]), _fusing(model, n_frames, points, device))
    return found


def _fusing(
    model: Any, n_frames: dict[str, tuple[int, int]], points: Points, device: torch.device
) -> Callable[[int], torch.Tensor]:
    sequences, masks = [], []
    for i in (0, 1):
        sizes = {name: (points.n_fused, n_frames[name][i]) for name in model.encoders}
        sequences.append(
            {name: torch.randn(*size, model.encoders[name].dim, device=device) for name, size in sizes.items()}
        )
        masks.append({name: _mask(*size, device) for name, size in sizes.items()})

    def run(i: int) -> torch.Tensor:
        fused = model.fusion({name: one.requires_grad_() * 1 for name, one in sequences[i].items()}, masks[i])
        return torch.cat(model.heads(fused), dim=1).sum()

    return run


def _encoded(encoder: nn.Module, inputs: list[tuple[Any, Any]], index: int) -> torch.Tensor:
    """A number that depends on all that an encoder gives for one of the inputs."""
    return encoder(*inputs[index])[0].sum()


def _inputs(modality: str, one: Built, points: Points, index: int, device: torch.device) -> tuple[Any, Any]:
    size = (points.n_segments, points.lengths(modality)[index])
    mask = _mask(*size, device)
    if modality == "audio":
        return torch.randn(*size, device=device), mask
    if modality == "text":
        return torch.randint(5, one.encoder.model.config.vocab_size, size, device=device), mask
    if one.encoder.form == "features":
        values = torch.randn(points.n_segments, len(FEATURES), device=device)
        return values, torch.ones_like(values, dtype=torch.bool)
    values = torch.randn(*size, len(SIGNALS), device=device)
    return values, mask.unsqueeze(-1).expand_as(values)


def _mask(n_segments: int, length: int, device: torch.device) -> torch.Tensor:
    """(n_segments, length) bool; all but the first segment have some padding, as in a bucket."""
    mask = torch.ones(n_segments, length, dtype=torch.bool, device=device)
    mask[1:, length - length // 20 :] = False
    return mask


def _training(piece: Piece, index: int, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    """Forward and backward pass of a piece."""
    forward = _forward(piece, index, device, dtype)

    def run() -> None:
        for parameter in piece.module.parameters():
            parameter.grad = None
        loss = forward()
        if loss.requires_grad:  # low-rank adapters leave nothing to train outside of the layers
            loss.backward()

    return run


def _forward(piece: Piece, index: int, device: torch.device, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    def run() -> torch.Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            if piece.built is not None and piece.is_bare:
                with piece.built.without_layers():
                    return piece.run(index)
            return piece.run(index)

    return run


def _without_gradient(forward: Callable[[], torch.Tensor]) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            forward()

    return run


def measure(pieces: dict[str, Piece], device: torch.device, dtype: torch.dtype, seconds: float) -> dict[str, Curve]:
    """Cost of every piece, in turn.

    Args:
        pieces: By name.
        device: Where they compute.
        dtype: float32, or bfloat16 for mixed precision.
        seconds: For all of them.
    """
    runs: dict[Hashable, Callable[[], object]] = {}
    for (name, piece), index in itertools.product(pieces.items(), (0, 1)):
        runs[name, index, "train"] = _training(piece, index, device, dtype)
        runs[name, index, "forward"] = _without_gradient(_forward(piece, index, device, dtype))
    taken = interleaved(runs, device, seconds)
    found = {}
    for name, piece in pieces.items():
        kept = [kept_bytes(_forward(piece, index, device, dtype), piece.module.parameters()) for index in (0, 1)]
        found[name] = Curve(
            *(np.array([taken[name, index, kind] for index in (0, 1)]) for kind in ("forward", "train")),
            *(np.array([operations(runs[name, i, kind]) for i in (0, 1)]) for kind in ("forward", "train")),
            *(np.array(values, dtype=float) for values in zip(*kept, strict=True)),
        )
    return found


def per_layer(curves: dict[str, Curve], built: dict[str, Built]) -> dict[str, Curve]:
    """The curves with ``audio layers`` and ``text layers`` of one layer each, and without what was needed to find them."""
    found = dict(curves)
    for modality, one in built.items():
        if one.n_layers:
            bare = found.pop(f"{modality} stack", found[modality])
            name = f"{modality} layers"
            found[name] = found[name].minus(bare).times(1 / len(one.layers))
    return found


def layer_without_checkpointing(piece: Piece, device: torch.device, dtype: torch.dtype) -> float:
    """Bytes that one layer keeps while its activations are computed again."""
    assert piece.built is not None
    with piece.built.without_checkpointing():
        whole, _ = kept_bytes(_forward(piece, 1, device, dtype), piece.module.parameters())
        bare, _ = kept_bytes(_forward(piece._replace(is_bare=True), 1, device, dtype), piece.module.parameters())
    return max(0, whole - bare) / len(piece.built.layers)


def build_models(
    built: dict[str, Built], fusions: dict[str, Any], label_space: Any, offered: Iterable[str]
) -> dict[str, Any]:
    """A model for each fusion, with common encoders; see ``build_model``."""
    return {name: build_model(built, node, label_space, offered) for name, node in fusions.items()}
