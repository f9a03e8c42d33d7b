"""The machine is judged by what it says of itself: each test changes one answer."""

from __future__ import annotations

import shutil
import types

import pytest

from erc.doctor import machine
from erc.doctor.plan import Plan
from erc.tracking import wandb_mode


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
    assert machine.check_cores(Plan())[0].severity == severity


@pytest.mark.parametrize(
    ("plan", "severity", "said"),
    [
        (Plan("demo"), "ok", "1 thread "),
        (Plan("demo", jobs=4), "ok", "4 threads"),
        (Plan("demo", jobs=5), "warning", "5 threads"),
        (Plan("demo", n_threads=5), "warning", "n_threads=5"),
        (Plan(n_threads=4), "ok", "n_threads=4"),
        (Plan(n_threads=2, jobs=3), "warning", "6 threads"),
        (Plan(jobs=2), "warning", "8 threads"),  # the grid divides the eight cores that the system shows
        (Plan(jobs=2, cells=1), "warning", "OMP_NUM_THREADS=99"),
        (Plan(jobs=2, launcher="basic"), "warning", "OMP_NUM_THREADS=99"),
    ],
)
def test_the_option_n_threads_counts_before_the_variable(plan, severity, said, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_cgroup_cores", lambda: 4.0)
    (finding,) = machine.check_cores(plan)
    assert finding.severity == severity and said in finding.got
    assert ("n_threads=" in finding.advice) == (severity == "warning")


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
