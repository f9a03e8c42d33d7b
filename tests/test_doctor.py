"""The doctor calls a clean sample corpus clean, finds every planted defect by its name, and judges an environment.

Planted files are written with the standard library, byte by byte; counts are those of the real corpora.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import types
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import erc.doctor as doctor
from erc.annotations import find_folder, read_annotations
from erc.corpora import KEMDY19, KEMDY20
from erc.labels import EMOTIONS

ROOT = Path(__file__).resolve().parents[1]


# --- help -------------------------------------------------------------------------------------------------------------
def wav_bytes(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """A mono 16-bit PCM wav."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def tone(n_samples: int = 9600, peak: float = 8000) -> np.ndarray:
    """(L,) int16; a peak above 32767 clips."""
    return np.clip(peak * np.sin(np.arange(n_samples) / 7), -32768, 32767).astype(np.int16)


def edit_row(path: Path, segment_id: str, edit) -> None:
    """Changes the cells of the one row of an annotation file that holds an id."""
    text = path.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if f",{segment_id}," in line)
    path.write_text(text.replace(row, ",".join(edit(row.split(",")))), encoding="utf-8")


def by_name(findings: list[doctor.Finding]) -> dict[tuple[str, str], doctor.Finding]:
    """(name, corpus) -> finding; one of each."""
    found = {(finding.name, finding.corpus): finding for finding in findings}
    assert len(found) == len(findings), "a name stands once per corpus"
    return found


def severities(findings: list[doctor.Finding]) -> dict[str, str]:
    return {finding.name: finding.severity for finding in findings}


# --- corpus: clean and spoilt -----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def clean(corpora):
    """Findings about the sample corpora as they are written."""
    return doctor.diagnose_corpus(corpora)


LONG_TEXT = "이 문장은 열두 단어보다 길어서 두 사람이 우연히 똑같이 말할 리가 거의 없는 문장입니다 그렇죠"


@pytest.fixture(scope="module")
def spoilt(corpora, tmp_path_factory):
    """Root of a copy with one defect per segment, and the segments that have it, by the finding's name."""
    root = tmp_path_factory.mktemp("spoilt") / "data"
    shutil.copytree(corpora, root)
    tables = {c.name: read_annotations(c, find_folder(c, root)).table for c in (KEMDY19, KEMDY20)}
    # of the selection, no known defect, and no file is taken twice
    rows = {
        name: iter(t[t["in_paper"] & ~t["segment_id"].isin(KEMDY20.silent)].itertuples()) for name, t in tables.items()
    }
    sick: dict[str, list[str]] = {}

    def take(name: str, corpus: str = "kemdy19"):
        row = next(rows[corpus])
        sick.setdefault(name, []).append(row.segment_id)
        return row

    def annotation(row) -> Path:
        if row.corpus == "kemdy19":
            return root / f"KEMDy19/annotation/Session{row.session:02d}_{row.gender}_res.csv"
        return root / f"KEMDy20_v1_1/annotation/Sess{row.session:02d}_eval.csv"

    for corpus in ("kemdy19", "kemdy20"):
        Path(take("empty audio", corpus).wav_path).write_bytes(b"")
        Path(take("unreadable audio", corpus).wav_path).write_bytes(b"this is no sound " * 200)
        path = Path(take("truncated audio", corpus).wav_path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        Path(take("silent audio", corpus).wav_path).write_bytes(wav_bytes(np.zeros(8000)))
        Path(take("short audio", corpus).wav_path).write_bytes(wav_bytes(tone(399)))
        row = take("clipped audio", corpus)
        Path(row.wav_path).write_bytes(wav_bytes(tone(int(16_000 * (row.end - row.start)), peak=200_000)))
        row = take("audio format", corpus)
        Path(row.wav_path).write_bytes(wav_bytes(tone(int(8000 * (row.end - row.start))), rate=8000))
        row = take("audio beyond annotation", corpus)
        Path(row.wav_path).write_bytes(wav_bytes(tone(int(16_000 * (row.end - row.start + 0.1)))))
        take_out = take("missing files", corpus)
        Path(take_out.wav_path).unlink()
        Path(take("undecodable transcripts", corpus).txt_path).write_bytes(b"\xff\xff\x80 \xfe")
        Path(take("empty transcripts", corpus).txt_path).write_bytes(b" \n")
        row = take("raters", corpus)
        edit_row(annotation(row), row.segment_id, lambda cells: [*cells[:-3], "", "", ""])
        row = take("rows", corpus)
        edit_row(annotation(row), row.segment_id, lambda cells: cells[:-1])
        row = take("intervals", corpus)
        edit_row(annotation(row), row.segment_id, lambda cells: [cells[0], cells[2], cells[1], *cells[3:]])
        row, emotions = take("totals", corpus), set(EMOTIONS)
        other = (emotions - {EMOTIONS[i] for i in row.emotion_ratings}).pop()
        column = {"kemdy19": 10, "kemdy20": 4}[corpus]
        edit_row(annotation(row), row.segment_id, lambda c, k=column, o=other: [*c[:k], o, *c[k + 1 :]])
    row = take("transcript encodings", "kemdy20")
    Path(row.txt_path).write_text("이것은 유니코드 문장", encoding="utf-8")
    row = take("tag-only transcripts", "kemdy20")
    Path(row.txt_path).write_bytes(b"n/ l/ b/\n")
    row = next(rows["kemdy20"])
    extra = Path(row.wav_path).with_name(f"{row.segment_id[:-3]}977.wav")
    extra.write_bytes(Path(row.wav_path).read_bytes())
    sick["extra audio"] = [extra.stem]

    # across folds: the last session's segments lie in the last fold
    last = {
        name: iter(t[t["in_paper"] & (t["session"] == t["session"].max())].itertuples()) for name, t in tables.items()
    }
    first, second = next(rows["kemdy19"]), next(last["kemdy19"])
    seconds = min(first.end - first.start, second.end - second.start) - 0.01
    Path(first.wav_path).write_bytes(wav_bytes(tone(int(16_000 * seconds), peak=7000)))
    shutil.copyfile(first.wav_path, second.wav_path)
    sick["duplicate audio"] = [first.segment_id, second.segment_id]
    first, second = next(rows["kemdy20"]), next(last["kemdy20"])
    for row in (first, second):
        Path(row.txt_path).write_bytes(f"n/ {LONG_TEXT} l/\n".encode("cp949"))
    sick["repeated text"] = [first.segment_id, second.segment_id]
    row = next(last["kemdy20"])
    moved = re.sub(r"User\d{3}[FM]_\d{3}", "User001F_901", row.segment_id)
    for path in (Path(row.wav_path), Path(row.txt_path)):
        path.rename(path.with_name(path.name.replace(row.segment_id, moved)))
    edit_row(
        annotation(row), row.segment_id, lambda cells: [moved if cell == row.segment_id else cell for cell in cells]
    )
    sick["speakers"] = ["kemdy20 User001F", f"kemdy20 session {row.session}"]
    return root, sick


@pytest.fixture(scope="module")
def found(spoilt):
    """Findings about the spoilt copy."""
    return doctor.diagnose_corpus(spoilt[0])


def test_a_clean_sample_corpus_is_called_clean(clean):
    assert doctor.is_sound(clean)
    assert {finding.name for finding in clean} == set(doctor.CORPUS_NAMES)
    assert {finding.name for finding in clean if finding.severity == "warning"} <= {"label shares"}
    for finding in clean:
        if finding.severity in ("warning", "problem"):
            assert finding.expected and finding.advice and finding.where


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
    "intervals": "warning",
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
    assert not re.search("[가-힣]", doctor.to_json("corpus", {}, found) + doctor.render(found))


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
    findings = by_name(doctor.diagnose_corpus(tmp_path))
    assert findings["annotations", "kemdy19"].severity == "problem"
    assert "only one of the two for Session03_F_res.csv" in findings["annotations", "kemdy19"].got
    assert ("counts", "kemdy19") not in findings and findings["annotations", "kemdy20"].severity == "ok"


def test_a_corpus_without_its_wav_folder_is_no_crash(corpora, tmp_path):
    shutil.copytree(corpora / "KEMDy20_v1_1/annotation", tmp_path / "KEMDy20_v1_1/annotation")
    findings = by_name(doctor.diagnose_corpus(tmp_path))
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
        findings = by_name(doctor.diagnose_corpus(tmp_path, "kemdy19", exclude))
        assert findings["empty audio", "kemdy19"].severity == severity
        assert findings["missing files", "kemdy19"].severity == severity


@pytest.mark.slow
def test_processes_find_the_same(corpora, clean):
    assert doctor.diagnose_corpus(corpora, num_proc=2) == clean


# --- corpus: numbers --------------------------------------------------------------------------------------------------
def full_case(corpus, exclude="paper", release=0, is_sample=False) -> doctor.Evidence:
    """Evidence of a whole corpus with the published counts, row by row; no files."""
    known = doctor.KNOWN[corpus.name, exclude]
    fold = np.repeat(range(5), known.folds)
    is_tied = np.concatenate([np.arange(n) >= u for n, u in zip(known.folds, known.folds_untied, strict=True)])
    hard_label = np.zeros(len(fold), dtype=int)
    hard_label[~is_tied] = np.repeat(range(7), known.emotions)
    table = pd.DataFrame({"fold": fold, "is_tied": is_tied, "hard_label": hard_label, "is_selected": True})
    sessions = list(range(1, corpus.n_sessions + 1))
    folder = Path(corpus.folders[release])
    return doctor.Evidence(corpus, folder, exclude, is_sample, sessions, 40, table, [], [])


COUNTED = ("counts", "fold sizes", "emotion counts")


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
def test_the_published_counts_are_recognised_and_one_segment_less_is_a_problem(corpus):
    case = full_case(corpus)
    assert severities(doctor.check_counts(case)) == dict.fromkeys(COUNTED, "ok")
    case.table = case.table.drop(index=0)
    assert severities(doctor.check_counts(case)) == dict.fromkeys(COUNTED, "problem")


@pytest.mark.parametrize("change", ["later release", "sample", "part"])
def test_counts_are_no_problem_where_others_are_to_be_expected(change):
    case = full_case(KEMDY20, release=int(change == "later release"), is_sample=change == "sample")
    case.table = case.table.drop(index=0)
    if change == "part":
        case.sessions.remove(17)
    expected = "warning" if change == "later release" else "note"
    assert severities(doctor.check_counts(case)) == dict.fromkeys(COUNTED, expected)


def test_known_counts_are_those_of_the_format_sheet():
    # counts of the real corpora
    k19, k20 = doctor.KNOWN["kemdy19", "paper"], doctor.KNOWN["kemdy20", "paper"]
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


def text_case(rows: list[tuple[int, str, str]], corpus=KEMDY19) -> doctor.Evidence:
    """Evidence of transcripts only: (fold, dialogue, words)."""
    table = pd.DataFrame(rows, columns=["fold", "dialogue", "words"])
    table = table.assign(corpus=corpus.name, is_selected=True, segment_id=[f"s{k}" for k in range(len(rows))])
    return doctor.Evidence(corpus, Path(), "paper", False, [], 0, table, [], [])


def test_the_share_of_repeated_transcripts_is_that_of_a_two_line_loop():
    rng = np.random.default_rng(0)
    rows = [
        (int(f), str(rng.choice(["Sess01_script01", "Sess01_impro01"])), f"말 {rng.integers(40)}")
        for f in rng.integers(5, size=120)
    ]
    (finding,) = doctor.check_repeated_text([text_case(rows)])
    shares = {(row[0], row[1]): row[3:] for row in finding.table[1:]}
    for kind, mark in (("scripted", "script"), ("spontaneous", "impro")):
        for fold in range(5):
            training = {words for f, _, words in rows if f != fold}
            mine = [words in training for f, dialogue, words in rows if f == fold and mark in dialogue]
            assert shares["kemdy19", kind][fold] == round(100 * np.mean(mine), 1)


def test_text_is_looked_for_in_the_other_corpus_too_and_text_without_words_nowhere():
    one = text_case([(0, "Sess01_impro01", "하나"), (1, "Sess05_impro01", "?"), (2, "Sess09_impro01", "?")])
    two = text_case([(3, "Sess25_script01", "하나")], KEMDY20)
    (finding,) = doctor.check_repeated_text([one, two])
    assert finding.table[1:] == [
        ["kemdy19", "spontaneous", 1, 100.0, None, None, None, None, 100.0],
        ["kemdy20", "spontaneous", 1, None, None, None, 100.0, None, 100.0],
    ]


def test_a_fold_that_lacks_an_emotion_is_named():
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
    (finding,) = doctor.check_labels([case])
    assert finding.severity == "warning" and finding.where == expected and "fold 2 has no fear" in expected
    case.table = case.table[case.table["fold"] != 3]
    (finding,) = doctor.check_labels([case])
    assert "fold 3 holds no untied segment" in finding.where
    assert finding.table[4][:3] == [3, 0, 0]


def test_what_is_cut_is_said_in_shares():
    table = pd.DataFrame({"n_samples": [112_000, 112_001, 224_000, 16_000], "is_selected": True})
    case = doctor.Evidence(KEMDY20, Path(), "paper", False, [], 0, table, [], [])
    got = doctor._long_audio(case).got
    cut = 100 * 112_001 / (112_000 + 112_001 + 224_000 + 16_000)
    assert got.startswith(
        f"2 segments (50.0 %) longer than 7 s: {cut:.1f} % of all sound is cut; the longest has 14.0 s"
    )


def test_what_a_batch_keeps_is_the_configured_length():
    text = (ROOT / "config/dataloader/default.yaml").read_text(encoding="utf-8")
    assert int(re.search(r"max_samples: (\d+)", text)[1]) == doctor.MAX_SAMPLES


# --- report -----------------------------------------------------------------------------------------------------------
def test_the_table_fits_the_terminal_and_names_every_finding(found):
    text = doctor.render(found)
    assert max(map(len, text.splitlines())) <= doctor.WIDTH
    assert all(finding.name in text for finding in found)
    assert text.splitlines()[-1].startswith("Not sound")


@pytest.mark.parametrize("command", ["corpus", "environment"])
def test_the_json_holds_what_its_schema_says(command, found):
    content = json.loads(doctor.to_json(command, {"root": "data"}, found))
    assert set(content) == {"schema", "command", "arguments", "is_sound", "n", "findings"}
    assert content["schema"] == 1 and content["command"] == command and content["is_sound"] is False
    assert sum(content["n"].values()) == len(content["findings"]) == len(found)
    keys = {"name", "severity", "corpus", "expected", "got", "where", "advice", "table"}
    assert all(set(finding) == keys for finding in content["findings"])
    assert all(finding["severity"] in doctor.SEVERITIES for finding in content["findings"])


@pytest.mark.parametrize(
    ("severity", "code"), [("ok", 0), ("note", 0), ("warning", 0), ("problem", 1)], ids=lambda value: str(value)
)
def test_the_exit_code_is_one_exactly_where_there_is_a_problem(severity, code, monkeypatch, capsys, tmp_path):
    findings = [doctor.Finding("folder", severity, "what came"), doctor.Finding("speakers", "ok", "fine")]
    monkeypatch.setattr(doctor, "diagnose_corpus", lambda **_: findings)
    target = tmp_path / "new" / "findings.json"
    with pytest.raises(SystemExit) as stop:
        doctor.corpus(json=str(target))
    assert stop.value.code == code
    assert "what came" in capsys.readouterr().out
    assert json.loads(target.read_text(encoding="utf-8"))["is_sound"] == (code == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exclude": "some"}, "exclude must be one of paper, none: got 'some'"),
        ({"num_proc": -1}, "num_proc must be a whole number of processes"),
        ({"num_proc": True}, "num_proc must be a whole number of processes"),
        ({"dataset_name": "iemocap"}, "expected kemdy19, kemdy20 or kemdy19-kemdy20"),
        ({"json": True}, "expected --json=PATH"),
        ({"json": "."}, "is a folder"),
    ],
)
def test_an_argument_out_of_range_ends_with_two_and_a_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        doctor.corpus(**arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_both_commands_run_as_processes(corpora, spoilt, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "fire", "erc.doctor", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)

    good = run("corpus", f"--root={corpora}", f"--json={tmp_path / 'good.json'}")
    bad = run("corpus", f"--root={spoilt[0]}", f"--json={tmp_path / 'bad.json'}")
    here = run("environment", f"--json={tmp_path / 'here.json'}")
    assert (good.returncode, bad.returncode) == (0, 1), good.stdout + good.stderr + bad.stderr
    assert "Reading kemdy19" in good.stderr and "Traceback" not in good.stderr + bad.stderr + here.stderr
    for process, name in ((good, "good"), (bad, "bad"), (here, "here")):
        content = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert process.returncode == (0 if content["is_sound"] else 1)
    assert {finding["name"] for finding in content["findings"]} == set(doctor.ENVIRONMENT_NAMES)


# --- environment ------------------------------------------------------------------------------------------------------
@pytest.fixture
def versions(monkeypatch):
    """Installed versions that a test may change; a name that is not here is as installed."""
    changed: dict[str, str | None] = {}
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: changed[name] if name in changed else real(name))
    return changed


def test_versions_out_of_range_and_missing_packages_are_named(versions):
    versions |= {"hydra-core": "1.3.5", "wandb": None}
    (finding,) = doctor.check_packages()
    assert finding.severity == "problem" and finding.got.startswith("2 packages")
    assert [place.split(" ")[0] for place in finding.where] == ["hydra-core", "wandb"]
    assert "hydra-core 1.3.5" in finding.where[0] and ">=1.3.6" in finding.where[0]


def test_every_requirement_is_compared(versions):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")]
    versions |= dict.fromkeys(names)
    (finding,) = doctor.check_packages()
    assert [place.split(" ")[0] for place in finding.where] == names


def test_versions_within_the_ranges_are_fine(versions):
    versions |= {"torch": "2.11.0+cpu", "torchaudio": "2.11.3", "pytorch-lightning": "2.6.6", "hydra-core": "1.3.6"}
    wrong = [place.split(" ")[0] for finding in doctor.check_packages() for place in finding.where]
    assert not set(versions) & set(wrong)


@pytest.mark.parametrize("package", ["pytorch-lightning", "lightning"])
@pytest.mark.parametrize("release", ["2.6.2", "2.6.3"])
def test_the_malicious_releases_of_lightning_are_found(package, release, versions):
    versions |= {"pytorch-lightning": "2.6.6", "lightning": None, package: release}
    (finding,) = doctor.check_lightning()
    assert finding.severity == "problem" and f"{package} {release}" in finding.got and "token" in finding.advice
    if package == "pytorch-lightning":  # the range shuts it out, too
        assert any(place.startswith(f"{package} {release}") for place in doctor.check_packages()[0].where)
    versions |= {package: "2.6.4"}
    assert doctor.check_lightning()[0].severity == "ok"


@pytest.mark.slow
def test_nothing_of_lightning_is_imported_to_look_at_it():
    code = "import sys, erc.doctor as d; d.diagnose_environment(); print([m for m in sys.modules if 'lightning' in m])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert process.stdout.strip() == "[]", process.stderr


@pytest.mark.parametrize(
    ("torch", "torchaudio", "severity"),
    [
        ("2.11.0", "2.11.0", "ok"),
        ("2.11.0+cpu", "2.11.1+cpu", "ok"),
        ("2.13.0", "2.11.0", "problem"),
        ("2.1.0", "2.11.0", "problem"),
        ("2.11.0+cpu", "2.11.0+cu130", "problem"),
        ("2.11.0", None, "problem"),
        (None, None, "problem"),
    ],
)
def test_torch_and_torchaudio_must_be_of_one_release(torch, torchaudio, severity, versions):
    versions |= {"torch": torch, "torchaudio": torchaudio}
    (finding,) = doctor.check_torch_pair()
    assert finding.severity == severity
    assert all(str(version) in finding.got for version in (torch, torchaudio) if torch and torchaudio)


def test_a_torchaudio_that_does_not_import_is_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    (finding,) = doctor.check_torchaudio()
    assert finding.severity == "problem" and "torchaudio" in finding.got


@pytest.mark.parametrize(
    ("version", "severity"), [((3, 9), "problem"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "problem")]
)
def test_the_interpreter_is_judged_as_pyproject_says(version, severity, monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (*version, 0))
    assert doctor.check_python()[0].severity == severity
    bounds = re.search(r'requires-python = ">=(\d+)\.(\d+),<(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert doctor.PYTHON == tuple(tuple(map(int, pair)) for pair in (bounds.groups()[:2], bounds.groups()[2:]))


@pytest.mark.parametrize(("has_bf16", "severity", "word"), [(True, "ok", "; bf16"), (False, "note", "no bf16")])
def test_a_gpu_and_its_bf16_are_said(has_bf16, severity, word, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = types.SimpleNamespace(name="A Card", total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16 or including_emulation)
    (finding,) = doctor.check_device()
    assert finding.severity == severity and "A Card, 24 GiB" in finding.got and word in finding.got

    def fail(index):
        raise RuntimeError("no answer")

    monkeypatch.setattr(torch.cuda, "get_device_properties", fail)
    assert doctor.check_device()[0].severity == "problem"


def test_without_a_gpu_it_says_cpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (finding,) = doctor.check_device()
    assert finding.severity == "note" and finding.got.startswith("CPU only")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty hub cache without offline variables; gives a function that puts a file into it."""
    import huggingface_hub

    real = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, name: real(repo, name, cache_dir=tmp_path)
    )
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

    def put(encoder: str, *files: str) -> None:
        folder = tmp_path / f"models--{encoder.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text("abc")
        (folder / "snapshots" / "abc").mkdir(parents=True, exist_ok=True)
        for file in files:
            (folder / "snapshots" / "abc" / file).write_text("x")

    return put


AUDIO, TEXT = doctor.ENCODERS


def test_encoders_are_looked_for_in_the_hubs_cache(hub, monkeypatch):
    assert (finding := doctor.check_encoders()[0]).severity == "note" and len(finding.where) == 2
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert (finding := doctor.check_encoders()[0]).severity == "problem" and "HF_HUB_OFFLINE" in finding.got
    hub(AUDIO, "config.json", "preprocessor_config.json", "pytorch_model.bin")
    hub(TEXT, "config.json", "vocab.txt")
    assert doctor.check_encoders()[0].where == [f"{TEXT}: no {' or '.join(doctor.WEIGHTS)}"]
    hub(TEXT, "model.safetensors")
    assert doctor.check_encoders()[0].severity == "ok"


def test_the_encoders_are_those_of_the_configuration():
    text = (ROOT / "config/encoders/paper.yaml").read_text(encoding="utf-8")
    assert re.findall(r"name: (\S+)", text) == list(doctor.ENCODERS)


def test_room_is_compared_with_wavs_and_checkpoints(corpora, monkeypatch, tmp_path):
    wavs = sum(path.stat().st_size for path in corpora.glob("*/wav/**/*.wav"))
    n_bytes, what = doctor._build_need(corpora, tmp_path)
    assert n_bytes == pytest.approx(1.05 * wavs, abs=2) and what == "data set"
    assert doctor._build_need(tmp_path, tmp_path) == (4_300_000_000, "data set (estimated: a corpus is not here)")
    for free, severity in ((n_bytes + 8_000_000_000, "ok"), (n_bytes + 7_999_999_999, "problem")):
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(free, 0, free)
        )
        (finding,) = doctor.check_disk(corpora, tmp_path / "cache", tmp_path / "outputs")
        assert finding.severity == severity


def test_a_build_that_is_there_needs_no_room_again_unless_the_corpus_changed(corpora, tmp_path):
    from erc.datasets import MANIFEST, corpora_fingerprint

    for name in ("kemdy19", "kemdy20"):
        folder = tmp_path / f"{name}-{corpora_fingerprint(name, str(corpora))}"
        folder.mkdir()
        (folder / MANIFEST).write_text("{}")
    assert doctor._build_need(corpora, tmp_path) == (0, "data set (built already)")
    folder.rename(tmp_path / "kemdy20-0123456789abcdef")
    assert doctor._build_need(corpora, tmp_path)[0] > 0


@pytest.mark.parametrize("mode", [None, "", "online", "offline", "disabled"])
@pytest.mark.parametrize("key", [None, "k" * 40])
@pytest.mark.parametrize(
    "netrc", [None, "machine api.wandb.ai login user password k\n", "machine other login a password b\n", "rubbish"]
)
def test_wandb_is_judged_as_train_py_does(mode, key, netrc, monkeypatch, tmp_path):
    import train

    offline = getattr(train.wandb_offline, "__wrapped__", train.wandb_offline)  # without its memory of the last answer
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in (("WANDB_MODE", mode), ("WANDB_API_KEY", key)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    if netrc is not None:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    (finding,) = doctor.check_wandb()
    assert ("offline" in finding.got) == offline()
    assert (key or "k" * 40) not in finding.got


@pytest.mark.parametrize(
    ("threads", "quota", "severity"),
    [
        ("", None, "ok"),
        ("1", None, "ok"),
        ("8", None, "ok"),
        ("9", None, "warning"),
        ("", 2.0, "warning"),
        ("2", 2.0, "ok"),
    ]
    + [("many", None, "warning"), ("0", None, "warning")],
)
def test_more_threads_than_cores_are_found(threads, quota, severity, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(doctor, "_cgroup_cores", lambda: quota)
    assert doctor.check_cores()[0].severity == severity


def test_a_containers_quota_is_read(tmp_path):
    for text, expected in (("max 100000\n", None), ("150000 100000\n", 1.5), ("rubbish", None)):
        (tmp_path / "cpu.max").write_text(text)
        assert doctor._cgroup_cores(tmp_path / "cpu.max") == expected
    assert doctor._cgroup_cores(tmp_path / "absent") is None


def test_little_shared_memory_is_found(monkeypatch, tmp_path):
    for free, severity in ((64 * 2**20, "warning"), (2**30, "ok")):
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(2**30, 0, free)
        )
        assert doctor.check_shared_memory(tmp_path)[0].severity == severity
    assert doctor.check_shared_memory(tmp_path / "absent")[0].severity == "note"
