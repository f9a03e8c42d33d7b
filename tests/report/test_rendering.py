"""Numbers and tables as text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from erc.report.rendering import (
    Document,
    Section,
    Table,
    ends_text,
    latex_escape,
    mean_std_text,
    short,
    short_p,
    signed,
    table_to_text,
    to_latex,
    to_markdown,
)


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.4564, ".456", "+.456"),
        (-0.0301, "−.030", "−.030"),
        (1.0, "1.000", "+1.000"),
        (-0.0001, ".000", "+.000"),
        (10.25, "10.250", "+10.250"),
        (math.nan, "–", None),
    ],
)
def test_a_figure_has_three_decimals_and_no_zero_in_front(value, plain, with_sign):
    assert short(value) == plain
    if with_sign:
        assert signed(value) == with_sign


def test_a_p_value_below_what_three_decimals_show_says_so():
    assert [short_p(p) for p in (0.0009, 0.001, 0.25, 1.0, math.nan)] == ["< .001", ".001", ".250", "1.000", "–"]


def test_means_and_ends_that_are_not_defined_are_a_dash():
    assert mean_std_text(np.array([0.25])) == ".250" and mean_std_text(np.array([])) == "–"
    assert mean_std_text(np.array([0.25, 0.75])) == ".500 ± .354"
    assert ends_text(-0.1, 0.2) == "−.100 to .200" and ends_text(-0.1, 0.2, with_sign=True) == "−.100 to +.200"
    assert ends_text(math.nan, math.nan) == "–"


def test_a_document_as_markdown():
    table = Table(["", "F1"], [["A | B", ".500"]], "F1 of both")
    document = Document("grid", ["One.", "Two."], [Section("First", ["Note."], [table, table], "reading")])
    assert to_markdown(document) == (
        "# grid\n\nOne.\nTwo.\n\n## First\n\nNote.\n"
        + "\nF1 of both:\n\n|  | F1 |\n| --- | --- |\n| A \\| B | .500 |\n" * 2
    )


def test_a_table_that_is_wider_than_the_terminal_goes_on_below_with_its_names():
    table = Table(["", "F1", "UAR", "CCC"], [["model", ".123", ".4 ± .1", ".5"], ["Majority", ".1", ".2", ".0"]])
    beside = table_to_text(table)
    assert beside.splitlines()[1] == "model     .123  .4 ± .1   .5"
    assert table_to_text(table, width=28) == beside  # as wide as its longest line
    assert table_to_text(table, width=27).splitlines() == [
        *["            F1      UAR", "model     .123  .4 ± .1", "Majority    .1       .2", ""],
        *["          CCC", "model      .5", "Majority   .0"],
    ]
    # a column that is too wide by itself stands alone, and nothing is lost
    assert table_to_text(table, width=3).split() == [
        *["F1", "model", ".123", "Majority", ".1", "UAR", "model", ".4", "±", ".1", "Majority", ".2"],
        *["CCC", "model", ".5", "Majority", ".0"],
    ]


def test_every_character_that_latex_reads_as_its_own_is_escaped():
    assert latex_escape("a_b & 5% $x$ #1 {y}") == r"a\_b \& 5\% \$x\$ \#1 \{y\}"
    assert (
        latex_escape("\\end ^ ~ < >")
        == r"\textbackslash{}end \textasciicircum{} \textasciitilde{} \textless{} \textgreater{}"
    )
    assert latex_escape(".5 ± .1, −2, –") == r".5 $\pm$ .1, $-$2, --"


def test_a_latex_table_sets_its_last_row_apart():
    table = Table(["", "F1_x"], [["A", ".1"], ["B", ".2"], ["Majority", ".0"]], "Protocol `a_b`, 50 %.")
    assert to_latex(table).splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{Protocol \texttt{a\_b}, 50 \%.}",
        r"\begin{tabular}{lc}",
        r"\toprule",
        r" & F1\_x \\",
        r"\midrule",
        r"A & .1 \\",
        r"B & .2 \\",
        r"\midrule",
        r"Majority & .0 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
