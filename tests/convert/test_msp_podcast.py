"""MSP-Podcast on a small corpus in its own format, both forms of its ratings: the table exactly, then planted faults."""

from __future__ import annotations

import json

import pytest
from test_convert import replace, rows, said_of, votes_of, write_wav

from erc.convert import msp_podcast

CONSENSUS = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,4.2,3.5,5,127,Male,Train
MSP-PODCAST_0001_0019.wav,X,4,4,4,127,Male,Train
MSP-PODCAST_0002_0033.wav,H,6.8,6.6,,Unknown,Unknown,Development
MSP-PODCAST_0003_0004_0001.wav,O,1,7,4,9,Female,Test1
MSP-PODCAST_0004_0001.wav,A,4,4,4,12,Female,Test2
MSP-PODCAST_0005_0001.wav,,,,,,,Test3
"""

RATINGS = {
    "MSP-PODCAST_0001_0008.wav": ["Neutral", "Neutral", "Sad"],
    "MSP-PODCAST_0001_0019.wav": ["Angry", "Contempt"],
    "MSP-PODCAST_0002_0033.wav": ["Happy"],
    "MSP-PODCAST_0003_0004_0001.wav": ["Other-Annoyed, a bit", "Other", "Fear"],
    "MSP-PODCAST_0004_0001.wav": ["Angry"],
}


@pytest.fixture
def corpus(tmp_path):
    lines = ["FileName,EmoDetail"]
    for name, said in RATINGS.items():
        lines += [f'{name},"WORKER{n:05d}; {one}; {one},Amused; A:3.0; V:4.0; D:5.0;"' for n, one in enumerate(said)]
        write_wav(tmp_path / f"Audios/{name}")
    (tmp_path / "Labels").mkdir()
    (tmp_path / "Labels/labels_consensus.csv").write_text(CONSENSUS)
    (tmp_path / "Labels/labels_detailed.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "Transcripts").mkdir()
    (tmp_path / "Transcripts/MSP-PODCAST_0001_0008.txt").write_text("Well,\n you know \n")
    return tmp_path


EXPECTED = [
    (
        "MSP-PODCAST_0001_0008",
        "train",
        "127",
        "M",
        "MSP-PODCAST_0001",
        {"neutral": 2, "sadness": 1},
        ["3.5", "4.2", "5"],
    ),
    ("MSP-PODCAST_0001_0019", "train", "127", "M", "MSP-PODCAST_0001", {"anger": 1, "contempt": 1}, ["4", "4", "4"]),
    ("MSP-PODCAST_0002_0033", "valid", "", "", "MSP-PODCAST_0002", {"happiness": 1}, ["6.6", "6.8", ""]),
    ("MSP-PODCAST_0003_0004_0001", "test", "9", "F", "MSP-PODCAST_0003_0004", {"other": 2, "fear": 1}, ["7", "1", "4"]),
]


def content(path):
    return [
        (row["segment_id"], row["split"], row["speaker"], row["gender"], row["dialogue"], votes_of(row))
        + ([row[one] for one in ("valence", "arousal", "dominance")],)
        for row in rows(path)
    ]


def test_msp_podcast(corpus, capsys):
    msp_podcast(str(corpus))
    assert content(corpus / "segments.csv") == EXPECTED
    assert [row["text"] for row in rows(corpus / "segments.csv")] == ["Well, you know", "", "", ""]
    said = capsys.readouterr().out
    assert "left out: 1 segments of Test2" in said and "left out: 1 segments of Test3" in said
    assert "segments without a transcript: 3" in said and "not an emotion with most votes: 0" in said


def test_ratings_as_json_give_the_same_table(corpus):
    (corpus / "Labels/labels_detailed.csv").unlink()
    stored = {
        name: {
            f"WORKER{n}": {"EmoClass_Major": one, "EmoAct": "3", "EmoVal": "4", "EmoDom": "5"}
            for n, one in enumerate(said)
        }
        for name, said in RATINGS.items()
    }
    (corpus / "Labels/labels_detailed.json").write_text(json.dumps(stored))
    (corpus / "Labels/labels_consensus.csv").rename(corpus / "Labels/labels_concensus.csv")
    msp_podcast(str(corpus))
    assert content(corpus / "segments.csv") == EXPECTED
    (corpus / "segments.csv").unlink()
    (corpus / "Labels/labels_detailed.json").write_text('{"a.wav": {"WORKER1": {"EmoAct": 3}}}')
    assert 'expected file -> worker -> EmoClass_Major, got "KeyError' in said_of(msp_podcast, corpus)


def test_the_second_test_partition_is_asked_for_by_name(corpus):
    msp_podcast(str(corpus), test="Test2")
    assert [one[:2] for one in content(corpus / "segments.csv")][-1] == ("MSP-PODCAST_0004_0001", "test")
    (corpus / "segments.csv").unlink()
    assert "--test must be Test1 or Test2" in said_of(msp_podcast, corpus, test="Test3")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("consensus", "_0008.wav,N,4.2", "_0008.wav,N,7.2", "line 2: expected EmoAct from 1 to 7, got '7.2'"),
        ("consensus", "_0008.wav,N", "_0008.wav,Q", "line 2: expected an EmoClass of A, S"),
        ("consensus", "_0001_0019.wav", "_0001_0008.wav", "line 3: expected one row a file"),
        ("consensus", "Train", "Training", "line 2: expected a Split_Set of Train"),
        (
            "consensus",
            "_0001_0019.wav",
            "_0001_0020.wav",
            "line 3: expected one rating or more of MSP-PODCAST_0001_0020.wav",
        ),
        ("detailed", "; Sad;", "; Sadd;", "line 4: expected a primary emotion of Angry"),
        ("detailed", "; Sad; Sad,Amused; A:3.0;", "; Sad; Sad,Amused;", "line 4: expected a file and worker; primary;"),
    ],
)
def test_a_fault_of_msp_podcast_is_named(corpus, file, old, new, said):
    replace(corpus / f"Labels/labels_{file}.csv", old, new)
    assert said in said_of(msp_podcast, corpus)
