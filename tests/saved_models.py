"""Tiny saved models for tests: random weights, the real classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from erc.data import KEMD, SAMPLE_RATE
from erc.labels import LabelSpace
from erc.model import AudioEncoder, EmotionModel, SpectrogramEncoder, TextEncoder, save_model
from erc.model.fusion import AudioOnly, Concat, CrossAttention, TensorMixer, TextOnly
from erc.model.pretrained import load_feature_extractor, load_tokenizer

FUSIONS = {
    "tensor_mixer": partial(
        TensorMixer, projection_dim=32, patch_size=16, mixer_dim=24, depth=1, tokens_mlp_dim=8, channels_mlp_dim=16
    ),
    "concat": partial(Concat, projection_dim=16, hidden_dim=24),
    "cross_attention": partial(CrossAttention, attention_dim=16, n_heads=2, hidden_dim=24, dropout=0.1),
    "audio_only": partial(AudioOnly, projection_dim=16, hidden_dim=24),
    "text_only": partial(TextOnly, projection_dim=16, hidden_dim=24),
}

TRAINING = {
    "corpora": ["kemdy19"],
    "is_synthetic": False,
    "seconds": {"p01": 0.5, "p50": 2.0, "p99": 6.0},
    "scripts": {"HANGUL": 0.98, "LATIN": 0.02},
    "centroids": {"angry": [1.8, 3.8], "happy": [4.3, 3.9]},
}


def tiny_model(
    fusion: str = "tensor_mixer", audio: Any = None, text: Any = None, label_space: LabelSpace = KEMD, seed: int = 0
) -> EmotionModel:
    """A model in evaluation mode whose heads are scaled up, so that its predictions differ from segment to segment."""
    torch.manual_seed(seed)
    encoders = {
        "audio": audio or partial(AudioEncoder, name="tiny"),
        "text": text or partial(TextEncoder, name="tiny"),
    }
    model = EmotionModel(encoders, FUSIONS[fusion], label_space).eval()
    with torch.no_grad():
        for head in filter(None, (model.heads.emotion, model.heads.va)):
            nn.init.normal_(head.weight, std=1.0)
    return model


def spectrogram(**changes: Any) -> partial[SpectrogramEncoder]:
    """A small encoder without pre-trained weights."""
    return partial(SpectrogramEncoder, n_mels=32, channels=(4, 8), hidden_dim=8, **changes)


def processors() -> dict[str, Any]:
    """Of the tiny encoders."""
    return {"feature_extractor": load_feature_extractor("tiny"), "tokenizer": load_tokenizer("tiny")}


def save_tiny(
    folder: Path, model: EmotionModel | None = None, max_samples: int = 48_000, training: dict[str, Any] | None = None
) -> Path:
    """Writes a saved model, that of ``tiny_model()`` where none is given; returns the folder."""
    save_model(
        model or tiny_model(),
        processors(),
        folder,
        max_samples=max_samples,
        max_tokens=64,
        training=training or TRAINING,
    )
    return folder


def speech(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Noise with a slow envelope, (L,) float32 at 16 kHz, in the place of speech."""
    rng = np.random.default_rng(seed)
    n = int(seconds * SAMPLE_RATE)
    envelope = 0.1 + 0.1 * np.sin(2 * np.pi * (seed + 1) * np.arange(n) / SAMPLE_RATE)
    return (envelope * rng.normal(size=n)).clip(-0.99, 0.99).astype(np.float32)
