"""Votes -> soft label -> hard label, over all 8,008 ways in which ten raters can vote on seven emotions."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import label_binarize

from erc.data import EMOTIONS, KEMD, N_RATERS
from erc.data.corpora import KEMDY19, KEMDY20
from erc.labels import count_votes, hard_label, is_tied, one_hot, soft_label

SURPRISE, FEAR, ANGRY, NEUTRAL, HAPPY, SAD, DISGUST = range(7)
RATINGS = np.array(list(itertools.combinations_with_replacement(range(7), 10)))  # (8008, 10), every multiset once


def votes_of(**counts: int) -> np.ndarray:
    """(1, K) votes from names: ``votes_of(happy=6, sad=4)``."""
    return np.array([[counts.get(emotion, 0) for emotion in EMOTIONS]])


def test_the_emotions_stand_in_the_order_of_the_published_work():
    # "Emotion order: surprise, fear, angry, neutral, happy, sad, disgust" (the paper's code)
    assert EMOTIONS == ("surprise", "fear", "angry", "neutral", "happy", "sad", "disgust")
    assert (KEMD.n_emotions, N_RATERS) == (7, 10)


def test_there_are_8008_ways_to_vote():
    assert len(RATINGS) == 8008  # 16 choose 6: ten equal votes into seven boxes
    assert len({tuple(row) for row in count_votes(RATINGS, 7)}) == 8008


def test_votes_are_counts_per_emotion_whoever_gave_them():
    expected = np.stack([np.bincount(row, minlength=7) for row in RATINGS])
    assert np.array_equal(count_votes(RATINGS, 7), expected)
    shuffled = np.random.default_rng(0).permuted(RATINGS, axis=1)
    assert np.array_equal(count_votes(shuffled, 7), expected)


def test_no_segments_have_no_votes():
    assert count_votes(np.zeros((0, 10), dtype=int), 7).shape == (0, 7)


def test_a_soft_label_is_votes_over_raters():
    # exact: a correctly rounded quotient, as Python's own division gives it
    votes = count_votes(RATINGS, 7)
    assert soft_label(votes).tolist() == [[count / 10 for count in row] for row in votes.tolist()]


def test_a_soft_label_divides_by_the_raters_there_are_not_by_ten():
    assert soft_label(votes_of(happy=3, sad=1)).tolist() == [[0, 0, 0, 0, 0.75, 0.25, 0]]


def test_a_segment_without_votes_has_no_soft_label_and_changes_no_other():
    found = soft_label(np.array([[5, 5, 0, 0, 0, 0, 0], [0] * 7, [0, 0, 4, 0, 0, 0, 0]]))
    assert found[[0, 2]].tolist() == [[0.5, 0.5, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0]] and np.isnan(found[1]).all()


@pytest.mark.parametrize("votes", [[[11, -1, 0, 0, 0, 0, 0]], [[1, 0], [np.nan, 2]], [[np.inf, 0]]])
def test_what_is_no_count_has_no_soft_label(votes):
    with pytest.raises(ValueError, match="Votes must be counts: expected finite numbers >= 0"):
        soft_label(np.array(votes))


def test_a_segment_is_tied_when_the_two_most_frequent_emotions_are_equally_frequent():
    ranked = [Counter(row).most_common(2) for row in RATINGS.tolist()]
    expected = [len(top) == 2 and top[0][1] == top[1][1] for top in ranked]
    assert is_tied(count_votes(RATINGS, 7)).tolist() == expected
    assert 0 < sum(expected) < 8008


@pytest.mark.parametrize(
    ("votes", "tied"),
    [
        (votes_of(happy=10), False),
        (votes_of(happy=4, sad=3, fear=3), False),  # equal, but below the majority
        (votes_of(happy=5, sad=5), True),
        (votes_of(happy=3, sad=3, fear=3, angry=1), True),
        (votes_of(neutral=2, angry=2, disgust=2, fear=2, surprise=2), True),  # the widest tie of KEMDy19 has five
    ],
)
def test_ties_by_hand(votes, tied):
    assert is_tied(votes).tolist() == [tied]


def test_without_a_tie_the_majority_is_the_hard_label_whatever_valence_and_arousal_say():
    votes = count_votes(RATINGS, 7)
    votes = votes[~is_tied(votes)]
    expected = [Counter(dict(enumerate(row))).most_common(1)[0][0] for row in votes.tolist()]
    for va in ([1, 1], [5, 5], KEMDY19.centroids[SAD]):
        assert hard_label(votes, np.tile(va, (len(votes), 1)), KEMDY19.centroids).tolist() == expected


@pytest.mark.parametrize(
    ("votes", "va", "expected"),
    [
        # KEMDy19's centroids: neutral (2.97, 2.98), angry (1.80, 3.80), happy (4.31, 3.86), sad (1.90, 2.61)
        (votes_of(angry=5, neutral=5), (1.9, 3.7), ANGRY),
        (votes_of(angry=5, neutral=5), (3.0, 3.0), NEUTRAL),
        (votes_of(happy=4, sad=4, neutral=2), (4.2, 3.9), HAPPY),
        (votes_of(happy=4, sad=4, neutral=2), (1.5, 2.0), SAD),
        # neutral is nearest of all, yet did not win: (2.9, 2.9) is 1.7 from happy and 1.0 from sad
        (votes_of(happy=4, sad=4, neutral=2), (2.9, 2.9), SAD),
        # angry is nearest of all and has no vote; fear (1.74, 3.64) and disgust (2.21, 3.12) are tied
        (votes_of(fear=5, disgust=5), (1.80, 3.80), FEAR),
        # three-way: surprise (2.64, 3.64), neutral, happy
        (votes_of(surprise=3, neutral=3, happy=3, sad=1), (2.6, 3.7), SURPRISE),
    ],
)
def test_a_tie_goes_to_the_tied_emotion_with_the_nearest_centroid(votes, va, expected):
    assert hard_label(votes, np.array([va]), KEMDY19.centroids).tolist() == [expected]


def test_valence_stands_before_arousal():
    # angry is low in valence and high in arousal, happy high in both: swapped axes would say happy
    votes, va = votes_of(angry=5, happy=5), np.array([[2.0, 5.0]])
    assert hard_label(votes, va, KEMDY19.centroids).tolist() == [ANGRY]
    assert hard_label(votes, va[:, ::-1], KEMDY19.centroids).tolist() == [HAPPY]


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
def test_every_tie_is_broken_as_scikit_learn_finds_the_nearest_centroid(corpus):
    votes = count_votes(RATINGS, 7)
    votes = votes[is_tied(votes)][::9]
    va = np.random.default_rng(1).uniform(1, 5, (len(votes), 2))
    expected = []
    for row, point in zip(votes, va, strict=True):
        tied = np.flatnonzero(row == row.max())
        nearest = KNeighborsClassifier(n_neighbors=1).fit(np.array(corpus.centroids)[tied], tied)
        expected += nearest.predict(point[None]).tolist()
    assert hard_label(votes, va, corpus.centroids).tolist() == expected
    assert set(expected) == set(range(7))


def test_no_segments_have_no_hard_label():
    assert hard_label(np.zeros((0, 7), dtype=int), np.zeros((0, 2)), KEMDY19.centroids).shape == (0,)


def test_one_hot_equals_scikit_learn():
    hard = np.array([SURPRISE, DISGUST, HAPPY, HAPPY])
    assert np.array_equal(one_hot(hard, 7), label_binarize(hard, classes=range(7)))
