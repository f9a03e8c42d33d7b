"""The machine is judged by what it says of itself: each test changes one answer."""

from __future__ import annotations

import re
import shutil
import types
from pathlib import Path

import pytest

from erc.doctor import machine
from erc.tracking import wandb_mode

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("has_bf16", "severity", "word"), [(True, "ok", "; bf16"), (False, "note", "no bf16")])
def test_a_gpu_and_its_bf16_are_said(has_bf16, severity, word, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = types.SimpleNamespace(name="A Card", total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16 or including_emulation)
    (finding,) = machine.check_device()
    assert finding.severity == severity and "A Card, 24 GiB" in finding.got and word in finding.got

    def fail(index):
        raise RuntimeError("no answer")

    monkeypatch.setattr(torch.cuda, "get_device_properties", fail)
    assert machine.check_device()[0].severity == "problem"


def test_without_a_gpu_it_says_cpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (finding,) = machine.check_device()
    assert finding.severity == "note" and finding.got.startswith("CPU only")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty hub cache without offline variables; gives a function that puts a file into it."""
    import huggingface_hub

    real = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, name: real(repo, name, cache_dir=tmp_path)
    )
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

    def put(encoder: str, *files: str) -> None:
        folder = tmp_path / f"models--{encoder.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text("abc")
        (folder / "snapshots" / "abc").mkdir(parents=True, exist_ok=True)
        for file in files:
            (folder / "snapshots" / "abc" / file).write_text("x")

    return put


AUDIO, TEXT = machine.ENCODERS


def test_encoders_are_looked_for_in_the_hubs_cache(hub, monkeypatch):
    assert (finding := machine.check_encoders()[0]).severity == "note" and len(finding.where) == 2
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert (finding := machine.check_encoders()[0]).severity == "problem" and "HF_HUB_OFFLINE" in finding.got
    hub(AUDIO, "config.json", "preprocessor_config.json", "pytorch_model.bin")
    hub(TEXT, "config.json", "vocab.txt")
    assert machine.check_encoders()[0].where == [f"{TEXT}: no {' or '.join(machine.WEIGHTS)}"]
    hub(TEXT, "model.safetensors")
    assert machine.check_encoders()[0].severity == "ok"


def test_the_encoders_are_those_of_the_configuration():
    text = (ROOT / "config/encoders/paper.yaml").read_text(encoding="utf-8")
    assert re.findall(r"name: (\S+)", text) == list(machine.ENCODERS)


def test_room_is_compared_with_wavs_and_checkpoints(corpora, monkeypatch, tmp_path):
    wavs = sum(path.stat().st_size for path in corpora.glob("*/wav/**/*.wav"))
    n_bytes, what = machine._build_need(corpora, tmp_path)
    assert n_bytes == pytest.approx(1.05 * wavs, abs=2) and what == "data set"
    assert machine._build_need(tmp_path, tmp_path) == (4_300_000_000, "data set (estimated: a corpus is not here)")
    for free, severity in ((n_bytes + 8_000_000_000, "ok"), (n_bytes + 7_999_999_999, "problem")):
        monkeypatch.setattr(
            machine.shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(free, 0, free)
        )
        (finding,) = machine.check_disk(corpora, tmp_path / "cache", tmp_path / "outputs")
        assert finding.severity == severity


def test_a_build_that_is_there_needs_no_room_again_unless_the_corpus_changed(corpora, tmp_path):
    from erc.data.build import MANIFEST, corpora_fingerprint

    for name in ("kemdy19", "kemdy20"):
        folder = tmp_path / f"{name}-{corpora_fingerprint(name, str(corpora))}"
        folder.mkdir()
        (folder / MANIFEST).write_text("{}")
    assert machine._build_need(corpora, tmp_path) == (0, "data set (built already)")
    folder.rename(tmp_path / "kemdy20-0123456789abcdef")
    assert machine._build_need(corpora, tmp_path)[0] > 0


@pytest.mark.parametrize("mode", [None, "", "online", "offline", "disabled"])
@pytest.mark.parametrize("key", [None, "k" * 40])
@pytest.mark.parametrize(
    "netrc", [None, "machine api.wandb.ai login user password k\n", "machine other login a password b\n", "rubbish"]
)
def test_wandb_is_judged_as_train_py_does(mode, key, netrc, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in (("WANDB_MODE", mode), ("WANDB_API_KEY", key)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    if netrc is not None:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    (finding,) = machine.check_wandb()
    assert finding.got.startswith("{}: {}".format(*wandb_mode()))
    knows_wandb = netrc is not None and "wandb" in netrc
    if mode:
        severity = "ok"
    elif key:
        severity = "note" if mode == "" else "ok"
    elif netrc == "rubbish":
        severity = "warning"
    else:
        severity = "ok" if knows_wandb else "note"
    assert finding.severity == severity
    assert (key or "k" * 40) not in finding.got


@pytest.mark.parametrize(
    ("threads", "quota", "severity"),
    [
        ("", None, "ok"),
        ("1", None, "ok"),
        ("8", None, "ok"),
        ("9", None, "warning"),
        ("", 2.0, "warning"),
        ("2", 2.0, "ok"),
    ]
    + [("many", None, "warning"), ("0", None, "warning")],
)
def test_more_threads_than_cores_are_found(threads, quota, severity, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_cgroup_cores", lambda: quota)
    assert machine.check_cores()[0].severity == severity


def test_a_containers_quota_is_read(tmp_path):
    for text, expected in (("max 100000\n", None), ("150000 100000\n", 1.5), ("rubbish", None)):
        (tmp_path / "cpu.max").write_text(text)
        assert machine._cgroup_cores(tmp_path / "cpu.max") == expected
    assert machine._cgroup_cores(tmp_path / "absent") is None


def test_little_shared_memory_is_found(monkeypatch, tmp_path):
    for free, severity in ((64 * 2**20, "warning"), (2**30, "ok")):
        monkeypatch.setattr(
            machine.shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(2**30, 0, free)
        )
        assert machine.check_shared_memory(tmp_path)[0].severity == severity
    assert machine.check_shared_memory(tmp_path / "absent")[0].severity == "note"
