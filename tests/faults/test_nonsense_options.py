"""A number out of its range, or none at all, is refused by name before anything is trained."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import train  # noqa: F401  registers the configuration's resolvers
from erc.configuration import TOP_LEVEL, check_config, describe

CONFIG = Path(__file__).resolve().parents[2] / "config"

NONSENSE = [
    ("optim.lr.heads=-1", "optim.lr.heads: expected a number above 0, got -1"),
    ("optim.lr.audio=0", "optim.lr.audio: expected a number above 0, got 0"),
    ("optim.eps=0", "optim.eps: expected a number above 0, got 0"),
    ("optim.weight_decay=-0.1", "optim.weight_decay: expected a number of 0 or more, got -0.1"),
    ("optim.betas=[0.9,1.0]", "optim.betas: expected tuple of a number of 0 or more and below 1"),
    ("dataloader.batch_size=0", "dataloader.batch_size: expected a whole number of 1 or more, got 0"),
    ("dataloader.num_workers=-1", "dataloader.num_workers: expected a whole number of 0 or more, got -1"),
    ("dataloader.timeout_seconds=0", "dataloader.timeout_seconds: expected a whole number of 1 or more, got 0"),
    ("dataloader.collate.max_samples=0", "dataloader.collate.max_samples: expected a whole number of 1600 or more, got 0"),
    ("dataloader.collate.max_tokens=1", "dataloader.collate.max_tokens: expected a whole number of 3 or more, got 1"),
    ("dataloader.cache=fp16", "dataloader.cache: expected bf16 or fp32 or null, got 'fp16'"),
    ("dataset.num_data=0", "dataset.num_data: expected a whole number of 1 or more or null, got 0"),
    ("dataset.validation_fold=5", "dataset.validation_fold: expected a whole number from -1 to 4, got 5"),
    ("encoders.audio.layerdrop=1", "encoders.audio.layerdrop: expected a number of 0 or more and below 1 or null, got 1"),
    ("encoders.text.lora_rank=0", "encoders.text.lora_rank: expected a whole number of 1 or more or null, got 0"),
    ("encoders.text.train_last=-1", "encoders.text.train_last: expected a whole number of 0 or more or null, got -1"),
    ("fusion.dropout=5", "fusion.dropout: expected a number of 0 or more and below 1, got 5"),
    ("fusion.depth=-1", "fusion.depth: expected a whole number of 1 or more, got -1"),
    ("loss.emotion_weight=-1", "loss.emotion_weight: expected a number of 0 or more, got -1"),
    ("loss.emotion.gamma=-2", "loss.emotion.gamma: expected a number of 0 or more, got -2"),
    ("scheduler.warmup_share=5", "scheduler.warmup_share: expected a number from 0 to 1, got 5"),
    ("seed=-1", "seed: expected a whole number from 0 to 4294967295, got -1"),
    ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val: expected a number above 0 or null, got -1"),
    ("trainer.max_epochs=0", "trainer.max_epochs: expected a whole number of 1 or more, got 0"),
    ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches: expected a whole number of 1 or more, got 0"),
    ("+trainer.limit_train_batches=0", "trainer.limit_train_batches: expected a whole number of 1 or more"),
    ("callbacks.early_stopping.patience=-1", "callbacks.early_stopping.patience: expected a whole number of 0 or more, got -1"),
    ("callbacks.best.save_top_k=0", "callbacks.best.save_top_k: expected -1 or a whole number of 1 or more, got 0"),
    ("callbacks.best.mode=highest", "callbacks.best.mode: expected min or max, got 'highest'"),
]  # fmt: skip

NOT_FINITE = [
    "loss.emotion_weight",
    "optim.lr.heads",
    "optim.betas.0",
    "scheduler.warmup_share",
    "trainer.gradient_clip_val",
    "+trainer.overfit_batches",
    "+callbacks.early_stopping.divergence_threshold",
    "synthetic.seconds",
]


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        return OmegaConf.to_container(compose("train", ["experiment=demo", *overrides, "run_dir=run"]), resolve=True)


@pytest.fixture(scope="module")
def demo() -> dict:
    """The demo without a change: Hydra takes a second to compose it. Change a copy."""
    return composed()


@pytest.fixture(scope="module")
def refused() -> str:
    """What is said of all of ``NONSENSE`` at once."""
    with pytest.raises(ValueError, match="The configuration must fit the code") as caught:
        check_config(composed(*(override for override, _ in NONSENSE)), TOP_LEVEL)
    _, *lines = str(caught.value).splitlines()
    assert len(lines) == len(NONSENSE)  # what the model's options hold of encoders and fusion is not said again
    return str(caught.value)


@pytest.mark.parametrize(("override", "expected"), NONSENSE, ids=[override for override, _ in NONSENSE])
def test_a_number_out_of_its_range_is_refused_by_name(refused, override, expected):
    assert expected in refused


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_number_that_is_not_finite_is_refused_by_name_and_once(demo, name, value):
    config = copy.deepcopy(demo)
    *parents, last = name.lstrip("+").split(".")
    node = config
    for parent in parents:
        node = node[parent]
    node[int(last) if isinstance(node, list) else last] = float(value)
    with pytest.raises(ValueError, match=f"expected a finite number, got {value}") as caught:
        check_config(config, TOP_LEVEL)
    assert all(part in str(caught.value) for part in parents), "the option is named"
    assert str(caught.value).count(f"got {value}") == 1


def test_all_complaints_come_at_once():
    with pytest.raises(ValueError, match="4 problems") as caught:
        check_config(
            composed(
                "optim.lr.heads=-1",
                "dataloader.collate.max_tokens=1",
                "loss.emotion_weight=nan",
                "dataloader.batch_size=x",
            ),
            TOP_LEVEL,
        )
    assert all(name in str(caught.value) for name in ("optim.lr.heads", "max_tokens", "emotion_weight", "batch_size"))


@pytest.mark.parametrize("batches", ["0.1", "1", "1.0"])
def test_the_ends_of_a_range_pass(batches):
    ends = [
        "optim.lr.heads=1e-9",
        "dataloader.collate.max_tokens=3",
        "dataloader.collate.max_samples=1600",
        "trainer.gradient_clip_val=null",
        "+trainer.max_steps=-1",
        f"+trainer.limit_train_batches={batches}",
        "scheduler.warmup_share=0",
        "loss.va_weight=0",
        "dataset.validation_fold=-1",
        "+callbacks.early_stopping.min_delta=0.001",
        "seed=0",
    ]
    check_config(composed(*ends), TOP_LEVEL)


def test_ranges_are_described_in_words():
    from typing import Annotated

    from annotated_types import Ge, Gt, Interval, Lt

    assert describe(Annotated[float, Gt(0)]) == "a number above 0"
    assert describe(Annotated[int, Ge(1)] | None) == "a whole number of 1 or more or null"
    assert describe(Annotated[float, Interval(ge=0, le=1)]) == "a number from 0 to 1"
    assert describe(Annotated[float, Lt(3)]) == "a number below 3"
    assert describe(Annotated[str, "a remark"]) == "text"
