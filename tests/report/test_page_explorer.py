"""What the page's explorer is given: taken from the right files, placed in two dimensions, packed for the browser."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from invented_pages import explorer, write_grid
from kemd_columns import PROB, VOTES
from scipy.spatial.distance import cdist

from erc.data import EMOTIONS
from erc.report import grid_results
from erc.report.figures import style
from erc.report.page import explorer as page_explorer
from erc.report.page.markup import json_for_html
from erc.report.projection import Projection

TYPES = {"float32": "<f4", "uint8": "u1", "uint16": "<u2"}


def unpack(part: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(part["data"]), TYPES[part["type"]])


def test_packed_arrays_read_back_as_the_tables():
    one = explorer()
    packed = json.loads(json_for_html(page_explorer.pack(one)))
    assert [part["ids"].count("\n") + 1 for part in packed["segments"]] == [60, 40]
    for part, segments in zip(packed["segments"], one.segments, strict=True):
        n, table = len(segments.table), segments.table
        assert part["ids"].split("\n") == table["segment_id"].tolist()
        np.testing.assert_array_equal(unpack(part["votes"]).reshape(n, 7), table[VOTES])
        np.testing.assert_array_equal(unpack(part["truth"]), table["hard_label"])
        np.testing.assert_array_equal(unpack(part["tied"]), table["is_tied"])
        np.testing.assert_allclose(unpack(part["rated"]).reshape(n, 2), table[["valence", "arousal"]], atol=1e-6)
        assert [packed["corpora"][k] for k in unpack(part["corpus"])] == table["corpus"].tolist()
    for part, run in zip(packed["runs"], one.runs, strict=True):
        n = len(run.table)
        assert (part["row"], part["fold"], part["seed"], part["segments"]) == (run.row, run.fold, 42, run.segments)
        np.testing.assert_array_equal(unpack(part["xy"]).reshape(n, 2), run.xy)
        np.testing.assert_allclose(unpack(part["probs"]).reshape(n, 7) / 65535, run.table[PROB], atol=1e-5)
        np.testing.assert_array_equal(unpack(part["predicted"]), run.table[PROB].to_numpy().argmax(axis=1))
        guessed = run.table[["pred_valence", "pred_arousal"]]
        np.testing.assert_allclose(unpack(part["guessed"]).reshape(n, 2), guessed, atol=1e-6)
        np.testing.assert_array_equal(unpack(part["neighbours"]).reshape(n, 5), run.neighbours)


def test_predictions_that_are_not_finite_are_refused():
    one = explorer()
    one.runs[0].table.loc[3, "pred_valence"] = np.nan
    with pytest.raises(ValueError, match="Predictions must be finite"):
        page_explorer.pack(one)


def test_an_emotion_has_the_colour_and_marker_of_the_figures():
    packed = page_explorer.pack(explorer())
    looks = style.looks_of(EMOTIONS)
    assert packed["colours"] == [look.color for look in looks]
    assert packed["symbols"] == [page_explorer.SYMBOLS[look.marker][0] for look in looks]
    assert len(set(packed["symbols"])) == len(set(packed["glyphs"])) == len(EMOTIONS)
    assert {look.marker for look in style.LOOKS.values()} == set(page_explorer.SYMBOLS)


def test_few_segments_are_shown_by_their_principal_components():
    rng = np.random.default_rng(0)
    embedding = rng.normal(0, 1, (5, 3)) * [10, 1, 0.01]
    xy, method = page_explorer.place_segments(embedding, rng.uniform(1, 5, (5, 2)), np.arange(5))
    assert xy.shape == (5, 2) and xy.dtype == np.float32
    assert method.startswith("principal components")
    assert abs(np.corrcoef(xy[:, 0], embedding[:, 0])[0, 1]) > 0.99
    assert page_explorer.place_segments(embedding[:1], np.ones((1, 2)), np.zeros(1, dtype=int))[0].shape == (1, 2)


def test_turning_keeps_a_map_what_it_is(monkeypatch):
    rng = np.random.default_rng(0)
    hard = np.repeat(np.arange(7), 6)
    va = rng.uniform(1, 5, (7, 2))[hard] + rng.normal(0, 0.1, (42, 2))
    angle = 2.0
    placed = (va @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * [1, -1] * 30
    monkeypatch.setattr(page_explorer, "project", lambda embedding, layout: Projection(placed, "a way", (placed,)))
    xy, method = page_explorer.place_segments(np.zeros((42, 8)), va, hard)
    distances = [np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (placed, xy)]
    ratio = distances[1][distances[0] > 0] / distances[0][distances[0] > 0]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
    assert np.corrcoef(xy[:, 0], va[:, 0])[0, 1] > 0.999
    assert np.corrcoef(xy[:, 1], va[:, 1])[0, 1] > 0.999
    assert method.startswith("a way; turned")


def test_neighbours_are_the_nearest_other_segments():
    vectors = np.random.default_rng(0).normal(size=(40, 6))
    distance = cdist(vectors, vectors)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(page_explorer.neighbours_of(vectors), distance.argsort(axis=1)[:, :5])
    assert page_explorer.neighbours_of(vectors[:3]).shape == (3, 2)
    assert page_explorer.neighbours_of(vectors[:1]).shape == (1, 0)


def test_every_row_and_fold_is_there_and_rows_share_their_segments(tmp_path):
    rows = grid_results.load(write_grid(tmp_path / "grid"))
    found = page_explorer.explore(rows, rows[1])
    assert [(run.row, run.fold, run.segments) for run in found.runs] == [
        (row, fold, fold) for row in ("concat_peakl", "tensor_mixer_peakl") for fold in (0, 1)
    ]
    assert found.n_segments == 60 and found.row == "tensor_mixer_peakl" and not found.left_out
    for run in found.runs:
        assert run.table["segment_id"].tolist() == found.segments[run.segments].table["segment_id"].tolist()


def test_a_run_without_vectors_is_left_out_unless_its_row_is_shown_first(tmp_path):
    rows = grid_results.load(write_grid(tmp_path / "grid"))
    (rows[0].runs[1, 42].folder / "embeddings.npz").unlink()
    found = page_explorer.explore(rows, rows[1])
    assert found.left_out == ["concat_peakl/fold1-seed42"] and len(found.runs) == 3
    with pytest.raises(FileNotFoundError, match=r"embeddings\.npz"):
        page_explorer.explore(rows, rows[0])


def test_the_row_that_is_shown_must_be_finished(tmp_path):
    grid = write_grid(tmp_path / "grid")
    rows = grid_results.load(grid)
    assert grid_results.choose_row(rows, None).name == "tensor_mixer_peakl"
    assert grid_results.choose_row(rows, "concat_peakl").name == "concat_peakl"
    assert grid_results.choose_row(rows[:1], None).name == "concat_peakl"
    with pytest.raises(ValueError, match="row must be a finished row, one of concat_peakl"):
        grid_results.choose_row(rows[:1], "tensor_mixer_soft")
