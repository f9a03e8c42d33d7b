"""A table's complaints are those that help: no mistake is named twice, and a sound table is not refused for what is beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_corpora import write_csv, write_tone

from erc.data import SegmentList, SegmentListOptions, TableError, read_segment_list
from erc.manifests import HF_Manifest

OPTIONS = SegmentListOptions(n_folds=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sounds."""
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / name)
    return tmp_path


def rows_with(**column: object) -> list[dict[str, object]]:
    """Two sound rows and one more column."""
    rows: list[dict[str, object]] = [{"file": "a.wav", "emotion": "x"}, {"file": "b.wav", "emotion": "y"}]
    return [row | {name: value for name, value in column.items()} for row in rows]


def read_lines(folder: Path, rows: list[dict[str, object]]) -> SegmentList:
    """The table as JSON lines."""
    path = folder / "segments.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return read_segment_list(path, OPTIONS)


def notes(segments: SegmentList) -> str:
    return "\n".join(map(str, segments.notes))


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, True, "two\nlines", "x" * 1000])
def test_what_an_unused_column_holds_is_not_looked_at(folder, value):
    assert "not used: remarks" in notes(read_lines(folder, rows_with(remarks=value)))


def test_unused_columns_of_a_parquet_table_are_not_read(folder):
    path = folder / "segments.parquet"
    pd.DataFrame(rows_with()).assign(embedding=[np.zeros(4), np.ones(4)]).to_parquet(path)
    segments = read_segment_list(path, OPTIONS)
    assert "not used: embedding" in notes(segments) and len(segments.table) == 2


@pytest.mark.parametrize("name", ["speaker_id", "speakers"])
def test_a_column_beside_the_one_it_is_like_is_not_used(folder, name):
    rows = [row | {"speaker": number} for number, row in enumerate(rows_with(**{name: "7"}))]
    assert f"not used: {name}" in notes(read_segment_list(write_csv(folder / "t.csv", rows), OPTIONS))


def test_a_name_that_is_like_none_is_not_used(folder):
    assert "not used: folder" in notes(read_segment_list(write_csv(folder / "t.csv", rows_with(folder="f")), OPTIONS))


def test_a_table_without_files_says_only_that_and_which_columns_it_has(folder):
    path = write_csv(folder / "t.csv", [{"path": "a.wav", "label": "x"}, {"path": "b.wav", "label": "y"}])
    with pytest.raises(TableError) as raised:
        read_segment_list(path, OPTIONS)
    first, second = raised.value.mistakes
    assert first.endswith("expected a column file, got 'path', 'label'")
    assert "expected emotions in one form" in second


def test_emotions_in_two_forms_are_one_mistake(folder):
    path = write_csv(folder / "t.csv", rows_with(votes_x="1"))
    with pytest.raises(TableError) as raised:
        read_segment_list(path, OPTIONS)
    assert len(raised.value.mistakes) == 1 and "got emotion and votes_" in raised.value.mistakes[0]


@pytest.mark.parametrize("change", [{"emotion": "\ud800"}, {"\udfff": "1"}, {"remarks": "\ud800"}])
def test_half_a_character_is_named_with_its_line_in_words_that_can_be_printed(folder, change):
    rows = rows_with()
    rows[1] |= change
    with pytest.raises(TableError) as raised:
        read_lines(folder, rows)
    str(raised.value).encode("utf-8")
    assert "line 2: expected text, got half of a character" in str(raised.value)


def test_characters_beyond_16_bits_are_text(folder):
    rows = rows_with(text="\U0001f600")
    assert read_lines(folder, rows).table["transcript"].tolist() == ["\U0001f600"] * 2


@pytest.mark.parametrize("path", [3, None, "", "???"])
def test_a_table_must_be_named(path):
    with pytest.raises(ValueError, match="must be named, as in dataset.path=segments.csv"):
        HF_Manifest(path=path)
    with pytest.raises(ValueError, match="must be named"):
        HF_Manifest.count_folds({"path": path}, Path())
    with pytest.raises(ValueError, match="must be named"):
        HF_Manifest.fingerprint_of({"path": path}, Path())


def test_dialogues_of_two_sessions_are_two_even_if_they_have_one_name(folder):
    rows = rows_with(dialogue="d1") + [{"file": "a.wav", "emotion": "x", "start": 0.1, "end": 0.3, "dialogue": "d2"}]
    for row, session in zip(rows, ("s1", "s2", "s2"), strict=True):
        row["session"] = session
    assert read_lines(folder, rows).table["dialogue"].tolist() == ["s1/d1", "s2/d1", "d2"]
