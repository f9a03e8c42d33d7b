"""An encoder's files bring weights only: no code of theirs runs, none of the weights is missing, and old names still load."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaForMaskedLM, RobertaModel, Wav2Vec2ForCTC, Wav2Vec2Model

from erc.model import pretrained
from erc.model.pretrained import load_encoder, tiny_audio_config, tiny_text_config

ROOT = Path(__file__).resolve().parents[2]


def save(model: torch.nn.Module, folder: Path) -> Path:
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    return folder


def without(folder: Path, *names: str) -> None:
    state = load_file(folder / "model.safetensors")
    for name in names:
        del state[name]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def as_old_bin(folder: Path) -> None:
    """The same weights as a pickle with the names that torch gave weight norm before 2.0, and a stray buffer."""
    state = load_file(folder / "model.safetensors")
    renamed = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = {}
    for name, value in state.items():
        for new, before in renamed.items():
            name = name.replace(new, before)
        old[name] = value
    assert any("weight_g" in name for name in old)
    torch.save(old, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def assert_same(model: torch.nn.Module, expected: torch.nn.Module, prefix: str = "") -> None:
    weights = {name.removeprefix(prefix): value for name, value in expected.state_dict().items()}
    for name, value in model.state_dict().items():
        if not name.startswith("pooler."):
            assert torch.equal(value, weights[name]), name


# --- missing weights ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("which", "name"),
    [
        ("audio", "encoder.layers.0.attention.q_proj.weight"),
        ("audio", "feature_extractor.conv_layers.0.conv.weight"),
        ("audio", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
        ("text", "encoder.layer.1.attention.self.value.bias"),
        ("text", "embeddings.word_embeddings.weight"),
    ],
)
def test_a_missing_weight_is_an_error_by_name(tmp_path, which, name):
    model = Wav2Vec2Model(tiny_audio_config()) if which == "audio" else RobertaModel(tiny_text_config())
    save(model, tmp_path)
    load_encoder(which, str(tmp_path), None, {})  # control
    without(tmp_path, name)
    with pytest.raises(ValueError, match="must bring all its weights") as caught:
        load_encoder(which, str(tmp_path), None, {})
    assert f"{name} is missing" in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_weight_of_another_size_is_an_error_by_name(tmp_path):
    save(RobertaModel(tiny_text_config()), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"encoder\.layer\.0\.intermediate\.dense\.bias is of another size"):
        load_encoder("text", str(tmp_path), None, {})


def test_what_a_checkpoint_may_lack_is_no_error(tmp_path):
    audio, text = Wav2Vec2Model(tiny_audio_config()), RobertaModel(tiny_text_config())
    without(save(audio, tmp_path / "audio"), "masked_spec_embed")
    without(save(text, tmp_path / "text"), "pooler.dense.weight", "pooler.dense.bias")
    assert load_encoder("audio", str(tmp_path / "audio"), None, {}).training
    assert_same(load_encoder("text", str(tmp_path / "text"), None, {}), text)


@pytest.mark.parametrize("old", [False, True], ids=["safetensors", "bin with old names"])
def test_extra_heads_and_old_names_load_bit_by_bit_and_in_silence(tmp_path, capfd, old):
    audio, text = Wav2Vec2ForCTC(tiny_audio_config()), RobertaForMaskedLM(tiny_text_config())
    save(audio, tmp_path / "audio")
    save(text, tmp_path / "text")
    if old:
        as_old_bin(tmp_path / "audio")
    capfd.readouterr()
    loaded = (
        load_encoder("audio", str(tmp_path / "audio"), None, {}),
        load_encoder("text", str(tmp_path / "text"), None, {}),
    )
    assert capfd.readouterr() == ("", "")
    assert_same(loaded[0], audio, "wav2vec2.")
    assert_same(loaded[1], text, "roberta.")


# --- code ---------------------------------------------------------------------------------------------------------------
CODE = """
import os
os.makedirs({marker!r}, exist_ok=True)
from transformers import PretrainedConfig, PreTrainedModel, BertTokenizer, Wav2Vec2FeatureExtractor
class EvilConfig(PretrainedConfig):
    model_type = "evil"
class EvilModel(PreTrainedModel):
    config_class = EvilConfig
class EvilTokenizer(BertTokenizer): pass
class EvilExtractor(Wav2Vec2FeatureExtractor): pass
"""

LOAD = """
import sys
from erc.model.pretrained import load_encoder, load_feature_extractor, load_tokenizer
for load in (lambda: load_encoder("audio", sys.argv[1], None, {}), lambda: load_tokenizer(sys.argv[1]),
             lambda: load_feature_extractor(sys.argv[1])):
    try:
        print("came back:", load())
    except OSError as err:
        print("refused:", err)
"""

TRUST = (
    "import sys; from transformers import AutoConfig; AutoConfig.from_pretrained(sys.argv[1], trust_remote_code=True)"
)


@pytest.mark.slow
def test_code_of_an_encoder_s_own_never_runs_and_nobody_is_asked(tmp_path):
    folder, marker = tmp_path / "encoder", tmp_path / "marker"
    folder.mkdir()
    names = {"AutoConfig": "evil.EvilConfig", "AutoModel": "evil.EvilModel"}
    contents = {
        "config.json": {"model_type": "evil", "auto_map": names},
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}},
        "preprocessor_config.json": {"auto_map": {"AutoFeatureExtractor": "evil.EvilExtractor"}},
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "evil.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")

    def run(code: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, str(folder)]
        return subprocess.run(
            command, input="y\n" * 20, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120
        )

    ended = run(LOAD)
    assert not marker.exists()
    assert ended.stdout.count("refused: ") == 3 and "came back:" not in ended.stdout, ended.stderr
    assert "brings code of its own, which is not run" in ended.stdout
    assert "[y/N]" not in ended.stdout + ended.stderr and "trust_remote_code" not in ended.stdout
    run(TRUST)  # control: the code would do what it says
    assert marker.is_dir()


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_a_weights_file_that_would_run_code_is_refused_without_advice_to_trust_it(tmp_path):
    marker = tmp_path / "marker"
    save(Wav2Vec2Model(tiny_audio_config()), tmp_path)
    as_old_bin(tmp_path)
    state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    torch.save(state | {"evil": Payload(marker)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="holds more than weights, which is not run") as caught:
        load_encoder("audio", str(tmp_path), None, {})
    assert not marker.exists() and "weights_only" not in str(caught.value)
    pickle.loads(pickle.dumps(Payload(marker)))  # control
    assert marker.is_dir()


@pytest.mark.parametrize("size", [0, 100, 5_000])
def test_a_weights_file_that_is_cut_is_named(tmp_path, size):
    save(Wav2Vec2Model(tiny_audio_config()), tmp_path)
    os.truncate(tmp_path / "model.safetensors", size)
    with pytest.raises(OSError, match="audio encoder must be") as caught:
        load_encoder("audio", str(tmp_path), None, {})
    assert str(tmp_path) in str(caught.value)


# --- the hub ------------------------------------------------------------------------------------------------------------
def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch):
    import socket

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(pretrained.urllib.request, "getproxies", dict)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert not pretrained._hub_answers.__wrapped__()
        server.listen()
        assert pretrained._hub_answers.__wrapped__()
    monkeypatch.setattr(pretrained, "_hub_answers", lambda: False)
    with pytest.raises(OSError, match="it is not cached, and the hub does not answer"):
        load_encoder("text", "nobody/no-such-encoder", None, {})


def test_a_proxy_is_taken_for_granted(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(pretrained.urllib.request, "getproxies", lambda: {"https": "http://proxy"})
    assert pretrained._hub_answers.__wrapped__()
