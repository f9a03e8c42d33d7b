"""The label kinds: the three of the paper's grid, and what a new one takes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml
from scipy import stats

from erc.labels import count_votes, entropy, sharpen_label, soft_label
from erc.peakl import peak_label
from erc.targets import (
    KINDS,
    OPTIONS,
    LabelKind,
    TargetKind,
    draw_target,
    drops_tied,
    make_target,
    matched_temperature,
    resolve_options,
    uniform_of,
)

ROOT = Path(__file__).resolve().parents[1]

VOTES = count_votes(np.array(list(itertools.combinations_with_replacement(range(7), 10))), 7)


def options_of(kind: str) -> dict[str, float]:
    """Some value for each option of a kind."""
    return dict.fromkeys(KINDS[kind].options, 0.4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_target_of_all_8008_votes_is_a_distribution(kind):
    target = make_target(kind, VOTES, VOTES.argmax(axis=1), **options_of(kind))
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
    with pytest.raises(
        ValueError, match=r"target\.kind must be one of peakl, soft, hard, smoothed, sharpened, sampled: got"
    ):
        make_target(kind, VOTES[:1], np.array([0]))
    with pytest.raises(
        ValueError, match=r"target\.kind must be one of peakl, soft, hard, smoothed, sharpened, sampled: got"
    ):
        drops_tied(kind)


def test_only_labels_of_the_majority_leave_tied_segments_out():
    assert [kind for kind in KINDS if drops_tied(kind)] == ["hard", "smoothed"]


def test_a_label_kind_is_one_entry_and_one_yaml(monkeypatch):
    assert tuple(KINDS) == get_args(TargetKind) == ("peakl", "soft", "hard", "smoothed", "sharpened", "sampled")
    files = (ROOT / "config" / "target").glob("*.yaml")
    kinds = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    assert {name: options["kind"] for name, options in kinds.items()} == {kind: kind for kind in KINDS}
    # every option of a kind stands in its yaml, and no other does
    assert {name: set(options) - {"kind"} for name, options in kinds.items()} == {
        kind: set(found.options) for kind, found in KINDS.items()
    }
    assert set(OPTIONS) == {name for found in KINDS.values() for name in found.options}
    uniform = LabelKind(lambda votes, hard_label: np.full(votes.shape, 1 / votes.shape[1]), drops_tied=True)
    monkeypatch.setitem(KINDS, "uniform", uniform)
    assert make_target("uniform", VOTES[:2], np.array([0, 0])).tolist() == [[1 / 7] * 7] * 2 and drops_tied("uniform")


# --- smoothed, sharpened ----------------------------------------------------------------------------------------------
def test_a_smoothed_label_gives_a_share_to_every_emotion():
    # (1 - .1) * one-hot + .1 / 4, by hand
    found = make_target("smoothed", np.array([[0, 3, 2, 0]]), np.array([1]), epsilon=0.1)
    assert found[0] == pytest.approx([0.025, 0.925, 0.025, 0.025], abs=1e-15)


def test_a_sharpened_label_is_a_power_of_the_shares():
    # T = 1/2: .6^2 and .4^2 over .52; T = 1: the shares; T = 2: flatter
    votes, hard = np.array([[6, 4, 0]]), np.array([0])
    assert make_target("sharpened", votes, hard, temperature=0.5)[0] == pytest.approx([0.36 / 0.52, 0.16 / 0.52, 0])
    assert make_target("sharpened", votes, hard, temperature=1.0)[0] == pytest.approx([0.6, 0.4, 0], abs=1e-15)
    flat = np.sqrt([0.6, 0.4])
    assert make_target("sharpened", votes, hard, temperature=2.0)[0, :2] == pytest.approx(flat / flat.sum())
    # so sharp that every power but the largest vanishes: no 0 / 0, and a tie stays one
    assert make_target("sharpened", np.array([[4, 4, 2], [5, 4, 1]]), np.zeros(2, int), temperature=1e-4).tolist() == [
        [0.5, 0.5, 0],
        [1, 0, 0],
    ]


def test_the_matched_temperature_gives_the_mean_entropy_of_peakl():
    rng = np.random.default_rng(0)
    for n_raters, n_emotions in ((10, 7), (5, 4), (8, 6)):
        votes = np.stack([rng.multinomial(n_raters, rng.dirichlet(np.full(n_emotions, 0.5))) for _ in range(400)])
        temperature = matched_temperature(np.vstack([votes, np.zeros((3, n_emotions), int)]))  # nobody voted on three
        assert 0 < temperature < 1
        target = make_target("sharpened", votes, votes.argmax(axis=1), temperature=temperature)
        # SciPy's entropy, not ours
        aim = stats.entropy(peak_label(votes / n_raters), axis=1).mean()
        assert stats.entropy(target, axis=1).mean() == pytest.approx(aim, abs=1e-9)
        # control: the soft labels are flatter by far, and the targets are others than PeakL's
        assert stats.entropy(votes / n_raters, axis=1).mean() > aim + 0.02
        assert np.abs(target - peak_label(votes / n_raters)).max() > 0.02


def test_three_raters_give_sharpened_labels_no_shape_of_their_own():
    # 3-0, 2-1 and 1-1-1: only 2-1 can be sharpened, and the same entropy makes it the same label
    votes = np.array([[3, 0, 0, 0], [2, 1, 0, 0], [1, 1, 1, 0], [0, 1, 2, 0]])
    target = make_target("sharpened", votes, votes.argmax(axis=1), temperature=matched_temperature(votes))
    assert target == pytest.approx(peak_label(votes / 3), abs=1e-9) and target[1, 0] > 0.7


def test_a_temperature_where_none_or_every_one_matches():
    assert matched_temperature(np.eye(4, dtype=int) * 5) == 1.0  # unanimous: PeakL changes nothing
    assert matched_temperature(np.full((3, 4), 2)) == 1.0  # evenly split: the same
    # PeakL takes shares of .02 away as a whole: no entropy is left, and a power of the shares comes near to that only
    flat = np.array([[92, 2, 2, 2, 2, 0, 0]])
    assert entropy(peak_label(soft_label(flat))).item() == 0 and entropy(soft_label(flat)).item() > 0.3
    lowest = matched_temperature(flat)
    assert lowest == 1e-4 and sharpen_label(soft_label(flat), lowest).tolist() == [[1, 0, 0, 0, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"the training segments have none\. Set target\.temperature"):
        matched_temperature(np.zeros((2, 7)))


def test_options_are_resolved_once_and_only_where_they_are_open():
    def read():
        raise AssertionError("not needed")

    assert resolve_options("soft", {}, read) == {}
    assert resolve_options("sharpened", {"temperature": 0.7}, read) == {"temperature": 0.7}
    votes = np.array([[6, 4, 0], [9, 1, 0]])
    assert resolve_options("sharpened", {"temperature": None}, lambda: votes) == {
        "temperature": matched_temperature(votes)
    }
    with pytest.raises(ValueError, match=r"target\.kind=soft takes no option: got epsilon"):
        resolve_options("soft", {"epsilon": 0.1}, read)
    with pytest.raises(ValueError, match=r"target\.kind=smoothed takes epsilon: got none"):
        make_target("smoothed", votes, votes.argmax(axis=1))


# --- sampled ----------------------------------------------------------------------------------------------------------
def test_a_draw_is_one_rater_of_the_segment_and_all_raters_are_equally_likely():
    ids = [f"segment {k}" for k in range(20_000)]
    votes = np.tile([1, 0, 6, 3], (len(ids), 1))
    drawn = draw_target("sampled", votes, ids, seed=42, epoch=0)
    assert set(np.unique(drawn)) == {0.0, 1.0} and (drawn.sum(axis=1) == 1).all() and not drawn[:, 1].any()
    # a chi-square test of the shares .1, .6, .3; with a fixed seed it is one number
    assert stats.chisquare(drawn.sum(axis=0)[[0, 2, 3]], np.array([0.1, 0.6, 0.3]) * len(ids)).pvalue > 0.01
    # over epochs as well: the mean of the draws is what make_target gives
    by_epoch = [draw_target("sampled", votes[:1], ids[:1], seed=42, epoch=epoch)[0] for epoch in range(4000)]
    assert np.mean(by_epoch, axis=0) == pytest.approx([0.1, 0, 0.6, 0.3], abs=0.03)
    assert make_target("sampled", votes[:1], np.array([2]))[0] == pytest.approx([0.1, 0, 0.6, 0.3], abs=1e-15)


def test_a_draw_depends_on_seed_epoch_and_segment_alone():
    ids = [f"Sess01_script01_F{k:03d}" for k in range(200)]
    votes = np.tile([3, 4, 3], (200, 1))
    drawn = draw_target("sampled", votes, ids, seed=1, epoch=3)
    order = np.random.default_rng(0).permutation(200)
    assert np.array_equal(draw_target("sampled", votes[order], [ids[k] for k in order], 1, 3), drawn[order])
    assert np.array_equal(draw_target("sampled", votes[5:6], ids[5:6], 1, 3), drawn[5:6])
    for seed, epoch in ((1, 4), (2, 3), (13, 1)):  # other epoch, other seed, and the digits otherwise divided
        assert (draw_target("sampled", votes, ids, seed, epoch) != drawn).any(axis=1).mean() > 0.5
    numbers = uniform_of(ids, 1, 3)
    assert ((numbers >= 0) & (numbers < 1)).all() and len(set(numbers)) == 200


def test_the_ends_of_the_numbers_draw_the_first_and_the_last_rater():
    draw = KINDS["sampled"].draw
    votes = np.array([[0, 2, 1, 0], [0, 2, 1, 0], [0, 2, 1, 0]])
    assert draw(votes, np.array([0.0, 0.6666, 1 - 2**-53])).argmax(axis=1).tolist() == [1, 1, 2]


def test_nothing_is_drawn_where_nobody_voted_and_for_other_kinds():
    drawn = draw_target("sampled", np.array([[0, 0], [0, 2]]), ["a", "b"], 0, 0)
    assert np.isnan(drawn[0]).all() and drawn[1].tolist() == [0, 1]
    assert draw_target("soft", np.array([[1, 1]]), ["a"], 0, 0) is None
