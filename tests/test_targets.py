"""The three label kinds of the paper's grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from erc.labels import count_votes
from erc.peakl import peak_label
from erc.targets import drops_tied, make_target

VOTES = count_votes(np.array(list(itertools.combinations_with_replacement(range(7), 10))))


@pytest.mark.parametrize("kind", ["hard", "soft", "peakl"])
def test_every_target_of_all_8008_votes_is_a_distribution(kind):
    target = make_target(kind, VOTES, VOTES.argmax(axis=1))
    assert target.shape == (8008, 7) and target.dtype == np.float64
    assert (target >= 0).all()
    assert np.abs(target.sum(axis=1) - 1).max() < 1e-12


def test_each_kind_says_what_its_name_says():
    votes, hard = np.array([[0, 0, 0, 4, 6, 0, 0]]), np.array([4])
    assert make_target("hard", votes, hard).tolist() == [[0, 0, 0, 0, 1, 0, 0]]
    assert make_target("soft", votes, hard).tolist() == [[0, 0, 0, 0.4, 0.6, 0, 0]]
    # published figure of (.6, .4)
    assert make_target("peakl", votes, hard)[0, 3:5] == pytest.approx([0.379851, 0.620149], abs=1e-6)


def test_a_hard_target_is_the_given_label_not_the_votes():
    # in a tie the given label is the one that valence and arousal chose, and not the first of the two
    votes = np.array([[0, 0, 5, 5, 0, 0, 0]])
    assert make_target("hard", votes, np.array([3])).tolist() == [[0, 0, 0, 1, 0, 0, 0]]


def test_peakl_is_made_from_the_soft_label():
    assert np.array_equal(make_target("peakl", VOTES, VOTES.argmax(axis=1)), peak_label(VOTES / 10))


@pytest.mark.parametrize("kind", ["peak", "PeakL", "", None])
def test_an_unknown_kind_is_refused_by_name(kind):
    with pytest.raises(ValueError, match=r"target\.kind must be one of peakl, soft, hard: got"):
        make_target(kind, VOTES[:1], np.array([0]))


def test_only_hard_labels_leave_tied_segments_out():
    assert [drops_tied(kind) for kind in ("hard", "soft", "peakl")] == [True, False, False]
