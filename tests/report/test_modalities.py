"""What each modality adds: which rows are compared, and the differences against the rows' own figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from stand_ins import write_finished_cell

from erc.report import grid_results, modalities, tables

NAMES = [
    "audio_only_peakl",
    "text_only_peakl",
    "concat_peakl",
    "concat_3_peakl",
    "tensor_mixer_3_peakl",
    "concat_3_soft",
]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    for name in NAMES:
        for fold in (0, 1):
            write_finished_cell(folder, name, fold)
    return folder


def test_a_row_is_compared_with_those_that_lack_one_of_its_modalities_for_the_same_label_kind(out):
    pairs = [(a.name, b.name, added) for a, b, added in modalities.pairs_of(grid_results.load(out))]
    assert sorted(pairs) == [
        ("concat_3_peakl", "concat_peakl", "bio-signals"),
        ("concat_peakl", "audio_only_peakl", "text"),
        ("concat_peakl", "text_only_peakl", "audio"),
    ]


def test_what_a_modality_adds_is_the_difference_of_the_means_and_stands_in_every_form_of_the_table(out):
    rows = grid_results.load(out)
    found = tables.make_tables(rows, n_resamples=50)
    (section,) = [one for one in found.document.sections if one.title.startswith("What each modality adds")]
    assert {line[0] for line in section.tables[0].rows} == {"audio", "bio-signals", "text"}
    lines = [line for line in csv.DictReader(io.StringIO(found.csv)) if line["quantity"] == "added"]
    assert len(lines) == 3 * 3  # pairs, and weighted F1 and two concordances
    by_name = {row.name: row for row in rows}
    for line in lines:
        means = [np.mean(by_name[line[name]].values(line["metric"])) for name in ("row", "reference")]
        assert float(line["mean"]) == pytest.approx(means[0] - means[1], abs=1e-9)
        assert float(line["low"]) <= float(line["mean"]) <= float(line["high"])


def test_a_grid_without_such_rows_has_no_such_section(out):
    rows = [row for row in grid_results.load(out) if row.name in ("concat_peakl", "tensor_mixer_3_peakl")]
    assert modalities.added_section(rows, modalities.added_by_modality(rows, 10)) is None
