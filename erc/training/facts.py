"""A run's training segments -> the facts that travel with its saved model.

A user of the model needs them to see how far own speech is from the training speech. They are counts and shares over all
segments: no id, no words and no audio of any segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from erc import __version__
from erc.data import SAMPLE_RATE, script_shares
from erc.datasets import SegmentDataset
from erc.labels import NO_LABEL
from erc.model import EmotionModel, PretrainedEncoder


def training_facts(config: dict, names: dict[str, str], train: SegmentDataset, fingerprint: str) -> dict[str, Any]:
    """What ``EmotionModelConfig.training`` holds.

    Args:
        config: The run's options as plain values.
        names: experiment, fusion and target.
        train: Segments that the model was trained on.
        fingerprint: Of the run.

    Returns:
        corpora, is_synthetic, n_segments; seconds (p01, p50 and p99 of the segments' lengths before they are cut); scripts
        (share of each script among the letters of the transcripts); centroids (mean valence and arousal of each emotion,
        over segments without a tie; only where both were rated); experiment, fusion, target, fold, seed, protocol,
        fingerprint, erc_version.
    """
    columns = train.ds.with_format("numpy")
    lengths = np.asarray(columns["n_samples"][:]) / SAMPLE_RATE
    p01, p50, p99 = (round(float(value), 3) for value in np.quantile(lengths, (0.01, 0.5, 0.99)))
    facts = names | {
        "fold": config["dataset"]["validation_fold"],
        "seed": config["seed"],
        "protocol": config["protocol"],
        "fingerprint": fingerprint,
        "erc_version": __version__,
        "corpora": sorted(set(columns["corpus"][:].tolist())),
        "is_synthetic": bool(train.is_synthetic),
        "n_segments": len(lengths),
        "seconds": {"p01": p01, "p50": p50, "p99": p99},
        "scripts": script_shares(columns["transcript"][:].tolist()),
    }
    if train.label_space.has_plane:
        facts["centroids"] = _centroids(train)
    return facts


def trained_layers(model: EmotionModel) -> dict[str, int | None]:
    """``train_last`` of each pre-trained encoder, None where all of it is trained; empty where all of every encoder is."""
    cuts = {name: encoder.cut for name, encoder in model.encoders.items() if isinstance(encoder, PretrainedEncoder)}
    if not any(cuts.values()):
        return {}
    return {name: cut.train_last if cut else None for name, cut in cuts.items()}


def _centroids(train: SegmentDataset) -> dict[str, list[float]]:
    """Mean valence and arousal of each emotion that some segment has without a tie."""
    columns = train.ds.with_format("numpy")
    label, is_tied = np.asarray(columns["hard_label"][:]), np.asarray(columns["is_tied"][:])
    va = np.stack([np.asarray(columns[name][:], dtype=np.float64) for name in ("valence", "arousal")], axis=1)
    counted = (label != NO_LABEL) & ~is_tied & np.isfinite(va).all(axis=1)
    found = {}
    for index, emotion in enumerate(train.label_space.emotions):
        if (own := counted & (label == index)).any():
            found[emotion] = va[own].mean(axis=0).round(4).tolist()
    return found
