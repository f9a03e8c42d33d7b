"""The vectors of the untrained network: those of the reported segments, and without a trace in training."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from programs import run_program
from small_cells import SmallCell

from erc.report import load


@pytest.fixture(scope="module")
def cells(corpora, cache_dir, tmp_path_factory) -> tuple[SmallCell, SmallCell]:
    """The same run with the callback and without it."""
    found = []
    for option in ("callbacks.untrained.path=${run_dir}/embeddings_untrained.npz", "~callbacks.untrained"):
        found.append(SmallCell(tmp_path_factory.mktemp("untrained"), corpora, cache_dir))
        found[-1]("trainer.max_epochs=1", "dataset.num_data=120", option)
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


def test_the_command_of_the_picture_in_the_readme_draws_both(cells, tmp_path):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^python -m erc figures runs/demo (--only=map)$", readme, re.MULTILINE)
    run = str(cells[0].root / "run")
    done = run_program("-m", "erc", "figures", run, command, f"--out={tmp_path}", "--vector=svg")
    assert done.returncode == 0, done.stderr
    assert "Training takes the rank correlation" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alignment.csv", "map.png", "map.svg"]
    untrained = (tmp_path / "alignment.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[-2]
    assert -1 <= float(untrained) <= 1
