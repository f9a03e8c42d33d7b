"""Pooling: real steps only, whatever a padded step holds."""

from __future__ import annotations

import numpy as np
import torch

from erc.model.pooling import first_token, masked_mean


def test_masked_mean_is_the_mean_over_the_real_steps():
    rng = np.random.default_rng(0)
    sequence, lengths = rng.normal(size=(5, 9, 4)), [9, 1, 4, 7, 2]
    mask = np.arange(9) < np.array(lengths)[:, None]
    expected = np.stack([sequence[i, :n].mean(axis=0) for i, n in enumerate(lengths)])  # NumPy, one row at a time
    np.testing.assert_allclose(masked_mean(torch.tensor(sequence), torch.tensor(mask)), expected, rtol=1e-12)


def test_masked_mean_takes_real_steps_that_do_not_stand_first():
    sequence = torch.tensor([[[1.0], [5.0], [9.0]]])
    assert masked_mean(sequence, torch.tensor([[False, True, True]])).item() == 7  # (5 + 9) / 2


def test_what_a_padded_step_holds_changes_neither_the_mean_nor_its_gradient():
    sequence, mask = torch.randn(2, 6, 3), torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    clean = sequence.clone().requires_grad_()
    spoilt = sequence.clone()
    spoilt[0, 4], spoilt[0, 5] = torch.inf, torch.nan
    spoilt.requires_grad_()
    for values in (clean, spoilt):
        masked_mean(values, mask).square().sum().backward()
    torch.testing.assert_close(masked_mean(spoilt, mask), masked_mean(clean, mask), rtol=0, atol=0)
    torch.testing.assert_close(spoilt.grad, clean.grad, rtol=0, atol=0)
    assert (spoilt.grad[0, 4:] == 0).all()


def test_pooling_writes_nothing_in_place():
    sequence, mask = torch.randn(2, 5, 3), torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    before = sequence.clone()
    masked_mean(sequence, mask)
    first_token(sequence)
    assert torch.equal(sequence, before)


def test_first_token_is_the_vector_of_the_first_step():
    sequence = torch.arange(12.0).view(2, 3, 2)
    assert first_token(sequence).tolist() == [[0, 1], [6, 7]]
