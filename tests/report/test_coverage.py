"""What the table says of its intervals and p values is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from erc.report import coverage

STORED = Path(__file__).parents[2] / "benchmarks" / "coverage.json"

FIGURES = {
    "over_dialogues": ("plain", "dialogues: these models"),
    "over_dialogues_clustered": ("clustered", "dialogues: these models"),
    "over_dialogues_method": ("models differ", "dialogues: the method"),
    "over_folds": ("plain", "folds: these models"),
    "over_folds_method": ("models differ", "folds: the method"),
    "p_bootstrap": ("plain", "p bootstrap"),
    "p_bootstrap_method": ("models differ", "p bootstrap"),
    "p_t": ("models differ", "p t"),
}


def test_the_figures_of_the_table_are_those_of_the_benchmark():
    stored = {(one["world"], one["dialogues"]): one for one in json.loads(STORED.read_text(encoding="utf-8"))}
    assert {size for _, size in stored} == set(coverage.MEASURED)
    for size, measured in coverage.MEASURED.items():
        for name, (world, key) in FIGURES.items():
            by_metric = stored[world, size][key].values()
            assert getattr(measured, name) == (round(100 * min(by_metric)), round(100 * max(by_metric))), (size, name)


@pytest.mark.parametrize(("n_dialogues", "size"), [(8, 15), (15, 15), (19, 15), (20, 20), (87, 40), (500, 100)])
def test_a_grid_is_told_the_figures_of_the_largest_simulated_size_within_its_own(n_dialogues, size):
    assert coverage.nearest_size(n_dialogues) == size
    text = coverage.coverage_text(n_dialogues)
    low, high = coverage.MEASURED[size].over_dialogues
    assert f"with {size} dialogues a fold" in text and f"Over dialogues: {low} to {high} of 100" in text
    assert f"with {size} dialogues a fold" in coverage.error_rates_text(n_dialogues)
    assert f"with {size} dialogues a fold (here at least {n_dialogues})" in coverage.over_folds_text(n_dialogues)
    assert ("Too few dialogues" in text) == (n_dialogues < 15)  # beside figures that nothing was measured of
