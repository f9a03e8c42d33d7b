"""Whether vectors arrange the emotions as the raters do: numbers of every row and fold, and their mean against chance."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invented_world import CENTROIDS, SHARES, world
from kemd_columns import COLUMNS, PROB, SOFT, VOTES
from sklearn.manifold import trustworthiness

from erc.data import KEMD
from erc.evaluation import alignment, predictions
from erc.labels import is_tied
from erc.report import arrangement, grid_results, projection


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_alignment_gathers_the_numbers(rng):
    va, vectors, hard = world(rng)
    map_2d = vectors[:, :2]
    found = arrangement.alignment(va, vectors, hard, projection.Projection(map_2d, "", (map_2d,)))
    # to 1e-12: BLAS may add in another order the second time
    assert found.space == pytest.approx(alignment.mantel(va, vectors, hard), abs=1e-12)
    assert found.map == pytest.approx(alignment.mantel(va, map_2d, hard), abs=1e-12)
    assert found.trustworthiness == pytest.approx(trustworthiness(vectors, map_2d, n_neighbors=15), abs=1e-12)
    assert found.disparity == pytest.approx(projection.align_map(map_2d, va, hard)[1], abs=1e-12)
    # 1, but for neighbours that are equally far to the last digit, whose order hangs on BLAS: some 1e-6 each
    same = projection.Projection(map_2d, "", (map_2d,))
    assert arrangement.alignment(va, map_2d, hard, same).trustworthiness == pytest.approx(1, abs=1e-5)


def test_the_mean_over_folds_is_tested_against_relabelled_folds(rng):
    arranged = [alignment.relabelled(*world(rng)) for _ in range(3)]
    by_chance = [alignment.relabelled(*world(rng, aligned=False)) for _ in range(3)]
    found, control = (alignment.mean_over_folds(one) for one in (arranged, by_chance))
    assert found.rho == pytest.approx(np.mean([one[0] for one in arranged])) and found.p_value < 0.001
    assert control.null_low < control.rho < control.null_high and control.p_value > 0.01
    # an independent draw of the null
    means = np.mean([rng.choice(one, 100_000) for one in arranged], axis=0)
    assert [found.null_low, found.null_high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)
    assert alignment.mean_over_folds([np.zeros(0), *arranged]) == found
    assert math.isnan(alignment.mean_over_folds([np.zeros(0)]).rho)


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
def rows(tmp_path, rng) -> dict[str, grid_results.Row]:
    """Two rows of two folds."""
    for row in ("concat_soft", "tensor_mixer_peakl"):
        for fold in range(2):
            write_cell(tmp_path, row, fold, rng)
    return {row.name: row for row in grid_results.load(tmp_path)}


def test_every_row_and_fold_has_a_line_and_the_chosen_row_a_map(rows):
    concat, mixer = rows["concat_soft"], rows["tensor_mixer_peakl"]
    found = arrangement.alignments([concat, mixer], mixer)
    assert [(one.row, one.fold) for one in found.rows] == [(name, fold) for name in rows for fold in (0, 1)]
    for one, run in zip(found.rows, (run for row in rows.values() for run in row.first_seed().values()), strict=True):
        va, embedding, hard = arrangement.vectors(run)
        space = alignment.mantel(va, embedding, hard)
        assert (one.n_segments, one.n_emotions) == (len(va), space.n_emotions)
        assert (one.rho, one.p) == pytest.approx(space[:2], abs=1e-12)
        assert one.n_segments == run.result["selected"]["metrics"]["n_scored"]
    assert sorted(found.maps) == [0, 1]
    for one in found.rows:
        further = (one.map_rho, one.map_p, one.trustworthiness, one.disparity)
        assert one.untrained_rho is None and one.untrained_p is None
        if one.row == mixer.name:
            mapped = found.maps[one.fold]
            numbers = mapped.numbers
            assert mapped.trained.xy.shape == (one.n_segments, 2) and mapped.untrained is None
            assert further == (numbers.map.rho, numbers.map.p_value, numbers.trustworthiness, numbers.disparity)
        else:
            assert further == (None,) * 4


def test_written_alignments_read_back_to_the_last_digit(rows, tmp_path):
    found = arrangement.alignments(list(rows.values()), rows["tensor_mixer_peakl"]).rows
    found[0] = dataclasses.replace(found[0], rho=math.nan)
    arrangement.write_alignments(tmp_path / "alignment.csv", found)
    with open(tmp_path / "alignment.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == (
        ["row", "fold", "n_segments", "n_emotions", "rho", "p", "map_rho", "map_p", "trustworthiness", "disparity"]
        + ["untrained_rho", "untrained_p"]
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
    found = arrangement.alignments(list(rows.values()), rows["tensor_mixer_peakl"])
    assert [(one.row, one.fold) for one in found.rows] == [
        ("concat_soft", 1),
        ("tensor_mixer_peakl", 0),
        ("tensor_mixer_peakl", 1),
    ]
    with pytest.raises(FileNotFoundError, match=r"embeddings\.npz"):
        arrangement.alignments(list(rows.values()), rows["concat_soft"])


def test_vectors_of_other_segments_are_refused(rows):
    run = rows["concat_soft"].runs[0, 42]
    run.predictions = run.predictions.assign(segment_id=[*run.predictions["segment_id"][:-1], "another"])
    with pytest.raises(ValueError, match=r"same segments: 1 of .* no embedding in .*fold0-seed42"):
        arrangement.vectors(run)


def test_vectors_before_training_are_mapped_beside_those_after_it(rows, rng):
    row = rows["tensor_mixer_peakl"]
    for run in row.runs.values():
        ids = run.predictions["segment_id"].to_numpy().astype(str)
        gathered = {"segment_id": ids[::-1], "embedding": rng.normal(size=(len(ids), 8))}
        predictions.write_embeddings(run.folder / "embeddings_untrained.npz", gathered)
    found = arrangement.alignments([row], row)
    for line in found.rows:
        run = row.first_seed()[line.fold]
        kept = arrangement.mappable(run)
        mapped = found.maps[line.fold]
        expected = alignment.mantel(mapped.va, run.untrained_embeddings[kept], mapped.hard_label)
        assert (line.untrained_rho, line.untrained_p) == pytest.approx(expected[:2], abs=1e-12)
        assert mapped.untrained.xy.shape == mapped.trained.xy.shape


def test_the_table_has_the_mean_of_each_row_beside_chance(rows):
    found = arrangement.arrangements(list(rows.values()))
    section = arrangement.arrangement_section(list(rows.values()), found)
    assert [line[0] for line in section.tables[0].rows] == [row.title for row in rows.values()]
    for line, row in zip(section.tables[0].rows, rows.values(), strict=True):
        rho = np.mean([alignment.mantel(*arrangement.vectors(run)).rho for run in row.first_seed().values()])
        assert float(line[1].replace("−", "-")) == pytest.approx(rho, abs=5e-4) and line[4] == "2"
    (rows["concat_soft"].runs[0, 42].folder / "embeddings.npz").unlink()
    assert list(arrangement.arrangements(list(rows.values()))) == ["tensor_mixer_peakl"]
    assert arrangement.arrangement_section(list(rows.values()), {}) is None
