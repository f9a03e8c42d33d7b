"""How the cells of a grid stand: one line per row, from the folders alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from programs import run_program
from stand_ins import holder, result_text

from erc import files
from erc.grid import overview
from erc.training import run_folder


def write_result(run_dir: Path) -> None:
    run_dir.mkdir(parents=True)
    files.write_atomically(run_dir / "result.json", result_text(run_dir))


@pytest.fixture
def grid(tmp_path):
    """A folder with a cell of each kind; one is held by another process."""
    write_result(tmp_path / "concat_hard" / "fold0-seed42")
    write_result(tmp_path / "concat_hard" / "fold1-seed42")
    failed = tmp_path / "concat_hard" / "fold2-seed42"
    failed.mkdir()
    run_folder.record_error(failed, RuntimeError("no room\nat all"))
    half = tmp_path / "text_only_peakl" / "fold0-seed42"
    half.mkdir(parents=True)
    (half / "last.ckpt").touch()
    (tmp_path / "text_only_peakl" / "fold1-seed42").mkdir()
    (tmp_path / "table.md").touch()
    (tmp_path / "concat_hard" / "notes").mkdir()  # no cell
    busy = tmp_path / "text_only_peakl" / "fold2-seed7"
    with holder(busy):
        (busy / "metrics.csv").write_text("epoch,step\n0,4\n1,8\n", encoding="utf-8")
        yield tmp_path


EXPECTED = """\
concat_hard              0-seed42: done  1-seed42: done  2-seed42: failed
text_only_peakl          0-seed42: half-done  1-seed42: waiting  2-seed7: running (epoch 3)
failed: concat_hard/fold2-seed42: RuntimeError: no room
2 done, 1 failed, 1 half-done, 1 running, 1 waiting"""
"""Two epochs of the running cell are in its history, so it works on the third."""


def test_the_status_of_a_grid_has_a_line_a_row_each_failure_and_the_sums(grid):
    assert overview.cells_status(str(grid)) == EXPECTED


def test_the_command_says_the_same(grid):
    done = run_program("-m", "erc", "status", grid)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == EXPECTED


def test_a_folder_without_cells_is_an_error_that_says_what_was_expected(tmp_path):
    (tmp_path / "concat_hard").mkdir()
    with pytest.raises(FileNotFoundError, match=f"fold<k>-seed<s>/: {re.escape(str(tmp_path))} holds none"):
        overview.cells_status(str(tmp_path))
