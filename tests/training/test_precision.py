"""What ``trainer.precision=auto`` is on a machine, and mixed precision with a fused optimizer and clipping."""

from __future__ import annotations

import functools

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from erc.training.lightning_module import EmotionModule
from erc.training.precision import fitting_optimizer, resolve_precision

AMX, AVX512_BF16, NEITHER = {"amx_bf16": True}, {"avx512_bf16": True}, {"avx512_f": True}


@pytest.mark.parametrize(
    ("accelerator", "cuda", "cpu", "expected"),
    [
        ("auto", True, NEITHER, "bf16-mixed"),  # Ampere and later
        ("auto", False, AMX, "32-true"),  # an older card is used, whatever the processor can do
        ("gpu", False, AMX, "32-true"),
        ("auto", None, AMX, "bf16-mixed"),
        ("auto", None, AVX512_BF16, "bf16-mixed"),
        ("auto", None, NEITHER, "32-true"),
        ("auto", None, {}, "32-true"),  # a processor that torch knows nothing of
        ("cpu", True, NEITHER, "32-true"),
        ("cpu", False, AMX, "bf16-mixed"),
        ("tpu", None, AMX, "32-true"),
    ],
)
def test_auto_is_the_precision_of_the_hardware(monkeypatch, accelerator, cuda, cpu, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
    assert resolve_precision("auto", accelerator) == expected
    for asked in ("32-true", "bf16-mixed", 16):
        assert resolve_precision(asked, accelerator) == asked


class Straight(EmotionModule):
    """One weight whose gradient is 3 and 4: norm 5."""

    def __init__(self, fused: bool) -> None:
        pl.LightningModule.__init__(self)
        self.model = nn.Linear(2, 1, bias=False)
        self.fused, self.seed, self.norms = fused, 0, []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.0, fused=self.fused)

    def on_train_batch_start(self, batch, batch_idx) -> None: ...

    def training_step(self, batch, batch_idx) -> torch.Tensor:
        return (self.model.weight * torch.tensor([[3.0, 4.0]])).sum()

    def optimizer_step(self, *args, **kwargs) -> None:
        super().optimizer_step(*args, **kwargs)
        self.norms.append(float(self.model.weight.grad.norm()))


@pytest.mark.parametrize(
    ("precision", "fused", "clip", "expected"),
    [
        ("32-true", True, 1.0, 1.0),
        ("bf16-mixed", False, 1.0, 1.0),
        ("bf16-mixed", True, 1.0, 1.0),  # Lightning refuses it
        ("bf16-mixed", True, None, 5.0),
    ],
)
def test_gradients_are_clipped_in_every_precision_and_with_every_optimizer(precision, fused, clip, expected):
    trainer = pl.Trainer(
        max_steps=1, precision=precision, gradient_clip_val=clip, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = Straight(fused)
    trainer.fit(module, torch.utils.data.DataLoader([0]))
    assert module.norms == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("clip", [0.5, 5.0, 50.0])  # the gradient's norm is 5
def test_gradients_are_clipped_to_the_bit_as_lightning_clips_them(clip, monkeypatch):
    found = []
    for is_own in (True, False):
        if not is_own:
            monkeypatch.delattr(EmotionModule, "configure_gradient_clipping")
        trainer = pl.Trainer(
            max_steps=1, gradient_clip_val=clip, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        module = Straight(False)
        trainer.fit(module, torch.utils.data.DataLoader([0]))
        found.append(module.model.weight.grad)
    assert torch.equal(*found)


def test_lightning_alone_would_refuse_a_fused_optimizer_in_mixed_precision(monkeypatch):
    # control
    monkeypatch.delattr(EmotionModule, "configure_gradient_clipping")
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping"):
        test_gradients_are_clipped_in_every_precision_and_with_every_optimizer("bf16-mixed", True, 1.0, 1.0)


@pytest.mark.parametrize("precision", ["16-mixed", "16", 16])
def test_a_fused_optimizer_is_not_chosen_where_gradients_of_float16_are_clipped(precision):
    clips = {"precision": precision, "gradient_clip_val": 1.0}
    auto = functools.partial(dict, fused="auto")
    assert fitting_optimizer(auto, clips)() == {"fused": False}
    assert fitting_optimizer(functools.partial(dict, fused=False), clips)() == {"fused": False}
    for other in (clips | {"gradient_clip_val": None}, clips | {"precision": "bf16-mixed"}):
        assert fitting_optimizer(auto, other)() == {"fused": "auto"}
    with pytest.raises(ValueError, match=r"expected optim\.fused=auto or false .* got true"):
        fitting_optimizer(functools.partial(dict, fused=True), clips)
