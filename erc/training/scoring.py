"""A checkpoint of a finished or interrupted run -> predictions and metrics on any fold, once more.

The run folder is only read. The batches are made as in training, so the fold that the run reported gets bit-equal
predictions on the same kind of machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch

from erc.data import Collator, label_space_of
from erc.datasets import SegmentDataset
from erc.evaluation import make_result, predictions_table, summary_text, truth_table
from erc.files import write_atomically
from erc.model import MODEL, load_model
from erc.training.assembly import load_processors, load_weights, make_collator, make_views, write_missing_corpora
from erc.training.facts import trained_layers
from erc.training.identity import identify
from erc.training.lightning_module import EmotionModule
from erc.training.precision import precision_of_run
from erc.training.read_back import finished_result
from erc.training.run import make_facts, quieten, set_threads


def score_again(
    parts: dict,
    config: dict,
    run_dir: str | Path,
    fold: int | None = None,
    mode: str = "test",
    checkpoint: str = MODEL,
    out: str | Path | None = None,
) -> dict:
    """Predicts segments with a checkpoint and prints how well it does.

    Args:
        parts: The run's instantiated configuration.
        config: The same configuration as plain values (the run's ``config.yaml``).
        run_dir: The run folder; it is not changed.
        fold: Fold to score, 0 to 4; -1 for all segments; None for the run's own.
        mode: Side of the fold: train, valid or test.
        checkpoint: ``model``, the saved model of a finished run, or a checkpoint's file name in the run folder.
        out: Folder for ``predictions.csv`` and ``evaluation.json``; None writes nothing.

    Returns:
        What ``evaluation.json`` holds: the fields of ``result.json`` for these segments, and run_dir, checkpoint, mode,
        n_in_training (so many of the segments were in the run's training set) and n_in_choosing (so many chose its
        checkpoint). ``history`` and ``best_epoch_per_metric`` are empty.

    Raises:
        FileNotFoundError: The run folder has no such checkpoint, or a saved model without a result.
        OSError: The checkpoint is damaged.
        ValueError: ``out`` lies in the run folder.
    """
    quieten()
    set_threads(config)
    run_dir = Path(run_dir)
    path = _checkpoint_path(run_dir, checkpoint, out)
    known = finished_result(run_dir) or {}
    if path.is_dir() and not known:
        raise FileNotFoundError(
            f"A saved model is scored beside the result of its run: expected a valid result.json, {run_dir} has none. Finish the "
            "run (resume=auto), or name a checkpoint of the folder with --checkpoint."
        )
    fold = config["dataset"]["validation_fold"] if fold is None else fold
    write_missing_corpora(parts["synthetic"])
    saved = load_model(path) if path.is_dir() else None
    processors = saved.processors if saved else load_processors(config)
    train, valid, _ = make_views(parts["dataset"], config)
    scored = parts["dataset"](mode=mode, validation_fold=fold, protocol=config["protocol"])
    if known and label_space_of(known) != scored.label_space:
        differing = "; ".join(label_space_of(known).differences(scored.label_space))
        raise ValueError(
            f"A run is scored on the label space that it was trained on: {run_dir} differs in {differing}."
        )
    collate = make_collator(parts, config, processors, train)
    torch.manual_seed(config["seed"])  # encoders without pre-trained weights are drawn as in training
    model = saved.model.emotion_model if saved else parts["model"](label_space=scored.label_space)
    module = EmotionModule(model, parts["loss"], parts["optim"], parts["scheduler"], config["seed"])
    epoch = known["selected"]["epoch"] if saved else load_weights(module, path).epoch
    precision = precision_of_run(config["trainer"], known)
    table = _predict(parts, config, collate, module, scored, precision)
    facts = make_facts(config, identify(config, train.fingerprint), train, valid, scored)
    # what the run was, not what the same options would be today
    facts |= {"target_options": collate.target_options, "train_last": known.get("train_last") or trained_layers(model)}
    facts["precision"] = precision
    facts |= {name: known.get(name) for name in ("experiment", "fusion", "target", "fingerprint", "code", "seconds")}
    result = make_result(table, truth_table(train.ds, train.label_space), [], epoch, facts | {"fold": fold})
    result |= {"run_dir": str(run_dir), "checkpoint": checkpoint, "mode": mode}
    ids = set(table["segment_id"])
    result["n_in_training"] = len(ids & set(train.ds["segment_id"]))
    result["n_in_choosing"] = len(ids & set(valid.ds["segment_id"]))
    print(report(result, scored.describe()), flush=True)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        write_atomically(Path(out, "predictions.csv"), table.to_csv(index=False))
        write_atomically(Path(out, "evaluation.json"), json.dumps(result, indent=1, allow_nan=False) + "\n")
        print(f"Written: {Path(out, 'predictions.csv')} and {Path(out, 'evaluation.json')}", flush=True)
    return result


def _checkpoint_path(run_dir: Path, checkpoint: str, out: str | Path | None) -> Path:
    path = run_dir / checkpoint
    if not path.is_file() and not (checkpoint == MODEL and path.is_dir()):
        found = [file.name for file in run_dir.glob("*.ckpt")] + [MODEL] * (run_dir / MODEL).is_dir()
        raise FileNotFoundError(
            f"A run is scored by a checkpoint in its folder: expected {path}, those that are there: "
            f"{', '.join(sorted(found)) or 'none'}. Name one of them with --checkpoint."
        )
    if out is not None and Path(out).resolve().is_relative_to(run_dir.resolve()):
        raise ValueError(f"A run folder stays as it is: expected a folder outside {run_dir}, got {out} (--out).")
    return path


def _predict(
    parts: dict, config: dict, collate: Collator, module: EmotionModule, scored: SegmentDataset, precision: Any
) -> pd.DataFrame:
    """Predictions of the segments, with the columns of ``predictions.csv``."""
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    data = parts["dataloader"](scored, scored, scored, collate=collate, seed=config["seed"])
    trainer = pl.Trainer(
        accelerator=config["trainer"]["accelerator"],
        devices=1,
        precision=precision,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=bool(config["trainer"].get("enable_progress_bar")),
        enable_model_summary=False,
    )
    trainer.test(module, datamodule=data, verbose=False)
    return predictions_table(scored.ds, scored.label_space, module.gathered())


def report(result: dict, view: str) -> str:
    """What was scored, whether the run had seen these segments before, and the main figures.

    Args:
        result: See ``score_again``.
        view: The scored segments in a few words (``SegmentDataset.describe``).
    """
    n = result["n_reported_on"]
    lines = [
        f"{result['run_dir']}, {result['checkpoint']} (epoch {result['selected']['epoch'] + 1}): {view}, {n:,} segments."
    ]
    if result["n_in_training"]:
        lines.append(
            f"Attention: {result['n_in_training']:,} of them were in the run's training set. The figures say nothing about new "
            "speech."
        )
    if result["n_in_choosing"]:
        lines.append(f"{result['n_in_choosing']:,} of them chose the run's checkpoint.")
    return "\n".join([*lines, summary_text(result)])
