"""``python -m erc predict``: tables keep their rows, one bad row stops nothing, and a killed program goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from own_speech import scores
from programs import run_program
from saved_models import speech

from erc.data import KEMD
from erc.inference import file, folder, table, table_rows
from erc.inference.table_run import TableRun

ROOT = Path(__file__).resolve().parents[2]
PROBABILITIES = [f"prob_{emotion}" for emotion in sorted(KEMD.emotions)]


def written(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path, keep_default_na=False, dtype={"segment_id": str})
    if path.suffix == ".jsonl":
        return pd.read_json(path, lines=True, dtype={"segment_id": str})
    return pd.read_parquet(path)


def figures(row) -> np.ndarray:
    return np.array([float(row[name]) for name in [*PROBABILITIES, "pred_valence", "pred_arousal"]])


@pytest.fixture
def segments(sounds, tmp_path) -> Path:
    """A table beside a link to the sounds; row 2 has a bad path, row 3 a bad time, row 4 no text."""
    (tmp_path / "in").mkdir()
    for path in sounds.iterdir():
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    rows = [
        ("007", "a.wav", "", "", "정말 좋아요", "x"),
        ("008", "b.flac", "0.4", "0 days 00:00:01.5", "그래요", "y"),
        ("009", "../a.wav", "", "", "네", ""),
        ("010", "a.wav", "soon", "", "네", ""),
        ("011", "a.wav", "", "", "", ""),
        ("012", "c.mp3", "", "", "네", "z"),
    ]
    path = tmp_path / "in" / "segments.csv"
    pd.DataFrame(rows, columns=["segment_id", "file", "start", "end", "text", "mine"]).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_table_keeps_its_rows_and_gets_its_predictions(segments, models, predictor, ending, tmp_path, capsys):
    out = tmp_path / f"out.{ending}"
    with pytest.raises(SystemExit) as ended:
        table(str(segments), str(out), model=str(models / "both"))
    assert ended.value.code == 1 and "3 of 6 rows predicted" in capsys.readouterr().out
    found = written(out)
    assert list(found["segment_id"]) == ["007", "008", "009", "010", "011", "012"]
    assert list(found["mine"]) == ["x", "y", "", "", "", "z"]
    sound = soundfile.read(segments.parent / "b.flac", dtype="int16")[0][6_400:24_000]
    expected = scores(predictor(sound, "그래요", sampling_rate=16_000))
    assert np.allclose(figures(found.iloc[1]), expected, atol=1e-5)
    assert found["pred_emotion"][1] == predictor(sound, "그래요", sampling_rate=16_000)["emotions"][0]["label"]
    assert [bool(error) for error in found["error"]] == [False, False, True, True, True, False]
    assert "lies in it: got '../a.wav'" in found["error"][2] and "got 'soon'" in found["error"][3]
    assert "no transcript" in found["error"][4]
    assert sorted(os.listdir(tmp_path)) == ["in", f"out.{ending}"]


def test_contributions_are_columns_of_a_table_and_lines_of_a_file(sounds, models, predictor, tmp_path, capsys):
    with pytest.raises(SystemExit):  # c.mp3 and long.wav have no words
        folder(str(sounds), str(tmp_path / "out.csv"), model=str(models / "both"), contributions=True)
    found = written(tmp_path / "out.csv").set_index("file")
    expected = predictor(sounds / "a.wav", "정말 좋아요", return_contributions=True)
    for modality, added in expected["contributions"].items():
        for name, value in added.items():
            assert float(found.loc["a.wav", f"contribution_{modality}_{name}"]) == pytest.approx(value, abs=1e-5)
    assert (found.loc["c.mp3"].filter(like="contribution") == "").all()
    capsys.readouterr()
    file(str(sounds / "a.wav"), model=str(models / "both"), text="정말 좋아요", contributions=True)
    added = expected["contributions"]["text"]
    line = f"text adds to {expected['emotions'][0]['label']} {added['score']:+.3f}, valence {added['valence']:+.2f}"
    assert line in capsys.readouterr().out


def test_a_link_that_leads_out_of_the_folder_is_refused(segments, models, tmp_path):
    soundfile.write(tmp_path / "outside.wav", speech(), 16_000)
    (segments.parent / "inside.wav").symlink_to(tmp_path / "outside.wav")
    segments.write_text("file,text\ninside.wav,네\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        table(str(segments), str(tmp_path / "out.csv"), model=str(models / "both"))
    assert "leads out" in written(tmp_path / "out.csv")["error"][0]


def test_a_folder_takes_the_words_beside_the_sound(sounds, models, predictor, tmp_path, capsys):
    with pytest.raises(SystemExit):  # c.mp3 and long.wav have no words
        folder(str(sounds), str(tmp_path / "out.csv"), model=str(models / "both"))
    found = written(tmp_path / "out.csv").set_index("file")
    assert list(found.index) == ["a.wav", "b.flac", "c.mp3", "long.wav"] and "text_file" not in found
    assert np.allclose(figures(found.loc["a.wav"]), scores(predictor(sounds / "a.wav", "정말 좋아요")), atol=1e-5)
    assert [bool(error) for error in found["error"]] == [False, False, True, True]

    folder(str(sounds), str(tmp_path / "audio.parquet"), model=str(models / "audio"), text="none", embeddings=True)
    found = written(tmp_path / "audio.parquet")
    assert len(found["embedding"][0]) == 24 and not found["error"].any() and "text" not in found
    assert "read in 5 windows" in found["notes"][3]


def test_words_that_are_heard_are_marked(sounds, models, recogniser, tmp_path):
    out = tmp_path / "out.csv"
    folder(str(sounds), str(out), model=str(models / "both"), text="auto", transcriber=str(recogniser))
    found = written(out).set_index("file")
    assert found["transcript_source"].to_dict() == {
        "a.wav": "human",
        "b.flac": "human",
        "c.mp3": "asr",
        "long.wav": "asr",
    }


def test_windows_are_rows(sounds, models, tmp_path):
    table_path = sounds / "windows.csv"
    table_path.write_text("file\nlong.wav\n", encoding="utf-8")
    try:
        table(str(table_path), str(tmp_path / "out.csv"), model=str(models / "audio"), text="none", window=3.0)
    finally:
        table_path.unlink()
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["window_start"].tolist()[:5] == [0, 1.5, 3, 4.5, 5] and found["window_start"].isna().tolist()[5]
    assert np.allclose(figures(found.iloc[5]), np.mean([figures(row) for _, row in found.iloc[:5].iterrows()], axis=0))


def many(sounds: Path, tmp_path: Path, n: int) -> Path:
    """A table of n rows of few sounds."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "b.flac"):
        (folder / name).write_bytes((sounds / name).read_bytes())
    lines = [f"{i},{'a.wav' if i % 2 else 'b.flac'},{i % 5 / 10},,말 {i}" for i in range(n)]
    (folder / "segments.csv").write_text("\n".join(["segment_id,file,start,end,text", *lines]) + "\n", encoding="utf-8")
    return folder / "segments.csv"


def test_an_interrupted_table_goes_on_and_is_byte_for_byte_that_of_an_uninterrupted_one(
    sounds, models, tmp_path, monkeypatch
):
    monkeypatch.setattr(table_rows, "CHUNK", 4)
    path = many(sounds, tmp_path, 14)
    table(str(path), str(tmp_path / "whole.csv"), model=str(models / "both"))

    predicted, calls = TableRun._predicted, []

    def breaks_off(self, chunk):
        calls.append(list(chunk["segment_id"]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predicted(self, chunk)

    monkeypatch.setattr(TableRun, "_predicted", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        table(str(path), str(tmp_path / "out.csv"), model=str(models / "both"))
    assert not (tmp_path / "out.csv").exists()
    table(str(path), str(tmp_path / "out.csv"), model=str(models / "both"))
    assert calls[2] == calls[3] == ["8", "9", "10", "11"] and len(calls) == 5  # no finished chunk twice
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "out.csv.parts").exists()


def test_what_a_wrong_option_leaves_behind_is_nothing(sounds, models, tmp_path):
    path = many(sounds, tmp_path, 2)
    for wrong in ({"batch_size": 0}, {"window": 99.0}, {"stride": 1.0}):
        with pytest.raises(ValueError, match="batch_size|window"):
            table(str(path), str(tmp_path / "out.csv"), model=str(models / "both"), **wrong)
    assert os.listdir(tmp_path) == ["in"]


def test_half_of_another_table_and_a_finished_one_are_refused(sounds, models, tmp_path, monkeypatch):
    path = many(sounds, tmp_path, 3)
    monkeypatch.setattr(TableRun, "_join", lambda self, paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        table(str(path), str(tmp_path / "out.csv"), model=str(models / "both"))
    with pytest.raises(FileExistsError, match=r"is of others \(models\)"):
        table(str(path), str(tmp_path / "out.csv"), model=str(models / "other"))
    (tmp_path / "there.csv").touch()
    with pytest.raises(FileExistsError, match="is there already"):
        table(str(path), str(tmp_path / "there.csv"), model=str(models / "both"))


@pytest.mark.slow
def test_a_killed_program_goes_on_without_repeating_rows(sounds, models, tmp_path):
    path = many(sounds, tmp_path, 1_500)
    out = tmp_path / "out.csv"
    typed = ["-m", "erc", "predict", "table", str(path), f"--out={out}", f"--model={models / 'both'}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *typed], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    parts = tmp_path / "out.csv.parts"
    until = time.monotonic() + 120
    while len(list(parts.glob("part-*.parquet"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {part.name: part.stat().st_mtime_ns for part in parts.glob("part-*.parquet")}
    assert 2 <= len(before) < 6 and not out.exists()
    again = run_program(*typed)
    assert again.returncode == 0, again.stderr
    found = pd.read_csv(out)
    assert found["segment_id"].tolist() == list(range(1_500)) and not parts.exists()


def test_one_file_is_told_in_words_and_as_json(sounds, models, predictor, capsys):
    file(str(sounds / "a.wav"), model=str(models / "both"), text="정말 좋아요")
    told = capsys.readouterr().out.splitlines()
    expected = predictor(sounds / "a.wav", "정말 좋아요")
    assert told[0].split()[:2] == [expected["emotions"][0]["label"], f"{expected['emotions'][0]['score']:.3f}"]
    assert told[7] == f"valence {expected['valence']:.2f} (scale 1 to 5)"
    file(str(sounds / "long.wav"), model=str(models / "audio"), json=True, embeddings=True)
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["embedding"]) == 24 and len(answer["windows"]) == 5
    file(str(sounds / "long.wav"), model=str(models / "audio"), text="none")
    assert "   1.50 to    4.50 s" in capsys.readouterr().out


def test_what_is_missing_is_told(sounds, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"expected --model=FOLDER.*sh train\.sh"):
        file(str(sounds / "a.wav"), text="네")
    with pytest.raises(ValueError, match="rows named audio_only"):
        file(str(sounds / "a.wav"), model=str(models / "both"), text="none")
    with pytest.raises(ValueError, match="expected --text=auto with it"):
        file(str(sounds / "a.wav"), model=str(models / "both"), text="네", transcriber="x")
    with pytest.raises(ValueError, match=r"ends with \.csv"):
        folder(str(sounds), "out.xlsx", model=str(models / "both"))
    with pytest.raises(ValueError, match="lists of numbers, which CSV does not hold"):
        folder(str(sounds), "out.csv", model=str(models / "both"), embeddings=True)
    with pytest.raises(ValueError, match="got 'clean'"):
        folder(str(sounds), "out.csv", model=str(models / "both"), text="clean")
    with pytest.raises(FileNotFoundError, match="found none below"):
        folder(str(tmp_path), "out.csv", model=str(models / "both"))
    with pytest.raises(FileNotFoundError, match="is not there"):
        folder(str(tmp_path / "nowhere"), "out.csv", model=str(models / "both"))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", b"path,text\nx.wav,a\n", "expected a column file, got path, text"),
        ("b.csv", b"file,text\nx.wav,a,b,c\n", "expected 2 cells in every row"),
        ("c.csv", b"file\n\xff\xfe\n", "utf-8"),
        ("d.parquet", b"PAR1 and then nothing", "Parquet"),
        ("e.jsonl", b"{'file': 1}\n", "sound"),
        ("g.csv", b"file,text,text\nx.wav,a,b\n", "got two of text"),
        ("h.csv", b"file,text\n", "expected rows, got none"),
        ("i.jsonl", b"[1]\n", "line 1: expected a JSON object"),
        ("f.txt", b"file\n", r"a name that ends with \.csv"),
    ],
)
def test_a_damaged_table_is_an_error_in_words(name, content, complaint, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=complaint):
        list(table_rows.read_table(tmp_path / name))


def test_tables_of_every_kind_are_read_as_text(tmp_path):
    rows = pd.DataFrame({"file": ["a.wav", "b.wav"], "start": [1.5, None], "segment_id": ["01", "02"]})
    rows.to_csv(tmp_path / "t.csv", index=False)
    rows.to_parquet(tmp_path / "t.parquet")
    rows.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for ending in ("csv", "parquet", "jsonl"):
        (chunk,) = table_rows.read_table(tmp_path / f"t.{ending}")
        assert chunk.to_dict("list") == {"file": ["a.wav", "b.wav"], "start": ["1.5", ""], "segment_id": ["01", "02"]}


def test_a_label_in_the_table_stays_and_no_column_is_replaced(sounds, models, tmp_path):
    path = many(sounds, tmp_path, 1)
    path.write_text("file,text,emotion\na.wav,네,mine\n", encoding="utf-8")
    table(str(path), str(tmp_path / "out.csv"), model=str(models / "both"))
    found = written(tmp_path / "out.csv")
    assert found["emotion"][0] == "mine" and found["pred_emotion"][0] in KEMD.emotions
    path.write_text("file,text,notes,prob_sad\na.wav,네,x,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the table has prob_sad, notes already"):
        table(str(path), str(tmp_path / "again.csv"), model=str(models / "both"))
    assert not (tmp_path / "again.csv.parts").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_lines_of_json_may_leave_out_what_is_not_known(sounds, models, ending, tmp_path, monkeypatch):
    """The columns of a later chunk are those of all; dates and large numbers stay as they were written."""
    monkeypatch.setattr(table_rows, "CHUNK", 2)
    lines = ['{"file": "a.wav", "text": "네", "recorded_at": 1600000000, "n": 12345678901234567}'] * 2
    lines += ['{"file": "a.wav", "text": "네", "mine": [1, "둘"]}']
    (sounds / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    try:
        table(str(sounds / "t.jsonl"), str(tmp_path / f"out.{ending}"), model=str(models / "both"))
    finally:
        (sounds / "t.jsonl").unlink()
    found = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False) if ending == "csv" else None
    found = written(tmp_path / f"out.{ending}").astype(str) if found is None else found
    assert list(found["mine"]) == ["", "", '[1, "둘"]']
    assert list(found["recorded_at"]) == ["1600000000", "1600000000", ""] and found["n"][0] == "12345678901234567"


def test_lists_in_parquet_are_kept_whole(tmp_path):
    pd.DataFrame({"file": ["a.wav"], "numbers": [np.arange(3_000)]}).to_parquet(tmp_path / "t.parquet")
    (chunk,) = table_rows.read_table(tmp_path / "t.parquet")
    assert json.loads(chunk["numbers"][0]) == list(range(3_000))


def test_a_file_that_is_damaged_further_on_is_one_bad_row(sounds, models, tmp_path):
    path = many(sounds, tmp_path, 1)
    soundfile.write(path.parent / "d.flac", speech(20.0), 16_000)
    (path.parent / "d.flac").write_bytes((path.parent / "d.flac").read_bytes()[:300_000])
    path.write_text("file,text\na.wav,네\nd.flac,네\nb.flac,네\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        table(str(path), str(tmp_path / "out.csv"), model=str(models / "both"))
    assert [bool(error) for error in written(tmp_path / "out.csv")["error"]] == [False, True, False]


def test_a_name_that_is_no_text_is_one_bad_row(sounds, models, tmp_path):
    (tmp_path / "in").mkdir()
    for name in (b"a.wav", b"\xff.wav"):
        Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name)).write_bytes((sounds / "a.wav").read_bytes())
    with pytest.raises(SystemExit):
        folder(str(tmp_path / "in"), str(tmp_path / "out.csv"), model=str(models / "audio"), text="none")
    found = written(tmp_path / "out.csv").set_index("file")["error"]
    assert not found["a.wav"] and "Rename the file" in found["\ufffd.wav"]


@pytest.mark.parametrize("words", ["네, 알겠어요", "None", "[x]", "1e3", "a #b", "-5"])
def test_words_reach_the_model_as_they_were_typed(sounds, models, capsys, words):
    """Fire alone would make a tuple of "네, 알겠어요", and a number of "1e3"."""
    from erc.__main__ import main

    main(["predict", "file", str(sounds / "a.wav"), f"--text={words}", f"--model={models / 'both'}", "--json"])
    assert json.loads(capsys.readouterr().out)["text"] == words
