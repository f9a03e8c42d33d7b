"""Counts against the published ones, which are those of the real corpora."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from erc.data import EMOTIONS
from erc.data.corpora import KEMDY19, KEMDY20
from erc.doctor import counts
from erc.doctor.findings import Finding
from erc.doctor.published import SESSION_SIZES, SESSION_SLACK, is_published


def severities(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.name: finding.severity for finding in findings}


COUNTED = ("counts", "fold sizes", "session sizes", "emotion counts")


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
def test_the_published_counts_are_recognised_and_one_segment_less_is_a_problem(corpus, full_case):
    case = full_case(corpus)
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, "ok")
    case.table = case.table.drop(index=0)
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, "problem")


@pytest.mark.parametrize("change", ["later release", "synthetic"])
def test_counts_are_no_problem_where_others_are_to_be_expected(change, full_case):
    case = full_case(KEMDY20, release=int(change == "later release"), is_synthetic=change == "synthetic")
    case.table = case.table.drop(index=0)
    expected = "warning" if change == "later release" else "note"
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, expected)


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
def test_a_missing_session_does_not_switch_the_comparison_off(corpus, full_case):
    case = full_case(corpus)
    lost = corpus.n_sessions  # in the last fold
    case.sessions.remove(lost)
    case.table = case.table[case.table["session"] != lost]
    found = {finding.name: finding for finding in counts.check_counts(case)}
    assert severities(found.values()) == {
        "counts": "note",
        "emotion counts": "note",
        "fold sizes": "ok",
        "session sizes": "ok",
    }
    assert "compared: 0 1 2 3, the others lack sessions" in found["fold sizes"].got
    assert "sessions are missing: not compared" in found["counts"].got
    # one segment less, in a whole fold and in a session of the other one
    for session, wrong in ((2, {"fold sizes", "session sizes"}), (lost - 1, {"session sizes"})):
        row = case.table.index[(case.table["session"] == session) & case.table["is_selected"]][0]
        table, case.table = case.table, case.table.drop(index=row)
        found = {finding.name: finding for finding in counts.check_counts(case)}
        assert {name for name, finding in found.items() if finding.severity == "problem"} == wrong
        assert [place.split(":")[0] for place in found["session sizes"].where] == [f"session {session}"]
        case.table = table


def test_a_small_corpus_with_all_sessions_is_not_taken_for_the_published_one(full_case):
    case = full_case(KEMDY19)
    case.table = case.table.groupby("session").head(40)
    assert not is_published(case)
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, "note")
    whole = full_case(KEMDY19)
    assert is_published(whole)
    # a fold of which half is lost is still one of the published corpus
    whole.table = whole.table.drop(index=whole.table.index[whole.table["session"] <= 4][::2])
    assert is_published(whole)


def test_session_sizes_add_up_to_the_published_ones():
    # the sheet: 10,273 of 10,277 and 13,432 of 13,462 in the public lists of ids
    assert sum(SESSION_SIZES["kemdy19"]) == 10_273 and sum(SESSION_SIZES["kemdy20"]) == 13_432
    assert len(SESSION_SIZES["kemdy19"]) == 20 and len(SESSION_SIZES["kemdy20"]) == 40
    folds = [sum(SESSION_SIZES["kemdy20"][8 * fold : 8 * fold + 8]) for fold in range(5)]
    lost = [whole - part for whole, part in zip(counts.KNOWN["kemdy20", "paper"].folds, folds, strict=True)]
    assert min(lost) >= 0 and max(lost) == SESSION_SLACK["kemdy20"]


def test_known_counts_are_those_of_the_format_sheet():
    # counts of the real corpora
    k19, k20 = counts.KNOWN["kemdy19", "paper"], counts.KNOWN["kemdy20", "paper"]
    assert (k19.segments, k19.untied, k20.segments, k20.untied) == (9996, 9360, 13_462, 12_828)
    for known in (k19, k20):
        assert sum(known.folds) == known.segments
        assert sum(known.folds_untied) == sum(known.emotions) == known.untied
    # section 8, "same pre-drop view" less section 2.6, number 4's three dialogues (Appendix A, with their 5 fileless)
    assert k19.folds == (1905 - 31, 2055 - 52 - 49, 2110, 2032, 2026)
    # section 7.3: the training part of fold 4, both corpora, untied: 17,510
    assert k19.untied + k20.untied - k19.folds_untied[4] - k20.folds_untied[4] == 17_510
    table = dict(zip(EMOTIONS, k20.emotions, strict=True))
    assert table["neutral"] == 11_120 and table["fear"] == 43 and table["disgust"] == 61
