"""Sums over dialogues, and the metrics of the sums, against scikit-learn and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from by_hand import make_world, sklearn_scores, textbook_ccc
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score

from erc.data import KEMD
from erc.evaluation import cluster_sums

pytestmark = pytest.mark.filterwarnings("error")  # undefined results are decided, not warned about

EXACT = {"rtol": 0, "atol": 1e-9}


@pytest.fixture
def world():
    return make_world()


def test_confusion_sums_hold_each_dialogues_confusion_matrix(world):
    sums = cluster_sums.confusion_sums(
        truth=world["truth"], prediction=world["a"], clusters=world["clusters"], n_classes=7
    )
    assert sums.clusters.tolist() == sorted(set(world["clusters"]))
    for name, matrix, size in zip(sums.clusters, sums.sums, sums.sizes, strict=True):
        rows = world["clusters"] == name
        expected = confusion_matrix(world["truth"][rows], world["a"][rows], labels=range(KEMD.n_emotions))
        np.testing.assert_array_equal(matrix, expected)
        assert size == rows.sum()


@given(data=st.data(), n=st.integers(1, 30), n_classes=st.integers(2, 7))
def test_confusion_scores_agree_with_scikit_learn_whichever_classes_are_missing(data, n, n_classes):
    labels = hnp.arrays(np.int64, n, elements=st.integers(0, n_classes - 1))
    truth, prediction = data.draw(labels), data.draw(labels)
    confusion = confusion_matrix(truth, prediction, labels=range(n_classes))
    np.testing.assert_allclose(cluster_sums.confusion_scores(confusion), sklearn_scores(truth, prediction), **EXACT)


def test_a_stack_of_confusion_matrices_is_scored_one_by_one():
    stack = np.random.default_rng(0).integers(0, 5, size=(3, 2, 7, 7))
    scores = cluster_sums.confusion_scores(stack)
    assert scores.shape == (3, 2, len(cluster_sums.CONFUSION_METRICS))
    np.testing.assert_array_equal(scores[2, 1], cluster_sums.confusion_scores(stack[2, 1]))


def test_no_segment_has_no_score():
    assert np.isnan(cluster_sums.confusion_scores(np.zeros((7, 7)))).all()
    assert np.isnan(cluster_sums.moment_concordance(np.zeros(6)))


@given(data=st.data(), n=st.integers(1, 30))
def test_f1_by_emotion_agrees_with_scikit_learn_whichever_emotions_are_missing(data, n):
    labels = hnp.arrays(np.int64, n, elements=st.integers(0, KEMD.n_emotions - 1))
    truth, prediction = data.draw(labels), data.draw(labels)
    confusion = confusion_matrix(truth, prediction, labels=range(KEMD.n_emotions))
    expected = f1_score(truth, prediction, average=None, labels=range(KEMD.n_emotions), zero_division=np.nan)
    np.testing.assert_allclose(cluster_sums.f1_by_emotion(confusion), expected, **EXACT)
    np.testing.assert_array_equal(
        cluster_sums.f1_by_emotion(np.stack([confusion] * 2))[1], cluster_sums.f1_by_emotion(confusion)
    )
    assert np.isnan(cluster_sums.f1_by_emotion(np.zeros((KEMD.n_emotions, KEMD.n_emotions)))).all()


def ccc(truth, prediction):
    sums = cluster_sums.moment_sums(
        truth=np.array(truth), prediction=np.array(prediction), clusters=np.zeros(len(truth))
    )
    return float(cluster_sums.moment_concordance(sums.sums.sum(axis=0)))


@pytest.mark.parametrize("offset", [0.0, 3.0, -1e4])
def test_concordance_from_moments_is_lins_even_far_from_zero(world, offset):
    truth, prediction = world["valence"] + offset, world["predicted_valence"] + offset
    assert ccc(truth, prediction) == pytest.approx(textbook_ccc(truth, prediction), abs=1e-9)


def test_concordance_divides_by_n():
    # x = 1 2 3, y = 2 3 4, by hand: variances 2/3, covariance 2/3, means 1 apart: (4/3) / (4/3 + 1) = 4/7;
    # dividing by n - 1 would give 2 / (2 + 1) = 2/3.
    assert ccc([1, 2, 3], [2, 3, 4]) == pytest.approx(4 / 7, abs=1e-12)


def test_concordance_is_the_correlation_where_means_and_variances_agree():
    rng = np.random.default_rng(1)
    truth, prediction = stats.zscore(rng.normal(size=(2, 50)), axis=1)
    assert ccc(truth, prediction) == pytest.approx(stats.pearsonr(truth, prediction).statistic, abs=1e-9)


def test_concordance_of_constants_is_decided():
    assert math.isnan(ccc([2.3] * 7, [2.3] * 7))  # one and the same constant: nothing to measure
    assert ccc([2.3] * 4, [2.7] * 4) == pytest.approx(0, abs=1e-9)
    assert ccc([2.3] * 4, [1.1, 2.2, 3.3, 4.4]) == pytest.approx(0, abs=1e-9)
    assert ccc([2.3], [2.4]) == pytest.approx(0, abs=1e-9)  # one segment is two constants
    assert math.isnan(ccc([2.3], [2.3])) and math.isnan(ccc([], []))


def test_sums_of_one_constant_are_undefined_whatever_their_rounding():
    # A resample that happens to hold one value only, n times: its sums are off by rounding, its variance not quite 0.
    for value in np.linspace(0.1, 2.3, 23):
        for n in (3, 7, 10):
            first, second = sum([value] * n), sum([value * value] * n)
            assert math.isnan(cluster_sums.moment_concordance([n, first, first, second, second, second]))


@given(
    truth=hnp.arrays(np.float64, 8, elements=st.floats(1, 5)),
    prediction=hnp.arrays(np.float64, 8, elements=st.floats(1, 5)),
)
def test_concordance_is_symmetric_and_within_one(truth, prediction):
    there, back = ccc(truth, prediction), ccc(prediction, truth)
    assert there == pytest.approx(back, abs=1e-6, nan_ok=True)
    assert math.isnan(there) or abs(there) <= 1 + 1e-6


def test_labels_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="prediction must hold class indices: expected integers 0 to 6"):
        cluster_sums.confusion_sums(truth=[0, 1], prediction=[0, 7], clusters=[0, 0], n_classes=7)
    with pytest.raises(ValueError, match="truth must hold class indices"):
        cluster_sums.confusion_sums(truth=[0, 0.5], prediction=[0, 1], clusters=[0, 0], n_classes=7)
    with pytest.raises(ValueError, match="One value per segment"):
        cluster_sums.moment_sums(truth=[1.0, 2.0], prediction=[1.0], clusters=[0, 0])
