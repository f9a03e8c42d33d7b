"""PeakL over all 8,008 ways to vote: against the textbook loop, the published figures, and its own promises."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from erc.peakl import peak_label

PATTERNS = np.array(
    [[row.count(k) / 10 for k in range(7)] for row in itertools.combinations_with_replacement(range(7), 10)]
)


def textbook(y: list[float]) -> list[float]:
    """y' = max(0, y - r/K) over its sum, r = tanh of the entropy in nats; a plain loop, one label."""
    entropy = 0.0
    for share in y:
        if share > 0:
            entropy -= share * math.log(share)
    rest = [max(0.0, share - math.tanh(entropy) / len(y)) for share in y]
    return [share / sum(rest) for share in rest]


def check_promises(transform) -> None:
    """What a peaked label must be, whatever the formula; used on broken formulas below as well."""
    peaked = transform(PATTERNS)
    assert np.isfinite(peaked).all(), "NaN or infinite"
    assert (peaked >= 0).all(), "negative"
    assert np.abs(peaked.sum(axis=1) - 1).max() < 1e-12, "does not sum to 1"
    is_majority = PATTERNS == PATTERNS.max(axis=1, keepdims=True)
    assert np.array_equal(np.isclose(peaked, peaked.max(axis=1, keepdims=True), rtol=0, atol=1e-12), is_majority), (
        "majority moved"
    )
    unanimous = PATTERNS.max(axis=1) == 1
    assert unanimous.sum() == 7 and np.array_equal(peaked[unanimous], PATTERNS[unanimous]), "unanimous changed"
    others_before = np.where(is_majority, 0, PATTERNS).sum(axis=1)
    others_after = np.where(is_majority, 0, peaked).sum(axis=1)
    assert (others_after <= others_before + 1e-12).all(), "the minority grew"
    assert (others_after < others_before - 1e-3).mean() > 0.9, "nothing is peaked"


def test_all_8008_votes_become_peaked_distributions_with_the_majority_kept():
    assert len(PATTERNS) == 8008  # 16 choose 6
    check_promises(peak_label)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda y: np.maximum(0, y - 0.1), "does not sum to 1"),
        (lambda y: np.exp(y) / np.exp(y).sum(axis=1, keepdims=True), "unanimous changed"),  # a softmax
        (lambda y: np.eye(7)[y.argmax(axis=1)], "majority moved"),  # one-hot: breaks ties
        (lambda y: y, "nothing is peaked"),
        (lambda y: np.maximum(0, y - 0.5) / np.maximum(0, y - 0.5).sum(axis=1, keepdims=True), "NaN or infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_check_itself_finds_broken_formulas(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_promises(broken)


def test_all_8008_votes_equal_the_textbook_loop():
    expected = np.array([textbook(row) for row in PATTERNS.tolist()])
    assert np.abs(peak_label(PATTERNS) - expected).max() < 1e-15


@pytest.mark.parametrize(
    ("votes", "published"),
    [((0.9, 0.1), (0.939436, 0.060564)), ((0.6, 0.4), (0.620149, 0.379851))],
)
def test_the_figures_printed_by_the_authors_come_out(votes, published):
    # figures of the authors' own run, six decimals
    peaked = peak_label(np.array([*votes, 0, 0, 0, 0, 0]))
    assert peaked[:2] == pytest.approx(published, abs=1e-6)
    assert peaked[2:].tolist() == [0] * 5


def test_the_published_figures_need_the_natural_logarithm_and_all_seven_emotions():
    base_two = np.array([0.9, 0.1]) - math.tanh(-(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1))) / 7
    assert abs(base_two.clip(0)[0] / base_two.clip(0).sum() - 0.939436) > 1e-3
    assert abs(peak_label(np.array([0.9, 0.1]))[0] - 0.939436) > 1e-3  # K = 2: other figures


def test_a_uniform_label_stays_uniform():
    assert peak_label(np.full((2, 7), 1 / 7)) == pytest.approx(np.full((2, 7), 1 / 7), abs=1e-15)


def test_a_five_way_tie_stays_five_equal_shares():
    assert peak_label(np.array([0.2, 0.2, 0.2, 0.2, 0.2, 0, 0])).tolist() == pytest.approx(
        [0.2] * 5 + [0, 0], abs=1e-15
    )


def test_one_label_and_a_stack_of_labels_give_the_same():
    stack = peak_label(PATTERNS[:8000].reshape(10, 800, 7))
    assert stack.shape == (10, 800, 7)
    assert np.array_equal(stack[3, 17], peak_label(PATTERNS[3 * 800 + 17]))


def test_the_input_stays_as_it_was():
    given_label = PATTERNS[4000].copy()
    peak_label(given_label)
    assert np.array_equal(given_label, PATTERNS[4000])


@given(st.lists(st.integers(0, 1000), min_size=7, max_size=7).filter(any), st.permutations(range(7)))
def test_renaming_the_emotions_renames_the_peaked_label(counts, order):
    y = np.array(counts) / sum(counts)
    assert np.abs(peak_label(y[order]) - peak_label(y)[order]).max() < 1e-14


@pytest.mark.parametrize(
    "label",
    [
        [6, 4, 0, 0, 0, 0, 0],  # votes that nobody divided
        [0, 0, 0, 0, 0, 0, 0],
        [1.1, -0.1, 0, 0, 0, 0, 0],
        [np.nan, 1, 0, 0, 0, 0, 0],
        [np.inf, 0, 0, 0, 0, 0, 0],
        [0.5, 0.499, 0, 0, 0, 0, 0],
        [[1, 0, 0, 0, 0, 0, 0], [0.5, 0.4, 0, 0, 0, 0, 0]],  # one good row does not excuse the other
    ],
)
def test_what_is_no_distribution_is_refused(label):
    with pytest.raises(ValueError, match="rows of shares >= 0 that sum to 1"):
        peak_label(np.array(label))
