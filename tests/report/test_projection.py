"""The map of the vectors: principal components, or the medoid of UMAP layouts; repeatable, turned onto the raters' plane."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from invented_world import CENTROIDS, world
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from erc.data import KEMD
from erc.report import arrangement, projection

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("mirror", [1, -1])
def test_procrustes_recovers_a_turned_mirrored_scaled_and_shifted_map(rng, mirror):
    va, _, hard = world(rng)
    angle = 2.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [1, mirror]
    aligned, disparity = projection.align_map(7.5 * va @ turn + [40, -3], va, hard)
    assert aligned == pytest.approx(va, abs=1e-9)
    assert disparity == pytest.approx(0, abs=1e-12)


def test_procrustes_keeps_the_shape_of_the_map(rng):
    va, _, hard = world(rng)
    map_2d = rng.normal(size=va.shape)
    ratios = pdist(projection.align_map(map_2d, va, hard)[0]) / pdist(map_2d)
    assert ratios == pytest.approx(ratios[0])
    with pytest.raises(projection.NotDrawn, match="three emotions"):
        projection.align_map(map_2d[hard == 3], va[hard == 3], hard[hard == 3])


def test_principal_components_are_those_of_scikit_learn(rng):
    vectors = rng.normal(size=(60, 5)) * [3, 2, 1, 0.5, 0.1] + 7
    found = projection.project(vectors)
    pca = PCA(2).fit(vectors)
    expected = pca.transform(vectors)
    assert np.abs(found.xy) == pytest.approx(np.abs(expected), abs=1e-9)  # a component's sign has no meaning
    assert found.method == f"principal components, {100 * pca.explained_variance_ratio_.sum():.0f} % of the variance"
    assert len(found.layouts) == 1
    assert np.array_equal(projection.project(-vectors + 3).xy, projection.project(-vectors + 3).xy)


def test_principal_components_hardly_move_where_the_vectors_hardly_do(rng):
    _va, vectors, _hard = world(rng)
    shaken = vectors + 1e-6 * rng.normal(size=vectors.shape)
    assert projection.project(shaken).xy == pytest.approx(projection.project(vectors).xy, abs=1e-4)


@pytest.mark.parametrize("shape", [(20, 8), (12, 1)])
def test_vectors_without_variance_make_one_point(shape):
    assert np.array_equal(projection.project(np.ones(shape)).xy, np.zeros((shape[0], 2)))


def test_the_medoid_is_the_layout_in_the_middle(rng):
    base = rng.normal(size=(50, 2))
    turn = np.array([[0, 1], [-1, 0]])
    layouts = [base + 0.8 * rng.normal(size=(50, 2)), 3 * base @ turn + 1, base + 0.1 * rng.normal(size=(50, 2))]
    layouts += [base + 0.1 * rng.normal(size=(50, 2))]
    found = projection.medoid(layouts)
    assert found is layouts[1]
    assert sum(procrustes(found, one)[2] for one in layouts) == pytest.approx(
        min(sum(procrustes(one, other)[2] for other in layouts) for one in layouts)
    )
    assert projection.medoid([np.zeros((5, 2)), base[:5]]).sum() == 0


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="layout must be one of pca, umap: got 'tsne'"):
        projection.project(np.zeros((20, 8)), "tsne")


# --- repeatable -------------------------------------------------------------------------------------------------------
# Bit for bit on one machine: another processor or another number of BLAS threads rounds the principal components otherwise,
# from which the map starts.
def apart():
    """210 vectors in seven groups that no neighbour graph joins, where UMAP's spectral start is not repeatable."""
    rng = np.random.default_rng(0)
    hard = np.arange(210) % KEMD.n_emotions
    return hard, 8 * rng.normal(size=(KEMD.n_emotions, 16))[hard] + rng.normal(size=(210, 16))


@pytest.mark.slow
def test_umap_is_repeatable_and_keeps_clusters_apart(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hard, vectors = apart()
        map_2d = projection.umap_layout(vectors, 42)
        assert np.array_equal(map_2d, projection.umap_layout(vectors, 42))
    layouts = projection.Projection(map_2d, "UMAP", (map_2d,))
    found = arrangement.alignment(CENTROIDS[hard] + rng.normal(0, 0.1, (210, 2)), vectors, hard, layouts)
    assert found.trustworthiness > 0.9
    centroids = np.array([map_2d[hard == k].mean(axis=0) for k in range(KEMD.n_emotions)])
    nearest = ((map_2d[:, None] - centroids[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == hard).mean() > 0.95


@pytest.mark.slow
def test_two_processes_make_the_same_map(tmp_path):
    _, vectors = apart()
    np.save(tmp_path / "vectors.npy", vectors)
    code = (
        "import sys, numpy as np; from erc.report.projection import umap_layout; "
        "np.save(sys.argv[2], umap_layout(np.load(sys.argv[1]), 42))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "vectors.npy"), str(tmp_path / "map.npy")]
    subprocess.run(command, check=True, cwd=ROOT, timeout=300)
    theirs = np.load(tmp_path / "map.npy")
    assert np.isfinite(theirs).all() and np.array_equal(theirs, projection.umap_layout(vectors, 42))
    assert not np.array_equal(theirs, projection.umap_layout(vectors, 7))  # control: another seed, another map


@pytest.mark.slow
def test_vectors_that_are_all_equal_still_make_a_finite_map():
    map_2d = projection.umap_layout(np.zeros((20, 8)), 42)
    assert np.isfinite(map_2d).all() and np.array_equal(map_2d, projection.umap_layout(np.zeros((20, 8)), 42))


@pytest.mark.slow
def test_umap_draws_several_layouts_and_takes_their_medoid(monkeypatch, rng):
    monkeypatch.setattr(projection, "N_LAYOUTS", 3)
    va, vectors, hard = world(rng, 60)
    found = projection.project(vectors, "umap")
    assert found.method == "UMAP, the medoid of 3 layouts" and len(found.layouts) == 3
    assert any(found.xy is one for one in found.layouts)
    numbers = arrangement.alignment(va, vectors, hard, found)
    assert numbers.map_range[0] <= numbers.map.rho <= numbers.map_range[1]


def test_a_handful_of_segments_makes_no_map():
    with pytest.raises(projection.NotDrawn, match="10 untied segments or more: there are 4"):
        projection.project(np.zeros((4, 8)))
