"""A fold's result: every figure can be had again from predictions.csv; what stands in result.json."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from kemd_columns import COLUMNS, PROB, SOFT, TRUTH, VOTES
from omegaconf import OmegaConf
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

import train  # noqa: F401  registers the configuration's resolvers
from erc.data import EMOTIONS, KEMD
from erc.datasets import HF_KEMD
from erc.evaluation.predictions import (
    evaluate_groups,
    evaluate_majority,
    evaluate_table,
    make_result,
    predictions_table,
    summary_text,
    truth_table,
    write_fold,
)
from erc.files import write_atomically
from erc.training.run import train_fold

CONFIG = Path(__file__).resolve().parents[2] / "config"
KEYS = (
    [
        "schema",
        "experiment",
        "fusion",
        "target",
        "fold",
        "protocol",
        "seed",
        "n_threads",
        "precision",
        "corpora",
        "is_synthetic",
    ]
    + ["label_space", "n_folds", "n_train", "n_chosen_on", "n_reported_on", "n_unlabelled", "metrics_by_group"]
    + ["selected", "best_epoch_per_metric", "history", "majority", "majority_by_corpus", "human", "fingerprint", "code"]
    + ["versions", "seconds", "peak_memory_mb", "predictions_sha256", "result_sha256"]
)
FACTS = {
    "experiment": "demo", "fusion": "tensor_mixer", "target": "peakl", "fold": 2, "protocol": "paper", "seed": 1,
    "corpora": ["kemdy19"], "is_synthetic": True, "n_chosen_on": 33, "human": {"weighted_f1": math.nan},
    "fingerprint": "0" * 16, "code": {"model/heads.py": "0" * 12}, "versions": {"torch": "1"}, "seconds": 1.5,
    "peak_memory_mb": 100.0, "label_space": KEMD, "n_folds": 5,
}  # fmt: skip


# --- a real run -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fold(corpora, cache_dir, tmp_path_factory) -> tuple[dict, Path]:
    """Both corpora's fold 2 by tiny encoders: what ``train_fold`` returned, and the run folder."""
    run_dir = tmp_path_factory.mktemp("fold")
    options = [f"run_dir={run_dir}", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "synthetic=null"]
    small = ["dataset.validation_fold=2", "dataloader.collate.max_samples=8000", "trainer.max_epochs=2"]
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        composed = compose("train", ["experiment=demo", *options, *small, "+trainer.limit_train_batches=4"])
    config = OmegaConf.to_container(composed, resolve=True)
    parts = instantiate(OmegaConf.create(config), _convert_="all")
    return train_fold(parts, {"experiment": "demo", "fusion": "tensor_mixer", "target": "peakl"}, config), run_dir


@pytest.fixture(scope="module")
def predictions(fold) -> pd.DataFrame:
    exact = dict.fromkeys([*SOFT, "valence", "arousal", *PROB, "pred_valence", "pred_arousal"], float)
    return pd.read_csv(fold[1] / "predictions.csv", converters=exact)  # Python's float() reads every digit


def scikit_learn_s(table: pd.DataFrame) -> dict[str, float]:
    """The figures of a table by scikit-learn, and Lin's by correlation, without a line of this repository's."""
    scored = table[~table["is_tied"]]
    truth, probs = scored["hard_label"].to_numpy(), scored[[f"prob_{e}" for e in EMOTIONS]].to_numpy()
    guess = probs.argmax(axis=1)
    present = sorted(set(truth))
    found = {
        f"{how}_f1": f1_score(truth, guess, average=how, zero_division=0) for how in ("weighted", "micro", "macro")
    }
    found["accuracy"] = accuracy_score(truth, guess)
    found["uar"] = balanced_accuracy_score(truth, guess)
    found["auroc"] = np.mean([roc_auc_score(truth == k, probs[:, k]) for k in present])
    per_emotion = f1_score(truth, guess, labels=range(7), average=None, zero_division=np.nan)
    found |= {f"f1_{emotion}": value for emotion, value in zip(EMOTIONS, per_emotion, strict=True)}
    for ending, part in (("", scored), ("_all", table)):
        for name in ("valence", "arousal"):
            x, y = part[name].to_numpy(), part[f"pred_{name}"].to_numpy()
            covariance = np.corrcoef(x, y)[0, 1] * x.std() * y.std()
            found[f"ccc_{name}{ending}"] = 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    found["n_scored"], found["n_tied"] = len(scored), int(table["is_tied"].sum())
    return found


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_every_figure_can_be_had_again_from_the_predictions(fold, predictions):
    result = json.loads((fold[1] / "result.json").read_text(encoding="utf-8"))
    parts = {"": (result["selected"]["metrics"], predictions)}
    for name, metrics in result["selected"]["metrics_by_corpus"].items():
        parts[name] = metrics, predictions[predictions["corpus"] == name]
    assert set(parts) == {"", "kemdy19", "kemdy20"}
    for name, (metrics, table) in parts.items():
        expected = scikit_learn_s(table)
        assert metrics.keys() == expected.keys()
        for figure, value in expected.items():
            reported = math.nan if metrics[figure] is None else metrics[figure]
            assert reported == pytest.approx(value, abs=1e-9, nan_ok=True), (name, figure)


def test_result_json_has_the_keys_of_its_schema(fold):
    result = json.loads((fold[1] / "result.json").read_text(encoding="utf-8"))
    assert sorted(result) == sorted(KEYS)
    by_group, all_segments = result["metrics_by_group"], result["selected"]["metrics"]
    assert list(by_group) == ["gender:F", "gender:M", "style:scripted", "style:spontaneous"]
    for kind in ("gender", "style"):  # every segment is in one group of each kind
        parts = [by_group[name]["n_scored"] for name in by_group if name.startswith(kind)]
        assert min(parts) > 0 and sum(parts) == all_segments["n_scored"]
    assert sorted(result["selected"]) == ["epoch", "metrics", "metrics_by_corpus"]
    assert result == json.loads(json.dumps(fold[0]))  # what train_fold returned
    assert (result["schema"], result["fold"], result["protocol"], result["seed"]) == (2, 2, "paper", 42)
    assert (result["experiment"], result["fusion"], result["target"]) == ("demo", "tensor_mixer", "peakl")
    assert result["corpora"] == ["kemdy19", "kemdy20"] and result["is_synthetic"] is True
    assert result["code"] and all(len(digest) == 12 and int(digest, 16) >= 0 for digest in result["code"].values())
    assert len(result["fingerprint"]) == 16 and result["seconds"] > 0 and result["peak_memory_mb"] > 0
    assert {"erc", "python", "torch", "transformers", "pytorch-lightning"} <= result["versions"].keys()
    assert [row["epoch"] for row in result["history"]] == [0, 1]
    assert all(math.isfinite(row["train/loss"]) for row in result["history"])


def test_the_counts_are_those_of_the_views(fold, predictions, corpora, cache_dir):
    train_view, valid = (HF_KEMD(mode, 2, root=str(corpora), cache_dir=str(cache_dir)) for mode in ("train", "valid"))
    assert (fold[0]["n_train"], fold[0]["n_reported_on"]) == (len(train_view), len(valid))
    assert fold[0]["n_chosen_on"] == fold[0]["n_reported_on"]  # protocol=paper
    assert predictions["segment_id"].tolist() == sorted(valid.ds["segment_id"])
    metrics = fold[0]["selected"]["metrics"]
    assert metrics["n_scored"] + metrics["n_tied"] == len(valid) and metrics["n_tied"] == sum(valid.ds["is_tied"]) > 0


def test_predictions_hold_the_truth_and_read_back_digit_by_digit(fold, predictions, corpora, cache_dir):
    assert (
        predictions.columns.tolist()
        == COLUMNS
        == (
            ["segment_id", "corpus", "session", "dialogue", "speaker", *(f"votes_{e}" for e in EMOTIONS)]
            + [*(f"soft_{e}" for e in EMOTIONS), "hard_label", "is_tied", "valence", "arousal"]
            + [*(f"prob_{e}" for e in EMOTIONS), "pred_valence", "pred_arousal"]
        )
    )
    valid = HF_KEMD("valid", 2, root=str(corpora), cache_dir=str(cache_dir))
    by_id = {row["segment_id"]: row for row in valid}
    for row in predictions.to_dict("records"):
        truth = by_id[row["segment_id"]]
        assert [row[name] for name in SOFT] == [votes / 10 for votes in truth["votes"].tolist()]
        assert [row[name] for name in VOTES] == truth["votes"].tolist()
        for name in ("corpus", "session", "dialogue", "speaker", "hard_label", "is_tied", "valence", "arousal"):
            assert row[name] == truth[name], name
    np.testing.assert_allclose(predictions[PROB].sum(axis=1), 1, atol=1e-15)
    # the very numbers: written again, the file is the same to the byte
    assert predictions.to_csv(index=False) == (fold[1] / "predictions.csv").read_text(encoding="utf-8")
    again = evaluate_table(predictions, KEMD)
    for name, value in fold[0]["selected"]["metrics"].items():
        assert math.isnan(again[name]) if value is None else again[name] == value, name


def test_embeddings_stand_in_the_order_of_the_predictions_and_give_them(fold, predictions):
    with np.load(fold[1] / "embeddings.npz") as file:
        segment_id, embedding = file["segment_id"], file["embedding"]
    assert segment_id.tolist() == predictions["segment_id"].tolist() and embedding.dtype == np.float32
    heads = torch.load(fold[1] / "best.ckpt", weights_only=True)["state_dict"]
    # the heads are one linear map each, so probabilities and values can be had again from the vectors
    logits, va = (
        embedding @ heads[f"model.heads.{name}.weight"].numpy().T + heads[f"model.heads.{name}.bias"].numpy()
        for name in ("emotion", "va")
    )
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probs, predictions[PROB], atol=1e-5)
    np.testing.assert_allclose(va, predictions[["pred_valence", "pred_arousal"]], atol=1e-5)


def test_the_majority_row_is_scored_like_the_model(fold, predictions, corpora, cache_dir):
    labels = HF_KEMD("train", 2, root=str(corpora), cache_dir=str(cache_dir)).ds.select_columns(
        ["hard_label", "is_tied"]
    )
    untied = [row["hard_label"] for row in labels if not row["is_tied"]]
    most = max(set(untied), key=untied.count)
    scored = predictions[~predictions["is_tied"]]["hard_label"]
    guess = np.full(len(scored), most)
    majority = fold[0]["majority"]
    assert majority["accuracy"] == pytest.approx(accuracy_score(scored, guess))
    assert majority["weighted_f1"] == pytest.approx(f1_score(scored, guess, average="weighted", zero_division=0))
    assert majority["uar"] == pytest.approx(1 / scored.nunique())
    assert majority["auroc"] == 0.5
    assert majority["ccc_valence"] == pytest.approx(0, abs=1e-12)
    assert fold[0]["majority_by_corpus"].keys() == {"kemdy19", "kemdy20"}
    for name, part in predictions[~predictions["is_tied"]].groupby("corpus"):
        expected = accuracy_score(part["hard_label"], np.full(len(part), most))
        assert fold[0]["majority_by_corpus"][name]["accuracy"] == pytest.approx(expected)


def test_the_best_epoch_of_each_metric_is_its_maximum_over_the_history(fold):
    result = fold[0]
    for name, found in result["best_epoch_per_metric"].items():
        values = [row[f"valid/{name}"] for row in result["history"]]
        best = max(value for value in values if value is not None)
        assert found["value"] == best and result["history"][found["epoch"]][f"valid/{name}"] == best, name
        assert result["selected"]["metrics"][name] <= best + 1e-6  # what is reported cannot be better than the best
    assert {"weighted_f1", "ccc_valence", "accuracy"} <= result["best_epoch_per_metric"].keys()
    assert not {"n_scored", "n_tied"} & result["best_epoch_per_metric"].keys()


def test_the_selected_epoch_is_the_first_of_the_best_by_validation_accuracy(fold):
    accuracy = [row["valid/accuracy"] for row in fold[0]["history"]]
    assert fold[0]["selected"]["epoch"] == accuracy.index(max(accuracy))
    assert fold[0]["selected"]["metrics"]["accuracy"] == pytest.approx(max(accuracy), abs=1e-6)


# --- small tables -----------------------------------------------------------------------------------------------------
def make_table(n: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(10, [1 / 7] * 7, size=n)
    table = pd.DataFrame(votes / 10, columns=SOFT)
    table[VOTES] = votes
    table["segment_id"] = [f"Sess01_script01_F{i:03d}" for i in range(n)]
    table = table.assign(corpus="kemdy19", session=1, dialogue="Sess01_script01", speaker="Sess01F")
    table["hard_label"], table["is_tied"] = rng.integers(0, 7, size=n), rng.random(n) < 0.2
    table[["valence", "arousal"]] = rng.integers(10, 51, size=(n, 2)) / 10
    table[PROB] = rng.dirichlet(np.ones(7), size=n)
    table[["pred_valence", "pred_arousal"]] = rng.normal(3, 1, size=(n, 2))
    return table[COLUMNS]


def test_nan_stands_as_null_in_result_json(tmp_path):
    table = make_table(1)
    table["is_tied"] = False
    history = [{"epoch": 0, "valid/auroc": math.nan, "valid/accuracy": 0.0, "train/loss": math.inf}]
    write_fold(tmp_path, table, make_result(table, table, history, 0, FACTS), make_gathered(table))
    text = (tmp_path / "result.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text
    result = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert result["selected"]["metrics"]["auroc"] is None  # one segment has no curve
    assert result["history"][0]["valid/auroc"] is None and result["history"][0]["train/loss"] is None
    assert "auroc" not in result["best_epoch_per_metric"]


def test_numpy_s_numbers_stand_as_plain_ones(tmp_path):
    table = make_table()
    history = [{"epoch": np.int64(0), "valid/accuracy": np.float32(0.5)}]
    write_fold(tmp_path, table, make_result(table, table, history, np.int64(0), FACTS), make_gathered(table))
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["history"] == [
        {"epoch": 0, "valid/accuracy": 0.5}
    ]


def test_of_equally_good_epochs_the_first_is_best():
    table = make_table()
    history = [{"epoch": i, "valid/accuracy": value} for i, value in enumerate([0.25, 0.5, 0.5, 0.25])]
    result = make_result(table, table, history, 1, FACTS)
    assert result["best_epoch_per_metric"] == {"accuracy": {"epoch": 1, "value": 0.5}}


def test_what_is_selected_does_not_come_from_the_best_epochs():
    # the published reading is a second set of figures; the two must never be mixed up
    table = make_table()
    history = [{"epoch": 0, "valid/weighted_f1": 0.99}, {"epoch": 1, "valid/weighted_f1": 0.2}]
    result = make_result(table, table, history, 1, FACTS)
    assert result["selected"]["metrics"]["weighted_f1"] == evaluate_table(table, KEMD)["weighted_f1"] != 0.99
    assert result["best_epoch_per_metric"]["weighted_f1"] == {"epoch": 0, "value": 0.99}


def test_the_result_is_written_last(tmp_path, monkeypatch):
    table = make_table()
    written = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (written.append(Path(b).name), real(a, b)))
    write_fold(tmp_path, table, make_result(table, table, [], 0, FACTS), make_gathered(table))
    assert sorted(written) == sorted(os.listdir(tmp_path)) == ["embeddings.npz", "predictions.csv", "result.json"]
    assert written[-1] == "result.json"


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_atomically(path, "whole")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "half of this")
    assert path.read_bytes() == b"whole" and os.listdir(tmp_path) == ["result.json"]


def make_data_set(table: pd.DataFrame) -> Dataset:
    names = ["segment_id", "corpus", "session", "dialogue", "speaker", "hard_label", "is_tied", "valence", "arousal"]
    rows = table[names].to_dict("records")
    votes = table[VOTES].to_numpy().tolist()
    return Dataset.from_list([row | {"votes": v} for row, v in zip(rows, votes, strict=True)])


def make_gathered(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {
        "segment_id": table["segment_id"].to_numpy(),
        "emotion_probs": table[PROB].to_numpy(),
        "pred_va": table[["pred_valence", "pred_arousal"]].to_numpy(),
        "embedding": np.arange(3.0 * len(table)).reshape(-1, 3),
    }


def test_predictions_find_their_segments_whatever_the_order():
    table = make_table()
    shuffled = table.sample(frac=1, random_state=3)
    found = predictions_table(make_data_set(table), KEMD, make_gathered(shuffled))
    pd.testing.assert_frame_equal(found, table, check_dtype=False)


@pytest.mark.parametrize("side", ["data set", "predictions"])
def test_a_segment_that_is_missing_on_one_side_is_an_error(side):
    table = make_table()
    ds = make_data_set(table[1:] if side == "data set" else table)
    gathered = make_gathered(table if side == "data set" else table[1:])
    with pytest.raises(ValueError, match="Every segment is predicted once: 1 of"):
        predictions_table(ds, KEMD, gathered)


def test_truth_holds_the_raters_shares():
    table = make_table()
    pd.testing.assert_frame_equal(
        truth_table(make_data_set(table), KEMD)[SOFT], table[SOFT], check_exact=False, atol=1e-15, rtol=0
    )


def test_truth_holds_the_raters_votes_and_the_recording_of_each_segment():
    table = make_table().assign(session=range(12), dialogue=[f"Sess{i:02d}_impro01" for i in range(12)])
    found = truth_table(make_data_set(table), KEMD)
    assert found.columns.tolist() == TRUTH
    names = ["segment_id", "session", "dialogue", *VOTES]
    pd.testing.assert_frame_equal(found[names], table[names], check_dtype=False)


def test_a_result_tells_what_was_chosen_on_from_what_is_reported():
    table, training = make_table(12), make_table(30, seed=1)
    result = make_result(table, training, [], 0, FACTS)
    assert (result["n_train"], result["n_chosen_on"], result["n_reported_on"]) == (30, 33, 12)
    assert result["is_synthetic"] is True and result["code"] == {"model/heads.py": "0" * 12}
    assert make_result(table, training, [], 0, FACTS | {"is_synthetic": np.bool_(False)})["is_synthetic"] is False


def test_the_majority_of_another_training_set_is_another_row():
    table = make_table(30)
    table["is_tied"] = False
    for emotion in range(7):
        found = evaluate_majority(table, table.assign(hard_label=emotion), KEMD)
        assert found["accuracy"] == pytest.approx((table["hard_label"] == emotion).mean())


def test_the_summary_shows_the_model_above_the_majority():
    table = make_table(20)
    result = make_result(table, table, [], 0, FACTS)
    header, model, majority = summary_text(result).splitlines()[:3]
    assert model.startswith("model") and majority.startswith("majority")
    assert len(header) == len(model) == len(majority) <= 80  # columns of a terminal
    shown = dict(zip(header.split(), model.split()[1:], strict=True))
    assert shown["weighted_f1"] == f"{result['selected']['metrics']['weighted_f1']:.3f}"
    result["selected"]["metrics"]["uar"] = None
    assert "-" in summary_text(result).splitlines()[1].split()


def test_metrics_by_group_are_those_of_the_group_s_segments_alone(fold, predictions):
    sexes = np.where(np.arange(len(predictions)) % 3 == 0, "F", np.where(np.arange(len(predictions)) % 3 == 1, "M", ""))
    order = np.random.default_rng(0).permutation(len(predictions))  # by id, and not by place
    groups = pd.DataFrame({"gender": sexes}, index=predictions["segment_id"]).iloc[order]
    found = evaluate_groups(predictions, groups, KEMD)
    assert list(found) == ["gender:F", "gender:M"]  # who is of no known sex is in no group
    for name in "FM":
        alone = evaluate_table(predictions[sexes == name], KEMD)
        assert found[f"gender:{name}"] == pytest.approx(alone, nan_ok=True) and alone["n_scored"] > 0
