"""Synthetic bio-signals: they answer arousal, have the defects of the real files, and change nothing else that is written."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from erc.data.corpora import KEMDY19, KEMDY20
from erc.data.signal_files import read_recording
from erc.synthetic import corpora as synthetic_corpora
from erc.synthetic.signals import signal_files

SMALL = {"sessions": 3, "segments": 3, "seconds": 1.0}

BIO = re.compile(r"/(ECG|EDA|TEMP|IBI)/")


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Path, Path]:
    """The same corpora with signals that answer arousal, and with straight lines; 3 sessions each, KEMDy20's 1, 12 and 17."""
    folders = [tmp_path_factory.mktemp(name) for name in ("signals", "lines")]
    for folder, signals in zip(folders, (True, False), strict=True):
        synthetic_corpora.write(root=str(folder), signals=signals, **SMALL)
    return folders[0], folders[1]


def test_signals_change_nothing_but_the_bio_files_and_the_bio_cells(both):
    signals, lines = both
    found = sorted(path.relative_to(lines) for path in lines.rglob("*") if path.is_file())
    assert found == sorted(path.relative_to(signals) for path in signals.rglob("*") if path.is_file())
    n_bio = 0
    for path in found:
        one, other = (signals / path).read_bytes(), (lines / path).read_bytes()
        if BIO.search(f"/{path.as_posix()}"):
            n_bio += 1
            assert one != other, path
        elif path.name.endswith("_res.csv"):  # KEMDy19's annotation: cells 3 to 8 are those of the signals
            rows = [list(csv.reader(text.decode().splitlines())) for text in (one, other)]
            assert [row[:3] + row[9:] for row in rows[0]] == [row[:3] + row[9:] for row in rows[1]]
            assert [["" == cell for cell in row] for row in rows[0]] == [
                ["" == cell for cell in row] for row in rows[1]
            ]
        elif path.name != "SAMPLE_CORPUS.txt":
            assert one == other, path
    assert n_bio == 3 * 6 + 3 * 36
    notes = [(root / "KEMDy19/SAMPLE_CORPUS.txt").read_text() for root in both]
    assert notes[0].replace(" signals=True", "") == notes[1] != notes[0]


def test_the_same_arguments_give_the_same_signals(both, tmp_path):
    synthetic_corpora.write(root=str(tmp_path), signals=True, corpora="kemdy20", **SMALL | {"sessions": 1})
    path = "KEMDy20_v1_1/IBI/Session01/Sess01_script01_User001F.csv"
    assert (tmp_path / path).read_bytes() == (both[0] / path).read_bytes()


def test_signals_need_the_bio_folders(tmp_path):
    with pytest.raises(ValueError, match="signals must be True or False, and need bio=True: got True"):
        synthetic_corpora.write(root=str(tmp_path), bio=False, signals=True)


def test_rows_are_ragged_as_in_the_real_files(both):
    nineteen, twenty = both[0] / "KEMDy19", both[0] / "KEMDy20_v1_1"
    for kind in ("ECG", "EDA", "TEMP"):
        text = next((nineteen / kind).rglob("*.csv")).read_text().splitlines()
        assert {line.count(",") for line in text} == {2, 3}
        elapsed = [float(line.split(",")[0 if kind == "ECG" else 1]) for line in text[:3]]
        assert elapsed == [0, 0.004, 0.008] if kind == "ECG" else elapsed == [0, 0.25, 0.5]
    rows = (twenty / "EDA/Session01/Sess01_script02_User001F.csv").read_text().splitlines()
    assert re.fullmatch(r"\d{10}\.0{6}", rows[0]) and rows[1] == "4.000000"
    forms = Counter("".join(c for c in re.sub(r"Sess\S+", "I", row) if c in ",I") for row in rows[2:])
    assert set(forms) == {"", ",", ",,", ",,I"}
    rows = (twenty / "IBI/Session01/Sess01_script02_User001F.csv").read_text().splitlines()
    assert rows[0].endswith(", IBI") and {row.count(",") for row in rows[1:]} == {2, 3}


def test_the_known_defects_are_there(both, tmp_path):
    twenty = both[0] / "KEMDy20_v1_1"

    def read(corpus, folder, name):
        return read_recording(corpus, folder, folder / name)

    for session, user in ((12, "081F"), (17, "083F")):
        found = read(KEMDY20, twenty, f"EDA/Session{session}/Sess{session}_script01_User{user}.csv")
        assert found.counts["repaired prefix"] == np.count_nonzero(found.segment >= 0) > 0
    assert read(KEMDY20, twenty, "EDA/Session01/Sess01_script02_User001F.csv").counts == {}
    assert len(read(KEMDY20, twenty, "IBI/Session17/Sess17_script02_User084F.csv")) == 0
    assert "Sess01_script02_User001F_977" in read(KEMDY20, twenty, "EDA/Session01/Sess01_script02_User001F.csv").ids
    drawn = synthetic_corpora.draw_session(KEMDY19, 4, 3, 1.0, 42)
    for name, text in signal_files(KEMDY19, 4, drawn, 42).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    eda, ecg = (read(KEMDY19, tmp_path, f"{kind}/Session04/Original/Sess04F.csv") for kind in ("EDA", "ECG"))
    assert not any(name.startswith("Sess04_impro04") for name in eda.ids)  # cells of EDA and TEMP are empty there
    assert any(name.startswith("Sess04_impro04") for name in ecg.ids) and ecg.rate == pytest.approx(250)
    short = {one.id for one in drawn if one.end - one.start < 0.5}
    assert short and not short & set(ecg.ids)
    assert any("_M" in name for name in eda.ids) and any("_F" in name for name in eda.ids)


def test_the_annotations_cells_are_the_signals_values_at_the_segments_borders(both):
    folder = both[0] / "KEMDy19"
    eda = read_recording(KEMDY19, folder, folder / "EDA/Session03/Original/Sess03M.csv")
    n_compared = 0
    for row in csv.reader((folder / "annotation/Session03_M_res.csv").read_text().splitlines()):
        if row[9] in eda.ids and row[5]:
            first = np.flatnonzero(eda.segment == eda.ids.index(row[9]))[0]
            n_compared += 1
            # the first sample may lie in a stretch that is missing
            assert float(row[5]) == pytest.approx(eda.value[first], abs=0.6)
    assert n_compared > 40


def test_the_heart_beats_faster_where_arousal_is_higher(both):
    folder = both[0] / "KEMDy20_v1_1"
    arousal = {}
    for path in folder.glob("annotation/*.csv"):
        for row in list(csv.reader(path.read_text().splitlines()))[2:]:
            arousal[row[3]] = float(row[6])
    within = []  # differences from the dialogue's own mean: (arousal, heart rate)
    for path in folder.glob("IBI/*/*.csv"):
        found = read_recording(KEMDY20, folder, path)
        pairs = [
            (arousal[name], 60 / found.value[found.segment == k].mean())
            for k, name in enumerate(found.ids)
            if name in arousal
        ]
        if len(pairs) > 1:
            within += (np.array(pairs) - np.mean(pairs, axis=0)).tolist()
    r = np.corrcoef(np.array(within).T)[0, 1]
    assert len(within) > 60 and r > 0.4
    # control: the same rates in another order say nothing
    shuffled = np.random.default_rng(0).permutation(np.array(within)[:, 1])
    assert abs(np.corrcoef(np.array(within)[:, 0], shuffled)[0, 1]) < 0.25
