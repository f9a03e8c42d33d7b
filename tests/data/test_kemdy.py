"""Annotation CSVs -> one table, on files written here cell by cell, as the format sheet has them.

``erc.synthetic`` writes the same format, but was written by the same people as the reader: an error in both would stay
unseen.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from erc.data.corpora import EMOTIONS, KEMDY19, KEMDY20, Corpus
from erc.data.kemdy import read_annotations
from erc.data.segments import COLUMNS, Annotations

# as the corpora have it: blank cells are empty in KEMDy19, one space in KEMDy20
HEADER19 = (
    "Numb,Wav,,ECG,,E4-EDA,,E4-TEMP,,Segment ID,Total Evaluation,,,Eval01F,,,Eval02M,,,Eval03F,,,Eval04F,,,Eval05M,,,"
    "Eval06M,,,Eval07M,,,Eval08F,,,Eval09M,,,Eval10F,,",
    ",start,end,start,end,start,end,start,end," + ",Emotion,Valence,Arousal" * 11,
)
HEADER20 = (
    "Numb,WAV, ,Segment ID,Total Evaluation, , ,Eval01F, , ,Eval02M, , ,Eval03M, , ,Eval04F, , ,Eval05M, , ,Eval06F, , ,"
    "Eval07F, , ,Eval08M, , ,Eval09F, , ,Eval10M, , ",
    " ,start,end, " + ",Emotion,Valence,Arousal" * 11,
)
TIE_ORDER = {  # sections 2.2 and 3.2
    "kemdy19": ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"),
    "kemdy20": ("happy", "surprise", "angry", "neutral", "disqust", "fear", "sad"),
}
BIO = ("-0.03253542", "0.05061065", "4.408951", "4.651463", "34.66", "34.59")
ECG_START, EDA_START, EDA_END, TEMP_START, TEMP_END = 3, 5, 6, 7, 8


def ten(votes: str) -> list[str]:
    """Ten raters' emotions: ``"happy 6 sad 4"``."""
    words = votes.split()
    return [emotion for emotion, count in zip(words[::2], words[1::2], strict=True) for _ in range(int(count))]


def row(
    corpus: Corpus,
    number: int,
    segment_id: str,
    votes: str = "neutral 10",
    valence: str = "3333333333",
    arousal: str = "3333333333",
    start: str = "7.152",
    end: str = "15.476",
    bio: tuple[str, ...] = BIO,
    total: tuple[str, str, str] | None = None,
) -> list[str]:
    """One annotation row; the Total columns as the corpus computes them unless they are given."""
    emotions = ten(votes)
    if total is None:
        counts = Counter(emotions)
        tied = [name for name in TIE_ORDER[corpus.name] if counts[name] == max(counts.values())]
        means = (sum(map(int, valence)) / 10, sum(map(int, arousal)) / 10)
        total = (";".join(tied), *(f"{mean:g}" for mean in means))
    raters = [cell for triple in zip(emotions, valence, arousal, strict=True) for cell in triple]
    bio = bio if corpus is KEMDY19 else ()
    return [str(number), start, end, *bio, segment_id, *total, *raters]


def id19(name: str, session: int = 1, dialogue: str = "script01") -> str:
    return f"Sess{session:02d}_{dialogue}_{name}"


def write_file(path: Path, header: tuple[str, ...], rows: list[list[str]], end: str = "\n", bom: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [*header, *(",".join(cells) for cells in rows)]
    path.write_bytes((("\ufeff" if bom else "") + end.join(lines) + end).encode())


def good_ids(corpus: Corpus, rows: list[list[str]]) -> set[str]:
    """Ids in some rows that can be a file name."""
    ids = {cells[corpus.id_column].strip() for cells in rows if len(cells) > corpus.id_column}
    return {name for name in ids if corpus.id_pattern.fullmatch(name)}


def touch_media(corpus: Corpus, folder: Path, ids: set[str], without: tuple[str, ...] = ()) -> None:
    """Files of one byte: the reader asks where they are, and opens none."""
    for segment_id in ids:
        inner = f"wav/Session{segment_id[4:6]}"
        if corpus is KEMDY19:
            inner += "/" + segment_id.rsplit("_", 1)[0]
        for ending in (".wav", ".txt"):
            path = folder / inner / (segment_id + ending)
            path.parent.mkdir(parents=True, exist_ok=True)
            if segment_id not in without and path.name not in without:
                path.write_bytes(b"x")


@pytest.fixture
def read19(tmp_path):
    """Writes both files of some KEMDy19 sessions and the media of their segments, then reads them.

    Takes ``{session: (rows of the F file, rows of the M file)}``, or the two row lists of session 1. In the corpus both
    files list all segments: what a test does not say of the listener is added, unless ``as_given``.
    """

    def read(*files, without=(), session=1, as_given=False, **kwargs) -> Annotations:
        sessions = files[0] if isinstance(files[0], dict) else {session: files}
        folder = tmp_path / "KEMDy19"
        for number, both in sessions.items():
            for gender, rows in zip("FM", both if as_given else with_listeners(*both), strict=True):
                write_file(folder / "annotation" / f"Session{number:02d}_{gender}_res.csv", HEADER19, rows, **kwargs)
                touch_media(KEMDY19, folder, good_ids(KEMDY19, rows), without)
        return read_annotations(KEMDY19, folder)

    return read


@pytest.fixture
def read20(tmp_path):
    """Writes ``{session: rows}``, or the rows of session 1, of KEMDy20 with media, then reads them."""

    def read(files, **kwargs) -> Annotations:
        folder = tmp_path / "KEMDy20_v1_1"
        for number, rows in (files if isinstance(files, dict) else {1: files}).items():
            write_file(folder / "annotation" / f"Sess{number:02d}_eval.csv", HEADER20, rows, **kwargs)
            touch_media(KEMDY20, folder, good_ids(KEMDY20, rows))
        return read_annotations(KEMDY20, folder)

    return read


def with_listeners(f_file: list[list[str]], m_file: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Both files, each with a row for the other gender's segments whose running number it lacks."""

    def lacking(gender: str, own: list[list[str]], other: list[list[str]]) -> list[list[str]]:
        numbers = {cells[0] for cells in other}
        found = [cells for cells in own if cells[0] not in numbers and cells[9][-4:-3] == gender]
        return [row(KEMDY19, int(cells[0]), cells[9]) for cells in found]

    return [*f_file, *lacking("M", m_file, f_file)], [*m_file, *lacking("F", f_file, m_file)]


def row19(number: int, name: str, votes: str = "neutral 10", **kwargs) -> list[str]:
    return row(KEMDY19, number, id19(name), votes, **kwargs)


def row20(number: int, name: str = "User001F_001", votes: str = "neutral 10", **kwargs) -> list[str]:
    return row(KEMDY20, number, f"Sess01_script01_{name}", votes, **kwargs)


def by_id(annotations: Annotations) -> dict[str, dict]:
    """Records without the session and dialogue in the key: F001, User001F_001."""
    return {record["segment_id"].split("_", 2)[2]: record for record in annotations.table.to_dict("records")}


# --- what a row becomes -----------------------------------------------------------------------------------------------
def test_the_header_lines_of_this_file_are_those_of_the_sheet():
    # 43 and 37 cells; with pandas the first blank of KEMDy19 is column 2 ("Unnamed: 2"), the ids are columns 9 and 3
    first, second = (next(csv.reader(io.StringIO(line))) for line in HEADER19)
    assert len(first) == len(second) == 43 and first[9] == "Segment ID" and first[2] == second[0] == second[9] == ""
    first, second = (next(csv.reader(io.StringIO(line))) for line in HEADER20)
    assert len(first) == len(second) == 37 and first[3] == "Segment ID" and first[2] == second[0] == second[3] == " "


def test_the_first_row_of_kemdy19_is_read_as_it_is_printed_in_the_sheet(read19):
    # first row of the real corpus: "1, 7.152, 15.476, -0.03253542, 0.05061065, 4.408951, 4.651463, 34.66, 34.59,
    # Sess01_script01_M001, surprise, 1.7, 4"
    rated = {"votes": "surprise 8 fear 2", "valence": "1112222222", "arousal": "4444444444"}
    real = row19(1, "M001", **rated)
    assert real[10:13] == ["surprise", "1.7", "4"]
    record = by_id(read19([row19(1, "M001", bio=("0",) * 6)], [real]))["M001"]
    assert (record["start"], record["end"]) == (7.152, 15.476)
    bio = [record[name] for name in ("ecg_start", "ecg_end", "eda_start", "eda_end", "temp_start", "temp_end")]
    assert bio == [-0.03253542, 0.05061065, 4.408951, 4.651463, 34.66, 34.59]
    assert (record["valence"], record["arousal"]) == (pytest.approx(1.7), 4.0)
    assert dict(zip(EMOTIONS, record["votes"], strict=True)) == dict.fromkeys(EMOTIONS, 0) | {"surprise": 8, "fear": 2}
    assert record["emotion_ratings"] == [0] * 8 + [1] * 2
    assert record["valence_ratings"] == [1, 1, 1] + [2] * 7 and record["arousal_ratings"] == [4] * 10
    assert record["hard_label"] == 0 and not record["is_tied"] and record["in_paper"]
    names = ("corpus", "session", "dialogue", "speaker", "gender")
    assert [record[name] for name in names] == ["kemdy19", 1, "Sess01_script01", "Sess01M", "M"]


def test_the_first_row_of_kemdy20_is_read_as_it_is_printed_in_the_sheet(read20):
    # first row of the real corpus: "1, 3.5783901, 11.637391, Sess01_script01_User002M_001, neutral, 3.4, 2.9"
    real = row20(
        1,
        "User002M_001",
        "neutral 9 happy 1",
        valence="3333334444",
        arousal="3333333332",
        start="3.5783901",
        end="11.637391",
    )
    assert real[4:7] == ["neutral", "3.4", "2.9"]
    annotations = read20([real])
    record = by_id(annotations)["User002M_001"]
    assert (record["start"], record["end"]) == (3.5783901, 11.637391)
    assert (record["valence"], record["arousal"]) == (pytest.approx(3.4), pytest.approx(2.9))
    assert record["votes"] == [0, 0, 0, 9, 1, 0, 0]
    assert [record[name] for name in ("corpus", "speaker", "gender")] == ["kemdy20", "User002M", "M"]
    assert annotations.table[["ecg_start", "eda_start", "temp_end"]].isna().all(axis=None)  # KEMDy20 has none
    assert record["in_paper"] and not annotations.bad and not annotations.notes


def test_the_table_has_exactly_its_columns(read20):
    assert tuple(read20([row20(1)]).table.columns) == COLUMNS


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [False, True])
def test_line_ends_and_a_byte_order_mark_change_nothing(read19, read20, end, bom):
    annotations = read19([row19(1, "F001", "happy 7 sad 3")], [row19(1, "F001", "sad 10")], end=end, bom=bom)
    assert by_id(annotations)["F001"]["votes"] == [0, 0, 0, 0, 7, 3, 0] and not annotations.notes
    annotations = read20([row20(1, votes="happy 7 sad 3", arousal="3333333334")], end=end, bom=bom)
    assert by_id(annotations)["User001F_001"]["arousal"] == pytest.approx(3.1) and not annotations.notes


def test_spaces_around_cells_blank_lines_and_capitals_change_nothing(read20):
    spaced = [f" {cell} " for cell in row20(1, votes="Happy 6 NEUTRAL 4", total=("Happy", "3", "3"))]
    annotations = read20([spaced, [""], ["", "", ""]])
    assert annotations.table["votes"].tolist() == [[0, 0, 0, 4, 6, 0, 0]]
    assert not annotations.bad and not annotations.notes


def test_ratings_may_be_written_as_1_or_as_1_0(read20):
    cells = row20(1, valence="1234512345")
    cells[8::3] = [f"{cell}.0" for cell in cells[8::3]]
    assert by_id(read20([cells]))["User001F_001"]["valence_ratings"] == [1, 2, 3, 4, 5] * 2


def test_rows_stay_in_the_order_of_the_files_and_sessions_ascend(read20):
    sessions = {
        10: [row(KEMDY20, 1, "Sess10_script01_User020M_001")],
        2: [row(KEMDY20, k, f"Sess02_script01_User00{user}_00{k}") for k, user in ((1, "4M"), (2, "3F"), (3, "4M"))],
    }
    assert [name[6:] for name in read20(sessions).table["segment_id"]] == [
        "_script01_User004M_001",
        "_script01_User003F_002",
        "_script01_User004M_003",
        "_script01_User020M_001",
    ]


def test_sizes_and_modification_times_of_the_media_are_noted(read20, tmp_path):
    record = by_id(read20([row20(1)]))["User001F_001"]
    for kind in ("wav", "txt"):
        path = tmp_path / "KEMDy20_v1_1" / "wav" / "Session01" / f"Sess01_script01_User001F_001.{kind}"
        assert record[f"{kind}_path"] == str(path)
        assert (record[f"{kind}_bytes"], record[f"{kind}_mtime_ns"]) == (1, path.stat().st_mtime_ns)


# --- whose row counts -------------------------------------------------------------------------------------------------
def test_a_speaker_is_rated_in_the_file_of_the_own_gender(read19):
    # 2.4: both files list both speakers; the other file has the listener's emotion and bio-signals
    f_file = [row19(1, "F001", "happy 10", bio=("1",) * 6), row19(2, "M001", "fear 10", bio=("1",) * 6)]
    m_file = [row19(1, "F001", "sad 10", bio=("2",) * 6), row19(2, "M001", "angry 10", bio=("2",) * 6)]
    annotations = read19(f_file, m_file)
    rated = {name: (EMOTIONS[record["hard_label"]], record["eda_start"]) for name, record in by_id(annotations).items()}
    assert rated == {"F001": ("happy", 1.0), "M001": ("angry", 2.0)}
    assert not annotations.bad and not annotations.notes


def test_a_listeners_row_may_be_broken(read19):
    broken = row19(1, "F001", valence="9" * 10)
    annotations = read19([row19(1, "F001")], [broken, row19(2, "M001")])
    assert set(by_id(annotations)) == {"F001", "M001"} and not annotations.bad


def test_kemdy20_rows_count_whatever_the_gender(read20):
    annotations = read20([row20(1, "User001F_001"), row20(2, "User002M_001")])
    assert set(by_id(annotations)) == {"User001F_001", "User002M_001"}


# --- spelling, ties, totals -------------------------------------------------------------------------------------------
def test_disqust_is_disgust_in_raters_and_totals_of_both_corpora(read19, read20):
    annotations = read20([row20(1, votes="disqust 5 disgust 2 sad 3", total=("disqust", "3", "3"))])
    assert annotations.table["votes"].tolist() == [[0, 0, 0, 0, 0, 3, 7]] and not annotations.notes
    mixed = row19(1, "F001", "disqust 4 disgust 4 sad 2", total=("disgust", "3", "3"))
    annotations = read19([mixed], [mixed])
    assert annotations.table["votes"].tolist() == [[0, 0, 0, 0, 0, 2, 8]] and not annotations.notes


def test_a_tie_is_marked_and_broken_by_the_centroids(read19, read20):
    # at (2, 4): KEMDy19 angry (1.80, 3.80) is .3 away, happy (4.31, 3.86) 2.3
    rated = {"valence": "2" * 10, "arousal": "4" * 10}
    tied, single = row19(1, "F001", "angry 5 happy 5", **rated), row19(2, "F002", "happy 6 angry 4", **rated)
    assert tied[10] == "happy;angry"
    records = by_id(read19([tied, single], [tied]))
    assert (records["F001"]["is_tied"], EMOTIONS[records["F001"]["hard_label"]]) == (True, "angry")
    assert (records["F002"]["is_tied"], EMOTIONS[records["F002"]["hard_label"]]) == (False, "happy")


def test_the_two_corpora_break_the_same_tie_by_their_own_centroids(read19, read20):
    # (2.5, 3): KEMDy19 neutral .47, sad .72 away; KEMDy20 neutral .53, sad .08
    rated = {"votes": "neutral 5 sad 5", "valence": "3333322222"}
    nineteen, twenty = read19([row19(1, "F001", **rated)], [row19(2, "M001")]), read20([row20(1, **rated)])
    assert EMOTIONS[by_id(nineteen)["F001"]["hard_label"]] == "neutral"
    assert EMOTIONS[by_id(twenty)["User001F_001"]["hard_label"]] == "sad"


@pytest.mark.parametrize(
    ("n_happy", "total", "complaint"),
    [
        (6, ("sad", "3", "3"), "emotion 'sad', raters 'happy'"),
        (6, ("happy;sad", "3", "3"), "emotion 'happy;sad', raters 'happy'"),
        (5, ("happy", "3", "3"), "emotion 'happy', raters 'happy;sad'"),
        (6, ("happy", "3.2", "3"), "valence '3.2', raters 3"),
        (6, ("happy", "3", "2.9"), "arousal '2.9', raters 3"),
        (6, ("happy", "", "3"), "valence '', raters 3"),
        (6, ("", "3", "3"), "emotion '', raters 'happy'"),
    ],
)
def test_a_total_that_disagrees_is_reported_and_the_raters_count(read20, n_happy, total, complaint):
    spoilt = row20(2, "User001F_002", f"happy {n_happy} sad {10 - n_happy}", total=total)
    annotations = read20([row20(1), spoilt])
    (note,) = annotations.notes
    assert note.kind == "total disagrees" and note.segment_ids == ("Sess01_script01_User001F_002",)
    note = str(note)
    assert note.startswith("1 rows whose Total columns disagree with the ten raters")
    assert complaint in note and "Sess01_script01_User001F_002" in note and "Sess01_eval.csv, line 4" in note
    record = by_id(annotations)["User001F_002"]
    assert (record["votes"], record["valence"], record["arousal"]) == (
        [0, 0, 0, 0, n_happy, 10 - n_happy, 0],
        3.0,
        3.0,
    )
    assert not annotations.bad


def test_the_order_of_a_tie_in_the_total_column_does_not_matter(read20):
    # tie orders differ between the corpora
    rows = [
        row20(k, f"User001F_00{k}", "sad 5 happy 5", total=(total, "3", "3"))
        for k, total in ((1, "happy;sad"), (2, "sad;happy"))
    ]
    annotations = read20(rows)
    assert annotations.table["is_tied"].tolist() == [True, True] and not annotations.notes


# --- known defects ----------------------------------------------------------------------------------------------------
def test_a_misnumbered_f001_is_repaired_and_is_not_in_the_paper(read19):
    # 2.6 number 1: in the F file M001 stands twice and F001 not at all; the M file has the right id
    f_file = [row19(1, "M001", "sad 10"), row19(2, "M001", "happy 10"), row19(3, "F002")]
    m_file = [row19(1, "M001"), row19(2, "F001", "fear 10"), row19(3, "F002")]
    annotations = read19(f_file, m_file)
    records = by_id(annotations)
    assert set(records) == {"M001", "F001", "F002"}
    assert EMOTIONS[records["F001"]["hard_label"]] == "happy"  # of the F file
    assert {name: record["in_paper"] for name, record in records.items()} == {"M001": True, "F001": False, "F002": True}
    (note,) = annotations.notes
    assert str(note) == "Session01_F_res.csv, line 4: Sess01_script01_M001 is Sess01_script01_F001; repaired"
    assert note.kind == "repaired id" and note.segment_ids == ("Sess01_script01_F001",)
    assert not annotations.bad


def test_a_misnumbered_row_is_repaired_only_where_the_other_file_agrees_on_the_running_number(read19):
    f_file = [row19(1, "M001"), row19(7, "M001", "happy 10"), row19(3, "F002")]
    m_file = [row19(1, "M001"), row19(2, "F001"), row19(3, "F002")]
    annotations = read19(f_file, m_file, as_given=True)
    assert set(by_id(annotations)) == {"M001", "F002"} and not annotations.notes
    (problem,) = annotations.bad
    assert problem.segment_id == id19("F001") and problem.where.endswith("Session01_M_res.csv, line 4")


def test_a_row_is_not_repaired_to_an_id_that_the_file_has_already(read19):
    f_file = [row19(1, "F001"), row19(2, "M001"), row19(3, "M001")]
    m_file = [row19(1, "F002"), row19(2, "M001"), row19(3, "F001")]
    annotations = read19(f_file, m_file)
    assert set(by_id(annotations)) == {"M001"} and not annotations.notes
    assert {problem.segment_id: problem.kind for problem in annotations.bad} == {
        id19("F001"): "row",  # F002 in the M file
        id19("F002"): "no row",  # its wav is there
    }


def test_a_phantom_row_with_another_id_in_each_file_is_nobodys(read19):
    # 2.6 number 3: the F file says M031, the M file F031; neither has files
    f_file = [row19(1, "F001"), row19(2, "M001"), row19(3, "M031")]
    m_file = [row19(1, "F001"), row19(2, "M001"), row19(3, "F031")]
    annotations = read19(f_file, m_file, without=(id19("M031"), id19("F031")))
    assert set(by_id(annotations)) == {"F001", "M001"}
    assert not annotations.bad and not annotations.notes


@pytest.mark.parametrize("column", [EDA_START, EDA_END, TEMP_START, TEMP_END, ECG_START])
def test_an_empty_bio_cell_takes_the_segment_out_of_the_paper_and_leaves_it_in_the_table(read19, column):
    empty = row19(1, "F001")
    empty[column] = ""
    annotations = read19([empty, row19(2, "F002")], [row19(1, "F001"), row19(2, "F002")])
    records = by_id(annotations)
    assert [records["F001"]["in_paper"], records["F002"]["in_paper"]] == [False, True]
    name = {number: name for name, number in KEMDY19.bio_columns.items()}[column]
    is_missing = annotations.table[list(KEMDY19.bio_columns)].isna()
    assert is_missing.sum().sum() == 1 and is_missing[name].tolist() == [True, False]
    assert not annotations.bad


def test_an_empty_bio_cell_in_the_listeners_row_does_not_matter(read19):
    empty = row19(1, "F001")
    empty[EDA_START] = ""
    assert by_id(read19([row19(1, "F001")], [empty]))["F001"]["in_paper"]


def test_a_bio_value_of_zero_is_a_value(read19):
    zero = row19(1, "F001", bio=("0",) * 6)
    assert by_id(read19([zero], [zero]))["F001"]["in_paper"]


@pytest.mark.parametrize(
    ("session", "dialogue", "in_paper"),
    [(1, "impro03", False), (1, "impro04", False), (1, "impro02", True), (2, "impro03", True)]
    + [(3, "script04", False), (6, "script02", False), (7, "script02", False), (6, "script04", True)],
)
def test_the_five_dialogues_that_the_paper_drops_are_kept_and_marked(read19, session, dialogue, in_paper):
    rows = [row(KEMDY19, 1, id19("F001", session, dialogue))]
    assert read19(rows, rows, session=session).table["in_paper"].tolist() == [in_paper]


def test_segments_known_to_have_no_files_are_left_out_with_a_note(read19):
    # 2.6 number 4: two in Sess06_script02
    ids = [id19(name, 6, "script02") for name in ("F001", "F002", "M001")]
    rows = [row(KEMDY19, k, name) for k, name in enumerate(ids)]
    annotations = read19(rows, rows, session=6, without=(ids[1], f"{ids[2]}.txt"))
    assert annotations.table["segment_id"].tolist() == ids[:1]
    (note,) = annotations.notes
    assert str(note).startswith("Sess06_script02: 2 annotated segments without files, as known of the corpus; left out")
    assert ids[1] in str(note) and ids[2] in str(note)
    assert note.kind == "known without files" and note.segment_ids == tuple(ids[1:])
    assert not annotations.bad


def test_one_more_without_files_than_known_makes_all_of_them_bad(read19):
    ids = [id19(name, 3, "script04") for name in ("F001", "F002", "M001")]  # one is known there
    rows = [row(KEMDY19, k, name) for k, name in enumerate(ids)]
    annotations = read19(rows, rows, session=3, without=(ids[1], f"{ids[2]}.wav"))
    assert annotations.table["segment_id"].tolist() == ids[:1] and not annotations.notes
    assert [(problem.segment_id, problem.kind) for problem in annotations.bad] == [
        (name, "missing files") for name in ids[1:]
    ]
    assert not any(problem.in_paper for problem in annotations.bad)  # a dialogue that the paper drops


@pytest.mark.parametrize("ending", [".wav", ".txt"])
def test_a_segment_without_a_file_elsewhere_is_bad_and_the_file_is_named(read19, ending):
    annotations = read19([row19(1, "F001"), row19(2, "F002")], [row19(1, "F001")], without=(id19("F002") + ending,))
    assert set(by_id(annotations)) == {"F001"} and not annotations.notes
    (problem,) = annotations.bad
    assert problem.segment_id == id19("F002") and problem.in_paper
    assert problem.problem.startswith("no file ") and problem.problem.endswith(f"{id19('F002')}{ending}")
    assert problem.where.endswith("Session01_F_res.csv, line 4")
    assert str(problem).startswith(f"{id19('F002')}: no file /")


def test_a_corpus_without_any_file_gives_an_empty_table_and_names_every_segment(read19):
    annotations = read19([row19(1, "F001")], [row19(2, "M001")], without=(id19("F001"), id19("M001")))
    assert len(annotations.table) == 0 and tuple(annotations.table.columns) == COLUMNS
    assert [problem.segment_id for problem in annotations.bad] == [id19("F001"), id19("M001")]


# --- rows that cannot be used -----------------------------------------------------------------------------------------
def change(position: int, cell: str):
    """A spoiler of one cell."""

    def spoil(cells: list[str]) -> list[str]:
        return [*cells[:position], cell, *cells[position % len(cells) + 1 :]]

    return spoil


RATER4_EMOTION, RATER4_VALENCE, RATER4_AROUSAL = -30 + 9, -30 + 10, -30 + 11
SPOILT_ROWS = {
    "nine raters": (change(RATER4_EMOTION, ""), "10 raters' emotions expected, 9 are valid; rater 4 has ''"),
    "unknown emotion": (change(RATER4_EMOTION, "joy"), "10 raters' emotions expected, 9 are valid; rater 4 has 'joy'"),
    "two emotions": (change(RATER4_EMOTION, "happy;sad"), "rater 4 has 'happy;sad'"),
    "valence 6": (change(RATER4_VALENCE, "6"), "valence ratings are whole numbers 1 to 5; rater 4 has '6'"),
    "valence 0": (change(RATER4_VALENCE, "0"), "valence ratings are whole numbers 1 to 5; rater 4 has '0'"),
    "valence empty": (change(RATER4_VALENCE, ""), "valence ratings are whole numbers 1 to 5; rater 4 has ''"),
    "arousal 3.5": (change(RATER4_AROUSAL, "3.5"), "arousal ratings are whole numbers 1 to 5; rater 4 has '3.5'"),
    "arousal NaN": (change(RATER4_AROUSAL, "nan"), "arousal ratings are whole numbers 1 to 5; rater 4 has 'nan'"),
    "start": (change(1, "soon"), "start and end are seconds, got ['soon', '15.476']"),
    "end": (change(2, ""), "start and end are seconds, got ['7.152', '']"),
    "end NaN": (change(2, "nan"), "start and end are seconds, got ['7.152', 'nan']"),
    "short": (lambda cells: cells[:-1], "cells, this one"),
    "long": (lambda cells: [*cells, ""], "cells, this one"),
}


@pytest.mark.parametrize("spoil", SPOILT_ROWS)
def test_a_row_that_cannot_be_used_is_bad_with_the_reason_and_the_line(read19, read20, spoil):
    how, reason = SPOILT_ROWS[spoil]
    nineteen = read19([row19(1, "F001"), how(row19(2, "F002")), row19(3, "F003")], [row19(1, "F001")])
    twenty = read20([row20(1, "User001F_001"), how(row20(2, "User001F_002")), row20(3, "User001F_003")])
    for found, name, width in ((nineteen, "Session01_F_res.csv", 43), (twenty, "Sess01_eval.csv", 37)):
        (problem,) = found.bad
        assert reason in problem.problem
        assert problem.kind == ("raters" if "rater 4" in reason else "row")
        if spoil in ("short", "long"):
            assert problem.problem == f"a row has {width} cells, this one {width + (1 if spoil == 'long' else -1)}"
        assert problem.where.endswith(f"{name}, line 4")
        assert problem.segment_id.endswith("F_002" if name == "Sess01_eval.csv" else "F002")
        assert [key[-3:] for key in by_id(found)] == ["001", "003"]


def test_a_bio_cell_that_is_no_number_is_bad(read19):
    annotations = read19([row19(1, "F001"), row19(2, "F002", bio=("0", "0", "n/a", "0", "0", "0"))], [row19(1, "F001")])
    assert [(problem.problem, problem.kind) for problem in annotations.bad] == [
        ("eda_start is a number or empty, got 'n/a'", "row")
    ]


@pytest.mark.parametrize(
    "segment_id",
    [
        "",
        "F002",
        "../../secret",
        "/etc/passwd",
        "Sess01_script01_User001F_01",
        "Sess01_script01_User001F_00\N{ARABIC-INDIC DIGIT TWO}",
    ],
)
def test_an_id_outside_the_grammar_is_bad_and_no_path_is_made_of_it(read20, tmp_path, segment_id):
    (tmp_path / "secret.wav").write_bytes(b"x")
    (tmp_path / "secret.txt").write_bytes(b"x")
    annotations = read20([row20(1), row(KEMDY20, 2, segment_id)])
    (problem,) = annotations.bad
    assert problem.problem.startswith("Segment id must match") and repr(segment_id) in problem.problem
    assert set(by_id(annotations)) == {"User001F_001"}


def test_an_id_of_another_session_than_the_files_is_bad(read20, read19):
    annotations = read20([row20(1), row(KEMDY20, 2, "Sess02_script01_User003F_001")])
    assert [problem.problem for problem in annotations.bad] == ["the file holds session 1, the id says 2"]
    strange = row(KEMDY19, 1, id19("F001", session=2))
    annotations = read19([strange, row19(2, "F002")], [row19(2, "F002")])
    assert [problem.problem for problem in annotations.bad] == ["the file holds session 1, the id says 2"]
    assert set(by_id(annotations)) == {"F002"}


def test_an_id_of_a_session_that_the_corpus_does_not_have_is_bad(read20):
    # release v1.0 has "Sess42" ids in session 17's file (3.2)
    annotations = read20(
        {17: [row(KEMDY20, 1, "Sess42_script01_User083F_001"), row(KEMDY20, 2, "Sess17_script01_User083F_002")]}
    )
    assert [problem.problem for problem in annotations.bad] == [
        "kemdy20 has sessions 1 to 40: got 'Sess42_script01_User083F_001'."
    ]


def test_an_id_that_stands_twice_is_bad_both_times(read20):
    annotations = read20([row20(1), row20(2, "User001F_002", "sad 10"), row20(3, "User001F_002", "happy 10")])
    assert set(by_id(annotations)) == {"User001F_001"}
    assert [(problem.segment_id[-3:], problem.where[-6:]) for problem in annotations.bad] == [
        ("002", "line 4"),
        ("002", "line 5"),
    ]
    assert all("the id stands more than once" in problem.problem for problem in annotations.bad)
    assert all(problem.kind == "row" for problem in annotations.bad)


def test_all_bad_rows_are_collected_not_only_the_first(read20):
    rows = [row20(1)] + [change(RATER4_VALENCE, "6")(row20(k, f"User001F_00{k}")) for k in range(2, 8)]
    assert [problem.segment_id[-1] for problem in read20(rows).bad] == list("234567")


def test_a_bad_row_of_a_dialogue_that_the_paper_drops_does_not_concern_the_paper(read19):
    rows = [change(RATER4_VALENCE, "6")(row(KEMDY19, 1, id19("F001", 1, "impro03"))), row19(2, "F001")]
    annotations = read19(rows, rows)
    assert [problem.in_paper for problem in annotations.bad] == [False]


def test_a_file_with_bad_rows_only_has_no_usable_row(read20):
    with pytest.raises(
        ValueError, match="hold no usable row .*First problem: Sess01_script01_User001F_001: valence ratings"
    ):
        read20([change(RATER4_VALENCE, "6")(row20(1))])


# --- files and folders ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("missing", ["F", "M"])
def test_one_gender_alone_is_refused(read19, tmp_path, missing):
    rows = [row19(1, "F001"), row19(2, "M001")]
    read19(rows, rows)
    (tmp_path / "KEMDy19" / "annotation" / f"Session01_{missing}_res.csv").unlink()
    present = "M" if missing == "F" else "F"
    with pytest.raises(FileNotFoundError, match=f"only one of the two for Session01_{present}_res.csv"):
        read_annotations(KEMDY19, tmp_path / "KEMDy19")


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
def test_a_folder_without_annotation_is_refused(tmp_path, corpus):
    with pytest.raises(FileNotFoundError, match=r"No annotation CSV matches annotation/Sess.*\*_.*\.csv under"):
        read_annotations(corpus, tmp_path)


def test_other_files_in_the_annotation_folder_are_not_read(read20, tmp_path):
    read20([row20(1)])
    for name in (
        "Sess01_eval.csv.bak",
        "Sess1_eval.csv",
        "Session01_eval_old.csv",
        "Sess01_copy_eval.csv",
        "Sess_old_Sess01_eval.csv",
    ):
        (tmp_path / "KEMDy20_v1_1" / "annotation" / name).write_text("no annotation")
    assert len(read_annotations(KEMDY20, tmp_path / "KEMDy20_v1_1").table) == 1


def test_a_header_of_another_width_is_refused(tmp_path):
    path = tmp_path / "annotation" / "Sess01_eval.csv"
    write_file(path, HEADER19, [row19(1, "F001")])
    with pytest.raises(ValueError, match=r"kemdy20 have 37 columns: header line 1 of .*Sess01_eval\.csv has 43"):
        read_annotations(KEMDY20, tmp_path)
    write_file(path, (HEADER20[0], HEADER20[1] + ","), [row20(1)])
    with pytest.raises(ValueError, match=r"header line 2 of .*Sess01_eval\.csv has 38"):
        read_annotations(KEMDY20, tmp_path)
    write_file(path, tuple(line.replace(",", ";") for line in HEADER20), [])
    with pytest.raises(ValueError, match=r"header line 1 of .* has 1\. .*saved with commas"):
        read_annotations(KEMDY20, tmp_path)


@pytest.mark.parametrize("header", [(), HEADER20[:1]])
def test_a_file_without_both_header_lines_is_refused_instead_of_losing_a_segment(tmp_path, header):
    write_file(tmp_path / "annotation" / "Sess01_eval.csv", header, [row20(1), row20(2, "User001F_002")])
    with pytest.raises(
        ValueError,
        match=rf"2 header lines: line {len(header) + 1} of .* holds the segment Sess01_script01_User001F_001",
    ):
        read_annotations(KEMDY20, tmp_path)


@pytest.mark.parametrize(("content", "n_lines"), [(b"", 0), (HEADER20[0].encode(), 1)])
def test_a_file_that_ends_within_its_header_is_refused(tmp_path, content, n_lines):
    path = tmp_path / "annotation" / "Sess01_eval.csv"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"2 header lines: .* has {n_lines} lines"):
        read_annotations(KEMDY20, tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "annotation" / "Sess01_eval.csv"
    write_file(path, HEADER20, [row20(1)])
    path.write_bytes(path.read_bytes().replace(b"Numb", "번호".encode("cp949")))
    with pytest.raises(ValueError, match=r"Annotation files are UTF-8: .*Sess01_eval\.csv does not decode"):
        read_annotations(KEMDY20, tmp_path)
