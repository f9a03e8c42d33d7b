"""Measures of label distributions, temperature scaling and halves of raters, against SciPy, scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.metrics import f1_score

from erc.evaluation.calibration import fit_temperature, scale, scaled_calibration_error
from erc.evaluation.distributions import (
    entropy_correlation,
    expected_calibration_error,
    manhattan_distance,
    multilabel_macro_f1,
    soft_micro_f1,
)
from erc.evaluation.half_of_raters import half_of_raters, split_votes


def draw(n: int = 300, k: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.multinomial(10, rng.dirichlet(np.full(k, 0.4))) for _ in range(n)]) / 10
    return truth, 0.6 * truth + 0.4 * rng.dirichlet(np.ones(k), n)


# --- distances and F1 -------------------------------------------------------------------------------------------------
def test_manhattan_distance_and_soft_micro_f1_by_hand():
    truth, prediction = np.array([[0.5, 0.5, 0], [1, 0, 0]]), np.array([[0.25, 0.5, 0.25], [0, 0, 1]])
    # |.25| + 0 + |.25| = .5 and 1 + 1 = 2; shared: .25 + .5 and 0, of two times 2
    assert manhattan_distance(truth=truth, prediction=prediction) == pytest.approx(1.25, abs=1e-15)
    assert soft_micro_f1(truth=truth, prediction=prediction) == pytest.approx(2 * 0.75 / 4, abs=1e-15)


def test_soft_micro_f1_is_one_minus_half_the_manhattan_distance_and_micro_f1_of_hard_labels():
    truth, prediction = draw()
    both = {"truth": truth, "prediction": prediction}
    assert soft_micro_f1(**both) == pytest.approx(1 - manhattan_distance(**both) / 2, abs=1e-12)
    assert 0.5 < soft_micro_f1(**both) < 1 == soft_micro_f1(truth=truth, prediction=truth)
    labels, guesses = truth.argmax(axis=1), np.roll(truth.argmax(axis=1), 1)
    found = soft_micro_f1(truth=np.eye(7)[labels], prediction=np.eye(7)[guesses])
    assert found == pytest.approx(f1_score(labels, guesses, average="micro"), abs=1e-12)


def test_multilabel_macro_f1_equals_scikit_learn_s():
    truth, prediction = draw()
    found = multilabel_macro_f1(truth=truth, prediction=prediction)
    assert found == pytest.approx(f1_score(truth > 1 / 7, prediction > 1 / 7, average="macro"), abs=1e-12)
    # not the macro F1 of the largest share
    hard = f1_score(truth.argmax(axis=1), prediction.argmax(axis=1), average="macro")
    assert abs(found - hard) > 0.005


def test_a_share_of_one_in_k_is_no_label_and_an_absent_emotion_does_not_count():
    # K = 5: .2 is not above .2, though .6 / 3 in floating point is
    truth, prediction = np.array([[0.2, 0.2, 0.6, 0, 0]]), np.array([[0.6 / 3, 0.8 / 4, 0.6, 0, 0]])
    assert multilabel_macro_f1(truth=truth, prediction=prediction) == 1.0
    assert math.isnan(multilabel_macro_f1(truth=np.full((2, 5), 0.2), prediction=np.full((2, 5), 0.2)))


# --- entropy ----------------------------------------------------------------------------------------------------------
def test_entropy_correlation_equals_scipy_s_and_knows_only_ranks():
    truth, prediction = draw()
    entropies = stats.entropy(truth, axis=1), stats.entropy(prediction, axis=1)
    found = entropy_correlation(truth=truth, prediction=prediction)
    assert found == pytest.approx(stats.spearmanr(*np.round(entropies, 12)).statistic, abs=1e-12) and found > 0.3
    # negative control: predictions of other segments
    assert abs(entropy_correlation(truth=truth, prediction=np.roll(prediction, 1, axis=0))) < 0.15
    # a model that is surest where raters disagree most
    two = np.array([[1.0, 0], [0.9, 0.1], [0.6, 0.4]])
    assert entropy_correlation(truth=two, prediction=two[::-1]) == pytest.approx(-1)


def test_entropy_correlation_is_not_defined_without_disagreement():
    assert math.isnan(entropy_correlation(truth=np.eye(3), prediction=draw(3, 3)[1]))
    # the same shares in another order: no difference but a rounding error's
    order = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.1, 0.7]])
    assert math.isnan(entropy_correlation(truth=draw(3, 3)[0], prediction=order))


# --- temperature scaling ----------------------------------------------------------------------------------------------
def draw_calibrated(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hard labels, and the probabilities that they were drawn from."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(5, 0.7), n)
    return np.array([rng.choice(5, p=row) for row in probs]), probs


def test_the_temperature_undoes_a_known_sharpening():
    labels, probs = draw_calibrated()
    sharp = probs**2 / (probs**2).sum(axis=1, keepdims=True)
    assert fit_temperature(hard_label=labels, probs=sharp) == pytest.approx(
        2 * fit_temperature(hard_label=labels, probs=probs), rel=1e-5
    )
    assert fit_temperature(hard_label=labels, probs=probs) == pytest.approx(1, abs=0.05)

    def loss(temperature: float) -> float:  # another optimiser on the likelihood itself
        scaled = sharp ** (1 / temperature)
        return -np.log((scaled / scaled.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]).mean()

    best = optimize.minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-8}).x
    assert fit_temperature(hard_label=labels, probs=sharp) == pytest.approx(best, abs=1e-4)


def test_scaling_takes_away_what_sharpening_did_to_calibration_and_no_more():
    labels, probs = draw_calibrated()
    sharp, dialogues = scale(probs, 0.4), np.arange(len(labels)) // 100
    raw, scaled = (
        expected_calibration_error(hard_label=labels, probs=sharp),
        scaled_calibration_error(hard_label=labels, probs=sharp, dialogues=dialogues),
    )
    assert raw > 0.15 and scaled < 0.03
    # negative control: labels that have nothing to do with the predictions stay uncalibrated in rank, whatever the scale
    order = scaled_calibration_error(hard_label=labels, probs=probs, dialogues=dialogues)
    assert order == pytest.approx(
        scaled, abs=1e-6
    )  # two label kinds that differ in sharpness alone are told to be equal


def test_each_dialogue_is_scaled_by_the_others_only():
    labels, probs = draw_calibrated(60)
    dialogues = np.repeat(["a", "b", "c"], 20)
    by_hand = np.empty_like(probs)
    for name in "abc":
        held = dialogues == name
        by_hand[held] = scale(probs[held], fit_temperature(hard_label=labels[~held], probs=probs[~held]))
    found = scaled_calibration_error(hard_label=labels, probs=probs, dialogues=dialogues)
    assert found == expected_calibration_error(hard_label=labels, probs=by_hand)
    # control: fitted on the segments themselves it is another figure
    together = scale(probs, fit_temperature(hard_label=labels, probs=probs))
    assert found != pytest.approx(expected_calibration_error(hard_label=labels, probs=together), abs=1e-6)
    assert math.isnan(scaled_calibration_error(hard_label=labels, probs=probs, dialogues=np.repeat("a", 60)))


def test_a_likelihood_without_a_maximum_gives_an_end():
    probs = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert fit_temperature(hard_label=np.array([0, 1]), probs=probs) == 0.01  # all right: the surer the better
    assert fit_temperature(hard_label=np.array([1, 0]), probs=probs) == 100  # all wrong
    assert math.isnan(fit_temperature(hard_label=np.zeros(0, int), probs=np.zeros((0, 2))))
    with pytest.raises(ValueError, match="One label per row of probs"):
        fit_temperature(hard_label=np.array([0]), probs=probs)


# --- halves of the raters ---------------------------------------------------------------------------------------------
def test_a_split_is_a_hypergeometric_draw_of_half_the_votes():
    votes = np.tile([6, 3, 0, 2], (20_000, 1))
    first, rest = split_votes(votes, np.random.default_rng(0))
    assert (first >= 0).all() and (rest >= 0).all() and (first + rest == votes).all() and (first.sum(axis=1) == 5).all()
    # SciPy's hypergeometric: of 11 votes 5 are drawn, 6 of them for the first emotion
    expected = stats.hypergeom(11, 6, 5)
    counts = np.bincount(first[:, 0], minlength=6)
    assert stats.chisquare(counts, expected.pmf(np.arange(6)) * len(votes)).pvalue > 0.01
    assert first[:, 0].var() == pytest.approx(
        expected.var(), rel=0.03
    )  # of a draw with replacement it were 1.24, not .74


def test_segments_may_have_different_numbers_of_raters():
    votes = np.array([[2, 2], [5, 0], [1, 6]])
    first, rest = split_votes(votes, np.random.default_rng(1))
    assert first.sum(axis=1).tolist() == [2, 2, 3] and (first + rest == votes).all()


def test_unanimous_raters_predict_one_another_and_random_ones_do_not():
    found = half_of_raters(np.eye(4, dtype=int)[[0, 1, 2, 2]] * 10)
    assert found == {
        "jsd": 0,
        "manhattan": 0,
        "soft_micro_f1": 1,
        "multilabel_macro_f1": 1,
    }  # and no entropy to predict
    rng = np.random.default_rng(0)
    mixed = np.stack([rng.multinomial(10, rng.dirichlet(np.full(7, 0.4))) for _ in range(400)])
    noise = rng.multinomial(10, np.full(7, 1 / 7), 400)
    assert half_of_raters(mixed)["entropy_correlation"] > 0.2 > 0.1 > abs(half_of_raters(noise)["entropy_correlation"])
    assert half_of_raters(mixed) == half_of_raters(mixed) != half_of_raters(mixed, seed=1)


def test_three_votes_cannot_be_halved():
    assert half_of_raters(np.array([[2, 1, 0], [0, 0, 0]])) == {}
    with_more = half_of_raters(np.array([[2, 1, 0], [5, 5, 0], [0, 0, 4]]))
    assert with_more == half_of_raters(np.array([[5, 5, 0], [0, 0, 4]]))
