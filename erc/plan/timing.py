"""Seconds, floating-point operations and kept bytes of pieces of a training step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from erc.model import speed_up

MATRIX = 2048
"""Rows and columns of the matrices whose product is timed."""

MIN_ROUNDS, MAX_ROUNDS = 3, 15

SLICE_SECONDS = 0.05
"""A shorter run is repeated for so long."""


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(runs: Mapping[Any, Callable[[], object]], device: torch.device, seconds: float) -> dict[Any, float]:
    """Mean seconds of each run. They take turns, so that other work on the machine slows all of them alike.

    A run that is shorter than the time slices in which the system shares a core is repeated. A median would leave out the
    waits for that core, which training does not escape.

    Args:
        runs: What is timed, by name.
        device: Where they compute.
        seconds: For all of them together, at least three turns.
    """
    taken: dict[Hashable, list[float]] = {name: [] for name in runs}
    repeats = {}
    for name, run in runs.items():
        run()  # not counted: the first call of an operation chooses how it is computed
        synchronize(device)
        begun = time.perf_counter()
        run()
        synchronize(device)
        repeats[name] = max(1, round(SLICE_SECONDS / (time.perf_counter() - begun)))
    started, n_rounds = time.perf_counter(), 0
    while n_rounds < MIN_ROUNDS or (time.perf_counter() - started < seconds and n_rounds < MAX_ROUNDS):
        for name, run in runs.items():
            synchronize(device)
            begun = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            synchronize(device)
            taken[name].append((time.perf_counter() - begun) / repeats[name])
        n_rounds += 1
    return {name: statistics.fmean(found) for name, found in taken.items()}


def matrix_product(device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    """A product of two square matrices, as a model computes it; ``MATRIX_OPERATIONS`` operations."""
    layer = nn.Linear(MATRIX, MATRIX, bias=False, device=device, dtype=dtype).requires_grad_(False)
    speed_up(layer)
    left = torch.randn(MATRIX, MATRIX, device=device, dtype=dtype)
    return lambda: layer(left)


MATRIX_OPERATIONS = 2 * MATRIX**3


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of a run; products and convolutions count, a multiplication and an addition as two."""
    ops = torch.ops.aten
    attention = {  # the CPU's kernel is not in torch's own table
        ops._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
        ops._scaled_dot_product_flash_attention_for_cpu_backward: lambda grad, q, k, v, *_, **__: (
            sdpa_backward_flop_count(grad, q, k, v)
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        run()
    return counter.get_total_flops()


def kept_bytes(run: Callable[[], object], parameters: Iterable[nn.Parameter]) -> tuple[int, int]:
    """Bytes that a forward pass keeps for the backward pass, weights left out, and the largest tensor among them."""
    own = {one.untyped_storage().data_ptr() for one in parameters}
    kept: dict[int, int] = {}
    held = []  # a storage that is freed could give its address to another

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(kept.values()), max(kept.values(), default=0)
