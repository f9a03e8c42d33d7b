"""Training itself: it learns, stops at a loss that is not finite, repeats itself, and resumes as if never stopped."""

from __future__ import annotations

import functools
import math
import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.utils.data import DataLoader

import train  # noqa: F401  registers the configuration's resolvers
from erc.data import KEMD
from erc.data.collate import Collator, Inputs
from erc.datasets import HF_KEMD
from erc.evaluation.metrics import evaluate
from erc.model.emotion_model import EmotionModel, Prediction
from erc.model.encoders import AudioEncoder, TextEncoder
from erc.model.fusion.tensor_mixer import TensorMixer
from erc.model.pretrained import load_feature_extractor, load_tokenizer
from erc.training.lightning_module import EmotionModule
from erc.training.losses import FocalLoss, MSELoss, MultitaskLoss
from erc.training.optim import build_optimizer, constant
from erc.training.run import train_fold
from erc.training.selected_predictions import SelectedPredictions

CONFIG = Path(__file__).resolve().parents[2] / "config"
N_SEGMENTS, BATCH_SIZE, N_EPOCHS = 11, 4, 3
N_BATCHES = math.ceil(N_SEGMENTS / BATCH_SIZE)


# --- whole runs, in this process --------------------------------------------------------------------------------------
class Runs:
    """Trains on a few segments of the synthetic corpora, each run in a folder of its own below ``root``."""

    def __init__(self, root: Path, data: Path, cache: Path) -> None:
        self.root, self.data, self.cache = root, data, cache

    def compose(self, name: str, *overrides: str) -> dict:
        """The run's configuration as plain values."""
        few = [f"dataset.root={self.data}", f"dataset.cache_dir={self.cache}", f"dataset.num_data={N_SEGMENTS}"]
        # everything that draws random numbers in a step is on: dropout, layer drop, SpecAugment (tiny's own)
        drawing = ["encoders.audio.layerdrop=0.3", "fusion.dropout=0.2"]
        small = [f"dataloader.batch_size={BATCH_SIZE}", "dataloader.collate.max_samples=12000", "synthetic=null"]
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            composed = compose(
                "train",
                ["experiment=demo", f"run_dir={self.root / name}", f"trainer.max_epochs={N_EPOCHS}"]
                + [*few, *drawing, *small, *overrides],
            )
        return OmegaConf.to_container(composed, resolve=True)

    def __call__(self, name: str, *overrides: str, callback: pl.Callback | None = None) -> dict:
        (self.root / name).mkdir(exist_ok=True)
        config = self.compose(name, *overrides)
        parts = instantiate(OmegaConf.create(config), _convert_="all")
        if callback is not None:
            parts["callbacks"]["of_the_test"] = callback
        return train_fold(parts, {"experiment": "demo", "fusion": "tensor_mixer", "target": "peakl"}, config)

    def last(self, name: str) -> dict:
        """The run's ``last.ckpt``."""
        return torch.load(self.root / name / "last.ckpt", weights_only=True)

    def break_off(self, name: str, epoch: int, *overrides: str) -> str:
        """A run that stops at the beginning of an epoch; returns the option that goes on from it."""
        with pytest.raises(InterruptedError):
            self(name, *overrides, callback=Stop(epoch))
        assert not (self.root / name / "result.json").exists()
        return f"ckpt_path={self.root / name / 'last.ckpt'}"


class Stop(pl.Callback):
    """Breaks a run off at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


@pytest.fixture
def runs(tmp_path, corpora, cache_dir) -> Runs:
    return Runs(tmp_path, corpora, cache_dir)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, corpora, cache_dir) -> Runs:
    """Two runs that tests only read: ``whole``, and ``broken_off`` at the beginning of the third and last epoch."""
    runs = Runs(tmp_path_factory.mktemp("runs"), corpora, cache_dir)
    runs.whole = runs("whole")
    runs.option = runs.break_off("broken_off", 2)
    return runs


def differences(a, b, path: str = "") -> list[str]:
    """Places at which two nested structures are not equal to the last bit, seconds aside."""
    if path.endswith(".seconds"):
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{path}: keys {sorted(map(str, a.keys() ^ b.keys()))}"]
        return [found for key in a for found in differences(a[key], b[key], f"{path}.{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            return [f"{path}: lengths {len(a)}, {len(b)}"]
        return [found for i, pair in enumerate(zip(a, b, strict=True)) for found in differences(*pair, f"{path}[{i}]")]
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [path]
    both_nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return [] if both_nan or a == b else [f"{path}: {a!r}, {b!r}"]


def state(checkpoint: dict) -> dict:
    """What training goes on from, without Lightning's own bookkeeping of loops."""
    kept = {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")}
    return kept | {"history": checkpoint["callbacks"]["EpochHistory"]["rows"]}


# --- resuming ---------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("folder", ["broken_off", "elsewhere"])
def test_a_resumed_run_equals_one_that_was_never_stopped_bit_by_bit(runs, shared, folder):
    # elsewhere is the default: a run folder's name holds the time
    resumed = runs(folder, runs.break_off(folder, 2) if folder == "broken_off" else shared.option)
    assert differences(state(shared.last("whole")), state(runs.last(folder))) == []
    assert shared.last("whole")["global_step"] == N_EPOCHS * N_BATCHES
    for key in (
        "selected",
        "history",
        "best_epoch_per_metric",
        "majority",
        "fingerprint",
        "n_train",
        "n_chosen_on",
        "n_reported_on",
    ):
        assert differences(shared.whole[key], resumed[key]) == [], key
    assert [row["epoch"] for row in resumed["history"]] == list(range(N_EPOCHS))
    first, second = shared.root / "whole" / "predictions.csv", runs.root / folder / "predictions.csv"
    assert first.read_bytes() == second.read_bytes()
    assert len(pd.read_csv(runs.root / folder / "metrics.csv")) == N_EPOCHS


@pytest.mark.slow
def test_a_run_resumed_with_workers_equals_the_whole_one_without(runs, shared):
    runs("with_workers", shared.option, "dataloader.num_workers=1")
    assert differences(state(shared.last("whole")), state(runs.last("with_workers"))) == []


@pytest.mark.slow
def test_without_the_reseeding_hook_a_resumed_run_would_differ(runs, monkeypatch):
    # negative control
    monkeypatch.setattr(EmotionModule, "on_train_batch_start", lambda self, batch, batch_idx: None)
    runs("whole")
    runs("broken_off", runs.break_off("broken_off", 2))
    assert "state_dict" in " ".join(differences(state(runs.last("whole")), state(runs.last("broken_off"))))


@pytest.mark.slow
def test_with_a_fused_optimizer_a_resumed_run_equals_the_whole_one_too(runs):
    two = ("optim.fused=true", "trainer.max_epochs=2")
    runs("fused", *two)
    runs("broken_off", runs.break_off("broken_off", 1, *two), *two)
    assert differences(state(runs.last("fused")), state(runs.last("broken_off"))) == []
    for group in runs.last("fused")["optimizer_states"][0]["param_groups"]:
        assert group["fused"] is True  # control


# --- predictions of the selected epoch --------------------------------------------------------------------------------
class CountTests(pl.Callback):
    """Batches of the pass over the reported fold at the end."""

    n = 0

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self.n += 1


RISING, FALLING = "callbacks.best.mode=max", "callbacks.best.mode=min"


@pytest.mark.slow
@pytest.mark.parametrize("mode", [RISING, FALLING])
def test_a_fold_that_was_just_validated_is_not_predicted_again(runs, monkeypatch, mode):
    # selects the last epoch, or the first
    options, counts = ("callbacks.best.monitor=epoch", mode, "trainer.max_epochs=2"), []
    for name in ("kept", "again"):
        counter = CountTests()
        selected = runs(name, *options, callback=counter)["selected"]["epoch"]
        counts.append(counter.n)
        monkeypatch.setattr(SelectedPredictions, "holds", lambda self, step, n_segments: False)
    assert counts == [0, N_BATCHES]
    assert selected == (1 if mode == RISING else 0)
    for file in ("predictions.csv", "embeddings.npz"):
        assert (runs.root / "kept" / file).read_bytes() == (runs.root / "again" / file).read_bytes(), file


@pytest.mark.parametrize("option", ["+trainer.limit_val_batches=1", "+trainer.val_check_interval=2"])
def test_predictions_of_a_part_and_of_other_weights_are_not_taken(runs, option):
    # one batch was validated; a step was taken after the last validation
    counter = CountTests()
    runs("run", "trainer.max_epochs=1", option, callback=counter)
    assert counter.n == N_BATCHES


def test_a_part_of_the_fold_is_refused_whether_or_not_it_was_validated(runs):
    with pytest.raises(ValueError, match="Do not set limit_test_batches"):
        runs("run", "trainer.max_epochs=1", "+trainer.limit_test_batches=1")


def test_a_run_that_goes_on_after_its_selected_epoch_predicts_the_fold_again(runs):
    first = ("callbacks.best.monitor=epoch", FALLING, "trainer.max_epochs=2")
    counter = CountTests()
    runs("elsewhere", *first, runs.break_off("broken_off", 1, *first), callback=counter)
    assert counter.n == N_BATCHES


@pytest.mark.slow
def test_a_run_resumed_elsewhere_selects_the_best_of_all_epochs(runs):
    # with learning rates of 0 all epochs are equally good, so the first is selected, which is before the break
    still = [f"optim.lr.{part}=0" for part in ("audio", "text", "fusion", "heads")]
    resumed = runs("elsewhere", *still, runs.break_off("broken_off", 2, *still))
    assert resumed["selected"]["epoch"] == 0
    assert len({row["valid/accuracy"] for row in resumed["history"]}) == 1  # they are equally good


def test_a_run_resumed_elsewhere_without_the_checkpoint_selected_so_far_is_an_error(runs, shared):
    # it would select among the later epochs only, without a word
    checkpoint = shared.last("broken_off")
    for state_of_callback in checkpoint["callbacks"].values():
        if "best_model_path" in state_of_callback:
            state_of_callback["best_model_path"] = str(runs.root / "gone" / "best.ckpt")
    torch.save(checkpoint, runs.root / "last.ckpt")
    with pytest.raises(FileNotFoundError, match="takes its selected checkpoint along.*gone"):
        runs("elsewhere", f"ckpt_path={runs.root / 'last.ckpt'}")
    assert not (runs.root / "elsewhere" / "result.json").exists()


def test_a_checkpoint_that_is_not_there_is_an_error_not_a_fresh_start(runs):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        runs("run", f"ckpt_path={runs.root}/nowhere/last.ckpt")
    assert not (runs.root / "run" / "result.json").exists()


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_an_error_not_a_fresh_start(runs, shared, share):
    content = (shared.root / "broken_off" / "last.ckpt").read_bytes()
    (runs.root / "cut.ckpt").write_bytes(content[: int(share * len(content))])
    with pytest.raises((RuntimeError, EOFError, OSError)):
        runs("resumed", f"ckpt_path={runs.root / 'cut.ckpt'}")
    assert not (runs.root / "resumed" / "result.json").exists()


class Payload:
    """An object that runs code when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_checkpoint_that_would_run_code_is_refused(runs, shared):
    path, marker = runs.root / "evil.ckpt", runs.root / "marker"
    torch.save(shared.last("broken_off") | {"payload": Payload(marker)}, path)
    with pytest.raises(Exception, match="(?i)weights.only"):
        runs("resumed", f"ckpt_path={path}")
    assert not marker.exists()
    torch.load(path, weights_only=False)  # control: loaded without care, it does run
    assert marker.exists()


# --- repeating --------------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_run_whether_the_data_set_was_built_before_or_not(runs, shared):
    np.random.seed(1)
    torch.manual_seed(1)  # the state that a process happens to be in plays no part
    runs.cache = runs.root / "new_cache"
    again = runs("again")
    assert differences(state(shared.last("whole")), state(runs.last("again"))) == []
    assert differences(shared.whole["selected"], again["selected"]) == []


def test_another_seed_gives_another_run(runs, shared):
    other = runs("other", "seed=43", "trainer.max_epochs=1")
    assert other["history"][0]["train/loss"] != shared.whole["history"][0]["train/loss"]


def test_the_schedule_ends_with_the_run(runs):
    runs("run", "scheduler=cosine_warmup", "trainer.accumulate_grad_batches=2")
    (schedule,) = runs.last("run")["lr_schedulers"]
    # steps: every two batches and what is left at an epoch's end (Lightning's rule)
    assert schedule["last_epoch"] == runs.last("run")["global_step"] == N_EPOCHS * math.ceil(N_BATCHES / 2)
    assert schedule["_last_lr"] == pytest.approx([0.0] * 4, abs=1e-12)


# --- validation -------------------------------------------------------------------------------------------------------
def test_reported_metrics_are_those_of_the_selected_weights_computed_directly(shared):
    result = shared.whole
    epoch = result["selected"]["epoch"]
    checkpoint = torch.load(shared.root / "whole" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] == epoch
    model = instantiate(OmegaConf.create(shared.compose("whole")["model"]), _convert_="all")(label_space=KEMD)
    weights = {name.removeprefix("model."): value for name, value in checkpoint["state_dict"].items()}
    model.load_state_dict(weights, strict=True)
    model.eval()

    rows = list(HF_KEMD("valid", root=str(shared.data), cache_dir=str(shared.cache), num_data=N_SEGMENTS))
    collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "soft", max_samples=12_000)
    probs, va = [], []
    for row in rows:  # one by one, in another order than the loader's
        batch = collate([row])
        with torch.no_grad():
            prediction = model(batch["inputs"])
        probs.append(prediction.emotion_logits[0].softmax(dim=-1).tolist())
        va.append(prediction.va[0].tolist())
    expected = evaluate(
        label_space=KEMD,
        hard_label=np.array([row["hard_label"] for row in rows]),
        is_tied=np.array([row["is_tied"] for row in rows]),
        va=np.array([[row["valence"], row["arousal"]] for row in rows]),
        emotion_probs=np.array(probs),
        pred_va=np.array(va),
    )
    row = next(row for row in result["history"] if row["epoch"] == epoch)
    for name, value in expected.items():
        for reported in (result["selected"]["metrics"][name], row[f"valid/{name}"]):
            assert (math.nan if reported is None else reported) == pytest.approx(value, abs=1e-4, nan_ok=True), name


# --- one module -------------------------------------------------------------------------------------------------------
class Fixed(nn.Module):
    """Predicts given values."""

    def __init__(self, logits: torch.Tensor, va: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.va = nn.Parameter(logits), nn.Parameter(va)

    def forward(self, inputs: Inputs) -> Prediction:
        return Prediction(self.logits, self.va, self.logits)


def make_module(model: nn.Module, lr: float = 1e-3) -> EmotionModule:
    optimizer = functools.partial(build_optimizer, lr=dict.fromkeys(["audio", "text", "fusion", "heads"], lr))
    return EmotionModule(model, MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3), optimizer, constant, seed=1)


def draw_batch() -> dict:
    """Four segments of four emotions."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "segment_id": f"Sess01_script01_F{i:03d}",
            "waveform": rng.normal(0, 3_000, size=8_000 + 500 * i).astype(np.int16),
            "transcript": text,
            "votes": 10 * np.eye(7, dtype=int)[emotion],
            "hard_label": emotion,
            "is_tied": False,
            "valence": 1.0 + i,
            "arousal": 4.5 - i,
        }
        for i, (emotion, text) in enumerate([(4, "정말 기뻐요"), (5, "너무 슬퍼"), (3, "네"), (2, "왜 그래 진짜")])
    ]
    return Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "hard")(rows)


@pytest.mark.filterwarnings("ignore:You are trying to `self.log\\(\\)`")
@pytest.mark.parametrize(
    ("where", "value"),
    [("logits", math.nan), ("logits", math.inf), ("va", math.nan), ("va", math.inf), ("target", math.inf)],
)
def test_a_loss_that_is_not_finite_stops_naming_the_segments(where, value):
    batch, logits, va = draw_batch(), torch.zeros(4, 7), torch.full((4, 2), 3.0)
    make_module(Fixed(logits, va)).training_step(batch, 0)  # control: finite, it goes on
    batch["va"][0, 0] = math.nan  # a rating that is not known is no fault
    make_module(Fixed(logits, va)).training_step(batch, 0)
    if where == "target":
        batch["va"][2, 0] = value
    else:
        {"logits": logits, "va": va}[where][2, 0] = value
    with pytest.raises(ValueError, match="loss must be finite") as caught:
        make_module(Fixed(logits, va)).training_step(batch, 0)
    assert all(segment in str(caught.value) for segment in batch["segment_id"])


class Poison(pl.Callback):
    """Makes one weight NaN before a step."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch, batch_idx: int) -> None:
        if trainer.global_step == 2:
            with torch.no_grad():
                pl_module.model.heads.va.bias[0] = math.nan


def test_a_run_with_a_nan_stops_at_that_step_without_a_word_of_any_transcript(runs):
    with pytest.raises(ValueError, match="loss must be finite: got nan at step 2, epoch 0") as caught:
        runs("run", callback=Poison())
    assert re.search(r"Sess\d\d_(script|impro)\d\d_[FM]\d{3}", str(caught.value))
    assert not re.search("[가-힣]", str(caught.value))
    assert not (runs.root / "run" / "result.json").exists()


class PoisonValidation(pl.Callback):
    """Makes one weight NaN before validation."""

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with torch.no_grad():
            pl_module.model.heads.va.bias[0] = math.nan


def test_a_nan_in_validation_is_an_error_not_a_score(runs):
    with pytest.raises(ValueError, match="Predictions must be finite") as caught:
        runs("run", callback=PoisonValidation())
    assert not (runs.root / "run" / "result.json").exists()
    # the first batch of validation is named
    first = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "soft", max_samples=12_000)
    rows = HF_KEMD("valid", root=str(runs.data), cache_dir=str(runs.cache), num_data=N_SEGMENTS)
    ids = {segment for segment in first(list(rows))["segment_id"] if segment in str(caught.value)}
    assert len(ids) == BATCH_SIZE
    assert not re.search("[가-힣]", str(caught.value))


class InfiniteGradient(pl.Callback):
    """Makes one gradient infinite in one step; the loss stays finite."""

    def __init__(self, step: int, value: float = math.inf) -> None:
        self.step, self.value, self.segments = step, value, []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            self.segments = batch["segment_id"]
            bias = pl_module.model.heads.va.bias
            self.before = bias.detach().clone()
            self.bias = bias
            bias.register_hook(lambda gradient: torch.full_like(gradient, self.value))


@pytest.mark.parametrize("clipping", ["trainer.gradient_clip_val=1.0", "trainer.gradient_clip_val=null"])
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_infinite_gradient_is_reported_at_its_step_with_its_segments_before_a_weight_moves(runs, clipping, value):
    poison = InfiniteGradient(1, value)
    with pytest.raises(ValueError, match=r"Gradients must be finite: .*heads\.va\.bias first, at step 1, ") as caught:
        runs("run", clipping, callback=poison)
    assert ", ".join(poison.segments) in str(caught.value)
    torch.testing.assert_close(poison.bias.detach(), poison.before, rtol=0, atol=0)


def test_without_the_check_the_next_batch_would_be_blamed(runs, monkeypatch):
    # negative control
    monkeypatch.setattr(EmotionModule, "on_after_backward", lambda self: None)
    poison = InfiniteGradient(1)
    with pytest.raises(ValueError, match="loss must be finite: got nan at step 2") as caught:
        runs("run", callback=poison)
    assert ", ".join(poison.segments) not in str(caught.value)


def test_a_gradient_that_is_large_but_finite_is_let_through(runs):
    # the sum of its squares is not finite in float32
    runs("run", "trainer.max_epochs=1", callback=InfiniteGradient(1, 1e25))


def test_four_segments_are_learned_by_heart():
    pl.seed_everything(3, verbose=False)
    fusion = functools.partial(
        TensorMixer, projection_dim=32, patch_size=8, mixer_dim=32, depth=2, tokens_mlp_dim=32, channels_mlp_dim=32
    )
    encoders = {"audio": functools.partial(AudioEncoder, "tiny"), "text": functools.partial(TextEncoder, "tiny")}
    model = EmotionModel(encoders, fusion, KEMD)
    batch = draw_batch()
    trainer = pl.Trainer(
        max_steps=80,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(make_module(model, lr=2e-3), DataLoader([0], collate_fn=lambda _: batch))
    model.eval()
    with torch.no_grad():
        prediction = model(batch["inputs"])
    assert prediction.emotion_logits.argmax(dim=1).tolist() == batch["hard_label"].tolist()
    # a constant prediction's squared error would be 1.25, the variance of 1, 2, 3, 4
    assert (prediction.va - batch["va"]).square().mean() < 0.3


@torch.no_grad()
def test_gathered_holds_each_segment_once_sorted_by_id():
    batch = draw_batch()
    module = make_module(Fixed(torch.eye(7)[:4], torch.arange(8.0).view(4, 2)))
    module.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    order = [2, 0, 3, 1]
    labels = {name: values for name, values in batch.items() if name != "inputs"}
    shuffled = {name: [v[i] for i in order] if isinstance(v, list) else v[order] for name, v in labels.items()}
    shuffled["inputs"] = {}  # what Fixed predicts does not depend on them
    module.on_validation_epoch_start()
    module.validation_step(shuffled, 0)
    module.validation_step(shuffled, 1)  # as another process that was given the same segments would
    found = module.gathered()
    assert found["segment_id"].tolist() == batch["segment_id"]
    for row, source in enumerate([1, 3, 0, 2]):  # where each sorted segment stood in the shuffled batch
        np.testing.assert_array_equal(found["pred_va"][row], [2 * source, 2 * source + 1])
        assert found["emotion_probs"][row].argmax() == source
    assert found["emotion_probs"].dtype == np.float64
    np.testing.assert_allclose(found["emotion_probs"].sum(axis=1), 1, atol=1e-15)
    np.testing.assert_array_equal(found["hard_label"], batch["hard_label"])
    module.on_test_epoch_start()
    module.test_step(batch, 0)
    assert len(module.gathered()["segment_id"]) == 4  # the validation's are forgotten


def test_a_training_step_s_random_numbers_come_from_seed_and_step_alone(monkeypatch):
    module = make_module(Fixed(torch.zeros(4, 7), torch.zeros(4, 2)))

    def drawn(seed: int, step: int) -> tuple[float, float, float]:
        monkeypatch.setattr(EmotionModule, "global_step", step)
        module.seed = seed
        module.on_train_batch_start({}, 0)
        return torch.rand(1).item(), np.random.rand(), random.random()

    first = drawn(1, 5)
    torch.rand(7), np.random.rand(7)
    assert drawn(1, 5) == first  # torch's, NumPy's and Python's generators are all set
    for other in (drawn(2, 5), drawn(1, 6)):
        assert all(a != b for a, b in zip(other, first, strict=True))
