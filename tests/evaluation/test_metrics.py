"""Metrics against scikit-learn and against the textbook written a second time, over random and degenerate folds."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from erc.data import EMOTIONS, KEMD
from erc.evaluation import metrics
from erc.evaluation.metrics import ON_EMOTIONS, auroc, concordance, majority_prediction

evaluate = functools.partial(metrics.evaluate, label_space=KEMD)
HEADLINE = (*ON_EMOTIONS, "ccc_valence", "ccc_arousal")

seeds = st.integers(0, 10_000)
few = settings(max_examples=10)  # an evaluation takes scikit-learn some 20 ms


def draw_fold(seed: int, n: int, classes: int = 7, tied: float = 0.2, sharp: float = 1.0) -> dict[str, np.ndarray]:
    """A fold of n segments whose true emotions are the first ``classes``; predictions half right."""
    rng = np.random.default_rng(seed)
    hard_label = rng.integers(0, classes, size=n)
    logits = rng.normal(0, sharp, size=(n, 7)) + sharp * np.eye(7)[hard_label]
    va = rng.integers(10, 51, size=(n, 2)) / 10
    return {
        "hard_label": hard_label,
        "is_tied": rng.random(n) < tied,
        "va": va,
        "emotion_probs": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        "pred_va": va + rng.normal(0.2, 0.8, size=(n, 2)),
    }


def by_hand(fold: dict[str, np.ndarray]) -> dict[str, float]:
    """Every metric from counts of true and false positives and negatives, of the untied segments."""
    keep = [i for i in range(len(fold["hard_label"])) if not fold["is_tied"][i]]
    truth = [int(fold["hard_label"][i]) for i in keep]
    guess = [max(range(7), key=lambda k, i=i: (fold["emotion_probs"][i][k], -k)) for i in keep]
    counts = []
    for k in range(7):
        hit = sum(t == k == g for t, g in zip(truth, guess, strict=True))
        counts.append((hit, guess.count(k) - hit, truth.count(k) - hit))
    f1 = [2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None for tp, fp, fn in counts]
    n, total = len(keep), [sum(column) for column in zip(*counts, strict=True)]
    values = {
        "weighted_f1": sum(f1[k] * truth.count(k) / n for k in range(7) if truth.count(k)),
        "micro_f1": 2 * total[0] / (2 * total[0] + total[1] + total[2]),
        "macro_f1": sum(f for f in f1 if f is not None) / sum(f is not None for f in f1),
        "accuracy": sum(t == g for t, g in zip(truth, guess, strict=True)) / n,
        "uar": np.mean([counts[k][0] / truth.count(k) for k in range(7) if truth.count(k)]),
        "n_scored": n,
        "n_tied": len(fold["hard_label"]) - n,
    }
    values |= {f"f1_{e}": f1[k] for k, e in enumerate(EMOTIONS)}
    return values


# --- against the textbook ---------------------------------------------------------------------------------------------
@few
@given(seed=seeds, n=st.integers(1, 60), classes=st.integers(1, 7), sharp=st.sampled_from([0.0, 1.0, 4.0]))
def test_classification_metrics_are_those_counted_by_hand(seed, n, classes, sharp):
    fold = draw_fold(seed, n, classes, sharp=sharp)
    assume(not fold["is_tied"].all())
    found = evaluate(**fold)
    for name, value in by_hand(fold).items():
        if value is None:
            assert math.isnan(found[name]), name  # in neither truth nor prediction
        else:
            assert found[name] == pytest.approx(value, abs=1e-12), name


@few
@given(seed=seeds, n=st.integers(1, 60), classes=st.integers(1, 7))
def test_classification_metrics_are_scikit_learn_s(seed, n, classes):
    fold = draw_fold(seed, n, classes)
    assume(not fold["is_tied"].all())
    truth = fold["hard_label"][~fold["is_tied"]]
    guess = fold["emotion_probs"][~fold["is_tied"]].argmax(axis=1)
    found = evaluate(**fold)
    for average in ("weighted", "micro", "macro"):
        assert found[f"{average}_f1"] == pytest.approx(f1_score(truth, guess, average=average, zero_division=0))
    present = np.unique(truth)
    assert found["uar"] == pytest.approx(recall_score(truth, guess, labels=present, average="macro", zero_division=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of predicted emotions that the truth lacks
        assert found["uar"] == pytest.approx(balanced_accuracy_score(truth, guess))
    assert found["accuracy"] == pytest.approx(found["micro_f1"], abs=1e-12)


@few
@given(seed=seeds, n=st.integers(30, 90))
def test_auroc_is_scikit_learn_s_one_against_the_rest_where_every_emotion_occurs(seed, n):
    fold = draw_fold(seed, n, tied=0.1)
    truth, probs = fold["hard_label"][~fold["is_tied"]], fold["emotion_probs"][~fold["is_tied"]]
    assume(len(np.unique(truth)) == 7)
    expected = roc_auc_score(truth, probs, multi_class="ovr", average="macro")
    assert evaluate(**fold)["auroc"] == pytest.approx(expected, abs=1e-12)


@few
@given(seed=seeds, n=st.integers(2, 40), classes=st.integers(2, 6))
def test_auroc_is_the_share_of_pairs_in_order_over_the_emotions_that_occur(seed, n, classes):
    fold = draw_fold(seed, n, classes, tied=0.0)
    probs = fold["emotion_probs"].round(1)  # equal ones among them: half a pair
    areas = []
    for k in sorted(set(fold["hard_label"].tolist())):
        inside, outside = probs[fold["hard_label"] == k, k], probs[fold["hard_label"] != k, k]
        pairs = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]  # Mann and Whitney (1947)
        if pairs:
            areas.append(np.mean(pairs))
    found = auroc(hard_label=fold["hard_label"], emotion_probs=probs)
    if len(areas) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.mean(areas), abs=1e-12)


def test_an_absent_emotion_is_left_out_of_auroc_not_counted_as_0():
    truth = np.array([0, 0, 1, 1])
    probs = np.zeros((4, 7))
    probs[:, 0], probs[:, 1] = [0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.9, 0.8]
    assert auroc(hard_label=truth, emotion_probs=probs) == 1  # with five absent ones at 0 it would be 2 / 7


@given(seed=seeds, n=st.integers(2, 80))
def test_concordance_is_lin_s_formula(seed, n):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.normal(3, 1, size=n), rng.normal(2.5, 0.6, size=n)
    # Lin (1989): rho_c = 2 rho s_x s_y / (s_x^2 + s_y^2 + (mu_x - mu_y)^2), moments over n
    rho, s_x, s_y = np.corrcoef(truth, prediction)[0, 1], truth.std(), prediction.std()
    expected = 2 * rho * s_x * s_y / (s_x**2 + s_y**2 + (truth.mean() - prediction.mean()) ** 2)
    assert concordance(truth=truth, prediction=prediction) == pytest.approx(expected, abs=1e-12)


def test_concordance_divides_by_n():
    truth, prediction = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.5, 3.0])
    # by hand: both means 7/3, s_xy = 13/18, s_x^2 = 14/9, s_y^2 = 7/18; with n - 1 all three grow by 3/2
    s_xy, s_x, s_y = 13 / 18, 14 / 9, 7 / 18
    assert concordance(truth=truth, prediction=prediction) == pytest.approx(2 * s_xy / (s_x + s_y), rel=1e-12)
    shifted = prediction + 1  # the difference of means, 1, does not grow
    assert concordance(truth=truth, prediction=shifted) == pytest.approx(2 * s_xy / (s_x + s_y + 1), rel=1e-12)
    with_n_less_1 = 2 * 1.5 * s_xy / (1.5 * s_x + 1.5 * s_y + 1)
    assert abs(concordance(truth=truth, prediction=shifted) - with_n_less_1) > 0.02


def test_a_mean_over_batches_would_be_another_concordance():
    # faults, section 5.3: 0.9986 over the fold, 0.1496 as a mean over batches of sorted data
    rng = np.random.default_rng(0)
    truth = np.sort(rng.uniform(1, 5, size=400))
    prediction = truth + rng.normal(0, 0.05, size=400)
    over_batches = np.mean(
        [concordance(truth=truth[i : i + 8], prediction=prediction[i : i + 8]) for i in range(0, 400, 8)]
    )
    assert concordance(truth=truth, prediction=prediction) > 0.99 and over_batches < 0.6


# --- degenerate folds -------------------------------------------------------------------------------------------------
def test_concordance_of_a_constant_is_0_and_of_none_is_nan():
    varied = np.array([1.0, 2.0, 4.0])
    assert concordance(truth=varied, prediction=np.full(3, 2.0)) == 0
    assert concordance(truth=np.full(3, 2.0), prediction=varied) == 0
    assert concordance(truth=np.full(3, 2.0), prediction=np.full(3, 3.0)) == 0
    assert math.isnan(concordance(truth=np.array([]), prediction=np.array([])))
    assert math.isnan(concordance(truth=np.full(3, 2.0), prediction=np.full(3, 2.0)))


CONSTANTS = [(n, value) for n in (1, 3, 6, 7, 10, 31, 1000) for value in (0.1, 1.1, 2.3, 3.3, 4.7)]
"""The mean of n equal numbers may be off in its last digit, which is no spread."""


def test_concordance_of_two_equal_constants_is_nan_whatever_the_rounding():
    found = {(n, v): concordance(truth=np.full(n, v), prediction=np.full(n, v)) for n, v in CONSTANTS}
    assert [key for key, value in found.items() if not math.isnan(value)] == []


def test_concordance_of_a_constant_prediction_is_exactly_0_whatever_the_rounding():
    varied = {n: np.random.default_rng(n).uniform(1, 5, size=n) for n, _ in CONSTANTS}
    found = {(n, v): concordance(truth=varied[n], prediction=np.full(n, v)) for n, v in CONSTANTS}
    assert [key for key, value in found.items() if value != 0] == []


def test_concordance_of_the_same_values_is_1_and_of_mirrored_ones_minus_1():
    truth = np.array([1.0, 2.0, 4.0])
    assert concordance(truth=truth, prediction=truth) == pytest.approx(1, rel=1e-15)
    assert concordance(truth=truth, prediction=2 * truth.mean() - truth) == pytest.approx(-1, rel=1e-12)


def test_no_segment_gives_nan_everywhere():
    found = evaluate(**draw_fold(0, 0))
    assert found.pop("n_scored") == found.pop("n_tied") == 0
    assert set(HEADLINE) <= found.keys() and all(math.isnan(value) for value in found.values())


def test_one_segment_is_right_or_wrong_and_has_no_curve():
    fold = draw_fold(3, 1, tied=0.0)
    fold["emotion_probs"] = np.eye(7)[fold["hard_label"]]
    right = evaluate(**fold)
    assert right["accuracy"] == right["weighted_f1"] == right["macro_f1"] == right["uar"] == 1
    assert math.isnan(right["auroc"])
    assert right["ccc_valence"] == 0  # one value is a constant, and the two constants differ
    wrong = evaluate(**fold | {"emotion_probs": np.eye(7)[(fold["hard_label"] + 1) % 7]})
    assert wrong["accuracy"] == wrong["weighted_f1"] == wrong["macro_f1"] == wrong["uar"] == 0


def test_only_tied_segments_leave_concordance_over_all():
    fold = draw_fold(1, 20)
    fold["is_tied"][:] = True
    found = evaluate(**fold)
    assert found["n_scored"] == 0 and found["n_tied"] == 20
    assert all(math.isnan(found[name]) for name in HEADLINE)
    assert found["ccc_valence_all"] == concordance(truth=fold["va"][:, 0], prediction=fold["pred_va"][:, 0])


@few
@given(seed=seeds)
def test_tied_segments_count_in_no_headline_metric(seed):
    fold = draw_fold(seed, 40)
    found = evaluate(**fold)
    spoilt = {name: values.copy() for name, values in fold.items()}
    tied = spoilt["is_tied"]
    spoilt["hard_label"][tied] = (spoilt["hard_label"][tied] + 3) % 7
    spoilt["va"][tied], spoilt["pred_va"][tied] = 1.0, 5.0
    spoilt["emotion_probs"][tied] = np.eye(7)[0]
    changed = evaluate(**spoilt)
    for name in (*HEADLINE, "n_scored", "n_tied", *(f"f1_{e}" for e in EMOTIONS)):
        assert changed[name] == found[name] or (math.isnan(changed[name]) and math.isnan(found[name])), name
    if tied.sum() > 3:
        assert changed["ccc_valence_all"] != found["ccc_valence_all"]
    untied = {name: values[~tied] for name, values in fold.items()}
    assert evaluate(**untied)["weighted_f1"] == found["weighted_f1"]


@few
@given(seed=seeds)
def test_the_order_of_the_segments_does_not_matter(seed):
    fold = draw_fold(seed, 50)
    order = np.random.default_rng(seed).permutation(50)
    straight, shuffled = evaluate(**fold), evaluate(**{name: values[order] for name, values in fold.items()})
    for name, value in straight.items():
        assert shuffled[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@few
@given(seed=seeds, n=st.integers(0, 30), classes=st.integers(1, 7), tied=st.sampled_from([0.0, 0.3, 1.0]))
def test_every_metric_is_in_its_range_or_nan(seed, n, classes, tied):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an undefined figure is decided here, not left to a library's warning
        found = evaluate(**draw_fold(seed, n, classes, tied))
    for name, value in found.items():
        low = -1 if name.startswith("ccc_") else 0
        assert math.isnan(value) or (value >= low and (value <= 1 or name.startswith("n_"))), name


@pytest.mark.parametrize("name", ["emotion_probs", "pred_va"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_prediction_that_is_not_finite_is_an_error(name, value, is_tied):
    fold = draw_fold(0, 20)
    fold["is_tied"][4] = is_tied  # a tied one as well: it counts in the figures over all
    fold[name][4, 1] = value
    with pytest.raises(ValueError, match="Predictions must be finite"):
        evaluate(**fold)


@pytest.mark.parametrize("name", ["hard_label", "is_tied", "va", "emotion_probs", "pred_va"])
def test_a_missing_row_is_an_error(name):
    fold = draw_fold(0, 20)
    fold[name] = fold[name][1:]
    with pytest.raises(ValueError, match=r"one row a segment: got lengths \[19, 20\]"):
        evaluate(**fold)


# --- majority ---------------------------------------------------------------------------------------------------------
def test_the_majority_row_predicts_the_most_frequent_untied_emotion_and_the_mean():
    train = {
        "hard_label": np.array([4, 4, 4, 3, 3, 2]),
        "is_tied": np.array([True, True, False, False, False, False]),
        "va": np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 3.0], [2.0, 5.0], [4.0, 1.0], [3.0, 4.0]]),
    }
    probs, va = majority_prediction(**train, n_emotions=7, n=3)
    assert probs.tolist() == [[0, 0, 0, 1, 0, 0, 0]] * 3  # neutral: twice untied, happy only once
    assert va.tolist() == [[2.5, 3.0]] * 3  # over all six, tied ones too
    fold = draw_fold(8, 50)
    found = evaluate(**fold | {"emotion_probs": np.tile(probs[0], (50, 1)), "pred_va": np.tile(va[0], (50, 1))})
    share = (fold["hard_label"][~fold["is_tied"]] == 3).mean()
    assert found["accuracy"] == pytest.approx(share)
    assert found["weighted_f1"] == pytest.approx(share * 2 * share / (share + 1))  # precision = share, recall = 1
    assert found["auroc"] == 0.5 and found["ccc_valence"] == 0
    assert found["uar"] == pytest.approx(1 / 7)


def test_the_majority_of_tied_segments_only_is_their_hard_label():
    probs, _ = majority_prediction(
        hard_label=np.array([5, 5, 1]), is_tied=np.array([True] * 3), va=np.ones((3, 2)), n_emotions=7, n=1
    )
    assert probs[0].argmax() == 5
