"""Encoder of bio-signals: normalisation against scikit-learn, unknown values, padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from erc.data import FEATURES
from erc.model import SignalEncoder


def encoder(form: str) -> SignalEncoder:
    torch.manual_seed(3)
    return SignalEncoder(form, hidden_dim=8, dropout=0.5).eval()


def test_features_are_normalised_over_the_known_values_of_training():
    features = np.random.default_rng(0).normal(60, 12, size=(40, len(FEATURES)))
    features[::3, 2] = np.nan
    features[:, 5] = 7.0  # never another value
    features[:, 6] = np.nan  # never known
    one = encoder("features")
    one.normalise_by(features)
    known = [k for k in range(len(FEATURES)) if k not in (5, 6)]
    wanted = StandardScaler().fit(features)  # which passes NaN over
    np.testing.assert_allclose(one.center[known], wanted.mean_[known], rtol=1e-6)
    np.testing.assert_allclose(one.scale[known], wanted.scale_[known], rtol=1e-6)
    assert one.center[5] == 7.0 and one.scale[5] == 1.0
    assert one.center[6] == 0.0 and one.scale[6] == 1.0


@pytest.mark.parametrize("form", ["features", "sequence"])
def test_a_value_that_is_not_known_is_not_read_and_that_it_is_unknown_is(form):
    torch.manual_seed(1)
    shape = (2, len(FEATURES)) if form == "features" else (2, 9, 3)
    values, mask = torch.randn(shape), torch.ones(shape, dtype=torch.bool)
    mask[0, 4] = False
    one = encoder(form)
    found, _ = one(values, mask)
    other = values.clone()
    other[~mask] = 99.0
    torch.testing.assert_close(one(other, mask)[0], found, rtol=0, atol=0)
    assert not torch.equal(one(values.masked_fill(~mask, 0.0), torch.ones_like(mask))[0][0], found[0])


def test_padding_of_a_sequence_changes_nothing_and_a_gap_is_no_step():
    torch.manual_seed(1)
    values, mask = torch.randn(1, 9, 3), torch.ones(1, 9, 3, dtype=torch.bool)
    mask[0, 4] = False
    one = encoder("sequence")
    found, steps = one(values, mask)
    assert steps.tolist() == [[True] * 4 + [False] + [True] * 4]
    padded = torch.nn.functional.pad(values, (0, 0, 0, 5)), torch.nn.functional.pad(mask, (0, 0, 0, 5))
    longer, longer_steps = one(*padded)
    torch.testing.assert_close(longer[:, :9], found, rtol=0, atol=1e-6)
    assert not longer_steps[:, 9:].any()


def test_the_end_of_a_sequence_reads_seven_seconds_of_it_and_no_more():
    values = torch.zeros(1, 60, 3, requires_grad=True)
    found, _ = encoder("sequence")(values, torch.ones(1, 60, 3, dtype=torch.bool))
    found[0, 30].sum().backward()
    reached = values.grad[0].abs().sum(dim=1).nonzero().squeeze(1)
    assert (reached.min(), reached.max()) == (30 - 14, 30 + 14)  # 29 steps of .25 s


def test_without_signals_in_the_data_the_error_says_what_to_set():
    with pytest.raises(ValueError, match=r"dataset\.signals=features"):
        SignalEncoder(None)
