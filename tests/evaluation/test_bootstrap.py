"""Intervals and paired differences against a second way to their numbers."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time

import numpy as np
import pytest
from by_hand import make_world, sklearn_scores, textbook_ccc
from scipy import stats
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from erc.data import KEMD
from erc.evaluation import bootstrap, cluster_sums, resampling
from erc.evaluation.resampling import OverSeeds

pytestmark = pytest.mark.filterwarnings("error")  # undefined results are decided, not warned about

EXACT = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Thousands of small matrix products: on a shared machine, threads would mostly wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def world():
    return make_world()


def record_draws(world, n_resamples, seed=42):
    """Index arrays the statistic was shown: (folds, 1 + n_resamples) lists."""
    draws = []

    def spy(indices):
        draws.append(indices.copy())
        return 0.0

    resampling.mean_over_folds(spy, resampling.resample(world["folds"], world["clusters"], n_resamples, seed))
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
    bias = np.mean(resampled[1:]) - resampled[0]
    variances, sizes = [], []
    for fold in range(5):  # Efron and Tibshirani (1993), equation 11.5, with dialogues in the place of observations
        segments = np.flatnonzero(world["folds"] == fold)
        without = [
            f1_score(world["truth"][kept], world["a"][kept], average="weighted")
            for kept in (segments[world["clusters"][segments] != name] for name in set(world["clusters"][segments]))
        ]
        sizes.append(len(without))
        variances.append((len(without) - 1) / len(without) * sum((x - np.mean(without)) ** 2 for x in without))
    df = sum(variances) ** 2 / sum(v**2 / (size - 1) for v, size in zip(variances, sizes, strict=True))  # Welch (1947)
    half = stats.t.ppf(0.95, df) * math.sqrt(sum(variances)) / 5
    assert abs(bias) > 0.05 * half  # the correction does something here
    expected = [resampled[0], resampled[0] - bias - half, resampled[0] - bias + half]
    result = bootstrap.cluster_bootstrap(
        lambda i: f1_score(world["truth"][i], world["a"][i], average="weighted"),
        world["folds"], world["clusters"], n, level=0.9,
    )  # fmt: skip
    np.testing.assert_allclose(result, expected, **EXACT)


def test_fast_and_generic_bootstrap_of_f1_and_recall_are_equal(world):
    truth, prediction, folds, clusters = (world[key] for key in ("truth", "a", "folds", "clusters"))
    fast = bootstrap.cluster_bootstrap(
        cluster_sums.confusion_sums(truth=truth, prediction=prediction, clusters=clusters, n_classes=7),
        folds,
        clusters,
        30,
    )
    slow = bootstrap.cluster_bootstrap(lambda i: sklearn_scores(truth[i], prediction[i]), folds, clusters, 30)
    np.testing.assert_allclose(fast, slow, **EXACT)
    assert fast.estimate.shape == fast.low.shape == fast.high.shape == (4,)


def test_fast_and_generic_bootstrap_of_concordance_are_equal(world):
    truth, prediction, folds, clusters = (world[key] for key in ("valence", "predicted_valence", "folds", "clusters"))
    fast = bootstrap.cluster_bootstrap(
        cluster_sums.moment_sums(truth=truth, prediction=prediction, clusters=clusters), folds, clusters, 100
    )
    slow = bootstrap.cluster_bootstrap(lambda i: textbook_ccc(truth[i], prediction[i]), folds, clusters, 100)
    np.testing.assert_allclose(fast, slow, **EXACT)
    assert all(isinstance(value, float) for value in fast)


def test_fast_and_generic_paired_bootstrap_are_equal(world):
    truth, a, b, folds, clusters = (world[key] for key in ("truth", "a", "b", "folds", "clusters"))
    fast = bootstrap.paired_bootstrap(
        cluster_sums.confusion_sums(truth=truth, prediction=a, clusters=clusters, n_classes=7),
        cluster_sums.confusion_sums(truth=truth, prediction=b, clusters=clusters, n_classes=7),
        folds, clusters, 30,
    )  # fmt: skip
    slow = bootstrap.paired_bootstrap(
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
    result = bootstrap.paired_bootstrap(
        lambda i: values[i].mean(), lambda i: 0.0, np.zeros(10), clusters, 20_000, level=level
    )
    expected = np.quantile(exact, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    np.testing.assert_allclose(result[1:3], expected, **EXACT)
    # and the bias is the mean of all 256; four standard errors of 20,000 draws
    centre = np.mean(bootstrap.cluster_bootstrap(lambda i: values[i].mean(), np.zeros(10), clusters, 20_000)[1:])
    assert centre == pytest.approx(2 * values.mean() - np.mean(exact), abs=4 * np.std(exact) / math.sqrt(20_000))


def test_equal_dialogues_in_one_fold_give_scipys_bootstrap_of_dialogue_means():
    rng = np.random.default_rng(9)
    means = rng.normal(size=30)
    values = (means[:, None] + stats.zscore(rng.normal(size=(30, 6)), axis=1)).ravel()
    clusters = np.repeat(np.arange(30), 6)
    ours = bootstrap.paired_bootstrap(lambda i: values[i].mean(), lambda i: 0.0, np.zeros(180), clusters, 10_000)
    theirs = stats.bootstrap((means,), np.mean, n_resamples=10_000, method="percentile", rng=rng).confidence_interval
    # Monte Carlo error of a 2.5 % quantile of 10,000: 2.7 % of a standard error; 0.1 is above three of the difference
    np.testing.assert_allclose(ours[1:3], theirs, atol=0.1 * means.std() / math.sqrt(30))
    # the jackknife of a mean is its standard error s / sqrt(n): the t interval of the 30 dialogue means
    interval = bootstrap.cluster_bootstrap(lambda i: values[i].mean(), np.zeros(180), clusters, 100)
    exact = stats.ttest_1samp(means, 0).confidence_interval()
    assert interval.high - interval.low == pytest.approx(exact.high - exact.low, rel=1e-9)


def over_folds_by_hand(scores, half_of_first):
    """Half of the t interval of a mean over folds, or of the first interval where that is wider."""
    half = stats.t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1) / math.sqrt(len(scores))
    return max(half, half_of_first)


@pytest.mark.parametrize(("spread", "is_t"), [(0.2, True), (0.0001, False)])
def test_the_interval_over_folds_is_the_t_interval_and_never_narrower_than_that_over_dialogues(spread, is_t):
    rng = np.random.default_rng(1)
    folds, clusters = np.repeat(np.arange(4), 10), np.arange(40)
    values = rng.normal(size=(4, 10))
    values = (values - values.mean(axis=1, keepdims=True) + spread * np.arange(4)[:, None]).ravel()
    one, two = bootstrap.cluster_intervals(lambda i: values[i].mean(), folds, clusters, 200)
    of_folds = [values[folds == fold].mean() for fold in range(4)]
    first = (one.high - one.low) / 2
    expected = over_folds_by_hand(of_folds, first)
    assert (two.high - two.low) / 2 == pytest.approx(expected, rel=1e-9)
    assert (expected > first) == is_t
    assert two.low + two.high == pytest.approx(one.low + one.high) and two.estimate == one.estimate


def test_one_fold_has_no_interval_over_folds(world):
    sums = cluster_sums.confusion_sums(
        truth=world["truth"], prediction=world["a"], clusters=world["clusters"], n_classes=7
    )
    one, two = bootstrap.cluster_intervals(sums, np.zeros(300), world["clusters"], 20)
    assert np.isnan(two.low).all() and np.isnan(two.high).all() and np.isfinite(one.low).all()


def test_paired_p_value_is_counted_from_the_resampled_differences(world):
    n = 99
    a, b = (world["truth"] == world["a"]), (world["truth"] == world["b"])
    differences = [np.mean([a[d[r]].mean() - b[d[r]].mean() for d in record_draws(world, n)]) for r in range(n + 1)]
    below, above = sum(d <= 0 for d in differences[1:]), sum(d >= 0 for d in differences[1:])
    expected = [differences[0], *np.percentile(differences[1:], [2.5, 97.5]), min(1, 2 * (min(below, above) + 1) / 100)]
    result = bootstrap.paired_bootstrap(
        lambda i: a[i].mean(), lambda i: b[i].mean(), world["folds"], world["clusters"], n
    )
    np.testing.assert_allclose(result, [*expected, 2 / 100], **EXACT)


def test_swapping_the_models_flips_the_difference_and_keeps_p(world):
    a, b = (
        cluster_sums.confusion_sums(
            truth=world["truth"], prediction=world[model], clusters=world["clusters"], n_classes=7
        )
        for model in "ab"
    )
    there = bootstrap.paired_bootstrap(a, b, world["folds"], world["clusters"])
    back = bootstrap.paired_bootstrap(b, a, world["folds"], world["clusters"])
    np.testing.assert_allclose(
        back, [-there.difference, -there.high, -there.low, there.p_value, there.p_floor], **EXACT
    )


def test_a_model_does_not_differ_from_itself(world):
    sums = cluster_sums.moment_sums(
        truth=world["valence"], prediction=world["predicted_valence"], clusters=world["clusters"]
    )
    found = bootstrap.paired_bootstrap(sums, sums, world["folds"], world["clusters"])
    # to 1e-12: BLAS may add in another order the second time
    assert found == pytest.approx((0, 0, 0, 1, 2 / 2001), abs=1e-12) and found.p_value == 1


def test_the_smallest_p_is_two_over_one_more_than_the_resamples(world):
    result = bootstrap.paired_bootstrap(
        lambda i: 1.0 + len(i), lambda i: 0.0, world["folds"], world["clusters"], n_resamples=39
    )
    assert result.p_value == result.p_floor == pytest.approx(2 / 40)


def test_p_falls_below_five_percent_just_where_the_interval_leaves_zero(world):
    # The p value inverts the interval: they may disagree only by the +1 and the interpolation of a quantile.
    rng = np.random.default_rng(2)
    for shift in rng.normal(scale=0.1, size=30):
        values = rng.normal(size=300) * 0.5 + shift
        result = bootstrap.paired_bootstrap(
            lambda i, v=values: v[i].mean(), lambda i: 0.0, world["folds"], world["clusters"], 199
        )
        if abs(result.p_value - 0.05) > 0.02:
            assert (result.p_value < 0.05) == (result.low > 0 or result.high < 0)


def test_same_seed_same_interval_and_another_seed_another(world):
    sums = cluster_sums.confusion_sums(
        truth=world["truth"], prediction=world["a"], clusters=world["clusters"], n_classes=7
    )
    one, same, other = (
        bootstrap.cluster_bootstrap(sums, world["folds"], world["clusters"], 200, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)  # sums of counts are whole numbers, exact in any order
    assert (one.low != other.low).all() and (one.estimate == other.estimate).all()


def test_shuffling_the_segments_changes_nothing(world):
    order = np.random.default_rng(0).permutation(300)
    shuffled = {key: value[order] for key, value in world.items()}
    intervals = [
        bootstrap.cluster_bootstrap(
            cluster_sums.moment_sums(truth=w["valence"], prediction=w["predicted_valence"], clusters=w["clusters"]),
            w["folds"], w["clusters"], 200,
        )
        for w in (world, shuffled)
    ]  # fmt: skip
    np.testing.assert_allclose(*intervals, **EXACT)


def test_a_wider_level_contains_a_narrower(world):
    sums = cluster_sums.confusion_sums(
        truth=world["truth"], prediction=world["a"], clusters=world["clusters"], n_classes=7
    )
    wide, narrow = (
        bootstrap.cluster_bootstrap(sums, world["folds"], world["clusters"], 500, level=level) for level in (0.99, 0.8)
    )
    assert (wide.low < narrow.low).all() and (narrow.high < wide.high).all()


def test_the_estimate_is_the_mean_over_folds_and_not_the_pooled_metric(world):
    truth, prediction, folds, clusters = (world[key] for key in ("truth", "a", "folds", "clusters"))
    sums = cluster_sums.confusion_sums(truth=truth, prediction=prediction, clusters=clusters, n_classes=7)
    per_fold = [sklearn_scores(truth[folds == fold], prediction[folds == fold]) for fold in range(5)]
    estimate = bootstrap.cluster_bootstrap(sums, folds, clusters, 1).estimate
    np.testing.assert_allclose(estimate, np.mean(per_fold, axis=0), **EXACT)
    assert abs(estimate[2] - sklearn_scores(truth, prediction)[2]) > 1e-3


def test_a_fold_with_one_dialogue_has_an_estimate_and_no_interval():
    result = bootstrap.cluster_bootstrap(lambda i: float(i.mean()), [0, 0, 0, 1, 1], ["a", "b", "b", "c", "c"], 20)
    assert result.estimate == pytest.approx((1 + 3.5) / 2)
    assert math.isnan(result.low) and math.isnan(result.high)
    paired = bootstrap.paired_bootstrap(lambda i: 1.0, lambda i: 0.0, [0, 0], ["a", "a"], 20)
    assert paired.difference == 1 and math.isnan(paired.p_value)


def test_a_metric_undefined_in_a_resample_has_no_interval():
    # Four dialogues of one segment: some resample draws one of them four times, and its CCC is undefined.
    truth, clusters = np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4)
    sums = cluster_sums.moment_sums(truth=truth, prediction=truth, clusters=clusters)
    result = bootstrap.cluster_bootstrap(sums, np.zeros(4), clusters, 2000)
    assert result.estimate == pytest.approx(1) and math.isnan(result.low) and math.isnan(result.high)


def test_a_dialogue_in_two_folds_is_refused():
    with pytest.raises(ValueError, match="A cluster must lie in one fold: expected unique names, got x in two"):
        bootstrap.cluster_bootstrap(lambda i: 0.0, [0, 1, 1], ["x", "x", "y"])


def test_sums_of_other_segments_are_refused(world):
    clear = world["truth"] != 3  # say, ties left out of the sums and not of the folds
    sums = cluster_sums.confusion_sums(
        truth=world["truth"][clear], prediction=world["a"][clear], clusters=world["clusters"][clear], n_classes=7
    )
    with pytest.raises(ValueError, match="ClusterSums must come from the bootstrapped segments: expected 300"):
        bootstrap.cluster_bootstrap(sums, world["folds"], world["clusters"])


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
        bootstrap.cluster_bootstrap(lambda i: 0.0, **arguments)


def test_models_with_different_metrics_are_not_compared():
    with pytest.raises(ValueError, match="A and B must give the same metrics"):
        bootstrap.paired_bootstrap(lambda i: 0.0, lambda i: np.zeros(2), [0, 0], [0, 1], 9)


def test_the_fast_bootstrap_of_the_whole_corpus_takes_seconds():
    rng = np.random.default_rng(0)
    clusters = rng.integers(1000, size=23_000)
    truth, prediction = rng.integers(KEMD.n_emotions, size=(2, 23_000))
    start = time.perf_counter()
    sums = cluster_sums.confusion_sums(truth=truth, prediction=prediction, clusters=clusters, n_classes=7)
    bootstrap.cluster_bootstrap(sums, clusters % 5, clusters, n_resamples=2000)
    assert time.perf_counter() - start < 5  # 0.1 s measured on two shared cores


# ---------------------------------------------------------------------------------------------- F1 of each emotion


def by_emotion(truth, prediction, clusters):
    """F1 of each emotion as ``ClusterSums``, so that ``cluster_bootstrap`` can resample it."""
    sums = cluster_sums.confusion_sums(truth=truth, prediction=prediction, clusters=clusters, n_classes=7)
    return dataclasses.replace(sums, score=cluster_sums.f1_by_emotion)


def bias_corrected(sums, folds, clusters, n):
    """Efron and Tibshirani (1993), equations 14.10 and 14.14 with acceleration 0, metric by metric: (3, M)."""
    scores = resampling.mean_over_folds(sums, resampling.resample(folds, clusters, n, 42))
    found = []
    for estimate, resampled in zip(scores[0], scores[1:].T, strict=True):
        z0 = stats.norm.ppf((np.mean(resampled < estimate - 1e-12) + np.mean(resampled <= estimate + 1e-12)) / 2)
        ends = stats.norm.cdf([2 * z0 - stats.norm.ppf(0.975), 2 * z0 + stats.norm.ppf(0.975)])
        found.append([estimate, *np.quantile(resampled, ends)])
    return bootstrap.Interval(*np.array(found).T)


def test_f1_by_emotion_is_the_textbook_interval_where_all_is_one_fold_and_every_emotion_is_there(world):
    truth, prediction, clusters = (world[key] for key in ("truth", "a", "clusters"))
    folds = np.zeros(300)
    found = bootstrap.f1_by_emotion_interval(truth, prediction, folds, clusters, 7, 400)
    expected = bias_corrected(by_emotion(truth, prediction, clusters), folds, clusters, 400)
    assert not np.isnan(expected).any()
    np.testing.assert_allclose(found, expected, **EXACT)
    assert found.estimate.shape == found.low.shape == found.high.shape == (KEMD.n_emotions,)


def test_f1_by_emotion_pools_the_folds_and_draws_within_them(world):
    n = 40
    truth, prediction, folds, clusters = (world[key] for key in ("truth", "a", "folds", "clusters"))
    per_fold = record_draws(world, n)
    resampled = []
    for r in range(n + 1):
        drawn = np.concatenate([draws[r] for draws in per_fold])
        resampled.append(f1_score(truth[drawn], prediction[drawn], average=None, labels=range(KEMD.n_emotions)))
    estimate, resampled = resampled[0], np.array(resampled[1:])
    found = bootstrap.f1_by_emotion_interval(truth, prediction, folds, clusters, 7, n)
    np.testing.assert_allclose(found.estimate, estimate, **EXACT)
    for k in range(KEMD.n_emotions):
        share = (np.mean(resampled[:, k] < estimate[k] - 1e-12) + np.mean(resampled[:, k] <= estimate[k] + 1e-12)) / 2
        z0 = stats.norm.ppf(share)
        ends = stats.norm.cdf([2 * z0 + stats.norm.ppf(0.025), 2 * z0 + stats.norm.ppf(0.975)])
        expected = np.quantile(resampled[:, k], ends)
        np.testing.assert_allclose([found.low[k], found.high[k]], expected, **EXACT)


def test_an_emotion_that_a_resample_lacks_has_the_interval_of_the_others():
    # emotion 6 is in one of 20 dialogues only: a resample lacks it with a chance of (19/20)^20 = 36 %
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(20), 10)
    truth, prediction = rng.integers(4, size=(2, 200))
    truth[:3], prediction[:2] = 6, 6
    folds = np.zeros(200)
    found = bootstrap.f1_by_emotion_interval(truth, prediction, folds, clusters, 7, 500)
    plain = bias_corrected(by_emotion(truth, prediction, clusters), folds, clusters, 500)
    assert math.isnan(plain.low[6]) and found.estimate[6] == pytest.approx(2 * 2 / (3 + 2))
    # the emotion is never seen beside others, so that every resample that holds it has the same F1
    assert (found.low[6], found.high[6]) == pytest.approx((0.8, 0.8))
    assert np.isnan([part[4:6] for part in found]).all()  # in neither truth nor prediction
    np.testing.assert_allclose([part[:4] for part in found], [part[:4] for part in plain], **EXACT)


def test_f1_by_emotion_without_anything_to_resample_has_no_interval(world):
    one_each = np.array([f"{fold}" for fold in world["folds"]])
    found = bootstrap.f1_by_emotion_interval(world["truth"], world["a"], world["folds"], one_each, 7, 20)
    assert not np.isnan(found.estimate).any() and np.isnan(found.low).all() and np.isnan(found.high).all()


# --- seeds ------------------------------------------------------------------------------------------------------------
def seeds_world(seed, n_folds=3, n_seeds=2, n_dialogues=60, spread=0.1):
    """Scores of segments under models whose skill differs by fold and seed: (metrics, folds, clusters, true mean)."""
    rng = np.random.default_rng(seed)
    folds = np.repeat(np.arange(n_folds), n_dialogues)
    clusters = np.arange(folds.size)
    skill = rng.normal(0.5, spread, size=(n_seeds, n_folds))
    values = [skill[k][folds] + rng.normal(0, 0.05, folds.size) for k in range(n_seeds)]
    return tuple(lambda i, v=v: v[i].mean() for v in values), folds, clusters, values


def test_one_seed_a_fold_draws_nothing_and_gives_the_same_numbers(world):
    sums = cluster_sums.confusion_sums(
        truth=world["truth"], prediction=world["a"], clusters=world["clusters"], n_classes=7
    )
    n = len(np.unique(world["folds"]))
    plain = bootstrap.cluster_bootstrap(sums, world["folds"], world["clusters"], 50)
    other = cluster_sums.confusion_sums(
        truth=world["truth"], prediction=world["b"], clusters=world["clusters"], n_classes=7
    )
    wrapped = bootstrap.cluster_bootstrap(OverSeeds((sums, other), (1,) * n), world["folds"], world["clusters"], 50)
    for one, two in zip(plain, wrapped, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_the_variation_between_seeds_is_in_the_interval_without_bias(n_seeds):
    # the variance of a mean of n is s^2 / n; the resamples, with n - 1 draws, have that variance on average
    ratios, hits = [], 0
    for seed in range(80):
        metrics, folds, clusters, values = seeds_world(seed, n_seeds=n_seeds)
        over_seeds = OverSeeds(metrics, (n_seeds,) * 3)
        found = bootstrap.cluster_bootstrap(over_seeds, folds, clusters, 50, seed=seed)
        by_seed = np.array([[v[folds == fold].mean() for v in values] for fold in range(3)])
        assert found.estimate == pytest.approx(by_seed.mean())
        drawn = resampling.resample(folds, clusters, 50, seed)
        variances = [resampling.jackknife_variance(over_seeds, drawn)[0]]
        variances.append(resampling.mean_over_folds(over_seeds, drawn)[1:].var(ddof=1))
        ratios.append(np.array(variances) / (0.1**2 / n_seeds / 3))
        hits += found.low <= 0.5 <= found.high
    assert (np.mean(ratios, axis=0) > 0.75).all() and (np.mean(ratios, axis=0) < 1.3).all()
    assert hits >= 72  # of 80, where 76 are expected; t has few degrees of freedom here
    # control: with the trained models held fixed, the interval knows nothing of it
    fixed = bootstrap.cluster_bootstrap(lambda i: np.mean([m(i) for m in metrics]), folds, clusters, 200)
    assert fixed.high - fixed.low < 0.5 * (found.high - found.low)


def test_folds_may_have_different_numbers_of_seeds():
    metrics, folds, clusters, values = seeds_world(3, n_seeds=2)
    found = bootstrap.cluster_bootstrap(OverSeeds(metrics, (1, 2, 1)), folds, clusters, 100)
    means = [[v[folds == fold].mean() for v in values] for fold in range(3)]
    assert found.estimate == pytest.approx(np.mean([means[0][0], np.mean(means[1]), means[2][0]]))
    with pytest.raises(ValueError, match=r"expected 3 numbers from 1 to 2, got \[1, 3, 1\]"):
        bootstrap.cluster_bootstrap(OverSeeds(metrics, (1, 3, 1)), folds, clusters, 10)


def test_two_rows_with_the_same_seeds_are_paired_seed_by_seed():
    # B is A plus a constant, seed by seed: whatever seeds are drawn, the difference is that constant
    metrics, folds, clusters, _ = seeds_world(4)
    shifted = tuple(lambda i, m=m: m(i) + 0.25 for m in metrics)
    found = bootstrap.paired_bootstrap(OverSeeds(shifted, (2,) * 3), OverSeeds(metrics, (2,) * 3), folds, clusters, 99)
    assert (found.difference, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_further_resamples_lower_a_p_at_its_floor_and_no_other():
    rng = np.random.default_rng(5)
    folds, clusters = np.repeat([0, 1], 60), np.arange(120)
    values = np.stack([rng.normal(0.2, 0.3, 120), rng.normal(0, 0.3, 120)], axis=1)  # sure and unsure
    call = (lambda i: values[i].mean(axis=0), lambda i: np.zeros(2), folds, clusters, 99)
    plain, more = bootstrap.paired_bootstrap(*call), bootstrap.paired_bootstrap(*call, n_more=901)
    assert plain.p_value[0] == plain.p_floor[0] == 2 / 100 and plain.p_value[1] > plain.p_floor[1]
    assert more.p_floor[0] == 2 / 1001 <= more.p_value[0] < plain.p_value[0]
    assert more.p_value[1] == plain.p_value[1] and more.p_floor[1] == plain.p_floor[1]
    for name in ("difference", "low", "high"):  # the interval stays that of the first
        np.testing.assert_array_equal(getattr(more, name), getattr(plain, name))
