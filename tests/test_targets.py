"""The label kinds: the three of the paper's grid, and what a new one takes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from erc.labels import count_votes
from erc.peakl import peak_label
from erc.targets import KINDS, LabelKind, TargetKind, drops_tied, make_target

VOTES = count_votes(np.array(list(itertools.combinations_with_replacement(range(7), 10))))


@pytest.mark.parametrize("kind", KINDS)
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
    with pytest.raises(ValueError, match=r"target\.kind must be one of peakl, soft, hard: got"):
        drops_tied(kind)


def test_only_hard_labels_leave_tied_segments_out():
    assert [drops_tied(kind) for kind in ("hard", "soft", "peakl")] == [True, False, False]


def test_a_label_kind_is_one_entry_and_one_yaml(monkeypatch):
    assert tuple(KINDS) == get_args(TargetKind) == ("peakl", "soft", "hard")
    folder = Path(__file__).resolve().parents[1] / "config" / "target"
    kinds = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["kind"] for path in folder.glob("*.yaml")}
    assert kinds == {kind: kind for kind in KINDS}
    uniform = LabelKind(lambda votes, hard_label: np.full(votes.shape, 1 / votes.shape[1]), drops_tied=True)
    monkeypatch.setitem(KINDS, "uniform", uniform)
    assert make_target("uniform", VOTES[:2], np.array([0, 0])).tolist() == [[1 / 7] * 7] * 2 and drops_tied("uniform")
