"""MELD, three small tables with videos that a stand-in for ffmpeg reads: the rows exactly, then planted faults."""

from __future__ import annotations

import csv
import os
import sys

import pytest
from test_convert import replace, rows, said_of, write_wav

from erc.convert import meld

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
UTTERANCES = {
    "train": [
        (0, 0, "Chandler", "neutral", "I\x92m fine\x85"),
        (125, 3, "Joey", "joy", "Hey!"),
        (1, 2, "Joey", "joy", "Yes, it is."),
    ],
    "dev": [(0, 0, "Monica", "fear", "Oh no"), (110, 7, "Ross", "anger", "What?")],
    "test": [(0, 0, "Joey", "disgust", "Eww\x81")],
}

STAND_IN = f"""#!{sys.executable}
import pathlib, sys, wave
video, audio = sys.argv[sys.argv.index("-i") + 1], sys.argv[-1]
if pathlib.Path(video).read_bytes() == b"broken":
    sys.exit("moov atom not found")
assert ["-ac", "1", "-ar", "16000"] == sys.argv[sys.argv.index("-ac"):][:4], sys.argv
with wave.open(audio, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(bytes(320))
"""


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """The corpus as it is unpacked, and a PATH with nothing but the stand-in."""
    for part, utterances in UTTERANCES.items():
        folder = tmp_path / "MELD" / part / FOLDERS[part]
        folder.mkdir(parents=True)
        table = tmp_path / "MELD" / (f"{part}/{part}_sent_emo.csv" if part == "train" else f"{part}_sent_emo.csv")
        with open(table, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER.split(","))
            for number, (dialogue, utterance, speaker, emotion, text) in enumerate(utterances, start=1):
                times = ["00:16:16,059", "00:16:21,731"]
                writer.writerow([number, text, speaker, emotion, "neutral", dialogue, utterance, 8, 21, *times])
                (folder / f"dia{dialogue}_utt{utterance}.mp4").write_bytes(b"video")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ffmpeg").write_text(STAND_IN)
    (programs / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return tmp_path / "MELD"


def test_meld(corpus, capsys):
    meld(str(corpus))
    found = rows(corpus / "segments.csv")
    assert [
        (row["file"], row["split"], row["dialogue"], row["speaker"], row["emotion"], row["text"]) for row in found
    ] == [
        ("audio/train/dia0_utt0.wav", "train", "train_dia0", "Chandler", "neutral", "I’m fine…"),
        ("audio/train/dia1_utt2.wav", "train", "train_dia1", "Joey", "joy", "Yes, it is."),
        ("audio/dev/dia0_utt0.wav", "valid", "dev_dia0", "Monica", "fear", "Oh no"),
        ("audio/test/dia0_utt0.wav", "test", "test_dia0", "Joey", "disgust", "Eww"),
    ]
    assert {row["corpus"] for row in found} == {"meld"}
    assert not list(corpus.rglob("*.part.wav")) and len(list(corpus.rglob("*.wav"))) == 4
    said = capsys.readouterr().out
    assert "rows of train: 3 (published: 9989)  WARNING: they differ" in said
    assert "put right (Windows-1252 read as Latin-1): 2 utterances" in said
    assert "audio of 4 videos written" in said and "dataset.allow_shared_speakers=true" in said


def test_audio_is_taken_out_once_and_audio_beside_a_video_is_used(corpus, capsys):
    write_wav(corpus / "dev/dev_splits_complete/dia0_utt0.wav")
    meld(str(corpus))
    assert rows(corpus / "segments.csv")[2]["file"] == "dev/dev_splits_complete/dia0_utt0.wav"
    assert "audio of 3 videos" in capsys.readouterr().out
    os.remove(os.path.join(os.environ["PATH"], "ffmpeg"))
    meld(str(corpus))
    assert "videos written" not in capsys.readouterr().out


def test_without_ffmpeg_the_program_that_is_needed_is_named(corpus):
    os.remove(os.path.join(os.environ["PATH"], "ffmpeg"))
    said = said_of(meld, corpus)
    assert "expected the program ffmpeg on PATH, got none (4 videos" in said and "Install ffmpeg" in said
    meld(str(corpus), check_audio=False)
    assert len(rows(corpus / "segments.csv")) == 4 and not (corpus / "audio").exists()


def test_videos_that_are_broken_or_absent_are_named_together(corpus):
    (corpus / "train/train_splits/dia0_utt0.mp4").write_bytes(b"broken")
    (corpus / "dev/dev_splits_complete/dia0_utt0.mp4").unlink()
    said = said_of(meld, corpus)
    assert "2 mistakes" in said
    assert "dia0_utt0.mp4: expected a video whose audio ffmpeg can read, got 'moov atom not found'" in said
    assert "expected a video, or dia0_utt0.wav beside it, got 'neither'" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",joy,", ",joyful,", "line 3: expected an Emotion of neutral, joy"),
        (",1,2,8,", ",0,0,8,", "line 4: expected one row an utterance, got 'dia0_utt0 again'"),
        (",1,2,8,", ",one,2,8,", "line 4: expected whole numbers in Dialogue_ID"),
        ("Emotion", "Feeling", "got none named Emotion"),
    ],
)
def test_a_fault_of_meld_is_named(corpus, old, new, said):
    replace(corpus / "train/train_sent_emo.csv", old, new)
    assert said in said_of(meld, corpus)
