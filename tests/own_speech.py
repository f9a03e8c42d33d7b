"""Fixtures: tiny saved models and a few sound files.

Every run of pytest loads this file, so torch is imported by the fixtures that need it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

if TYPE_CHECKING:
    from erc.inference import Predictor


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """Folder with the saved models ``both``, ``other`` (other weights), ``audio`` and ``text``."""
    from saved_models import save_tiny, tiny_model

    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "both", tiny_model(seed=0))
    save_tiny(folder / "other", tiny_model(seed=1))
    save_tiny(folder / "audio", tiny_model("audio_only"))
    save_tiny(folder / "text", tiny_model("text_only"))
    return folder


@pytest.fixture(scope="session")
def predictor(models) -> Predictor:
    from erc.inference import Predictor

    return Predictor.from_pretrained(models / "both")


@pytest.fixture(scope="session")
def sounds(tmp_path_factory) -> Path:
    """Folder with a.wav (1.0 s), b.flac (2.4 s), c.mp3 (0.7 s) and long.wav (8 s); transcripts beside a and b."""
    from saved_models import speech

    folder = tmp_path_factory.mktemp("sounds")
    for seed, (name, seconds) in enumerate({"a.wav": 1.0, "b.flac": 2.4, "c.mp3": 0.7, "long.wav": 8.0}.items()):
        soundfile.write(folder / name, speech(seconds, seed), 16_000)
    (folder / "a.txt").write_text("정말 좋아요", encoding="utf-8")
    (folder / "b.txt").write_text("그래요", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def recogniser(tmp_path_factory) -> Path:
    """A recogniser with random weights: it hears letters in anything."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    from erc.model.pretrained import tiny_audio_config

    folder = tmp_path_factory.mktemp("recogniser")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"가나다라마"]
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    (folder / "letters.json").write_text(__import__("json").dumps(vocabulary), encoding="utf-8")
    Wav2Vec2CTCTokenizer(str(folder / "letters.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    torch.manual_seed(3)
    values = tiny_audio_config().to_dict() | {"vocab_size": len(letters), "pad_token_id": 0}
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**{name: value for name, value in values.items() if name != "model_type"}))
    torch.nn.init.normal_(model.lm_head.weight, std=1.0)
    model.save_pretrained(folder)
    return folder


def scores(answer: dict) -> np.ndarray:
    """Probabilities in the order of their labels' names, then the dimensions."""
    by_name = sorted((one["label"], one["score"]) for one in answer["emotions"])
    return np.array([score for _, score in by_name] + [answer["valence"], answer["arousal"]])
