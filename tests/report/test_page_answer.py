"""The page opens with what was compared, what won, by how much, and what speaks against it; every figure is a table's."""

from __future__ import annotations

import numpy as np
import pytest
from grid_by_hand import NAMES, shown, table_of, values_of, write_cell, write_paper_grid

from erc.report.comparisons import compare_rows, intervals
from erc.report.grid_results import load
from erc.report.page.answer import answer_of, best_marked


def intervals_of(rows, n_resamples):
    return {row.name: intervals(row, n_resamples) for row in rows}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return load(write_paper_grid(tmp_path_factory.mktemp("answer") / "paper"))


def test_the_answer_names_the_best_row_with_its_interval_the_majority_and_the_next_row(rows):
    answer = answer_of(rows, intervals_of(rows, 200), n_resamples=200)
    compared, won, next_one = answer.sentences
    assert compared.startswith("3 models were compared on 5 folds of kemdy19 and kemdy20: ")
    best = next(row for row in rows if row.name == "tensor_mixer_peakl")
    interval = intervals(best, 200)["weighted_f1"].dialogues
    assert won.startswith("**Tensor Mixer Network, PeakL labels** has the highest weighted F1: ")
    assert f"**{shown(np.mean(values_of('tensor_mixer_peakl', 'weighted_f1')))}** (95 % interval " in won
    assert f"{shown(float(interval.low))} to {shown(float(interval.high))}" in won
    assert f"valence {shown(np.mean(values_of('tensor_mixer_peakl', 'ccc_valence')))}" in won
    second = next(row for row in rows if row.name == "cross_attention_peakl")
    difference = compare_rows(best, second, 200)["weighted_f1"]["difference"]
    assert f"The next one is Cross-attention, PeakL labels: the difference is +{shown(difference)}" in next_one
    assert any("chosen on the fold that is reported" in text for text in answer.cautions)
    assert "Folds are missing in 1 of 3 rows." in answer.cautions


@pytest.mark.slow
def test_a_difference_that_may_be_none_is_said_so(tmp_path):
    for row in ("concat_hard", "tensor_mixer_peakl"):
        for fold in range(5):
            write_cell(tmp_path, row, fold, table_of("concat_hard", fold))  # the same predictions
    rows = load(tmp_path)
    assert any(
        "which of the two is better is not shown" in text
        for text in answer_of(rows, intervals_of(rows, 50), 50).cautions
    )


def test_one_run_is_not_compared(tmp_path):
    write_cell(tmp_path, "concat_hard", 2, table_of("concat_hard", 2))
    rows = load(tmp_path / "concat_hard" / "fold2-seed42")
    answer = answer_of(rows, intervals_of(rows, 50), 50)
    assert len(answer.sentences) == 2 and answer.sentences[0].startswith("Concatenation, hard labels: ")
    assert "of fold 2 of" in answer.sentences[0] and answer.sentences[1].startswith("Its weighted F1 is **")
    assert "It is one fold: how much folds differ is not known." in answer.cautions


def test_the_best_figure_of_each_column_is_bold_and_the_majority_is_no_candidate(rows):
    table = best_marked(rows)
    for column, name in enumerate(NAMES, start=1):
        bold = [line[0] for line in table.rows if line[column].startswith("**")]
        assert bold == [max(rows, key=lambda row: np.mean(row.values(name))).title], name
    (row,) = [row for row in rows if row.name == "concat_hard"]
    assert not any("**" in cell for line in best_marked([row]).rows for cell in line)  # alone, nothing is best
