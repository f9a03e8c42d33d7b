"""A saved model gives the predictions of the trained one, bit for bit; a folder that would give others is refused."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from saved_models import processors, save_tiny, spectrogram, speech, tiny_model
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

from erc.labels import LabelSpace
from erc.model import AudioEncoder, EmotionRecognitionModel, TextEncoder, load_model
from erc.model.pretrained import tiny_audio_config

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["안녕 하세요", "그래요, 정말 좋은 생각이에요"]


def inputs(processor):
    return processor(audio=[speech(1.0, 1), speech(0.6, 2)], text=TEXTS, sampling_rate=16_000)


def by_modality(batch) -> dict:
    return {
        "audio": {"values": batch["input_values"], "mask": batch["audio_attention_mask"].bool()},
        "text": {"values": batch["input_ids"], "mask": batch["attention_mask"].bool()},
    }


def check_round_trip(model, folder, tolerance: float = 0.0) -> None:
    saved = load_model(save_tiny(folder, model))
    batch = inputs(saved.processor)
    with torch.no_grad():
        before, after = model(by_modality(batch)), saved.model(**batch)
    assert before.emotion_logits.std() > 0.01  # predictions that differ at all
    for one, other in zip(before, (after.logits, after.va, after.embeddings), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=tolerance) and one.dtype == other.dtype


@pytest.mark.parametrize("fusion", ["tensor_mixer", "concat", "cross_attention", "audio_only", "text_only"])
@pytest.mark.parametrize("audio", [None, spectrogram()])
def test_a_round_trip_gives_the_same_predictions_bit_for_bit(fusion, audio, tmp_path):
    check_round_trip(tiny_model(fusion, audio), tmp_path / "model")


@pytest.mark.parametrize("kind", ["group norm", "hubert"])
def test_pretrained_encoders_of_other_kinds_make_the_round_trip(kind, tmp_path):
    values = tiny_audio_config().to_dict() | {"feat_extract_norm": "group", "do_stable_layer_norm": False}
    if kind == "hubert":
        HubertModel(HubertConfig(**{k: v for k, v in values.items() if k != "model_type"})).save_pretrained(
            tmp_path / "encoder"
        )
    else:
        Wav2Vec2Model(Wav2Vec2Config(**values)).save_pretrained(tmp_path / "encoder")
    model = tiny_model(audio=partial(AudioEncoder, name=str(tmp_path / "encoder")))
    (tmp_path / "encoder").rename(tmp_path / "gone")  # the saved model needs no other file
    check_round_trip(model, tmp_path / "model")


def test_low_rank_adapters_are_added_to_the_weights(tmp_path):
    model = tiny_model(
        "concat", partial(AudioEncoder, name="tiny", lora_rank=2), partial(TextEncoder, name="tiny", lora_rank=2)
    )
    for name, value in model.named_parameters():
        if "lora_B" in name:  # zero at first: an adapter that changes nothing
            torch.nn.init.normal_(value, std=0.5)
    check_round_trip(model, tmp_path / "model", tolerance=1e-5)
    names = load_file(tmp_path / "model" / "model.safetensors")
    assert not any("lora" in name or "base_layer" in name for name in names)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A saved model; change a copy."""
    return save_tiny(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def saved(shared, tmp_path) -> Path:
    """A copy of it."""
    copied = tmp_path / "copy"
    copied.mkdir()
    for file in shared.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    return copied


def test_the_configuration_is_that_of_hugging_face_and_names_no_code(shared):
    config = json.loads((shared / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"]["3"] == "neutral" and config["label2id"]["disgust"] == 6
    assert config["model_type"] == "erc_emotion" and config["audio_config"]["model_type"] == "wav2vec2"
    assert config["training"]["seconds"]["p99"] == 6.0
    text = "".join(path.read_text(encoding="utf-8") for path in shared.glob("*.json"))
    assert "auto_map" not in text and str(shared.parent) not in text
    assert not list(shared.glob("*.bin")) and not list(shared.glob("*.pt"))


@pytest.mark.slow
@pytest.mark.parametrize("first", ["erc", "transformers", "erc.model.encoders"])
def test_automodel_finds_it_once_erc_is_imported_whichever_comes_first(shared, first):
    code = (
        f"import {first}, erc, sys; from transformers import AutoModel, AutoProcessor, AutoConfig; folder = sys.argv[1];"
        "print(type(AutoProcessor.from_pretrained(folder)).__name__, type(AutoModel.from_pretrained(folder)).__name__,"
        " AutoConfig.from_pretrained(folder).id2label[4])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(shared)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["EmotionProcessor", "EmotionRecognitionModel", "happy"], done.stderr


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda w: w.pop("emotion_model.heads.emotion.weight"), r"emotion_model\.heads\.emotion\.weight is missing"),
        (
            lambda w: w.update({"emotion_model.heads.va.bias": torch.zeros(3)}),
            r"emotion_model\.heads\.va\.bias has shape \(3,\) and not \(2,\)",
        ),
        (lambda w: w.update({"emotion_model.heads.third.bias": torch.zeros(3)}), r"third\.bias belongs to no part"),
    ],
)
def test_a_missing_a_mismatched_or_an_additional_weight_is_an_error_that_names_it(saved, change, complaint):
    change_weights(saved, change)
    with pytest.raises(ValueError, match=complaint):
        load_model(saved)
    with pytest.raises(ValueError, match=complaint):  # as AutoModel loads it
        EmotionRecognitionModel.from_pretrained(saved)


def test_a_truncated_file_of_weights_is_an_error_in_words(saved):
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match="files must be as they were written"):
        load_model(saved)
    with pytest.raises(OSError, match="files must be as they were written"):  # as AutoModel loads it
        EmotionRecognitionModel.from_pretrained(saved)


@pytest.mark.parametrize("change", [{"max_samples": "x"}, {"training": [1]}, {"spectrogram": 5}])
def test_a_field_of_another_type_is_an_error_that_names_it(saved, change):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(OSError, match=f"as they were written: .*'{next(iter(change))}'"):
        load_model(saved)


def test_a_pickle_is_never_read(saved, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (saved / "model.safetensors").unlink()
    (saved / "pytorch_model.bin").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(FileNotFoundError, match=r"lacks model\.safetensors"):
        load_model(saved)
    with pytest.raises(OSError, match="safetensors"):
        EmotionRecognitionModel.from_pretrained(saved)
    assert not (tmp_path / "ran").exists()
    pickle.loads((saved / "pytorch_model.bin").read_bytes())  # the payload would have run
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fusion": {"name": "os.system"}}, r"expected the name of one, got 'os\.system'"),
        ({"fusion": {"name": "Count"}}, "expected the name of one, got 'Count'"),
        ({"label_space": None}, "a label space has emotions"),
        ({"model_type": "bert"}, "expected model_type erc_emotion, got 'bert'"),
    ],
)
def test_a_configuration_of_something_else_is_refused(saved, change, complaint):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        load_model(saved)


def test_code_that_a_folder_brings_is_not_run(saved, tmp_path):
    path = saved / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}), encoding="utf-8")
    (saved / "evil.py").write_text(f"import os; os.mkdir({str(tmp_path / 'ran')!r})", encoding="utf-8")
    load_model(saved)
    assert not (tmp_path / "ran").exists()


def test_an_interrupted_save_leaves_the_old_model_and_nothing_else(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("erc.model.weight_files.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_tiny(saved, tiny_model(seed=1))
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_model_that_its_configuration_does_not_build_again_is_not_saved(tmp_path):
    model = tiny_model("concat")
    model.fusion_options["hidden_dim"] += 1
    with pytest.raises(ValueError, match="its configuration gives other weights"):
        save_tiny(tmp_path / "model", model)
    assert list(tmp_path.iterdir()) == []


def test_other_labels_without_dimensions_make_the_round_trip(tmp_path):
    space = LabelSpace(("ja", "nein"))
    saved = load_model(save_tiny(tmp_path / "model", tiny_model("text_only", label_space=space)))
    assert saved.config.labels == space and saved.config.id2label == {0: "ja", 1: "nein"}
    with torch.no_grad():
        output = saved.model(**saved.processor(text=TEXTS))
    assert output.logits.shape == (2, 2) and output.va.shape == (2, 0)


def test_the_processor_prepares_as_training_does(shared):
    from erc.data.collate import InputCollator

    collate = InputCollator(**processors(), max_samples=48_000, max_tokens=64)
    waveform = (speech(1.0, 3) * 32768).astype("int16")
    expected = collate([{"segment_id": "a", "waveform": waveform, "transcript": TEXTS[0]}])["inputs"]
    batch = load_model(shared).processor(audio=waveform / 32768.0, text=TEXTS[0], sampling_rate=16_000)
    for one, other in zip(by_modality(batch).values(), expected.values(), strict=True):
        assert torch.equal(one["values"], other["values"]) and torch.equal(one["mask"], other["mask"])


def test_the_processor_refuses_another_rate_and_nothing(shared):
    processor = load_model(shared).processor
    with pytest.raises(ValueError, match="expected sampling_rate=16000, got 8000"):
        processor(audio=speech(), sampling_rate=8_000)
    with pytest.raises(ValueError, match="got neither"):
        processor()


def test_what_hugging_face_itself_saves_is_a_saved_model_too(shared, tmp_path):
    """``push_to_hub`` uploads what ``save_pretrained`` writes."""
    saved = load_model(shared)
    saved.model.save_pretrained(tmp_path / "again")
    saved.processor.save_pretrained(tmp_path / "again")
    again = load_model(tmp_path / "again")
    batch = inputs(saved.processor)
    with torch.no_grad():
        assert torch.equal(saved.model(**batch).logits, again.model(**batch).logits)
    assert again.config.training == saved.config.training and again.config.labels == saved.config.labels
