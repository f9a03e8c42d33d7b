"""Optimizer groups and schedules: each trainable parameter in exactly one group, and moved by one step."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

import train  # noqa: F401  registers the configuration's resolvers
from erc.data import KEMD
from erc.data.collate import Collator
from erc.model.emotion_model import EmotionModel
from erc.model.pretrained import load_feature_extractor, load_tokenizer
from erc.training.losses import FocalLoss, MSELoss, MultitaskLoss
from erc.training.optim import build_optimizer, constant, cosine_restarts, cosine_warmup, plateau

CONFIG = Path(__file__).resolve().parents[2] / "config"
DEMO = ["experiment=demo", "run_dir=none"]


@functools.cache
def composed(*overrides: str) -> dict:
    """The program's parts as ``train.py`` instantiates them."""
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    return {key: instantiate(OmegaConf.create(config[key]), _convert_="all") for key in ("model", "optim")}


class Toy(nn.Module):
    """Parts of any kind, under the names that a model gives its own."""

    def __init__(self, unused: tuple[str, ...] = (), **parts: nn.Module) -> None:
        super().__init__()
        self.encoders, self.unused = nn.ModuleDict(parts), unused
        self.missing = SimpleNamespace(replacements={})

    def parts(self) -> dict[str, nn.Module]:
        return dict(self.encoders)


def toy(unused: tuple[str, ...] = ()) -> Toy:
    return Toy(unused, encoder=nn.Linear(3, 2), head=nn.Linear(2, 1))


# --- groups -----------------------------------------------------------------------------------------------------------
OPTIONS = {
    "plain": [],
    "frozen audio": ["encoders.audio.freeze=true"],
    "both frozen": ["encoders.audio.freeze=true", "encoders.text.freeze=true"],
    "frozen convolutions": ["encoders.audio.freeze_feature_encoder=true"],
    "last layer of audio": ["encoders.audio.train_last=1", "encoders.text.train_last=0"],
    "adapters": ["encoders.audio.lora_rank=2", "encoders.text.lora_rank=2"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_trainable_parameter_is_in_exactly_one_group(options):
    if any("lora" in option for option in options):
        pytest.importorskip("peft")
    parts = composed(*DEMO, *options)
    model = parts["model"](label_space=KEMD)
    optimizer = parts["optim"](model)
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len(grouped) == len(set(grouped)) > 0
    for group in optimizer.param_groups:
        part = model.parts()[group["name"]]
        assert {id(p) for p in group["params"]} == {id(p) for p in part.parameters() if p.requires_grad}


def test_learning_rates_and_adamw_s_options_are_the_paper_s():
    # as published: 1e-5 for both encoders, 1e-4 for the mixer; eps 1e-8, weight decay 1e-6
    parts = composed("experiment=paper", "run_dir=none", "encoders=tiny", "logger=csv")
    optimizer = parts["optim"](parts["model"](label_space=KEMD))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["name"]: group["lr"] for group in optimizer.param_groups} == {
        "audio": 1e-5,
        "text": 1e-5,
        "fusion": 1e-4,
        "heads": 1e-4,
    }
    for group in optimizer.param_groups:
        assert (group["eps"], group["weight_decay"], group["betas"]) == (1e-8, 1e-6, (0.9, 0.999))


def test_adamw_s_options_arrive():
    optimizer = build_optimizer(toy(), {"encoder": 1.0, "head": 2.0}, weight_decay=0.3, eps=1e-3, betas=(0.5, 0.6))
    for group in optimizer.param_groups:
        assert (group["weight_decay"], group["eps"], group["betas"]) == (0.3, 1e-3, (0.5, 0.6))


def test_the_fused_optimizer_takes_the_steps_of_the_plain_one_and_is_the_default_where_it_exists():
    # equation 1 of Loshchilov and Hutter (2019), arXiv 1711.05101, as torch's plain loop computes it, is the oracle
    models, optimizers = [], []
    for fused in (False, True, "auto"):
        torch.manual_seed(0)
        models.append(toy())
        optimizers.append(build_optimizer(models[-1], {"encoder": 1e-2, "head": 1e-3}, weight_decay=0.1, fused=fused))
    for step in range(20):
        for model, optimizer in zip(models, optimizers, strict=True):
            torch.manual_seed(step)
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
    weights = [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-6, atol=1e-7)
    assert torch.equal(weights[2], weights[1])
    assert [optimizer.defaults["fused"] for optimizer in optimizers] == [False, True, True]
    shapes = build_optimizer(toy().to("meta"), {"encoder": 1e-2, "head": 1e-3})  # a device without the kernel
    assert shapes.defaults["fused"] is False


def test_the_paper_s_run_is_fused_and_those_that_readme_shows_are_not():
    for options, fused in (
        (["experiment=paper", "encoders=tiny", "logger=csv", "run_dir=none"], True),
        (DEMO, False),
        (["experiment=scratch", "run_dir=none"], False),
    ):
        parts = composed(*options)
        assert parts["optim"](parts["model"](label_space=KEMD)).defaults["fused"] is fused


def test_an_unknown_prefix_is_an_error_that_names_the_parts():
    with pytest.raises(ValueError, match="prefix 'mixer' matches no parameter.*parts are encoder, head"):
        build_optimizer(toy(), {"encoder": 1.0, "head": 1.0, "mixer": 1.0})


def test_a_prefix_is_a_whole_name():
    with pytest.raises(ValueError, match="prefix 'enc' matches no parameter"):
        build_optimizer(toy(), {"enc": 1.0, "encoder": 1.0, "head": 1.0})


def test_a_parameter_without_a_group_is_an_error_that_names_it():
    # the published code's fault: projections and classifiers that never reached the optimiser
    with pytest.raises(ValueError, match=r"head\.weight matches none"):
        build_optimizer(toy(), {"encoder": 1.0})


def test_a_parameter_in_two_groups_is_an_error_that_names_both():
    model = Toy(encoder=nn.ModuleDict({"layer": nn.Linear(2, 2)}))
    with pytest.raises(ValueError, match=r"encoder\.layer\.weight matches encoder and encoder\.layer"):
        build_optimizer(model, {"encoder": 1.0, "encoder.layer": 2.0})


def test_a_frozen_parameter_needs_no_group_and_a_frozen_part_may_have_one():
    model = toy()
    model.encoders["encoder"].requires_grad_(False)
    for lr in ({"head": 1.0}, {"head": 1.0, "encoder": 1.0}):
        optimizer = build_optimizer(model, lr)
        assert [group["name"] for group in optimizer.param_groups] == ["head"]


def test_a_part_that_the_fusion_does_not_use_is_passed_over():
    lr = {"encoder": 1.0, "pulse": 1.0, "head": 1.0}
    optimizer = build_optimizer(toy(unused=("pulse",)), lr)
    assert [group["name"] for group in optimizer.param_groups] == ["encoder", "head"]
    build_optimizer(toy(unused=("pulse",)), {"pulse.layer": 1.0, "encoder": 1.0, "head": 1.0})
    with pytest.raises(ValueError, match="prefix 'pulse' matches no parameter"):  # control: not one of the encoders
        build_optimizer(toy(), lr)


def test_the_configured_rates_fit_a_model_of_one_modality():
    parts = composed(*DEMO, "fusion=small/text_only")
    optimizer = parts["optim"](parts["model"](label_space=KEMD))
    assert [group["name"] for group in optimizer.param_groups] == ["text", "fusion", "heads"]


def test_a_part_may_be_split_by_longer_prefixes():
    model = Toy(encoder=nn.ModuleDict({"low": nn.Linear(2, 2), "high": nn.Linear(2, 2)}), head=nn.Linear(2, 1))
    optimizer = build_optimizer(model, {"encoder.low": 1.0, "encoder.high": 2.0, "head": 3.0})
    assert [(group["lr"], len(group["params"])) for group in optimizer.param_groups] == [(1.0, 2), (2.0, 2), (3.0, 2)]


def test_a_parameter_outside_the_parts_is_an_error_that_names_it():
    model = toy()
    model.extra = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"extra\.weight matches none"):
        build_optimizer(model, {"encoder": 1.0, "head": 1.0})


def test_parameters_come_in_the_order_of_the_model():
    # the order decides how a checkpoint's state of the optimizer is read
    parts = composed(*DEMO)
    model = parts["model"](label_space=KEMD)
    optimizer = parts["optim"](model)
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert grouped == [id(parameter) for parameter in model.parameters()]
    assert [group["name"] for group in optimizer.param_groups] == ["audio", "text", "fusion", "heads"]


# --- one step ---------------------------------------------------------------------------------------------------------
def draw_batch() -> dict:
    rng = np.random.default_rng(4)
    rows = [
        {
            "segment_id": f"Sess01_script01_F{i:03d}",
            "waveform": rng.normal(0, 3_000, size=n).astype(np.int16),
            "transcript": text,
            "votes": [1, 0, 0, 3, 6, 0, 0],
            "hard_label": 4,
            "is_tied": False,
            "valence": 4.0,
            "arousal": 2.0,
        }
        for i, (n, text) in enumerate([(16_000, "정말 기뻐요!"), (9_000, "네, 그래요 그래요."), (12_000, "몰라")])
    ]
    return Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")(rows)


def take_step(model: EmotionModel, optimizer: torch.optim.Optimizer) -> None:
    batch = draw_batch()
    model.train()
    prediction = model(batch["inputs"])
    MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3)(
        emotion_logits=prediction.emotion_logits, va=prediction.va, target=batch["target"], va_target=batch["va"]
    )["loss"].backward()
    optimizer.step()


def moved_by_one_step(*options: str) -> tuple[set[str], set[str]]:
    """Names of the trainable parameters, and of those that one step changed."""
    torch.manual_seed(0)
    np.random.seed(0)
    parts = composed(*DEMO, *options)
    model = parts["model"](label_space=KEMD)
    if "audio" in model.encoders:
        model.encoders["audio"].model.config.mask_time_prob = 0.5  # else masked_spec_embed may not be drawn
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    take_step(model, parts["optim"](model))
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}, moved


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_one_step_moves_every_trainable_tensor_and_no_other(options):
    if any("lora" in option for option in options):
        pytest.importorskip("peft")
        # LoRA's second factor starts at 0, so the first has no gradient before the second step
        trainable, moved = moved_by_one_step(*options)
        assert {name for name in trainable if "lora_A" not in name} == moved
    else:
        trainable, moved = moved_by_one_step(*options)
        assert trainable == moved


def test_a_tensor_outside_the_optimizer_would_be_found():
    # negative control: the published code's optimizer, which lacks the projections
    parts = composed(*DEMO)
    model = parts["model"](label_space=KEMD)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    in_groups = [p for name, p in model.named_parameters() if "projection" not in name]
    take_step(model, torch.optim.AdamW(in_groups, lr=1e-3))
    still = {name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])}
    assert {"fusion.audio_projection.weight", "fusion.text_projection.weight"} <= still


# --- schedules --------------------------------------------------------------------------------------------------------
def learning_rates(
    schedule, total_steps: int, n: int | None = None, lr: tuple[float, ...] = (1e-4, 1e-5)
) -> np.ndarray:
    """(steps, groups) learning rate that each step is taken with."""
    optimizer = torch.optim.AdamW([{"params": [nn.Parameter(torch.zeros(1))], "lr": value} for value in lr])
    built = schedule(optimizer, total_steps=total_steps)
    found = []
    for _ in range(total_steps if n is None else n):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if built is not None:
            built["scheduler"].step()
    return np.array(found)


def test_cosine_restarts_is_the_closed_form_of_sgdr():
    found = learning_rates(cosine_restarts, 0, n=1_600)
    for step, rates in enumerate(found):
        # Loshchilov and Hutter (2017), equation 5; periods of 500, 1000, 2000 steps
        start, period = next((s, p) for s, p in ((0, 500), (500, 1000), (1500, 2000)) if step < s + p)
        for rate, highest in zip(rates, (1e-4, 1e-5), strict=True):
            expected = 1e-7 + 0.5 * (highest - 1e-7) * (1 + math.cos(math.pi * (step - start) / period))
            assert rate == pytest.approx(expected, rel=1e-9), step


def test_cosine_restarts_takes_its_options():
    found = learning_rates(functools.partial(cosine_restarts, first_period=4, factor=1, min_lr=0.0), 0, n=9)[:, 0]
    # quarter periods of a half cosine: (1 + cos) / 2 at 0, 45, 90, 135 degrees
    period = [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    np.testing.assert_allclose(found, 1e-4 * np.array([*period, *period, 1.0]), rtol=1e-9)


@pytest.mark.parametrize(("total", "share", "n_warmup"), [(200, 0.1, 20), (37, 0.25, 9), (50, 0.0, 1), (1, 0.1, 1)])
def test_cosine_warmup_is_a_line_up_and_half_a_cosine_down(total, share, n_warmup):
    found = learning_rates(functools.partial(cosine_warmup, warmup_share=share), total)
    for column, highest in enumerate((1e-4, 1e-5)):
        for step in range(total):
            if step < n_warmup:
                expected = highest * (step + 1) / n_warmup
            else:
                expected = highest * 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / (total - n_warmup)))
            assert found[step, column] == pytest.approx(expected, rel=1e-9)
    assert found[0, 0] > 0 and found.max() == pytest.approx(1e-4)


def test_cosine_warmup_ends_at_0_and_stays_there():
    found = learning_rates(cosine_warmup, 40, n=60)
    assert found[39, 0] < 1e-6 and (found[40:] == 0).all()


def test_plateau_lowers_after_its_patience_where_the_figure_does_not_grow():
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    built = plateau(optimizer, total_steps=0, monitor="valid/accuracy", factor=0.5, patience=2)
    assert (built["interval"], built["monitor"]) == ("epoch", "valid/accuracy")
    found = []
    for figure in (0.5, 0.6, 0.6, 0.55, 0.6, 0.7, 0.7):
        built["scheduler"].step(figure)
        found.append(optimizer.param_groups[0]["lr"])
    # by hand: the best is the second; the third, fourth and fifth do not grow, which is one more than the patience
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5]


def test_constant_is_no_schedule():
    assert learning_rates(constant, 5).tolist() == [[1e-4, 1e-5]] * 5


@pytest.mark.parametrize("schedule", [cosine_restarts, cosine_warmup])
def test_step_schedules_are_stepped_every_step(schedule):
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    assert schedule(optimizer, total_steps=10)["interval"] == "step"


@pytest.mark.parametrize("name", ["cosine_restarts", "cosine_warmup", "none", "plateau"])
def test_every_configured_schedule_builds(name):
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        schedule = instantiate(compose(f"scheduler/{name}").scheduler)
    learning_rates(schedule, total_steps=3, n=0)
