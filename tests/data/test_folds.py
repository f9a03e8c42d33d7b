"""Five folds: a partition of the segments, the published sizes, and no speaker in two of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from erc.data.folds import assign_folds, split

MODES = ("train", "valid", "test")
# of the real corpus: segments with files per KEMDy19 session
SESSION_SIZES = [481, 535, 528, 512, 490, 433, 607, 521, 531, 547, 503, 531, 507, 529, 509, 485, 507, 470, 530, 517]


def make_table(sizes: dict[tuple[str, int], int]) -> pd.DataFrame:
    """Rows of a table of segments: so many for each (corpus, session), two speakers in turn."""
    rows = []
    for (corpus, session), size in sizes.items():
        for k in range(size):
            if corpus == "kemdy19":
                gender = "FM"[k % 2]
                speaker, stem = f"Sess{session:02d}{gender}", f"Sess{session:02d}_script01_{gender}"
            else:
                speaker = f"User{2 * session - 1 + k % 2:03d}F"
                stem = f"Sess{session:02d}_script01_{speaker}_"
            rows.append((corpus, session, speaker, f"{stem}{k // 2 + 1:03d}"))
    return pd.DataFrame(rows, columns=["corpus", "session", "speaker", "segment_id"])


ALL_SESSIONS = {("kemdy19", s): 2 for s in range(1, 21)} | {("kemdy20", s): 2 for s in range(1, 41)}


def test_a_fold_is_a_block_of_consecutive_sessions():
    # KEMDy19 f0 01-04 ... f4 17-20; KEMDy20 f0 01-08 ... f4 33-40
    table = make_table(ALL_SESSIONS).assign(fold=lambda table: assign_folds(table))
    sessions = table.groupby(["corpus", "fold"])["session"].agg(["min", "max", "nunique"])
    assert sessions.loc["kemdy19"].to_numpy().tolist() == [[1, 4, 4], [5, 8, 4], [9, 12, 4], [13, 16, 4], [17, 20, 4]]
    assert sessions.loc["kemdy20"].to_numpy().tolist() == [[1, 8, 8], [9, 16, 8], [17, 24, 8], [25, 32, 8], [33, 40, 8]]


def test_the_folds_of_kemdy19_have_the_published_sizes():
    # Published (section 8, with ties, only Sess01_impro03/04 dropped): 1905 2055 2110 2032 2026. Against the segments
    # with files: -113 of the two dialogues, -38 with empty bio cells, -3 mis-numbered (Sess03, 2 x Sess09), +5 without
    # files (Sess03, 2 x Sess06, 2 x Sess07), +4 that appendix A does not show (two each in 13-16 and 17-20).
    corrections = np.array([-113 - 38 - 1 + 1, 4, -2, 2, 2])
    table = make_table({("kemdy19", s): size for s, size in enumerate(SESSION_SIZES, start=1)})
    sizes = np.bincount(assign_folds(table), minlength=5)
    assert (sizes + corrections).tolist() == [1905, 2055, 2110, 2032, 2026]


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(list(ALL_SESSIONS)), st.integers(1, 6), min_size=1))
def test_whatever_sessions_there_are_the_folds_partition_segments_and_speakers(sizes):
    table = make_table(sizes)
    fold = assign_folds(table)
    tested = np.sum([split(fold, f, "test") for f in range(5)], axis=0)
    assert (tested == 1).all()  # every segment is tested in exactly one fold
    for protocol in ("paper", "nested"):
        for f in range(5):
            train, valid, test = (split(fold, f, mode, protocol) for mode in MODES)
            assert (train | valid | test).all()
            assert not (train & valid).any() and not (train & test).any()
            assert np.array_equal(test, fold == f)
            if protocol == "paper":
                assert np.array_equal(valid, test)
            else:
                assert not (valid & test).any()
            for column in ("speaker", "segment_id"):
                seen = set(table[column][train])
                assert seen.isdisjoint(table[column][valid]) and seen.isdisjoint(table[column][test])


@pytest.mark.parametrize(
    ("protocol", "fold", "train", "valid", "test"),
    [
        ("paper", 4, [0, 1, 2, 3], [4], [4]),
        ("paper", 0, [1, 2, 3, 4], [0], [0]),
        ("nested", 0, [2, 3, 4], [1], [0]),
        ("nested", 3, [0, 1, 2], [4], [3]),
        ("nested", 4, [1, 2, 3], [0], [4]),  # after the last comes the first
    ],
)
def test_each_protocol_by_hand(protocol, fold, train, valid, test):
    folds = np.arange(5)
    for mode, expected in zip(MODES, (train, valid, test), strict=True):
        assert np.flatnonzero(split(folds, fold, mode, protocol)).tolist() == expected


@pytest.mark.parametrize("protocol", ["paper", "nested"])
def test_minus_one_is_no_split_every_mode_holds_everything(protocol):
    fold = assign_folds(make_table(ALL_SESSIONS))
    for mode in MODES:
        assert split(fold, -1, mode, protocol).tolist() == [True] * len(fold)


def test_a_speaker_in_two_folds_is_refused():
    table = make_table({("kemdy20", 1): 2, ("kemdy20", 9): 2})
    table.loc[2, "speaker"] = "User001F"  # session 9 is in fold 1
    with pytest.raises(ValueError, match="Folds must not share speakers: kemdy20 User001F stands in 2 folds"):
        assign_folds(table)


def test_a_speaker_in_two_sessions_of_one_fold_is_accepted():
    table = make_table({("kemdy20", 1): 2, ("kemdy20", 8): 2})
    table.loc[2, "speaker"] = "User001F"
    assert assign_folds(table).tolist() == [0, 0, 0, 0]


def test_the_same_name_in_both_corpora_is_two_people():
    table = make_table({("kemdy19", 1): 1, ("kemdy20", 40): 1})
    table["speaker"] = "A"
    assert assign_folds(table).tolist() == [0, 4]


def test_a_segment_that_stands_twice_is_refused():
    table = make_table({("kemdy19", 1): 2})
    with pytest.raises(ValueError, match="exactly one fold: Sess01_script01_F001 stands twice"):
        assign_folds(pd.concat([table, table.head(1)], ignore_index=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_fold": 5}, "validation_fold must be 0 to 4, or -1 for no split: got 5"),
        ({"validation_fold": -2}, "validation_fold must be 0 to 4, or -1 for no split: got -2"),
        ({"validation_fold": "4"}, "validation_fold must be 0 to 4, or -1 for no split: got '4'"),
        ({"validation_fold": True}, "validation_fold must be 0 to 4, or -1 for no split: got True"),
        ({"validation_fold": None}, "validation_fold must be 0 to 4, or -1 for no split: got None"),
        ({"validation_fold": 0.5}, "validation_fold must be 0 to 4, or -1 for no split: got 0.5"),
        ({"mode": "dev"}, "mode must be one of train, valid, test: got 'dev'"),
        ({"mode": "validation"}, "mode must be one of train, valid, test: got 'validation'"),
        ({"protocol": "loso"}, "protocol must be one of paper, nested, last, cross_corpus: got 'loso'"),
    ],
)
def test_an_argument_out_of_its_range_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        split(np.arange(5), **{"validation_fold": 4, "mode": "train"} | arguments)
