"""Mean, deviation, t test and Holm's correction against a second way to each number; the t test in simulated worlds.

The worlds have fixed seeds. The bands allow for the chance of so many worlds, and no more.
"""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special, stats
from statsmodels.stats.multitest import multipletests

from erc.evaluation import over_folds

pytestmark = pytest.mark.filterwarnings("error")  # undefined results are decided, not warned about

EXACT = {"rtol": 0, "atol": 1e-9}


def random_vectors(min_size=0, max_size=12, low=-1.0, high=1.0):
    return st.integers(min_size, max_size).flatmap(
        lambda n: hnp.arrays(np.float64, n, elements=st.floats(low, high, allow_nan=False))
    )


# ---------------------------------------------------------------------------------------------------- mean and std


def test_mean_and_std_agree_with_scipy():
    values = np.random.default_rng(0).normal(size=5)
    mean, std = over_folds.mean_and_std(values)
    np.testing.assert_allclose([mean, std], [stats.tmean(values), stats.tstd(values)], **EXACT)


def test_std_of_one_to_five_is_the_root_of_two_and_a_half():
    assert over_folds.mean_and_std([1, 2, 3, 4, 5]) == (3.0, pytest.approx(math.sqrt(2.5), abs=1e-12))


def test_one_fold_has_a_mean_and_no_std_and_no_fold_has_neither():
    mean, std = over_folds.mean_and_std([0.4])
    assert mean == 0.4 and math.isnan(std)
    assert np.isnan(over_folds.mean_and_std([])).all()


def test_a_nan_fold_makes_mean_and_std_nan():
    assert np.isnan(over_folds.mean_and_std([0.4, np.nan, 0.5])).all()


def test_a_table_of_folds_is_refused_by_mean_and_std():
    with pytest.raises(ValueError, match="values must be one-dimensional"):
        over_folds.mean_and_std([[0.1, 0.2]])


# ------------------------------------------------------------------------------------------------------- t test


@pytest.mark.parametrize(("k", "n_train", "n_test"), [(5, 80, 20), (10, 90, 10), (15, 200, 100), (2, 1, 1)])
def test_corrected_t_is_scipys_t_shrunk_by_the_overlap(k, n_train, n_test):
    differences = np.random.default_rng(k).normal(0.02, 0.03, size=k)
    plain = stats.ttest_1samp(differences, 0.0)
    shrunk = plain.statistic / math.sqrt(1 + k * n_test / n_train)
    p = special.betainc((k - 1) / 2, 0.5, (k - 1) / (k - 1 + shrunk**2))  # two-sided p as an incomplete beta
    result = over_folds.corrected_resampled_t_test(differences, n_train, n_test)
    assert result.df == plain.df == k - 1
    np.testing.assert_allclose([result.t, result.p_value], [shrunk, p], **EXACT)


def test_corrected_t_of_a_case_done_by_hand():
    # d = .01 .02 .03 .04 .05: mean .03, variance .00025, factor 1/5 + 1/4 = .45, t = .03 / sqrt(.0001125) = 2 sqrt 2.
    # With t^2 = 8 on 4 degrees of freedom, s = t / sqrt(t^2 + 4) = sqrt(2/3), and P(|T| > t) = 1 - (3 s - s^3) / 2.
    result = over_folds.corrected_resampled_t_test([0.01, 0.02, 0.03, 0.04, 0.05], n_train=80, n_test=20)
    s = math.sqrt(2 / 3)
    np.testing.assert_allclose(result, [2 * math.sqrt(2), 4, 1 - (3 * s - s**3) / 2], **EXACT)


def test_p_value_is_the_integral_of_students_density():
    result = over_folds.corrected_resampled_t_test([0.01, -0.02, 0.03, 0.05, 0.04], n_train=4, n_test=1)
    norm = math.gamma(2.5) / (math.sqrt(4 * math.pi) * math.gamma(2))
    tail, _ = integrate.quad(lambda t: norm * (1 + t * t / 4) ** -2.5, result.t, np.inf, epsabs=1e-12)
    assert result.p_value == pytest.approx(2 * tail, abs=1e-9)


@given(differences=random_vectors(min_size=2), scale=st.floats(0.1, 100))
def test_t_flips_with_the_models_and_ignores_the_unit(differences, scale):
    t, df, p = over_folds.corrected_resampled_t_test(differences, 4, 1)
    assert over_folds.corrected_resampled_t_test(-differences, 4, 1) == pytest.approx((-t, df, p), nan_ok=True)
    if np.ptp(differences) > 1e-6:
        assert 0 <= p <= 1
        scaled = over_folds.corrected_resampled_t_test(scale * differences, 4, 1)
        assert scaled == pytest.approx((t, df, p), rel=1e-6)


@pytest.mark.parametrize("differences", [[0.0] * 5, [0.1] * 5, [0.3 - 0.2, 0.2 - 0.1], [0.1], [], [0.1, np.nan, 0.2]])
def test_without_a_variance_there_is_no_test(differences):
    t, df, p = over_folds.corrected_resampled_t_test(differences, 4, 1)
    assert math.isnan(t) and math.isnan(p)
    assert df == max(len(differences) - 1, 0)


@pytest.mark.parametrize("sizes", [(0, 1), (4, 0), (-4, 1), (np.nan, 1)])
def test_set_sizes_must_be_positive(sizes):
    with pytest.raises(ValueError, match="Set sizes must be positive"):
        over_folds.corrected_resampled_t_test([0.1, 0.2], *sizes)


# ----------------------------------------------------------------------------------------------------------- Holm


@pytest.mark.parametrize("m", [0, 1, 2, 5, 40])
def test_holm_agrees_with_statsmodels(m):
    rng = np.random.default_rng(m)
    p_values = np.round(rng.uniform(size=m) ** 3, 2)  # rounded, so that ties occur
    expected = multipletests(p_values, method="holm")[1] if m else []
    np.testing.assert_allclose(over_folds.holm(p_values), expected, **EXACT)


def test_holm_of_a_case_done_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, of which the last may not fall below .06
    np.testing.assert_allclose(over_folds.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], **EXACT)


def test_a_test_that_could_not_be_done_stays_nan_and_does_not_count():
    p_values = np.array([0.01, np.nan, 0.04, 0.03, np.nan, 0.005])
    adjusted = over_folds.holm(p_values)
    is_done = ~np.isnan(p_values)
    assert np.isnan(adjusted[~is_done]).all()
    np.testing.assert_array_equal(adjusted[is_done], over_folds.holm(p_values[is_done]))
    assert np.isnan(over_folds.holm([np.nan, np.nan])).all()


@given(p_values=random_vectors(low=0.0), data=st.data())
def test_holm_keeps_the_order_never_lowers_and_follows_a_permutation(p_values, data):
    adjusted = over_folds.holm(p_values)
    assert ((adjusted >= p_values) & (adjusted <= 1)).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
    order = np.array(data.draw(st.permutations(range(len(p_values)))), dtype=int)
    np.testing.assert_array_equal(over_folds.holm(p_values[order]), adjusted[order])


def test_holm_rejects_what_the_closed_bonferroni_tests_reject():
    # Holm is the closure of Bonferroni: the adjusted p is the largest Bonferroni p over all sets that hold the test.
    p_values = np.random.default_rng(3).uniform(size=6) ** 2
    closed = np.zeros(6)
    for size in range(1, 7):
        for members in itertools.combinations(range(6), size):
            bonferroni = min(1.0, size * p_values[list(members)].min())
            closed[list(members)] = np.maximum(closed[list(members)], bonferroni)
    np.testing.assert_allclose(over_folds.holm(p_values), closed, **EXACT)


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match=r"p values must lie in \[0, 1\]"):
        over_folds.holm([0.5, 1.2])


# ------------------------------------------------------------------------------ the t test in worlds with known truth


def rejection_rates(differences, n_train, n_test):
    """Share of p < 0.05 over (worlds, k) differences: corrected test, plain paired t test. NaN does not reject."""
    corrected = [over_folds.corrected_resampled_t_test(row, n_train, n_test).p_value < 0.05 for row in differences]
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


def test_an_adjusted_p_is_a_bound_where_a_bound_decides_it():
    p = np.array([0.001, 0.004, 0.5, np.nan, 0.001])
    adjusted, is_bound = over_folds.holm_with_bounds(p, np.array([True, False, False, True, True]))
    # four tests: .001 * 4 twice (the second raised to the first), .004 * 2 = .008 of its own, .5
    np.testing.assert_allclose(adjusted, [0.004, 0.008, 0.5, np.nan, 0.004])
    assert is_bound.tolist() == [True, False, False, False, True]
    # a value behind a bound that it does not exceed is raised to it, and bounded as well
    adjusted, is_bound = over_folds.holm_with_bounds(np.array([0.01, 0.012]), np.array([True, False]))
    assert adjusted.tolist() == [0.02, 0.02] and is_bound.tolist() == [True, True]
    assert not over_folds.holm_with_bounds(p, np.zeros(5, dtype=bool))[1].any()
