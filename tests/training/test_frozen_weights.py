"""Checkpoints of a run with frozen layers: what is left out, going on from them, and other encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_cells import Cut, SmallCell

from erc.model import SharedWeights, load_model

OPTIONS = ("encoders.text.train_last=1", "trainer.max_epochs=3", "resume=true")


@pytest.fixture(scope="module")
def cell(tmp_path_factory, corpora, cache_dir) -> SmallCell:
    return SmallCell(tmp_path_factory.mktemp("frozen_weights"), corpora, cache_dir)


@pytest.fixture(scope="module")
def whole(cell) -> Path:
    cell(*OPTIONS, folder="whole")
    return cell.root / "whole"


def test_a_checkpoint_holds_no_frozen_weight_and_a_run_goes_on_from_it_as_if_never_stopped(cell, whole):
    with pytest.raises(Cut):
        cell(*OPTIONS, folder="cut", cut_at=2)
    last = torch.load(cell.root / "cut" / "last.ckpt", weights_only=True)
    names = set(last["state_dict"])
    model = load_model(whole / "model").model.emotion_model
    below = {f"model.{name}" for name, _ in model.named_parameters() if "embeddings." in name or ".layer.0." in name}
    above = {f"model.{name}" for name, _ in model.named_parameters()} - below
    assert below and not names & below
    assert above <= names
    assert set(last["frozen"]) == {"text"}
    cell(*OPTIONS, folder="cut")
    assert (cell.root / "cut" / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    name = "model/model-text-frozen.safetensors"
    assert (cell.root / "cut" / name).samefile(whole / name)  # on the disk once


def test_the_room_for_frozen_weights_is_checked_before_training(cell, whole, monkeypatch):
    monkeypatch.setattr(SharedWeights, "lacking_bytes", lambda *_: 10**18)
    with pytest.raises(OSError, match=r"must have room .*expected 1,000,000,000,\d{3},\d{3},\d{3} bytes"):
        cell(*OPTIONS, folder="full")


def test_a_checkpoint_is_not_completed_by_another_encoder(cell):
    with pytest.raises(Cut):
        cell(*OPTIONS, folder="other", cut_at=2)
    last = cell.root / "other" / "last.ckpt"
    changed = torch.load(last, weights_only=True)
    changed["frozen"]["text"] = "0" * 32
    torch.save(changed, last)
    (cell.root / "other" / "previous.ckpt").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="text has other frozen weights now"):
        cell(*OPTIONS, folder="other")
