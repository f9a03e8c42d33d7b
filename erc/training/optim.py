"""Parameter groups by part of the model, each trainable parameter in exactly one; learning-rate schedules.

A schedule is a function of the optimizer and of the number of steps of the whole run. It returns what Lightning's
``configure_optimizers`` expects under ``lr_scheduler``, or None.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Interval
from pytorch_lightning.utilities.types import LRSchedulerConfigType
from torch import nn

from erc.model import EmotionModel

Share = Annotated[float, Interval(ge=0, lt=1)]


def build_optimizer(
    model: EmotionModel,
    lr: dict[str, Annotated[float, Gt(0)]],
    weight_decay: Annotated[float, Ge(0)] = 1e-6,
    eps: Annotated[float, Gt(0)] = 1e-8,
    betas: tuple[Share, Share] = (0.9, 0.999),
    fused: bool | Literal["auto"] = "auto",
) -> torch.optim.AdamW:
    """AdamW with one learning rate per part of the model.

    A key of ``lr`` names a part, or a prefix of the parameters in it (``audio.model.encoder``). A key is passed over where
    its part is an encoder that the fusion does not read, or where everything under it is frozen.

    Args:
        model: Its ``parts()`` are the names that ``lr`` uses.
        lr: Learning rate by part, e.g. ``{"audio": 1e-5, "text": 1e-5, "fusion": 1e-4, "heads": 1e-4}``.
        weight_decay: Decoupled weight decay.
        eps: Added to the denominator.
        betas: Decay rates of the two moments.
        fused: Whether one kernel updates all parameters: some ten times faster on a CPU, and other last digits. auto: on a
            CPU and on a CUDA device.

    Raises:
        ValueError: A prefix matches no parameter, or a trainable parameter has no prefix or several.
    """
    parameters = named_parameters(model)
    groups: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in lr}
    for prefix in lr:
        is_unused = prefix.split(".")[0] in model.unused
        if not is_unused and not any(name.startswith(f"{prefix}.") for name in parameters):
            raise ValueError(
                f"optim.lr: prefix {prefix!r} matches no parameter. The model's parts are {', '.join(model.parts())}."
            )
    for name, parameter in parameters.items():
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
        betas=(betas[0], betas[1]),
        fused=all(p.device.type in ("cpu", "cuda") for p in parameters.values()) if fused == "auto" else fused,
    )


def named_parameters(model: EmotionModel) -> dict[str, nn.Parameter]:
    """Parameters of the model in its own order, named by part: ``audio.model.encoder.layers.0.attention.q_proj.weight``.

    What is learned in place of a missing modality belongs to the fusion: ``fusion.missing.audio``.
    """
    by_part = {
        parameter: f"{part}.{name}"
        for part, module in model.parts().items()
        for name, parameter in module.named_parameters()
    }
    by_part |= {vector: f"fusion.missing.{name}" for name, vector in model.missing.replacements.items()}
    return {by_part.get(parameter, name): parameter for name, parameter in model.named_parameters()}


def cosine_restarts(
    optimizer: torch.optim.Optimizer,
    total_steps: int,
    first_period: Annotated[int, Ge(1)] = 500,
    factor: Annotated[int, Ge(1)] = 2,
    min_lr: Annotated[float, Ge(0)] = 1e-7,
) -> LRSchedulerConfigType:
    """Cosine annealing with warm restarts, one step of the schedule per training step (the paper's schedule).

    Source: Loshchilov and Hutter (2017), "SGDR", arXiv 1608.03983.

    Args:
        optimizer: Its learning rates are the highest ones of the schedule.
        total_steps: Not used: restarts go on as long as training does.
        first_period: Steps until the first restart.
        factor: Length of each period, as a multiple of the period before.
        min_lr: Lowest learning rate.
    """
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first_period, factor, min_lr)
    return {"scheduler": scheduler, "interval": "step"}


def cosine_warmup(
    optimizer: torch.optim.Optimizer, total_steps: int, warmup_share: Annotated[float, Interval(ge=0, le=1)] = 0.1
) -> LRSchedulerConfigType:
    """Linear rise over the first share of the steps, then half a cosine period down to 0.

    Args:
        optimizer: Its learning rates are the highest ones of the schedule.
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
    factor: Annotated[float, Interval(gt=0, lt=1)] = 0.5,
    patience: Annotated[int, Ge(0)] = 2,
) -> LRSchedulerConfigType:
    """Multiplies the learning rates by ``factor`` when ``monitor`` has not risen for more than ``patience`` epochs.

    Args:
        optimizer: Its learning rates are the first ones.
        total_steps: Not used.
        monitor: Name of the logged figure; larger is better.
        factor: Factor of each reduction.
        patience: Epochs without a rise that change nothing yet.
    """
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=factor, patience=patience)
    return {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}


def constant(optimizer: torch.optim.Optimizer, total_steps: int) -> None:
    """No schedule: the learning rates never change."""
    return None
