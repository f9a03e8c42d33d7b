"""Mantel's test of the emotions' arrangement: against a loop over all relabellings, and on data without a relation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from invented_world import CENTROIDS, world
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from erc.data import KEMD
from erc.evaluation import alignment


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def loop_mantel(va, vectors, hard):
    """Spearman's rho and p by scipy and a loop over all relabellings; distances corrected one by one."""
    present = [k for k in range(KEMD.n_emotions) if (hard == k).sum() >= 3]

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
    found = alignment.mantel(va[keep], vectors[keep], hard[keep])
    assert (found.n_emotions, found.n_permutations) == (5, 120)
    assert found[:2] == pytest.approx(loop_mantel(va[keep], vectors[keep], hard[keep]), abs=1e-12)


def test_many_emotions_take_a_sample_of_relabellings_that_agrees_with_all_of_them(rng, monkeypatch):
    va, vectors, hard = world(rng, 400, noise=20.0)
    exact = alignment.mantel(va, vectors, hard)
    monkeypatch.setattr(alignment, "MAX_EXACT", 6)
    sampled = alignment.mantel(va, vectors, hard)
    assert (exact.n_permutations, sampled.n_permutations) == (5040, alignment.N_SAMPLED)
    assert sampled.rho == exact.rho
    # 40,000 draws: a standard error below .0025
    assert 0 < sampled.p_value < 1 and sampled.p_value == pytest.approx(exact.p_value, abs=0.01)


def test_twelve_emotions_need_no_hours(rng):
    """Twelve emotions have 479 million relabellings."""
    hard = np.repeat(np.arange(12), 5)
    centres = rng.normal(size=(12, 2)) * 5
    va = centres[hard] + rng.normal(size=(60, 2))
    found = alignment.mantel(va, va @ rng.normal(size=(2, 9)), hard)
    assert found.n_emotions == 12 and found.p_value < 0.01


def test_vectors_that_follow_the_raters_align_significantly(rng):
    found = alignment.mantel(*world(rng))
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
    found = [alignment.mantel(*one) for one in shuffled_worlds()]
    assert np.mean([one.p_value < 0.05 for one in found]) <= 0.11
    assert np.mean([one.p_value < 0.01 for one in found]) <= 0.04
    assert abs(np.mean([one.rho for one in found])) < 0.1


def test_uncorrected_distances_would_arrange_emotions_by_their_frequency():
    """Why distances are corrected: without it, the noise of rare emotions moves rho away from 0."""
    plain, corrected = [], []
    for va, vectors, hard in shuffled_worlds():
        centroids = [
            np.array([points[hard == k].mean(axis=0) for k in range(KEMD.n_emotions)]) for points in (va, vectors)
        ]
        plain.append(spearmanr(*(pdist(one) for one in centroids)).statistic)
        corrected.append(alignment.mantel(va, vectors, hard).rho)
    assert abs(np.mean(plain)) > 0.12 and abs(np.mean(corrected)) < 0.6 * abs(np.mean(plain))


def test_an_arrangement_of_its_own_does_not_align(rng):
    hard = np.arange(280) % KEMD.n_emotions
    va = CENTROIDS[hard] + rng.normal(0, 0.4, (280, 2))
    vectors = 10 * np.eye(KEMD.n_emotions)[hard] + rng.normal(
        0, 1, (280, KEMD.n_emotions)
    )  # well apart, all equally far
    assert alignment.mantel(va, vectors, hard).p_value > 0.05


def test_mantel_of_too_few_emotions_is_undefined(rng):
    va, vectors, hard = world(rng)
    keep = np.isin(hard, (3, 4))
    found = alignment.mantel(va[keep], vectors[keep], hard[keep])
    assert math.isnan(found.rho) and math.isnan(found.p_value) and found.n_emotions == 2
    assert math.isnan(alignment.mantel(va, np.zeros_like(vectors), hard).rho)
    rare = hard.copy()
    rare[np.flatnonzero(hard == 6)[2:]] = 3  # two segments of disgust are left
    assert alignment.mantel(va, vectors, rare).n_emotions == 6
    with pytest.raises(ValueError, match="arrays of one length"):
        alignment.mantel(va[1:], vectors, hard)
