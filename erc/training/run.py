"""One configured run: corpora -> data set -> model -> fit -> the fold's result in the run folder.

The run folder holds ``config.yaml``, ``metrics.csv`` (a row per epoch), ``best.ckpt`` (weights of the selected epoch),
``last.ckpt`` (all that going on needs), ``previous.ckpt`` (the one before it, while the run is unfinished),
``model/`` (the selected weights as a saved model of Hugging Face's form), ``predictions.csv``, ``embeddings.npz`` and,
written last, ``result.json``.
"""

from __future__ import annotations

import logging
import os
import platform
import resource
import shlex
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
import yaml

from erc.datasets import SegmentDataset
from erc.evaluation import (
    evaluate_table,
    make_result,
    predictions_table,
    rater_reference,
    summary_text,
    truth_table,
    write_fold,
)
from erc.files import write_atomically
from erc.model import MODEL, predict_command, save_model
from erc.training.allocator import keep_freed_memory
from erc.training.assembly import (
    build,
    check_signals,
    frozen_folder,
    load_processors,
    load_selected,
    make_views,
    write_missing_corpora,
)
from erc.training.classical import EgemapsSVM
from erc.training.facts import trained_layers, training_facts
from erc.training.history import EpochHistory
from erc.training.identity import Identity, identify, versions, without_ignored
from erc.training.lightning_module import EmotionModule
from erc.training.loaders import SegmentData
from erc.training.precision import AUTO
from erc.training.read_back import read_result
from erc.training.resuming import take_folder
from erc.training.run_folder import claimed, drop_checkpoints, record_error
from erc.training.selected_predictions import SelectedPredictions


def train_fold(parts: dict, names: dict[str, str], config: dict) -> dict | None:
    """Trains one fold and writes its result.

    One process at a time works in a run folder, and a run folder holds one run. A failure is written into it. A finished
    run is left alone. With ``resume`` a half-done one goes on from its last epoch. With ``resume=true`` the folder is a cell
    of a grid: one that another process works on is passed over.

    Args:
        parts: The instantiated configuration; what needs arguments of another part is a ``functools.partial``.
        names: experiment, fusion and target, as the result names them.
        config: The same configuration as plain values.

    Returns:
        The content of ``result.json``; None after a ``fast_dev_run``, on other ranks than 0, and for a cell that another
        process works on.

    Raises:
        FileExistsError: The folder holds another run, or a run of other code, or another process works in it.
    """
    quieten()
    set_threads(config)
    keep_freed_memory()
    run_dir = Path(config["run_dir"])
    # the first process of several on one cell claims it for all of them
    if not _is_first_process():
        return _train(parts, names, config)
    with claimed(run_dir) as is_ours:
        if not is_ours and config["resume"] is True:
            print(f"{run_dir}: another process is training it; passed over.")
            return None
        if not is_ours:
            raise FileExistsError(
                f"A run folder is of one process at a time: another process is training in {run_dir}. Wait for its end, or "
                "choose another folder (hydra.run.dir=FOLDER)."
            )
        try:
            return _train(parts, names, config)
        except Exception as err:
            # a finished run stays as it is; so does a folder that is refused, unless a grid wants to know of its cell why
            is_refused = isinstance(err, FileExistsError) and config["resume"] is not True
            if read_result(run_dir).state in ("absent", "damaged") and not is_refused:
                record_error(run_dir, err)
            raise


def _is_first_process() -> bool:
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def _train(parts: dict, names: dict[str, str], config: dict) -> dict | None:
    started = time.monotonic()
    run_dir = Path(config["run_dir"])
    write_missing_corpora(parts["synthetic"])
    # first what fails fast: a data set may take many minutes to build
    classical = make_classical(parts, config)
    check_signals(getattr(getattr(parts["fusion"], "func", None), "modalities", ()), config["dataset"])
    processors = load_processors(config) if classical is None else {}
    train, valid, test = make_views(parts["dataset"], config)
    identity = identify(config, train.fingerprint)
    result, ckpt_path, identity = take_folder(config, identity, is_first=_is_first_process())
    if result is not None:
        print(f"{run_dir}: finished already.")
        return result
    if _is_first_process():
        write_atomically(run_dir / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    if classical is not None:
        return _fit_classical(classical, names, config, identity, (train, valid, test))
    module, data, trainer = build(parts, config, processors, train, valid, test)
    kept = SelectedPredictions()
    trainer.callbacks.insert(0, kept)  # type: ignore[attr-defined]
    history = next(callback for callback in parts["callbacks"].values() if isinstance(callback, EpochHistory))
    history.fingerprint, history.identity = identity.fingerprint, identity.to_json()
    for logger in trainer.loggers:
        logger.log_hyperparams(without_ignored(config))
    if trainer.is_global_zero:
        going_on = f". Going on from {ckpt_path}" if ckpt_path else ""
        print(_first_line(names, config, trainer, module, data) + going_on, flush=True)
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    if config["trainer"].get("fast_dev_run"):
        print("fast_dev_run: training and validation ran; no result is written.")
        return None

    epoch, step = load_selected(module, trainer)
    gathered = _reported(module, data, trainer, kept, step)
    if gathered is None:
        return None
    save_model(
        module.model,
        processors,
        run_dir / MODEL,
        max_samples=data.collate.max_samples,
        max_tokens=data.collate.max_tokens,
        training=training_facts(config, names, train, identity.fingerprint),
        shared=frozen_folder(config),
    )
    seconds = history.rows[-1]["seconds"] if history.rows else time.monotonic() - started
    facts = names | make_facts(config, identity, train, valid, test) | {"seconds": round(seconds, 2)}
    facts |= {"target_options": data.collate.target_options, "train_last": trained_layers(module.model)}
    facts["precision"] = str(trainer.precision)
    result = _write_result(run_dir, train, test, gathered, history.rows, epoch, facts)
    drop_checkpoints(run_dir, is_cell=config["resume"] is True)
    print(f"\nSelected epoch {epoch + 1} of {len(history.rows)}; {time.monotonic() - started:.0f} s in all.")
    return _told(result, run_dir, config["resume"] is True, tuple(module.model.encoders))


def _reported(
    module: EmotionModule, data: SegmentData, trainer: pl.Trainer, kept: SelectedPredictions, step: int
) -> dict[str, np.ndarray] | None:
    """Predictions of the reported segments by the selected weights; None on other ranks than 0.

    Where these segments chose the checkpoint, validation has predicted them with these weights already, in the same batches.
    """
    is_limited = trainer.limit_test_batches != 1.0 or isinstance(trainer.limit_test_batches, int)
    if data.test is data.valid and not is_limited and kept.holds(step, len(data.test)):
        return kept.take()
    trainer.test(module, datamodule=data, verbose=False)
    gathered = module.gathered()
    return gathered if trainer.is_global_zero else None


def _write_result(
    run_dir: Path,
    train: SegmentDataset,
    test: SegmentDataset,
    gathered: dict[str, np.ndarray],
    history: list[dict],
    epoch: int,
    facts: dict,
) -> dict:
    """Writes the files of a finished fold; returns the content of ``result.json``. See ``make_result``."""
    table = predictions_table(test.ds, test.label_space, gathered)
    result = make_result(table, truth_table(train.ds, train.label_space), history, epoch, facts)
    write_fold(run_dir, table, result, gathered)
    return result


def _told(result: dict, run_dir: Path, is_cell: bool, modalities: tuple[str, ...]) -> dict:
    """The result, after its main figures were printed, and where it is, how to see it and how to use it."""
    print(summary_text(result))
    print(f"Result:     {run_dir / 'result.json'}")
    if not is_cell:  # the end of a grid says it of all cells
        print(f"To see it:  python -m erc report {shlex.quote(str(run_dir))} --out=report")
        if {"audio", "text"} & set(modalities):
            print(f"To use it:  {predict_command(run_dir, modalities)}")
    sys.stdout.flush()
    return result


def make_classical(parts: dict, config: dict) -> EgemapsSVM | None:
    """The classical model of the configuration; None where it is a network.

    Raises:
        ImportError: Its package is not installed.
        ValueError: It is to learn from other labels than hard ones.
    """
    if getattr(parts["fusion"], "func", None) is not EgemapsSVM:
        return None
    if config["target"]["kind"] != "hard":
        raise ValueError(
            f"A support vector machine learns from one label a segment: expected target=hard, got {config['target']['kind']}."
        )
    return parts["fusion"](cache_dir=config["dataset"]["cache_dir"])


def _fit_classical(
    model: EgemapsSVM,
    names: dict[str, str],
    config: dict,
    identity: Identity,
    views: tuple[SegmentDataset, SegmentDataset, SegmentDataset],
) -> dict | None:
    """Fits a classical model, which has one epoch and chooses nothing, and writes its result as that of a network."""
    if not _is_first_process():
        return None
    started, run_dir = time.monotonic(), Path(config["run_dir"])
    train, valid, test = views
    print(
        f"Fitting {names['fusion']}, fold {config['dataset']['validation_fold']}: {len(train):,} training and {len(test):,} "
        f"reported segments. Run folder: {run_dir}",
        flush=True,
    )
    gathered = model.fit_predict(train, test)
    seconds = round(time.monotonic() - started, 2)
    metrics = evaluate_table(predictions_table(test.ds, test.label_space, gathered), test.label_space)
    row = {f"valid/{name}": float(value) for name, value in metrics.items()}
    facts = names | make_facts(config, identity, train, valid, test) | {"seconds": seconds}
    history = [{"epoch": 0, "step": 0, "seconds": seconds, **row}]
    result = _write_result(run_dir, train, test, gathered, history, 0, facts)
    print()
    return _told(result, run_dir, config["resume"] is True, ())


def _first_line(
    names: dict[str, str], config: dict, trainer: pl.Trainer, module: EmotionModule, data: SegmentData
) -> str:
    """What is trained, on what, and where."""
    n_parameters = sum(parameter.numel() for parameter in module.model.parameters())
    device = trainer.accelerator.__class__.__name__.removesuffix("Accelerator")
    segments = f"{len(data.train):,} training and {len(data.test):,} validation segments"
    if data.valid is not data.test:
        segments = (
            f"{len(data.train):,} training, {len(data.valid):,} choosing and {len(data.test):,} reported segments"
        )
    precision = str(trainer.precision)
    if config["trainer"].get("precision") == AUTO:
        precision += " (trainer.precision=auto)"
    options = data.collate.target_options
    with_options = f" ({', '.join(f'{name} {value:.4g}' for name, value in options.items())})" if options else ""
    return (
        f"Training {names['fusion']} on {names['target']} targets{with_options}, fold {config['dataset']['validation_fold']}: "
        f"{segments}, {n_parameters:,} parameters, {device}, {precision}. Run folder: {config['run_dir']}"
    )


def make_facts(
    config: dict, identity: Identity, train: SegmentDataset, valid: SegmentDataset, test: SegmentDataset
) -> dict:
    """What ``result.json`` says of a run besides its metrics, its names and its duration; see ``make_result``.

    Args:
        config: Plain values.
        identity: Of the run.
        train: Segments that it was trained on.
        valid: Segments that the checkpoint was chosen on.
        test: Segments that are reported.
    """
    return {
        "fold": config["dataset"]["validation_fold"],
        "protocol": config["protocol"],
        "seed": config["seed"],
        "n_threads": torch.get_num_threads(),
        "corpora": sorted(set(test.ds["corpus"])),
        "trained_on": sorted(set(train.ds["corpus"])),
        "label_space": test.label_space,
        "n_folds": test.n_folds,
        "is_synthetic": test.is_synthetic,
        "n_chosen_on": len(valid),
        "human": rater_reference(test.ds, test.label_space),
        "groups": test.groups(),
        "fingerprint": identity.fingerprint,
        "code": identity.code,
        "versions": versions(),
        "peak_memory_mb": peak_memory_mb(),
    }


def set_threads(config: dict) -> None:
    """Sets the number of CPU threads of this process, and of those that it starts, to option ``n_threads``.

    The order in which threads add up numbers differs with their number, and so do the last digits. Null leaves the number that
    torch takes by itself: that of the cores, or of ``OMP_NUM_THREADS``. The number is in ``result.json`` either way.

    Args:
        config: Plain values.
    """
    if config["n_threads"] is None:
        return
    torch.set_num_threads(config["n_threads"])
    # further ranks start as processes; Lightning would choose a number for them
    os.environ["OMP_NUM_THREADS"] = str(config["n_threads"])


def peak_memory_mb() -> float:
    """Largest memory so far, in 10^6 bytes: of the GPU where one is used, else of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round((kib if platform.system() == "Darwin" else kib * 1024) / 1e6, 1)


def quieten() -> None:
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
        ".*module.s. in eval mode at the start of training.*",  # frozen layers
    ):
        warnings.filterwarnings("ignore", message)
