"""Counts against the published ones, which are those of the real corpora."""

from __future__ import annotations

import pytest

from erc.data.corpora import KEMDY19, KEMDY20
from erc.doctor import counts
from erc.doctor.findings import Finding
from erc.labels import EMOTIONS


def severities(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.severity for finding in findings}


COUNTED = ("counts", "fold sizes", "emotion counts")


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
def test_the_published_counts_are_recognised_and_one_segment_less_is_a_problem(corpus, full_case):
    case = full_case(corpus)
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, "ok")
    case.table = case.table.drop(index=0)
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, "problem")


@pytest.mark.parametrize("change", ["later release", "synthetic", "part"])
def test_counts_are_no_problem_where_others_are_to_be_expected(change, full_case):
    case = full_case(KEMDY20, release=int(change == "later release"), is_synthetic=change == "synthetic")
    case.table = case.table.drop(index=0)
    if change == "part":
        case.sessions.remove(17)
    expected = "warning" if change == "later release" else "note"
    assert severities(counts.check_counts(case)) == dict.fromkeys(COUNTED, expected)


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
