"""The doctor calls a clean corpus clean, and finds every planted defect by its name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from erc.data.corpora import KEMDY19
from erc.data.kemdy import read_annotations
from erc.doctor import diagnosis, findings
from erc.doctor.findings import Finding


def by_name(findings: list[Finding]) -> dict[tuple[str, str], Finding]:
    """(name, corpus) -> finding; one of each."""
    found = {(finding.name, finding.corpus): finding for finding in findings}
    assert len(found) == len(findings), "a name stands once per corpus"
    return found


def test_a_clean_synthetic_corpus_is_called_clean(clean):
    assert findings.exit_code(clean) == 0
    assert {finding.name for finding in clean} == set(findings.CORPUS_NAMES)


PER_SEGMENT = {
    "empty audio": "problem",
    "unreadable audio": "problem",
    "truncated audio": "problem",
    "silent audio": "problem",
    "short audio": "problem",
    "missing files": "problem",
    "undecodable transcripts": "problem",
    "empty transcripts": "problem",
    "raters": "problem",
    "rows": "problem",
    "audio format": "warning",
    "intervals": "problem",
    "clipped audio": "note",
}


@pytest.mark.parametrize("corpus", ["kemdy19", "kemdy20"])
@pytest.mark.parametrize("name", PER_SEGMENT)
def test_a_planted_defect_is_found_by_name_with_just_its_segments(name, corpus, spoilt, found, clean):
    planted = {i for i in spoilt[1][name] if ("User" in i) == (corpus == "kemdy20")}
    assert by_name(clean)[name, corpus].severity == "ok"
    finding = by_name(found)[name, corpus]
    assert finding.severity == PER_SEGMENT[name]
    assert {place.split(":")[0] for place in finding.where} == planted
    assert finding.expected and finding.advice


@pytest.mark.parametrize(("corpus", "severity"), [("kemdy19", "warning"), ("kemdy20", "note")])
def test_audio_longer_than_its_interval_is_found(corpus, severity, spoilt, found):
    # swapped times and a resampled file are longer than their interval, too
    finding = by_name(found)["audio beyond annotation", corpus]
    planted = {i for i in spoilt[1]["audio beyond annotation"] if ("User" in i) == (corpus == "kemdy20")}
    ids = {place.split(":")[0] for place in finding.where}
    assert finding.severity == severity
    assert planted <= ids <= planted | set(spoilt[1]["intervals"])


@pytest.mark.parametrize("corpus", ["kemdy19", "kemdy20"])
def test_a_wrong_total_is_found_and_its_count_said(corpus, spoilt, found, clean):
    assert by_name(clean)["totals", corpus].severity == "ok"
    finding = by_name(found)["totals", corpus]
    planted = next(i for i in spoilt[1]["totals"] if ("User" in i) == (corpus == "kemdy20"))
    assert finding.severity == "warning" and finding.got.startswith("1 rows") and planted in finding.got


def test_other_encodings_and_tags_without_words_are_found(spoilt, found, clean):
    before, after = by_name(clean), by_name(found)
    for name in ("transcript encodings", "tag-only transcripts"):
        assert before[name, "kemdy20"].severity == "ok" and after[name, "kemdy20"].severity == "note"
        assert {place.split(":")[0] for place in after[name, "kemdy20"].where} == set(spoilt[1][name])
    assert re.search(r"\b1 utf-8\b", after["transcript encodings", "kemdy20"].got)
    assert re.search(r"\b2 not decoded\b", after["transcript encodings", "kemdy20"].got)  # undecodable, and empty


def test_a_wav_without_annotation_is_found(spoilt, found, clean):
    assert by_name(clean)["extra audio", "kemdy20"].severity == "ok"
    finding = by_name(found)["extra audio", "kemdy20"]
    assert [Path(place).stem for place in finding.where] == spoilt[1]["extra audio"]


def test_the_same_audio_in_two_folds_is_found(spoilt, found, clean):
    assert by_name(clean)["duplicate audio", ""].severity == "ok"
    finding = by_name(found)["duplicate audio", ""]
    assert finding.severity == "problem" and len(finding.where) == 1
    assert finding.where[0].startswith(" = ".join(sorted(spoilt[1]["duplicate audio"])) + " (folds ")


def test_a_long_transcript_in_two_folds_is_found_and_its_text_kept_to_itself(spoilt, found, clean):
    assert by_name(clean)["repeated text", ""].severity == "note"
    finding = by_name(found)["repeated text", ""]
    assert finding.severity == "warning" and len(finding.where) == 1
    assert finding.where[0].startswith(" = ".join(sorted(spoilt[1]["repeated text"])))
    assert not re.search("[가-힣]", findings.to_json("corpus", {}, found))


def test_a_speaker_in_two_folds_is_found(spoilt, found, clean):
    assert by_name(clean)["speakers", ""].severity == "ok"
    finding = by_name(found)["speakers", ""]
    assert finding.severity == "problem"
    assert [place.split(":")[0] for place in finding.where] == spoilt[1]["speakers"]


def test_a_missing_annotation_file_is_found_and_the_other_corpus_still_looked_at(corpora, tmp_path):
    for name in ("KEMDy19", "KEMDy20_v1_1"):
        shutil.copytree(corpora / name / "annotation", tmp_path / name / "annotation")
    (tmp_path / "KEMDy19/annotation/Session03_M_res.csv").unlink()
    (tmp_path / "KEMDy20_v1_1/wav").symlink_to(corpora / "KEMDy20_v1_1/wav")
    findings = by_name(diagnosis.diagnose_corpus(tmp_path))
    assert findings["annotations", "kemdy19"].severity == "problem"
    assert "only one of the two for Session03_F_res.csv" in findings["annotations", "kemdy19"].got
    assert ("counts", "kemdy19") not in findings and findings["annotations", "kemdy20"].severity == "ok"


def test_a_corpus_without_its_wav_folder_is_no_crash(corpora, tmp_path):
    shutil.copytree(corpora / "KEMDy20_v1_1/annotation", tmp_path / "KEMDy20_v1_1/annotation")
    findings = by_name(diagnosis.diagnose_corpus(tmp_path))
    assert findings["folder", "kemdy19"].severity == "problem"
    assert findings["annotations", "kemdy20"].severity == "problem"
    assert findings["missing files", "kemdy20"].severity == "problem"
    assert ("label shares", "") not in findings


def test_a_defect_outside_the_selection_is_a_note_until_the_selection_holds_it(corpora, tmp_path):
    # session 4 alone: the paper drops its impro04, where EDA and TEMP are empty
    folder = tmp_path / "KEMDy19"
    shutil.copytree(corpora / "KEMDy19/wav/Session04", folder / "wav/Session04")
    (folder / "annotation").mkdir()
    for gender in "FM":
        shutil.copy(corpora / f"KEMDy19/annotation/Session04_{gender}_res.csv", folder / "annotation")
    table = read_annotations(KEMDY19, folder).table
    left_out, missing = table[~table["in_paper"]].head(2).itertuples()
    Path(left_out.wav_path).write_bytes(b"")
    Path(missing.txt_path).unlink()
    for exclude, severity in (("paper", "note"), ("none", "problem")):
        findings = by_name(diagnosis.diagnose_corpus(tmp_path, "kemdy19", exclude))
        assert findings["empty audio", "kemdy19"].severity == severity
        assert findings["missing files", "kemdy19"].severity == severity


@pytest.mark.slow
def test_processes_find_the_same(corpora, clean):
    assert diagnosis.diagnose_corpus(corpora, num_proc=2) == clean
