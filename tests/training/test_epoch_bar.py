"""The progress bar of a run: it counts as the epochs' lines do, and is gone when training has ended."""

from __future__ import annotations

import functools
import io

import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel
from rich import reconfigure

from erc.training.assembly import make_trainer
from erc.training.epoch_bar import EpochBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_counts_epochs_from_one_and_leaves_nothing_behind(tmp_path):
    bar, terminal = EpochBar(), Terminal()
    bar._console_kwargs = {"file": terminal, "force_terminal": True, "width": 80, "_environ": {"TERM": "xterm"}}
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=2, limit_train_batches=3, limit_val_batches=1,
        callbacks=[bar], **quiet,
    )  # fmt: skip
    try:
        trainer.fit(
            BoringModel(),
            torch.utils.data.DataLoader(torch.randn(3, 32)),
            torch.utils.data.DataLoader(torch.randn(1, 32)),
        )
    finally:
        reconfigure()
    text = terminal.getvalue()
    assert "epoch 1/2" in text and "epoch 2/2" in text and "0/2" not in text
    # the last thing that is done to the line of the bar: the cursor goes up to it, and it is erased
    assert text.endswith("\x1b[1A\x1b[2K") or text.endswith("\x1b[2K")


def test_a_run_has_the_bar_where_one_is_asked_for():
    def trainer(**keywords):
        return keywords["callbacks"]

    for wanted in (True, False):
        parts = {"callbacks": {}, "logger": {}, "trainer": functools.partial(trainer, enable_progress_bar=wanted)}
        assert [type(one) for one in make_trainer(parts, "paper")] == ([EpochBar] if wanted else [])
