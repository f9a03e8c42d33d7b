"""Run folders -> rows, from folders that are written here by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from grid_by_hand import (
    make_truth,
    predict,
    score_of,
    table_of,
    write_cell,
    write_paper_grid,
)
from kemd_columns import VOTES
from stand_ins import write_finished_cell

from erc.datasets import HF_KEMD
from erc.evaluation.result_schema import sha256_of
from erc.report import grid_results
from erc.report.tables import trained_on_text

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # scikit-learn's, of our oracle


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return write_paper_grid(tmp_path_factory.mktemp("grids") / "paper")


@pytest.fixture(scope="module")
def rows(out) -> dict[str, grid_results.Row]:
    return {row.name: row for row in grid_results.load(out)}


def test_seeds_are_averaged_before_folds_are(rows):
    found = rows["tensor_mixer_peakl"].values("weighted_f1")
    first, second = (score_of("tensor_mixer_peakl", 1, seed)["weighted_f1"] for seed in (42, 7))
    assert len(found) == 5 and first != second
    assert found[1] == pytest.approx((first + second) / 2, abs=1e-12)
    assert rows["tensor_mixer_peakl"].first_seed()[1].result["seed"] == 7  # the lowest stands for the fold in pictures


@pytest.mark.slow
def test_rows_stand_in_the_paper_s_order_whatever_their_folders_are_called(tmp_path):
    truth = make_truth(0)
    order = [
        f"{fusion}_{target}"
        for fusion in ("concat", "cross_attention", "tensor_mixer", "audio_only", "text_only")
        for target in ("hard", "soft", "peakl")
    ]
    for number, row in enumerate(reversed(order)):
        write_cell(tmp_path, row, 0, predict(truth, 0.5, [number]))
    assert [row.name for row in grid_results.load(tmp_path)] == order


def test_a_folder_without_a_finished_cell_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "concat_hard" / "fold0-seed42").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path))} holds none. Train one"):
        grid_results.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not there. Train one"):
        grid_results.load(tmp_path / "nowhere")


def test_a_cell_whose_result_was_cut_is_not_finished(tmp_path):
    # the grid calls it unfinished and trains it again; until then the table is of the rest
    for fold in (0, 1):
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold))
    path = tmp_path / "concat_hard" / "fold1-seed42" / "result.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"Left out, .*: concat_hard/fold1-seed42 \(result\.json: "):
        (row,) = grid_results.load(tmp_path)
    assert row.folds == [0] and row.title == "Concatenation, hard (1/5 folds)"


def test_predictions_read_back_with_a_dialogue_that_is_unique_over_corpora(rows):
    written = table_of("concat_hard", 0)
    found = rows["concat_hard"].runs[0, 42].predictions
    assert found["dialogue"].tolist() == [
        f"{c}:{d}" for c, d in zip(written["corpus"], written["dialogue"], strict=True)
    ]
    pd.testing.assert_frame_equal(
        found.drop(columns="dialogue"), written.drop(columns="dialogue"), check_exact=True, check_dtype=False
    )
    assert (found[VOTES].dtypes == "int64").all()
    # control: both corpora have dialogues of one name
    assert written["dialogue"].nunique() < found["dialogue"].nunique()


def test_a_result_of_another_schema_is_refused(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0), schema=1)
    with pytest.raises(
        ValueError, match=r"schema 2: .*fold0-seed42: result\.json: it is of schema 1.*Train the cell again"
    ):
        grid_results.load(tmp_path)


def test_a_row_is_chosen_by_name_or_is_the_main_one(rows):
    every = list(rows.values())
    assert grid_results.choose_row(every).name == "tensor_mixer_peakl"
    assert grid_results.choose_row(every[:2]).name == "cross_attention_peakl"
    assert grid_results.choose_row(every, "concat_hard") is rows["concat_hard"]
    with pytest.raises(ValueError, match="fig must be a finished row, one of concat_hard, .*: got 'mixer'"):
        grid_results.choose_row(every, "mixer", argument="fig")


# --- the data set of a run --------------------------------------------------------------------------------------------
def write_config(folder: Path, **options) -> grid_results.Run:
    """A run folder with nothing but its configuration."""
    dataset = {"_target_": "erc.datasets.HF_KEMD", "_partial_": True, "validation_fold": 1} | options
    (folder / "config.yaml").write_text(yaml.safe_dump({"dataset": dataset, "protocol": "paper"}), encoding="utf-8")
    return grid_results.Run(folder, {})


def test_the_data_set_of_a_run_has_every_option_of_its_configuration(corpora, cache_dir, tmp_path):
    options = {"root": str(corpora), "cache_dir": str(cache_dir), "dataset_name": "kemdy20", "on_bad_segment": "skip"}
    run = write_config(tmp_path, num_data=12, exclude="none", **options)
    expected = HF_KEMD("test", 1, num_data=12, exclude="none", **options)
    assert run.dataset().ds["segment_id"] == expected.ds["segment_id"] and len(expected) == 12
    train = run.dataset("train", num_data=None, validation_fold=2)
    assert train.ds["segment_id"] == HF_KEMD("train", 2, exclude="none", **options).ds["segment_id"]


def test_the_data_set_of_a_run_that_is_not_there_is_an_error_that_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.yaml is not there"):
        grid_results.Run(tmp_path, {}).dataset()
    with pytest.raises(FileNotFoundError, match="KEMDy19"):
        write_config(tmp_path, root=str(tmp_path / "nowhere")).dataset()


def run_of(folder: Path, *segment_ids: str) -> grid_results.Run:
    """A run whose predictions are of these segments."""
    run = grid_results.Run(folder, {})
    run.predictions = pd.DataFrame({"segment_id": segment_ids})
    return run


def test_embeddings_are_taken_by_segment_not_by_order(tmp_path):
    ids = np.array(["c", "a", "b"])
    np.savez(tmp_path / "embeddings.npz", segment_id=ids, embedding=np.array([[3.0], [1.0], [2.0]]))
    assert run_of(tmp_path, "a", "b", "c").embeddings.ravel().tolist() == [1, 2, 3]


def test_embeddings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"embeddings\.npz is not there"):
        _ = run_of(tmp_path, "a").embeddings
    np.savez(tmp_path / "embeddings.npz", segment_id=np.array(["a"]), embedding=np.array([[np.inf]]))
    with pytest.raises(ValueError, match="1 of 2 in predictions.csv have no embedding"):
        _ = run_of(tmp_path, "a", "b").embeddings
    with pytest.raises(ValueError, match="Embeddings must be finite"):
        _ = run_of(tmp_path, "a").embeddings


# --- what of the encoders was trained ---------------------------------------------------------------------------------
def write_part(grid: Path, row: str, **train_last: int | None) -> None:
    """A finished cell whose encoders were trained in part; all of them where nothing is said."""
    options = {f"encoders.{name}.train_last": n for name, n in train_last.items() if n is not None}
    path = write_finished_cell(grid, row, 0, options=options) / "result.json"
    result = json.loads(path.read_text(encoding="utf-8")) | {"train_last": train_last}
    path.write_text(json.dumps(result | {"result_sha256": sha256_of(result)}), encoding="utf-8")


@pytest.mark.parametrize(
    ("train_last", "said"),
    [
        ({"audio": 0, "text": 0}, "frozen"),
        ({"audio": 3, "text": 3}, "last 3 layers"),
        ({"audio": 0, "text": 1}, "audio frozen, text last 1 layer"),
        ({"audio": 3, "text": None}, "audio last 3 layers, text all layers"),
    ],
)
def test_a_row_says_what_of_the_encoders_was_trained(tmp_path, train_last, said):
    write_part(tmp_path, "concat_soft", **train_last)
    rows = grid_results.load(tmp_path)
    assert rows[0].title == f"Concatenation, soft, {said} (1/5 folds)"
    assert trained_on_text(rows) == f" Pre-trained encoders: {said} (train_last)."


def test_a_row_whose_encoders_were_trained_whole_says_nothing_of_it(tmp_path):
    write_part(tmp_path, "concat_soft")
    rows = grid_results.load(tmp_path)
    assert rows[0].title == "Concatenation, soft (1/5 folds)" and trained_on_text(rows) == ""


def test_frozen_rows_and_fine_tuned_rows_are_never_in_one_table(tmp_path):
    write_part(tmp_path, "concat_soft", audio=0)
    write_part(tmp_path, "tensor_mixer_soft")
    with pytest.raises(ValueError, match=r"one set of options.*encoders\.audio\.train_last"):
        grid_results.load(tmp_path)
