"""A run from the command line, as real processes: its files, its errors, and what it keeps to itself.

Being stopped and killed: faults/test_interrupted_runs.py.
"""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from programs import run_program
from transformers import BertTokenizer, RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

from erc.data.corpora import CORPORA
from erc.datasets import HF_KEMD
from erc.model.pretrained import tiny_vocabulary
from erc.training.assembly import check_lengths, make_views
from erc.training.identity import code_hashes

ROOT = Path(__file__).resolve().parents[2]


def command(corpora: Path, cache_dir: Path, run_dir: Path, *overrides: str) -> list[str]:
    """The demo on a few segments, as it is typed."""
    data = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=16"]
    small = ["dataloader.collate.max_samples=8000", "trainer.max_epochs=1", f"hydra.run.dir={run_dir}"]
    return ["train.py", "experiment=demo", *data, *small, *overrides]


def environment(**changes: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"} | changes


def fresh(typed: list[str], **env: str) -> subprocess.CompletedProcess:
    """Runs the command to its end in an interpreter of its own."""
    typed = [sys.executable, *typed]
    return subprocess.run(typed, cwd=ROOT, env=environment(**env), capture_output=True, text=True, timeout=280)


@pytest.fixture
def train(corpora, cache_dir, tmp_path):
    """Runs the command to its end; the run folder is ``tmp_path / "run"``."""

    def train(*overrides: str) -> subprocess.CompletedProcess:
        return run_program(*command(corpora, cache_dir, tmp_path / "run", *overrides))

    return train


def result_of(run_dir: Path) -> dict:
    return json.loads((run_dir / "result.json").read_text(encoding="utf-8"))


# --- what a run leaves ------------------------------------------------------------------------------------------------
def test_the_demo_trains_one_fold_and_leaves_its_files(corpora, cache_dir, tmp_path):
    done = fresh(command(corpora, cache_dir, tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    run_dir = tmp_path / "run"
    expected = {"config.yaml", "metrics.csv", "best.ckpt", "last.ckpt", "predictions.csv", "result.json"}
    assert expected <= set(os.listdir(run_dir))
    assert not [name for name in os.listdir(run_dir) if ".tmp-" in name]
    result = result_of(run_dir)
    assert (result["experiment"], result["fusion"], result["target"]) == ("demo", "tensor_mixer", "peakl")
    assert (result["n_train"], result["n_chosen_on"], result["n_reported_on"]) == (16, 16, 16)
    assert (result["fold"], result["seed"], result["is_synthetic"]) == (4, 42, True)
    assert len(result["fingerprint"]) == 16 and set(result["code"]) == set(code_hashes())
    assert len(pd.read_csv(run_dir / "predictions.csv")) == 16
    with open(run_dir / "metrics.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["train/loss"]) == result["history"][0]["train/loss"]
    assert "epoch 1/1" in done.stdout and "majority" in done.stdout and str(run_dir / "result.json") in done.stdout
    config = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    assert config["dataset"]["num_data"] == 16 and config["encoders"]["audio"]["name"] == "tiny"
    # a checkpoint holds plain values only: it loads where no code may run
    assert torch.load(run_dir / "best.ckpt", weights_only=True)["epoch"] == 0


@pytest.mark.slow
def test_a_fast_dev_run_goes_through_and_writes_no_result(train, tmp_path):
    done = train("+trainer.fast_dev_run=True")
    assert done.returncode == 0, done.stderr
    assert "fast_dev_run" in done.stdout
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_a_nested_run_reports_segments_that_neither_trained_nor_chose(train, tmp_path, corpora, cache_dir):
    done = train(
        "protocol=nested", "dataset.validation_fold=4", "dataset.num_data=null", "+trainer.limit_train_batches=3"
    )
    assert done.returncode == 0, done.stderr
    result = result_of(tmp_path / "run")
    assert result["protocol"] == "nested" and result["fold"] == 4
    reported = pd.read_csv(tmp_path / "run" / "predictions.csv")
    view = functools.partial(HF_KEMD, root=str(corpora), cache_dir=str(cache_dir), validation_fold=4)
    used = {mode: set(view(mode=mode, protocol="nested").ds["segment_id"]) for mode in ("train", "valid", "test")}
    assert set(reported["segment_id"]) == used["test"]
    assert not used["test"] & (used["train"] | used["valid"])
    sizes = [result[name] for name in ("n_train", "n_chosen_on", "n_reported_on")]
    assert sizes == [len(used[mode]) for mode in ("train", "valid", "test")]
    assert sizes[1] != sizes[2]  # control: two numbers that could be exchanged
    assert f"{sizes[0]} training, {sizes[1]} choosing and {sizes[2]} reported segments" in done.stdout
    # fold 4 is the last fifth of each corpus's sessions
    for name, part in reported.groupby("corpus"):
        first = CORPORA[name].n_sessions * 4 // 5 + 1
        assert all(CORPORA[name].parse(segment).session >= first for segment in part["segment_id"])


# --- what a run keeps to itself ---------------------------------------------------------------------------------------
SENTINEL = "붉은여우가강을건넌다"
KEY = "5ec4e7" * 6 + "abcd"  # as long as a key of Weights & Biases


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> list[str]:
    """Options that name an audio and a text encoder written by ``save_pretrained``."""
    root = tmp_path_factory.mktemp("encoders")
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
    Wav2Vec2Model(
        Wav2Vec2Config(**small, conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
    ).save_pretrained(root / "audio")
    vocabulary = {token: i for i, token in enumerate(tiny_vocabulary())}
    RobertaModel(
        RobertaConfig(**small, vocab_size=len(vocabulary), max_position_embeddings=80, pad_token_id=1)
    ).save_pretrained(root / "text")
    BertTokenizer(vocab=vocabulary, do_lower_case=False).save_pretrained(root / "text")
    return [f"encoders.audio.name={root / 'audio'}", f"encoders.text.name={root / 'text'}"]


def files_with(text: str, *folders: Path) -> list[str]:
    """Files below these folders that hold a text in any encoding that a log or a data file may use."""
    forms = {text.encode(code) for code in ("utf-8", "cp949", "utf-16-le", "unicode_escape")}
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in paths if any(form in path.read_bytes() for form in forms)]


@pytest.mark.slow
def test_no_transcript_and_no_key_gets_into_a_run_s_files_or_weights_and_biases(corpora, tmp_path, encoders):
    root, cache, run_dir = tmp_path / "data", tmp_path / "cache", tmp_path / "run"
    shutil.copytree(corpora, root)
    for path in root.rglob("*.txt"):
        if path.parent != root and "wav" in path.parts:
            path.write_text(f"{SENTINEL} {path.stem}", encoding="utf-8")
    options = [*encoders, "logger=wandb", "dataloader.batch_size=4"]
    done = fresh(command(root, cache, run_dir, *options), WANDB_MODE="offline", WANDB_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert result_of(run_dir)["n_reported_on"] == 16
    assert list(run_dir.rglob("*.wandb")), "Weights & Biases wrote nothing"
    assert files_with(SENTINEL, run_dir) == [] and SENTINEL not in done.stdout + done.stderr
    assert files_with(KEY, run_dir) == [] and KEY not in done.stdout + done.stderr
    # control: the data set holds it, and the search finds it there
    assert files_with(SENTINEL, cache)


# --- errors -----------------------------------------------------------------------------------------------------------
def test_a_misspelt_option_stops_the_command_by_name(train, tmp_path):
    done = train("dataset.validation_flod=3")
    assert done.returncode != 0 and "validation_flod" in done.stderr
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_whatever_is_wrong_in_a_configuration_is_said_at_once_and_nothing_is_run(train, tmp_path):
    marker = tmp_path / "marker"
    done = train(
        "+dataset.validation_flod=3",
        "dataloader.batch_size=1.5",
        f"+callbacks.evil={{_target_: os.mkdir, path: {marker}}}",
    )
    assert done.returncode != 0
    for part in ("3 problems", "dataset.validation_flod", "dataloader.batch_size", "os.mkdir"):
        assert part in done.stderr
    assert not marker.exists() and not (tmp_path / "run" / "result.json").exists()


def test_an_experiment_of_the_old_spelling_is_told_the_new_one():
    for old, new in (
        ("tensor_mixer_soft", "fusion=tensor_mixer target=soft"),
        ("demo/audio_only_peakl", "experiment=demo_grid fusion=small/audio_only target=peakl"),
        ("demo/grid", "experiment=demo_grid"),
        ("'tensor_mixer_soft'", "fusion=tensor_mixer target=soft"),  # Hydra takes quotes
    ):
        done = run_program("train.py", f"experiment={old}", "--cfg", "job")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith(f"got {old.strip(chr(39))}. A row is a fusion and a target now: {new}\n")
        # control: what it says composes
        again = run_program("train.py", *new.split(), "--cfg", "job")
        assert again.returncode == 0, again.stderr


# --- overfitting ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_debug_preset_learns_eight_segments_by_heart(corpora, cache_dir, tmp_path):
    data = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}"]
    done = run_program("train.py", "experiment=demo", "debug=overfit", *data, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    result = result_of(tmp_path)
    assert (result["n_train"], result["n_reported_on"]) == (8, 8)
    losses = [row["train/loss"] for row in result["history"]]
    assert len(losses) == 60 and losses[-1] < 0.3 * losses[0]
    told = [float(line.split("train loss ")[1].split()[0]) for line in done.stdout.splitlines() if "train loss" in line]
    assert told == [round(loss, 3) for loss in losses]


# --- parts of it, in this process -------------------------------------------------------------------------------------
def views(corpora, cache_dir, fold: int, protocol: str, kind: str = "peakl") -> list[HF_KEMD]:
    dataset = functools.partial(HF_KEMD, root=str(corpora), cache_dir=str(cache_dir), validation_fold=fold)
    return list(make_views(dataset, {"protocol": protocol, "target": {"kind": kind}}))


@pytest.mark.parametrize("fold", range(5))
def test_nested_views_share_no_segment_no_session_and_no_speaker(corpora, cache_dir, fold):
    parts = views(corpora, cache_dir, fold, "nested")
    for column in ("segment_id", "speaker"):
        found = [set(part.ds[column]) for part in parts]
        assert all(found) and sum(map(len, found)) == len(set.union(*found)), column
    everything = HF_KEMD(validation_fold=-1, root=str(corpora), cache_dir=str(cache_dir))
    assert sum(map(len, parts)) == len(everything)


def test_the_paper_s_protocol_chooses_and_reports_on_one_fold(corpora, cache_dir):
    train_view, valid, test = views(corpora, cache_dir, 3, "paper")
    assert valid is test
    assert not set(train_view.ds["speaker"]) & set(valid.ds["speaker"])
    # control: nested reports the same fold, but chooses on another
    nested = views(corpora, cache_dir, 3, "nested")
    assert nested[2].ds["segment_id"] == test.ds["segment_id"]
    assert not set(nested[1].ds["segment_id"]) & set(test.ds["segment_id"])


def test_tied_segments_are_left_out_of_training_on_hard_labels_only(corpora, cache_dir):
    by_kind = {kind: views(corpora, cache_dir, 4, "paper", kind) for kind in ("hard", "soft", "peakl")}
    n_tied = sum(by_kind["soft"][0].ds["is_tied"])
    assert n_tied > 0 and not any(by_kind["hard"][0].ds["is_tied"])
    assert len(by_kind["soft"][0]) - len(by_kind["hard"][0]) == n_tied
    assert by_kind["soft"][0].ds["segment_id"] == by_kind["peakl"][0].ds["segment_id"]
    # all three are scored on the same segments
    reported = [parts[2].ds["segment_id"] for parts in by_kind.values()]
    assert reported[0] == reported[1] == reported[2]


class TextModel:
    """A model whose text encoder has a configuration."""

    def __init__(self, config: RobertaConfig) -> None:
        self.encoders = {"text": type("Encoder", (), {"model": type("Model", (), {"config": config})})}


def test_fewer_positions_than_tokens_is_an_error_that_says_how_many_there_are():
    # RoBERTa's positions start behind the padding id: 514 rows hold 512 tokens
    model = TextModel(RobertaConfig(max_position_embeddings=514, pad_token_id=1))
    check_lengths(model, 512)
    with pytest.raises(ValueError, match="it has 512.*is 513.*max_tokens=512"):
        check_lengths(model, 513)


# --- number of threads ------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_number_of_threads_is_the_configuration_s_whatever_the_environment_says(corpora, cache_dir, tmp_path):
    run_program(*command(corpora, cache_dir, tmp_path / "one")).check_returncode()
    fresh(
        command(corpora, cache_dir, tmp_path / "two"), OMP_NUM_THREADS="2"
    ).check_returncode()  # torch reads it at once
    run_program(*command(corpora, cache_dir, tmp_path / "asked", "n_threads=2")).check_returncode()
    found = {name: result_of(tmp_path / name)["n_threads"] for name in ("one", "two", "asked")}
    assert found == {"one": 1, "two": 1, "asked": 2}
    predictions = {name: (tmp_path / name / "predictions.csv").read_bytes() for name in found}
    assert predictions["one"] == predictions["two"]
