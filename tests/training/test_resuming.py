"""A run folder taken up again: after an early stop, by another run, by other code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from erc.training import identity as training_identity, read_back, run as training_run, run_folder
from erc.training.history import EpochHistory
from erc.training.identity import Identity

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


class Cut(Exception):
    """Stands for a kill: nothing after it runs."""


@pytest.fixture
def train_cell(corpora, cache_dir, tmp_path):
    """Trains a small cell in this process; its learning rates are 0, so that accuracy never gets better."""

    def train(*changes: str) -> dict:
        data = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=8"]
        rates = [f"optim.lr.{part}=0.0" for part in ("text", "fusion", "heads", "audio")]
        options = ["resume=true", f"run_dir={tmp_path}", "trainer.max_epochs=9", "scheduler=none"]
        options += ["callbacks.early_stopping.patience=2", "trainer.enable_progress_bar=false"]
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            row = ["experiment=demo_grid", "fusion=small/text_only", "target=peakl"]
            config = compose("train", [*row, *data, *rates, *options, *changes])
        plain = OmegaConf.to_container(config, resolve=True)
        names = {"experiment": "demo_grid", "fusion": "text_only", "target": "peakl"}
        return training_run.train_fold(instantiate(OmegaConf.create(plain), _convert_="all"), names, plain)

    return train


def test_a_run_that_was_cut_right_after_it_stopped_early_takes_no_further_epoch(train_cell, tmp_path, monkeypatch):
    def cut(*_):
        raise Cut("the power failed between the last epoch and the result")

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "load_selected", cut)
        with pytest.raises(Cut):
            train_cell()
    assert run_folder.state_of(tmp_path) == "failed" and "the power failed" in read_back.error_of(tmp_path)
    # three epochs: the first sets the mark, two bring nothing better (patience 2)
    assert read_back.epochs_done(tmp_path) == 3
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)  # says whose it is
    (history,) = (state for name, state in checkpoint["callbacks"].items() if name.startswith("EpochHistory"))
    identity = Identity.from_json((tmp_path / "identity.json").read_text(encoding="utf-8"))
    assert history["fingerprint"] == identity.fingerprint
    before = (tmp_path / "metrics.csv").read_bytes()
    result = train_cell()
    assert [row["epoch"] for row in result["history"]] == [0, 1, 2]
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert result["selected"]["epoch"] == 0  # the first of equal ones
    assert run_folder.state_of(tmp_path) == "done" and not (tmp_path / "error.json").exists()


def test_a_run_that_was_cut_before_it_stopped_early_takes_the_epochs_that_are_left(train_cell, tmp_path, monkeypatch):
    real = EpochHistory.on_train_epoch_start

    def cut(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise Cut("the power failed as the third epoch began")
        real(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(EpochHistory, "on_train_epoch_start", cut)
        with pytest.raises(Cut):
            train_cell()
    assert read_back.epochs_done(tmp_path) == 2
    assert [row["epoch"] for row in train_cell()["history"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("callbacks.best.monitor=valid/weighted_f1", "callbacks.best.monitor"),
        ("+trainer.limit_train_batches=1", "trainer.limit_train_batches: not set there, 1 now"),
        ("protocol=nested", 'protocol: "paper" there, "nested" now'),
    ],
)
def test_a_finished_folder_refuses_another_run_and_keeps_all_its_files(train_cell, tmp_path, change, named):
    short = "trainer.max_epochs=1"
    result = train_cell(short)

    def content() -> dict[str, bytes]:
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = content()
    assert {"config.yaml", "identity.json", "metrics.csv", "predictions.csv", "result.json"} <= set(before)
    assert {"model/config.json", "model/model.safetensors"} <= set(before) and "best.ckpt" not in before
    with pytest.raises(FileExistsError, match=named):
        train_cell(short, change)
    assert content() == before  # no file is changed, and none is added
    # control: its own run is finished, and options that decide nothing do not matter
    assert train_cell(short, "dataloader.num_workers=1") == result
    assert content() == before


def test_a_finished_run_of_other_code_is_refused_until_that_is_accepted(train_cell, tmp_path, monkeypatch):
    short = "trainer.max_epochs=1"
    result = train_cell(short)
    real = training_identity.code_hashes

    def edited(*args, **kwargs) -> dict[str, str]:
        return real(*args, **kwargs) | {"model/fusion/text_only.py": "0" * 12}

    monkeypatch.setattr(training_identity, "code_hashes", edited)
    with pytest.raises(
        FileExistsError, match=r"these files changed: model/fusion/text_only\.py\. Keep .*accept_code=true"
    ):
        train_cell(short)
    assert train_cell(short, "accept_code=true") == result
    assert result["code"]["model/fusion/text_only.py"] != "0" * 12  # the result still says what trained it


def test_the_configuration_that_is_kept_is_the_run_s(train_cell, tmp_path):
    train_cell("trainer.max_epochs=1")
    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert (config["trainer"]["max_epochs"], config["optim"]["lr"]["text"], config["run_dir"]) == (
        1,
        0.0,
        str(tmp_path),
    )
