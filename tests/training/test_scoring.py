"""A checkpoint scored again: the same figures on the same fold, any other fold, and a run folder that stays as it is."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from programs import run_program

import evaluate
from erc.datasets import HF_KEMD


@pytest.fixture(scope="module")
def run_dir(corpora, cache_dir, tmp_path_factory) -> Path:
    """A run of one epoch on fold 4, whose training and validation sets are of 60 segments."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    data = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=60"]
    small = ["dataloader.collate.max_samples=8000", "trainer.max_epochs=1", f"hydra.run.dir={folder}"]
    done = run_program("train.py", "experiment=demo", "protocol=nested", "target=hard", *data, *small)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def unchanged(run_dir):
    """The run folder is byte for byte the same after the test."""

    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}

    before = content()
    yield run_dir
    assert content() == before


def view(corpora: Path, cache_dir: Path, mode: str, fold: int) -> HF_KEMD:
    return HF_KEMD(mode, fold, root=str(corpora), cache_dir=str(cache_dir), num_data=60, protocol="nested")


def test_the_command_gives_bit_equal_predictions_on_the_run_s_own_fold(unchanged, tmp_path):
    done = run_program("evaluate.py", unchanged, f"--out={tmp_path / 'scores'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scores" / "predictions.csv").read_bytes() == (unchanged / "predictions.csv").read_bytes()
    found = json.loads((tmp_path / "scores" / "evaluation.json").read_text(encoding="utf-8"))
    result = json.loads((unchanged / "result.json").read_text(encoding="utf-8"))
    for key in ("selected", "majority", "fingerprint", "code", "n_train", "n_chosen_on", "n_reported_on", "human"):
        assert found[key] == result[key], key
    assert (found["n_in_training"], found["n_in_choosing"], found["mode"], found["checkpoint"]) == (
        0,
        0,
        "test",
        "model",
    )
    assert "majority" in done.stdout and "Attention" not in done.stdout
    assert sorted(os.listdir(tmp_path / "scores")) == ["evaluation.json", "predictions.csv"]


def test_another_fold_is_scored_and_segments_of_the_training_set_are_told(
    unchanged, corpora, cache_dir, tmp_path, capsys
):
    evaluate.main([str(unchanged), "--fold=0", f"--out={tmp_path}"])
    found = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    expected = set(view(corpora, cache_dir, "test", 0).ds["segment_id"])
    assert set(pd.read_csv(tmp_path / "predictions.csv")["segment_id"]) == expected
    # fold 0 chose the checkpoint (nested: the fold behind 4), and trained nothing
    assert (found["fold"], found["n_in_training"], found["n_in_choosing"]) == (0, 0, 60)
    told = capsys.readouterr().out
    assert "60 of them chose the run's checkpoint." in told and "Attention" not in told

    evaluate.main([str(unchanged), "--mode=train", f"--out={tmp_path}"])
    found = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    scored = view(corpora, cache_dir, "train", 4).ds
    trained = set(
        HF_KEMD(
            "train", 4, root=str(corpora), cache_dir=str(cache_dir), num_data=60, protocol="nested", drop_tied=True
        ).ds["segment_id"]
    )
    n_both = len(set(scored["segment_id"]) & trained)
    assert 0 < n_both < 60  # tied segments trained nothing under hard labels, and are scored
    assert (found["n_in_training"], found["n_reported_on"]) == (n_both, 60)
    assert f"Attention: {n_both} of them were in the run's training set." in capsys.readouterr().out


def test_fold_minus_one_scores_all_segments_and_nothing_is_written_without_out(
    unchanged, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    evaluate.main([str(unchanged), "--fold=-1"])
    told = capsys.readouterr().out
    # the first 60 of all segments are those of fold 0
    assert "no split, 60 segments" in told and "60 of them chose the run's checkpoint." in told
    assert os.listdir(tmp_path) == []


def complaint(capsys, *arguments: str) -> str:
    """What the command says on standard error when it ends with exit code 1."""
    with pytest.raises(SystemExit) as ended:
        evaluate.main(list(arguments))
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.mark.slow
def test_another_checkpoint_can_be_named_and_a_missing_one_is_an_error_that_names_those_there(
    unchanged, capsys, tmp_path
):
    evaluate.main([str(unchanged), "--checkpoint=best.ckpt", f"--out={tmp_path}"])
    assert (tmp_path / "predictions.csv").read_bytes() == (unchanged / "predictions.csv").read_bytes()
    evaluate.main([str(unchanged), "--checkpoint=last.ckpt"])
    assert "last.ckpt (epoch 1)" in capsys.readouterr().out
    assert re.search(
        r"expected .*epoch9\.ckpt, .* are there: best\.ckpt, last\.ckpt, model",
        complaint(capsys, str(unchanged), "--checkpoint=epoch9.ckpt"),
    )


def test_the_run_folder_is_no_place_to_write_to(unchanged, capsys):
    for out in (unchanged, unchanged / "scores"):
        assert "A run folder stays as it is" in complaint(capsys, str(unchanged), f"--out={out}")


def test_a_folder_that_is_no_run_ends_the_command_with_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"expected .*config\.yaml, it is not there"):
        evaluate.main([str(tmp_path)])


@pytest.mark.parametrize("wrong", ["--fold=5", "--mode=dev", "--chekpoint=x"])
def test_a_wrong_option_stops_the_command(tmp_path, wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        evaluate.main([str(tmp_path), wrong])
    assert stop.value.code == 2 and wrong.split("=")[0] in capsys.readouterr().err


def test_a_saved_model_without_a_result_is_refused_in_words(run_dir, tmp_path, capsys):
    # a run that was stopped between the two
    stopped = shutil.copytree(run_dir, tmp_path / "stopped")
    (stopped / "result.json").unlink()
    assert re.search(r"expected a valid result\.json, .* name a checkpoint", complaint(capsys, str(stopped)))
    evaluate.main([str(stopped), "--checkpoint=best.ckpt"])
