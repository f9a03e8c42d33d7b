"""``model.onnx`` says what PyTorch says, for batches and lengths that it was not traced with.

Each test runs the file by onnxruntime itself; what the export says of its own parity is not asked.
"""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from saved_models import save_tiny, speech, tiny_model
from transformers import Wav2Vec2Config, Wav2Vec2Model

from erc.export import compare, export, export_onnx, onnx, parity
from erc.model import AudioEncoder, load_model
from erc.model.pretrained import tiny_audio_config

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

BATCHES = [[0.5], [7.0, 0.4], [0.3, 0.9, 2.2, 0.5, 1.0, 0.7, 3.3, 1.1]]
"""Seconds of the segments of each batch; the longest of each is longer than the shortest input of the graph."""


WORDS = ["정말", "안녕하세요", "oh no", "그래요 그래요", "화났어", "네", "기쁘다 정말 기쁘다", "슬퍼"]


def check(folder: Path) -> None:
    saved = load_model(folder)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    modalities = saved.model.emotion_model.encoders
    spread = []
    for lengths in BATCHES:
        audio = [speech(seconds, seed) for seed, seconds in enumerate(lengths)]
        text = WORDS[: len(lengths)]
        given = {"audio": audio if "audio" in modalities else None, "text": text if "text" in modalities else None}
        inputs = saved.processor(**given, sampling_rate=16_000)
        with torch.no_grad():
            expected = saved.model(**inputs)
        found = session.run(["logits", "va", "embeddings"], {name: value.numpy() for name, value in inputs.items()})
        for one, other in zip(found, (expected.logits, expected.va, expected.embeddings), strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-4)
        spread.append(found[0])
    assert np.concatenate(spread).std(axis=0).max() > 1e-3  # ten times the tolerance: they differ by segment


@pytest.fixture(autouse=True, scope="module")
def timed_once():
    """These tests do not look at seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "REPEATS", 1)
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A model of text with its ONNX; read only."""
    folder = tmp_path_factory.mktemp("onnx")
    export(str(save_tiny(folder / "model", tiny_model("text_only"))), str(folder / "out"), onnx=True)
    return folder / "out"


@pytest.mark.slow
def test_a_model_of_text_is_exported_and_the_card_says_how_it_is_called(exported):
    check(exported)
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "| `input_ids` | int64 | (batch, tokens) |" in card and "input_values" not in card
    block = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)[-1]
    values: dict = {}
    exec(block.replace("path/to/this/folder", str(exported)), values)
    assert values["logits"].shape == (1, 7) and values["va"].shape == (1, 2)


def test_the_comparison_sees_a_difference(exported):
    saved = load_model(exported)
    assert compare(saved, exported / "model.onnx").is_close
    with torch.no_grad():
        saved.model.emotion_model.heads.emotion.bias += torch.arange(7) / 100
    assert not compare(saved, exported / "model.onnx").is_close


def test_a_file_that_differs_from_pytorch_is_not_left(exported, tmp_path, monkeypatch):
    def export_another(model, sample, shapes, folder):
        for path in exported.glob(f"{onnx.FILE}*"):
            shutil.copy(path, folder)

    monkeypatch.setattr(onnx, "export_program", export_another)
    saved = load_model(exported)
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()
    export_onnx(saved, tmp_path / "same")  # control: the file is this model's
    assert (tmp_path / "same" / onnx.FILE).read_bytes() == (exported / onnx.FILE).read_bytes()
    with torch.no_grad():
        saved.model.emotion_model.heads.emotion.bias += torch.arange(7) / 100
    with pytest.raises(ValueError, match="ONNX and PyTorch must agree to"):
        export_onnx(saved, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_model_that_the_exporter_cannot_write_is_an_error_in_words(run, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnx, "export_program", fail)
    with pytest.raises(ValueError, match="cannot be written as ONNX .* no such operator"):
        export_onnx(load_model(run / "model"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def group_norm(folder: Path) -> partial:
    values = tiny_audio_config().to_dict() | {"feat_extract_norm": "group", "do_stable_layer_norm": False}
    Wav2Vec2Model(Wav2Vec2Config(**values)).save_pretrained(folder)
    return partial(AudioEncoder, name=str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tensor_mixer", "cross_attention", "concat, adapted", "audio_only, group norm"])
def test_models_that_read_audio_are_exported(kind, tmp_path):
    audio = partial(AudioEncoder, name="tiny", **({"lora_rank": 2} if "adapted" in kind else {}))
    fusion, *others = kind.split(", ")
    model = tiny_model(fusion, group_norm(tmp_path / "encoder") if "group norm" in others else audio)
    source = save_tiny(tmp_path / "model", model, max_samples=112_000)
    export(str(source), str(tmp_path / "out"), onnx=True)
    check(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| `audio_attention_mask` | int64 | (batch, samples) |" in card
