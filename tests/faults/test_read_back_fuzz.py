"""Files of a run folder damaged at random: every reader gives what was written, or an error in our words, at once.

The generator is seeded, so a failure names the case that shows it. The quick run has a few hundred cases for each file, the
slow one ten thousand.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from stand_ins import write_finished_cell
from test_data_fuzz import damage_bytes, damage_json, damage_lines, timed

from erc.data import KEMD
from erc.evaluation import read_predictions
from erc.training import read_back
from erc.training.read_back import Stored, read_config, read_error, read_identity, read_result

CASES = [300, pytest.param(1_500, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    run_dir = write_finished_cell(tmp_path_factory.mktemp("whole"), "concat_hard", 1)
    (run_dir / "error.json").write_text(
        json.dumps({"error": "ValueError: a\nb", "traceback": "x", "time": "2026-01-01 00:00:00"}), encoding="utf-8"
    )
    history = "epoch,step,train/loss\n" + "".join(f"{k},{4 * k},{1 / (k + 1)}\n" for k in range(6))
    (run_dir / "metrics.csv").write_text(history, encoding="utf-8")
    return run_dir


@pytest.fixture
def run_dir(whole, tmp_path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(whole, tmp_path / whole.name))


def damage(path: Path, raw: bytes, rng: np.random.Generator) -> bytes:
    """Bytes anywhere, a place in a JSON tree, or rows of a table."""
    if path.suffix == ".json" and rng.random() < 0.6:
        return json.dumps(damage_json(json.loads(raw), rng)).encode()
    if path.suffix == ".csv" and rng.random() < 0.5:
        return damage_lines(raw, rng)
    return damage_bytes(raw, rng)


def each_case(path: Path, n_cases: int, read: Callable[[], Any], *expected: type[Exception]):
    """Case, damaged content and what the reader gives, or its error; the file is whole again afterwards."""
    raw = path.read_bytes()
    for case in range(n_cases):
        damaged = damage(path, raw, np.random.default_rng([n_cases, case]))
        path.write_bytes(damaged)
        yield case, damaged, timed(case, read, *expected)
    path.write_bytes(raw)


def is_told(reason: str, name: str) -> bool:
    return reason.startswith(f"{name}: ") and len(reason) > len(name) + 5 and "Traceback" not in reason


@pytest.mark.parametrize("n_cases", CASES)
@pytest.mark.parametrize("has_hash", [True, False])
def test_a_damaged_result_is_told_or_is_what_was_written(run_dir, n_cases, has_hash):
    path = run_dir / "result.json"
    if not has_hash:
        rest = {key: value for key, value in json.loads(path.read_bytes()).items() if not key.endswith("_sha256")}
        path.write_text(json.dumps(rest), encoding="utf-8")
    before, n_read = json.loads(path.read_bytes()), 0
    for case, damaged, found in each_case(path, n_cases, lambda: read_result(run_dir)):
        assert isinstance(found, Stored), f"case {case}"
        if found.state == "valid":
            n_read += 1
            # nothing but what JSON does not tell apart, such as a blank; without a hash, a field that fits its type
            assert found.value == (before if has_hash else json.loads(damaged)), f"case {case}"
        else:
            assert is_told(found.reason, "result.json"), f"case {case}: {found}"
    assert n_read < n_cases / 2
    assert read_result(run_dir) == Stored("valid", before)  # control


@pytest.mark.parametrize("n_cases", CASES)
@pytest.mark.parametrize("has_hash", [True, False])
def test_damaged_predictions_are_told_or_hold_rows_that_a_run_could_have_written(run_dir, n_cases, has_hash):
    path = run_dir / "predictions.csv"
    sha256 = json.loads((run_dir / "result.json").read_bytes())["predictions_sha256"] if has_hash else ""
    raw, n_read = path.read_bytes(), 0
    expected = read_predictions(path, KEMD, sha256)
    for case, damaged, found in each_case(path, n_cases, lambda: read_predictions(path, KEMD, sha256), ValueError):
        if isinstance(found, ValueError):
            assert type(found) is ValueError and str(found) and "\n" not in str(found), f"case {case}: {found!r}"
            continue
        n_read += 1
        assert not has_hash or damaged == raw, f"case {case}"
        assert found.columns.equals(expected.columns) and found["segment_id"].is_unique, f"case {case}"
        assert np.isfinite(found.select_dtypes("number").drop(columns=["valence", "arousal"])).all(axis=None)
    assert n_read < n_cases / 2


@pytest.mark.parametrize("n_cases", CASES)
@pytest.mark.parametrize(("name", "read"), [("error.json", read_error), ("identity.json", read_identity)])
def test_a_damaged_error_or_identity_is_told(run_dir, n_cases, name, read):
    n_read = 0
    for case, _, found in each_case(run_dir / name, n_cases, lambda: read(run_dir)):
        n_read += found.state == "valid"
        assert found.state == "valid" or is_told(found.reason, name), f"case {case}: {found}"
    assert n_read < n_cases
    assert read(run_dir).state == "valid"  # control


@pytest.mark.parametrize("n_cases", CASES)
def test_a_damaged_history_counts_some_epochs_and_stops_nothing(run_dir, n_cases):
    counts = [
        found for *_, found in each_case(run_dir / "metrics.csv", n_cases, lambda: read_back.epochs_done(run_dir))
    ]
    assert min(counts) >= 0 and len(set(counts)) > 3
    assert read_back.epochs_done(run_dir) == 6


OPTIONS = """dataset:
  _target_: erc.datasets.HF_KEMD
  root: data
  num_data: null
  exclude: paper
  validation_fold: 4
protocol: paper
optim: {lr: {audio: 1.0e-05, text: 1.0e-05}}
seed: 42
"""


@pytest.mark.parametrize("n_cases", CASES)
def test_a_damaged_configuration_is_told_by_its_file(run_dir, n_cases):
    path = run_dir / "config.yaml"
    path.write_text(OPTIONS, encoding="utf-8")
    n_read = 0
    for case, _, found in each_case(path, n_cases, lambda: read_config(run_dir), ValueError):
        if isinstance(found, ValueError):
            assert str(path) in str(found) and "is damaged" in str(found), f"case {case}: {found!r}"
            continue
        n_read += 1
        assert isinstance(found["dataset"], dict) and isinstance(found["protocol"], str), f"case {case}"
    assert 0 < n_read < n_cases
    assert read_config(run_dir) == yaml.safe_load(OPTIONS)
