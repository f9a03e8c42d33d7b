"""A run folder that has a checkpoint only -> a saved model: of an unfinished run, or of one of an older version.

The encoders are built as the run built them, from their hub ids or directories; their weights are those of the checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from erc.configuration import taken_up
from erc.data import label_space_of
from erc.labels import LabelSpace
from erc.model import save_model
from erc.training import (
    BEST,
    complete,
    finished_result,
    identify,
    load_processors,
    make_views,
    read_checkpoint,
    read_config,
    training_facts,
    write_missing_corpora,
)


def save_checkpoint(run: Path, folder: Path) -> None:
    """Saves the selected checkpoint of a run as a model.

    A finished run says itself what it was trained on. Where it is unfinished, its corpora are read again.

    Args:
        run: Has ``best.ckpt`` and ``config.yaml``; it is only read.
        folder: Where the saved model goes.

    Raises:
        FileNotFoundError: ``config.yaml`` is not there.
        OSError: The checkpoint is damaged, or an encoder cannot be loaded.
        ValueError: The checkpoint is not of the configuration.
    """
    config = taken_up(read_config(run))
    checkpoint = read_checkpoint(run / BEST, map_location="cpu")
    parts = instantiate(OmegaConf.create(config), _convert_="all")
    labels, facts = _facts_of(run, parts, config)
    torch.manual_seed(config["seed"])  # encoders without pre-trained weights are drawn as in training
    model = parts["model"](label_space=labels)
    complete(checkpoint, model)
    weights = checkpoint["state_dict"]
    try:
        model.load_state_dict(
            {name.removeprefix("model."): value for name, value in weights.items() if name.startswith("model.")}
        )
    except RuntimeError as err:
        raise ValueError(
            f"A checkpoint must be of the run's configuration: {run / BEST} is not of {run / 'config.yaml'}: "
            f"{' '.join(str(err).split())[:300]}. Put back the file that was changed."
        ) from err
    collate = config["dataloader"]["collate"]
    save_model(
        model.eval(),
        load_processors(config),
        folder,
        max_samples=collate["max_samples"],
        max_tokens=collate["max_tokens"],
        training=facts,
    )


def _facts_of(run: Path, parts: dict, config: dict) -> tuple[LabelSpace, dict[str, Any]]:
    """Label space and facts of the training: from the result, else from the corpora."""
    result = finished_result(run)
    if result is not None:
        kept = ("experiment", "fusion", "target", "fold", "seed", "protocol", "fingerprint", "is_synthetic")
        facts = {name: result[name] for name in kept if name in result}
        return label_space_of(result), facts | {
            "corpora": result.get("trained_on") or result["corpora"],
            "n_segments": result["n_train"],
        }
    write_missing_corpora(parts["synthetic"])
    train, _, _ = make_views(parts["dataset"], config)
    names = {"fusion": config["fusion"]["_target_"].rsplit(".", 1)[-1], "target": config["target"]["kind"]}
    return train.label_space, training_facts(config, names, train, identify(config, train.fingerprint).fingerprint)
