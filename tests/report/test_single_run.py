"""One finished run is shown as a grid is: its table, its figures and its page, and its folder stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from invented_cells import write_cell

from erc.report import build, draw_figures
from erc.report.grid_results import is_single_run, load
from erc.report.page.sections import cells_of


@pytest.fixture
def run_dir(tmp_path):
    """A run in a folder that is named by its time, as train.py names it."""
    write_cell(tmp_path, "concat_peakl", 3, np.random.default_rng(0))
    folder = tmp_path / "outputs" / "2026-01-31_12-00-00-7"
    folder.parent.mkdir()
    (tmp_path / "concat_peakl" / "fold3-seed42").rename(folder)
    return folder


def test_a_run_folder_is_a_grid_of_one_row_and_one_fold(run_dir):
    (row,) = load(run_dir)
    assert is_single_run(run_dir) and not is_single_run(run_dir.parent)
    assert (row.name, row.folds, row.seeds) == ("concat_peakl", [3], [42])
    cells = cells_of([row], str(run_dir))
    assert cells.header == ["", "fold 3"] and [state.text for state in cells.rows[0][1]] == ["done (seed 42)"]


@pytest.mark.slow
def test_the_page_of_a_run_says_what_one_fold_can_say_and_changes_nothing_in_its_folder(run_dir, tmp_path):
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    told = build(str(run_dir), out=str(tmp_path / "report"), n_resamples=20)
    assert "60 segments, 1 run, " in told
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before
    text = (tmp_path / "report" / "table.md").read_text(encoding="utf-8")
    assert text.startswith("# concat_peakl, fold 3, seed 42\n")
    assert "One fold; seeds 42. How much folds differ is not known." in text and "Over dialogues" in text
    assert "Over folds: the mean" not in text and "Against concat" not in text
    assert "<title>" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_the_figures_of_a_run_are_drawn_where_they_are_asked_for(run_dir, tmp_path, kept, capsys):
    told = draw_figures(str(run_dir), out=str(tmp_path / "figures"))
    assert "figures of Concatenation, PeakL (1/5 folds)" in told and "confusion" in kept
