"""No fact of one corpus stands where every corpus passes: the source of model, training, evaluation and report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from erc.data import EMOTIONS

PACKAGE = Path(__file__).resolve().parents[1] / "erc"
ROOMS = ("model", "training", "evaluation", "report")

NAMES = r"(?<![\w.])(EMOTIONS|N_EMOTIONS|N_RATERS|VA_MIN|VA_MAX|N_FOLDS)\b"
LITERALS = rf"""["'`]({"|".join(EMOTIONS)})["'`]"""
WORDS = r"\b((ten|10) raters|(seven|7) emotions|(all|of) ten\b(?! votes)|other nine|1 to 5|five steps|emotions \(7\))"

ALLOWED = {
    "report/figures/style.py": LITERALS,  # the table of colours and markers
    "report/raters.py": WORDS,  # the rater groups of KEMD, stated as facts
    "evaluation/distributions.py": WORDS,  # the strata that ten raters' votes have names for
}


def complaints(sources: dict[str, str]) -> list[str]:
    """``file: word`` of each fact of KEMD in the source."""
    found = []
    for name, source in sources.items():
        for pattern in (NAMES, LITERALS, WORDS):
            if ALLOWED.get(name) != pattern:
                found += [f"{name}: {match.group(0)}" for match in re.finditer(pattern, source)]
    return found


def sources() -> dict[str, str]:
    files = [
        path for room in ROOMS for path in (PACKAGE / room).rglob("*") if path.suffix in (".py", ".pyi", ".js", ".html")
    ]
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_no_fact_of_kemd_stands_in_model_training_evaluation_or_report():
    found = sources()
    assert {"report/page/script/data.js", "report/page/template.html", "model/heads.py"} <= found.keys()
    assert complaints(found) == []


def test_every_exception_is_one():
    found = sources()
    for name, pattern in ALLOWED.items():
        assert re.search(pattern, found[name]), f"{name} needs no exception any more"


@pytest.mark.parametrize(
    "source",
    [
        "from erc.data import EMOTIONS",
        "x = N_RATERS",
        'index = names.indexOf("neutral")',
        "hard = row == 'sad'",
        'ax.set(xlabel="valence, mean of ten raters")',
        "alt='matrices of seven emotions'",
        "range(VA_MIN, 6)",
        '"""Ratings from 1 to 5."""',
    ],
)
def test_a_fact_of_kemd_would_be_found(source):
    assert complaints({"report/tables.py": source})
