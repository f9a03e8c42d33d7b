"""Figures by speaker's sex and by kind of speech, in the tables."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from grid_by_hand import FOLDS, HEADER, NAMES, read_markdown, score, shown_pair, table_of, write_cell

from erc.report import tables

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # scikit-learn's, of our oracle

TITLE = "By group, reading `selected`"


def write_grid(grid, groups):
    """Two rows of five folds, each with the figures of ``groups(table)``: groups by name."""
    for row in ("concat_hard", "tensor_mixer_peakl"):
        for fold in FOLDS:
            table = table_of(row, fold)
            by_group = {name: score(part) for name, part in groups(table).items()}
            write_cell(grid, row, fold, table, **({"metrics_by_group": by_group} if by_group else {}))
    return grid


def halves(table):
    is_odd = np.arange(len(table)) % 2 == 1
    return {"gender:F": table[is_odd], "gender:M": table[~is_odd], "style:spontaneous": table}


def test_each_group_has_a_line_in_each_row_and_a_kind_of_one_group_has_no_table(tmp_path):
    found = read_markdown(tables.write_tables(write_grid(tmp_path, halves), n_resamples=5))
    header, *lines = found[TITLE]
    assert header == ["", "group", *HEADER[1:]] and f"{TITLE}/2" not in found  # all speech is of one kind
    assert [line[:2] for line in lines] == [
        [row, sex] for row in ("Concatenation, hard", "Tensor Mixer Network, PeakL") for sex in ("female", "male")
    ]
    for line, row, group in zip(
        lines, np.repeat(["concat_hard", "tensor_mixer_peakl"], 2), ["F", "M"] * 2, strict=True
    ):
        of_fold = [score(halves(table_of(row, fold))[f"gender:{group}"]) for fold in FOLDS]
        assert line[2:] == [shown_pair([one[name] for one in of_fold]) for name in NAMES]
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        figures = [line for line in csv.DictReader(file) if line["group"]]
    assert len(figures) == 2 * 2 * len(NAMES) and {line["group"] for line in figures} == {"gender:F", "gender:M"}


def test_a_fold_without_a_group_has_no_figure_of_it(tmp_path):
    def groups(table):
        return {"style:scripted": table[:5]} | (
            {"style:spontaneous": table[5:]} if table["session"].iloc[0] == 1 else {}
        )

    lines = read_markdown(tables.write_tables(write_grid(tmp_path, groups), n_resamples=5))[TITLE][1:]
    assert {line[2] for line in lines if line[1] == "spontaneous"} == {"–"}
    assert "–" not in {line[2] for line in lines if line[1] == "scripted"}


def test_results_without_groups_have_no_such_table(tmp_path):
    assert TITLE not in read_markdown(tables.write_tables(write_grid(tmp_path, lambda table: {}), n_resamples=5))
