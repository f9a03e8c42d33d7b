"""The sentence below each figure: its numbers by a second way, and no sentence where the data do not support one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from invented_cells import corpus, history, make_votes
from sklearn.metrics import confusion_matrix

from erc.data import EMOTIONS
from erc.evaluation import Interval
from erc.report.figures import calibration, confusion, corpus_overview, curves, f1, over_folds, peakl, valence_arousal
from erc.report.figures.over_folds import FoldValues


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def shown(value, digits=2):
    """.45, as the paper prints numbers."""
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def test_peakl_s_sentence_has_the_shares_before_and_after_and_who_became_unanimous(rng):
    votes = make_votes(rng, 300)
    before, after, became = [], [], 0
    for counts in votes:
        y = counts / counts.sum()
        # the paper's formula, written out
        r = -np.tanh(sum(share * np.log(share) for share in y if share > 0))
        peaked = np.maximum(0, y - r / 7)
        peaked /= peaked.sum()
        before.append(y.max())
        after.append(peaked.max())
        became += (peaked > 0).sum() == 1 and (y > 0).sum() > 1
    assert 0 < became < 300
    expected = (
        f"from {shown(np.mean(before))} to {shown(np.mean(after))}; {100 * became / 300:.0f} % of the segments become"
    )
    assert expected in peakl.finding_of(votes)


def test_peakl_s_sentence_is_silent_on_unanimity_that_does_not_occur():
    assert "unanimous" not in peakl.finding_of(np.array([[6, 4, 0, 0, 0, 0, 0]] * 5))


def test_confusion_s_sentence_names_the_best_emotion_and_the_most_frequent_confusion():
    truth = np.repeat(range(4), (40, 20, 10, 3))
    prediction = truth.copy()
    prediction[40:47] = 2  # 7 of 20
    prediction[60:62] = 0  # 2 of 10
    prediction[0] = 1
    prediction[70:] = 0  # too few to speak of
    counts = confusion_matrix(truth, prediction)
    assert confusion.finding_of(counts, ("calm", "sad", "happy", "angry")) == (
        "Calm is recognised best (.98 of its 40 segments); the most frequent confusion is sad predicted as happy (.35 of 20)."
    )


def test_confusion_s_sentence_needs_two_emotions_with_enough_segments():
    assert confusion.finding_of(np.array([[9, 1], [4, 5]]), ("a", "b")) == ""
    assert confusion.finding_of(np.diag([20, 20]), ("a", "b")) == "A is recognised best (1.00 of its 20 segments)."


def test_f1_s_sentence_needs_intervals_that_share_no_value():
    apart = Interval(np.array([0.7, 0.5, 0.2]), np.array([0.6, 0.3, 0.1]), np.array([0.8, 0.7, 0.3]))
    assert f1.finding_of(apart, ("a", "b", "c")) == (
        "F1 is highest for a (.70, 95 % interval .60 to .80) and lowest for c (.20, 95 % interval .10 to .30)."
    )
    touching = Interval(apart.estimate, apart.low, np.array([0.8, 0.7, 0.6]))
    assert f1.finding_of(touching, ("a", "b", "c")) == ""
    none = Interval(np.array([np.nan, 0.0]), np.array([np.nan] * 2), np.array([np.nan] * 2))
    assert f1.finding_of(none, ("a", "b")) == "Not one segment of b is predicted right."


def confident(rng, right, n=400):
    """Predictions of probability .7 (of seven emotions), so many of them right; ten segments a dialogue."""
    probs = np.full((n, 7), 0.05)
    probs[np.arange(n), rng.integers(0, 7, n)] = 0.7
    guess = probs.argmax(axis=1)
    return np.where(rng.random(n) < right, guess, (guess + 1) % 7), probs, np.arange(n) // 10


@pytest.mark.parametrize(("right", "said"), [(0.4, "over"), (0.95, "under"), (0.7, "")])
def test_calibration_s_sentence_says_over_or_under_confident_or_nothing(rng, right, said):
    hard, probs, dialogues = confident(rng, right)
    gap = calibration.gap_interval(hard, probs, dialogues, 300)
    text = calibration.finding_of(hard, probs, gap)
    if not said:
        assert text == ""
        return
    share = (probs.argmax(axis=1) == hard).mean()
    assert text.startswith(f"The model is {said}-confident: the mean probability is .70 and {shown(share)} of the")
    # of 40 independent dialogues, the interval is near that of a t test of their means
    of_dialogues = (probs.max(axis=1) - (probs.argmax(axis=1) == hard)).reshape(40, 10).mean(axis=1)
    half = 2.023 * of_dialogues.std(ddof=1) / np.sqrt(40)
    assert float(gap.high) == pytest.approx(of_dialogues.mean() + half, abs=0.01)
    assert float(gap.low) == pytest.approx(of_dialogues.mean() - half, abs=0.01)


def test_the_sentence_on_folds_counts_where_the_first_row_is_ahead():
    rows = {
        "one": FoldValues({0: 0.5, 1: 0.6, 2: 0.7}),
        "two": FoldValues({0: 0.6, 1: 0.5, 2: 0.6}),
        "few": FoldValues({0: 0.9}),
    }
    said = "one has the highest mean Weighted-F1 (.600); it is ahead of two (.567) in 2 of 3 folds."
    assert over_folds.finding_of(rows, "Weighted-F1") == said
    assert over_folds.finding_of({"one": rows["one"]}, "Weighted-F1") == ""
    assert over_folds.finding_of({name: FoldValues({0: 0.5}) for name in "ab"}, "Weighted-F1") == ""
    undefined = rows | {"two": FoldValues({0: 0.6, 1: np.nan, 2: 0.6})}
    assert over_folds.finding_of(undefined, "Weighted-F1") == ""


def test_the_sentence_on_predictions_compares_dimensions_that_differ_in_every_fold(rng):
    folds = np.arange(600) % 3
    va = rng.normal(3, 0.8, (600, 2))
    pred_va = np.column_stack([3 + 0.2 * (va[:, 0] - 3) + rng.normal(0, 0.1, 600), 3 + 0.8 * (va[:, 1] - 3)])
    text = valence_arousal.finding_of(va, pred_va, folds, ("valence", "arousal"))

    def ccc(column, fold):
        x, y = va[folds == fold, column], pred_va[folds == fold, column]
        return 2 * ((x - x.mean()) * (y - y.mean())).mean() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)

    valence, arousal = (np.mean([ccc(column, fold) for fold in range(3)]) for column in range(2))
    spread = [pred_va[:, column].std() / va[:, column].std() for column in range(2)]
    assert text == (
        f"CCC is higher for arousal ({shown(arousal)}) than for valence ({shown(valence)}) in every fold. Predictions spread "
        f"less than the ratings: their standard deviation is {shown(spread[0])} (valence), {shown(spread[1])} (arousal) of "
        "the raters'."
    )


def test_the_sentence_on_predictions_is_empty_where_nothing_is_so(rng):
    va = rng.normal(3, 0.8, (300, 1))
    assert valence_arousal.finding_of(va, va[rng.permutation(300)], np.zeros(300), ("valence",)) == ""


def test_the_sentence_on_curves_says_which_epochs_were_chosen_and_whether_the_models_overfit(rng):
    histories = {fold: history(rng, 8) for fold in range(3)}  # validation loss is lowest at the third epoch
    text = curves.finding_of(histories, {0: 2, 1: 5, 2: 7}, "valid/accuracy")
    assert text == (
        "Accuracy chose epochs 3 to 8 of 8 (median 6, 3 folds). In every fold, validation loss is lowest before the last epoch "
        "(epoch 3) while training loss falls further: the models overfit."
    )
    assert curves.finding_of({0: histories[0]}, {0: 4}, "valid/accuracy").startswith(
        "Accuracy chose epoch 5 of 8. In the one"
    )
    histories[1] = histories[1][:3]  # there, it is lowest at the last epoch
    assert "overfit" not in curves.finding_of(histories, {0: 2, 1: 2, 2: 7}, "valid/accuracy")
    for row in histories[0]:
        del row["valid/loss"]
    assert curves.finding_of(histories, {0: 2, 1: 2, 2: 7}) == ""


def test_the_sentence_on_the_corpus_has_its_shares(rng):
    table = corpus(rng, 300)
    votes = pd.DataFrame(table["votes"].tolist(), columns=EMOTIONS)
    share, name = (votes.sum() / votes.to_numpy().sum()).max(), votes.sum().idxmax()
    unanimous = (votes.max(axis=1) == 10).mean()
    assert corpus_overview.finding_of(table, EMOTIONS) == (
        f"{name.capitalize()} holds {100 * share:.0f} % of all votes; all raters agree on {100 * unanimous:.0f} % of the "
        f"segments, and {100 * table['is_tied'].mean():.0f} % are tied."
    )
    table["votes"] = [np.eye(7, dtype=int)[k % 7].tolist() for k in range(300)]
    assert corpus_overview.finding_of(table, EMOTIONS) == "Surprise holds 14 % of all votes."
