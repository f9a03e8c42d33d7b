"""The values around the map: facts, states of the cells, figures, alignment, raters."""

from __future__ import annotations

from pathlib import Path

import pytest
from invented_pages import DOCUMENT, explorer, png, write_grid

from erc.report import grid_results
from erc.report.arrangement import AlignmentRow
from erc.report.figures import drawing
from erc.report.figures.drawing import Drawn
from erc.report.page import html as page_html, sections as page_sections


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """Two rows, two folds each; one more cell is begun. Read only."""
    folder = write_grid(tmp_path_factory.mktemp("runs") / "grid")
    (folder / "concat_peakl" / "fold2-seed42").mkdir()
    return folder


def test_what_the_report_is_of_stands_at_its_top(grid):
    rows = grid_results.load(grid)
    facts, cells = page_sections.facts_of(rows), page_sections.cells_of(rows, str(grid))
    assert facts["Experiment"] == "demo"
    assert facts["Protocol"] == "paper"
    assert facts["Folds with a finished cell"] == "0, 1 (2 of 5); 4 cells in all"
    assert cells.header == ["", "fold 0", "fold 1", "fold 2", "fold 3", "fold 4"]
    title, states = cells.rows[0]
    assert title == rows[0].title
    assert [one.text for one in states] == ["done (seed 42)"] * 2 + ["waiting (seed 42)"] + ["not begun"] * 2
    assert [one.state for one in states] == ["done"] * 2 + ["waiting"] + ["absent"] * 2
    text = page_html.render(DOCUMENT, explorer(), facts=facts, cells=cells)
    assert '<td class="text done">done (seed 42)</td>' in text
    assert "<dt>Seeds</dt><dd>42</dd>" in text


def test_a_figure_that_is_left_out_leaves_a_line(tmp_path):
    for name in ("folds", "stale"):
        Path(tmp_path, f"{name}.png").write_bytes(png(2200, 1100))
    drawn = [Drawn("folds", tmp_path / "folds.png"), Drawn("corpus", None, "no corpora <here>")]
    pictures, missing = page_sections.pictures_of(drawn)
    spec = drawing.spec_of("folds")
    assert [one[:3] for one in pictures] == [("folds", spec.alt, spec.caption)]
    assert missing == ["Figure corpus is missing: no corpora <here>"]
    text = page_html.render(DOCUMENT, explorer(), pictures=pictures, missing=missing)
    assert 'width="960" height="480" alt="Dot plot of weighted F1' in text
    assert "Figure corpus is missing: no corpora &lt;here&gt;" in text


def test_corpora_that_are_not_there_leave_a_line(grid):
    section = page_sections.raters_section(grid_results.load(grid)[0], 20)
    text = page_html.render(DOCUMENT, explorer(), [section])
    assert section.tables == []
    notice = '<p class="notice"><strong>Not computed: The data of a run are found through its configuration'
    assert notice in text


def test_the_alignment_of_every_cell_is_a_line(grid):
    rows = grid_results.load(grid)
    found = [
        AlignmentRow(rows[0].name, 0, 1200, 7, 0.4, 0.0004, 0.25, 0.3, 0.91, 0.5, -0.1, 0.7),
        AlignmentRow(rows[1].name, 1, 30, 6, -0.2, 0.6),
    ]
    section = page_sections.alignment_section(rows, found)
    assert section.title == "Emotions are arranged as the raters arrange them in 1 of 2 cells (p < .05)"
    assert section.tables[0].rows == [
        [rows[0].title, "0", "1,200", "7", ".400", "< .001", ".250", ".300", ".910", ".500", "−.100", ".700"],
        [rows[1].title, "1", "30", "6", "−.200", ".600", *["–"] * 6],
    ]
    assert len(section.tables[0].header) == len(section.tables[0].rows[0])
    none = page_sections.alignment_section(rows, found[1:])
    assert none.title == "Emotions are not clearly arranged as the raters arrange them in any of 1 cells (p ≥ .05)"
