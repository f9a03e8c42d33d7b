"""Losses against loops over the textbook equations and against torch's own functions; finite gradients at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from erc.evaluation.metrics import concordance
from erc.training.losses import (
    CCCLoss,
    FocalLoss,
    KLLoss,
    MSELoss,
    MultitaskLoss,
    SoftCrossEntropyLoss,
    soft_cross_entropy,
)

GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]
"""Those of Lin et al. (2017), table 1b."""


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (6, 7) and distributions (6, 7), the first with zeros in it as votes have."""
    rng = np.random.default_rng(0)
    votes = rng.multinomial(10, rng.dirichlet(np.full(7, 0.4)), size=6)
    return torch.tensor(rng.normal(0, 2, size=(6, 7))), torch.tensor(votes / 10)


def log_probs(logits: torch.Tensor) -> list[list[float]]:
    """Logarithms of the soft-max, one number at a time."""
    return [[z - math.log(sum(math.exp(other) for other in row)) for z in row] for row in logits.tolist()]


def cross_entropies(logits: torch.Tensor, target: torch.Tensor) -> list[float]:
    """Cross-entropy of each segment by the definition, - sum y ln p."""
    return [
        -sum(y * log_p for y, log_p in zip(ys, row, strict=True))
        for ys, row in zip(target.tolist(), log_probs(logits), strict=True)
    ]


# --- cross-entropy ----------------------------------------------------------------------------------------------------
def test_soft_cross_entropy_is_the_definition(drawn):
    logits, target = drawn
    expected = cross_entropies(logits, target)
    assert soft_cross_entropy(emotion_logits=logits, target=target).tolist() == pytest.approx(expected, rel=1e-12)
    mean = SoftCrossEntropyLoss()(emotion_logits=logits, target=target).item()
    assert mean == pytest.approx(sum(expected) / 6, rel=1e-12)
    assert mean == pytest.approx(functional.cross_entropy(logits, target).item(), rel=1e-12)  # torch's own


# --- focal loss -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_loss_of_a_one_hot_target_is_that_of_lin_et_al(drawn, gamma):
    logits, _ = drawn
    classes = [3, 0, 6, 3, 2, 5]
    # equation 4 of arXiv 1708.02002: - (1 - p_t)^gamma log p_t
    expected = [
        -((1 - math.exp(row[label])) ** gamma) * row[label]
        for row, label in zip(log_probs(logits), classes, strict=True)
    ]
    target = functional.one_hot(torch.tensor(classes), 7).double()
    found = FocalLoss(gamma)(emotion_logits=logits, target=target).item()
    assert found == pytest.approx(sum(expected) / 6, rel=1e-10)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_loss_weighs_each_segment_by_its_own_cross_entropy(drawn, gamma):
    entropies = cross_entropies(*drawn)
    expected = sum((1 - math.exp(-entropy)) ** gamma * entropy for entropy in entropies) / 6
    found = FocalLoss(gamma)(emotion_logits=drawn[0], target=drawn[1]).item()
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_batch_weighting_is_the_published_formula(drawn, gamma):
    # as in the authors' code: the weight is that of the batch's mean cross-entropy
    mean = sum(cross_entropies(*drawn)) / 6
    found = FocalLoss(gamma, "batch")(emotion_logits=drawn[0], target=drawn[1]).item()
    assert found == pytest.approx((1 - math.exp(-mean)) ** gamma * mean, rel=1e-10)


def test_the_two_weightings_differ_unless_gamma_is_0_or_the_batch_one_segment(drawn):
    logits, target = drawn

    def both(gamma, n):
        return [FocalLoss(gamma, w)(emotion_logits=logits[:n], target=target[:n]).item() for w in ("segment", "batch")]

    segment, batch = both(2, 6)
    assert abs(segment - batch) > 1e-3
    assert both(0, 6)[0] == pytest.approx(both(0, 6)[1], rel=1e-12)
    assert both(2, 1)[0] == pytest.approx(both(2, 1)[1], rel=1e-12)


def test_focal_loss_defaults_to_the_paper_s():
    loss = FocalLoss()
    assert (loss.gamma, loss.weighting) == (2.0, "segment")  # gamma 2: the paper


def test_an_unknown_weighting_is_an_error():
    with pytest.raises(ValueError, match="segment, batch: got 'mean'"):
        FocalLoss(weighting="mean")


@pytest.mark.parametrize("weighting", ["segment", "batch"])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0, 1e4])
def test_focal_loss_and_its_gradient_are_finite_at_any_confidence(gamma, weighting, size):
    # rows: perfectly right, perfectly wrong
    logits = (torch.eye(7)[[3, 1]] * size).requires_grad_()
    loss = FocalLoss(gamma, weighting)(emotion_logits=logits, target=torch.eye(7)[[3, 2]])
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("weighting", ["segment", "batch"])
def test_focal_loss_of_a_perfect_prediction_is_0_with_a_finite_gradient(gamma, weighting):
    logits = (torch.eye(7)[[3, 1]] * 1e4).requires_grad_()
    loss = FocalLoss(gamma, weighting)(emotion_logits=logits, target=torch.eye(7)[[3, 1]])
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_has_the_gradient_that_differences_give(drawn, gamma):
    logits = drawn[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: FocalLoss(gamma)(emotion_logits=z, target=drawn[1]), (logits,))


# --- Kullback-Leibler -------------------------------------------------------------------------------------------------
def test_kl_is_the_definition_and_zero_votes_count_nothing(drawn):
    logits, target = drawn
    expected = np.mean(
        [
            sum(y * (math.log(y) - log_p) for y, log_p in zip(ys, row, strict=True) if y > 0)
            for ys, row in zip(target.tolist(), log_probs(logits), strict=True)
        ]
    )
    assert KLLoss()(emotion_logits=logits, target=target).item() == pytest.approx(expected, rel=1e-12)


def test_kl_is_0_at_the_target_and_cross_entropy_less_the_target_s_entropy(drawn):
    logits, _ = drawn
    same = logits.softmax(dim=-1)
    assert KLLoss()(emotion_logits=logits, target=same).item() == pytest.approx(0, abs=1e-12)
    other = logits.flip(0).softmax(dim=-1)
    entropy = -(other * other.log()).sum(dim=-1).mean()
    cross_entropy = SoftCrossEntropyLoss()(emotion_logits=logits, target=other)
    assert KLLoss()(emotion_logits=logits, target=other).item() == pytest.approx((cross_entropy - entropy).item())


# --- valence and arousal ----------------------------------------------------------------------------------------------
def test_mse_is_the_mean_over_segments_and_both_dimensions():
    va, target = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[1.5, 2.0], [3.0, 2.0]])
    assert MSELoss()(va=va, target=target).item() == pytest.approx((0.25 + 0 + 0 + 9) / 4)


@pytest.mark.parametrize("n", [2, 5, 32])
def test_ccc_loss_is_1_less_lin_s_coefficient(n):
    rng = np.random.default_rng(n)
    va, target = rng.normal(3, 1, size=(n, 2)), rng.normal(2.5, 0.7, size=(n, 2))
    expected = []
    for x, y in zip(va.T, target.T, strict=True):
        # Lin (1989): 2 s_xy / (s_x^2 + s_y^2 + (mean difference)^2), moments over n
        s_xy = sum((a - x.mean()) * (b - y.mean()) for a, b in zip(x, y, strict=True)) / n
        s_x, s_y = sum((a - x.mean()) ** 2 for a in x) / n, sum((b - y.mean()) ** 2 for b in y) / n
        expected.append(1 - 2 * s_xy / (s_x + s_y + (x.mean() - y.mean()) ** 2))
    found = CCCLoss()(va=torch.tensor(va), target=torch.tensor(target)).item()
    assert found == pytest.approx(np.mean(expected), rel=1e-10)
    reported = [1 - concordance(truth=y, prediction=x) for x, y in zip(va.T, target.T, strict=True)]
    assert found == pytest.approx(np.mean(reported), rel=1e-10)  # what is trained is what is reported


def test_ccc_loss_runs_from_0_to_2():
    target = torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 3.0]])
    assert CCCLoss()(va=target, target=target).item() == pytest.approx(0, abs=1e-6)
    mirrored = target.mean(dim=0) * 2 - target  # same mean and spread, correlation -1
    assert CCCLoss()(va=mirrored, target=target).item() == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("is_equal", [True, False])
def test_ccc_loss_of_constants_is_1_with_a_finite_gradient(n, is_equal):
    va = torch.full((n, 2), 3.0, requires_grad=True)
    loss = CCCLoss()(va=va, target=torch.full((n, 2), 3.0 if is_equal else 2.0))
    loss.backward()
    assert loss.item() == 1 and torch.isfinite(va.grad).all()


# --- the sum ----------------------------------------------------------------------------------------------------------
def test_multitask_loss_is_the_weighted_sum_and_shows_its_parts(drawn):
    logits, target = drawn
    va, va_target = torch.rand(6, 2) * 4 + 1, torch.rand(6, 2) * 4 + 1
    loss = MultitaskLoss(FocalLoss(), MSELoss(), emotion_weight=0.7, va_weight=0.3)
    parts = loss(emotion_logits=logits, va=va, target=target, va_target=va_target)
    assert parts.keys() == {"loss", "loss_emotion", "loss_va"}
    emotion = FocalLoss()(emotion_logits=logits, target=target).item()
    squared = functional.mse_loss(va, va_target).item()
    assert parts["loss_emotion"].item() == pytest.approx(emotion)
    assert parts["loss_va"].item() == pytest.approx(squared)
    # .7 and .3: the paper
    assert parts["loss"].item() == pytest.approx(0.7 * emotion + 0.3 * squared)


def test_predictions_and_targets_cannot_be_swapped_by_position(drawn):
    for call in (SoftCrossEntropyLoss(), FocalLoss(), KLLoss(), MSELoss(), CCCLoss()):
        with pytest.raises(TypeError):
            call(*drawn)
