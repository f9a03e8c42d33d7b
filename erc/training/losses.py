"""What training minimises: a loss on the emotion distribution, one on valence-arousal, and their weighted sum.

Conventions: natural logarithm; every loss is a mean over segments unless it says otherwise; predictions come before targets,
both by keyword. Emotion losses take logits (B, K) and distributions (B, K); a one-hot row is a distribution, too. The losses
on dimensions take (B, R). A target that is not known is NaN: ``MultitaskLoss`` leaves such rows out of the emotion loss, and
the losses on dimensions leave such entries out. Nothing is filled in.

torch computes what it has: cross-entropy, Kullback-Leibler divergence, squared error. The focal loss and the concordance
correlation are written here: torch has no focal loss for distributions, and torchmetrics divides the moments by n - 1.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge
from torch import nn
from torch.nn import functional

Weighting = Literal["segment", "batch"]


def soft_cross_entropy(*, emotion_logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy to a distribution, per segment: (B, K), (B, K) -> (B,), in nats."""
    return functional.cross_entropy(emotion_logits, target, reduction="none")


class SoftCrossEntropyLoss(nn.Module):
    """Mean cross-entropy to a distribution."""

    def forward(self, *, emotion_logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, K) logits, (B, K) distribution -> scalar."""
        return soft_cross_entropy(emotion_logits=emotion_logits, target=target).mean()


class FocalLoss(nn.Module):
    r"""Focal loss, carried over to distributions: :math:`(1 - e^{-CE})^\gamma\, CE`.

    For a one-hot target :math:`e^{-CE}` is the probability of the true class, so this is Lin et al. (2017), "Focal
    Loss for Dense Object Detection", arXiv 1708.02002.

    Args:
        gamma: The larger, the less a well-classified segment counts; 0 is cross-entropy.
        weighting: ``segment`` weighs each segment by its own cross-entropy, as Lin et al. define the loss; ``batch``
            weighs the whole batch by its mean cross-entropy, as the published code of the paper does.

    Raises:
        ValueError: Unknown weighting.
    """

    def __init__(self, gamma: Annotated[float, Ge(0)] = 2.0, weighting: Weighting = "segment") -> None:
        super().__init__()
        if weighting not in get_args(Weighting):
            raise ValueError(
                f"loss.emotion.weighting must be one of {', '.join(get_args(Weighting))}: got {weighting!r}."
            )
        self.gamma, self.weighting = gamma, weighting

    def forward(self, *, emotion_logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, K) logits, (B, K) distribution -> scalar."""
        entropy = soft_cross_entropy(emotion_logits=emotion_logits, target=target)
        if self.weighting == "batch":
            entropy = entropy.mean()
        # -expm1(-x) is 1 - exp(-x) without loss of digits near 0. The clamp is for a gamma below 1: its slope at 0 is infinite.
        return (-torch.expm1(-entropy)).clamp(min=1e-12).pow(self.gamma).mul(entropy).mean()


class KLLoss(nn.Module):
    """Kullback-Leibler divergence from the prediction to the target, mean over segments, in nats.

    The target is used as it is. The published code applies a soft-max to it first.
    """

    def forward(self, *, emotion_logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, K) logits, (B, K) distribution -> scalar."""
        return functional.kl_div(functional.log_softmax(emotion_logits, dim=-1), target, reduction="batchmean")


class MSELoss(nn.Module):
    """Mean squared error over segments and over dimensions; entries whose target is NaN do not count."""

    def forward(self, *, va: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, R), (B, R) -> scalar; 0 where no target is known."""
        known = ~target.isnan()
        if known.all():
            return functional.mse_loss(va, target)
        return functional.mse_loss(va[known], target[known]) if known.any() else 0 * va.sum()


class CCCLoss(nn.Module):
    """1 - concordance correlation over the batch (Lin, 1989; moments divide by n), mean over dimensions.

    Few segments say little about a correlation: use batches of 16 segments or more. A batch of one segment gives 1. Entries
    whose target is NaN do not count; neither does a dimension of which the batch knows nothing.
    """

    def forward(self, *, va: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, R), (B, R) -> scalar in [0, 2]; 0 where no target is known."""
        known = ~target.isnan()
        if known.all():
            return self._of_known(va, target)
        columns = [
            self._of_known(va[rows, column, None], target[rows, column, None])
            for column, rows in enumerate(known.unbind(dim=1))
            if rows.any()
        ]
        return torch.stack(columns).mean() if columns else 0 * va.sum()

    @staticmethod
    def _of_known(va: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mean_va, mean_target = va.mean(dim=0), target.mean(dim=0)
        covariance = ((va - mean_va) * (target - mean_target)).mean(dim=0)
        spread = va.var(dim=0, unbiased=False) + target.var(dim=0, unbiased=False) + (mean_va - mean_target).square()
        return (1 - 2 * covariance / spread.clamp(min=1e-8)).mean()


class MultitaskLoss(nn.Module):
    """Weighted sum of an emotion loss and a loss on the dimensions (valence and arousal).

    A loss of which the batch has no target is 0: the batch says nothing about that part of the model.

    Args:
        emotion: Loss on ``emotion_logits`` and ``target``.
        va: Loss on ``va`` and ``target``.
        emotion_weight: Weight of the emotion loss; the paper's is .7.
        va_weight: Weight of the valence-arousal loss; the paper's is .3.
    """

    def __init__(
        self,
        emotion: nn.Module,
        va: nn.Module,
        emotion_weight: Annotated[float, Ge(0)],
        va_weight: Annotated[float, Ge(0)],
    ) -> None:
        super().__init__()
        self.emotion, self.va = emotion, va
        self.emotion_weight, self.va_weight = emotion_weight, va_weight

    def forward(
        self, *, emotion_logits: torch.Tensor, va: torch.Tensor, target: torch.Tensor, va_target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Scalars ``loss``, ``loss_emotion``, ``loss_va``."""
        known = ~target.isnan().any(dim=-1)
        if not known.all():
            emotion_logits, target = emotion_logits[known], target[known]
        emotion_loss = (
            self.emotion(emotion_logits=emotion_logits, target=target) if len(target) else 0 * emotion_logits.sum()
        )
        va_loss = self.va(va=va, target=va_target) if va.shape[-1] else 0 * emotion_logits.sum()
        return {
            "loss": self.emotion_weight * emotion_loss + self.va_weight * va_loss,
            "loss_emotion": emotion_loss,
            "loss_va": va_loss,
        }
