"""A small run in this process, in any folder, which breaks off where a test wants it to."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

import train  # noqa: F401  registers the configuration's resolvers
from erc.training.run import train_fold

CONFIG = Path(__file__).resolve().parents[1] / "config"


class Cut(Exception):
    """Stands for a kill: nothing after it runs."""


class CutAt(pl.Callback):
    """Breaks a run off at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise Cut


@functools.cache
def composed(*words: str) -> DictConfig:
    """The configuration of these words; it is given to many tests, so that none may change it."""
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        return compose("train", list(words))


class SmallCell:
    """Trains text only on eight segments; the default folder is ``root / "run"``."""

    def __init__(self, root: Path, corpora: Path, cache_dir: Path) -> None:
        self.root, self.corpora, self.cache_dir = root, corpora, cache_dir

    def config(self, *changes: str, folder: str = "run") -> dict:
        data = ["synthetic=null", f"dataset.root={self.corpora}", f"dataset.cache_dir={self.cache_dir}"]
        options = ["trainer.max_epochs=4", "scheduler=none", "dataset.num_data=8"]
        options += ["trainer.enable_progress_bar=false", "logger=csv"]
        row = ["experiment=demo_grid", "fusion=small/text_only", "target=peakl"]
        config = copy.deepcopy(composed(*row, *data, *options, *changes))
        config.run_dir = str(self.root / folder)
        return OmegaConf.to_container(config, resolve=True)

    def __call__(self, *changes: str, folder: str = "run", cut_at: int | None = None) -> dict:
        config = self.config(*changes, folder=folder)
        parts = instantiate(OmegaConf.create(config), _convert_="all")
        if cut_at is not None:
            parts["callbacks"]["of_the_test"] = CutAt(cut_at)
        return train_fold(parts, {"experiment": "demo_grid", "fusion": "text_only", "target": "peakl"}, config)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
