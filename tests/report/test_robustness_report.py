"""Robustness in the report: the table, the sentence and the figure hold the numbers of robustness.csv; the command as a whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from invented_cells import robustness_effects, write_cell

from erc.__main__ import main
from erc.report import build, draw_figures, robustness, robustness_command
from erc.report.figures.robustness import draw_robustness
from erc.report.grid_results import load
from erc.report.robustness_tables import finding_of, robustness_section, robustness_table
from erc.robustness import Effect, default_out, read_effects, write_effects
from erc.training import cells_in


@pytest.fixture
def effects():
    return robustness_effects(np.random.default_rng(0))


def effect(condition: str, difference: float, half: float, is_read: bool = True) -> Effect:
    ends = (difference - half, difference + half)
    return Effect(
        condition, condition.upper(), "audio", is_read, "macro_f1", 0.6 + difference, difference, *ends, math.nan
    )


def shown(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1).replace("-", "−")


def test_the_sentence_names_the_condition_that_harms_most_and_counts_the_others():
    found = finding_of(
        [
            effect("clean", 0, 0),
            effect("a", -0.1, 0.05),
            effect("b", -0.3, 0.1),
            effect("c", -0.4, 0.5),
            effect("d", 0, 0, False),
        ]
    )
    assert found == (
        "Macro-F1 falls most under “B”: to .300, a difference of −.300 (95 % interval −.400 to −.200). In 2 of 3 conditions "
        "the interval of the difference lies below 0."
    )
    assert finding_of([effect("clean", 0, 0), effect("c", -0.4, 0.5), effect("e", -0.4, math.nan)]) == ""


def test_the_table_has_every_condition_and_says_what_is_not_read(effects):
    table = robustness_table(effects, "")
    assert table.header == [
        "", "Macro-F1", "difference", "CCC (arousal)", "difference", "CCC (valence)", "difference", "word errors",
    ]  # fmt: skip
    lines = {line[0]: line[1:] for line in table.rows}
    assert len(lines) == 18
    assert lines["Without bio-signals"] == ["not read", ""] * 3 + ["–"]
    assert lines["Clean"] == [".600", "", ".400", "", ".700", "", "–"]
    one = next(one for one in effects if (one.condition, one.metric) == ("babble_0", "ccc_valence"))
    assert lines["Babble, 0 dB"][4:6] == [
        shown(one.value),
        f"{shown(one.difference)} ({shown(one.low)} to {'+' if one.high >= 0 else ''}{shown(one.high)})",
    ]
    assert lines["Clipping, 10 % of samples"][1].endswith("(–)")
    rate = next(one.word_error_rate for one in effects if one.condition == "recognised")
    assert lines["Words of the recogniser"][-1] == shown(rate)


@pytest.mark.parametrize("width_mm", [84, 174])
def test_the_figure_shows_each_difference_with_its_interval(effects, width_mm):
    fig = draw_robustness(effects, width_mm=width_mm)
    assert [ax.get_title(loc="left") for ax in fig.axes] == [
        "Macro-F1, clean .600", "CCC (arousal), clean .400", "CCC (valence), clean .700",
    ]  # fmt: skip
    for ax, metric in zip(fig.axes, ("macro_f1", "ccc_arousal", "ccc_valence"), strict=True):
        read = [one for one in effects if one.metric == metric and one.is_read and one.condition != "clean"]
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert [line.get_xdata()[0] for line in dots] == [one.difference for one in read]
        is_full = [line.get_markerfacecolor() == line.get_markeredgecolor() for line in dots]
        assert is_full == [one.high < 0 or one.low > 0 for one in read]
        ends = [tuple(line.get_xdata()) for line in ax.lines if line.get_linewidth() == 1.6]
        assert ends == [(one.low, one.high) for one in read if not math.isnan(one.low)]
        assert [text.get_text() for text in ax.texts if text.get_fontweight() != "bold"] == ["not read"]
    labels = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert labels[0] == "Without audio" and labels[-1] == "Words of the recogniser" and len(labels) == 17


@pytest.fixture
def grid(tmp_path):
    folder = tmp_path / "grid"
    cell = write_cell(folder, "concat_peakl", 0, np.random.default_rng(0))
    (cell / "config.yaml").write_text(
        "dataset: {}\nprotocol: paper\nmodel: {modality_dropout: 0.1}\n", encoding="utf-8"
    )
    return folder


@pytest.mark.slow
def test_the_page_has_table_and_figure_where_robustness_was_computed(grid, effects, tmp_path, kept, capsys):
    assert robustness_section(load(grid)) is None
    draw_figures(str(grid), out=str(tmp_path / "figures"), only="robustness")
    assert "left out: the robustness of" in capsys.readouterr().out  # asked for by its name
    folder = default_out(grid / "concat_peakl" / "fold0-seed42")
    folder.mkdir()
    write_effects(folder, effects)
    build(str(grid), out=str(tmp_path / "report"), n_resamples=20)
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    section = robustness_section(load(grid))
    assert "robustness" in kept and len(section.tables) == 1
    assert [cell.name for cell in cells_in(grid)] == ["fold0-seed42"]  # the folder is taken for no cell
    for part in (
        section.title,
        finding_of(effects).split(":")[0],
        section.tables[0].rows[5][2],
        "has learned for that",
    ):
        assert part in text


@pytest.mark.slow
def test_the_command_writes_table_and_figure_and_leaves_the_run_as_it_is(run, out, scored, recogniser, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    main(["robustness", str(run), f"--transcriber={recogniser}", "--n_resamples=50", "--vector=svg", "--width=column"])
    told = capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "identity.json", "predictions", "robustness.csv", "robustness.md", "robustness.png", "robustness.svg",
    }  # fmt: skip
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    effects = read_effects(out)
    assert {one.condition for one in effects} == {one.condition.name for one in scored}
    text = (out / "robustness.md").read_text(encoding="utf-8")
    for line in robustness_table(effects, "").rows:
        assert f"| {' | '.join(line)} |" in text and line[0] in told
    assert "say nothing about people" in text and ", PeakL (1/5 folds), fold 4, seed 42" in text


def test_of_a_grid_the_runs_of_one_fold_are_chosen(grid, tmp_path):
    write_cell(grid, "tensor_mixer_peakl", 0, np.random.default_rng(0))
    write_cell(grid, "concat_peakl", 2, np.random.default_rng(0))
    chosen = robustness_command._chosen
    assert [(row.name, one.result["fold"]) for row, one in chosen(str(grid), None, None)] == [
        ("concat_peakl", 0), ("tensor_mixer_peakl", 0),
    ]  # fmt: skip
    assert [(row.name, one.result["fold"]) for row, one in chosen(str(grid), 2, None)] == [("concat_peakl", 2)]
    cell = str(grid / "concat_peakl" / "fold2-seed42")
    for arguments, complaint in (
        ({"run": str(grid), "fold": 3}, r"one of \[0, 2\]: got 3"),
        ({"run": str(grid), "out": str(tmp_path)}, "leave out --out"),
        ({"run": cell, "fold": 2}, "Leave out --fold"),
        ({"run": cell, "width": "poster"}, "got 'poster' and 'pdf'"),
    ):
        with pytest.raises(ValueError, match=complaint):
            robustness(**arguments)
