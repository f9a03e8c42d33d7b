"""Each converter on a small corpus in its own format, made here: the table exactly, then planted faults."""

from __future__ import annotations

import csv
import itertools
import math
import wave
from fractions import Fraction

import numpy as np
import pytest

from erc.convert import crema_d, emodb, iemocap, ravdess
from erc.evaluation.agreement import coincidences_of_votes, kappa_of
from erc.labels import is_tied, soft_label
from erc.peakl import peak_label


def write_wav(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((1000 * np.sin(np.arange(80))).astype("<i2").tobytes())


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def said_of(convert, root, **options):
    """What a conversion complains of; it writes nothing."""
    with pytest.raises((ValueError, OSError)) as err:
        convert(str(root), **options)
    assert not list(root.glob("*segments.csv*"))
    return str(err.value)


# --- CREMA-D ----------------------------------------------------------------------------------------------------------
VOTES = {
    "1001_IEO_NEU_XX": (0, 0, 0, 1, 9, 0),
    "1002_DFA_ANG_HI": (2, 2, 0, 0, 0, 0),
    "1001_WSI_SAD_LO": (0, 0, 1, 0, 2, 4),
}


@pytest.fixture
def crema(tmp_path):
    lines = ['"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"']
    for kind, (n, (name, votes)) in itertools.product("123", enumerate(VOTES.items(), start=1)):
        counts = votes if kind == "1" else (0, 0, 0, 7, 0, 0)
        first = ":".join(letter for letter, n in zip("ADFHNS", counts, strict=True) if n == max(counts))
        lines.append(f'"{kind}{n:05d}",{",".join(map(str, counts))},"{name}",{sum(counts)},0.5,"{first}"')
        write_wav(tmp_path / f"AudioWAV/{name}.wav")
    (tmp_path / "tabulatedVotes.csv").write_text("\n".join(lines) + "\n")
    actors = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","x","y"\n1002,21,"Female","x","y"\n'
    (tmp_path / "VideoDemographics.csv").write_text(actors)
    return tmp_path


def test_crema_d(crema, capsys):
    crema_d(str(crema))
    found = rows(crema / "segments.csv")
    assert [row["file"] for row in found] == [f"AudioWAV/{name}.wav" for name in VOTES]
    assert [
        tuple(int(row[f"votes_{e}"]) for e in "anger disgust fear happiness neutral sadness".split()) for row in found
    ] == [*VOTES.values()]
    assert [(row["speaker"], row["gender"]) for row in found] == [("1001", "M"), ("1002", "F"), ("1001", "M")]
    assert found[1]["text"] == "Don't forget a jacket."
    said = capsys.readouterr().out
    assert "ratings of the voice: 21 (published: 68568)  WARNING: they differ" in said
    assert "clips with a tied majority: 1 (published: 644)" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"100001",0,0,0,1,9,0', '"100001",0,0,0,1,8,0', "line 2: expected votes that add up to numResponses=10"),
        ('"A:D"', '"A"', "line 3: expected emoVote A:D"),
        ('"100003",0', '"100003",-1', "line 4: expected whole numbers >= 0"),
        (
            '"1001_WSI_SAD_LO",7,0.5,"S"',
            '"1001_IEO_NEU_XX",7,0.5,"S"',
            "line 4: expected one row of votes on the voice",
        ),
        ("1002_DFA_ANG_HI", "1009_DFA_ANG_HI", "line 3: expected an actor of VideoDemographics.csv, got '1009'"),
        ('"emoVote"', '"vote"', "got none named emoVote"),
    ],
)
def test_a_fault_of_crema_d_is_named(crema, old, new, said):
    replace(crema / "tabulatedVotes.csv", old, new)
    assert said in said_of(crema_d, crema)


def test_all_mistakes_are_told_together_and_the_old_table_stays(crema):
    crema_d(str(crema))
    before = (crema / "segments.csv").read_bytes()
    replace(crema / "tabulatedVotes.csv", '"A:D"', '"A"')
    (crema / "AudioWAV/1001_IEO_NEU_XX.wav").unlink()
    with pytest.raises(ValueError, match="2 mistakes") as err:
        crema_d(str(crema))
    assert "line 3" in str(err.value) and "1001_IEO_NEU_XX.wav: expected an audio file" in str(err.value)
    assert (crema / "segments.csv").read_bytes() == before


def test_a_table_beside_the_corpus_says_how_to_read_it(crema, tmp_path_factory, capsys):
    crema_d(str(crema), out=str(tmp_path_factory.mktemp("out") / "t.csv"))
    assert "dataset.allow_outside=true" in capsys.readouterr().out


def test_another_file_is_not_overwritten(crema):
    (crema / "other.csv").write_text("mine")
    assert "exists and is no table of segments" in said_of(crema_d, crema, out=str(crema / "other.csv"))


def test_labels_of_votes_with_unequal_numbers_of_raters_against_counting_pairs():
    """Soft labels, ties and kappa from votes, against exact fractions over the raters one by one."""
    votes = np.random.default_rng(5).multinomial(1, [0.3, 0.1, 0.1, 0.1, 0.3, 0.1], size=(200, 12))
    n_raters = np.random.default_rng(6).integers(4, 13, size=200)
    votes = np.stack([one[:n].sum(axis=0) for one, n in zip(votes, n_raters, strict=True)])
    agreed, margins = Fraction(0), [Fraction(0)] * 6
    for one, soft, tied in zip(votes, soft_label(votes), is_tied(votes), strict=True):
        said = [e for e, n in enumerate(one) for _ in range(n)]
        assert soft.tolist() == [float(Fraction(said.count(e), len(said))) for e in range(6)]
        counts = sorted((said.count(e) for e in range(6)), reverse=True)
        assert tied == (counts[0] == counts[1])
        for a, b in itertools.permutations(said, 2):
            agreed += Fraction(int(a == b), len(said) - 1)
        for e in said:
            margins[e] += 1
    total = sum(margins)
    observed, expected = agreed / total, sum((m / total) ** 2 for m in margins)
    kappa = kappa_of(coincidences_of_votes(votes.astype(float)).sum(axis=0))
    assert float(kappa) == pytest.approx(float((observed - expected) / (1 - expected)), abs=1e-12)
    for one, peaked in zip(votes, peak_label(soft_label(votes)), strict=True):
        shares = [n / sum(one) for n in one]
        taken = math.tanh(-sum(y * math.log(y) for y in shares if y > 0)) / 6
        rest = [max(0.0, y - taken) for y in shares]
        assert peaked == pytest.approx([y / sum(rest) for y in rest], abs=1e-12)


# --- EmoDB ------------------------------------------------------------------------------------------------------------
def test_emodb(tmp_path):
    for name in ("03a01Fa", "08b10Wb", "16a07Nc"):
        write_wav(tmp_path / f"wav/{name}.wav")
    emodb(str(tmp_path))
    found = [(row["speaker"], row["gender"], row["fold"], row["emotion"]) for row in rows(tmp_path / "segments.csv")]
    assert found == [("03", "M", "0", "happiness"), ("08", "F", "0", "anger"), ("16", "F", "4", "neutral")]
    assert rows(tmp_path / "segments.csv")[1]["text"] == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("03a01F.wav", "expected a name as 03a01Fa.wav"),
        ("04a01Fa.wav", "expected a speaker of 03, 08"),
        ("03a03Fa.wav", "expected a sentence of a01"),
        ("03a01Xa.wav", "expected an emotion of W, L"),
    ],
)
def test_a_fault_of_emodb_is_named(tmp_path, name, said):
    write_wav(tmp_path / "wav/03a01Fa.wav")
    write_wav(tmp_path / f"wav/{name}")
    assert said in said_of(emodb, tmp_path)


# --- RAVDESS ----------------------------------------------------------------------------------------------------------
def test_ravdess(tmp_path, capsys):
    names = ["03-01-06-02-02-01-12", "03-01-01-01-01-02-05", "03-02-03-01-01-01-05"]
    for name in names:
        for folder in ("", "audio_speech_actors_01-24/"):
            write_wav(tmp_path / f"{folder}Actor_{name[-2:]}/{name}.wav")
    ravdess(str(tmp_path))
    found = rows(tmp_path / "segments.csv")
    assert [
        (row["file"], row["speaker"], row["gender"], row["fold"], row["emotion"], row["text"]) for row in found
    ] == [
        (f"Actor_05/{names[1]}.wav", "Actor_05", "M", "1", "neutral", "Kids are talking by the door."),
        (f"Actor_12/{names[0]}.wav", "Actor_12", "F", "2", "fear", "Dogs are sitting by the door."),
    ]
    assert "left out: 3 copies under audio_speech_actors_01-24, 1 songs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("Actor_12/03-01-06-02-02-01.wav", "expected a name of seven numbers"),
        ("Actor_12/03-01-09-02-02-01-12.wav", "got 'emotion 9'"),
        ("Actor_11/03-01-06-02-02-01-12.wav", "expected the folder Actor_12, got 'Actor_11'"),
        ("Actor_12/03-01-01-02-02-01-12.wav", "expected normal intensity"),
    ],
)
def test_a_fault_of_ravdess_is_named(tmp_path, path, said):
    write_wav(tmp_path / path)
    assert said in said_of(ravdess, tmp_path)


# --- IEMOCAP ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def iemo(tmp_path):
    for session in range(1, 6):
        dialog, name = tmp_path / f"Session{session}/dialog", f"Ses0{session}F_impro01"
        (dialog / "EmoEvaluation").mkdir(parents=True)
        (dialog / "transcriptions").mkdir()
        (dialog / f"EmoEvaluation/{name}.txt").write_text(
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            f"[6.2901 - 8.2357]\t{name}_F000\texc\t[4.5000, 3.0000, 2.5000]\n"
            "C-E2:\tExcited;\t()\nC-E3:\tExcited; Happiness;\t()\nC-E4:\tNeutral state;\t()\nC-F1:\tAnger;\t()\n"
            "A-E3:\tval 5; act 3; dom  2;\t()\n\n"
            f"[10.0000 - 11.5000]\t{name}_M000\txxx\t[2.0000, 2.0000, 2.0000]\n"
            "C-E2:\tSadness;\t()\nC-E3:\tOther;\t(bored)\nC-E4:\tFrustration;\t()\n"
        )
        (dialog / f"EmoEvaluation/._{name}.txt").write_bytes(b"\xff\x00")
        (dialog / f"transcriptions/{name}.txt").write_text(
            f"{name}_F000 [006.2901-008.2357]: Did you see?\nM: no time\n{name}_M000 [010.0000-011.5000]: No.\n"
        )
        for turn in ("F000", "M000"):
            write_wav(tmp_path / f"Session{session}/sentences/wav/{name}/{name}_{turn}.wav")
    return tmp_path


def votes_of(row):
    return {key[6:]: int(value) for key, value in row.items() if key.startswith("votes_") and value != "0"}


def test_iemocap(iemo, capsys):
    iemocap(str(iemo))
    found = rows(iemo / "segments.csv")
    assert len(found) == 10
    assert votes_of(found[0]) == {"excited": 2, "happiness": 1, "neutral": 1}
    assert votes_of(found[1]) == {"sadness": 1, "other": 1, "frustration": 1}
    assert [float(found[0][one]) for one in ("valence", "arousal", "dominance")] == [4.5, 3.0, 2.5]
    last = found[-1]
    assert (last["speaker"], last["gender"], last["session"], last["fold"]) == ("Ses05_M", "M", "Session5", "4")
    assert (last["dialogue"], last["style"], last["text"]) == ("Ses05F_impro01", "spontaneous", "No.")
    assert "turns: 10 (published: 10039)" in capsys.readouterr().out


def test_the_four_classes_of_iemocap(iemo):
    iemocap(str(iemo), four_classes=True)
    found = rows(iemo / "segments.csv")
    assert len(found) == 5 and all(votes_of(row) == {"happiness": 3, "neutral": 1} for row in found)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("EmoEvaluation", "\texc\t", "\texx\t", "line 3: expected a label of ang"),
        ("EmoEvaluation", "Excited; Happiness", "Excitd; Happiness", "line 5: expected labels of anger"),
        ("EmoEvaluation", "[4.5000", "[high", "line 3: expected a number as valence, got 'high'"),
        ("EmoEvaluation", "[6.2901 - ", "[6.2901 ", "line 3: expected [start - end]"),
        ("transcriptions", "_M000 [", "_M001 [", "line 10: expected a line on Ses02F_impro01_M000"),
    ],
)
def test_a_fault_of_iemocap_is_named(iemo, file, old, new, said):
    replace(iemo / f"Session2/dialog/{file}/Ses02F_impro01.txt", old, new)
    assert said in said_of(iemocap, iemo)


def test_a_mean_of_iemocap_outside_the_scale_is_left_out_alone(iemo, capsys):
    replace(iemo / "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt", "[4.5000, 3.0000", "[5.5000, 3.0000")
    iemocap(str(iemo))
    found = rows(iemo / "segments.csv")
    assert len(found) == 10
    assert [row["valence"] for row in found if row["segment_id"] == "Ses02F_impro01_F000"] == [""]
    assert [row["arousal"] for row in found if row["segment_id"] == "Ses02F_impro01_F000"] == ["3.0000"]
    assert "left out: valence 5.5000 of Ses02F_impro01_F000" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["transcriptions", "EmoEvaluation"])
def test_a_file_of_iemocap_that_is_not_utf8_is_named(iemo, folder):
    path = iemo / f"Session4/dialog/{folder}/Ses04F_impro01.txt"
    path.write_bytes(path.read_bytes() + b"caf\xe9\n")
    assert f"{path}: expected UTF-8, got 'byte 0xe9" in said_of(iemocap, iemo)
