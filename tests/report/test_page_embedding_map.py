"""The page's embedding map: packed for the browser, placed in two dimensions, taken from the right files."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from invented_pages import embedding_map, write_grid
from kemd_columns import PROB, SOFT, VOTES

from erc.data import EMOTIONS
from erc.report import grid_results
from erc.report.figures import style
from erc.report.page import embedding_map as page_embedding_map, html as page_html
from erc.report.page.markup import json_for_html


def test_packed_arrays_read_back_as_the_table():
    one = embedding_map()
    packed = json.loads(json_for_html(page_embedding_map.pack(one)))
    arrays = {
        name: np.frombuffer(base64.b64decode(part["data"]), {"float32": "<f4", "uint8": "u1"}[part["type"]])
        for name, part in packed["arrays"].items()
    }
    n, table = len(one.table), one.table
    assert packed["ids"].split("\n") == table["segment_id"].tolist()
    np.testing.assert_array_equal(arrays["xy"].reshape(n, 2), one.xy)
    np.testing.assert_allclose(arrays["va"].reshape(n, 4)[:, 3], table["pred_arousal"], atol=1e-6)
    np.testing.assert_allclose(arrays["probs"].reshape(n, 7), table[PROB], atol=1e-7)
    assert (arrays["votes"].reshape(n, 7).sum(axis=1) == 10).all()
    np.testing.assert_array_equal(arrays["votes"].reshape(n, 7), table[VOTES])
    np.testing.assert_array_equal(arrays["votes"].reshape(n, 7) / 10, table[SOFT])
    np.testing.assert_array_equal(arrays["truth"], table["hard_label"])
    np.testing.assert_array_equal(arrays["predicted"], table[PROB].to_numpy().argmax(axis=1))
    np.testing.assert_array_equal(arrays["tied"], table["is_tied"])
    assert [packed["corpora"][k] for k in arrays["corpus"]] == table["corpus"].tolist()
    assert [packed["folds"][k]["fold"] for k in arrays["fold"]] == table["fold"].tolist()
    assert [fold["n"] for fold in packed["folds"]] == [60, 40]


def test_folds_keep_their_number_where_one_is_missing():
    one = embedding_map()
    one.table["fold"] = one.table["fold"].map({0: 1, 1: 4})
    one.methods = {1: "UMAP", 4: "UMAP"}
    packed = page_embedding_map.pack(one)
    assert [fold["fold"] for fold in packed["folds"]] == [1, 4]
    assert set(base64.b64decode(packed["arrays"]["fold"]["data"])) == {0, 1}


def test_predictions_that_are_not_finite_are_refused():
    one = embedding_map()
    one.table.loc[3, "pred_valence"] = np.nan
    with pytest.raises(ValueError, match="Predictions must be finite"):
        page_embedding_map.pack(one)


def test_an_emotion_has_the_colour_and_marker_of_the_figures():
    packed = page_embedding_map.pack(embedding_map())
    assert packed["colours"] == [look.color for look in style.looks_of(EMOTIONS)]
    script = page_html.script_text()
    for shape in packed["shapes"]:
        assert re.search(rf'\b{shape}: \[|"{shape}"|POLYGONS\.{shape} ', script), f"the script draws no {shape}"
    assert len(set(packed["shapes"])) == len(EMOTIONS)


def test_few_segments_are_shown_by_their_principal_components():
    rng = np.random.default_rng(0)
    embedding = rng.normal(0, 1, (5, 3)) * [10, 1, 0.01]
    xy, method = page_embedding_map.place_segments(embedding, rng.uniform(1, 5, (5, 2)), np.arange(5))
    assert xy.shape == (5, 2) and xy.dtype == np.float32
    assert method.startswith("principal components")
    assert abs(np.corrcoef(xy[:, 0], embedding[:, 0])[0, 1]) > 0.99
    assert page_embedding_map.place_segments(embedding[:1], np.ones((1, 2)), np.zeros(1, dtype=int))[0].shape == (1, 2)


def test_turning_keeps_a_map_what_it_is(monkeypatch):
    rng = np.random.default_rng(0)
    hard = np.repeat(np.arange(7), 6)
    va = rng.uniform(1, 5, (7, 2))[hard] + rng.normal(0, 0.1, (42, 2))
    angle = 2.0
    placed = (va @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * [1, -1] * 30
    monkeypatch.setattr(page_embedding_map, "project", lambda embedding, seed: placed)
    xy, method = page_embedding_map.place_segments(np.zeros((42, 8)), va, hard)
    distances = [np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (placed, xy)]
    ratio = distances[1][distances[0] > 0] / distances[0][distances[0] > 0]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
    assert np.corrcoef(xy[:, 0], va[:, 0])[0, 1] > 0.999
    assert np.corrcoef(xy[:, 1], va[:, 1])[0, 1] > 0.999
    assert "turned" in method


def test_the_row_that_is_mapped_must_be_finished(tmp_path):
    grid = write_grid(tmp_path / "grid")
    rows = grid_results.load(grid)
    assert grid_results.choose_row(rows, None).name == "tensor_mixer_peakl"
    assert grid_results.choose_row(rows, "concat_peakl").name == "concat_peakl"
    assert grid_results.choose_row(rows[:1], None).name == "concat_peakl"
    with pytest.raises(ValueError, match="row must be a finished row, one of concat_peakl"):
        grid_results.choose_row(rows[:1], "tensor_mixer_soft")
