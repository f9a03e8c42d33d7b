"""Damage to the files of a run folder: named, never fatal to the other cells, never a wrong figure in silence."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from stand_ins import result_of, write_finished_cell

from erc.data import KEMD
from erc.evaluation import check_result, read_predictions
from erc.grid import overview
from erc.report import grid_results, tables
from erc.training import read_back, run_folder

ROWS = ("concat_hard", "tensor_mixer_peakl")
CELL = "concat_hard/fold1-seed42"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    grid = tmp_path_factory.mktemp("whole") / "grid"
    for row in ROWS:
        for fold in (0, 1):
            write_finished_cell(grid, row, fold)
    return grid


@pytest.fixture
def grid(whole, tmp_path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "grid"))


def load(folder: Path) -> grid_results.Grid:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return grid_results.load(folder)


def cut_rows(path: Path) -> None:
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:20]), encoding="utf-8")


def drop_hash(run_dir: Path) -> None:
    """Results of an earlier version have no hash of their own: the other checks must do."""
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    del result["predictions_sha256"], result["result_sha256"]
    (run_dir / "result.json").write_text(json.dumps(result), encoding="utf-8")


# --- predictions ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("has_hash", [True, False])
def test_a_cut_predictions_file_leaves_its_cell_out_and_is_named(grid, has_hash):
    if not has_hash:
        drop_hash(grid / CELL)
    assert load(grid).left_out == {}  # control: undamaged
    cut_rows(grid / CELL / "predictions.csv")
    with pytest.warns(UserWarning, match=f"Left out, .*: {CELL} .*predictions.csv"):
        rows = grid_results.load(grid)
    assert str(grid) not in rows.left_out[CELL]  # it stands in table.md, which goes to other people
    assert list(rows.left_out) == [CELL] and {row.name: row.folds for row in rows} == {ROWS[0]: [0], ROWS[1]: [0, 1]}
    if not has_hash:
        assert rows.left_out[CELL] == "predictions.csv: expected 40 rows, as result.json says, got 19"
    made = tables.make_tables(rows, n_resamples=5)
    assert any(
        f"**Left out, because files are damaged or of another run: {CELL} (" in one for one in made.document.paragraphs
    )
    assert "Left out, because files are damaged" in made.latex
    assert "Concatenation, hard (1/5 folds)" in made.latex


@pytest.mark.parametrize(
    "column", ["prob_angry", "pred_valence", "valence", "votes_angry", "soft_angry", "is_tied", "hard_label"]
)
def test_a_changed_figure_is_found_even_where_the_result_has_no_hash(grid, column):
    drop_hash(grid / CELL)
    table = read_predictions(grid / CELL / "predictions.csv", KEMD)
    row = int(np.flatnonzero(~table["is_tied"])[0])
    value = table.loc[row, column]
    table.loc[row, column] = (
        not value if column == "is_tied" else (value + 1) % 5 if column == "hard_label" else 1 - value
    )
    if column.startswith(("valence", "pred")):
        table.loc[row, column] = 6 - value
    table.to_csv(grid / CELL / "predictions.csv", index=False)
    assert list(load(grid).left_out) == [CELL]


def test_a_changed_figure_of_the_result_is_found_even_where_it_has_no_hash(grid):
    drop_hash(grid / CELL)
    path = grid / CELL / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    exact = result["selected"]["metrics"]["weighted_f1"]
    for difference, names in ((1e-12, []), (1e-6, [CELL])):  # control: what rounding may do
        result["selected"]["metrics"]["weighted_f1"] = exact + difference
        path.write_text(json.dumps(result), encoding="utf-8")
        found = load(grid).left_out
        assert list(found) == names
    assert re.search("weighted_f1 is .* in result.json, and .* from these rows", found[CELL])


# --- results ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b"NaN",
        b'{"schema": 2}',
        b'{"schema": "2"}',
        b"1" * 5_000,
    ],
)
def test_a_result_of_any_content_stops_neither_status_nor_table(grid, content):
    (grid / CELL / "result.json").write_bytes(content)
    assert run_folder.state_of(grid / CELL) == "damaged"
    status = overview.cells_status(str(grid))
    assert f"damaged: {CELL}: result.json: " in status and "1 damaged, 3 done" in status
    assert list(load(grid).left_out) == [CELL]


def test_a_result_that_is_a_folder_or_a_pipe_is_damaged(grid):
    path = grid / CELL / "result.json"
    path.unlink()
    path.mkdir()
    assert run_folder.state_of(grid / CELL) == "damaged"
    path.rmdir()
    os.mkfifo(path)
    assert run_folder.state_of(grid / CELL) == "damaged"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fold": "0"}, "fold: "), ({"seed": -1}, "seed: "), ({"is_synthetic": 1}, "is_synthetic: "),
        ({"n_reported_on": 0}, "n_reported_on: "), ({"selected": {"epoch": 0}}, "selected.metrics: "),
        ({"human": {"weighted_f1": "high"}}, "human.weighted_f1"), ({"majority": {"uar": float("nan")}}, "majority.uar"),
        ({"history": [{"epoch": []}]}, "history.0.epoch"), ({"code": {"a": 1}}, "code.a: "), ({"result_sha256": "0"}, "SHA-256"),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named(change, named):
    assert check_result(result_of()) == result_of()  # control
    with pytest.raises(ValueError, match=re.escape(named)):
        check_result(result_of(**change))


def test_a_result_of_another_cell_is_of_another_run(grid):
    shutil.copy(grid / "concat_hard/fold0-seed42/result.json", grid / CELL / "result.json")
    assert run_folder.state_of(grid / CELL) == "of another run"
    assert load(grid).left_out == {CELL: "result.json: it is of fold 0, seed 42, and lies in fold1-seed42"}
    assert f"of another run: {CELL}: result.json: " in overview.cells_status(str(grid))


# --- errors, configuration, embeddings --------------------------------------------------------------------------------
def test_an_error_that_is_not_utf_8_stops_no_status(grid):
    (grid / CELL / "result.json").unlink()
    (grid / CELL / "error.json").write_bytes(b"\xff\xfe\x00")
    (grid / CELL / "metrics.csv").write_bytes(b"\xff\xfe\x00")
    assert read_back.epochs_done(grid / CELL) == 0
    assert f"damaged: {CELL}: error.json: " in overview.cells_status(str(grid))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[]", b"a: [", b"dataset: 3", b"dataset: {1: 2}\nprotocol: x", b"- " * 5_000]
)
def test_a_damaged_configuration_is_named(grid, content):
    (grid / CELL / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"must be whole: .*config\.yaml is damaged"):
        grid_results.load(grid)[0].runs[1, 42].dataset()


def test_damaged_embeddings_are_named(grid):
    run = load(grid)[0].runs[1, 42]
    path, content = run.folder / "embeddings.npz", (run.folder / "embeddings.npz").read_bytes()
    assert run.embeddings.shape == (40, 4)
    rng = np.random.default_rng(0)
    for place in rng.integers(30, len(content) - 30, size=60):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            found = run.embeddings
        except ValueError as err:
            assert "embeddings.npz" in str(err)
            found = None
        assert found is None or found.shape == (40, 4)


# --- damage at random places ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_damages", [10, pytest.param(80, marks=pytest.mark.slow)])
def test_random_damage_never_gives_other_figures_in_silence(grid, n_damages):
    shutil.rmtree(grid / ROWS[1])
    expected = tables.make_tables(load(grid), n_resamples=2).csv
    rng = np.random.default_rng(11)
    names = ["result.json", "predictions.csv", "identity.json", "metrics.csv", "config.yaml"]
    n_left_out = 0
    for number in range(n_damages):
        path = grid / CELL / names[number % 5]
        content = bytearray(path.read_bytes())
        place = int(rng.integers(len(content)))
        kind = number % 4
        if kind == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del content[place:]
        elif kind == 2:
            content[place : place + 64] = bytes(min(64, len(content) - place))
        else:
            content[place] = int(rng.integers(48, 58))  # a digit
        before = path.read_bytes()
        path.write_bytes(content)
        overview.cells_status(str(grid))
        rows = load(grid)
        n_left_out += bool(rows.left_out)
        assert rows.left_out or tables.make_tables(rows, n_resamples=2).csv == expected, (path.name, kind, place)
        path.write_bytes(before)
    assert n_left_out > n_damages / 3  # control: damage was done
    assert load(grid).left_out == {}
