"""Parts of an instantiated configuration -> corpora on disk, views of them, module, loaders and trainer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from filelock import FileLock
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from erc.data import CORPORA, Collator, Protocol
from erc.datasets import SegmentDataset, class_of, without_specials
from erc.labels import NO_LABEL
from erc.model import (
    EmotionModel,
    SharedWeights,
    load_feature_extractor,
    load_processors as load_processors_of,
    load_tokenizer,
    saved_model,
)
from erc.targets import drops_tied, resolve_options
from erc.training.cached_inputs import with_cached_inputs
from erc.training.checkpoints import AtomicCheckpointIO, check_room, read_checkpoint
from erc.training.epoch_bar import EpochBar
from erc.training.frozen_weights import complete, names_left_out
from erc.training.lightning_module import EmotionModule
from erc.training.loaders import SegmentData
from erc.training.loggers import DispensableLogger
from erc.training.precision import fitting_optimizer, resolve_precision


def write_missing_corpora(write: functools.partial | None) -> None:
    """Writes the synthetic corpora if they are missing. Of several processes one writes, and the others wait.

    Args:
        write: ``erc.synthetic.write`` with its arguments (option ``synthetic``); None for a run on other corpora.
    """
    if write is None:
        return
    root = Path(write.keywords["root"])
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if not all((root / corpus.folders[0]).is_dir() for corpus in CORPORA.values()):
            write()


def build(
    parts: dict, config: dict, processors: dict, train: SegmentDataset, valid: SegmentDataset, test: SegmentDataset
) -> tuple[EmotionModule, SegmentData, pl.Trainer]:
    """Module, loaders and trainer of a run.

    Raises:
        OSError: The run folder's disk has no room for the checkpoints.
        ValueError: The reported fold has no segment that can be scored, or there are fewer positions than tokens.
    """
    collate = make_collator(parts, config, processors, train)
    # building a data set may draw random numbers: seeded after it, a run does not depend on whether it was built now
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    data = parts["dataloader"](train, valid, test, collate=collate, seed=config["seed"])
    model = parts["model"](label_space=train.label_space)
    check_lengths(model, collate.max_tokens)
    if train.signals == "features" and not config["model"].get("init_from"):
        normalise_signals(model, train)
    optim = fitting_optimizer(parts["optim"], config["trainer"])
    module = EmotionModule(model, parts["loss"], optim, parts["scheduler"], config["seed"])
    trainer = make_trainer(parts, config["protocol"])
    if config["trainer"].get("fast_dev_run"):
        return module, data, trainer
    run_dir = config["run_dir"]
    frozen_bytes = SharedWeights(frozen_folder(config)).lacking_bytes(model, run_dir)
    check_room(run_dir, module, parts["callbacks"].values(), names_left_out(model), frozen_bytes)
    if not any(
        not tied and label != NO_LABEL for tied, label in zip(test.ds["is_tied"], test.ds["hard_label"], strict=True)
    ):
        raise ValueError(
            "Metrics need at least one segment with votes and without a tie: the reported fold has none. Raise "
            "dataset.num_data."
        )
    if data.cache is not None:
        data.collate = with_cached_inputs(data, model, trainer, config["dataset"]["cache_dir"])
    return module, data, trainer


def frozen_folder(config: dict) -> Path:
    """Folder of the frozen weights that the saved models of all runs share."""
    return Path(config["dataset"]["cache_dir"]) / "frozen-weights"


def make_collator(parts: dict, config: dict, processors: dict, train: SegmentDataset) -> Collator:
    """Rows -> batch, with the processors of the encoders, in the label space of the training segments.

    Options of the label kind that follow from the training segments are found here, once a run.
    """
    options = {name: value for name, value in config["target"].items() if name != "kind"}
    options = resolve_options(
        config["target"]["kind"], options, lambda: np.asarray(train.ds.with_format("numpy")["votes"][:])
    )
    return parts["dataloader"].keywords["collate"](
        **processors, label_space=train.label_space, target_options=options, signals=train.signals
    )


def make_views(
    dataset: Callable[..., SegmentDataset], config: dict
) -> tuple[SegmentDataset, SegmentDataset, SegmentDataset]:
    """Training, choosing and reported segments; the last two are one object under ``protocol=paper`` and ``last``."""
    protocol = config["protocol"]
    train = dataset(mode="train", protocol=protocol, drop_tied=drops_tied(config["target"]["kind"]))
    valid = dataset(mode="valid", protocol=protocol)
    return train, valid, dataset(mode="test", protocol=protocol) if protocol in ("nested", "cross_corpus") else valid


def load_processors(config: dict) -> dict[str, Any]:
    """Tokenizer and feature extractor that belong to the configured encoders, as the collator names them.

    Raises:
        OSError: An encoder cannot be loaded; corpora that are not there either are named with it.
        ValueError: A processor does not belong to its encoder.
    """
    if config["model"].get("init_from"):
        return load_processors_of(saved_model(config["model"]["init_from"]))
    audio, text = config["encoders"]["audio"], config["encoders"]["text"]
    wanted: dict[str, Callable[[], Any]] = {
        "tokenizer": lambda: load_tokenizer(text["name"], text["revision"]),
        "feature_extractor": lambda: load_feature_extractor(audio["name"], audio["revision"]),
    }
    processors, complaints = {}, []
    for name, load in wanted.items():
        try:
            processors[name] = load()
        except OSError as err:
            complaints.append(str(err))
    if complaints:
        raise OSError(
            "\n".join([*complaints, *class_of(config["dataset"]).complaints(without_specials(config["dataset"]))])
        )
    return processors


def check_lengths(model: EmotionModel, max_tokens: int) -> None:
    """Raises ValueError if the text encoder has fewer positions than tokens may come."""
    if "text" not in model.encoders:
        return
    encoder: Any = model.encoders["text"]
    config = encoder.model.config
    # RoBERTa's positions start behind the padding id
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    room = getattr(config, "max_position_embeddings", max_tokens + offset) - offset
    if room < max_tokens:
        raise ValueError(
            f"The text encoder must have a position for every token: it has {room}, dataloader.collate.max_tokens is "
            f"{max_tokens}. Set dataloader.collate.max_tokens={room}."
        )


def check_signals(modalities: Iterable[str], dataset: dict) -> None:
    """Raises ValueError if the fusion reads bio-signals and the data set is to have none.

    Args:
        modalities: What the fusion reads.
        dataset: Options of the data set, as plain values.
    """
    if "signals" not in modalities or dataset.get("signals"):
        return
    has_option = "signals" in dataset
    advice = "dataset.signals=features or dataset.signals=sequence" if has_option else "dataset=kemdy, which has them"
    raise ValueError(
        f"A fusion that reads bio-signals needs them in the data: expected {advice}, got a data set without. Set that, or "
        "choose a fusion without signals."
    )


def normalise_signals(model: EmotionModel, train: SegmentDataset) -> None:
    """Gives the encoder of bio-signals, if there is one, mean and deviation of the features over the training segments."""
    if "signals" not in model.encoders:
        return
    encoder: Any = model.encoders["signals"]
    encoder.normalise_by(np.asarray(train.ds.with_format("numpy")["signal_features"][:]))


def make_trainer(parts: dict, protocol: Protocol) -> pl.Trainer:
    """Trainer with the configured callbacks and loggers. Its checkpoints are whole; a logger that fails is left out.

    ``precision=auto`` is that of the hardware.

    Under ``protocol=last`` the last epoch is the selected one, and no callback stops early: validation decides nothing.
    """
    callbacks = list(parts["callbacks"].values())
    if protocol == "last":
        callbacks = [callback for callback in callbacks if not isinstance(callback, EarlyStopping)]
        for callback in callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.monitor is not None:
                callback.monitor, callback.mode = "epoch", "max"
                callback.kth_value = torch.tensor(-torch.inf)
    loggers = [DispensableLogger(logger) for logger in parts["logger"].values()]
    plugins = parts["trainer"].keywords.get("plugins") or []
    if parts["trainer"].keywords.get("enable_progress_bar"):
        callbacks.append(EpochBar())
    options = parts["trainer"].keywords
    return parts["trainer"](
        precision=resolve_precision(options.get("precision"), options.get("accelerator", "auto")),
        callbacks=callbacks,
        logger=loggers or False,
        plugins=[*plugins, AtomicCheckpointIO()],
    )


class Loaded(NamedTuple):
    """Where in the run a checkpoint was saved."""

    epoch: int
    """From 0."""
    step: int
    """Steps of the optimizer that were done."""


def load_selected(module: EmotionModule, trainer: pl.Trainer) -> Loaded:
    """Loads the weights of the selected epoch into the module.

    Raises:
        FileNotFoundError: No checkpoint was chosen.
    """
    trainer.strategy.barrier()
    path = next(
        (
            callback.best_model_path
            for callback in trainer.checkpoint_callbacks
            if isinstance(callback, ModelCheckpoint) and callback.monitor is not None
        ),
        "",
    )
    if not path or not Path(path).is_file():
        raise FileNotFoundError(
            "Validation chooses a checkpoint: none was written. Let validation run (limit_val_batches, "
            "check_val_every_n_epoch), and let callbacks.best monitor a valid/ metric."
        )
    return load_weights(module, path)


def load_weights(module: EmotionModule, path: str | Path) -> Loaded:
    """Loads the weights of a checkpoint that is whole into the module."""
    checkpoint = read_checkpoint(path, map_location="cpu")
    complete(checkpoint, module.model)
    module.load_state_dict(checkpoint["state_dict"], strict=True)
    return Loaded(int(checkpoint["epoch"]), int(checkpoint["global_step"]))
