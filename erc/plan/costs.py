"""Measured pieces and the batches of a run -> seconds, operations, memory and disk of a cell.

Convention: an encoder's cost is a constant a call plus a part that grows with segments x padded length; a fusion's grows with
the segments, and so does that of an encoder whose input has one length (features of bio-signals). Seconds are of one process;
bytes are 8 bits; a GB is 10^9 bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from erc.plan.lengths import Batches
from erc.plan.loop import Line
from erc.plan.model import Built
from erc.plan.parts import Curve, Points

CONTEXT_BYTES = 600_000_000
"""Of a GPU's memory, for CUDA and its libraries."""

USABLE = 0.92
"""Share of a GPU's memory that is planned with: its allocator leaves gaps."""

EXTRA_LARGEST = 2
"""Tensors of the largest kept size that a backward pass has at a time beside what is kept."""


class Depth(NamedTuple):
    """An encoder as it is trained."""

    built: Built
    layerdrop: float
    n_trained: int | None
    """Layers from the top that are trained, and nothing else; None for all of the encoder, 0 for none of it."""
    is_cached: bool = False
    """What is below them is computed once and read in training (option ``dataloader.cache``)."""
    has_cut: bool = True
    """False where the whole encoder is frozen by option ``freeze``: every checkpoint and saved model then holds it."""

    @property
    def n_shared(self) -> int:
        """Weights below the cut, which all cells share on the disk."""
        if self.n_trained is None or not self.has_cut:
            return 0
        n_below = self.built.n_layers - _n_trained(self)
        return self.built.parameters_of_base(False) + n_below * self.built.parameters_of_layer(False)


class Measured(NamedTuple):
    """What a machine measured of one configuration in one precision."""

    points: Points
    curves: dict[str, Curve]
    """``audio``, ``text``, ``signals`` (without layers), ``audio layers``, ``text layers`` (one layer), and each fusion."""
    recomputed: dict[str, float]
    """Bytes a measured batch that one layer keeps while its activations are computed again, by modality."""
    loop: Line
    """Seconds of a batch beside the model, by padded samples."""
    optimizer: float
    """Seconds a trained weight."""
    writing: Line
    """Seconds of a checkpoint by bytes."""
    product: float
    """Operations a second of a matrix product."""
    is_gpu: bool
    process_bytes: int
    """Of the process with its libraries; not on a GPU."""


class Weights(NamedTuple):
    """Numbers of weights."""

    all: int
    trained: int
    frozen: int = 0
    """Those below the cuts of encoders, which no checkpoint holds and which all cells share."""


class Sum(NamedTuple):
    """Of several batches."""

    seconds: float
    operations: float


def weights_of(depths: dict[str, Depth], model: Any) -> Weights:
    """Weights of the whole model, of which ``model`` has few layers."""
    rest = sum(one.numel() for one in model.parameters())
    rest -= sum(one.numel() for one in model.encoders.parameters())
    n_all = n_trained = rest
    for name in model.encoders:
        built, n = depths[name].built, depths[name].n_trained
        n_all += built.parameters_of_base(False) + built.n_layers * built.parameters_of_layer(False)
        base = built.parameters_of_base(True) if n is None else 0
        n_trained += base + _n_trained(depths[name]) * built.parameters_of_layer(True)
    return Weights(n_all, n_trained, sum(depths[name].n_shared for name in model.encoders))


def _n_trained(depth: Depth) -> int:
    return depth.built.n_layers if depth.n_trained is None else min(depth.n_trained, depth.built.n_layers)


def cost_of(
    batches: Batches,
    depths: dict[str, Depth],
    fusion: str,
    modalities: tuple[str, ...],
    measured: Measured,
    training: bool,
) -> Sum:
    """Seconds and operations of the model and the loop over batches; the optimizer is not among them."""
    seconds = float(measured.loop.at(batches.samples).sum())
    operations = 0.0
    for name in modalities:
        for curve, is_trained, factor in _calls(name, depths[name], measured, training):
            kinds = ("train", "train_operations") if is_trained else ("forward", "forward_operations")
            found = [_at(getattr(curve, kind), name, batches, measured.points) for kind in kinds]
            seconds, operations = seconds + factor * float(found[0].sum()), operations + factor * float(found[1].sum())
    curve = measured.curves[fusion]
    kinds = ("train", "train_operations") if training else ("forward", "forward_operations")
    found = [_fused(getattr(curve, kind), _axis(modalities), batches, measured.points) for kind in kinds]
    return Sum(seconds + float(found[0].sum()), operations + float(found[1].sum()))


def _calls(name: str, depth: Depth, measured: Measured, training: bool) -> list[tuple[Curve, bool, float]]:
    """Curve, whether it is differentiated, and how often it is called, of each piece of an encoder."""
    built, layerdrop, n, is_cached, _ = depth
    base_trained = training and n is None and built.parameters_of_base(True) > 0
    below = 0.0 if is_cached and n is not None else 1.0
    calls = [(measured.curves[name], base_trained, below)]
    if built.n_layers:
        layer, n_top = measured.curves[f"{name} layers"], _n_trained(depth)
        above = n_top * (1 - layerdrop if training and n is None else 1.0)
        calls += [(layer, False, below * (built.n_layers - n_top)), (layer, training, above)]
    return calls


def below_once(
    batches: Batches, depths: dict[str, Depth], fusion: str, modalities: tuple[str, ...], measured: Measured
) -> Sum:
    """What a cache saves in one pass over the batches: the cost of all that is below the trained layers."""
    ways = [
        cost_of(
            batches,
            {name: one._replace(is_cached=cached) for name, one in depths.items()},
            fusion,
            modalities,
            measured,
            False,
        )
        for cached in (False, True)
    ]
    return Sum(ways[0].seconds - ways[1].seconds, ways[0].operations - ways[1].operations)


def _axis(modalities: tuple[str, ...]) -> str:
    """The modality with whose length a fusion's cost grows: audio, or the only one."""
    return "audio" if "audio" in modalities else modalities[0]


def _at(values: np.ndarray, axis: str, batches: Batches, points: Points) -> np.ndarray:
    """An encoder's cost of each batch (N,); see the convention above."""
    short, long = points.lengths(axis)
    slope = (values[1] - values[0]) / (long - short) if long > short else 0.0
    constant = values[0] - slope * short
    if constant < 0 or long == short:  # it grows faster than the length, or has one: it is right where it was measured
        slope, constant = values[1] / long, 0.0
    return np.maximum(0.0, constant + slope * batches.lengths(axis) * batches.sizes / points.n_segments)


def _fused(values: np.ndarray, axis: str, batches: Batches, points: Points) -> np.ndarray:
    short, long = points.lengths(axis)
    slope = (values[1] - values[0]) / (long - short) if long > short else 0.0
    return np.maximum(0.0, values[0] + slope * (batches.lengths(axis) - short)) * batches.sizes / points.n_fused


def activation_bytes(
    batches: Batches, depths: dict[str, Depth], fusion: str, modalities: tuple[str, ...], measured: Measured
) -> np.ndarray:
    """(N,) bytes that each batch keeps for its backward pass, and what that pass needs at a time."""
    total, largest = np.zeros(len(batches.sizes)), np.zeros(len(batches.sizes))
    for name in modalities:
        for curve, is_trained, factor in _calls(name, depths[name], measured, training=True):
            if is_trained and factor:
                total += factor * _at(curve.kept, name, batches, measured.points)
                largest = np.maximum(largest, _at(curve.largest, name, batches, measured.points))
        if _n_trained(depths[name]):
            total += measured.recomputed.get(name, 0.0) * batches.sizes / measured.points.n_segments
    total += _fused(measured.curves[fusion].kept, _axis(modalities), batches, measured.points)
    return total + EXTRA_LARGEST * largest


def fixed_bytes(weights: Weights, measured: Measured) -> float:
    """Memory that does not depend on the batch: weights, gradients, AdamW's two averages; on a GPU its context."""
    held = 4 * weights.all + 12 * weights.trained
    return held + (CONTEXT_BYTES if measured.is_gpu else measured.process_bytes)


def memory_bytes(weights: Weights, activations: float, measured: Measured) -> float:
    """Peak: in the backward pass, or, on a GPU, in the optimizer's step, which updates all weights at once."""
    step = 4 * weights.trained if measured.is_gpu else 0
    return fixed_bytes(weights, measured) + max(activations, step)


def disk_bytes(weights: Weights) -> tuple[int, int, int]:
    """Bytes that a finished cell keeps, those of them that all cells share, and bytes that a cell in training needs
    (``erc.training.checkpoints.check_room``).
    """
    own, shared = 4 * (weights.all - weights.frozen), 4 * weights.frozen
    return own + shared, shared, 2 * own + 3 * (own + 8 * weights.trained) + shared


def written_seconds(weights: Weights, writing: Line) -> float:
    """Seconds of the checkpoints of one epoch: all that going on needs, and the selected weights."""
    selected = 4 * (weights.all - weights.frozen)
    return float(writing.at(selected + 8 * weights.trained) + writing.at(selected))
