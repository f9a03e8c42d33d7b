"""Parameter groups by prefix, each trainable parameter in exactly one; learning-rate schedules.

A schedule is a function of the optimizer and the number of steps of the whole run; it returns what Lightning's
``configure_optimizers`` wants under ``lr_scheduler``, or None.
"""

from __future__ import annotations

import math

import torch
from torch import nn


def build_optimizer(
    model: nn.Module,
    lr: dict[str, float],
    weight_decay: float = 1e-6,
    eps: float = 1e-8,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.AdamW:
    """AdamW with one learning rate per part of the model.

    Args:
        model: Its direct parts are named by the keys of ``lr``; a part that is None (an encoder that the fusion does
            not use) is passed over, and so is one that is frozen as a whole.
        lr: Learning rate by prefix of the parameters' names, e.g. ``{"audio_encoder": 1e-5}``.
        weight_decay: Decoupled weight decay.
        eps: Added to the denominator.
        betas: Decay of the two moments.

    Raises:
        ValueError: A prefix matches no parameter, or a trainable parameter has no prefix or several.
    """
    groups: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in lr}
    for prefix in lr:
        is_unused = getattr(model, prefix, "absent") is None
        if not is_unused and not any(name.startswith(f"{prefix}.") for name, _ in model.named_parameters()):
            parts = ", ".join(name for name, _ in model.named_children())
            raise ValueError(f"optim.lr: prefix {prefix!r} matches no parameter. The model's parts are {parts}.")
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        prefixes = [prefix for prefix in lr if name.startswith(f"{prefix}.")]
        if len(prefixes) != 1:
            found = f"matches {' and '.join(prefixes)}" if prefixes else "matches none"
            raise ValueError(
                f"Every trainable parameter must be in exactly one group: {name} {found}. Add or remove a prefix in optim.lr."
            )
        groups[prefixes[0]].append(parameter)
    return torch.optim.AdamW(
        [{"params": params, "lr": lr[prefix], "name": prefix} for prefix, params in groups.items() if params],
        weight_decay=weight_decay,
        eps=eps,
        betas=tuple(betas),
    )


def cosine_restarts(
    optimizer: torch.optim.Optimizer, total_steps: int, first_period: int = 500, factor: int = 2, min_lr: float = 1e-7
) -> dict:
    """Cosine annealing with warm restarts, stepped every step (the paper's).

    Source: Loshchilov and Hutter (2017), "SGDR", arXiv 1608.03983.

    Args:
        optimizer: Its learning rates are the highest.
        total_steps: Not needed; restarts go on as long as training does.
        first_period: Steps until the first restart.
        factor: Each period is so many times as long as the one before.
        min_lr: Lowest learning rate.
    """
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first_period, factor, min_lr)
    return {"scheduler": scheduler, "interval": "step"}


def cosine_warmup(optimizer: torch.optim.Optimizer, total_steps: int, warmup_share: float = 0.1) -> dict:
    """Linear rise over the first share of the steps, then one half cosine down to 0.

    Args:
        optimizer: Its learning rates are the highest.
        total_steps: Optimizer steps of the whole run.
        warmup_share: Share of the steps that the rise takes, 0 to 1.
    """
    n_warmup = max(1, round(warmup_share * total_steps))

    def factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        progress = min(1.0, (step - n_warmup) / max(1, total_steps - n_warmup))
        return 0.5 * (1 + math.cos(math.pi * progress))

    return {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor), "interval": "step"}


def plateau(
    optimizer: torch.optim.Optimizer,
    total_steps: int,
    monitor: str = "valid/accuracy",
    factor: float = 0.5,
    patience: int = 2,
) -> dict:
    """Learning rates times ``factor`` when ``monitor`` has not grown for ``patience`` epochs."""
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=factor, patience=patience)
    return {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}


def constant(optimizer: torch.optim.Optimizer, total_steps: int) -> None:
    """The same learning rates throughout."""
    return None
