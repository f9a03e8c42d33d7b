"""What training minimises: a loss on the emotion distribution, one on valence-arousal, and their weighted sum.

Conventions: natural logarithm; every loss is a mean over segments unless it says otherwise; predictions stand before
targets, both by keyword. Emotion losses take logits (B, K) and a distribution (B, K); a one-hot row is one, too.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn
from torch.nn import functional

Weighting = Literal["segment", "batch"]


def soft_cross_entropy(*, emotion_logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy to a distribution, per segment: (B, K), (B, K) -> (B,), in nats."""
    return -(target * functional.log_softmax(emotion_logits, dim=-1)).sum(dim=-1)


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
        gamma: How much well-classified segments count less; 0 is cross-entropy.
        weighting: ``segment`` weighs each segment by its own cross-entropy, which is what the loss means; ``batch``
            weighs the whole batch by its mean cross-entropy, as the published code does.
    """

    def __init__(self, gamma: float = 2.0, weighting: Weighting = "segment") -> None:
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
        # -expm1(-x) is 1 - exp(-x) without loss of digits near 0; at 0 itself a power below 1 has no finite slope
        return (-torch.expm1(-entropy)).clamp(min=1e-12).pow(self.gamma).mul(entropy).mean()


class KLLoss(nn.Module):
    """Kullback-Leibler divergence from the prediction to the target, mean over segments, in nats.

    The target is taken as the distribution that it is (the published code soft-maxes it once more).
    """

    def forward(self, *, emotion_logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, K) logits, (B, K) distribution -> scalar."""
        return functional.kl_div(functional.log_softmax(emotion_logits, dim=-1), target, reduction="batchmean")


class MSELoss(nn.Module):
    """Mean squared error over segments and both of valence and arousal."""

    def forward(self, *, va: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, 2), (B, 2) -> scalar."""
        return functional.mse_loss(va, target)


class CCCLoss(nn.Module):
    """1 - concordance correlation over the batch (Lin, 1989; moments divide by n), mean of valence and arousal.

    A batch says little about a correlation: use it with batches of 16 and more. A batch of one segment gives 1.
    """

    def forward(self, *, va: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, 2), (B, 2) -> scalar in [0, 2]."""
        mean_va, mean_target = va.mean(dim=0), target.mean(dim=0)
        covariance = ((va - mean_va) * (target - mean_target)).mean(dim=0)
        spread = va.var(dim=0, unbiased=False) + target.var(dim=0, unbiased=False) + (mean_va - mean_target).square()
        return (1 - 2 * covariance / spread.clamp(min=1e-8)).mean()


class MultitaskLoss(nn.Module):
    """Weighted sum of an emotion loss and a valence-arousal loss.

    Args:
        emotion: Loss on ``emotion_logits`` and ``target``.
        va: Loss on ``va`` and ``target``.
        emotion_weight: Weight of the first; the paper's is .7.
        va_weight: Weight of the second; the paper's is .3.
    """

    def __init__(self, emotion: nn.Module, va: nn.Module, emotion_weight: float, va_weight: float) -> None:
        super().__init__()
        self.emotion, self.va = emotion, va
        self.emotion_weight, self.va_weight = emotion_weight, va_weight

    def forward(
        self, *, emotion_logits: torch.Tensor, va: torch.Tensor, target: torch.Tensor, va_target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Scalars ``loss``, ``loss_emotion``, ``loss_va``."""
        emotion_loss = self.emotion(emotion_logits=emotion_logits, target=target)
        va_loss = self.va(va=va, target=va_target)
        return {
            "loss": self.emotion_weight * emotion_loss + self.va_weight * va_loss,
            "loss_emotion": emotion_loss,
            "loss_va": va_loss,
        }
