"""One rater against the others: the textbook loop, cases done by hand, and what is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import textbook_ccc
from hypothesis import given, settings, strategies as st
from sklearn.metrics import f1_score

from erc.data import KEMD
from erc.evaluation import one_rater

pytestmark = pytest.mark.filterwarnings("error")  # undefined results are decided, not warned about


def ratings(rng, n=120, n_raters=10):
    """Raters who agree now and then: emotion, valence, arousal, each (n, raters)."""
    true_emotion = rng.integers(KEMD.n_emotions, size=(n, 1))
    emotion = np.where(rng.random((n, n_raters)) < 0.4, true_emotion, rng.integers(KEMD.n_emotions, size=(n, n_raters)))
    true_va = rng.uniform(1, 5, size=(2, n, 1))
    valence, arousal = np.clip(np.rint(true_va + rng.normal(size=(2, n, n_raters))), 1, 5).astype(int)
    return emotion, valence, arousal


def textbook_leave_one_rater_out(emotion, valence, arousal):
    """Segment by segment, with counters and scikit-learn."""
    per_rater = []
    for rater in range(emotion.shape[1]):
        truth, prediction = [], []
        for row in emotion.tolist():
            single = row.pop(rater)
            counts = sorted(((row.count(k), k) for k in range(KEMD.n_emotions)), reverse=True)
            if counts[0][0] > counts[1][0]:
                truth.append(counts[0][1])
                prediction.append(single)
        f1s = [f1_score(truth, prediction, average=average) for average in ("weighted", "micro", "macro")]
        cccs = []
        for values in (valence, arousal):
            others = [(sum(row) - row[rater]) / (len(row) - 1) for row in values.tolist()]
            cccs.append(textbook_ccc(others, values[:, rater].tolist()))
        per_rater.append(f1s + cccs)
    return dict(
        zip(
            ("weighted_f1", "micro_f1", "macro_f1", "ccc_valence", "ccc_arousal"),
            np.mean(per_rater, axis=0),
            strict=True,
        )
    )


@pytest.mark.parametrize("n_raters", [2, 3, 10])
def test_leave_one_rater_out_is_the_textbook_loop(n_raters):
    given_ratings = ratings(np.random.default_rng(n_raters), n_raters=n_raters)
    expected = textbook_leave_one_rater_out(*given_ratings)
    assert one_rater.leave_one_rater_out(KEMD, *given_ratings) == pytest.approx(expected, abs=1e-9)


def test_leave_one_rater_out_of_a_case_done_by_hand():
    # Ten raters, two segments. First: nine say 3 and the last says 4; second: all say 5. Against the others, the last
    # is right on one of two, the other nine on both: micro F1 = (9 * 1 + 0.5) / 10. No segment ties.
    emotion = np.array([[3] * 9 + [4], [5] * 10])
    va = np.array([[2] * 10, [4] * 10])
    result = one_rater.leave_one_rater_out(KEMD, emotion, va, va)
    assert result["micro_f1"] == pytest.approx(0.95, abs=1e-9)
    assert result["weighted_f1"] == pytest.approx(0.95, abs=1e-9)  # the last: 3 -> 0, 5 -> 1, equal weights
    assert result["macro_f1"] == pytest.approx((9 + 1 / 3) / 10, abs=1e-9)  # the last: classes 3, 4, 5 -> 0, 0, 1
    assert result["ccc_valence"] == pytest.approx(1, abs=1e-9)


def test_segments_on_which_the_other_nine_tie_are_left_out_for_that_rater_only():
    # Votes 5 : 5. Without one rater the others vote 4 : 5, a clear plurality of the other side: everyone is wrong.
    # Votes 5 : 4 : 1. Without the single voter the others stand 5 : 4; without one of the five they tie at 4 : 4.
    va = np.tile([[1], [5]], (1, 10))
    split = np.array([[0] * 5 + [1] * 5] * 2)
    assert one_rater.leave_one_rater_out(KEMD, split, va, va)["micro_f1"] == 0
    mixed = np.array([[0] * 5 + [1] * 4 + [2], [6] * 10])
    # the five: first segment tied, left out, second right: 1. The four: 5 : 3, wrong, then right: 1/2. The one: 1/2.
    assert one_rater.leave_one_rater_out(KEMD, mixed, va, va)["micro_f1"] == pytest.approx((5 + 4 / 2 + 1 / 2) / 10)


def test_raters_of_one_mind_agree_perfectly():
    emotion, valence, _ = ratings(np.random.default_rng(0), n_raters=1)
    same = [np.repeat(values, 10, axis=1) for values in (emotion, valence, 6 - valence)]
    assert one_rater.leave_one_rater_out(KEMD, *same) == pytest.approx(dict.fromkeys(
        ("weighted_f1", "micro_f1", "macro_f1", "ccc_valence", "ccc_arousal"), 1.0
    ))  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_neither_the_order_of_raters_nor_of_segments_matters(seed):
    rng = np.random.default_rng(seed)
    given_ratings = ratings(rng, n=30)
    rows, columns = rng.permutation(30)[:, None], rng.permutation(10)
    shuffled = [values[rows, columns] for values in given_ratings]
    expected = one_rater.leave_one_rater_out(KEMD, *given_ratings)
    assert one_rater.leave_one_rater_out(KEMD, *shuffled) == pytest.approx(expected, abs=1e-9)


def test_the_rater_reference_is_undefined_without_clear_segments_or_spread():
    tied = np.array([[0, 1, 2]] * 3)  # any two of the three raters tie
    flat = np.full((3, 3), 3)
    assert np.isnan(list(one_rater.leave_one_rater_out(KEMD, tied, flat, flat).values())).all()
    none = np.zeros((0, 10), int)
    assert np.isnan(list(one_rater.leave_one_rater_out(KEMD, none, none, none).values())).all()


def test_ratings_off_the_scale_or_out_of_shape_are_refused():
    emotion, valence, arousal = ratings(np.random.default_rng(0))
    with pytest.raises(ValueError, match="emotion_ratings must hold class indices"):
        one_rater.leave_one_rater_out(KEMD, emotion - 1, valence, arousal)
    with pytest.raises(ValueError, match="valence_ratings must be on the scale: expected 1 to 5"):
        one_rater.leave_one_rater_out(KEMD, emotion, valence - 1, arousal)
    with pytest.raises(ValueError, match="arousal_ratings must be on the scale"):
        one_rater.leave_one_rater_out(KEMD, emotion, valence, np.where(arousal == 3, np.nan, arousal))
    with pytest.raises(ValueError, match="Ratings must align"):
        one_rater.leave_one_rater_out(KEMD, emotion, valence[:-1], arousal)
    with pytest.raises(ValueError, match="Ratings must align"):
        one_rater.leave_one_rater_out(KEMD, emotion[:, :1], valence[:, :1], arousal[:, :1])
