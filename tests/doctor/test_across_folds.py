"""Labels, speakers and text across folds, on tables written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from erc.data import EMOTIONS
from erc.data.corpora import KEMDY19, KEMDY20
from erc.doctor import across_folds, evidence


def text_case(rows: list[tuple[int, str, str]], corpus=KEMDY19) -> evidence.Evidence:
    """Evidence of transcripts only: (fold, dialogue, words)."""
    table = pd.DataFrame(rows, columns=["fold", "dialogue", "words"])
    table = table.assign(corpus=corpus.name, is_selected=True, segment_id=[f"s{k}" for k in range(len(rows))])
    return evidence.Evidence(corpus, Path(), "paper", False, [], 0, table, [], [])


def test_the_share_of_repeated_transcripts_is_that_of_a_two_line_loop():
    rng = np.random.default_rng(0)
    rows = [
        (int(f), str(rng.choice(["Sess01_script01", "Sess01_impro01"])), f"말 {rng.integers(40)}")
        for f in rng.integers(5, size=120)
    ]
    (finding,) = across_folds.check_repeated_text([text_case(rows)])
    shares = {(row[0], row[1]): row[3:] for row in finding.table[1:]}
    for kind, mark in (("scripted", "script"), ("spontaneous", "impro")):
        for fold in range(5):
            training = {words for f, _, words in rows if f != fold}
            mine = [words in training for f, dialogue, words in rows if f == fold and mark in dialogue]
            assert shares["kemdy19", kind][fold] == round(100 * np.mean(mine), 1)


def test_text_is_looked_for_in_the_other_corpus_too_and_text_without_words_nowhere():
    one = text_case([(0, "Sess01_impro01", "하나"), (1, "Sess05_impro01", "?"), (2, "Sess09_impro01", "?")])
    two = text_case([(3, "Sess25_script01", "하나")], KEMDY20)
    (finding,) = across_folds.check_repeated_text([one, two])
    assert finding.table[1:] == [
        ["kemdy19", "spontaneous", 1, 100.0, None, None, None, None, 100.0],
        ["kemdy20", "spontaneous", 1, None, None, None, 100.0, None, 100.0],
    ]


def test_a_fold_that_lacks_an_emotion_is_named(full_case):
    case = full_case(KEMDY20)
    case.table["corpus"] = "kemdy20"
    fear = EMOTIONS.index("fear")
    case.table = case.table[~((case.table["fold"] == 2) & (case.table["hard_label"] == fear) & ~case.table["is_tied"])]
    rows = case.table[~case.table["is_tied"]]
    expected = [
        f"fold {f} has no {name}"
        for f in range(5)
        for i, name in enumerate(EMOTIONS)
        if not ((rows["fold"] == f) & (rows["hard_label"] == i)).any()
    ]
    (finding,) = across_folds.check_labels([case])
    assert finding.severity == "warning" and finding.where == expected and "fold 2 has no fear" in expected
    small = full_case(KEMDY20)
    small.table = small.table.groupby("fold").head(4)
    assert across_folds.check_labels([small])[0].severity == "note"  # by chance
    case.table = case.table[case.table["fold"] != 3]
    (finding,) = across_folds.check_labels([case])
    assert "fold 3 holds no untied segment" in finding.where
    assert finding.table[4][:3] == [3, 0, 0]
