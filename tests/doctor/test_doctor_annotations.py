"""Bad rows and notes are sorted by their kinds; their texts do not matter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from erc.data.corpora import KEMDY19
from erc.data.kemdy import read_annotations
from erc.data.segments import BadSegment, Note
from erc.doctor import annotations, diagnosis
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding


def case_of(bad: list[BadSegment], notes: list[Note], exclude: str = "paper") -> Evidence:
    return Evidence(KEMDY19, Path(), exclude, True, [1], 2, pd.DataFrame({"segment_id": []}), bad, notes)


@pytest.mark.parametrize(("kind", "name"), [("row", "rows"), ("raters", "raters"), ("missing files", "missing files")])
def test_a_bad_segment_is_sorted_by_its_kind_whatever_its_text_says(kind, name):
    text = "no file a.wav; 10 raters' emotions expected; valence ratings are whole numbers"
    problem = BadSegment("a.csv, line 3", text, "s1", kind=kind)
    found = {finding.name: finding for finding in annotations.check_rows(case_of([problem], []))}
    assert {finding.name for finding in found.values() if finding.severity == "problem"} == {name}
    assert found[name].where == [str(problem)]


def test_a_note_is_sorted_by_its_kind_whatever_its_text_says():
    repaired = Note("repaired id", "Total columns disagree", ("s1",))
    totals = Note("total disagrees", "repaired", ("s2",))
    wrong, known = annotations.check_notes(case_of([], [repaired, totals]))
    assert (wrong.name, wrong.severity, wrong.got) == ("totals", "warning", "repaired")
    assert (known.name, known.severity, known.where) == ("known defects", "note", ["Total columns disagree"])


def test_a_wav_is_not_extra_where_a_note_or_a_bad_segment_is_about_it(corpora, tmp_path):
    folder = tmp_path / "KEMDy19"
    shutil.copytree(corpora / "KEMDy19/wav/Session03", folder / "wav/Session03")
    (folder / "annotation").mkdir()
    for gender in "FM":
        shutil.copy(corpora / f"KEMDy19/annotation/Session03_{gender}_res.csv", folder / "annotation")
    (note,) = (note for note in read_annotations(KEMDY19, folder).notes if note.kind == "known without files")
    wav = KEMDY19.wav_path(folder, note.segment_ids[0])
    some = next(wav.parent.glob("*.wav"))

    def found() -> dict[str, Finding]:
        return {finding.name: finding for finding in diagnosis.diagnose_corpus(tmp_path, "kemdy19", "none")}

    shutil.copyfile(some, wav)  # without a txt it stays the one segment that is known to lack files
    assert {found()[name].severity for name in ("missing files", "extra audio")} == {"ok"}
    some.with_suffix(".txt").unlink()  # one more than known: both are bad now
    assert found()["extra audio"].severity == "ok"
    assert [place.split(":")[0] for place in found()["missing files"].where] == sorted([wav.stem, some.stem])
    for name in ("M977", "F977"):
        shutil.copyfile(wav, wav.with_name(f"Sess03_script04_{name}.wav"))
    assert [Path(place).stem[-4:] for place in found()["extra audio"].where] == ["F977", "M977"]


def folder_with(tmp_path: Path, sessions: list[int], note: str = "") -> Path:
    """A release folder that has only a wav in each session."""
    for session in sessions:
        (tmp_path / f"wav/Session{session:02d}").mkdir(parents=True)
        (tmp_path / f"wav/Session{session:02d}/a.wav").write_bytes(b"")
    if note:
        (tmp_path / "SAMPLE_CORPUS.txt").write_text(note)
    return tmp_path


@pytest.mark.parametrize(
    ("n_missing", "is_published", "severity"),
    [(0, True, "ok"), (1, True, "problem"), (15, True, "warning"), (1, False, "warning"), (15, False, "note")],
)
def test_a_missing_session_is_judged_by_what_the_rest_is(n_missing, is_published, severity, full_case, tmp_path):
    case = full_case(KEMDY19)
    case.sessions = case.sessions[: 20 - n_missing]
    case.table = case.table[case.table["session"].isin(case.sessions)]
    if not is_published:
        case.table = case.table.groupby("session").head(30)
    case.folder = folder_with(tmp_path, case.sessions)
    (finding,) = annotations.check_sessions(case)
    assert finding.severity == severity
    assert len(finding.where) == n_missing


def test_sessions_are_compared_with_the_wav_folders_and_with_a_synthetic_corpus_note(full_case, tmp_path):
    case = full_case(KEMDY19, is_synthetic=True)
    case.sessions = [1, 3, 5]
    case.folder = folder_with(tmp_path, [1, 3, 7], "Written by erc.synthetic with sessions=2 segments=3 seed=1\n")
    (finding,) = annotations.check_sessions(case)
    assert finding.severity == "problem"
    # the two sessions that a synthetic corpus of two holds are 3 and 6
    assert finding.where == [
        "session 7: wavs without an annotation file",
        "session 5: an annotation file without wavs",
        "session 6: neither annotation file nor wavs",
    ]
