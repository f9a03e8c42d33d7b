"""Whole runs with frozen layers, with and without a cache: the same figures, and a saved model that needs no cache."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate
from kemd_columns import PROB
from omegaconf import OmegaConf
from small_cells import SmallCell

from erc.inference import Predictor
from erc.training.run import train_fold
from erc.training.scoring import score_again

FIGURES = [*PROB, "pred_valence", "pred_arousal"]
N_SEGMENTS = 12


@pytest.fixture(scope="module")
def train(tmp_path_factory, corpora, cache_dir):
    """Trains a row on twelve segments for two epochs; returns its configuration."""
    cell = SmallCell(tmp_path_factory.mktemp("cached"), corpora, cache_dir)
    options = [
        f"dataset.num_data={N_SEGMENTS}",
        "dataloader.batch_size=5",
        "trainer.max_epochs=2",
        "~callbacks.untrained",
    ]

    def run(folder: str, fusion: str, *changes: str) -> dict:
        config = cell.config(f"fusion=small/{fusion}", *options, *changes, folder=folder)
        parts = instantiate(OmegaConf.create(config), _convert_="all")
        train_fold(parts, {"experiment": "demo_grid", "fusion": fusion, "target": "peakl"}, config)
        return config

    return run


def predictions(config: dict) -> pd.DataFrame:
    return pd.read_csv(f"{config['run_dir']}/predictions.csv")


def metrics(config: dict) -> dict[str, float]:
    with open(f"{config['run_dir']}/result.json", encoding="utf-8") as file:
        return json.load(file)["selected"]["metrics"]


@pytest.fixture(scope="module", params=[("concat", 0, 0), ("cross_attention", 1, 0)], ids=["pooled", "last layer"])
def both(request, train) -> tuple[dict, dict]:
    """Configurations of a run without and with cache, which are otherwise the same."""
    fusion, audio, text = request.param
    cut = [f"encoders.audio.train_last={audio}", f"encoders.text.train_last={text}"]
    return train(f"{fusion}-plain", fusion, *cut), train(f"{fusion}-cached", fusion, *cut, "dataloader.cache=fp32")


@pytest.mark.slow
def test_a_cached_run_gives_the_figures_of_one_without_cache(both):
    plain, cached = (predictions(config) for config in both)
    assert plain["segment_id"].tolist() == cached["segment_id"].tolist()
    np.testing.assert_allclose(cached[FIGURES], plain[FIGURES], rtol=0, atol=2e-5)
    assert plain[FIGURES].std().min() > 2e-4  # control: the segments differ by more than that
    plain_metrics, cached_metrics = map(metrics, both)
    assert cached_metrics == pytest.approx(plain_metrics, abs=1e-3, nan_ok=True)


@pytest.mark.slow
def test_the_saved_model_of_a_cached_run_is_whole(both, tmp_path):
    plain, cached = both
    name = "model/model-audio-frozen.safetensors"
    assert os.path.samefile(
        f"{plain['run_dir']}/{name}", f"{cached['run_dir']}/{name}"
    )  # frozen weights are there once
    model = Predictor.from_pretrained(cached["run_dir"])  # no cache is named here
    assert set(model.modalities) == {"audio", "text"}
    parts = instantiate(OmegaConf.create(cached), _convert_="all")
    score_again(parts, cached, cached["run_dir"], out=tmp_path / "scores")
    found = pd.read_csv(tmp_path / "scores" / "predictions.csv")
    np.testing.assert_allclose(found[FIGURES], predictions(cached)[FIGURES], rtol=0, atol=2e-5)
