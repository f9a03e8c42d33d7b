"""Weights below the cuts of encoders (``train_last``) stay out of checkpoints: they are gigabytes, and never change.

A checkpoint of such a run holds the fingerprint of what was left out. Who loads it has the same encoders, and puts their weights
in the place of those that are missing.
"""

from __future__ import annotations

from typing import Any

from erc.model import EmotionModel, cuts_of, frozen_names

PREFIX = "model."
"""In front of the names of the model's weights in a checkpoint."""


def names_left_out(model: EmotionModel) -> set[str]:
    """Names, in a checkpoint, of the weights below the cuts; empty where no encoder has one."""
    return {PREFIX + name for names in frozen_names(model).values() for name in names}


def fingerprints(model: EmotionModel) -> dict[str, str]:
    """Of what is below the cut of each encoder that has one, by modality."""
    return {modality: cut.fingerprint() for modality, cut in cuts_of(model).items()}


def complete(checkpoint: dict[str, Any], model: EmotionModel) -> None:
    """Puts a model's own weights in the place of those that a checkpoint lacks.

    Raises:
        ValueError: They are others than those of the run that saved the checkpoint.
    """
    before = checkpoint.get("frozen")
    if not before:
        return
    now = fingerprints(model)
    differing = [modality for modality in before if before[modality] != now.get(modality)]
    if differing:
        raise ValueError(
            f"A checkpoint of frozen layers goes with the encoders that it was saved with: {' and '.join(differing)} has other "
            "frozen weights now. Name the same encoder, its revision and train_last."
        )
    own = model.state_dict()
    checkpoint["state_dict"] |= {name: own[name.removeprefix(PREFIX)] for name in names_left_out(model)}
