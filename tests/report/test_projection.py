"""The map of the vectors: repeatable, turned onto the raters' plane; numbers of every row and fold."""

from __future__ import annotations

import csv
import dataclasses
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invented_world import CENTROIDS, SHARES, world
from kemd_columns import COLUMNS, PROB, SOFT, VOTES
from scipy.spatial.distance import pdist
from sklearn.manifold import trustworthiness

from erc.data import KEMD
from erc.evaluation import alignment, predictions
from erc.labels import is_tied
from erc.report import grid_results, projection

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


def test_alignment_gathers_the_numbers(rng):
    va, vectors, hard = world(rng)
    map_2d = vectors[:, :2]
    found = projection.alignment(va, vectors, hard, map_2d)
    # to 1e-12: BLAS may add in another order the second time
    assert found.space == pytest.approx(alignment.mantel(va, vectors, hard), abs=1e-12)
    assert found.map == pytest.approx(alignment.mantel(va, map_2d, hard), abs=1e-12)
    assert found.trustworthiness == pytest.approx(trustworthiness(vectors, map_2d, n_neighbors=15), abs=1e-12)
    assert found.disparity == pytest.approx(projection.align_map(map_2d, va, hard)[1], abs=1e-12)
    # 1, but for neighbours that are equally far to the last digit, whose order hangs on BLAS: some 1e-6 each
    assert projection.alignment(va, map_2d, hard, map_2d).trustworthiness == pytest.approx(1, abs=1e-5)


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
        map_2d = projection.project(vectors)
        assert np.array_equal(map_2d, projection.project(vectors))
    found = projection.alignment(CENTROIDS[hard] + rng.normal(0, 0.1, (210, 2)), vectors, hard)
    assert found.trustworthiness > 0.9
    centroids = np.array([map_2d[hard == k].mean(axis=0) for k in range(KEMD.n_emotions)])
    nearest = ((map_2d[:, None] - centroids[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == hard).mean() > 0.95


@pytest.mark.slow
def test_two_processes_make_the_same_map(tmp_path):
    _, vectors = apart()
    np.save(tmp_path / "vectors.npy", vectors)
    code = (
        "import sys, numpy as np; from erc.report.projection import project; "
        "np.save(sys.argv[2], project(np.load(sys.argv[1])))"
    )
    maps = []
    for name in ("one.npy", "two.npy"):
        command = [sys.executable, "-c", code, str(tmp_path / "vectors.npy"), str(tmp_path / name)]
        subprocess.run(command, check=True, cwd=ROOT, timeout=300)
        maps.append(np.load(tmp_path / name))
    assert np.isfinite(maps[0]).all() and np.array_equal(*maps)
    assert not np.array_equal(maps[0], projection.project(vectors, seed=7))  # control: another seed, another map


@pytest.mark.slow
def test_vectors_that_are_all_equal_still_make_a_finite_map():
    map_2d = projection.project(np.zeros((20, 8)))
    assert np.isfinite(map_2d).all() and np.array_equal(map_2d, projection.project(np.zeros((20, 8))))


def test_a_handful_of_segments_makes_no_map():
    with pytest.raises(projection.NotDrawn, match="10 untied segments or more: there are 4"):
        projection.project(np.zeros((4, 8)))


# --- every row and fold -----------------------------------------------------------------------------------------------
def write_cell(grid: Path, row: str, fold: int, rng: np.random.Generator, n: int = 60) -> Path:
    """A finished cell as training writes it; vectors follow valence and arousal."""
    votes = 3 * np.eye(KEMD.n_emotions, dtype=int)[np.arange(n) % KEMD.n_emotions] + rng.multinomial(7, SHARES, size=n)
    table = pd.DataFrame(votes, columns=VOTES)
    table[SOFT] = votes / 10
    table["segment_id"] = [f"Sess{fold + 1:02d}_script0{k % 4 + 1}_F{k:03d}" for k in range(n)]
    table["dialogue"] = table["segment_id"].str[:15]
    table = table.assign(corpus="kemdy19", session=fold + 1, speaker="Sess01F", hard_label=votes.argmax(axis=1))
    table["is_tied"] = is_tied(votes)
    table[["valence", "arousal"]] = (CENTROIDS[table["hard_label"]] + rng.normal(0, 0.4, (n, 2))).clip(1, 5)
    table[PROB] = rng.dirichlet(np.ones(7), size=n)
    table[["pred_valence", "pred_arousal"]] = rng.normal(3, 1, size=(n, 2))
    table = table[COLUMNS].sort_values("segment_id", ignore_index=True)
    fusion, target = row.rsplit("_", 1)
    facts = {
        "experiment": "demo", "fusion": fusion, "target": target, "fold": fold, "protocol": "paper", "seed": 42,
        "corpora": ["kemdy19"], "is_synthetic": True, "n_chosen_on": n, "human": {}, "fingerprint": "0" * 16, "code": {},
        "versions": {}, "seconds": 1.0, "peak_memory_mb": 1.0, "label_space": KEMD, "n_folds": 5,
    }  # fmt: skip
    embedding = table[["valence", "arousal"]].to_numpy() @ rng.normal(size=(2, 8)) + rng.normal(size=(n, 8))
    gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": embedding}
    folder = grid / row / f"fold{fold}-seed42"
    folder.mkdir(parents=True)
    predictions.write_fold(folder, table, predictions.make_result(table, table, [], 0, facts), gathered)
    return folder


@pytest.fixture
def rows(tmp_path, rng, monkeypatch) -> dict[str, grid_results.Row]:
    """Two rows of two folds; a map is the first two components of the vectors, which takes no compiler."""
    monkeypatch.setattr(projection, "project", lambda embedding, seed=42: embedding[:, :2])
    for row in ("concat_soft", "tensor_mixer_peakl"):
        for fold in range(2):
            write_cell(tmp_path, row, fold, rng)
    return {row.name: row for row in grid_results.load(tmp_path)}


def test_every_row_and_fold_has_a_line_and_the_chosen_row_a_map(rows):
    concat, mixer = rows["concat_soft"], rows["tensor_mixer_peakl"]
    found = projection.alignments([concat, mixer], mixer)
    assert [(one.row, one.fold) for one in found.rows] == [(name, fold) for name in rows for fold in (0, 1)]
    for one, run in zip(found.rows, (run for row in rows.values() for run in row.first_seed().values()), strict=True):
        va, embedding, hard = projection.vectors(run)
        space = alignment.mantel(va, embedding, hard)
        assert (one.n_segments, one.n_emotions) == (len(va), space.n_emotions)
        assert (one.rho, one.p) == pytest.approx(space[:2], abs=1e-12)
        assert one.n_segments == run.result["selected"]["metrics"]["n_scored"]
    assert sorted(found.maps) == [0, 1]
    for one in found.rows:
        further = (one.map_rho, one.map_p, one.trustworthiness, one.disparity)
        if one.row == mixer.name:
            map_2d, numbers = found.maps[one.fold]
            assert map_2d.shape == (one.n_segments, 2)
            assert further == (numbers.map.rho, numbers.map.p_value, numbers.trustworthiness, numbers.disparity)
        else:
            assert further == (None,) * 4


def test_written_alignments_read_back_to_the_last_digit(rows, tmp_path):
    found = projection.alignments(list(rows.values()), rows["tensor_mixer_peakl"]).rows
    found[0] = dataclasses.replace(found[0], rho=math.nan)
    projection.write_alignments(tmp_path / "alignment.csv", found)
    with open(tmp_path / "alignment.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == (
        ["row", "fold", "n_segments", "n_emotions", "rho", "p", "map_rho", "map_p", "trustworthiness", "disparity"]
    )
    for line, one in zip(lines, found, strict=True):
        assert line["row"] == one.row and int(line["fold"]) == one.fold
        assert (int(line["n_segments"]), int(line["n_emotions"])) == (one.n_segments, one.n_emotions)
        for name in ("rho", "p", "map_rho", "map_p", "trustworthiness", "disparity"):
            value = getattr(one, name)
            if value is None:
                assert line[name] == ""
            else:
                assert float(line[name]) == value or (math.isnan(value) and line[name] == "nan")


def test_a_run_without_vectors_is_left_out_unless_it_is_to_be_mapped(rows):
    (rows["concat_soft"].runs[0, 42].folder / "embeddings.npz").unlink()
    found = projection.alignments(list(rows.values()), rows["tensor_mixer_peakl"])
    assert [(one.row, one.fold) for one in found.rows] == [
        ("concat_soft", 1),
        ("tensor_mixer_peakl", 0),
        ("tensor_mixer_peakl", 1),
    ]
    with pytest.raises(FileNotFoundError, match=r"embeddings\.npz"):
        projection.alignments(list(rows.values()), rows["concat_soft"])


def test_vectors_of_other_segments_are_refused(rows):
    run = rows["concat_soft"].runs[0, 42]
    run.predictions = run.predictions.assign(segment_id=[*run.predictions["segment_id"][:-1], "another"])
    with pytest.raises(ValueError, match=r"same segments: 1 of .* no embedding in .*fold0-seed42"):
        projection.vectors(run)
