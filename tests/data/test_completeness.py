"""Numbers that are missing in the count of a speaker's segments: rows that were lost together with their files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from kemd_views import open_small, wav_of

from erc.data.completeness import find_gaps
from erc.data.corpora import KEMDY19, KEMDY20
from erc.doctor.diagnosis import diagnose_corpus

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")

LOST = "Sess12_script02_User081F_002"


def lose(root: Path, segment_id: str) -> None:
    """Takes away a segment's row and both its files."""
    (path,) = root.glob(f"KEMDy20_v1_1/annotation/Sess{segment_id[4:6]}_eval.csv")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if segment_id not in next(csv.reader([line]))]
    assert len(kept) == len(lines) - 1
    path.write_text("".join(kept), encoding="utf-8")
    wav_of(root, segment_id).unlink()
    wav_of(root, segment_id).with_suffix(".txt").unlink()


def test_a_row_that_is_lost_with_its_files_is_said_in_the_summary_and_by_the_doctor(changeable, tmp_path):
    def numbering():
        (found,) = (one for one in diagnose_corpus(changeable, "kemdy20") if one.name == "numbering")
        return found

    assert numbering().severity == "ok"
    lose(changeable, LOST)
    assert (numbering().severity, numbering().where) == ("warning", [LOST])
    kemd = open_small(changeable, tmp_path / "cache")
    assert [note.segment_ids for note in kemd.notes] == [(LOST,)] and not kemd.bad
    assert "  note: 1 numbers are missing" in str(kemd) and "Sess12_script02_User081F_{2}" in str(kemd)


def test_a_synthetic_corpus_with_all_known_defects_has_no_gap(corpora):
    findings = {one.corpus: one for one in diagnose_corpus(corpora) if one.name == "numbering"}
    assert {name: one.severity for name, one in findings.items()} == {"kemdy19": "ok", "kemdy20": "ok"}


def test_gaps_are_counted_for_each_speaker_and_dialogue():
    ids = ["Sess01_script01_F002", "Sess01_script01_F005", "Sess01_script01_M001", "Sess01_impro01_M002", "no id"]
    (note,) = find_gaps(KEMDY19, ids)
    missing = ["impro01_M001", "script01_F001", "script01_F003", "script01_F004"]
    assert note.segment_ids == tuple(f"Sess01_{name}" for name in missing)
    assert "Sess01_script01_F{1, 3-4}" in note.text
    assert find_gaps(KEMDY20, []) == [] == find_gaps(KEMDY20, ["Sess01_script01_User002M_001"])
