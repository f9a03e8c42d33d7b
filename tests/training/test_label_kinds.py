"""Label kinds with options or draws, in small runs: what is trained on, what is written down, and what resuming changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import load_file
from scipy import stats
from small_cells import CONFIG, Cut, SmallCell

from erc.configuration import check_config
from erc.configuration.check import TOP_LEVEL
from erc.evaluation import check_result
from erc.labels import soft_label
from erc.peakl import peak_label
from erc.targets import draw_target, make_target
from erc.training import identify
from erc.training.assembly import build, load_processors, make_views


@pytest.fixture
def cell(tmp_path, corpora, cache_dir) -> SmallCell:
    return SmallCell(tmp_path, corpora, cache_dir)


def loaders(config: dict):
    Path(config["run_dir"]).mkdir(exist_ok=True)
    parts = instantiate(OmegaConf.create(config), _convert_="all")
    views = make_views(parts["dataset"], config)
    _, data, trainer = build(parts, config, load_processors(config), *views)
    data.trainer = trainer
    return data


@pytest.mark.slow
def test_a_resumed_run_on_sampled_labels_equals_one_that_was_never_stopped(cell):
    result = cell("target=sampled", folder="whole")
    with pytest.raises(Cut):
        cell("target=sampled", folder="cut", cut_at=2)
    cell("target=sampled", "resume=true", folder="cut")
    whole, cut = (cell.root / name / "predictions.csv" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    weights = [load_file(cell.root / name / "model" / "model.safetensors") for name in ("whole", "cut")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "target_options" not in result
    # control: labels that are drawn are no soft labels
    cell("target=soft", folder="soft")
    assert (cell.root / "soft" / "predictions.csv").read_bytes() != whole.read_bytes()


@pytest.mark.slow
def test_sharpened_labels_are_matched_to_peakl_once_and_the_temperature_is_written_down(cell, capsys):
    result = cell("target=sharpened")
    temperature = result["target_options"]["temperature"]
    assert f"targets (temperature {temperature:.4g})" in capsys.readouterr().out
    assert check_result(result) is result
    data = loaders(cell.config("target=sharpened", folder="other"))
    votes = np.array(data.train.ds["votes"])
    target = np.concatenate([batch["target"].numpy() for batch in data.train_dataloader()])
    assert len(target) == len(votes) == 8
    aim = stats.entropy(peak_label(soft_label(votes)), axis=1).mean()
    assert stats.entropy(target, axis=1).mean() == pytest.approx(aim, abs=1e-3)
    assert 0 < temperature < 1 and data.collate.target_options == {"temperature": temperature}
    # control: the soft labels of these segments are flatter by more than that
    assert stats.entropy(soft_label(votes), axis=1).mean() > aim + 0.01


def test_the_training_loader_draws_for_its_epoch_and_no_other_loader_draws(cell):
    data = loaders(cell.config("target=sampled", "dataloader.batch_size=3"))
    votes = dict(zip(data.train.ds["segment_id"], np.array(data.train.ds["votes"]), strict=True))
    seen = {}
    for epoch in (0, 1):
        data.trainer.fit_loop.epoch_progress.current.completed = epoch
        data.trainer.fit_loop.epoch_progress.current.processed = epoch
        assert data.trainer.current_epoch == epoch
        for batch in data.train_dataloader():
            ids = batch["segment_id"]
            drawn = draw_target("sampled", np.stack([votes[name] for name in ids]), ids, 42, epoch)
            assert np.array_equal(batch["target"].numpy(), drawn.astype(np.float32))
            seen |= {(epoch, name): target.argmax().item() for name, target in zip(ids, batch["target"], strict=True)}
    assert any(seen[0, name] != seen[1, name] for name in votes)
    for batch in data.val_dataloader():
        assert batch["target"].sum(dim=1) == pytest.approx(1, abs=1e-6)
    known = dict(zip(data.valid.ds["segment_id"], np.array(data.valid.ds["votes"]), strict=True))
    mean = make_target("sampled", np.stack([known[name] for name in batch["segment_id"]]), batch["hard_label"].numpy())
    assert np.allclose(batch["target"].numpy(), mean)


def test_options_of_a_label_kind_count_in_the_identity(cell):
    def of(*changes: str) -> str:
        return identify(cell.config(*changes), "data").fingerprint

    assert (
        of("target=smoothed")
        == of("target=smoothed", "target.epsilon=0.1")
        != of("target=smoothed", "target.epsilon=0.2")
    )
    assert of("target=sharpened") != of("target=sharpened", "target.temperature=0.5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["target=soft", "+target.epsilon=0.1"], r"target: target\.kind=soft takes no option: got epsilon"),
        (["target=smoothed", "~target.epsilon"], r"target: target\.kind=smoothed takes epsilon: got none"),
        (["target=smoothed", "target.epsilon=1.0"], r"target\.epsilon: expected a number above 0 and below 1, got 1\.0"),
        (["target=smoothed", "target.epsilon=null"], r"target\.epsilon: expected a number above 0 and below 1, got None"),
        (["target=sharpened", "target.temperature=0"], r"target\.temperature: expected a number above 0 and of 100 or less"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_the_label_kind_are_refused(changes, message):
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", ["run_dir=runs/x", "logger=csv", *changes]), resolve=True)
    with pytest.raises(ValueError, match=message):
        check_config(config, TOP_LEVEL)


@pytest.mark.parametrize("target", ["smoothed", "sharpened", "sampled"])
def test_each_label_kind_passes_the_check(target):
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        overrides = ["run_dir=runs/x", "logger=csv", f"target={target}"]
        check_config(OmegaConf.to_container(compose("train", overrides), resolve=True), TOP_LEVEL)
