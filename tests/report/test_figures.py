"""Figures one by one: their numbers against second ways to them, and what each of them draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from invented_cells import corpus, fold_values, history, make_votes
from invented_world import SHARES, world
from sklearn.metrics import confusion_matrix, f1_score

from erc.data import EMOTIONS, KEMD
from erc.evaluation import bootstrap, distributions
from erc.evaluation.bootstrap import f1_by_emotion_interval
from erc.evaluation.cluster_sums import f1_by_emotion
from erc.evaluation.metrics import concordance
from erc.peakl import peak_label
from erc.report.figures import (
    calibration,
    confusion as figures_confusion,
    corpus_overview,
    curves,
    embedding_map,
    f1,
    over_folds,
    peakl,
    valence_arousal,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def predicted(rng):
    """Truth, prediction, fold and dialogue of 400 segments; the last emotion is missing from fold 0."""
    folds = rng.integers(0, 5, 400)
    truth = rng.choice(KEMD.n_emotions, 400, p=SHARES)
    truth[(folds == 0) & (truth == 6)] = 3
    prediction = np.where(rng.random(400) < 0.6, truth, rng.choice(KEMD.n_emotions, 400, p=SHARES))
    return truth, prediction, folds, np.array([f"{fold}-{k % 12}" for k, fold in enumerate(folds)])


def test_confusions_equal_sklearn(predicted):
    truth, prediction, folds, _ = predicted
    found = figures_confusion.confusions(truth, prediction, folds, 7)
    for fold in range(5):
        chosen = folds == fold
        expected = confusion_matrix(truth[chosen], prediction[chosen], labels=range(KEMD.n_emotions))
        assert np.array_equal(found[fold], expected)


def test_row_shares_are_the_mean_of_the_folds_that_have_the_emotion(predicted):
    truth, prediction, folds, _ = predicted
    found = figures_confusion.row_shares(figures_confusion.confusions(truth, prediction, folds, 7))
    for emotion in range(KEMD.n_emotions):
        rows = [
            np.bincount(prediction[chosen], minlength=KEMD.n_emotions) / chosen.sum()
            for fold in range(5)
            if (chosen := (folds == fold) & (truth == emotion)).any()
        ]
        assert len(rows) == (4 if emotion == 6 else 5)
        assert found[emotion] == pytest.approx(np.mean(rows, axis=0))
    assert np.isnan(figures_confusion.row_shares(np.zeros((2, 7, 7), dtype=int))).all()


def test_f1_by_emotion_equals_sklearn(predicted):
    truth, prediction, folds, _ = predicted
    found = f1_by_emotion(figures_confusion.confusions(truth, prediction, folds, 7).sum(axis=0))
    assert found == pytest.approx(f1_score(truth, prediction, average=None))
    assert np.isnan(f1_by_emotion(np.zeros((7, 7)))).all()


def test_f1_intervals_are_those_of_the_bootstrap_over_dialogues(predicted):
    truth, prediction, _, _ = predicted
    folds, clusters = np.zeros(400), np.array([f"{k % 40}" for k in range(400)])
    found = f1_by_emotion_interval(truth, prediction, folds, clusters, 7, 4000)

    def slowly(indices):
        return f1_score(truth[indices], prediction[indices], average=None, labels=range(7), zero_division=0)

    expected = bootstrap.cluster_bootstrap(slowly, folds, clusters, 400, seed=1)
    assert found.estimate == pytest.approx(expected.estimate)
    for end in ("low", "high"):
        assert getattr(found, end) == pytest.approx(getattr(expected, end), abs=0.06)


def test_f1_without_anything_to_resample_has_no_interval(predicted):
    truth, prediction, folds, _ = predicted
    found = f1_by_emotion_interval(truth, prediction, folds, folds.astype(str), 7, 50)
    assert not np.isnan(found.estimate).any() and np.isnan(found.low).all()


def test_calibration_bins_add_up_to_the_error_of_the_table(rng):
    probs = rng.dirichlet(np.full(7, 0.4), 500)
    hard = rng.integers(0, 7, 500)
    bins = calibration.calibration_bins(hard, probs)
    gaps = np.nansum(bins.n / 500 * np.abs(bins.accuracy - bins.confidence))
    assert gaps == pytest.approx(distributions.expected_calibration_error(hard_label=hard, probs=probs, n_bins=15))
    assert bins.n.sum() == 500 and np.isnan(bins.confidence[:2]).all()  # of seven, the largest is at least 1/7


def test_mean_distributions_equal_a_loop(rng):
    soft = rng.multinomial(10, SHARES, 100) / 10
    hard = soft.argmax(axis=1)
    hard[hard == 1] = 3
    found = peakl.mean_distributions(soft, hard)
    for emotion in range(KEMD.n_emotions):
        rows = [label for label, index in zip(soft, hard, strict=True) if index == emotion]
        assert found[emotion] == pytest.approx(np.mean(rows, axis=0)) if rows else np.isnan(found[emotion]).all()


def test_moved_mass_is_what_the_authors_printed():
    votes = np.zeros((4, 7))
    votes[0, :2], votes[1, :2], votes[2, 0], votes[3, :2] = (9, 1), (6, 4), 10, (5, 5)
    found = peakl.moved_mass(votes, 10)
    assert sorted(found) == [6, 9, 10]  # the tie has no majority
    assert found[9] == pytest.approx([0.939436 - 0.9], abs=1e-6)
    assert found[6] == pytest.approx([0.620149 - 0.6], abs=1e-6)
    assert found[10] == pytest.approx([0])


@pytest.mark.parametrize(
    ("values", "fold"),
    [([0.5, 0.9, 0.7], 2), ([0.5, 0.9, 0.7, 0.8], 3), ([math.nan, 0.9, 0.7], 2), ([0.5], 0), ([0.5] * 5, 2)],
)
def test_median_fold(values, fold):
    assert embedding_map.median_fold(dict(enumerate(values))) == fold


def labels_of(ax):
    return [text.get_text() for text in ax.texts]


def test_confusion_prints_the_counts_and_the_shares(predicted):
    truth, prediction, folds, _ = predicted
    confusion = figures_confusion.confusions(truth, prediction, folds, 7)
    left, right = figures_confusion.draw_confusion(confusion, EMOTIONS).axes
    assert [int(text.replace(",", "")) for text in labels_of(left)] == confusion_matrix(
        truth, prediction
    ).ravel().tolist()
    shares = figures_confusion.row_shares(confusion).ravel()
    assert [float(text) for text in labels_of(right)] == pytest.approx(shares, abs=0.005 + 1e-9)
    assert left.get_yticklabels()[3].get_text() == f"neutral ({(truth == 3).sum()})"


def test_predictions_carry_the_concordance_of_the_table(rng):
    va, _, hard = world(rng)
    pred_va, folds = va + rng.normal(0, 0.5, va.shape), np.arange(300) % 3
    for column, ax in enumerate(valence_arousal.draw_predictions(va, pred_va, hard, folds, KEMD).axes):
        cccs = [concordance(truth=va[folds == k, column], prediction=pred_va[folds == k, column]) for k in range(3)]
        assert f"CCC {np.mean(cccs):.3f} ± {np.std(cccs, ddof=1):.3f}".replace("0.", ".") in ax.get_title(loc="left")
        points = np.concatenate([collection.get_offsets() for collection in ax.collections])
        assert sorted(map(tuple, points)) == sorted(zip(va[:, column], pred_va[:, column], strict=True))
        assert ax.get_xlim() == ax.get_ylim()


def test_calibration_carries_the_error_of_the_table_and_the_bins(rng):
    folds = [(rng.integers(0, 7, 80), rng.dirichlet(np.ones(7), 80)) for _ in range(3)]
    top, bottom = calibration.draw_calibration(folds).axes
    errors = [distributions.expected_calibration_error(hard_label=hard, probs=probs) for hard, probs in folds]
    assert f"ECE {np.mean(errors):.3f} ± {np.std(errors, ddof=1):.3f}".replace("0.", ".") in top.get_title(loc="left")
    bins = calibration.calibration_bins(*(np.concatenate(part) for part in zip(*folds, strict=True)))
    assert [bar.get_height() for bar in bottom.patches] == bins.n.tolist()
    dots = next(line for line in top.lines if line.get_marker() == "o")
    assert dots.get_ydata() == pytest.approx(bins.accuracy[bins.n > 0])


def test_curves_mark_the_selected_epoch(rng):
    histories = {fold: history(rng, 8) for fold in (0, 2)}
    ax = curves.draw_curves(histories, {0: 5, 2: 7}).axes[2]
    marked = [
        tuple(map(float, (line.get_xdata()[0], line.get_ydata()[0]))) for line in ax.lines if line.get_marker() == "o"
    ]
    assert marked == [(6, histories[0][5]["valid/ccc_arousal"]), (8, histories[2][7]["valid/ccc_arousal"])]


def test_folds_show_every_value_and_the_mean(rng):
    values = fold_values(rng, 3, 4)
    name = next(iter(values["CCC(aro)"]))
    del values["CCC(aro)"][name][2]  # an unfinished row
    for (_, by_row), ax in zip(values.items(), over_folds.draw_folds(values).axes, strict=True):
        dots = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "o"])
        expected = [value for by_fold in by_row.values() for value in by_fold.values()]
        assert sorted(dots[~np.isnan(dots)]) == sorted(expected)
        means = [np.mean(list(by_fold.values())) for by_fold in by_row.values()]
        assert labels_of(ax) == [f"{mean:.3f}".lstrip("0") for mean in means]


def test_a_metric_that_is_undefined_everywhere_is_drawn_as_nothing():
    ax = over_folds.draw_folds({"CCC(aro)": {"one": {0: math.nan, 1: math.nan}}}).axes[0]
    assert labels_of(ax) == ["–"]


def test_f1_of_an_absent_emotion_is_left_out():
    nan = np.array([0.5] * 6 + [np.nan])
    ax = f1.draw_f1(bootstrap.Interval(nan, nan - 0.1, nan + 0.1), np.array([5] * 6 + [0]), EMOTIONS).axes[0]
    assert sum(line.get_marker() != "None" for line in ax.lines) == 6


def test_peakl_prints_means_before_and_after_and_one_segment(rng):
    votes = make_votes(rng, 200)
    soft, hard = votes / 10, votes.argmax(axis=1)
    before, after, _, bars, gains = peakl.draw_peakl(votes, hard, KEMD, example=np.array([6, 4, 0, 0, 0, 0, 0])).axes
    for ax, values in ((before, soft), (after, peak_label(soft))):
        assert [float(text) for text in labels_of(ax)] == pytest.approx(
            peakl.mean_distributions(values, hard).ravel(), abs=0.005 + 1e-9
        )
    heights = np.array([bar.get_height() for bar in bars.patches]).reshape(3, -1)[:, :2]
    assert heights == pytest.approx(np.array([[1, 0], [0.6, 0.4], [0.620149, 0.379851]]), abs=1e-6)
    means = {int(line.get_xdata()[0]): line.get_ydata()[0] for line in gains.lines if line.get_marker() == "o"}
    assert means == pytest.approx({level: values.mean() for level, values in peakl.moved_mass(votes, 10).items()})
    assert bars.get_title(loc="left") == "One segment, votes 6-4"


def test_the_example_is_one_of_which_some_is_kept_and_some_dropped():
    votes = np.zeros((4, 7))
    for row, pattern in zip(votes, ((10,), (5, 1, 1, 1, 1, 1), (5, 2, 1, 1, 1), (5, 5)), strict=True):
        row[: len(pattern)] = pattern
    assert np.array_equal(peakl._telling_example(votes), votes[2])
    assert np.array_equal(peakl._telling_example(votes[:1]), votes[0])


def test_corpus_bars_are_the_counts(rng):
    table = corpus(rng)
    votes_ax, agreement_ax, seconds_ax, folds_ax = corpus_overview.draw_corpus(table, KEMD, 7.0).axes
    parts = [part for _, part in table.groupby("corpus")]
    heights = [bar.get_height() for bar in votes_ax.patches]
    assert heights == pytest.approx(
        np.concatenate([np.sum(part["votes"].tolist(), axis=0) / (10 * len(part)) for part in parts])
    )
    agreeing = [[np.mean([max(votes) == k for votes in part["votes"]]) for k in range(2, 11)] for part in parts]
    assert [bar.get_height() for bar in agreement_ax.patches] == pytest.approx(np.concatenate(agreeing))
    text = seconds_ax.get_legend().get_texts()[1].get_text()
    assert f"median {parts[1]['seconds'].median():.1f} s, {100 * (parts[1]['seconds'] > 7).mean():.1f} % longer" in text
    bars = np.array([bar.get_height() for bar in folds_ax.patches]).reshape(10, 8)
    assert bars.sum(axis=1) == pytest.approx(1)
    first = parts[0][parts[0]["fold"] == 0]
    assert bars[0, 7] == pytest.approx(first["is_tied"].mean())
    assert bars[0, 3] == pytest.approx(((first["hard_label"] == 3) & ~first["is_tied"]).mean())
