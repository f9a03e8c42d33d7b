"""Option ``trainer.precision``: what ``auto`` is on this machine, and how it and a fused optimizer go together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

AUTO = "auto"


def resolve_precision(precision: Any, accelerator: Any = "auto") -> Any:
    """The precision to compute in: as it was asked for, or for ``auto`` that of the hardware.

    auto is bf16-mixed where a device multiplies bfloat16 numbers itself: CUDA from Ampere on, a CPU with AMX or AVX512-BF16.
    Weights, AdamW and losses stay in float32. Anything else computes in float32 (32-true).

    Args:
        precision: Option ``trainer.precision``.
        accelerator: Option ``trainer.accelerator``.
    """
    if precision != AUTO:
        return precision
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        # an emulation is slower than float32
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        capabilities = torch.cpu.get_capabilities()
        has_bf16 = bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    else:
        has_bf16 = False
    return "bf16-mixed" if has_bf16 else "32-true"


def precision_of_run(trainer: dict[str, Any], result: dict[str, Any]) -> Any:
    """The precision that a run computed in; what ``auto`` is on this machine need not be what it was on that of the run.

    Args:
        trainer: Option ``trainer`` of the run.
        result: Its ``result.json``; empty where it is not finished.
    """
    configured = trainer.get("precision")
    if configured == AUTO and result.get("precision"):
        return result["precision"]
    return resolve_precision(configured, trainer.get("accelerator", "auto"))


def fitting_optimizer(optim: functools.partial, trainer: dict) -> Callable[..., torch.optim.Optimizer]:
    """The configured optimizer, where ``auto`` does not fuse it if gradients of float16 are clipped.

    They are scaled up, and must be scaled down before they are clipped. A fused optimizer scales them down itself, later.

    Args:
        optim: Builds the optimizer; option ``optim``.
        trainer: Option ``trainer``.

    Raises:
        ValueError: A fused optimizer is asked for by name there.
    """
    scales = trainer.get("precision") in ("16-mixed", "16", 16)
    if not (scales and trainer.get("gradient_clip_val")):
        return optim
    if optim.keywords.get("fused") is True:
        raise ValueError(
            "A fused optimizer cannot clip gradients of float16: expected optim.fused=auto or false with trainer.precision="
            f"{trainer['precision']}, got true. Or take bf16-mixed, or trainer.gradient_clip_val=null."
        )
    return functools.partial(optim, fused=False)
