"""Voices are compared where they can be told apart; what is planted is found, and clean ones raise no alarm."""

from __future__ import annotations

import os
import shutil
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import firwin2, lfilter

from erc.data import KEMDY20, find_folder, read_annotations
from erc.doctor import voices
from erc.doctor.diagnosis import diagnose_corpus
from erc.doctor.evidence import Evidence
from erc.synthetic import write


def case(rows: pd.DataFrame) -> Evidence:
    return Evidence(KEMDY20, None, "paper", True, [], 0, rows, [], [])


def described(seed: int = 0, n_sessions: int = 20, spread: float = 1.0) -> pd.DataFrame:
    """Two speakers a session, six dialogues, 38 features: a speaker's mean, and noise of variance 1 in each dialogue."""
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(1, n_sessions + 1):
        for gender in "FM":
            mean = spread * rng.standard_normal(38)
            mean[0] += 6 if gender == "M" else -6
            for number in range(1, 7):
                features = mean + rng.standard_normal(38)
                dialogue = f"Sess{session:02d}_script{number:02d}"
                fold = (session - 1) * 5 // n_sessions
                rows.append([dialogue, f"Sess{session:02d}_{gender}", session, fold, gender, features])
    return pd.DataFrame(rows, columns=["dialogue", "speaker", "session", "fold", "gender", "features"])


def take(rows: pd.DataFrame, source: pd.Series, target: pd.Series) -> None:
    """The voices of some dialogues under the ids of others, in this order."""
    values = rows.loc[source, "features"].to_list()
    for index, value in zip(rows.index[target], values, strict=True):
        rows.at[index, "features"] = value


@pytest.mark.parametrize("spread", [0.2, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(2))
def test_voices_of_their_own_raise_no_alarm(seed, spread):
    rows = described(seed, spread=spread)
    speakers, sex = voices._speakers(case(rows), rows), voices._sex(case(rows), rows)
    assert speakers.severity == ("note" if "not compared" in speakers.got else "ok") and sex.severity == "ok"
    assert ("not compared" in speakers.got) == (spread < 1), speakers.got


@pytest.mark.parametrize("seed", range(3))
def test_one_person_under_two_ids_in_two_folds_is_found(seed):
    rows, other = described(seed), described(seed + 100)
    own, theirs = rows["speaker"] == "Sess02_F", rows["speaker"] == "Sess19_F"
    mean = np.mean(rows.loc[own, "features"].to_list(), axis=0)
    noise = other.loc[theirs, "features"].to_list()
    for index, value in zip(rows.index[theirs], noise - np.mean(noise, axis=0), strict=True):
        rows.at[index, "features"] = mean + value
    finding = voices._speakers(case(rows), rows)
    assert finding.severity == "warning" and "no proof" in finding.advice
    assert [text.split(":")[0] for text in finding.where] == ["Sess02_F (fold 0) and Sess19_F (fold 4)"]


def test_one_person_under_two_ids_in_one_fold_is_no_leak():
    rows = described()
    values = np.mean(rows.loc[rows["speaker"] == "Sess01_F", "features"].to_list(), axis=0)
    for index in rows.index[rows["speaker"] == "Sess02_F"]:
        rows.at[index, "features"] = values + rows.at[index, "features"] * 0.5
    assert voices._speakers(case(rows), rows).severity == "ok"


def test_a_dialogue_exchanged_between_two_sessions_is_found():
    rows = described()
    first, second = rows["dialogue"] == "Sess03_script02", rows["dialogue"] == "Sess15_script05"
    before = rows.copy()
    take(rows, first, second)
    for index, value in zip(rows.index[first], before.loc[second, "features"], strict=True):
        rows.at[index, "features"] = value
    finding = voices._speakers(case(rows), rows)
    assert finding.severity == "warning" and finding.where == [
        "Sess03_script02: both voices are those of session 15",
        "Sess15_script05: both voices are those of session 3",
    ]


def test_a_wrong_letter_for_the_sex_is_found():
    rows = described(n_sessions=12)
    is_wrong = rows["speaker"] == "Sess04_M"
    rows.loc[is_wrong, "gender"] = "F"
    finding = voices._sex(case(rows), rows)
    assert finding.severity == "warning" and finding.where == ["Sess04_M (session 4) sounds male"]
    rows = described(n_sessions=12)
    rows["features"] = [value - np.eye(38)[0] * value[0] for value in rows["features"]]  # the sexes sound alike
    assert "not compared" in voices._sex(case(rows), rows).got


@pytest.mark.parametrize("n_sessions", [0, 1, 2])
def test_few_speakers_are_not_compared(n_sessions):
    rows = described(n_sessions=n_sessions)
    for finding in (voices._speakers(case(rows), rows), voices._sex(case(rows), rows)):
        assert finding.severity == "note" and "not compared" in finding.got


# with wavs: synthetic voices differ in little but their sex, so each speaker is heard through a filter of its own


def rewrite(path, samples: np.ndarray) -> None:
    path.unlink()
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def read(path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    """Root of KEMDy20 with ten sessions; a speaker's voice has ten bands, each up to 15 dB louder or fainter."""
    root = tmp_path_factory.mktemp("voices")
    write(root=str(root), sessions=10, segments=4, seconds=1.5, corpora="kemdy20", bio=False, seed=3)
    rng = np.random.default_rng(0)
    table = read_annotations(KEMDY20, find_folder(KEMDY20, root)).table
    for _, part in table.groupby("speaker"):
        gains = 10 ** (rng.uniform(-15, 15, 10) / 20)
        taps = firwin2(101, np.linspace(0, 1, 10), gains)
        for row in part.itertuples():
            sound = lfilter(taps, 1, read(Path(row.wav_path)).astype(float))
            rewrite(Path(row.wav_path), sound * min(1, 30_000 / max(1, abs(sound).max())))
    return root, table


def resized(samples: np.ndarray, n: int) -> np.ndarray:
    return np.tile(samples, n // len(samples) + 1)[:n]


def put(rows: pd.DataFrame, sources: pd.DataFrame) -> None:
    """Sound of some segments under the ids of others, with the others' lengths."""
    sounds = [read(Path(path)) for path in sources["wav_path"]]
    for number, path in enumerate(rows["wav_path"]):
        rewrite(Path(path), resized(sounds[number % len(sounds)], len(read(Path(path)))))


@pytest.mark.slow
def test_voices_are_heard_in_wavs(filtered, tmp_path):
    root, _ = filtered

    def diagnose(change) -> dict[str, tuple[str, list[str]]]:
        copy = tmp_path / change.__name__
        shutil.copytree(root, copy, copy_function=os.link)
        change(read_annotations(KEMDY20, find_folder(KEMDY20, copy)).table)
        return {one.name: (one.severity, one.where) for one in diagnose_corpus(copy, "kemdy20")}

    def nothing(table):
        pass

    def one_person(table):
        first, last = (table[table["session"] == table["session"].agg(which)] for which in ("min", "max"))
        rows, sources = (part[part["speaker"] == part["speaker"].min()] for part in (last, first))
        put(rows, sources.iloc[::-1])

    def exchange_dialogues(table):
        sessions = sorted(set(table["session"]))
        ends = table["session"].isin([sessions[0], sessions[-1]])
        parts = [part for _, part in table[ends & table["dialogue"].str.endswith("script03")].groupby("speaker")]
        copies = [[read(Path(path)) for path in part["wav_path"]] for part in parts]
        for part, sounds in zip(parts, copies[2:] + copies[:2], strict=True):
            for number, path in enumerate(part["wav_path"]):
                rewrite(Path(path), resized(sounds[number % len(sounds)], len(read(Path(path)))))

    clean = diagnose(nothing)
    assert clean["speaker voices"][0] == "ok" and clean["speaker sex"][0] == "ok"
    severity, where = diagnose(one_person)["speaker voices"]
    assert severity == "warning" and len(where) == 1 and "(fold 0)" in where[0] and "(fold 4)" in where[0]
    severity, where = diagnose(exchange_dialogues)["speaker voices"]
    assert severity == "warning" and len(where) == 2 and all("script03: both voices" in text for text in where)
