"""Facts of both corpora against the format sheet; the id grammar, which also keeps paths inside the corpus."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from erc.data import EMOTIONS
from erc.data.corpora import (
    CORPORA,
    KEMDY19,
    KEMDY20,
    N_FOLDS,
    find_folder,
    is_synthetic,
    parse_dataset_name,
    sessions_text,
)

BOTH = pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
PUBLISHED_CENTROIDS = {  # as published: valence, arousal
    "kemdy19": """2.637565, 3.637669 | 1.739314, 3.638259 | 1.802826, 3.800166 | 2.971001, 2.981144
                  | 4.313703, 3.863192 | 1.895839, 2.612215 | 2.205371, 3.124297""",
    "kemdy20": """3.094231, 3.380769 | 2.390698, 3.076744 | 2.220833, 3.569444 | 2.996043, 3.191259
                  | 3.838546, 3.601522 | 2.508265, 2.918182 | 2.203279, 3.293443""",
}


def test_the_columns_are_those_of_the_format_sheet():
    # as the corpora have it, columns counted from 0
    assert (KEMDY19.width, KEMDY19.id_column, KEMDY19.time_columns, KEMDY19.total_column) == (43, 9, (1, 2), 10)
    assert (KEMDY20.width, KEMDY20.id_column, KEMDY20.time_columns, KEMDY20.total_column) == (37, 3, (1, 2), 4)
    assert list(KEMDY19.bio_columns.values()) == [3, 4, 5, 6, 7, 8] and KEMDY20.bio_columns == {}
    for corpus in (KEMDY19, KEMDY20):  # id, three totals, then thirty cells of ten raters
        assert corpus.width == corpus.total_column + 3 + 30


def test_sessions_and_folds_are_those_of_the_format_sheet():
    # sections 0 and 8: 20 sessions in blocks of 4, 40 in blocks of 8
    assert (KEMDY19.n_sessions, KEMDY19.sessions_per_fold) == (20, 4)
    assert (KEMDY20.n_sessions, KEMDY20.sessions_per_fold) == (40, 8)
    assert N_FOLDS == 5


@BOTH
def test_the_centroids_are_the_published_ones(corpus):
    published = [tuple(map(float, pair.split(","))) for pair in PUBLISHED_CENTROIDS[corpus.name].split("|")]
    assert list(corpus.centroids) == published
    assert len(published) == len(EMOTIONS)


def test_the_paper_drops_five_dialogues_of_kemdy19_and_none_of_kemdy20():
    # section 2.5, and section 2.6 number 4 for the five segments without files
    dropped = "Sess01_impro03 Sess01_impro04 Sess03_script04 Sess06_script02 Sess07_script02"
    assert set(KEMDY19.paper_drops) == set(dropped.split()) and not KEMDY20.paper_drops
    assert KEMDY19.fileless == {"Sess03_script04": 1, "Sess06_script02": 2, "Sess07_script02": 2}
    assert KEMDY20.fileless == {}


def test_ten_segments_of_kemdy20_are_known_to_be_silent():
    # section 5: Sess01_script05_User001F_004..010 and Sess01_script06_User001F_009..011
    fifth = {f"Sess01_script05_User001F_{number}" for number in "004 005 006 007 008 009 010".split()}
    sixth = {f"Sess01_script06_User001F_{number}" for number in "009 010 011".split()}
    assert set(KEMDY20.silent) == fifth | sixth and not KEMDY19.silent


@pytest.mark.parametrize(
    ("corpus", "segment_id", "parts"),
    [
        (KEMDY19, "Sess01_script01_F001", (1, "Sess01_script01", "Sess01F", "F", 1)),
        (KEMDY19, "Sess20_impro04_M045", (20, "Sess20_impro04", "Sess20M", "M", 45)),
        (KEMDY20, "Sess01_script01_User002M_001", (1, "Sess01_script01", "User002M", "M", 1)),
        (KEMDY20, "Sess40_script06_User080F_025", (40, "Sess40_script06", "User080F", "F", 25)),
        (KEMDY20, "Sess17_script03_User083F_014", (17, "Sess17_script03", "User083F", "F", 14)),
    ],
)
def test_an_id_is_taken_apart(corpus, segment_id, parts):
    name = corpus.parse(segment_id)
    assert (name.session, name.dialogue, name.speaker, name.gender, name.number) == parts


@pytest.mark.parametrize("session", [0, 21, 99])
def test_kemdy19_has_no_session_beyond_20(session):
    with pytest.raises(ValueError, match="kemdy19 has sessions 1 to 20"):
        KEMDY19.parse(f"Sess{session:02d}_script01_F001")


@pytest.mark.parametrize("session", [0, 41, 42])
def test_kemdy20_has_no_session_beyond_40(session):
    # release v1.0 named session 17 "Sess42"
    with pytest.raises(ValueError, match="kemdy20 has sessions 1 to 40"):
        KEMDY20.parse(f"Sess{session:02d}_script01_User001F_001")


GOOD = {"kemdy19": "Sess01_script01_F001", "kemdy20": "Sess01_script01_User001F_001"}
SPOILT = [
    lambda good: good + "\n",
    lambda good: "\n" + good,
    lambda good: good + " ",
    lambda good: good + "/../../secret",
    lambda good: "../" + good,
    lambda good: "/etc/" + good,
    lambda good: good.replace("script01", "../../01"),
    lambda good: good.replace("script01", "script0\N{ARABIC-INDIC DIGIT ONE}"),
    lambda good: good.replace("Sess01", "Sess\N{FULLWIDTH DIGIT ZERO}\N{FULLWIDTH DIGIT ONE}"),
    lambda good: good[:-1] + "\N{DEVANAGARI DIGIT ONE}",
    lambda good: good + "\0",
    lambda good: good + "\0.wav",
    lambda good: good.replace("_", "\N{ONE DOT LEADER}"),
    lambda good: good.lower(),
    lambda good: good.replace("F", "X"),
    lambda good: good.replace("Sess01", "Sess1"),
    lambda good: good.replace("Sess01", "Sess001"),
    lambda good: good.replace("script01", "script1"),
    lambda good: good[:-1],
    lambda good: good + "1",
    lambda good: good + ".wav",
    lambda good: "",
    lambda good: "..",
]


@BOTH
@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: ascii(spoil(GOOD["kemdy19"])))
def test_an_id_outside_the_grammar_is_refused_and_gives_no_path(corpus, spoil):
    assert corpus.wav_path(Path("data"), GOOD[corpus.name])  # what is spoilt was good
    for use in (corpus.parse, lambda segment_id: corpus.wav_path(Path("data"), segment_id)):
        with pytest.raises(ValueError, match="Segment id must match"):
            use(spoil(GOOD[corpus.name]))


def test_an_id_of_the_other_corpus_is_refused():
    for corpus, other in ((KEMDY19, "kemdy20"), (KEMDY20, "kemdy19")):
        with pytest.raises(ValueError, match="Segment id must match"):
            corpus.parse(GOOD[other])
    with pytest.raises(ValueError, match="Segment id must match"):
        KEMDY20.parse("Sess01_impro01_User001F_001")  # KEMDy20 has scripts only


def test_wav_paths_are_those_of_the_directory_trees():
    # a folder per dialogue in KEMDy19, flat sessions in KEMDy20
    assert (
        KEMDY19.wav_path(Path("d"), "Sess01_impro03_M001").as_posix()
        == "d/wav/Session01/Sess01_impro03/Sess01_impro03_M001.wav"
    )
    assert (
        KEMDY20.wav_path(Path("d"), "Sess12_script06_User081F_003").as_posix()
        == "d/wav/Session12/Sess12_script06_User081F_003.wav"
    )


@BOTH
@settings(max_examples=60)
@given(data=st.data())
def test_whatever_id_is_accepted_its_path_stays_inside_the_corpus(corpus, data):
    grammar = {
        "kemdy19": r"Sess\d\d_(script|impro)\d\d_[FM]\d{3}",
        "kemdy20": r"Sess\d\d_script\d\d_User\d{3}[FM]_\d{3}",
    }
    near_misses = st.from_regex(
        grammar[corpus.name]
    )  # no full match, unicode digits: before and behind stands anything
    segment_id = data.draw(st.one_of(near_misses, st.from_regex(grammar[corpus.name], fullmatch=True), st.text()))
    folder = Path("/data/corpus")
    try:
        path = corpus.wav_path(folder, segment_id)
    except ValueError:
        assert not (
            re.fullmatch(grammar[corpus.name], segment_id, re.ASCII) and 1 <= int(segment_id[4:6]) <= corpus.n_sessions
        )
        return
    assert Path(os.path.normpath(path)).is_relative_to(folder / "wav")
    assert path.name == f"{segment_id}.wav"


@pytest.mark.parametrize(
    ("dataset_name", "names"),
    [
        ("kemdy19", ["kemdy19"]),
        ("kemdy20", ["kemdy20"]),
        ("kemdy19-kemdy20", ["kemdy19", "kemdy20"]),
        ("kemdy20-kemdy19", ["kemdy19", "kemdy20"]),
        ("KEMDy19", ["kemdy19"]),
    ],
)
def test_corpora_are_found_by_name_in_one_order(dataset_name, names):
    assert [corpus.name for corpus in parse_dataset_name(dataset_name)] == names
    assert list(CORPORA) == ["kemdy19", "kemdy20"]


@pytest.mark.parametrize(
    "dataset_name", ["kemdy21", "kemdy19-", "", "kemdy19-kemdy19", "kemdy19,kemdy20", None, "iemocap"]
)
def test_another_data_set_is_refused_with_the_names_there_are(dataset_name):
    with pytest.raises(ValueError, match="expected kemdy19, kemdy20 or kemdy19-kemdy20, got"):
        parse_dataset_name(dataset_name)


# --- folders ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("release", [0, 1])
@BOTH
def test_either_release_folder_is_found(tmp_path, corpus, release):
    # later releases KEMDy19_v1_3 and KEMDy20_v1_2
    name = {"kemdy19": ("KEMDy19", "KEMDy19_v1_3"), "kemdy20": ("KEMDy20_v1_1", "KEMDy20_v1_2")}[corpus.name][release]
    (tmp_path / name).mkdir()
    assert find_folder(corpus, tmp_path) == tmp_path / name


def test_of_two_releases_the_reference_one_is_taken(tmp_path):
    for name in ("KEMDy20_v1_2", "KEMDy20_v1_1"):
        (tmp_path / name).mkdir()
    assert find_folder(KEMDY20, tmp_path).name == "KEMDy20_v1_1"


def test_a_missing_corpus_folder_is_named_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        find_folder(KEMDY19, tmp_path)
    for part in ("kemdy19", "KEMDy19 or KEMDy19_v1_3", str(tmp_path), "ln -s", "python -m erc synthetic --root="):
        assert part in str(raised.value)


def test_a_corpus_is_synthetic_exactly_where_its_note_is(tmp_path):
    assert not is_synthetic(tmp_path) and not is_synthetic(tmp_path / "nowhere")
    (tmp_path / "SAMPLE_CORPUS.txt").mkdir()  # a folder of that name is no note
    assert not is_synthetic(tmp_path)
    (tmp_path / "SAMPLE_CORPUS.txt").rmdir()
    (tmp_path / "SAMPLE_CORPUS.txt").write_text("")
    assert is_synthetic(tmp_path)


@pytest.mark.parametrize(
    ("sessions", "text"), [([], ""), ([3], "3"), ([1, 2, 3, 7], "1-3, 7"), ([9, 1, 8, 1, 3], "1, 3, 8-9")]
)
def test_sessions_are_written_as_ranges(sessions, text):
    assert sessions_text(sessions) == text
