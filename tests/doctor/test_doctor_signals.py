"""The doctor's checks of bio-signals: a clean corpus is called clean, and every planted defect is found where it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from erc.data.corpora import KEMDY19, KEMDY20
from erc.doctor import diagnosis
from erc.doctor.evidence import gather
from erc.doctor.findings import CORPUS_NAMES, SIGNAL_NAMES
from erc.doctor.signals import _longest_flat, check_signals
from erc.synthetic import corpora as synthetic_corpora


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """KEMDy19's session 3 and KEMDy20's sessions 1 and 12, with signals."""
    folder = tmp_path_factory.mktemp("signals")
    for corpus, sessions in (("kemdy19", 1), ("kemdy20", 2)):
        synthetic_corpora.write(
            root=str(folder), sessions=sessions, segments=3, seconds=2.5, corpora=corpus, signals=True
        )
    return folder


@pytest.fixture(scope="module")
def cases(root):
    """Evidence of both corpora; the checks read the bio files anew."""
    return {corpus.name: gather(corpus, root, "none", 1)[0] for corpus in (KEMDY19, KEMDY20)}


@pytest.fixture
def spoil(cases, tmp_path):
    """Changes one file of a copy, and gives the findings by name."""

    def check(corpus: str, name: str, edit) -> dict:
        case = cases[corpus]
        copy = tmp_path / case.folder.name
        for kind in ("ECG", "IBI", "EDA", "TEMP"):
            if (case.folder / kind).is_dir():
                shutil.copytree(case.folder / kind, copy / kind)
        path = copy / name
        content = edit(path.read_text().splitlines())
        if content is None:
            path.unlink()
        else:
            path.write_text("\n".join(content) + "\n")
        return {finding.name: finding for finding in check_signals(type(case)(**{**vars(case), "folder": copy}))}

    return check


def in_dialogue(rows: list[str], dialogue: str) -> list[int]:
    """Places of the rows from the first to the last that names a segment of a dialogue."""
    named = [k for k, row in enumerate(rows) if f",{dialogue}_" in row]
    return list(range(named[0], named[-1] + 1))


def test_signals_are_looked_at_only_where_they_are_asked_for(root, monkeypatch):
    found = diagnosis.diagnose_corpus(root, "kemdy20", "none", signals=True)
    own = [finding for finding in found if finding.name in SIGNAL_NAMES]
    assert [finding.name for finding in own] == list(SIGNAL_NAMES) and not set(SIGNAL_NAMES) & set(CORPUS_NAMES)
    monkeypatch.setattr("erc.doctor.signals.read_recording", lambda *_, **__: pytest.fail("a bio file was opened"))
    assert [f for f in diagnosis.diagnose_corpus(root, "kemdy20", "none")] == [f for f in found if f not in own]


@pytest.mark.parametrize("corpus", ["kemdy19", "kemdy20"])
def test_clean_signals_are_called_clean(corpus, cases):
    found = check_signals(cases[corpus])
    assert {finding.severity for finding in found} <= {"ok", "note"}
    coverage = next(finding for finding in found if finding.name == "signal coverage")
    sessions = [3] if corpus == "kemdy19" else [1, 12]
    assert [row[0] for row in coverage.table[1:]] == sessions
    assert all(70 <= cell <= 100 for row in coverage.table[1:] for cell in row[1:])


def test_known_defects_are_listed_and_cost_nothing(cases):
    found = {finding.name: finding for finding in check_signals(cases["kemdy20"])}["signal defects"]
    assert found.severity == "note"
    assert any("without annotation: Sess01_script02_User001F_977" in place for place in found.where)
    # a file of Sess12 is named once for each signal that names a segment
    n = sum("Session12" in place and "repaired prefix" in place for place in found.where)
    files = [p for k in ("EDA", "TEMP", "IBI") for p in (cases["kemdy20"].folder / k / "Session12").iterdir()]
    assert n == sum(",Sess41_" in path.read_text() for path in files) > 30


def test_a_flat_line_of_twenty_seconds_is_found_in_its_dialogue(spoil):
    long: set[str] = set()

    def edit(rows):
        for dialogue in {match[1] for row in rows if (match := re.search(r",(Sess03_[a-z]+\d\d)_", row))}:
            places = in_dialogue(rows, dialogue)
            first, last = (float(rows[k].split(",")[1]) for k in (places[0], places[-1]))
            if last - first >= 20:
                long.add(dialogue)
        return [re.sub(r"^[^,]*", "1.5", row) for row in rows]

    finding = spoil("kemdy19", "EDA/Session03/Original/Sess03M.csv", edit)["flat signals"]
    assert finding.severity == "warning" and {place.split()[0] for place in finding.where} == long != set()
    assert all(re.search(r"EDA/Session03/Original/Sess03M.csv: \d+ s at 1.5$", place) for place in finding.where)


def test_the_longest_time_at_one_value_is_that_of_a_plain_count():
    value = np.array([1, 1, 2, 2, 2, 2, 3, 1, 1, 1])
    assert _longest_flat(np.arange(10) / 4, value) == 0.75
    assert _longest_flat(np.arange(10) / 4, np.ones(10)) == 2.25 and _longest_flat(np.empty(0), np.empty(0)) == 0


def impossible(rows: list[str]) -> list[str]:
    """Intervals of 1.9 s, thirty-two beats a minute."""
    times = iter(np.arange(1, 1000) * 1.9)
    return rows[:1] + [",".join([f"{next(times):g}", "1.9", *row.split(",")[2:]]) for row in rows[1:]]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (impossible, "32 beats a minute"),
        (
            lambda rows: [row if k % 2 else re.sub(r",[\d.]+,", ",0.2,", row, count=1) for k, row in enumerate(rows)],
            "% of",
        ),
    ],
)
def test_a_heart_that_no_person_has_is_found(spoil, edit, said):
    finding = spoil("kemdy20", "IBI/Session01/Sess01_script03_User002M.csv", edit)["heart rates"]
    assert finding.severity == "warning" and len(finding.where) == 1
    assert finding.where[0].startswith("Sess01_script03 in ") and said in finding.where[0]


def test_an_electrocardiogram_without_a_beat_is_found(spoil):
    def edit(rows):
        for k in in_dialogue(rows, "Sess03_impro01"):
            cells = rows[k].split(",")
            rows[k] = ",".join([cells[0], str(k % 2 * 1e-9), *cells[2:]])
        return rows

    found = spoil("kemdy19", "ECG/Session03/Original/Sess03F.csv", edit)
    assert len(found["heart rates"].where) == 1 and "Sess03_impro01 in" in found["heart rates"].where[0]


def test_a_clock_that_jumps_against_the_elapsed_time_is_found(spoil):
    def edit(rows):
        return [row if k < len(rows) // 2 else row.replace(",09:", ",10:", 1) for k, row in enumerate(rows)]

    finding = spoil("kemdy19", "TEMP/Session03/Original/Sess03F.csv", edit)["signal clock"]
    assert finding.severity == "warning" and len(finding.where) == 1 and finding.where[0].endswith(": 3600.00 s")


def test_a_segment_whose_samples_are_elsewhere_than_its_annotation_is_found(spoil, cases):
    own = cases["kemdy20"].table.sort_values("start")
    groups = own.groupby(own["segment_id"].str[:-4])["segment_id"].agg(list)
    stem, ids = next((stem, ids) for stem, ids in groups.items() if len(ids) >= 3)

    def edit(rows):
        k = next(k for k, row in enumerate(rows) if ids[-1][6:] in row)
        return rows[:k] + [f"2.0,10:00:00.{j:03d}" for j in range(20)] + rows[k:]  # five seconds more

    finding = spoil("kemdy20", f"EDA/Session{stem[4:6]}/{stem}.csv", edit)["signal shift"]
    assert finding.severity == "warning" and len(finding.where) == 1
    found = re.fullmatch(rf"{ids[-1]}: \+(\d\.\d\d) s in EDA", finding.where[0])
    assert float(found[1]) == pytest.approx(5, abs=0.3)


def test_a_file_that_cannot_be_read_is_a_problem_and_one_that_is_missing_a_note(spoil):
    found = spoil("kemdy20", "TEMP/Session01/Sess01_script01_User001F.csv", lambda rows: [*rows[:5], "warm,10:00"])
    assert found["signal files"].severity == "problem" and "got 'warm'" in found["signal files"].where[0]


def test_a_session_with_few_signals_is_named(spoil):
    def edit(rows):
        return None

    found = spoil("kemdy19", "EDA/Session03/Original/Sess03F.csv", edit)
    assert "Sess03F.csv: no such file" in found["signal defects"].where[0]
    assert found["signal coverage"].severity == "warning"
    assert re.match(r"session 3: EDA in 4\d % of the segments", found["signal coverage"].where[0])


def test_a_corpus_without_bio_files_is_a_problem_where_they_are_asked_for(cases, tmp_path):
    case = cases["kemdy20"]
    (finding,) = check_signals(type(case)(**{**vars(case), "folder": tmp_path}))
    assert finding.severity == "problem" and finding.got == "no file of the folders IBI, EDA, TEMP"
