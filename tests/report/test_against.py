"""Two grids compared: differences by scikit-learn, intervals as within one grid, and what cannot be compared is refused."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from grid_by_hand import NAMES, make_truth, predict, read_markdown, score, shown, table_of, write_cell
from stand_ins import write_finished_cell

from erc.report import build, compare_grids, write_tables
from erc.report.comparisons import differences

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # scikit-learn's, of our oracle

ROW = "tensor_mixer_peakl"


def weaker(fold: int) -> pd.DataFrame:
    """Other predictions for the segments of ``table_of``."""
    return predict(make_truth(fold), 0.2, [99, fold])


@pytest.fixture(scope="module")
def grids(tmp_path_factory) -> tuple[Path, Path]:
    """A and B share one row with folds 0 and 1, each has a third fold of its own, and each a row of its own."""
    root = tmp_path_factory.mktemp("two")
    a, b = root / "long", root / "short"
    for fold in (0, 1, 2):
        write_cell(a, ROW, fold, table_of(ROW, fold))
    for fold in (0, 1, 3):
        write_cell(b, ROW, fold, weaker(fold))
    write_cell(a, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(b, "cross_attention_peakl", 0, table_of("cross_attention_peakl", 0))
    return a, b


@pytest.fixture(scope="module")
def found(grids):
    return compare_grids(*grids, n_resamples=100)


def test_differences_are_those_of_scikit_learn_over_the_folds_of_both(grids, found):
    lines = {line["metric"]: line for line in csv.DictReader(found.csv.splitlines())}
    assert list(lines) == list(NAMES)
    for metric, line in lines.items():
        a, b = (
            np.mean([score(table(fold))[metric] for fold in (0, 1)]) for table in (lambda k: table_of(ROW, k), weaker)
        )
        assert [float(line[key]) for key in ("a", "b", "difference")] == pytest.approx([a, b, a - b], abs=1e-9)
        assert (line["row"], line["n_folds"]) == (ROW, "2")


def test_intervals_and_p_values_are_those_of_two_rows_of_one_grid(grids, found, tmp_path):
    for fold in (0, 1):
        write_cell(tmp_path / "one", ROW, fold, table_of(ROW, fold))
        write_cell(tmp_path / "one", "other_peakl", fold, weaker(fold))
    expected = differences(tmp_path / "one", ROW, "other_peakl", n_resamples=100)
    for line in csv.DictReader(found.csv.splitlines()):
        one = expected[line["metric"]]
        assert float(line["low"]) == pytest.approx(one["low"], abs=1e-12)
        assert float(line["high"]) == pytest.approx(one["high"], abs=1e-12)
        assert float(line["p_bootstrap"]) >= one["p_bootstrap"] / len(NAMES)  # corrected over the table


def test_the_table_has_the_effect_first_and_p_last_and_rows_of_one_grid_are_named(found):
    (lines,) = read_markdown(f"# {found.title}\n" + _as_markdown(found)).values()
    assert lines[0] == ["", "metric", "folds", "difference", "95 % interval", "long", "short", "p (t)", "p (bootstrap)"]
    assert len(lines) == 1 + len(NAMES)
    text = " ".join(found.section.paragraphs)
    assert "Not compared: only long has concat_hard; only short has cross_attention_peakl." in text
    assert "Difference = long minus short" in text
    assert "What else differs is not known in 1 rows, which have no identity.json." in text


def _as_markdown(found) -> str:
    from erc.report import table_to_markdown

    return "\n".join(map(table_to_markdown, found.section.tables))


def test_the_sentence_says_by_how_much_and_whether_that_is_shown(grids, found):
    line = next(csv.DictReader(found.csv.splitlines()))
    told = f"differs by **+{shown(float(line['difference']))}** (95 % interval "
    assert found.sentence.startswith(
        "**long against short**: the weighted F1 of Tensor Mixer Network, PeakL (3/5 folds) "
    )
    assert told in found.sentence
    assert ("is not shown" in found.sentence) == (float(line["low"]) <= 0 <= float(line["high"]))
    # the other way round it is the same with the other sign
    back = next(csv.DictReader(compare_grids(*grids[::-1], n_resamples=100).csv.splitlines()))
    assert float(back["difference"]) == pytest.approx(-float(line["difference"]), abs=1e-12)


def test_options_data_seeds_and_code_that_differ_are_named(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for row in ("concat_hard", "concat_peakl"):
        write_finished_cell(a, row, 0, options={"trainer.max_epochs": 8})
    write_finished_cell(b, "concat_hard", 0, options={"trainer.max_epochs": 2})
    write_finished_cell(b, "concat_peakl", 0, options={"trainer.max_epochs": 2})
    said = " ".join(compare_grids(a, b, n_resamples=20).section.paragraphs)
    assert "The grids differ in trainer.max_epochs: 8 in a, 2 in b." in said
    # nothing but the cell's own place differs between a grid and its copy
    shutil.copytree(a, tmp_path / "c")
    same = compare_grids(a, tmp_path / "c", n_resamples=20)
    assert "Options, data and code are the same in both grids." in same.sentence and "is not shown" in same.sentence
    # it is about the best row of A, or about the one that is asked for
    lines = [line for line in csv.DictReader(same.csv.splitlines()) if line["metric"] == "weighted_f1"]
    titles = {"concat_hard": "Concatenation, hard", "concat_peakl": "Concatenation, PeakL"}
    worst, best = (line["row"] for line in sorted(lines, key=lambda line: float(line["a"])))
    assert f"the weighted F1 of {titles[best]} " in same.sentence
    assert (
        f"the weighted F1 of {titles[worst]} " in compare_grids(a, tmp_path / "c", n_resamples=20, row=worst).sentence
    )
    # another seed and other data of one row
    shutil.rmtree(b / "concat_peakl")
    write_finished_cell(b, "concat_peakl", 0, seed=7, options={"trainer.max_epochs": 2}, data="other")
    with pytest.raises(ValueError, match="A table is of one set of options and data"):
        compare_grids(a, b, n_resamples=20)
    shutil.rmtree(b / "concat_hard")
    said = compare_grids(a, b, n_resamples=20).sentence
    assert "the fingerprint of the corpora, so the training segments may be others" in said
    assert "seeds: 42 in a, 7 in b" in said and "seed: 42" not in said


def test_of_many_differences_the_sentence_names_three_and_the_section_all(tmp_path):
    options = {f"optim.o{k}": k for k in range(5)}
    write_finished_cell(tmp_path / "a", "concat_hard", 0, options=options)
    write_finished_cell(tmp_path / "b", "concat_hard", 0, options={name: -value - 1 for name, value in options.items()})
    found = compare_grids(tmp_path / "a", tmp_path / "b", n_resamples=20)
    assert "optim.o2: 2 in a, -3 in b; and 2 more." in found.sentence
    assert "optim.o4: 4 in a, -5 in b." in " ".join(found.section.paragraphs)


def test_grids_of_one_name_are_told_apart_by_their_paths(grids, tmp_path):
    other = tmp_path / "elsewhere" / "long"
    shutil.copytree(grids[0], other)
    assert compare_grids(grids[0], other, n_resamples=20).title == f"{grids[0]} against {other}"


@pytest.mark.parametrize("kind", ["corpora", "segments", "labels", "rows", "folds", "twice"])
def test_what_cannot_be_compared_is_refused_in_one_sentence(grids, tmp_path, kind):
    a, b = grids[0], tmp_path / "b"
    table = table_of(ROW, 0)
    if kind == "corpora":
        write_cell(b, ROW, 0, table[table["corpus"] == "kemdy19"])
        said = "same corpora: expected kemdy19, kemdy20 as in long, got kemdy19 (b). Name a grid of the same corpora."
    elif kind == "segments":
        write_cell(b, ROW, 0, table.iloc[1:])
        said = (
            f"same segments: expected the {len(table)} of long, got {len(table) - 1}, of which {len(table) - 1} are the "
            f"same (b, {ROW}, fold 0)."
        )
    elif kind == "labels":
        write_cell(b, ROW, 0, table.assign(valence=table["valence"] / 2 + 1))
        said = f"same labels: expected those of long, got others for the same segments (b, {ROW}, fold 0)."
    elif kind == "rows":
        write_cell(b, "cross_attention_peakl", 0, table)
        said = "rows and folds of both: expected some of concat_hard (folds 0), tensor_mixer_peakl (folds 0, 1, 2), got"
    elif kind == "folds":
        write_cell(b, ROW, 4, table_of(ROW, 4))
        said = f"got {ROW} (folds 4) (b). Train the same rows and folds in both."
    else:
        b, said = a, "expected two folders"
    before = set(a.iterdir())
    with pytest.raises(ValueError, match=re.escape(said)):
        write_tables(a, n_resamples=20, against=str(b))
    assert set(a.iterdir()) == before  # no table either: the command did nothing


def test_the_table_s_command_writes_the_comparison_beside_the_table(grids, tmp_path):
    a = tmp_path / "long"
    shutil.copytree(grids[0], a)
    alone = write_tables(a, n_resamples=20)
    assert not (a / "against.md").exists()
    told = write_tables(a, n_resamples=20, against=str(grids[1]))
    assert (a / "table.md").read_text(encoding="utf-8") == alone  # the table knows nothing of another grid
    assert told == f"{alone}\n{(a / 'against.md').read_text(encoding='utf-8')}"
    assert (a / "against.csv").read_text(encoding="utf-8").startswith("row,metric,a,b,difference,low,high,")


@pytest.mark.slow
def test_the_page_of_a_run_against_a_run_has_a_section_and_a_sentence(tmp_path):
    runs = []
    for name, n_epochs in (("long", 8), ("short", 2)):
        cell = write_finished_cell(tmp_path / name, "concat_peakl", 1, options={"trainer.max_epochs": n_epochs})
        runs.append(tmp_path / f"run-{name}")
        cell.rename(runs[-1])
    build(str(runs[0]), out=str(tmp_path / "page"), n_resamples=20, against=str(runs[1]))
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    answer = page.split('<div class="answer">')[1].split("</div>")[0]
    assert "<strong>run-long against run-short</strong>: the weighted F1 of Concatenation, PeakL" in answer
    assert "trainer.max_epochs: 8 in run-long, 2 in run-short" in answer
    assert "<h3>run-long against run-short, reading <code>selected</code></h3>" in page
    assert (tmp_path / "page" / "against.md").is_file() and not (runs[0] / "against.md").exists()
