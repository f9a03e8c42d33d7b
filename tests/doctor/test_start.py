"""The planned training is compared with what the machine says of itself: each test changes one answer."""

from __future__ import annotations

import re
import shutil
import threading
import time
import types
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from erc.doctor import start
from erc.doctor.plan import Plan

ROOT = Path(__file__).resolve().parents[2]


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


AUDIO, TEXT = start.ENCODERS


def test_encoders_are_looked_for_in_the_hubs_cache(hub, monkeypatch):
    monkeypatch.setattr(start, "hub_problem", lambda encoders: "")
    assert (finding := start.check_encoders(Plan())[0]).severity == "note" and len(finding.where) == 2
    monkeypatch.setattr(start, "hub_problem", lambda encoders: "the hub is not reachable")
    assert (finding := start.check_encoders(Plan())[0]).severity == "problem" and "cannot start" in finding.got
    assert start.check_encoders(Plan("demo"))[0].severity == "ok"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert (finding := start.check_encoders(Plan())[0]).severity == "problem" and "HF_HUB_OFFLINE" in finding.got
    hub(AUDIO, "config.json", "preprocessor_config.json", "pytorch_model.bin")
    hub(TEXT, "config.json", "vocab.txt")
    assert start.check_encoders(Plan())[0].where == [f"{TEXT}: no {' or '.join(start.WEIGHTS)}"]
    hub(TEXT, "model.safetensors")
    assert start.check_encoders(Plan())[0].severity == "ok"


def test_the_encoders_are_those_of_the_configuration():
    text = (ROOT / "config/encoders/paper.yaml").read_text(encoding="utf-8")
    assert re.findall(r"name: (\S+)", text) == list(start.ENCODERS)


def test_room_is_compared_with_wavs_and_checkpoints(corpora, monkeypatch, tmp_path):
    wavs = sum(path.stat().st_size for path in corpora.glob("*/wav/**/*.wav"))
    n_bytes, what = start.build_need(corpora, tmp_path)
    assert n_bytes == pytest.approx(1.05 * wavs, abs=2) and what == "data set"
    assert start.build_need(tmp_path, tmp_path) == (4_300_000_000, "data set (estimated: a corpus is not here)")
    monkeypatch.setattr(start, "missing_encoders", lambda: [])
    one, all_cells = n_bytes + 8_000_000_000, n_bytes + 45 * 2_600_000_000 + 5_400_000_000
    for free, severity in ((all_cells, "ok"), (all_cells - 1, "warning"), (one, "warning"), (one - 1, "problem")):
        monkeypatch.setattr(start.shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(free, 0, free))
        (finding,) = start.check_disk(corpora, tmp_path / "cache", tmp_path / "outputs", Plan())
        assert finding.severity == severity and "results of 45 cells" in finding.got + finding.expected
    monkeypatch.setattr(start.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(one, 0, one))
    assert start.check_disk(corpora, tmp_path / "cache", tmp_path / "outputs", Plan(cells=1))[0].severity == "ok"


def test_a_build_that_is_there_needs_no_room_again_unless_the_corpus_changed(corpora, tmp_path):
    from erc.data.build import MANIFEST, corpora_fingerprint

    for name in ("kemdy19", "kemdy20"):
        folder = tmp_path / f"{name}-{corpora_fingerprint(name, str(corpora), str(tmp_path))}"
        folder.mkdir()
        (folder / MANIFEST).write_text("{}")
    assert start.build_need(corpora, tmp_path) == (0, "data set (built already)")
    folder.rename(tmp_path / "kemdy20-0123456789abcdef")
    assert start.build_need(corpora, tmp_path)[0] > 0


@pytest.fixture
def answers(monkeypatch):
    """A hub on this machine; gives the list of codes that it answers with, one per question."""
    import huggingface_hub.constants

    codes: list[int] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            code = codes.pop(0)
            if code == 0:
                time.sleep(2)
            self.send_response(code or 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield codes
    server.shutdown()


def test_the_hub_is_asked_and_its_answer_named(answers):
    for code, said in ((200, ""), (429, ""), (404, r"refuses org/one \(404\)"), (0, "does not answer|timed out")):
        answers.append(code)
        problem = start.hub_problem(["org/one"], seconds=0.5)
        assert re.search(said, problem) if said else problem == ""


def test_a_hub_that_is_not_there_is_a_problem_at_once(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    assert "not reachable" in start.hub_problem(list(start.ENCODERS))
    assert time.monotonic() - began < start.HUB_SECONDS + 1


def test_corpora_that_are_not_there_stop_the_paper_and_not_the_demo(corpora, tmp_path):
    assert start.check_corpora(corpora, Plan())[0].severity == "ok"
    assert start.check_corpora(tmp_path, Plan())[0].severity == "problem"
    assert start.check_corpora(tmp_path, Plan("demo"))[0].severity == "ok"


def test_memory_is_compared_with_the_batch(monkeypatch):
    plan = Plan()
    # 665 million parameters of 16 bytes, and eight segments
    assert plan.memory_bytes == 665_000_000 * 16 + 8 * 1_450_000_000
    assert Plan(precision="bf16-mixed").memory_bytes < plan.memory_bytes < Plan(batch_size=16).memory_bytes
    for available, severity in ((plan.memory_bytes, "ok"), (plan.memory_bytes - 1, "warning"), (10**9, "problem")):
        monkeypatch.setattr(start, "available_memory", lambda uses_gpu, n=available: (True, n))
        (finding,) = start.check_memory(plan)
        assert finding.severity == severity and "estimate" in finding.got


@pytest.mark.parametrize(
    ("precision", "has_gpu", "has_bf16", "severity"),
    [
        ("32-true", False, False, "ok"),
        ("bf16-mixed", False, False, "ok"),
        ("bf16-mixed", True, True, "ok"),
        ("bf16-mixed", True, False, "warning"),
        ("16-mixed", True, False, "ok"),
        ("16-mixed", False, False, "problem"),
        ("64-true", True, True, "problem"),
        ("bf16", True, True, "problem"),
    ],
)
def test_the_precision_must_be_one_of_the_machine(precision, has_gpu, has_bf16, severity, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert start.check_precision(Plan(precision=precision))[0].severity == severity


def test_processes_are_compared_with_cores(monkeypatch):
    monkeypatch.setattr(start, "usable_cores", lambda: (4, 8))
    for plan, severity in (
        (Plan(num_workers=3), "ok"),
        (Plan(num_workers=4), "warning"),
        (Plan(launcher="local", jobs=4), "ok"),
        (Plan(launcher="local", jobs=2, num_workers=2), "warning"),
    ):
        assert start.check_workers(plan)[0].severity == severity


def test_a_launcher_that_is_not_here_is_a_problem(monkeypatch):
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: types.SimpleNamespace())
    monkeypatch.setattr(start.shutil, "which", lambda name: None)
    assert start.check_launcher(Plan(launcher="submitit_local"))[0].severity == "ok"
    assert "sbatch" in start.check_launcher(Plan(launcher="submitit_slurm"))[0].got
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None)
    assert start.check_launcher(Plan(launcher="submitit_local"))[0].severity == "problem"
    assert start.check_launcher(Plan())[0].severity == "ok"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"experiment": "small"}, "experiment must be one of paper, demo"),
        ({"launcher": "slurm"}, "launcher must be one of"),
        ({"cells": 0, "jobs": True}, "cells must be a whole number of 1 or more: got 0. jobs must be"),
        ({"num_workers": -1}, "num_workers must be"),
        ({"n_threads": 0}, "n_threads must be a whole number of 1 to 1,024: got 0"),
    ],
)
def test_a_plan_out_of_its_range_is_refused(values, said):
    with pytest.raises(ValueError, match=said):
        Plan(**values)
