"""The vectors of the untrained network: those of the reported segments, and without a trace in training."""

from __future__ import annotations

import numpy as np
import pytest
from small_cells import SmallCell

from erc.report import load


@pytest.fixture(scope="module")
def cells(corpora, cache_dir, tmp_path_factory) -> tuple[SmallCell, SmallCell]:
    """The same run with the callback and without it."""
    found = []
    for option in ("callbacks.untrained.path=${run_dir}/embeddings_untrained.npz", "~callbacks.untrained"):
        found.append(SmallCell(tmp_path_factory.mktemp("untrained"), corpora, cache_dir))
        found[-1]("trainer.max_epochs=1", option)
    return found[0], found[1]


def test_training_is_the_same_with_it_and_without_it(cells):
    with_it, without_it = (one.root / "run" for one in cells)
    assert (with_it / "predictions.csv").read_bytes() == (without_it / "predictions.csv").read_bytes()
    assert not (without_it / "embeddings_untrained.npz").exists()


def test_the_vectors_are_of_the_reported_segments_and_not_those_after_training(cells):
    (run,) = load(cells[0].root / "run")[0].runs.values()
    before, after = run.untrained_embeddings, run.embeddings
    assert before.shape == after.shape == (len(run.predictions), after.shape[1])
    assert np.isfinite(before).all() and not np.allclose(before, after, atol=1e-3)
