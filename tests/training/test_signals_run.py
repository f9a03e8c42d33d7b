"""Runs with bio-signals: what the encoder is given, a run without them, and a fusion that finds none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from erc.data import read_source
from erc.datasets import HF_KEMD
from erc.model import load_model
from erc.synthetic import write
from erc.training.run import train_fold

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write(root=str(folder / "data"), sessions=5, segments=2, seconds=1.0, corpora="kemdy20", signals=True)
    return folder


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """Trains the demo's row of a fusion for one epoch; returns the run folder."""

    def run(fusion: str, *options: str) -> Path:
        read_source.cache_clear()
        run_dir = tmp_path_factory.mktemp(fusion)
        data = ["synthetic=null", "dataset.dataset_name=kemdy20", f"dataset.root={root / 'data'}"]
        data += [f"dataset.cache_dir={root / 'cache'}", f"run_dir={run_dir}", "trainer.max_epochs=1"]
        quiet = ["trainer.enable_progress_bar=false", "scheduler=none", f"fusion=small/{fusion}"]
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            made = compose("train", ["experiment=demo_grid", *data, *quiet, *options])
            config = OmegaConf.to_container(made, resolve=True)
        parts = instantiate(OmegaConf.create(config), _convert_="all")
        train_fold(parts, {"experiment": "demo_grid", "fusion": fusion, "target": "peakl"}, config)
        return run_dir

    return run


@pytest.mark.slow
def test_the_encoder_of_signals_knows_mean_and_deviation_of_the_training_segments(run, root):
    model = load_model(run("concat_3", "dataset.signals=features", "model.modality_dropout=0.2") / "model").model
    read_source.cache_clear()
    train = HF_KEMD(
        "train", dataset_name="kemdy20", root=str(root / "data"), cache_dir=str(root / "cache"), signals="features"
    )
    features = np.asarray(train.ds["signal_features"][:])
    known = np.isfinite(features).any(axis=0)
    encoder = model.emotion_model.encoders["signals"]
    np.testing.assert_allclose(encoder.center[known], np.nanmean(features[:, known], axis=0), rtol=1e-5)
    learned = model.emotion_model.missing.replacements
    assert sorted(learned) == ["audio", "signals", "text"]
    assert all(vector.abs().max() > 0 for vector in learned.values())  # they began at 0


def test_signals_that_no_part_of_the_model_reads_change_no_prediction(run):
    plain, beside = run("text_only"), run("text_only", "dataset.signals=sequence")
    assert (plain / "predictions.csv").read_bytes() == (beside / "predictions.csv").read_bytes()


def test_sequences_train_as_features_do_and_shuffled_ones_give_another_result(run):
    plain, shuffled = (
        run("signals_only", "dataset.signals=sequence", *options) for options in ([], ["dataset.shuffle_signals=true"])
    )
    assert (plain / "predictions.csv").read_bytes() != (shuffled / "predictions.csv").read_bytes()


def test_a_fusion_that_reads_signals_says_at_once_that_the_data_have_none(run):
    with pytest.raises(ValueError, match=r"expected dataset\.signals=features or dataset\.signals=sequence"):
        run("tensor_mixer_3")
