"""Figures: their numbers against second ways to them, their text against the printed page, and a grid drawn as a whole."""

from __future__ import annotations

import csv
import itertools
import json
import math
import shutil
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.text import Text
from PIL import Image
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness
from sklearn.metrics import confusion_matrix, f1_score

from erc import results, statistics
from erc.corpora import KEMDY19
from erc.labels import EMOTIONS, N_EMOTIONS, hard_label, is_tied
from erc.metrics import concordance
from erc.peakl import peak_label
from erc.report import figures, tables

CENTROIDS = np.array(KEMDY19.centroids)
SHARES = np.array([0.10, 0.05, 0.18, 0.38, 0.15, 0.08, 0.06])
LONG_TITLE = "Tensor Mixer Network, PeakL (3/5 folds)"


def world(rng, n=300, aligned=True, noise=0.6):
    """Emotions at the corpus's centroids; vectors that follow valence and arousal, or know nothing of them."""
    hard = rng.choice(N_EMOTIONS, n, p=SHARES)
    va = (CENTROIDS[hard] + rng.normal(0, 0.4, (n, 2))).clip(1, 5).round(1)
    source = va if aligned else rng.normal(0, 1, (n, 2))
    return va, source @ rng.normal(size=(2, 16)) + rng.normal(0, noise, (n, 16)), hard


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --------------------------------------------------------------------------------------------------------------- mantel


def loop_mantel(va, vectors, hard):
    """Spearman's rho and p by scipy and a loop over all relabellings; distances corrected one by one."""
    present = [k for k in range(N_EMOTIONS) if (hard == k).sum() >= 3]

    def distance(points, i, j):
        a, b = points[hard == i], points[hard == j]
        noise = a.var(axis=0, ddof=1).sum() / len(a) + b.var(axis=0, ddof=1).sum() / len(b)
        return ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() - noise

    pairs = list(itertools.combinations(present, 2))
    human = [distance(va, i, j) for i, j in pairs]
    of_model = {frozenset((i, j)): distance(vectors, i, j) for i, j in pairs}
    rhos = []
    for order in itertools.permutations(present):
        name = dict(zip(present, order, strict=True))
        rhos.append(spearmanr(human, [of_model[frozenset((name[i], name[j]))] for i, j in pairs]).statistic)
    return rhos[0], np.mean(np.array(rhos) >= rhos[0] - 1e-12)


def test_mantel_equals_a_loop_over_all_relabellings(rng):
    va, vectors, hard = world(rng, 200, noise=3.0)
    keep = hard < 5  # 120 relabellings
    found = figures.mantel(va[keep], vectors[keep], hard[keep])
    assert (found.n_emotions, found.n_permutations) == (5, 120)
    assert found[:2] == pytest.approx(loop_mantel(va[keep], vectors[keep], hard[keep]), abs=1e-12)


def test_vectors_that_follow_the_raters_align_significantly(rng):
    found = figures.mantel(*world(rng))
    assert found.rho > 0.8 and found.p_value < 0.01 and found.n_permutations == 5040


def shuffled_worlds(n_worlds=6, n_shuffles=40):
    """Raters' map and vectors that lost their labels; emotions differ in frequency."""
    for seed in range(n_worlds):
        rng = np.random.default_rng(seed)
        va, vectors, hard = world(rng, 200)
        for _ in range(n_shuffles):
            yield va, rng.permutation(vectors), hard


def test_shuffled_labels_do_not_align():
    """Negative control: rho lies around 0, and the test keeps near its level (see its docstring)."""
    found = [figures.mantel(*one) for one in shuffled_worlds()]
    assert np.mean([one.p_value < 0.05 for one in found]) <= 0.11
    assert np.mean([one.p_value < 0.01 for one in found]) <= 0.04
    assert abs(np.mean([one.rho for one in found])) < 0.1


def test_uncorrected_distances_would_arrange_emotions_by_their_frequency():
    """Why distances are corrected: without it, the noise of rare emotions moves rho away from 0."""
    plain, corrected = [], []
    for va, vectors, hard in shuffled_worlds():
        centroids = [np.array([points[hard == k].mean(axis=0) for k in range(N_EMOTIONS)]) for points in (va, vectors)]
        plain.append(spearmanr(*(pdist(one) for one in centroids)).statistic)
        corrected.append(figures.mantel(va, vectors, hard).rho)
    assert abs(np.mean(plain)) > 0.12 and abs(np.mean(corrected)) < 0.6 * abs(np.mean(plain))


def test_an_arrangement_of_its_own_does_not_align(rng):
    hard = np.arange(280) % N_EMOTIONS
    va = CENTROIDS[hard] + rng.normal(0, 0.4, (280, 2))
    vectors = 10 * np.eye(N_EMOTIONS)[hard] + rng.normal(0, 1, (280, N_EMOTIONS))  # well apart, all equally far
    assert figures.mantel(va, vectors, hard).p_value > 0.05


def test_mantel_of_too_few_emotions_is_undefined(rng):
    va, vectors, hard = world(rng)
    keep = np.isin(hard, (3, 4))
    found = figures.mantel(va[keep], vectors[keep], hard[keep])
    assert math.isnan(found.rho) and math.isnan(found.p_value) and found.n_emotions == 2
    assert math.isnan(figures.mantel(va, np.zeros_like(vectors), hard).rho)
    rare = hard.copy()
    rare[np.flatnonzero(hard == 6)[2:]] = 3  # two segments of disgust are left
    assert figures.mantel(va, vectors, rare).n_emotions == 6
    with pytest.raises(ValueError, match="arrays of one length"):
        figures.mantel(va[1:], vectors, hard)


# ------------------------------------------------------------------------------------------------------------------ map


@pytest.mark.parametrize("mirror", [1, -1])
def test_procrustes_recovers_a_turned_mirrored_scaled_and_shifted_map(rng, mirror):
    va, _, hard = world(rng)
    angle = 2.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [1, mirror]
    aligned, disparity = figures.align_map(7.5 * va @ turn + [40, -3], va, hard)
    assert aligned == pytest.approx(va, abs=1e-9)
    assert disparity == pytest.approx(0, abs=1e-12)


def test_procrustes_keeps_the_shape_of_the_map(rng):
    va, _, hard = world(rng)
    map_2d = rng.normal(size=va.shape)
    ratios = pdist(figures.align_map(map_2d, va, hard)[0]) / pdist(map_2d)
    assert ratios == pytest.approx(ratios[0])
    with pytest.raises(figures.NotDrawn, match="three emotions"):
        figures.align_map(map_2d[hard == 3], va[hard == 3], hard[hard == 3])


def test_alignment_gathers_the_numbers(rng):
    va, vectors, hard = world(rng)
    map_2d = vectors[:, :2]
    found = figures.alignment(va, vectors, hard, map_2d)
    assert found.space == figures.mantel(va, vectors, hard)
    assert found.map == figures.mantel(va, map_2d, hard)
    assert found.trustworthiness == trustworthiness(vectors, map_2d, n_neighbors=15)
    assert found.disparity == figures.align_map(map_2d, va, hard)[1]
    assert figures.alignment(va, map_2d, hard, map_2d).trustworthiness == 1


@pytest.mark.slow
def test_umap_is_repeatable_and_keeps_clusters_apart(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hard = np.arange(210) % N_EMOTIONS
        vectors = 8 * rng.normal(size=(N_EMOTIONS, 16))[hard] + rng.normal(size=(210, 16))
        map_2d = figures.project(vectors)
        assert np.array_equal(map_2d, figures.project(vectors))
    found = figures.alignment(CENTROIDS[hard] + rng.normal(0, 0.1, (210, 2)), vectors, hard)
    assert found.trustworthiness > 0.9
    centroids = np.array([map_2d[hard == k].mean(axis=0) for k in range(N_EMOTIONS)])
    nearest = ((map_2d[:, None] - centroids[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == hard).mean() > 0.95


def test_a_handful_of_segments_makes_no_map():
    with pytest.raises(figures.NotDrawn, match="10 untied segments or more: there are 4"):
        figures.project(np.zeros((4, 8)))


# -------------------------------------------------------------------------------------------------------------- numbers


@pytest.fixture
def predicted(rng):
    """Truth, prediction, fold and dialogue of 400 segments; the last emotion is missing from fold 0."""
    folds = rng.integers(0, 5, 400)
    truth = rng.choice(N_EMOTIONS, 400, p=SHARES)
    truth[(folds == 0) & (truth == 6)] = 3
    prediction = np.where(rng.random(400) < 0.6, truth, rng.choice(N_EMOTIONS, 400, p=SHARES))
    return truth, prediction, folds, np.array([f"{fold}-{k % 12}" for k, fold in enumerate(folds)])


def test_confusions_equal_sklearn(predicted):
    truth, prediction, folds, _ = predicted
    found = figures.confusions(truth, prediction, folds)
    for fold in range(5):
        chosen = folds == fold
        expected = confusion_matrix(truth[chosen], prediction[chosen], labels=range(N_EMOTIONS))
        assert np.array_equal(found[fold], expected)


def test_row_shares_are_the_mean_of_the_folds_that_have_the_emotion(predicted):
    truth, prediction, folds, _ = predicted
    found = figures.row_shares(figures.confusions(truth, prediction, folds))
    for emotion in range(N_EMOTIONS):
        rows = [
            np.bincount(prediction[chosen], minlength=N_EMOTIONS) / chosen.sum()
            for fold in range(5)
            if (chosen := (folds == fold) & (truth == emotion)).any()
        ]
        assert len(rows) == (4 if emotion == 6 else 5)
        assert found[emotion] == pytest.approx(np.mean(rows, axis=0))
    assert np.isnan(figures.row_shares(np.zeros((2, 7, 7), dtype=int))).all()


def test_f1_by_emotion_equals_sklearn(predicted):
    truth, prediction, folds, _ = predicted
    found = figures.f1_by_emotion(figures.confusions(truth, prediction, folds).sum(axis=0))
    assert found == pytest.approx(f1_score(truth, prediction, average=None))
    assert np.isnan(figures.f1_by_emotion(np.zeros((7, 7)))).all()


def test_f1_intervals_are_those_of_the_bootstrap_over_dialogues(predicted):
    truth, prediction, _, _ = predicted
    folds, clusters = np.zeros(400), np.array([f"{k % 40}" for k in range(400)])
    found = figures.f1_intervals(truth, prediction, folds, clusters, 4000)

    def slowly(indices):
        return f1_score(truth[indices], prediction[indices], average=None, labels=range(7), zero_division=0)

    expected = statistics.cluster_bootstrap(slowly, folds, clusters, 400, seed=1)
    assert found.estimate == pytest.approx(expected.estimate)
    for end in ("low", "high"):
        assert getattr(found, end) == pytest.approx(getattr(expected, end), abs=0.06)


def test_f1_without_anything_to_resample_has_no_interval(predicted):
    truth, prediction, folds, _ = predicted
    found = figures.f1_intervals(truth, prediction, folds, folds.astype(str), 50)
    assert not np.isnan(found.estimate).any() and np.isnan(found.low).all()


def test_calibration_bins_add_up_to_the_error_of_the_table(rng):
    probs = rng.dirichlet(np.full(7, 0.4), 500)
    hard = rng.integers(0, 7, 500)
    bins = figures.calibration_bins(hard, probs)
    gaps = np.nansum(bins.n / 500 * np.abs(bins.accuracy - bins.confidence))
    assert gaps == pytest.approx(statistics.expected_calibration_error(hard_label=hard, probs=probs, n_bins=15))
    assert bins.n.sum() == 500 and np.isnan(bins.confidence[:2]).all()  # of seven, the largest is at least 1/7


def test_mean_distributions_equal_a_loop(rng):
    soft = rng.multinomial(10, SHARES, 100) / 10
    hard = soft.argmax(axis=1)
    hard[hard == 1] = 3
    found = figures.mean_distributions(soft, hard)
    for emotion in range(N_EMOTIONS):
        rows = [label for label, index in zip(soft, hard, strict=True) if index == emotion]
        assert found[emotion] == pytest.approx(np.mean(rows, axis=0)) if rows else np.isnan(found[emotion]).all()


def test_moved_mass_is_what_the_authors_printed():
    votes = np.zeros((4, 7))
    votes[0, :2], votes[1, :2], votes[2, 0], votes[3, :2] = (9, 1), (6, 4), 10, (5, 5)
    found = figures.moved_mass(votes / 10)
    assert sorted(found) == [6, 9, 10]  # the tie has no majority
    assert found[9] == pytest.approx([0.939436 - 0.9], abs=1e-6)
    assert found[6] == pytest.approx([0.620149 - 0.6], abs=1e-6)
    assert found[10] == pytest.approx([0])


@pytest.mark.parametrize(
    ("values", "fold"),
    [([0.5, 0.9, 0.7], 2), ([0.5, 0.9, 0.7, 0.8], 3), ([math.nan, 0.9, 0.7], 2), ([0.5], 0), ([0.5] * 5, 2)],
)
def test_median_fold(values, fold):
    assert figures.median_fold(dict(enumerate(values))) == fold


# -------------------------------------------------------------------------------------------------------------- figures


def make_votes(rng, n):
    centre = np.eye(7)[rng.choice(7, n, p=SHARES)]
    return np.stack([rng.multinomial(10, p) for p in 0.65 * centre + 0.35 * SHARES])


def corpus(rng, n=400, names=("kemdy19", "kemdy20")):
    votes = make_votes(rng, n)
    return pd.DataFrame(
        {
            "corpus": rng.choice(names, n),
            "fold": rng.integers(0, 5, n),
            "votes": votes.tolist(),
            "hard_label": votes.argmax(axis=1),
            "is_tied": is_tied(votes),
            "seconds": np.exp(rng.normal(1.2, 0.7, n)),
        }
    )


def history(rng, n_epochs):
    return [
        {
            "epoch": epoch,
            "train/loss": 2 - 0.05 * epoch,
            "valid/weighted_f1": None if epoch == 0 else rng.uniform(0.2, 0.9),
            "valid/ccc_arousal": rng.uniform(-0.1, 0.9),
            "valid/ccc_valence": rng.uniform(0, 0.9),
        }
        for epoch in range(n_epochs)
    ]


def fold_values(rng, n_rows, n_folds=5):
    names = [f"Tensor Mixer Network, {k} (3/5 folds)" for k in range(n_rows)]
    return {
        metric: {name: {fold: rng.uniform(0.7, 0.9) for fold in range(n_folds)} for name in names}
        for metric in ("Weighted-F1", "CCC(aro)", "CCC(val)")
    }


def draw_all(rng, n, note, scale=1):
    """Every figure on so many segments; ``scale`` multiplies the counts that are printed."""
    va, vectors, hard = world(rng, n)
    soft = make_votes(rng, n) / 10
    probs = rng.dirichlet(np.full(7, 0.5), n)
    prediction, folds = probs.argmax(axis=1), np.arange(n) % 5
    numbers = figures.alignment(va, vectors, hard, vectors[:, :2])
    by_fold = {fold: numbers.space for fold in range(5)}
    aligned = figures.align_map(vectors[:, :2], va, hard)[0]
    interval = figures.f1_intervals(hard, prediction, np.zeros(n), np.arange(n) % 20, 50)
    counts = scale * np.bincount(hard, minlength=7)
    n_epochs = 6 if n < 200 else 30
    folds_of = [(hard[folds == k], probs[folds == k]) for k in range(5)]
    pred_va = va + rng.normal(0, 0.5, va.shape)
    confusion = scale * figures.confusions(hard, prediction, folds)
    histories = {fold: history(rng, n_epochs) for fold in range(5)}
    return {
        "map": figures.draw_map(va, aligned, hard, numbers, by_fold, LONG_TITLE, "fold 4 (median F1)", note),
        "peakl": figures.draw_peakl(soft, soft.argmax(axis=1), note=note),
        "confusion": figures.draw_confusion(confusion, LONG_TITLE, note),
        "f1": figures.draw_f1(interval, counts, LONG_TITLE, note),
        "calibration": figures.draw_calibration(folds_of, LONG_TITLE, note),
        "predictions": figures.draw_predictions(va, pred_va, hard, folds, LONG_TITLE, note),
        "curves": figures.draw_curves(histories, dict.fromkeys(range(5), 3), LONG_TITLE, note),
        "folds": figures.draw_folds(fold_values(rng, 3 if n < 200 else 9), note),
        "corpus": figures.draw_corpus(corpus(rng, n), 7.0, note),
    }


NAMES = ("map", "peakl", "confusion", "f1", "calibration", "predictions", "curves", "folds", "corpus")


@pytest.fixture(scope="module")
def small():
    return draw_all(np.random.default_rng(3), 110, figures.SAMPLE_NOTE)


@pytest.fixture(scope="module")
def large():
    return draw_all(np.random.default_rng(4), 1500, "", scale=70)


def drawn_texts(fig):
    """Each text that is really drawn, with its box in pixels."""
    found = {}
    original = Text.draw

    def draw(self, renderer, *args, **kwargs):
        original(self, renderer, *args, **kwargs)
        if self.get_visible() and self.get_text().strip():
            found[self] = self.get_window_extent(renderer)

    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context(figures.STYLE):
        patch.setattr(Text, "draw", draw)
        fig.canvas.draw()
    return found


def overlaps(texts):
    """Pairs of texts whose boxes share more than half a pixel each way."""
    found = []
    for (one, a), (other, b) in itertools.combinations(texts.items(), 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5:
            found.append((one.get_text(), other.get_text()))
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["small", "large"])
def test_text_is_legible_inside_the_page_and_does_not_overlap(name, size, request):
    fig = request.getfixturevalue(size)[name]
    texts = drawn_texts(fig)
    assert min(text.get_fontsize() for text in texts) >= 7
    assert overlaps(texts) == []
    page = fig.bbox
    outside = [
        t.get_text() for t, b in texts.items() if not (b.x0 >= 0 and b.y0 >= 0 and b.x1 <= page.x1 and b.y1 <= page.y1)
    ]
    assert outside == []
    width_mm = fig.get_figwidth() * 25.4
    assert width_mm == pytest.approx(85 if name in ("f1", "calibration") else 180)
    assert fig.get_figheight() * 25.4 <= 140


def test_overlapping_and_cut_text_would_be_found(small):
    fig = figures._figure(85, 60, "")
    ax = fig.subplots()
    ax.set_xticks(range(40), ["surprise"] * 40)
    assert overlaps(drawn_texts(fig))


@pytest.mark.parametrize("name", NAMES)
def test_the_note_stands_on_the_sample_corpus_only(name, small, large):
    assert figures.SAMPLE_NOTE in [text.get_text() for text in drawn_texts(small[name])]
    assert figures.SAMPLE_NOTE not in [text.get_text() for text in drawn_texts(large[name])]


def test_every_emotion_has_one_colour_and_one_marker(small):
    assert set(figures.COLORS) == set(figures.MARKERS) == set(EMOTIONS)
    assert len(set(figures.COLORS.values())) == len(set(figures.MARKERS.values())) == N_EMOTIONS
    for name in ("map", "predictions"):
        for handle in small[name].legends[0].legend_handles:
            emotion = handle.get_label().split()[0]
            assert (handle.get_markerfacecolor(), handle.get_marker()) == (
                figures.COLORS[emotion],
                figures.MARKERS[emotion],
            )
    dots = {line.get_ydata()[0]: line for line in small["f1"].axes[0].lines if line.get_marker() != "None"}
    for index, line in dots.items():
        assert (line.get_color(), line.get_marker()) == tuple(
            table[EMOTIONS[int(index)]] for table in (figures.COLORS, figures.MARKERS)
        )


def test_colours_stay_apart_for_colour_blind_readers():
    """Viénot, Brettel and Mollon (1999): what a dichromat sees; each two emotions stay at least 25 of 441 apart in RGB."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    without_red = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    without_green = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    colours = np.array([matplotlib.colors.to_rgb(figures.COLORS[emotion]) for emotion in EMOTIONS])
    for loss in (np.eye(3), without_red, without_green):
        seen = (colours**2.2 @ (np.linalg.inv(to_lms) @ loss @ to_lms).T).clip(0, 1) ** (1 / 2.2)
        assert pdist(255 * seen).min() > 25


def test_drawing_leaves_the_settings_of_others_alone(rng):
    before = dict(matplotlib.rcParams)
    figures.draw_folds(fold_values(rng, 2))
    assert dict(matplotlib.rcParams) == before


def labels_of(ax):
    return [text.get_text() for text in ax.texts]


def test_confusion_prints_the_counts_and_the_shares(predicted):
    truth, prediction, folds, _ = predicted
    confusion = figures.confusions(truth, prediction, folds)
    left, right = figures.draw_confusion(confusion).axes
    assert [int(text.replace(",", "")) for text in labels_of(left)] == confusion_matrix(
        truth, prediction
    ).ravel().tolist()
    shares = figures.row_shares(confusion).ravel()
    assert [float(text) for text in labels_of(right)] == pytest.approx(shares, abs=0.005 + 1e-9)
    assert left.get_yticklabels()[3].get_text() == f"neutral ({(truth == 3).sum()})"


def test_predictions_carry_the_concordance_of_the_table(rng):
    va, _, hard = world(rng)
    pred_va, folds = va + rng.normal(0, 0.5, va.shape), np.arange(300) % 3
    for column, ax in enumerate(figures.draw_predictions(va, pred_va, hard, folds).axes):
        cccs = [concordance(truth=va[folds == k, column], prediction=pred_va[folds == k, column]) for k in range(3)]
        assert f"CCC {np.mean(cccs):.3f} ± {np.std(cccs, ddof=1):.3f}".replace("0.", ".") in ax.get_title(loc="left")
        points = np.concatenate([collection.get_offsets() for collection in ax.collections])
        assert sorted(map(tuple, points)) == sorted(zip(va[:, column], pred_va[:, column], strict=True))
        assert ax.get_xlim() == ax.get_ylim()


def test_calibration_carries_the_error_of_the_table_and_the_bins(rng):
    folds = [(rng.integers(0, 7, 80), rng.dirichlet(np.ones(7), 80)) for _ in range(3)]
    top, bottom = figures.draw_calibration(folds).axes
    errors = [statistics.expected_calibration_error(hard_label=hard, probs=probs) for hard, probs in folds]
    assert f"ECE {np.mean(errors):.3f} ± {np.std(errors, ddof=1):.3f}".replace("0.", ".") in top.get_title(loc="left")
    bins = figures.calibration_bins(*(np.concatenate(part) for part in zip(*folds, strict=True)))
    assert [bar.get_height() for bar in bottom.patches] == bins.n.tolist()
    dots = next(line for line in top.lines if line.get_marker() == "o")
    assert dots.get_ydata() == pytest.approx(bins.accuracy[bins.n > 0])


def test_curves_mark_the_selected_epoch(rng):
    histories = {fold: history(rng, 8) for fold in (0, 2)}
    ax = figures.draw_curves(histories, {0: 5, 2: 7}).axes[2]
    marked = [
        tuple(map(float, (line.get_xdata()[0], line.get_ydata()[0]))) for line in ax.lines if line.get_marker() == "o"
    ]
    assert marked == [(6, histories[0][5]["valid/ccc_arousal"]), (8, histories[2][7]["valid/ccc_arousal"])]


def test_folds_show_every_value_and_the_mean(rng):
    values = fold_values(rng, 3, 4)
    name = next(iter(values["CCC(aro)"]))
    del values["CCC(aro)"][name][2]  # an unfinished row
    for (_, by_row), ax in zip(values.items(), figures.draw_folds(values).axes, strict=True):
        dots = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "o"])
        expected = [value for by_fold in by_row.values() for value in by_fold.values()]
        assert sorted(dots[~np.isnan(dots)]) == sorted(expected)
        means = [np.mean(list(by_fold.values())) for by_fold in by_row.values()]
        assert labels_of(ax) == [f"{mean:.3f}".lstrip("0") for mean in means]


def test_a_metric_that_is_undefined_everywhere_is_drawn_as_nothing():
    ax = figures.draw_folds({"CCC(aro)": {"one": {0: math.nan, 1: math.nan}}}).axes[0]
    assert labels_of(ax) == ["–"]


def test_f1_of_an_absent_emotion_is_left_out():
    nan = np.array([0.5] * 6 + [np.nan])
    ax = figures.draw_f1(statistics.Interval(nan, nan - 0.1, nan + 0.1), np.array([5] * 6 + [0])).axes[0]
    assert sum(line.get_marker() != "None" for line in ax.lines) == 6


def test_peakl_prints_means_before_and_after_and_one_segment(rng):
    soft = make_votes(rng, 200) / 10
    hard = soft.argmax(axis=1)
    before, after, _, bars, gains = figures.draw_peakl(soft, hard, example=np.array([0.6, 0.4, 0, 0, 0, 0, 0])).axes
    for ax, values in ((before, soft), (after, peak_label(soft))):
        assert [float(text) for text in labels_of(ax)] == pytest.approx(
            figures.mean_distributions(values, hard).ravel(), abs=0.005 + 1e-9
        )
    heights = np.array([bar.get_height() for bar in bars.patches]).reshape(3, -1)[:, :2]
    assert heights == pytest.approx(np.array([[1, 0], [0.6, 0.4], [0.620149, 0.379851]]), abs=1e-6)
    means = {int(line.get_xdata()[0]): line.get_ydata()[0] for line in gains.lines if line.get_marker() == "o"}
    assert means == pytest.approx({level: values.mean() for level, values in figures.moved_mass(soft).items()})


def test_the_example_is_one_of_which_some_is_kept_and_some_dropped():
    votes = np.zeros((4, 7))
    for row, pattern in zip(votes, ((10,), (5, 1, 1, 1, 1, 1), (5, 2, 1, 1, 1), (5, 5)), strict=True):
        row[: len(pattern)] = pattern
    assert np.array_equal(figures._telling_example(votes / 10), votes[2] / 10)
    assert np.array_equal(figures._telling_example(votes[:1] / 10), votes[0] / 10)


def test_map_shows_every_segment_and_its_numbers(rng):
    va, vectors, hard = world(rng)
    numbers = figures.alignment(va, vectors, hard, vectors[:, :2])
    fig = figures.draw_map(va, vectors[:, :2], hard, numbers)
    for ax, expected in zip(fig.axes, (va, vectors[:, :2]), strict=True):
        points = np.concatenate([collection.get_offsets() for collection in ax.collections])
        assert sorted(map(tuple, points)) == sorted(map(tuple, expected))
        centroids = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines)
        assert centroids == sorted(tuple(expected[hard == k].mean(axis=0)) for k in range(N_EMOTIONS))
        assert len(ax.patches) == N_EMOTIONS
    assert f"ρ = {numbers.space.rho:.2f}".replace("0.", ".") in fig.get_suptitle()


def test_ellipses_are_one_standard_deviation(rng):
    cloud = rng.normal(size=(20_000, 2)) @ np.array([[2.0, 0.3], [0, 0.5]]) + [3, 4]
    ellipse = figures._ellipse(cloud, "black")
    unit = ellipse.get_transform().inverted().transform(cloud)
    assert (np.hypot(*unit.T) <= 1).mean() == pytest.approx(1 - math.exp(-0.5), abs=0.01)  # 39 %


def test_corpus_bars_are_the_counts(rng):
    table = corpus(rng)
    votes_ax, agreement_ax, seconds_ax, folds_ax = figures.draw_corpus(table, 7.0).axes
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


def test_one_corpus_without_a_cut_is_drawn(rng):
    fig = figures.draw_corpus(corpus(rng, 60, names=("kemdy20",)), None)
    assert overlaps(drawn_texts(fig)) == []


# ---------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("vector", ["pdf", "svg"])
def test_saved_files_have_their_size_and_are_the_same_again(rng, tmp_path, vector):
    for name in ("one", "two"):
        fig = figures.draw_folds(fold_values(np.random.default_rng(0), 3))
        figures.save(fig, tmp_path / name, vector)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.png",
        f"one.{vector}",
        "two.png",
        f"two.{vector}",
    ] or (vector == "pdf")
    with Image.open(tmp_path / "one.png") as image:
        assert image.width == pytest.approx(180 / 25.4 * 300, abs=1)
        assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
    for kind in ("png", vector):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def write_cell(grid, row, fold, rng, with_embeddings=True, experiment="demo/x"):
    """A finished cell of 60 segments, written as training writes one."""
    fusion, target = row.rsplit("_", 1)
    votes = make_votes(rng, 60)
    va = (CENTROIDS[votes.argmax(axis=1)] + rng.normal(0, 0.4, (60, 2))).clip(1, 5).round(1)
    hard = hard_label(votes, va, CENTROIDS)
    probs = 0.6 * np.eye(7)[hard] + 0.4 * rng.dirichlet(np.ones(7), 60)
    table = pd.DataFrame(
        {
            "segment_id": [f"Sess{4 * fold + 1:02d}_script{k % 6 + 1:02d}_F{k:03d}" for k in range(60)],
            "corpus": "kemdy19",
            "speaker": f"Sess{4 * fold + 1:02d}F",
            **dict(zip(results.SOFT, (votes / 10).T, strict=True)),
            "hard_label": hard,
            "is_tied": is_tied(votes),
            "valence": va[:, 0],
            "arousal": va[:, 1],
            **dict(zip(results.PROB, probs.T, strict=True)),
            "pred_valence": va[:, 0] + rng.normal(0, 0.3, 60),
            "pred_arousal": va[:, 1] + rng.normal(0, 0.3, 60),
        }
    ).sort_values("segment_id", ignore_index=True)
    epochs = [
        {"epoch": k, "train/loss": 2.0 - k, **{f"valid/{n}": v for n, v in results.evaluate_table(table).items()}}
        for k in range(2)
    ]
    facts = {
        **{"experiment": experiment, "fusion": fusion, "target": target, "fold": fold, "protocol": "paper", "seed": 42},
        **{
            "corpora": ["kemdy19"],
            "human": {},
            "fingerprint": "f",
            "versions": {},
            "seconds": 1.0,
            "peak_memory_mb": 1.0,
        },
    }
    run_dir = grid / row / f"fold{fold}-seed42"
    run_dir.mkdir(parents=True)
    embedding = table[["valence", "arousal"]].to_numpy() @ rng.normal(size=(2, 8)) + rng.normal(size=(60, 8))
    gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": embedding}
    results.write_fold(run_dir, table, results.make_result(table, table, epochs, 1, facts), gathered)
    if not with_embeddings:
        (run_dir / "embeddings.npz").unlink()
    return run_dir


@pytest.fixture
def quick_map(monkeypatch):
    """Principal components in place of UMAP, whose compiler takes half a minute."""

    def project(embedding, seed=42):
        centred = embedding - embedding.mean(axis=0)
        return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T

    monkeypatch.setattr(figures, "project", project)


@pytest.fixture
def kept(monkeypatch, quick_map):
    """Figures by name in place of files: writing is what takes the time."""
    found = {}
    monkeypatch.setattr(figures, "save", lambda fig, stem, vector: found.__setitem__(stem.name, fig))
    return found


@pytest.fixture(scope="module")
def written_grid(tmp_path_factory):
    grid, rng = tmp_path_factory.mktemp("figures") / "grid", np.random.default_rng(0)
    for row in ("tensor_mixer_peakl", "concat_peakl"):
        for fold in range(2):
            write_cell(grid, row, fold, rng)
    return grid


@pytest.fixture
def grid(written_grid, tmp_path):
    return shutil.copytree(written_grid, tmp_path / "grid")


def test_build_writes_every_figure_it_has_input_for(grid, quick_map, capsys):
    said = figures.build(str(grid), n_resamples=50)
    out = grid / "figures"
    drawn = set(NAMES) - {"corpus"}
    assert {path.name for path in out.iterdir()} == {f"{n}.{kind}" for n in drawn for kind in ("png", "pdf")} | {
        "alignment.csv"
    }
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NAMES)
    assert [line for line in lines if "left out" in line] == [line for line in lines if line.startswith("corpus ")]
    assert "config.yaml" in next(line for line in lines if line.startswith("corpus "))
    assert said == f"8 figures of Tensor Mixer Network, PeakL (2/5 folds) in {out}"
    with Image.open(out / "map.png") as image:
        assert image.width == pytest.approx(180 / 25.4 * 300, abs=1)


def test_alignment_csv_has_every_row_and_fold(grid, kept):
    figures.build(str(grid), row="concat_peakl", n_resamples=50)
    with open(grid / "figures" / "alignment.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {(line["row"], line["fold"]) for line in lines} == {
        (row, fold) for row in ("tensor_mixer_peakl", "concat_peakl") for fold in "01"
    }
    for row in tables.load(grid):
        for fold, run in row.first_seed().items():
            line = next(one for one in lines if (one["row"], one["fold"]) == (row.name, str(fold)))
            va, embedding, hard = figures.vectors(run)
            assert (float(line["rho"]), float(line["p"])) == figures.mantel(va, embedding, hard)[:2]
            assert bool(line["trustworthiness"]) == (row.name == "concat_peakl")
            assert len(va) == int(line["n_segments"]) == run.result["selected"]["metrics"]["n_scored"]


def test_build_says_of_what_corpus_it_is(grid, kept, tmp_path, rng):
    figures.build(str(grid), out=str(tmp_path / "out"), n_resamples=50)
    for fig in kept.values():
        assert figures.SAMPLE_NOTE in [text.get_text() for text in fig.findobj(Text)]
    for row in ("tensor_mixer_peakl", "tensor_mixer_hard"):
        write_cell(tmp_path / "real", row, 0, rng, experiment=row)
    kept.clear()
    figures.build(str(tmp_path / "real"), n_resamples=50)
    for fig in kept.values():
        assert figures.SAMPLE_NOTE not in [text.get_text() for text in fig.findobj(Text)]


def test_figures_of_a_grid_are_of_its_predictions(grid, kept):
    figures.build(str(grid), n_resamples=50)
    row = next(row for row in tables.load(grid) if row.name == "tensor_mixer_peakl")
    table = pd.concat([run.predictions for run in row.first_seed().values()])
    table = table[~table["is_tied"]]
    expected = confusion_matrix(table["hard_label"], table[results.PROB].to_numpy().argmax(axis=1), labels=range(7))
    assert [int(text) for text in labels_of(kept["confusion"].axes[0])] == expected.ravel().tolist()
    for column, metric in enumerate(("weighted_f1", "ccc_arousal", "ccc_valence")):
        mean = row.values(metric).mean()
        assert f"{mean:.3f}".lstrip("0") in labels_of(kept["folds"].axes[column])
    ccc = row.values("ccc_valence").mean()
    assert f"CCC {ccc:.3f}".replace("0.", ".") in kept["predictions"].axes[0].get_title(loc="left")
    shown = figures.median_fold(dict(zip(row.folds, row.values("weighted_f1"), strict=True)))
    assert f"fold {shown} (median F1)" in kept["map"].axes[1].get_title(loc="left")


@pytest.mark.parametrize("missing", ["embeddings.npz", "predictions.csv"])
def test_a_missing_file_leaves_out_what_needs_it(grid, kept, capsys, missing):
    for path in grid.glob(f"*/*/{missing}"):
        path.unlink()
    figures.build(str(grid), n_resamples=50)
    left_out = {line.split()[0] for line in capsys.readouterr().out.splitlines() if "left out" in line}
    needs = {"embeddings.npz": {"map", "corpus"}, "predictions.csv": set(NAMES) - {"folds", "curves"}}
    assert left_out == needs[missing]


def test_embeddings_of_other_segments_are_an_error(grid, kept):
    path = next(grid.glob("tensor_mixer_peakl/fold0*/embeddings.npz"))
    with np.load(path) as file:
        np.savez(path, segment_id=file["segment_id"][::-1], embedding=file["embedding"])
    with pytest.raises(ValueError, match="must be of the same segments"):
        figures.build(str(grid), n_resamples=50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"row": "mlp"}, "one of concat_peakl, tensor_mixer_peakl: got 'mlp'"),
        ({"fold": 4}, r"one of \[0, 1\]: got 4"),
        ({"vector": "eps"}, "pdf or svg"),
    ],
)
def test_build_names_bad_arguments(grid, arguments, message):
    with pytest.raises(ValueError, match=message):
        figures.build(str(grid), **arguments)


def test_an_empty_grid_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="finished cells"):
        figures.build(str(tmp_path))


@pytest.mark.slow
def test_corpus_figure_is_of_the_data_set_that_the_run_names(corpora, cache_dir, tmp_path, rng, quick_map):
    run_dir = write_cell(tmp_path, "tensor_mixer_peakl", 0, rng)
    dataset = {"dataset_name": "kemdy20", "root": str(corpora), "cache_dir": str(cache_dir), "exclude": "paper"}
    config = {"dataset": dataset, "dataloader": {"collate": {"max_samples": 24_000}}}
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    table, cut = figures.corpus_table(run_dir)
    assert cut == 1.5 and set(table["corpus"]) == {"kemdy20"} and set(table["fold"]) == set(range(5))
    listing = {path.stem: path.stat().st_size for path in (corpora / "KEMDy20_v1_1" / "wav").rglob("*.wav")}
    assert len(table) == len(listing)
    assert (2 * 16_000 * table["seconds"]).sum() == pytest.approx(sum(listing.values()) - 44 * len(listing), rel=0.01)
    figures.build(str(tmp_path), n_resamples=20)
    assert (tmp_path / "figures" / "corpus.png").is_file()


def test_history_of_a_result_file_is_what_curves_take(grid):
    result = json.loads(next(grid.glob("*/*/result.json")).read_text())
    fig = figures.draw_curves({0: result["history"]}, {0: result["selected"]["epoch"]})
    assert fig.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0]
