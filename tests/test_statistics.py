"""Every statistic against a second way to its number; intervals and tests against worlds whose truth is known.

The worlds are simulated, with fixed seeds; the bands leave room for the chance of so many worlds, and no more.
"""

from __future__ import annotations

import itertools
import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special, stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, log_loss
from statsmodels.stats.multitest import multipletests
from threadpoolctl import threadpool_limits

from erc import statistics
from erc.labels import N_EMOTIONS

EXACT = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _no_warning_ever():
    """Undefined results are decided, not warned about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Thousands of small matrix products: on a shared machine, threads would mostly wait for one another."""
    with threadpool_limits(1):
        yield


def textbook_ccc(truth, prediction):
    """Lin (1989), written once more, by loops."""
    n = len(truth)
    mean_x, mean_y = math.fsum(truth) / n, math.fsum(prediction) / n
    var_x = math.fsum((x - mean_x) ** 2 for x in truth) / n
    var_y = math.fsum((y - mean_y) ** 2 for y in prediction) / n
    cov = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(truth, prediction, strict=True)) / n
    return 2 * cov / (var_x + var_y + (mean_x - mean_y) ** 2)


def sklearn_scores(truth, prediction):
    """The CONFUSION_METRICS by scikit-learn."""
    f1s = [f1_score(truth, prediction, average=average) for average in ("weighted", "micro", "macro")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a predicted class that truth lacks
        return np.array([*f1s, balanced_accuracy_score(truth, prediction)])


def soft_labels(rng, n):
    return rng.multinomial(10, rng.dirichlet(np.ones(N_EMOTIONS), n)) / 10


def predicted_probs(rng, n):
    return rng.dirichlet(np.full(N_EMOTIONS, 0.7), n)


@pytest.fixture
def world():
    """300 segments, 40 dialogues of unequal size in 5 folds, shuffled; two classifiers, one regressor."""
    rng = np.random.default_rng(7)
    cluster_index = np.concatenate([np.arange(40), rng.integers(40, size=260)])
    rng.shuffle(cluster_index)
    truth = rng.integers(N_EMOTIONS, size=300)
    noise_a, noise_b = rng.integers(N_EMOTIONS, size=(2, 300))
    valence = rng.uniform(1, 5, 300)
    return {
        "clusters": np.array([f"Sess{c % 10:02d}_script{c // 10}" for c in range(40)])[cluster_index],
        "folds": cluster_index % 10 // 2,
        "truth": truth,
        "a": np.where(rng.random(300) < 0.6, truth, noise_a),
        "b": np.where(rng.random(300) < 0.5, truth, noise_b),
        "valence": valence,
        "predicted_valence": valence + rng.normal(0.2, 0.8, 300),
    }


def random_vectors(min_size=0, max_size=12, low=-1.0, high=1.0):
    return st.integers(min_size, max_size).flatmap(
        lambda n: hnp.arrays(np.float64, n, elements=st.floats(low, high, allow_nan=False))
    )


# ---------------------------------------------------------------------------------------------------- mean and std


def test_mean_and_std_agree_with_scipy():
    values = np.random.default_rng(0).normal(size=5)
    mean, std = statistics.mean_and_std(values)
    np.testing.assert_allclose([mean, std], [stats.tmean(values), stats.tstd(values)], **EXACT)


def test_std_of_one_to_five_is_the_root_of_two_and_a_half():
    assert statistics.mean_and_std([1, 2, 3, 4, 5]) == (3.0, pytest.approx(math.sqrt(2.5), abs=1e-12))


def test_one_fold_has_a_mean_and_no_std_and_no_fold_has_neither():
    mean, std = statistics.mean_and_std([0.4])
    assert mean == 0.4 and math.isnan(std)
    assert np.isnan(statistics.mean_and_std([])).all()


def test_a_nan_fold_makes_mean_and_std_nan():
    assert np.isnan(statistics.mean_and_std([0.4, np.nan, 0.5])).all()


def test_a_table_of_folds_is_refused_by_mean_and_std():
    with pytest.raises(ValueError, match="values must be one-dimensional"):
        statistics.mean_and_std([[0.1, 0.2]])


# ------------------------------------------------------------------------------------------------------- t test


@pytest.mark.parametrize(("k", "n_train", "n_test"), [(5, 80, 20), (10, 90, 10), (15, 200, 100), (2, 1, 1)])
def test_corrected_t_is_scipys_t_shrunk_by_the_overlap(k, n_train, n_test):
    differences = np.random.default_rng(k).normal(0.02, 0.03, size=k)
    plain = stats.ttest_1samp(differences, 0.0)
    shrunk = plain.statistic / math.sqrt(1 + k * n_test / n_train)
    p = special.betainc((k - 1) / 2, 0.5, (k - 1) / (k - 1 + shrunk**2))  # two-sided p as an incomplete beta
    result = statistics.corrected_resampled_t_test(differences, n_train, n_test)
    assert result.df == plain.df == k - 1
    np.testing.assert_allclose([result.t, result.p_value], [shrunk, p], **EXACT)


def test_corrected_t_of_a_case_done_by_hand():
    # d = .01 .02 .03 .04 .05: mean .03, variance .00025, factor 1/5 + 1/4 = .45, t = .03 / sqrt(.0001125) = 2 sqrt 2.
    # With t^2 = 8 on 4 degrees of freedom, s = t / sqrt(t^2 + 4) = sqrt(2/3), and P(|T| > t) = 1 - (3 s - s^3) / 2.
    result = statistics.corrected_resampled_t_test([0.01, 0.02, 0.03, 0.04, 0.05], n_train=80, n_test=20)
    s = math.sqrt(2 / 3)
    np.testing.assert_allclose(result, [2 * math.sqrt(2), 4, 1 - (3 * s - s**3) / 2], **EXACT)


def test_p_value_is_the_integral_of_students_density():
    result = statistics.corrected_resampled_t_test([0.01, -0.02, 0.03, 0.05, 0.04], n_train=4, n_test=1)
    norm = math.gamma(2.5) / (math.sqrt(4 * math.pi) * math.gamma(2))
    tail, _ = integrate.quad(lambda t: norm * (1 + t * t / 4) ** -2.5, result.t, np.inf, epsabs=1e-12)
    assert result.p_value == pytest.approx(2 * tail, abs=1e-9)


@given(differences=random_vectors(min_size=2), scale=st.floats(0.1, 100))
def test_t_flips_with_the_models_and_ignores_the_unit(differences, scale):
    t, df, p = statistics.corrected_resampled_t_test(differences, 4, 1)
    assert statistics.corrected_resampled_t_test(-differences, 4, 1) == pytest.approx((-t, df, p), nan_ok=True)
    if np.ptp(differences) > 1e-6:
        assert 0 <= p <= 1
        scaled = statistics.corrected_resampled_t_test(scale * differences, 4, 1)
        assert scaled == pytest.approx((t, df, p), rel=1e-6)


@pytest.mark.parametrize("differences", [[0.0] * 5, [0.1] * 5, [0.3 - 0.2, 0.2 - 0.1], [0.1], [], [0.1, np.nan, 0.2]])
def test_without_a_variance_there_is_no_test(differences):
    t, df, p = statistics.corrected_resampled_t_test(differences, 4, 1)
    assert math.isnan(t) and math.isnan(p)
    assert df == max(len(differences) - 1, 0)


@pytest.mark.parametrize("sizes", [(0, 1), (4, 0), (-4, 1), (np.nan, 1)])
def test_set_sizes_must_be_positive(sizes):
    with pytest.raises(ValueError, match="Set sizes must be positive"):
        statistics.corrected_resampled_t_test([0.1, 0.2], *sizes)


# ----------------------------------------------------------------------------------------------------------- Holm


@pytest.mark.parametrize("m", [0, 1, 2, 5, 40])
def test_holm_agrees_with_statsmodels(m):
    rng = np.random.default_rng(m)
    p_values = np.round(rng.uniform(size=m) ** 3, 2)  # rounded, so that ties occur
    expected = multipletests(p_values, method="holm")[1] if m else []
    np.testing.assert_allclose(statistics.holm(p_values), expected, **EXACT)


def test_holm_of_a_case_done_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, of which the last may not fall below .06
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], **EXACT)


def test_a_test_that_could_not_be_done_stays_nan_and_does_not_count():
    p_values = np.array([0.01, np.nan, 0.04, 0.03, np.nan, 0.005])
    adjusted = statistics.holm(p_values)
    is_done = ~np.isnan(p_values)
    assert np.isnan(adjusted[~is_done]).all()
    np.testing.assert_array_equal(adjusted[is_done], statistics.holm(p_values[is_done]))
    assert np.isnan(statistics.holm([np.nan, np.nan])).all()


@given(p_values=random_vectors(low=0.0), data=st.data())
def test_holm_keeps_the_order_never_lowers_and_follows_a_permutation(p_values, data):
    adjusted = statistics.holm(p_values)
    assert ((adjusted >= p_values) & (adjusted <= 1)).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
    order = np.array(data.draw(st.permutations(range(len(p_values)))), dtype=int)
    np.testing.assert_array_equal(statistics.holm(p_values[order]), adjusted[order])


def test_holm_rejects_what_the_closed_bonferroni_tests_reject():
    # Holm is the closure of Bonferroni: the adjusted p is the largest Bonferroni p over all sets that hold the test.
    p_values = np.random.default_rng(3).uniform(size=6) ** 2
    closed = np.zeros(6)
    for size in range(1, 7):
        for members in itertools.combinations(range(6), size):
            bonferroni = min(1.0, size * p_values[list(members)].min())
            closed[list(members)] = np.maximum(closed[list(members)], bonferroni)
    np.testing.assert_allclose(statistics.holm(p_values), closed, **EXACT)


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match=r"p values must lie in \[0, 1\]"):
        statistics.holm([0.5, 1.2])


# ------------------------------------------------------------------------------------- sums per cluster, and scores


def test_confusion_sums_hold_each_dialogues_confusion_matrix(world):
    sums = statistics.confusion_sums(truth=world["truth"], prediction=world["a"], clusters=world["clusters"])
    assert sums.clusters.tolist() == sorted(set(world["clusters"]))
    for name, matrix, size in zip(sums.clusters, sums.sums, sums.sizes, strict=True):
        rows = world["clusters"] == name
        expected = confusion_matrix(world["truth"][rows], world["a"][rows], labels=range(N_EMOTIONS))
        np.testing.assert_array_equal(matrix, expected)
        assert size == rows.sum()


@given(data=st.data(), n=st.integers(1, 30), n_classes=st.integers(2, 7))
def test_confusion_scores_agree_with_scikit_learn_whichever_classes_are_missing(data, n, n_classes):
    labels = hnp.arrays(np.int64, n, elements=st.integers(0, n_classes - 1))
    truth, prediction = data.draw(labels), data.draw(labels)
    confusion = confusion_matrix(truth, prediction, labels=range(n_classes))
    np.testing.assert_allclose(statistics.confusion_scores(confusion), sklearn_scores(truth, prediction), **EXACT)


def test_a_stack_of_confusion_matrices_is_scored_one_by_one():
    stack = np.random.default_rng(0).integers(0, 5, size=(3, 2, 7, 7))
    scores = statistics.confusion_scores(stack)
    assert scores.shape == (3, 2, len(statistics.CONFUSION_METRICS))
    np.testing.assert_array_equal(scores[2, 1], statistics.confusion_scores(stack[2, 1]))


def test_no_segment_has_no_score():
    assert np.isnan(statistics.confusion_scores(np.zeros((7, 7)))).all()
    assert np.isnan(statistics.moment_concordance(np.zeros(6)))


def ccc(truth, prediction):
    sums = statistics.moment_sums(truth=np.array(truth), prediction=np.array(prediction), clusters=np.zeros(len(truth)))
    return float(statistics.moment_concordance(sums.sums.sum(axis=0)))


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
            assert math.isnan(statistics.moment_concordance([n, first, first, second, second, second]))


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
        statistics.confusion_sums(truth=[0, 1], prediction=[0, 7], clusters=[0, 0])
    with pytest.raises(ValueError, match="truth must hold class indices"):
        statistics.confusion_sums(truth=[0, 0.5], prediction=[0, 1], clusters=[0, 0])
    with pytest.raises(ValueError, match="One value per segment"):
        statistics.moment_sums(truth=[1.0, 2.0], prediction=[1.0], clusters=[0, 0])


# ------------------------------------------------------------------------------------------------------ bootstrap


def record_draws(world, n_resamples, seed=42):
    """Index arrays the statistic was shown: (folds, 1 + n_resamples) lists."""
    draws = []

    def spy(indices):
        draws.append(indices.copy())
        return 0.0

    statistics.cluster_bootstrap(spy, world["folds"], world["clusters"], n_resamples, seed=seed)
    per_fold = 1 + n_resamples
    return [draws[start : start + per_fold] for start in range(0, len(draws), per_fold)]


def test_the_first_draw_is_the_data_and_the_others_are_whole_dialogues_of_one_fold(world):
    n_segments = {name: np.flatnonzero(world["clusters"] == name) for name in set(world["clusters"])}
    for fold, draws in enumerate(record_draws(world, 30)):
        in_fold = np.flatnonzero(world["folds"] == fold)
        np.testing.assert_array_equal(draws[0], in_fold)
        for draw in draws[1:]:
            assert np.isin(draw, in_fold).all()
            n_drawn = 0
            for name in set(world["clusters"][in_fold]):
                times = [np.count_nonzero(draw == segment) for segment in n_segments[name]]
                assert len(set(times)) == 1  # a dialogue comes with all its segments, equally often
                n_drawn += times[0]
            assert n_drawn == len(set(world["clusters"][in_fold]))


def test_dialogues_are_drawn_as_a_multinomial(world):
    # Eight dialogues a fold, 3000 resamples: how often the first is drawn follows Binomial(8, 1/8).
    draws = record_draws(world, 3000)[0][1:]
    segment = record_draws(world, 1)[0][0][0]
    times = np.array([np.count_nonzero(draw == segment) for draw in draws])
    observed = np.bincount(np.minimum(times, 4), minlength=5)
    expected = stats.binom.pmf(range(4), 8, 1 / 8)
    expected = 3000 * np.append(expected, 1 - expected.sum())
    assert stats.chisquare(observed, expected).pvalue > 0.001


def test_the_generic_bootstrap_is_the_textbook_loop_over_its_draws(world):
    n = 40
    per_fold = record_draws(world, n)
    resampled = [
        np.mean([f1_score(world["truth"][d[r]], world["a"][d[r]], average="weighted") for d in per_fold])
        for r in range(n + 1)
    ]
    # Efron and Tibshirani (1993), equations 14.10 and 14.14 with acceleration 0
    z0 = stats.norm.ppf(np.mean([value < resampled[0] for value in resampled[1:]]))
    ends = 100 * stats.norm.cdf([2 * z0 + stats.norm.ppf(0.05), 2 * z0 + stats.norm.ppf(0.95)])
    assert abs(z0) > 0.05  # the correction does something here
    expected = [resampled[0], *np.percentile(resampled[1:], ends)]
    result = statistics.cluster_bootstrap(
        lambda i: f1_score(world["truth"][i], world["a"][i], average="weighted"),
        world["folds"], world["clusters"], n, level=0.9,
    )  # fmt: skip
    np.testing.assert_allclose(result, expected, **EXACT)


def test_fast_and_generic_bootstrap_of_f1_and_recall_are_equal(world):
    truth, prediction, folds, clusters = (world[key] for key in ("truth", "a", "folds", "clusters"))
    fast = statistics.cluster_bootstrap(
        statistics.confusion_sums(truth=truth, prediction=prediction, clusters=clusters), folds, clusters, 30
    )
    slow = statistics.cluster_bootstrap(lambda i: sklearn_scores(truth[i], prediction[i]), folds, clusters, 30)
    np.testing.assert_allclose(fast, slow, **EXACT)
    assert fast.estimate.shape == fast.low.shape == fast.high.shape == (4,)


def test_fast_and_generic_bootstrap_of_concordance_are_equal(world):
    truth, prediction, folds, clusters = (world[key] for key in ("valence", "predicted_valence", "folds", "clusters"))
    fast = statistics.cluster_bootstrap(
        statistics.moment_sums(truth=truth, prediction=prediction, clusters=clusters), folds, clusters, 100
    )
    slow = statistics.cluster_bootstrap(lambda i: textbook_ccc(truth[i], prediction[i]), folds, clusters, 100)
    np.testing.assert_allclose(fast, slow, **EXACT)
    assert all(isinstance(value, float) for value in fast)


def test_fast_and_generic_paired_bootstrap_are_equal(world):
    truth, a, b, folds, clusters = (world[key] for key in ("truth", "a", "b", "folds", "clusters"))
    fast = statistics.paired_bootstrap(
        statistics.confusion_sums(truth=truth, prediction=a, clusters=clusters),
        statistics.confusion_sums(truth=truth, prediction=b, clusters=clusters),
        folds, clusters, 30,
    )  # fmt: skip
    slow = statistics.paired_bootstrap(
        lambda i: sklearn_scores(truth[i], a[i]), lambda i: sklearn_scores(truth[i], b[i]), folds, clusters, 30
    )
    np.testing.assert_allclose(fast, slow, **EXACT)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_the_interval_agrees_with_every_resample_there_is(level):
    # One fold, dialogues of 1, 2, 3 and 4 segments: 4^4 = 256 equally likely resamples. Their mean takes few values, so
    # that 20,000 draws find its quantiles exactly, unless a quantile lies within four standard errors of a step. (Seed
    # 147 is the first whose values meet this at all three levels.)
    values = np.random.default_rng(147).normal(size=10)
    clusters = np.repeat([0, 1, 2, 3], [1, 2, 3, 4])
    parts = [values[clusters == c] for c in range(4)]
    exact = [np.concatenate([parts[c] for c in draw]).mean() for draw in itertools.product(range(4), repeat=4)]
    exact = np.round(exact, 12)
    for tail in ((1 - level) / 2, (1 + level) / 2):
        steps = np.array([np.mean(exact <= value) for value in set(exact)])
        assert np.abs(steps - tail).min() > 4 * math.sqrt(tail * (1 - tail) / 20_000)
    result = statistics.cluster_bootstrap(lambda i: values[i].mean(), np.zeros(10), clusters, 20_000, level=level)
    expected = np.quantile(exact, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    np.testing.assert_allclose(result[1:], expected, **EXACT)


def test_equal_dialogues_in_one_fold_give_scipys_bootstrap_of_dialogue_means():
    rng = np.random.default_rng(9)
    means = rng.normal(size=30)
    values = (means[:, None] + stats.zscore(rng.normal(size=(30, 6)), axis=1)).ravel()
    clusters = np.repeat(np.arange(30), 6)
    ours = statistics.cluster_bootstrap(lambda i: values[i].mean(), np.zeros(180), clusters, 10_000)
    theirs = stats.bootstrap((means,), np.mean, n_resamples=10_000, method="percentile", rng=rng).confidence_interval
    # Monte Carlo error of a 2.5 % quantile of 10,000: 2.7 % of a standard error; 0.1 is above three of the difference
    np.testing.assert_allclose(ours[1:], theirs, atol=0.1 * means.std() / math.sqrt(30))


def test_paired_p_value_is_counted_from_the_resampled_differences(world):
    n = 99
    a, b = (world["truth"] == world["a"]), (world["truth"] == world["b"])
    differences = [np.mean([a[d[r]].mean() - b[d[r]].mean() for d in record_draws(world, n)]) for r in range(n + 1)]
    below, above = sum(d <= 0 for d in differences[1:]), sum(d >= 0 for d in differences[1:])
    expected = [differences[0], *np.percentile(differences[1:], [2.5, 97.5]), min(1, 2 * (min(below, above) + 1) / 100)]
    result = statistics.paired_bootstrap(
        lambda i: a[i].mean(), lambda i: b[i].mean(), world["folds"], world["clusters"], n
    )
    np.testing.assert_allclose(result, expected, **EXACT)


def test_swapping_the_models_flips_the_difference_and_keeps_p(world):
    a, b = (
        statistics.confusion_sums(truth=world["truth"], prediction=world[model], clusters=world["clusters"])
        for model in "ab"
    )
    there = statistics.paired_bootstrap(a, b, world["folds"], world["clusters"])
    back = statistics.paired_bootstrap(b, a, world["folds"], world["clusters"])
    np.testing.assert_allclose(back, [-there.difference, -there.high, -there.low, there.p_value], **EXACT)


def test_a_model_does_not_differ_from_itself(world):
    sums = statistics.moment_sums(
        truth=world["valence"], prediction=world["predicted_valence"], clusters=world["clusters"]
    )
    assert statistics.paired_bootstrap(sums, sums, world["folds"], world["clusters"]) == (0, 0, 0, 1)


def test_the_smallest_p_is_two_over_one_more_than_the_resamples(world):
    result = statistics.paired_bootstrap(
        lambda i: 1.0 + len(i), lambda i: 0.0, world["folds"], world["clusters"], n_resamples=39
    )
    assert result.p_value == pytest.approx(2 / 40)


def test_p_falls_below_five_percent_just_where_the_interval_leaves_zero(world):
    # The p value inverts the interval: they may disagree only by the +1 and the interpolation of a quantile.
    rng = np.random.default_rng(2)
    for shift in rng.normal(scale=0.1, size=30):
        values = rng.normal(size=300) * 0.5 + shift
        result = statistics.paired_bootstrap(
            lambda i, v=values: v[i].mean(), lambda i: 0.0, world["folds"], world["clusters"], 199
        )
        if abs(result.p_value - 0.05) > 0.02:
            assert (result.p_value < 0.05) == (result.low > 0 or result.high < 0)


def test_same_seed_same_interval_and_another_seed_another(world):
    sums = statistics.confusion_sums(truth=world["truth"], prediction=world["a"], clusters=world["clusters"])
    one, same, other = (
        statistics.cluster_bootstrap(sums, world["folds"], world["clusters"], 200, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one.low != other.low).all() and (one.estimate == other.estimate).all()


def test_shuffling_the_segments_changes_nothing(world):
    order = np.random.default_rng(0).permutation(300)
    shuffled = {key: value[order] for key, value in world.items()}
    intervals = [
        statistics.cluster_bootstrap(
            statistics.moment_sums(truth=w["valence"], prediction=w["predicted_valence"], clusters=w["clusters"]),
            w["folds"], w["clusters"], 200,
        )
        for w in (world, shuffled)
    ]  # fmt: skip
    np.testing.assert_allclose(*intervals, **EXACT)


def test_a_wider_level_contains_a_narrower(world):
    sums = statistics.confusion_sums(truth=world["truth"], prediction=world["a"], clusters=world["clusters"])
    wide, narrow = (
        statistics.cluster_bootstrap(sums, world["folds"], world["clusters"], 500, level=level) for level in (0.99, 0.8)
    )
    assert (wide.low < narrow.low).all() and (narrow.high < wide.high).all()


def test_the_estimate_is_the_mean_over_folds_and_not_the_pooled_metric(world):
    truth, prediction, folds, clusters = (world[key] for key in ("truth", "a", "folds", "clusters"))
    sums = statistics.confusion_sums(truth=truth, prediction=prediction, clusters=clusters)
    per_fold = [sklearn_scores(truth[folds == fold], prediction[folds == fold]) for fold in range(5)]
    estimate = statistics.cluster_bootstrap(sums, folds, clusters, 1).estimate
    np.testing.assert_allclose(estimate, np.mean(per_fold, axis=0), **EXACT)
    assert abs(estimate[2] - sklearn_scores(truth, prediction)[2]) > 1e-3


def test_a_fold_with_one_dialogue_has_an_estimate_and_no_interval():
    result = statistics.cluster_bootstrap(lambda i: float(i.mean()), [0, 0, 0, 1, 1], ["a", "b", "b", "c", "c"], 20)
    assert result.estimate == pytest.approx((1 + 3.5) / 2)
    assert math.isnan(result.low) and math.isnan(result.high)
    paired = statistics.paired_bootstrap(lambda i: 1.0, lambda i: 0.0, [0, 0], ["a", "a"], 20)
    assert paired.difference == 1 and math.isnan(paired.p_value)


def test_a_metric_undefined_in_a_resample_has_no_interval():
    # Four dialogues of one segment: some resample draws one of them four times, and its CCC is undefined.
    truth, clusters = np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4)
    sums = statistics.moment_sums(truth=truth, prediction=truth, clusters=clusters)
    result = statistics.cluster_bootstrap(sums, np.zeros(4), clusters, 2000)
    assert result.estimate == pytest.approx(1) and math.isnan(result.low) and math.isnan(result.high)


def test_a_dialogue_in_two_folds_is_refused():
    with pytest.raises(ValueError, match="A cluster must lie in one fold: expected unique names, got x in two"):
        statistics.cluster_bootstrap(lambda i: 0.0, [0, 1, 1], ["x", "x", "y"])


def test_sums_of_other_segments_are_refused(world):
    clear = world["truth"] != 3  # say, ties left out of the sums and not of the folds
    sums = statistics.confusion_sums(
        truth=world["truth"][clear], prediction=world["a"][clear], clusters=world["clusters"][clear]
    )
    with pytest.raises(ValueError, match="ClusterSums must come from the bootstrapped segments: expected 300"):
        statistics.cluster_bootstrap(sums, world["folds"], world["clusters"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": [], "clusters": []}, "needs segments"),
        ({"folds": [0, 0], "clusters": [0]}, "One value per segment"),
        ({"folds": [0, 0], "clusters": [0, 1], "n_resamples": 0}, "needs resamples"),
        ({"folds": [0, 0], "clusters": [0, 1], "n_resamples": 9, "level": 95}, "level must be a share"),
    ],
)
def test_a_bootstrap_that_cannot_be_done_says_so(arguments, message):
    with pytest.raises(ValueError, match=message):
        statistics.cluster_bootstrap(lambda i: 0.0, **arguments)


def test_models_with_different_metrics_are_not_compared():
    with pytest.raises(ValueError, match="A and B must give the same metrics"):
        statistics.paired_bootstrap(lambda i: 0.0, lambda i: np.zeros(2), [0, 0], [0, 1], 9)


def test_the_fast_bootstrap_of_the_whole_corpus_takes_seconds():
    rng = np.random.default_rng(0)
    clusters = rng.integers(1000, size=23_000)
    truth, prediction = rng.integers(N_EMOTIONS, size=(2, 23_000))
    start = time.perf_counter()
    sums = statistics.confusion_sums(truth=truth, prediction=prediction, clusters=clusters)
    statistics.cluster_bootstrap(sums, clusters % 5, clusters, n_resamples=2000)
    assert time.perf_counter() - start < 5  # 0.1 s measured on two shared cores


# ------------------------------------------------------------- the interval and the p value in worlds with known truth


def mean_score(sums):
    return sums[..., 0] / sums[..., 1]


def mean_sums(values, clusters):
    """A mean as ClusterSums: sum of values, number of values."""
    names, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(index, weights=values), sizes], axis=-1)
    return statistics.ClusterSums(mean_score, sums.astype(float), names, sizes)


def dialogues(rng, n_folds=5, per_fold=40):
    """Clusters of 5 to 15 segments: (N,) folds, (N,) clusters, and C."""
    n_clusters = n_folds * per_fold
    clusters = np.repeat(np.arange(n_clusters), rng.integers(5, 16, size=n_clusters))
    return clusters % n_folds, clusters, n_clusters


def coverage_of_mean(n_worlds, n_resamples, seed, clustered=True):
    """Share of 95 % intervals that hold the true mean 0; segments of a dialogue correlate at 0.5."""
    rng = np.random.default_rng(seed)
    hits = 0
    for world in range(n_worlds):
        folds, clusters, n_clusters = dialogues(rng)
        values = rng.normal(size=n_clusters)[clusters] + rng.normal(size=len(clusters))
        unit = clusters if clustered else np.arange(len(clusters))
        interval = statistics.cluster_bootstrap(mean_sums(values, unit), folds, unit, n_resamples, seed=world)
        hits += interval.low <= 0 <= interval.high
    return hits / n_worlds


def coverage_of_accuracy(n_worlds, n_resamples, seed):
    """Seven classes; the chance to be right varies by dialogue as Beta(6, 4), so that true accuracy is 0.6."""
    rng = np.random.default_rng(seed)
    hits = 0
    for world in range(n_worlds):
        folds, clusters, n_clusters = dialogues(rng)
        truth = rng.integers(N_EMOTIONS, size=len(clusters))
        is_right = rng.random(len(clusters)) < rng.beta(6, 4, size=n_clusters)[clusters]
        prediction = np.where(is_right, truth, (truth + rng.integers(1, N_EMOTIONS, size=len(clusters))) % N_EMOTIONS)
        sums = statistics.confusion_sums(truth=truth, prediction=prediction, clusters=clusters)
        interval = statistics.cluster_bootstrap(sums, folds, clusters, n_resamples, seed=world)
        hits += interval.low[1] <= 0.6 <= interval.high[1]
    return hits / n_worlds


def misses_of_concordance(n_worlds, n_resamples, seed, n_folds, per_fold):
    """Shares of worlds whose true CCC lies below the interval, and above it.

    Truth x and prediction y = 0.8 x + noise + 0.1, both with dialogue effects; the population's CCC follows.
    """
    rng = np.random.default_rng(seed)
    var_x, var_noise = 0.3**2 + 0.6**2, 0.2**2 + 0.5**2
    true_ccc = 2 * 0.8 * var_x / (var_x + 0.8**2 * var_x + var_noise + 0.1**2)
    below = above = 0
    for world in range(n_worlds):
        folds, clusters, n_clusters = dialogues(rng, n_folds, per_fold)
        x = 0.3 * rng.normal(size=n_clusters)[clusters] + 0.6 * rng.normal(size=len(clusters))
        noise = 0.2 * rng.normal(size=n_clusters)[clusters] + 0.5 * rng.normal(size=len(clusters))
        sums = statistics.moment_sums(truth=x, prediction=0.8 * x + noise + 0.1, clusters=clusters)
        interval = statistics.cluster_bootstrap(sums, folds, clusters, n_resamples, seed=world)
        below += true_ccc < interval.low
        above += true_ccc > interval.high
    return below / n_worlds, above / n_worlds


def misses_of_macro_f1(n_worlds, n_resamples, seed, n_folds, per_fold):
    """Shares of worlds whose true macro F1 lies below the interval, and above it.

    Emotions as unequal as in acted dialogues, their shares varying by dialogue; half of all predictions are the truth
    and half a guess by frequency, varying by dialogue, so that the population's confusion matrix follows.
    """
    rng = np.random.default_rng(seed)
    shares = np.array([0.04, 0.02, 0.09, 0.45, 0.20, 0.14, 0.06])
    population = shares[:, None] * (0.5 * np.eye(N_EMOTIONS) + 0.5 * shares)
    f1 = 2 * np.diagonal(population) / (population.sum(axis=0) + population.sum(axis=1))
    below = above = 0
    for world in range(n_worlds):
        folds, clusters, n_clusters = dialogues(rng, n_folds, per_fold)
        n = len(clusters)
        dialogue_shares = rng.dirichlet(8 * shares, size=n_clusters).cumsum(axis=1)[clusters]
        truth = (rng.random((n, 1)) > dialogue_shares[:, :-1]).sum(axis=1)
        is_known = rng.random(n) < rng.beta(5, 5, size=n_clusters)[clusters]
        prediction = np.where(is_known, truth, rng.choice(N_EMOTIONS, size=n, p=shares))
        sums = statistics.confusion_sums(truth=truth, prediction=prediction, clusters=clusters)
        interval = statistics.cluster_bootstrap(sums, folds, clusters, n_resamples, seed=world)
        below += f1.mean() < interval.low[2]
        above += f1.mean() > interval.high[2]
    return below / n_worlds, above / n_worlds


def false_positives_of_paired_bootstrap(n_worlds, n_resamples, seed, clustered=True):
    """Share of p < 0.05 between two models that are equally right (0.6) on average, and not on the same dialogues."""
    rng = np.random.default_rng(seed)
    rejected = 0
    for world in range(n_worlds):
        folds, clusters, n_clusters = dialogues(rng)
        unit = clusters if clustered else np.arange(len(clusters))
        chance = rng.beta(6, 4, size=(2, n_clusters))[:, clusters]
        a, b = (mean_sums(right, unit) for right in (rng.random(chance.shape) < chance).astype(float))
        rejected += statistics.paired_bootstrap(a, b, folds, unit, n_resamples, seed=world).p_value < 0.05
    return rejected / n_worlds


def false_positives_of_paired_macro_f1(n_worlds, n_resamples, seed):
    """The same of macro F1, whose bias both models share; emotions are unequal, "fear" one in fifty."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.04, 0.02, 0.09, 0.45, 0.20, 0.14, 0.06])
    rejected = 0
    for world in range(n_worlds):
        folds, clusters, n_clusters = dialogues(rng)
        truth = rng.choice(N_EMOTIONS, size=len(clusters), p=shares)
        models = []
        for _ in "ab":
            is_known = rng.random(len(clusters)) < rng.beta(6, 4, size=n_clusters)[clusters]
            prediction = np.where(is_known, truth, rng.choice(N_EMOTIONS, size=len(clusters), p=shares))
            models.append(statistics.confusion_sums(truth=truth, prediction=prediction, clusters=clusters))
        rejected += statistics.paired_bootstrap(*models, folds, clusters, n_resamples, seed=world).p_value[2] < 0.05
    return rejected / n_worlds


def test_the_clustered_interval_covers_a_mean_as_often_as_it_says():
    assert 0.93 <= coverage_of_mean(n_worlds=600, n_resamples=600, seed=0) <= 0.97


def test_an_interval_blind_to_dialogues_covers_far_too_rarely():
    # Segments correlate at 0.5 in dialogues of 10: the true variance is some six times the naive one, and a naive
    # 95 % interval should cover about P(|z| < 1.96 / sqrt(6)) = 58 %.
    assert coverage_of_mean(n_worlds=100, n_resamples=300, seed=1, clustered=False) < 0.75


def test_models_that_are_equal_are_told_apart_one_time_in_twenty():
    assert 0.03 <= false_positives_of_paired_bootstrap(n_worlds=500, n_resamples=399, seed=2) <= 0.07


def test_a_paired_test_blind_to_dialogues_rejects_too_often():
    assert false_positives_of_paired_bootstrap(n_worlds=200, n_resamples=199, seed=3, clustered=False) > 0.08


@pytest.mark.slow
def test_the_clustered_interval_covers_a_mean_as_often_as_it_says_in_2000_worlds():
    assert 0.93 <= coverage_of_mean(n_worlds=2000, n_resamples=1000, seed=10) <= 0.97


@pytest.mark.slow
def test_the_clustered_interval_covers_accuracy_as_often_as_it_says():
    assert 0.93 <= coverage_of_accuracy(n_worlds=800, n_resamples=600, seed=11) <= 0.97


@pytest.mark.slow
def test_the_clustered_interval_covers_concordance_as_often_as_it_says():
    below, above = misses_of_concordance(n_worlds=1200, n_resamples=600, seed=12, n_folds=1, per_fold=200)
    assert 0.93 <= 1 - below - above <= 0.97


@pytest.mark.slow
def test_concordance_over_small_folds_is_covered_as_often_from_either_side():
    # averaging over folds shrinks the variance, not the small-sample bias of CCC in each fold; plain percentiles, which
    # carry that bias twice, cover 0.92 here and miss on one side
    below, above = misses_of_concordance(n_worlds=1000, n_resamples=600, seed=14, n_folds=5, per_fold=40)
    assert 0.93 <= 1 - below - above <= 0.97
    assert max(below, above) < 0.045


@pytest.mark.slow
@pytest.mark.parametrize(("n_folds", "per_fold"), [(5, 40), (1, 200)])
def test_macro_f1_with_rare_emotions_is_covered_nearly_as_often_as_it_says(n_folds, per_fold):
    # a limit of the method: an emotion of one in fifty is missing from some resamples (plain percentiles: 0.80 and 0.92)
    below, above = misses_of_macro_f1(n_worlds=400, n_resamples=400, seed=15, n_folds=n_folds, per_fold=per_fold)
    assert 0.90 <= 1 - below - above <= 0.97
    assert max(below, above) < 0.09


@pytest.mark.slow
def test_models_that_are_equal_are_told_apart_one_time_in_twenty_in_2000_worlds():
    assert 0.04 <= false_positives_of_paired_bootstrap(n_worlds=2000, n_resamples=999, seed=13) <= 0.065


@pytest.mark.slow
def test_models_of_equal_macro_f1_are_told_apart_one_time_in_twenty():
    assert 0.03 <= false_positives_of_paired_macro_f1(n_worlds=600, n_resamples=399, seed=17) <= 0.07


# ------------------------------------------------------------------------------ the t test in worlds with known truth


def rejection_rates(differences, n_train, n_test):
    """Share of p < 0.05 over (worlds, k) differences: corrected test, plain paired t test. NaN does not reject."""
    corrected = [statistics.corrected_resampled_t_test(row, n_train, n_test).p_value < 0.05 for row in differences]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns of the few worlds in which all differences are equal
        plain = stats.ttest_1samp(differences, 0.0, axis=1).pvalue < 0.05
    return np.mean(corrected), np.mean(plain)


def correlated_differences(n_worlds, k, n_train, n_test, seed):
    """Normal differences of mean 0 which correlate as the correction supposes; then the corrected t is exactly t."""
    rng = np.random.default_rng(seed)
    correlation = n_test / (n_train + n_test)
    common, own = rng.normal(size=(n_worlds, 1)), rng.normal(size=(n_worlds, k))
    return math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own


def learned_differences(n_worlds, splits, seed, n_segments=100):
    """Accuracy of A minus B over the given train/test splits of one data set, per world.

    Two classes; A sees one feature, B another one, alike in law and independent given the class: by symmetry the
    methods are equally good. Each learns its class means on the training set and picks the nearer one.

    Args:
        splits: rng -> (k, n_segments) bool, True = test.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(n_worlds):
        label = rng.permutation(np.arange(n_segments) % 2)
        features = label + rng.normal(size=(2, n_segments)) * 1.5
        is_test = splits(rng)  # (k, n)
        in_train = ~is_test[:, None, :] & (label == np.array([0, 1])[:, None])  # (k, class, n)
        means = (in_train[:, None] * features[:, None, :]).sum(-1) / in_train.sum(-1)[:, None]  # (k, model, class)
        distance = np.abs(features[None, :, None, :] - means[..., None])  # (k, model, class, n)
        is_right = distance.argmin(axis=2) == label  # (k, model, n)
        accuracy = (is_right * is_test[:, None]).sum(-1) / is_test.sum(-1)[:, None]
        differences.append(accuracy[:, 0] - accuracy[:, 1])
    return np.array(differences)


def random_splits(k, n_test, n_segments=100):
    return lambda rng: np.argsort(rng.random((k, n_segments)), axis=1) < n_test


def five_folds(rng, n_segments=100):
    return rng.permutation(np.arange(n_segments) % 5) == np.arange(5)[:, None]


@pytest.mark.parametrize(("k", "n_train", "n_test"), [(5, 80, 20), (15, 90, 10)])
def test_the_corrected_t_test_is_right_and_the_plain_one_is_not_where_splits_overlap(k, n_train, n_test):
    corrected, plain = rejection_rates(correlated_differences(4000, k, n_train, n_test, seed=20), n_train, n_test)
    assert 0.043 <= corrected <= 0.057  # two standard errors
    assert plain > 0.12


def test_for_learners_on_random_splits_the_plain_t_test_rejects_many_times_too_often():
    corrected, plain = rejection_rates(learned_differences(1000, random_splits(15, 20), seed=21), 80, 20)
    assert 0.025 <= corrected <= 0.075
    assert plain > 0.25


@pytest.mark.slow
def test_for_learners_on_random_splits_the_corrected_t_test_holds_its_level_in_10000_worlds():
    corrected, plain = rejection_rates(learned_differences(10_000, random_splits(15, 20), seed=22), 80, 20)
    assert 0.03 <= corrected <= 0.07
    assert plain > 0.25


@pytest.mark.slow
def test_for_learners_on_five_folds_the_corrected_t_test_is_on_the_safe_side():
    corrected, plain = rejection_rates(learned_differences(10_000, five_folds, seed=23), 80, 20)
    assert corrected <= 0.055
    assert corrected < plain


# --------------------------------------------------------------------------------------------- label distributions


def test_jensen_shannon_divergence_is_the_square_of_scipys_distance():
    rng = np.random.default_rng(0)
    truth, prediction = soft_labels(rng, 200), predicted_probs(rng, 200)
    expected = (jensenshannon(truth, prediction, base=2, axis=1) ** 2).mean()
    result = statistics.jensen_shannon_divergence(truth=truth, prediction=prediction)
    assert result == pytest.approx(expected, abs=1e-9)


def test_jensen_shannon_divergence_is_entropy_of_the_mixture_less_mean_entropy():
    rng = np.random.default_rng(1)
    truth, prediction = soft_labels(rng, 50), predicted_probs(rng, 50)

    def entropy(p):
        return stats.entropy(p, base=2, axis=1)

    expected = (entropy((truth + prediction) / 2) - (entropy(truth) + entropy(prediction)) / 2).mean()
    result = statistics.jensen_shannon_divergence(truth=truth, prediction=prediction)
    assert result == pytest.approx(expected, abs=1e-9)


def test_jensen_shannon_divergence_of_scipys_documented_example():
    # scipy.spatial.distance.jensenshannon([1, 0], [.5, .5]) = 0.46450140402245893, a distance in root nats
    result = statistics.jensen_shannon_divergence(truth=[[1.0, 0.0]], prediction=[[0.5, 0.5]])
    assert result == pytest.approx(0.46450140402245893**2 / math.log(2), abs=1e-9)


def test_jensen_shannon_divergence_is_zero_for_equal_and_one_for_disjoint_distributions():
    one_hot = np.eye(N_EMOTIONS)
    assert statistics.jensen_shannon_divergence(truth=one_hot, prediction=one_hot) == 0
    assert statistics.jensen_shannon_divergence(truth=one_hot, prediction=np.roll(one_hot, 1, axis=1)) == 1


distributions = hnp.arrays(np.float64, (3, N_EMOTIONS), elements=st.floats(0, 1)).filter(
    lambda p: (p.sum(axis=1) > 0.01).all()
).map(lambda p: p / p.sum(axis=1, keepdims=True))  # fmt: skip


@given(truth=distributions, prediction=distributions)
def test_jensen_shannon_divergence_is_symmetric_and_within_zero_and_one(truth, prediction):
    there = statistics.jensen_shannon_divergence(truth=truth, prediction=prediction)
    assert 0 <= there <= 1
    assert there == pytest.approx(statistics.jensen_shannon_divergence(truth=prediction, prediction=truth), abs=1e-12)


def test_cross_entropy_is_the_textbook_double_loop():
    rng = np.random.default_rng(2)
    truth, prediction = soft_labels(rng, 60), predicted_probs(rng, 60)
    expected = -sum(
        math.fsum(p * math.log(max(q, 1e-12)) for p, q in zip(*rows, strict=True))
        for rows in zip(truth, prediction, strict=True)
    )
    result = statistics.cross_entropy(truth=truth, prediction=prediction)
    assert result == pytest.approx(expected / 60, abs=1e-9)


def test_cross_entropy_of_hard_labels_is_scikit_learns_log_loss():
    rng = np.random.default_rng(3)
    hard, prediction = rng.integers(N_EMOTIONS, size=80), predicted_probs(rng, 80)
    result = statistics.cross_entropy(truth=np.eye(N_EMOTIONS)[hard], prediction=prediction)
    assert result == pytest.approx(log_loss(hard, prediction, labels=range(N_EMOTIONS)), abs=1e-9)


@given(truth=distributions, prediction=distributions)
def test_cross_entropy_is_least_at_the_truth_and_there_the_entropy(truth, prediction):
    entropy = stats.entropy(truth, axis=1).mean()
    at_truth = statistics.cross_entropy(truth=truth, prediction=truth)
    assert at_truth == pytest.approx(entropy, abs=1e-9)
    assert statistics.cross_entropy(truth=truth, prediction=prediction) >= at_truth - 1e-9


def test_a_certain_and_wrong_prediction_costs_no_more_than_the_clip():
    result = statistics.cross_entropy(truth=[[1.0, 0.0]], prediction=[[0.0, 1.0]])
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
    hard, probs = rng.integers(N_EMOTIONS, size=300), predicted_probs(rng, 300)
    result = statistics.expected_calibration_error(hard_label=hard, probs=probs, n_bins=n_bins)
    assert result == pytest.approx(textbook_ece(hard, probs, n_bins), abs=1e-9)


def test_calibration_error_of_a_case_done_by_hand():
    # confidences .8 .8 .6 .6 in bins (.6, .8] and (.4, .6] of five: right 2 of 2 and 0 of 2: (.2 + .6) / 2 = .4
    probs = [[0.8, 0.2], [0.2, 0.8], [0.6, 0.4], [0.6, 0.4]]
    result = statistics.expected_calibration_error(hard_label=[0, 1, 1, 1], probs=probs, n_bins=5)
    assert result == pytest.approx(0.4, abs=1e-9)


def test_a_confidence_on_an_edge_falls_into_the_bin_below():
    # two bins: .5 belongs to (0, .5], .75 to (.5, 1]; one right, one wrong: (|1 - .5| + |0 - .75|) / 2. In one bin
    # together the gaps would partly cancel, |1 - 1.25| / 2.
    probs = [[0.5, 0.5], [0.75, 0.25]]
    result = statistics.expected_calibration_error(hard_label=[0, 1], probs=probs, n_bins=2)
    assert result == pytest.approx(0.625, abs=1e-9)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not_at_all():
    probs = np.eye(N_EMOTIONS)
    hard = np.arange(N_EMOTIONS)
    assert statistics.expected_calibration_error(hard_label=hard, probs=probs) == 0
    assert statistics.expected_calibration_error(hard_label=np.roll(hard, 1), probs=probs) == 1


def test_a_model_that_means_its_probabilities_is_calibrated():
    rng = np.random.default_rng(4)
    probs = predicted_probs(rng, 50_000)
    hard = (rng.random((50_000, 1)) > probs.cumsum(axis=1)[:, :-1]).sum(axis=1)
    assert statistics.expected_calibration_error(hard_label=hard, probs=probs) < 0.01


@given(probs=distributions, hard=hnp.arrays(np.int64, 3, elements=st.integers(0, 6)), n_bins=st.integers(1, 30))
def test_calibration_error_lies_between_the_one_bin_gap_and_one(probs, hard, n_bins):
    error = statistics.expected_calibration_error(hard_label=hard, probs=probs, n_bins=n_bins)
    overall = statistics.expected_calibration_error(hard_label=hard, probs=probs, n_bins=1)
    assert overall - 1e-12 <= error <= 1 + 1e-12


def test_no_segment_has_no_distribution_score():
    empty = np.zeros((0, N_EMOTIONS))
    assert math.isnan(statistics.jensen_shannon_divergence(truth=empty, prediction=empty))
    assert math.isnan(statistics.cross_entropy(truth=empty, prediction=empty))
    assert math.isnan(statistics.expected_calibration_error(hard_label=np.zeros(0, int), probs=empty))


def test_single_precision_probabilities_are_welcome():
    rng = np.random.default_rng(5)
    truth, prediction = soft_labels(rng, 100), predicted_probs(rng, 100)
    for metric in (statistics.jensen_shannon_divergence, statistics.cross_entropy):
        single = metric(truth=truth, prediction=prediction.astype(np.float32))
        assert single == pytest.approx(metric(truth=truth, prediction=prediction), abs=1e-5)


def test_rows_that_sum_to_one_but_for_half_precision_are_rescaled():
    truth = soft_labels(np.random.default_rng(6), 20)
    assert statistics.jensen_shannon_divergence(truth=truth, prediction=1.0005 * truth) == pytest.approx(0, abs=1e-12)


def test_disjoint_distributions_never_diverge_by_more_than_one_bit():
    rng = np.random.default_rng(7)
    for left, right in zip(rng.dirichlet(np.ones(3), 300), rng.dirichlet(np.ones(4), 300), strict=True):
        truth, prediction = [[*left, 0, 0, 0, 0]], [[0, 0, 0, *right]]
        divergence = statistics.jensen_shannon_divergence(truth=truth, prediction=prediction)
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
    for metric in (statistics.jensen_shannon_divergence, statistics.cross_entropy):
        with pytest.raises(ValueError, match=message):
            metric(truth=truth, prediction=prediction)


def test_calibration_refuses_labels_that_do_not_fit():
    probs = np.array([[0.5, 0.5], [1.0, 0.0]])
    with pytest.raises(ValueError, match="hard_label must hold class indices: expected integers 0 to 1"):
        statistics.expected_calibration_error(hard_label=[0, 2], probs=probs)
    with pytest.raises(ValueError, match="One label per row of probs"):
        statistics.expected_calibration_error(hard_label=[0], probs=probs)
    with pytest.raises(ValueError, match="Calibration needs bins"):
        statistics.expected_calibration_error(hard_label=[0, 1], probs=probs, n_bins=0)


def all_votes():
    """All 8,008 ways ten raters vote on seven emotions, by stars and bars."""
    bars = np.array(list(itertools.combinations(range(16), 6)))
    edges = np.concatenate([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), 16)], axis=1)
    return np.diff(edges, axis=1) - 1


def test_every_way_to_vote_falls_into_the_stratum_of_its_largest_count():
    votes = all_votes()
    assert len(votes) == 8008
    names = {10: "10/10", 9: "8-9", 8: "8-9", 7: "6-7", 6: "6-7", 5: "<=5", 4: "<=5", 3: "<=5", 2: "<=5"}
    assert statistics.agreement_stratum(votes).tolist() == [names[max(row)] for row in votes.tolist()]
    assert set(statistics.AGREEMENT_STRATA) == set(names.values())


def test_no_segment_has_no_stratum():
    assert statistics.agreement_stratum(np.zeros((0, 7), int)).shape == (0,)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([[9, 0, 0, 0, 0, 0, 0]], "Strata are defined for 10 raters"),
        ([[11, -1, 0, 0, 0, 0, 0]], "Strata are defined for 10 raters"),
        ([[10, 0, 0]], "Votes need one count per emotion"),
        ([10, 0, 0, 0, 0, 0, 0], "Votes need one count per emotion"),
    ],
)
def test_votes_of_other_than_ten_raters_have_no_stratum(votes, message):
    with pytest.raises(ValueError, match=message):
        statistics.agreement_stratum(votes)


# --------------------------------------------------------------------------------------------------- human ceiling


def ratings(rng, n=120, n_raters=10):
    """Raters who agree now and then: emotion, valence, arousal, each (n, raters)."""
    true_emotion = rng.integers(N_EMOTIONS, size=(n, 1))
    emotion = np.where(rng.random((n, n_raters)) < 0.4, true_emotion, rng.integers(N_EMOTIONS, size=(n, n_raters)))
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
            counts = sorted(((row.count(k), k) for k in range(N_EMOTIONS)), reverse=True)
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
    assert statistics.leave_one_rater_out(*given_ratings) == pytest.approx(expected, abs=1e-9)


def test_leave_one_rater_out_of_a_case_done_by_hand():
    # Ten raters, two segments. First: nine say 3 and the last says 4; second: all say 5. Against the others, the last
    # is right on one of two, the other nine on both: micro F1 = (9 * 1 + 0.5) / 10. No segment ties.
    emotion = np.array([[3] * 9 + [4], [5] * 10])
    va = np.array([[2] * 10, [4] * 10])
    result = statistics.leave_one_rater_out(emotion, va, va)
    assert result["micro_f1"] == pytest.approx(0.95, abs=1e-9)
    assert result["weighted_f1"] == pytest.approx(0.95, abs=1e-9)  # the last: 3 -> 0, 5 -> 1, equal weights
    assert result["macro_f1"] == pytest.approx((9 + 1 / 3) / 10, abs=1e-9)  # the last: classes 3, 4, 5 -> 0, 0, 1
    assert result["ccc_valence"] == pytest.approx(1, abs=1e-9)


def test_segments_on_which_the_other_nine_tie_are_left_out_for_that_rater_only():
    # Votes 5 : 5. Without one rater the others vote 4 : 5, a clear plurality of the other side: everyone is wrong.
    # Votes 5 : 4 : 1. Without the single voter the others stand 5 : 4; without one of the five they tie at 4 : 4.
    va = np.tile([[1], [5]], (1, 10))
    split = np.array([[0] * 5 + [1] * 5] * 2)
    assert statistics.leave_one_rater_out(split, va, va)["micro_f1"] == 0
    mixed = np.array([[0] * 5 + [1] * 4 + [2], [6] * 10])
    # the five: first segment tied, left out, second right: 1. The four: 5 : 3, wrong, then right: 1/2. The one: 1/2.
    assert statistics.leave_one_rater_out(mixed, va, va)["micro_f1"] == pytest.approx((5 + 4 / 2 + 1 / 2) / 10)


def test_raters_of_one_mind_agree_perfectly():
    emotion, valence, _ = ratings(np.random.default_rng(0), n_raters=1)
    same = [np.repeat(values, 10, axis=1) for values in (emotion, valence, 6 - valence)]
    assert statistics.leave_one_rater_out(*same) == pytest.approx(dict.fromkeys(
        ("weighted_f1", "micro_f1", "macro_f1", "ccc_valence", "ccc_arousal"), 1.0
    ))  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_neither_the_order_of_raters_nor_of_segments_matters(seed):
    rng = np.random.default_rng(seed)
    given_ratings = ratings(rng, n=30)
    rows, columns = rng.permutation(30)[:, None], rng.permutation(10)
    shuffled = [values[rows, columns] for values in given_ratings]
    expected = statistics.leave_one_rater_out(*given_ratings)
    assert statistics.leave_one_rater_out(*shuffled) == pytest.approx(expected, abs=1e-9)


def test_the_human_yardstick_is_undefined_without_clear_segments_or_spread():
    tied = np.array([[0, 1, 2]] * 3)  # any two of the three raters tie
    flat = np.full((3, 3), 3)
    assert np.isnan(list(statistics.leave_one_rater_out(tied, flat, flat).values())).all()
    none = np.zeros((0, 10), int)
    assert np.isnan(list(statistics.leave_one_rater_out(none, none, none).values())).all()


def test_ratings_off_the_scale_or_out_of_shape_are_refused():
    emotion, valence, arousal = ratings(np.random.default_rng(0))
    with pytest.raises(ValueError, match="emotion_ratings must hold class indices"):
        statistics.leave_one_rater_out(emotion - 1, valence, arousal)
    with pytest.raises(ValueError, match="valence_ratings must be on the scale: expected 1 to 5"):
        statistics.leave_one_rater_out(emotion, valence - 1, arousal)
    with pytest.raises(ValueError, match="arousal_ratings must be on the scale"):
        statistics.leave_one_rater_out(emotion, valence, np.where(arousal == 3, np.nan, arousal))
    with pytest.raises(ValueError, match="Ratings must align"):
        statistics.leave_one_rater_out(emotion, valence[:-1], arousal)
    with pytest.raises(ValueError, match="Ratings must align"):
        statistics.leave_one_rater_out(emotion[:, :1], valence[:, :1], arousal[:, :1])
