"""One configured run: corpora -> data set -> model -> fit -> the fold's result in the run folder.

The run folder holds ``config.yaml``, ``metrics.csv`` (a row per epoch), ``best.ckpt`` (weights of the selected epoch),
``last.ckpt`` (all that resuming needs), ``predictions.csv``, ``embeddings.npz`` and, written last, ``result.json``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch

from erc import __version__, runs
from erc.batch import load_feature_extractor, load_tokenizer
from erc.callbacks import AtomicCheckpointIO, DispensableLogger, EpochHistory
from erc.datamodule import SegmentData
from erc.datasets import HF_KEMD
from erc.module import EmotionModule
from erc.results import human_ceiling, make_result, predictions_table, summary_text, truth_table, write_fold
from erc.targets import drops_tied

VERSIONED = ("torch", "pytorch-lightning", "transformers", "datasets", "hydra-core", "numpy", "scikit-learn")
RESULT_KEYS = (
    "dataset",
    "dataloader",
    "encoders",
    "fusion",
    "loss",
    "target",
    "optim",
    "scheduler",
    "seed",
    "protocol",
)
"""Parts of the configuration that change a result; with the data and the trainer's part of them they are its fingerprint."""
NO_MATTER = {
    "dataset": {"root", "cache_dir", "num_proc"},
    "dataloader": {"num_workers", "timeout_seconds"},
}
TRAINER_KEYS = ("max_epochs", "max_steps", "gradient_clip_val", "accumulate_grad_batches", "precision", "devices")


def train_fold(parts: dict, names: dict[str, str], config: dict) -> dict | None:
    """Trains one fold and writes its result.

    With ``resume`` the run folder is a cell of a grid: a finished one is left alone, a half-done one goes on from its last
    epoch, one that another process works on is passed over, and a failure is written down in it.

    Args:
        parts: The instantiated configuration; what needs arguments of another part is a ``functools.partial``.
        names: experiment, fusion and target, as the result names them.
        config: The same configuration as plain values.

    Returns:
        The content of ``result.json``; None after a ``fast_dev_run``, on other ranks than 0, and for a cell that another
        process works on.
    """
    _quieten()
    if not config["resume"]:
        return _train(parts, names, config)
    run_dir = Path(config["run_dir"])
    # the first process of several on one cell claims it for all of them
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:
        return _train(parts, names, config)
    with runs.claimed(run_dir) as is_ours:
        if not is_ours:
            print(f"{run_dir}: another process is training it; passed over.")
            return None
        try:
            return _train(parts, names, config)
        except Exception as err:
            runs.record_error(run_dir, err)
            raise


def _train(parts: dict, names: dict[str, str], config: dict) -> dict | None:
    started = time.monotonic()
    run_dir, ckpt_path = Path(config["run_dir"]), config["ckpt_path"]
    if parts.get("sample") is not None:
        sample_corpora(parts["sample"])
    # first what fails fast: a data set may take many minutes to build
    processors = load_processors(config)
    train, valid, test = make_views(parts["dataset"], config)
    identity = fingerprint(config, train.fingerprint)
    if config["resume"]:
        result = runs.finished_result(run_dir, identity)
        if result is not None:
            (run_dir / runs.ERROR).unlink(missing_ok=True)  # of a run with other options that was refused here
            print(f"{run_dir}: finished already.")
            return result
        ckpt_path = runs.checkpoint_to_resume(run_dir, identity) or ckpt_path
    module, data, trainer = build(parts, config, processors, train, valid, test)
    for logger in trainer.loggers:
        logger.log_hyperparams({key: config[key] for key in (*RESULT_KEYS, "trainer")})
    if trainer.is_global_zero:
        n_parameters = sum(parameter.numel() for parameter in module.model.parameters())
        device = trainer.accelerator.__class__.__name__.removesuffix("Accelerator")
        print(
            f"Training {names['fusion']} on {names['target']} targets, fold {config['dataset']['validation_fold']}: "
            f"{len(train):,} training and {len(test):,} validation segments, {n_parameters:,} parameters, {device}. "
            f"Run folder: {run_dir}" + (f". Going on from {ckpt_path}" if ckpt_path else ""),
            flush=True,
        )
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    if trainer.fast_dev_run:
        print("fast_dev_run: training and validation ran; no result is written.")
        return None

    history = next(callback for callback in trainer.callbacks if isinstance(callback, EpochHistory))
    epoch = load_selected(module, trainer)
    trainer.test(module, datamodule=data, verbose=False)
    gathered = module.gathered()
    if not trainer.is_global_zero:
        return None
    table = predictions_table(test.ds, gathered)
    facts = {
        **names,
        "fold": config["dataset"]["validation_fold"],
        "protocol": config["protocol"],
        "seed": config["seed"],
        "corpora": sorted(table["corpus"].unique()),
        "human": human_ceiling(test.ds),
        "fingerprint": identity,
        "versions": versions(),
        "seconds": round(history.rows[-1]["seconds"] if history.rows else time.monotonic() - started, 2),
        "peak_memory_mb": peak_memory_mb(),
    }
    result = make_result(table, truth_table(train.ds), history.rows, epoch, facts)
    write_fold(run_dir, table, result, gathered)
    if config["resume"]:
        # of no more use, and with the optimizer's state three times the model: a grid has 45 of them
        (run_dir / runs.LAST).unlink(missing_ok=True)
    print(f"\nSelected epoch {epoch + 1} of {len(history.rows)}; {time.monotonic() - started:.0f} s in all.")
    print(summary_text(result))
    print(f"Result: {run_dir / 'result.json'}", flush=True)
    return result


def build(
    parts: dict, config: dict, processors: tuple, train: HF_KEMD, valid: HF_KEMD, test: HF_KEMD
) -> tuple[EmotionModule, SegmentData, pl.Trainer]:
    """Module, loaders and trainer of a run.

    Raises:
        ValueError: The reported fold has no segment that can be scored, or there are fewer positions than tokens.
    """
    collate = parts["dataloader"].keywords["collate"](*processors)
    # building a data set may draw random numbers: seeded after it, a run does not depend on whether it was built now
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    data = parts["dataloader"](train, valid, test, collate=collate, seed=config["seed"])
    model = parts["model"]()
    check_lengths(model, collate.max_tokens)
    module = EmotionModule(model, parts["loss"], parts["optim"], parts["scheduler"], config["seed"])
    trainer = make_trainer(parts)
    if not trainer.fast_dev_run and all(test.ds["is_tied"]):
        raise ValueError(
            "Metrics need at least one segment without a tie: the reported fold has none. Raise dataset.num_data."
        )
    return module, data, trainer


def make_views(dataset: Callable[..., HF_KEMD], config: dict) -> tuple[HF_KEMD, HF_KEMD, HF_KEMD]:
    """Training, choosing and reported segments; the last two are one object where they are the same."""
    protocol = config["protocol"]
    train = dataset(mode="train", protocol=protocol, drop_tied=drops_tied(config["target"]["kind"]))
    valid = dataset(mode="valid", protocol=protocol)
    return train, valid, dataset(mode="test", protocol=protocol) if protocol == "nested" else valid


def load_processors(config: dict) -> tuple:
    """Tokenizer and feature extractor that belong to the configured encoders."""
    audio, text = config["encoders"]["audio"], config["encoders"]["text"]
    return load_tokenizer(text["name"], text["revision"]), load_feature_extractor(audio["name"], audio["revision"])


def check_lengths(model, max_tokens: int) -> None:
    """Raises ValueError where the text encoder has fewer positions than tokens may come."""
    if model.text_encoder is None:
        return
    config = model.text_encoder.model.config
    # RoBERTa's positions start behind the padding id
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    room = getattr(config, "max_position_embeddings", max_tokens + offset) - offset
    if room < max_tokens:
        raise ValueError(
            f"The text encoder must have a position for every token: it has {room}, dataloader.collate.max_tokens is "
            f"{max_tokens}. Set dataloader.collate.max_tokens={room}."
        )


def make_trainer(parts: dict) -> pl.Trainer:
    """Trainer with the configured callbacks and loggers; checkpoints are written atomically, a failing logger is left out."""
    loggers = [DispensableLogger(logger) for logger in parts["logger"].values()]
    plugins = parts["trainer"].keywords.get("plugins") or []
    return parts["trainer"](
        callbacks=list(parts["callbacks"].values()),
        logger=loggers or False,
        plugins=[*plugins, AtomicCheckpointIO()],
    )


def load_selected(module: EmotionModule, trainer: pl.Trainer) -> int:
    """Loads the weights of the selected epoch into the module and returns that epoch.

    Raises:
        FileNotFoundError: No checkpoint was chosen.
    """
    trainer.strategy.barrier()
    path = next(
        (callback.best_model_path for callback in trainer.checkpoint_callbacks if callback.monitor is not None), ""
    )
    if not path or not Path(path).is_file():
        raise FileNotFoundError(
            "A checkpoint is chosen by validation: none was written. Did validation run (limit_val_batches, "
            "check_val_every_n_epoch), and does callbacks.best monitor a valid/ metric?"
        )
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"], strict=True)
    return int(checkpoint["epoch"])


def fingerprint(config: dict, data: str) -> str:
    """Sixteen hex digits of everything that decides a result: options, data, version of this package."""
    relevant = {key: config[key] for key in RESULT_KEYS}
    for key, ignored in NO_MATTER.items():
        relevant[key] = {name: value for name, value in relevant[key].items() if name not in ignored}
    relevant["trainer"] = {key: config["trainer"].get(key) for key in TRAINER_KEYS}
    relevant["selection"] = {key: config["callbacks"].get(key) for key in ("early_stopping",)}
    text = json.dumps([__version__, relevant, data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Version of each package that a figure may depend on."""
    return {"erc": __version__, "python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in VERSIONED
    }


def peak_memory_mb() -> float:
    """Largest memory so far, in 10^6 bytes: of the GPU where one is used, else of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round((kib if platform.system() == "Darwin" else kib * 1024) / 1e6, 1)


def sample_corpora(write: Callable[..., object]) -> None:
    """Writes the synthetic corpora where they are missing; of several processes one does, the others wait."""
    from filelock import FileLock

    from erc.corpora import CORPORA

    root = Path(write.keywords["root"])
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if not all((root / corpus.folders[0]).is_dir() for corpus in CORPORA.values()):
            write()


def _quieten() -> None:
    """Keeps Lightning's hints off the terminal; warnings about results stay."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*number of training batches .* is smaller than the logging interval.*",
        ".*It is recommended to use `self.log.*sync_dist=True.*",  # every process computes the same figures of the whole fold
        ".*The `srun` command is available.*",
        ".*isinstance.treespec, LeafSpec.*is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)
