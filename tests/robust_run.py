"""A finished run of one epoch on small corpora, and its robustness, for the tests of robustness."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cells import SmallCell

from erc.robustness import Scored, score_conditions


@pytest.fixture(scope="session")
def run(corpora, cache_dir, tmp_path_factory) -> Path:
    """Reads audio and text; 48 segments are reported."""
    cell = SmallCell(tmp_path_factory.mktemp("robust"), corpora, cache_dir)
    cell("fusion=small/concat", "trainer.max_epochs=1", "dataset.num_data=48", "dataloader.collate.max_samples=16000")
    return cell.root / "run"


@pytest.fixture(scope="session")
def out(run) -> Path:
    """Where the run's robustness is kept."""
    return run.with_name("robustness-run")


@pytest.fixture(scope="session")
def scored(run, out, recogniser) -> list[Scored]:
    return score_conditions(run, out, transcriber=str(recogniser))
