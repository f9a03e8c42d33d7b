"""Two small runs on synthetic speech, shared by the tests of this folder: one is finished, one was killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cells import Cut, SmallCell


@pytest.fixture(scope="session")
def run(tmp_path_factory, corpora, cache_dir) -> Path:
    """A finished run that reads text; change a copy."""
    cell = SmallCell(tmp_path_factory.mktemp("finished"), corpora, cache_dir)
    rates = "optim.lr={audio: 1e-3, text: 1e-3, fusion: 1e-3, heads: 1e-3}"  # it learns something in eight epochs
    cell("trainer.max_epochs=8", "dataset.num_data=300", rates)
    return cell.root / "run"


@pytest.fixture(scope="session")
def killed_run(tmp_path_factory, corpora, cache_dir) -> Path:
    """A run that was killed in its second epoch: it has checkpoints, and neither a result nor a saved model."""
    cell = SmallCell(tmp_path_factory.mktemp("killed"), corpora, cache_dir)
    with pytest.raises(Cut):
        cell(cut_at=1)
    return cell.root / "run"
