"""Rows of the grid: any fusion and any target, and all else as in the main row."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import yaml

from erc.grid import asked_for, cells as grid_cells, options as grid_options
from erc.targets import KINDS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


@functools.cache
def composed(experiment: str, row: str) -> dict:
    return asked_for.composed(experiment, row, ()).deciding


MAIN = ("tensor_mixer", "peakl")
"""Fusion and target of the main row. Experiments other than the paper's are looked at in rows that differ from it in one."""
ROWS = [
    (experiment, row)
    for experiment in grid_cells.EXPERIMENTS
    for row, parts in grid_cells.rows_of("paper").items()
    if experiment == "paper" or set(parts) & set(MAIN)
]


@pytest.mark.parametrize(("experiment", "row"), ROWS)
def test_a_row_is_its_fusion_and_its_target_and_all_else_is_as_in_the_main_row(experiment, row):
    fusion, target = row.rsplit("_", 1)
    config, main = composed(experiment, row), composed(experiment, "tensor_mixer_peakl")
    folder = "fusion" if experiment in ("paper", "frozen", "signals") else "fusion/small"
    assert config["fusion"] == yaml.safe_load((CONFIG / folder / f"{fusion}.yaml").read_text(encoding="utf-8"))
    assert config["model"]["fusion"] == config["fusion"]
    room = "training" if fusion == "egemaps_svm" else "model.fusion"
    assert config["fusion"]["_target_"].lower() == f"erc.{room}.{fusion.replace('_', '')}"
    assert config["target"]["kind"] == config["dataloader"]["collate"]["target"] == target

    def rest(parts: dict) -> dict:
        collate = parts["dataloader"]["collate"] | {"target": None}
        model = parts["model"] | {"fusion": None}
        dataloader = parts["dataloader"] | {"collate": collate}
        return parts | {"fusion": None, "target": None, "model": model, "dataloader": dataloader}

    assert rest(config) == rest(main)


@pytest.mark.parametrize("experiment", grid_cells.EXPERIMENTS)
def test_a_row_is_any_fusion_and_any_target_that_has_a_yaml(experiment):
    fusions = ("audio_only", "concat", "cross_attention", "egemaps_svm", "tensor_mixer", "text_only")
    fusions += ("concat_3", "cross_attention_3", "tensor_mixer_3", "signals_only")
    expected = {f"{fusion}_{target}": (fusion, target) for fusion in fusions for target in KINDS}
    assert grid_cells.rows_of(experiment) == expected
    assert set(grid_cells.TABLE_ROWS) <= set(expected) and len(grid_cells.TABLE_ROWS) == 9
    assert set(grid_cells.EXPERIMENTS[experiment].rows) <= set(expected)


def test_a_new_fusion_is_a_row_of_the_grid_as_soon_as_it_has_a_yaml(tmp_path, monkeypatch):
    for name in ("fusion/gated_sum", "target/hard", "target/peakl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").touch()
    monkeypatch.setattr(grid_cells, "CONFIG", tmp_path)
    # both compose, and these files are empty
    monkeypatch.setattr(grid_options, "check_options", lambda *asked: None)
    monkeypatch.setattr(grid_options, "folds_of", lambda *asked: [0])
    assert grid_options.parse(["--rows", "gated_sum_hard"]).rows == ["gated_sum_hard"]
    assert grid_cells.row_overrides("paper", ["gated_sum_peakl"])[1:] == ["fusion=gated_sum", "target=peakl"]
