"""Tables of segments: what is read, and that every mistake is named with file, line, column, what was expected and came."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from own_corpora import EMOTIONS, write_corpus, write_csv, write_tone

from erc.data import SegmentListOptions, TableError, read_segment_list

SCALE = SegmentListOptions(scale=(1, 5), n_folds=2)
TWO = SegmentListOptions(n_folds=2)


def rows(n: int = 4, **columns) -> list[dict]:
    """Rows of one file each, emotions in turn, two speakers; ``columns`` replace or add."""
    plain = [
        {"file": "a.wav", "segment_id": f"u{k}", "speaker": f"s{k % 2}", "emotion": "ab"[k // 2 % 2]} for k in range(n)
    ]
    return [row | {name: values[k] for name, values in columns.items()} for k, row in enumerate(plain)]


def table(folder: Path, content: list[dict], options: SegmentListOptions = TWO):
    write_tone(folder / "a.wav", 1.0)
    return read_segment_list(write_csv(folder / "t.csv", content), options)


def mistakes(folder: Path, content: list[dict], options: SegmentListOptions = TWO) -> list[str]:
    with pytest.raises(TableError) as found:
        table(folder, content, options)
    return found.value.mistakes


def test_a_corpus_of_another_label_space_is_read(tmp_path):
    found = read_segment_list(write_corpus(tmp_path), SegmentListOptions(scale=(1, 5)))
    assert found.label_space.to_json() == {
        "emotions": list(EMOTIONS),
        "dimensions": ["valence"],
        "scale": [1.0, 5.0],
        "n_raters": None,  # one segment has no votes
    }
    assert found.table["hard_label"][3] == -1 and not found.table["is_tied"][3]
    assert np.isnan(found.table["valence"][1])
    assert found.table["segment_id"][0] == "صوت/0_0"
    assert [str(note) for note in found.notes] == [
        "6 of 30 segments have no transcript: a text encoder reads the empty text for them",
        "1 of 30 segments have no vote: they are left out of emotion loss and metrics",
    ]
    by_speaker = pd.Series(found.fold).groupby(found.table["speaker"].to_numpy()).nunique()
    assert (by_speaker == 1).all() and set(found.fold) == set(range(5))


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_three_forms_of_a_table_say_the_same(tmp_path, ending):
    write_tone(tmp_path / "a.wav", 1.0)
    frame = pd.DataFrame({"file": ["a.wav"] * 4, "start": [0.0, 0.25, 0.5, 0.75], "end": [0.25, 0.5, 0.75, np.nan]})
    frame["votes_x"], frame["votes_y"], frame["valence"] = [2, 0, 1, 2], [0, 2, 1, 0], [1.5, np.nan, 3, 5]
    path = tmp_path / f"t.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "parquet":
        frame.to_parquet(path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in frame.replace(np.nan, None).to_dict("records")))
    found = read_segment_list(path, SegmentListOptions(scale=(1, 5), n_folds=2))
    assert found.table["segment_id"].tolist() == ["a#0-250", "a#250-500", "a#500-750", "a#750-"]
    assert found.table["votes"].tolist() == [[2, 0], [0, 2], [1, 1], [2, 0]]
    assert found.label_space.n_raters == 2 and found.table["is_tied"].tolist() == [False, False, True, False]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_audformat_index_is_understood(tmp_path, kind):
    write_tone(tmp_path / "a.wav", 1.0)
    times = pd.to_timedelta(["0s", "0.5s", "0.25s"])
    index = pd.MultiIndex.from_arrays(
        [["a.wav"] * 3, times, pd.to_timedelta(["0.5s", None, "0.75s"])], names=["file", "start", "end"]
    )
    frame = pd.DataFrame({"emotion": ["x", "y", "x"]}, index=index)
    path = tmp_path / f"t.{kind}"
    frame.to_csv(path) if kind == "csv" else frame.to_parquet(path)
    found = read_segment_list(path, TWO)
    assert found.table["start"].tolist() == [0.0, 0.5, 0.25]
    assert found.table["end"].fillna(-1).tolist() == [0.5, -1, 0.75]


def test_raters_columns_count_and_a_label_map_drops_votes(tmp_path):
    content = rows(rater_1=["joy", "rage", "other", "joy"], rater_2=["", "joy", "other", "rage"])
    for row in content:
        del row["emotion"]
    options = SegmentListOptions(n_folds=2, label_map=(("joy", "happy"), ("other", None)))
    found = table(tmp_path, content, options)
    assert found.label_space.emotions == ("happy", "rage") and found.label_space.n_raters is None
    assert found.table["votes"].tolist() == [[1, 0], [1, 1], [0, 0], [1, 1]]
    assert "2 votes were left out by dataset.label_map" in map(str, found.notes)


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"valance": [1, 2, 3, 4]}, TWO, "got 'valance'; did you mean valence?"),
        ({"valence": [1, 2, 7, 4]}, SCALE, "t.csv, line 4, column valence: expected a number from 1 to 5, got '7'"),
        ({"valence": ["1,5", 2, 3, 4]}, SCALE, "line 2, column valence: expected a number from 1 to 5, got '1,5'"),
        ({"valence": [1, 2, 3, 4]}, TWO, "dataset.scale: expected the lowest and the highest rating of valence"),
        (
            {"start": [0, 0.5, 0.2, 0], "end": [1, 0.4, 0.2, 1]},
            TWO,
            "line 3, column end: expected more than start (0.5), got '0.4'",
        ),
        ({"start": [0, -1, 0, 0]}, TWO, "line 3, column start: expected seconds, 0 or more"),
        ({"end": ["x", 1, 1, 1]}, TWO, "line 2, column end: expected seconds, 0 or more"),
        (
            {"segment_id": ["u", "v", "u", "w"]},
            TWO,
            "line 4, column segment_id: expected a segment that is in no other line, got 'u', which is in line 2",
        ),
        (
            {"fold": [0, 2, 0, 2], "speaker": list("abab")},
            TWO,
            "column fold: expected every fold from 0 to the last, two or more, got 0, 2",
        ),
        ({"fold": [0, 1, "", 1]}, TWO, "line 4, column fold: expected a fold in every row"),
        ({"fold": [0, 1, 1, 1]}, TWO, "column speaker: expected each speaker in one fold, got speaker s0 (fold 0, 1)"),
        (
            {"split": ["train", "dev", "test", "test"]},
            TWO,
            "line 3, column split: expected one of train, valid, test, got 'dev'",
        ),
        ({"emotion": ["", "", "", ""]}, TWO, "expected votes for two emotions or more, got none"),
        (
            {"emotion": ["a", "a", "hapy", "a"]},
            SegmentListOptions(emotions=("a", "happy"), n_folds=2),
            "got 'hapy'; did you mean happy?",
        ),
        (
            {"file": ["../a.wav", "a.wav", "a.wav", "a.wav"]},
            TWO,
            "line 2, column file: expected an audio file in the table's folder, got '../a.wav'",
        ),
        ({"file": ["", "a.wav", "a.wav", "a.wav"]}, TWO, "line 2, column file: expected an audio file, got ''"),
        ({"text": ["a\x07", "", "", ""]}, TWO, "line 2, column text: expected text without control characters"),
        ({"votes_a": [1, 1, 1, 1]}, TWO, "expected emotions in one form"),
        (
            {"style": ["acted", "", "", ""]},
            TWO,
            "line 2, column style: expected one of scripted, spontaneous, got 'acted'",
        ),
    ],
)
def test_a_mistake_is_named_with_line_column_expected_and_got(tmp_path, columns, options, expected):
    found = mistakes(tmp_path, rows(**columns), options)
    assert any(expected in one for one in found), found


@pytest.mark.parametrize("cell", ["-1", "1.5", "many", "", "1e3", "99999999"])
def test_votes_must_be_counts(tmp_path, cell):
    content = [{"file": "a.wav", "segment_id": str(k), "votes_a": 1, "votes_b": 2} for k in range(3)]
    content[1]["votes_b"] = cell
    assert any("line 3, column votes_b" in one for one in mistakes(tmp_path, content))


def test_all_mistakes_come_together_and_missing_files_with_them(tmp_path):
    found = mistakes(
        tmp_path,
        rows(valence=[9, 9, 1, 1], end=[-1, 1, 1, 1], file=["b.wav", "a.wav", "a.wav", "a.wav"]),
        SCALE,
    )
    assert len(found) == 4 and "b.wav is not there" in found[-1]


def test_lines_are_those_of_an_editor(tmp_path):
    write_tone(tmp_path / "a.wav", 1.0)
    path = tmp_path / "t.csv"
    path.write_text('file,segment_id,text,emotion,style\na.wav,1,"two\nlines",a,\n\na.wav,2,,b,bad\n')
    with pytest.raises(TableError, match="t.csv, line 5, column style"):
        read_segment_list(path, TWO)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("file,emotion\na.wav,화남\n".encode("cp949"), "line 2: expected text in UTF-8, got the byte 0x"),
        ("file,emotion\na.wav,a\n".encode("utf-16"), "line 1: expected text in UTF-8"),
        (b"file;emotion\na.wav;a\n", "expected names with commas between them"),
        (b"file,emotion\na.wav\n", "line 2: expected 2 cells, as many as columns, got 1"),
        (b'file,emotion\na.wav,"a\n', "expected a row of a CSV table, got an error"),
        (b"", "expected a row for each segment, got none"),
        (b"file,emotion\n", "expected a row for each segment, got none"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, expected):
    write_tone(tmp_path / "a.wav", 1.0)
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError) as found:
        read_segment_list(tmp_path / "t.csv", TWO)
    assert expected in str(found.value)


def test_a_link_that_leads_out_is_refused_unless_allowed(tmp_path):
    write_tone(tmp_path / "elsewhere.wav")
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "link.wav").symlink_to(tmp_path / "elsewhere.wav")
    content = rows(file=["link.wav", "a.wav", "a.wav", "a.wav"])
    assert "leads out" in mistakes(folder, content)[0]
    assert len(table(folder, content, SegmentListOptions(n_folds=2, allow_outside=True)).table) == 4


def test_n_folds_is_2_to_the_number_of_speakers_and_then_one_speaker_is_left_out(tmp_path):
    content = rows(6, speaker=list("aabbbc"), emotion=list("xyxyxy"))
    one_out = table(tmp_path, content, SegmentListOptions(n_folds=3))
    assert one_out.fold.tolist() == [0, 0, 1, 1, 1, 2]
    with pytest.raises(ValueError, match=r"n_folds must be 2 to the number of speakers, 3: got 4"):
        table(tmp_path, content, SegmentListOptions(n_folds=4))


def test_without_speakers_folds_are_over_segments_and_a_note_says_so(tmp_path):
    content = rows(8, emotion=list("xyxyxyxy"), speaker=[""] * 8)
    found = table(tmp_path, content)
    assert sorted(found.fold.tolist()) == [0] * 4 + [1] * 4
    assert any("may share speakers" in str(note) for note in found.notes)


CELLS = st.one_of(
    st.sampled_from(
        ["", "a.wav", "0", "1", "-1", "0.5", "nan", "inf", "a", "b", "train", "../x", "/etc/passwd", "1e999"]
    ),
    st.text(max_size=8),
    st.integers().map(str),
)
NAMES = st.one_of(
    st.sampled_from(
        [
            "file",
            "start",
            "end",
            "segment_id",
            "emotion",
            "votes_a",
            "votes_b",
            "rater_1",
            "fold",
            "split",
            "valence",
            "speaker",
        ]
    ),
    st.text(max_size=6),
)


@pytest.fixture(scope="module")
def fuzz_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    write_tone(folder / "a.wav", 1.0)
    return folder


@given(
    names=st.lists(NAMES, min_size=1, max_size=7), cells=st.lists(st.lists(CELLS, min_size=1, max_size=7), max_size=6)
)
def test_whatever_a_table_holds_it_is_read_or_refused_in_words(fuzz_folder, names, cells):
    path = fuzz_folder / "t.csv"
    lines = [names, *cells]
    path.write_bytes("\n".join(",".join(line) for line in lines).encode("utf-8", "surrogatepass"))
    _read_or_refuse(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(fuzz_folder, content):
    for ending in ("csv", "jsonl", "parquet"):
        path = fuzz_folder / f"bytes.{ending}"
        path.write_bytes(content)
        _read_or_refuse(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(NAMES, JSON, max_size=6), max_size=5))
def test_any_json_is_read_or_refused_in_words(fuzz_folder, content):
    path = fuzz_folder / "t.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in content))
    _read_or_refuse(path)


def _read_or_refuse(path: Path) -> None:
    try:
        found = read_segment_list(path, SegmentListOptions(scale=(1, 5), n_folds=2))
    except (TableError, ValueError) as err:
        assert type(err) is TableError or "n_folds" in str(err) or "fold" in str(err), repr(err)
    else:
        assert found.table["segment_id"].is_unique and len(found.fold) == len(found.table)
