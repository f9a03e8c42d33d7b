"""Files of bio-signals: every quirk of the corpora's format, written here by hand, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from erc.data.corpora import KEMDY19, KEMDY20
from erc.data.signal_files import SIGNALS, read_recording, signal_path


@pytest.fixture
def nineteen(tmp_path):
    """Writes a file of KEMDy19's session 20, person M, and reads it."""

    def read(kind: str, text: str | bytes, **options):
        return _read(KEMDY19, tmp_path, f"{kind}/Session20/Original/Sess20M.csv", text, **options)

    return read


@pytest.fixture
def twenty(tmp_path):
    """Writes a file of KEMDy20's session 12, script 1, and reads it."""

    def read(kind: str, text: str | bytes, **options):
        return _read(KEMDY20, tmp_path, f"{kind}/Session12/Sess12_script01_User081F.csv", text, **options)

    return read


def _read(corpus, folder: Path, name: str, text: str | bytes, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_recording(corpus, folder, path, **options)


def named(recording) -> list[str]:
    """Id of each sample, "" for none."""
    return [recording.ids[k] if k >= 0 else "" for k in recording.segment]


# --- where the files lie ----------------------------------------------------------------------------------------------
def test_a_segment_has_a_file_for_each_signal_of_its_speaker():
    paths = [signal_path(KEMDY19, Path("K"), signal, "Sess20_script01_M001").as_posix() for signal in SIGNALS]
    assert paths == [f"K/{kind}/Session20/Original/Sess20M.csv" for kind in ("ECG", "EDA", "TEMP")]
    paths = [signal_path(KEMDY20, Path("K"), signal, "Sess12_script06_User081F_003").as_posix() for signal in SIGNALS]
    assert paths == [f"K/{kind}/Session12/Sess12_script06_User081F.csv" for kind in ("IBI", "EDA", "TEMP")]
    with pytest.raises(ValueError, match="Segment id must match"):
        signal_path(KEMDY20, Path("K"), "eda", "../../etc/passwd")


# --- KEMDy19 ----------------------------------------------------------------------------------------------------------
def test_rows_inside_and_outside_of_segments_are_ragged_and_all_are_read(nineteen):
    # the labelled row is the one that the format's description quotes
    found = nineteen(
        "EDA",
        "0.2,412,16:50:49.000\n0.204011,412.25,16:50:49.250,Sess20_script01_M001\n0.21,412.5,16:50:49.500,\n",
        with_clock=True,
    )
    assert found.kind == "EDA" and found.rate == 4
    assert found.value.tolist() == [0.2, 0.204011, 0.21] and found.time.tolist() == [412, 412.25, 412.5]
    assert named(found) == ["", "Sess20_script01_M001", ""] and found.counts == {}
    assert found.clock.tolist() == [16 * 3600 + 50 * 60 + 49 + k / 4 for k in range(3)]


def test_the_elapsed_time_comes_first_in_an_ecg(nineteen):
    found = nineteen("ECG", "10.000,-0.03,16:00:00.000\n10.004,0.15,16:00:00.004,Sess20_impro01_F002\n")
    assert found.time.tolist() == [10, 10.004] and found.value.tolist() == [-0.03, 0.15]
    assert found.rate == pytest.approx(250) and named(found) == ["", "Sess20_impro01_F002"]


def test_both_speakers_are_named_in_a_file_and_another_session_is_not(nineteen):
    ids = ["Sess20_script01_M001", "Sess20_script01_F001", "Sess19_script01_M001", "Sess20_script01_X001"]
    found = nineteen("TEMP", "".join(f"30.5,{k / 4},10:00:00.000,{name}\n" for k, name in enumerate(ids)))
    assert found.ids == ("Sess20_script01_M001", "Sess20_script01_F001")
    assert named(found) == [*ids[:2], "", ""] and found.counts == {"foreign id": 2}


def test_a_byte_order_mark_and_other_line_ends_change_nothing(nineteen):
    text = "0.2,1,10:00:00.000\n0.3,1.25,10:00:00.250,Sess20_script01_M001\n"
    plain, other = nineteen("EDA", text), nineteen("EDA", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert plain.value.tolist() == other.value.tolist() and named(plain) == named(other)


def test_a_recording_that_was_begun_anew_goes_on_in_the_order_of_the_file(nineteen):
    times = [0, 0.25, 0.5, 0, 0.25, 0.5]
    rows = "".join(f"{k},{t},10:00:0{k}{',Sess20_script01_M001' * (k > 3)}\n" for k, t in enumerate(times))
    found = nineteen("EDA", rows)
    assert found.time.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25] and found.value.tolist() == list(range(6))
    assert named(found) == [""] * 4 + ["Sess20_script01_M001"] * 2 and found.counts == {"time runs backwards": 1}
    assert nineteen("EDA", "1,5,a\n1,4,b\n1,3,c\n").time.tolist() == [5, 5, 5]


# --- KEMDy20 ----------------------------------------------------------------------------------------------------------
def test_two_header_lines_give_the_rate_and_the_position_the_time(twenty):
    found = twenty(
        "EDA", "1599955200.000000\n4.000000\n0.1\n0.2,10:00:00.250\n0.3,10:00:00.500,Sess12_script01_User081F_001\n"
    )
    assert found.rate == 4 and found.time.tolist() == [0, 0.25, 0.5] and found.value.tolist() == [0.1, 0.2, 0.3]
    assert named(found) == ["", "", "Sess12_script01_User081F_001"]


def test_a_wrong_session_in_the_ids_is_repaired_by_the_files_name_and_counted(twenty):
    rows = "0.1,10:00:00,Sess41_script01_User081F_001\n0.2,10:00:00,Sess12_script01_User081F_002\n"
    found = twenty("TEMP", f"1599955200\n4\n{rows}0.3,10:00:00,Sess41_script02_User081F_001\n")
    assert found.ids == ("Sess12_script01_User081F_001", "Sess12_script01_User081F_002")
    assert found.counts == {"repaired prefix": 1, "foreign id": 1}  # another script is another dialogue


def test_a_comma_at_the_end_names_no_segment_and_two_commas_stand_for_one(twenty):
    rows = "0.1,\n0.2,10:00:00,\n0.3,,10:00:00,Sess12_script01_User081F_001\n\n0.4,10:00:00,,Sess12_script01_User081F_001\n"
    found = twenty("EDA", f"1599955200\n4\n{rows}")
    assert found.value.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert named(found) == ["", "", *["Sess12_script01_User081F_001"] * 2]


def test_an_interval_has_the_time_of_the_beat_that_ends_it(twenty):
    found = twenty(
        "IBI", "1599955200.0, IBI\n1.5,0.80,10:00:01.5\n2.25,0.75,10:00:02.25,Sess12_script01_User081F_001\n"
    )
    assert np.isnan(found.rate) and found.time.tolist() == [1.5, 2.25] and found.value.tolist() == [0.8, 0.75]
    assert named(found) == ["", "Sess12_script01_User081F_001"]


@pytest.mark.parametrize(
    ("kind", "text"), [("EDA", "1599955200\n4.0\n"), ("EDA", "1\n4"), ("IBI", "1, IBI\n"), ("EDA", "")]
)
def test_a_file_with_its_header_alone_holds_no_sample(twenty, kind, text):
    found = twenty(kind, text)
    assert len(found) == 0 and found.ids == ()


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("EDA", "1\n4\n0.1\nabc,10:00:00\n", r"holds a value: expected a number, got 'abc' \(.*line 4; 1 such rows\)"),
        ("EDA", "1\n4\n0.1\n\nnan,10:00:00\n", r"got 'nan' \(.*line 5"),
        ("IBI", "1, IBI\n,0.8,10:00:00\n", "holds the elapsed seconds: expected a number, got ''"),
        ("EDA", "1\nfast\n0.1\n", "sampling rate on line 2: expected a number above 0, got 'fast'"),
        ("EDA", "1\n-4\n0.1\n", "got '-4'"),
        ("EDA", "1\n", "got 'no such line'"),
        ("EDA", "1\n4\n0.1,10:00:00,segment 5\n", "is a segment id, or empty: got 'segment 5'.*line 3"),
        ("EDA", "1\n4\n0.1,a,b,c,d\n", r"has at most 4 cells: got more \(.*line 3\)"),
        ("EDA", "1\n4\n0.1\n0.1,a,b,c,d,e,f,g\n", "at most 4 cells a row"),
        ("EDA", b"1\n4\n0.1,\xff\n", "CSV of at most 4 cells a row.*codec"),
    ],
)
def test_a_row_that_is_not_as_it_should_be_is_named_with_file_and_line(twenty, kind, text, message):
    with pytest.raises(ValueError, match=message) as raised:
        twenty(kind, text)
    assert "Sess12_script01_User081F.csv" in str(raised.value) and "Copy" in str(raised.value)


def test_a_file_that_is_not_there_and_one_outside_of_the_corpus_are_refused(tmp_path, twenty):
    with pytest.raises(FileNotFoundError):
        read_recording(KEMDY20, tmp_path, tmp_path / "EDA/Session12/Sess12_script01_User082F.csv")
    (tmp_path / "elsewhere.csv").write_text("1\n4\n0.1\n")
    twenty("EDA", "1\n4\n")
    link = tmp_path / "EDA/Session12/Sess12_script02_User081F.csv"
    link.symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(ValueError, match="Signal files must be readable: .*leads out of the corpus"):
        read_recording(KEMDY20, tmp_path, link)


@given(
    st.sampled_from(["EDA", "IBI"]),
    st.lists(
        st.sampled_from(
            ["1", "4.0", ",", "\n", "\r", "nan", "1e999", "Sess12_script01_User081F_001", "\0", '"', "\xe9", " "]
        )
    ),
)
def test_any_text_is_read_or_refused_in_words(kind, parts):
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = _read(KEMDY20, Path(folder), f"{kind}/Session12/Sess12_script01_User081F.csv", "".join(parts))
        except ValueError as err:
            assert "signal file" in str(err).lower()
        else:
            assert len(found.time) == len(found.value) == len(found.segment) and np.isfinite(found.value).all()
            assert (np.diff(found.time) >= 0).all() and found.segment.max(initial=-1) < len(found.ids)
