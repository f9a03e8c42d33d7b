"""Label distributions, calibration and agreement strata against SciPy, scikit-learn and the textbook."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, log_loss

from erc.data import KEMD
from erc.evaluation import distributions as evaluation_distributions

pytestmark = pytest.mark.filterwarnings("error")  # undefined results are decided, not warned about


def soft_labels(rng, n):
    return rng.multinomial(10, rng.dirichlet(np.ones(KEMD.n_emotions), n)) / 10


def predicted_probs(rng, n):
    return rng.dirichlet(np.full(KEMD.n_emotions, 0.7), n)


def test_jensen_shannon_divergence_is_the_square_of_scipys_distance():
    rng = np.random.default_rng(0)
    truth, prediction = soft_labels(rng, 200), predicted_probs(rng, 200)
    expected = (jensenshannon(truth, prediction, base=2, axis=1) ** 2).mean()
    result = evaluation_distributions.jensen_shannon_divergence(truth=truth, prediction=prediction)
    assert result == pytest.approx(expected, abs=1e-9)


def test_jensen_shannon_divergence_is_entropy_of_the_mixture_less_mean_entropy():
    rng = np.random.default_rng(1)
    truth, prediction = soft_labels(rng, 50), predicted_probs(rng, 50)

    def entropy(p):
        return stats.entropy(p, base=2, axis=1)

    expected = (entropy((truth + prediction) / 2) - (entropy(truth) + entropy(prediction)) / 2).mean()
    result = evaluation_distributions.jensen_shannon_divergence(truth=truth, prediction=prediction)
    assert result == pytest.approx(expected, abs=1e-9)


def test_jensen_shannon_divergence_of_scipys_documented_example():
    # scipy.spatial.distance.jensenshannon([1, 0], [.5, .5]) = 0.46450140402245893, a distance in root nats
    result = evaluation_distributions.jensen_shannon_divergence(truth=[[1.0, 0.0]], prediction=[[0.5, 0.5]])
    assert result == pytest.approx(0.46450140402245893**2 / math.log(2), abs=1e-9)


def test_jensen_shannon_divergence_is_zero_for_equal_and_one_for_disjoint_distributions():
    one_hot = np.eye(KEMD.n_emotions)
    assert evaluation_distributions.jensen_shannon_divergence(truth=one_hot, prediction=one_hot) == 0
    assert (
        evaluation_distributions.jensen_shannon_divergence(truth=one_hot, prediction=np.roll(one_hot, 1, axis=1)) == 1
    )


distributions = hnp.arrays(np.float64, (3, KEMD.n_emotions), elements=st.floats(0, 1)).filter(
    lambda p: (p.sum(axis=1) > 0.01).all()
).map(lambda p: p / p.sum(axis=1, keepdims=True))  # fmt: skip


@given(truth=distributions, prediction=distributions)
def test_jensen_shannon_divergence_is_symmetric_and_within_zero_and_one(truth, prediction):
    there = evaluation_distributions.jensen_shannon_divergence(truth=truth, prediction=prediction)
    assert 0 <= there <= 1
    assert there == pytest.approx(
        evaluation_distributions.jensen_shannon_divergence(truth=prediction, prediction=truth), abs=1e-12
    )


def test_cross_entropy_is_the_textbook_double_loop():
    rng = np.random.default_rng(2)
    truth, prediction = soft_labels(rng, 60), predicted_probs(rng, 60)
    expected = -sum(
        math.fsum(p * math.log(max(q, 1e-12)) for p, q in zip(*rows, strict=True))
        for rows in zip(truth, prediction, strict=True)
    )
    result = evaluation_distributions.cross_entropy(truth=truth, prediction=prediction)
    assert result == pytest.approx(expected / 60, abs=1e-9)


def test_cross_entropy_of_hard_labels_is_scikit_learns_log_loss():
    rng = np.random.default_rng(3)
    hard, prediction = rng.integers(KEMD.n_emotions, size=80), predicted_probs(rng, 80)
    result = evaluation_distributions.cross_entropy(truth=np.eye(KEMD.n_emotions)[hard], prediction=prediction)
    assert result == pytest.approx(log_loss(hard, prediction, labels=range(KEMD.n_emotions)), abs=1e-9)


@given(truth=distributions, prediction=distributions)
def test_cross_entropy_is_least_at_the_truth_and_there_the_entropy(truth, prediction):
    entropy = stats.entropy(truth, axis=1).mean()
    at_truth = evaluation_distributions.cross_entropy(truth=truth, prediction=truth)
    assert at_truth == pytest.approx(entropy, abs=1e-9)
    assert evaluation_distributions.cross_entropy(truth=truth, prediction=prediction) >= at_truth - 1e-9


def test_a_certain_and_wrong_prediction_costs_no_more_than_the_clip():
    result = evaluation_distributions.cross_entropy(truth=[[1.0, 0.0]], prediction=[[0.0, 1.0]])
    assert result == pytest.approx(-math.log(1e-12), abs=1e-9)


def textbook_ece(hard_label, probs, n_bins):
    """Guo et al. (2017), bin by bin."""
    error = 0.0
    for b in range(n_bins):
        rows = [i for i, p in enumerate(probs) if b / n_bins < max(p) <= (b + 1) / n_bins]
        if rows:
            accuracy = accuracy_score(hard_label[rows], [list(probs[i]).index(max(probs[i])) for i in rows])
            confidence = math.fsum(max(probs[i]) for i in rows) / len(rows)
            error += len(rows) / len(probs) * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("n_bins", [1, 10, 15, 100])
def test_calibration_error_is_the_textbook_loop_over_bins(n_bins):
    rng = np.random.default_rng(n_bins)
    hard, probs = rng.integers(KEMD.n_emotions, size=300), predicted_probs(rng, 300)
    result = evaluation_distributions.expected_calibration_error(hard_label=hard, probs=probs, n_bins=n_bins)
    assert result == pytest.approx(textbook_ece(hard, probs, n_bins), abs=1e-9)


def test_calibration_error_of_a_case_done_by_hand():
    # confidences .8 .8 .6 .6 in bins (.6, .8] and (.4, .6] of five: right 2 of 2 and 0 of 2: (.2 + .6) / 2 = .4
    probs = [[0.8, 0.2], [0.2, 0.8], [0.6, 0.4], [0.6, 0.4]]
    result = evaluation_distributions.expected_calibration_error(hard_label=[0, 1, 1, 1], probs=probs, n_bins=5)
    assert result == pytest.approx(0.4, abs=1e-9)


def test_a_confidence_on_an_edge_falls_into_the_bin_below():
    # two bins: .5 belongs to (0, .5], .75 to (.5, 1]; one right, one wrong: (|1 - .5| + |0 - .75|) / 2. In one bin
    # together the gaps would partly cancel, |1 - 1.25| / 2.
    probs = [[0.5, 0.5], [0.75, 0.25]]
    result = evaluation_distributions.expected_calibration_error(hard_label=[0, 1], probs=probs, n_bins=2)
    assert result == pytest.approx(0.625, abs=1e-9)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not_at_all():
    probs = np.eye(KEMD.n_emotions)
    hard = np.arange(KEMD.n_emotions)
    assert evaluation_distributions.expected_calibration_error(hard_label=hard, probs=probs) == 0
    assert evaluation_distributions.expected_calibration_error(hard_label=np.roll(hard, 1), probs=probs) == 1


def test_a_model_that_means_its_probabilities_is_calibrated():
    rng = np.random.default_rng(4)
    probs = predicted_probs(rng, 50_000)
    hard = (rng.random((50_000, 1)) > probs.cumsum(axis=1)[:, :-1]).sum(axis=1)
    assert evaluation_distributions.expected_calibration_error(hard_label=hard, probs=probs) < 0.01


@given(probs=distributions, hard=hnp.arrays(np.int64, 3, elements=st.integers(0, 6)), n_bins=st.integers(1, 30))
def test_calibration_error_lies_between_the_one_bin_gap_and_one(probs, hard, n_bins):
    error = evaluation_distributions.expected_calibration_error(hard_label=hard, probs=probs, n_bins=n_bins)
    overall = evaluation_distributions.expected_calibration_error(hard_label=hard, probs=probs, n_bins=1)
    assert overall - 1e-12 <= error <= 1 + 1e-12


def test_no_segment_has_no_distribution_score():
    empty = np.zeros((0, KEMD.n_emotions))
    assert math.isnan(evaluation_distributions.jensen_shannon_divergence(truth=empty, prediction=empty))
    assert math.isnan(evaluation_distributions.cross_entropy(truth=empty, prediction=empty))
    assert math.isnan(evaluation_distributions.expected_calibration_error(hard_label=np.zeros(0, int), probs=empty))


def test_single_precision_probabilities_are_welcome():
    rng = np.random.default_rng(5)
    truth, prediction = soft_labels(rng, 100), predicted_probs(rng, 100)
    for metric in (evaluation_distributions.jensen_shannon_divergence, evaluation_distributions.cross_entropy):
        single = metric(truth=truth, prediction=prediction.astype(np.float32))
        assert single == pytest.approx(metric(truth=truth, prediction=prediction), abs=1e-5)


def test_rows_that_sum_to_one_but_for_half_precision_are_rescaled():
    truth = soft_labels(np.random.default_rng(6), 20)
    assert evaluation_distributions.jensen_shannon_divergence(truth=truth, prediction=1.0005 * truth) == pytest.approx(
        0, abs=1e-12
    )


def test_disjoint_distributions_never_diverge_by_more_than_one_bit():
    rng = np.random.default_rng(7)
    for left, right in zip(rng.dirichlet(np.ones(3), 300), rng.dirichlet(np.ones(4), 300), strict=True):
        truth, prediction = [[*left, 0, 0, 0, 0]], [[0, 0, 0, *right]]
        divergence = evaluation_distributions.jensen_shannon_divergence(truth=truth, prediction=prediction)
        assert 1 - 1e-12 <= divergence <= 1


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.full((2, 7), 0.2), "Rows of prediction must sum to 1"),
        (np.array([[1.5, -0.5], [1.0, 0.0]]), "prediction must be .N, K. probabilities"),
        (np.full((2, 2), np.nan), "prediction must be .N, K. probabilities"),
        (np.array([0.5, 0.5]), "prediction must be .N, K. probabilities"),
        (np.array([[0.5, 0.5]]), "One prediction per truth"),
    ],
)
def test_what_is_no_distribution_is_refused(prediction, message):
    truth = np.array([[0.5, 0.5], [1.0, 0.0]])
    for metric in (evaluation_distributions.jensen_shannon_divergence, evaluation_distributions.cross_entropy):
        with pytest.raises(ValueError, match=message):
            metric(truth=truth, prediction=prediction)


def test_calibration_refuses_labels_that_do_not_fit():
    probs = np.array([[0.5, 0.5], [1.0, 0.0]])
    with pytest.raises(ValueError, match="hard_label must hold class indices: expected integers 0 to 1"):
        evaluation_distributions.expected_calibration_error(hard_label=[0, 2], probs=probs)
    with pytest.raises(ValueError, match="One label per row of probs"):
        evaluation_distributions.expected_calibration_error(hard_label=[0], probs=probs)
    with pytest.raises(ValueError, match="Calibration needs bins"):
        evaluation_distributions.expected_calibration_error(hard_label=[0, 1], probs=probs, n_bins=0)


def all_votes():
    """All 8,008 ways ten raters vote on seven emotions, by stars and bars."""
    bars = np.array(list(itertools.combinations(range(16), 6)))
    edges = np.concatenate([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), 16)], axis=1)
    return np.diff(edges, axis=1) - 1


def test_every_way_to_vote_falls_into_the_stratum_of_its_largest_count():
    votes = all_votes()
    assert len(votes) == 8008
    names = {10: "10/10", 9: "8-9", 8: "8-9", 7: "6-7", 6: "6-7", 5: "<=5", 4: "<=5", 3: "<=5", 2: "<=5"}
    assert evaluation_distributions.agreement_stratum(votes, 10).tolist() == [names[max(row)] for row in votes.tolist()]
    assert set(evaluation_distributions.AGREEMENT_STRATA) == set(names.values())


def test_no_segment_has_no_stratum():
    assert evaluation_distributions.agreement_stratum(np.zeros((0, 7), int), 10).shape == (0,)


@pytest.mark.parametrize(
    ("votes", "n_raters", "message"),
    [
        ([[9, 0, 0, 0, 0, 0, 0]], 10, "Votes must be those of all raters"),
        ([[11, -1, 0, 0, 0, 0, 0]], 10, "Votes must be those of all raters"),
        ([[4, -1]], None, "Votes must be those of all raters"),
        ([10, 0, 0, 0, 0, 0, 0], 10, "Votes need one count per emotion"),
    ],
)
def test_votes_that_are_not_those_of_all_raters_have_no_stratum(votes, n_raters, message):
    with pytest.raises(ValueError, match=message):
        evaluation_distributions.agreement_stratum(votes, n_raters)


def test_strata_of_raters_that_differ_in_number_are_shares_and_a_segment_without_votes_has_none():
    votes = [[3, 2], [2, 3], [4, 1], [1, 1], [1, 0], [0, 0], [4, 6]]
    shares = ["60-79 %", "60-79 %", "80-99 %", "<60 %", "100 %", "", "60-79 %"]  # 3/5, 3/5, 4/5, 1/2, 1/1, none, 6/10
    assert evaluation_distributions.agreement_stratum(votes, None).tolist() == shares
