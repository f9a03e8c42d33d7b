"""Long texts in two folds: chance gives some, a copied file or dialogue gives others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from erc.doctor.across_folds import check_repeated_text

PHRASES = [" ".join(f"{letter}{index}" for letter in "abcd") for index in range(10)]


def selection() -> pd.DataFrame:
    """Five folds of ten dialogues with six texts of three common phrases; no text stands in two folds."""
    rng = np.random.default_rng(0)
    drawn = [PHRASES[i] + " " + PHRASES[j] + " " + PHRASES[k] for i, j, k in np.ndindex(10, 10, 10)]
    rows = [
        ("kemdy20", f"d{fold}{dialogue}_{turn}", f"d{fold}{dialogue}", fold)
        for fold in range(5)
        for dialogue in range(10)
        for turn in range(6)
    ]
    table = pd.DataFrame(rows, columns=["corpus", "segment_id", "dialogue", "fold"])
    return table.assign(words=rng.permutation(drawn)[: len(table)])


def severity(table: pd.DataFrame) -> tuple[str, int]:
    (finding,) = check_repeated_text([SimpleNamespace(selected=table)])
    return finding.severity, len(finding.where)


def test_a_text_of_common_phrases_may_repeat_by_chance():
    table = selection()
    assert severity(table) == ("ok", 0)
    table.loc[200, "words"] = table.loc[0, "words"]
    assert severity(table) == ("note", 0)


def test_a_text_of_its_own_words_does_not_repeat_by_chance():
    table = selection()
    table.loc[[0, 200], "words"] = " ".join(f"own{index}" for index in range(12))
    assert severity(table) == ("warning", 1)


def test_a_dialogue_copied_to_another_fold_is_found_although_its_phrases_are_common():
    table = selection()
    table.loc[180:185, "words"] = table.loc[0:5, "words"].to_numpy()
    assert severity(table) == ("warning", 6)
