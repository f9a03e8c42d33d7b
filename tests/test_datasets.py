"""The Hugging Face data set: its content against the files on disk, its views, bad segments, and the command.

What must come out is read a second time by ``kemd_views``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from kemd_views import builds, content, ids, open_small, read_disk, wav_of
from programs import run_program

from erc.data import build as data_build
from erc.data.build import MANIFEST
from erc.data.media import clean_transcript
from erc.datasets import HF_KEMD

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")

KNOWN_SILENT = "Sess01_script05_User001F_004"  # one of the real corpus


# --- content ----------------------------------------------------------------------------------------------------------
def test_columns_and_types_are_the_promised_ones(small, built):
    ten, seven = "List(Value('int64'), length=10)", "List(Value('int64'), length=7)"
    types = {
        "segment_id": "string",
        "corpus": "string",
        "session": "int64",
        "dialogue": "string",
        "speaker": "string",
        "gender": "string",
        "start": "float64",
        "end": "float64",
        "waveform": "List(Value('int16'))",
        "n_samples": "int64",
        "transcript": "string",
        "votes": seven,
        "hard_label": "int64",
        "is_tied": "bool",
        "valence": "float64",
        "arousal": "float64",
        "emotion_ratings": ten,
        "valence_ratings": ten,
        "arousal_ratings": ten,
        **{f"{signal}_{side}": "float64" for signal in ("ecg", "eda", "temp") for side in ("start", "end")},
    }
    expected = {name: kind if "(" in kind else f"Value('{kind}')" for name, kind in types.items()}
    for transcript in ("raw", "clean"):
        kemd = open_small(small, built[0], transcript=transcript)
        assert {name: repr(kind) for name, kind in kemd.ds.features.items()} == expected
        assert set(kemd.ds.column_names) == set(expected)


def test_every_segment_holds_what_its_files_say(corpora, cache_dir):
    kemd = HF_KEMD(validation_fold=-1, exclude="none", root=str(corpora), cache_dir=str(cache_dir))
    found, expected = content(kemd), read_disk(corpora)
    assert set(found) == set(expected) and len(found) > 900
    for segment_id, segment in expected.items():
        waveform, row = found[segment_id]
        assert waveform == segment.wav
        assert row["n_samples"] == len(segment.wav) // 2
        assert row["transcript"] == segment.transcript
        assert row["emotion_ratings"] == segment.emotions
        assert (row["valence_ratings"], row["arousal_ratings"]) == (segment.valence, segment.arousal)
        assert row["votes"] == [segment.emotions.count(k) for k in range(7)]
        assert float(row["valence"]) == pytest.approx(sum(segment.valence) / 10, abs=1e-12)
        assert float(row["arousal"]) == pytest.approx(sum(segment.arousal) / 10, abs=1e-12)
        top = [emotion for emotion, count in Counter(segment.emotions).items() if count == max(row["votes"])]
        assert row["is_tied"] == (len(top) > 1) and row["hard_label"] in top
        assert (float(row["start"]), float(row["end"])) == (segment.start, segment.end)
        bio = [row[f"{signal}_{side}"] for signal in ("ecg", "eda", "temp") for side in ("start", "end")]
        assert bio == [repr(float(cell)) if cell else "nan" for cell in segment.bio]
        assert row["corpus"] == ("kemdy20" if "User" in segment_id else "kemdy19")
        assert f"Sess{row['session']:02d}" == segment_id[:6] and segment_id.startswith(row["dialogue"] + "_")


@pytest.mark.parametrize(("exclude", "protocol"), [("paper", "paper"), ("none", "paper"), ("paper", "nested")])
def test_every_fold_and_mode_holds_exactly_its_segments(corpora, cache_dir, exclude, protocol):
    expected = read_disk(corpora)
    assert (
        not expected["Sess03_impro02_F001"].in_paper and len({segment.in_paper for segment in expected.values()}) == 2
    )
    kept = [segment_id for segment_id, segment in expected.items() if segment.in_paper or exclude == "none"]
    HF_KEMD(validation_fold=-1, root=str(corpora), cache_dir=str(cache_dir))
    before = builds(cache_dir)  # of this test and of others, which share the folder
    # blocks of 4 sessions in KEMDy19, of 8 in KEMDy20
    fold_of = {name: (int(name[4:6]) - 1) // (8 if "User" in name else 4) for name in kept}
    for fold in range(5):
        choosing = fold if protocol == "paper" else (fold + 1) % 5
        for mode in ("train", "valid", "test"):
            held = {"train": set(range(5)) - {fold, choosing}, "valid": {choosing}, "test": {fold}}[mode]
            kemd = HF_KEMD(mode, fold, root=str(corpora), cache_dir=str(cache_dir), exclude=exclude, protocol=protocol)
            assert sorted(ids(kemd)) == sorted(name for name in kept if fold_of[name] in held)
            assert len(kemd) == len(kemd.ds) > 0
    assert builds(cache_dir) == before  # one build per corpus serves all views


def test_kemdy19_comes_first_and_rows_stay_together_with_their_ids(corpora, cache_dir):
    kemd = HF_KEMD("valid", 2, "kemdy20-kemdy19", root=str(corpora), cache_dir=str(cache_dir))
    names = kemd.ds["corpus"][:]
    assert names == sorted(names) and set(names) == {"kemdy19", "kemdy20"}
    sessions = [int(name[4:6]) for name in ids(kemd)]
    assert kemd.ds["session"][:] == sessions


def test_tied_segments_can_be_left_out(corpora, cache_dir):
    given = {"validation_fold": -1, "root": str(corpora), "cache_dir": str(cache_dir)}
    everything, untied = HF_KEMD(**given), HF_KEMD(drop_tied=True, **given)
    is_tied = {
        name: sorted(Counter(segment.emotions).values())[-2:] for name, segment in read_disk(corpora).items()
    }  # the two largest counts
    expected = [name for name in ids(everything) if len(is_tied[name]) == 1 or is_tied[name][0] != is_tied[name][1]]
    assert ids(untied) == expected and 0 < len(untied) < len(everything)


def test_known_defects_are_noted(corpora, cache_dir):
    kemd = HF_KEMD(root=str(corpora), cache_dir=str(cache_dir))
    notes = "\n".join(map(str, kemd.notes))
    assert {note.kind for note in kemd.notes} == {"repaired id", "known without files"}
    assert f"  note: {kemd.notes[0]}\n" in str(kemd)
    assert "Session03_F_res.csv" in notes and "Sess03_impro02_M001 is Sess03_impro02_F001; repaired" in notes
    assert "Sess07_script02: 2 annotated segments without files, as known of the corpus" in notes


def test_a_view_says_whether_a_corpus_of_it_is_synthetic(small, built, nineteen, tmp_path):
    assert open_small(small, built[0]).is_synthetic
    (tmp_path / "data").mkdir()
    shutil.copytree(nineteen / "KEMDy19", tmp_path / "data/KEMDy19")
    (tmp_path / "data/KEMDy19/SAMPLE_CORPUS.txt").unlink()
    (tmp_path / "data/KEMDy20_v1_1").symlink_to(small / "KEMDy20_v1_1")
    is_synthetic = {
        name: open_small(tmp_path / "data", tmp_path / "cache", dataset_name=name, num_data=3).is_synthetic
        for name in ("kemdy19", "kemdy20", "kemdy19-kemdy20")
    }
    assert is_synthetic == {"kemdy19": False, "kemdy20": True, "kemdy19-kemdy20": True}


def test_a_segment_can_be_taken_by_index_and_in_a_loop(small, built):
    kemd = open_small(small, built[0])
    expected = read_disk(small)
    looped = list(kemd)
    assert len(looped) == len(kemd) == len(expected) == 179
    for index in (0, 100, 178):
        row = kemd[index]
        assert row["waveform"].dtype == np.int16 and row["waveform"].tobytes() == expected[str(row["segment_id"])].wav
        assert looped[index]["segment_id"] == row["segment_id"] == ids(kemd)[index]
        assert row["votes"].sum() == 10


def test_the_clean_transcript_is_a_view_of_the_same_build(small, built):
    raw, clean = open_small(small, built[0]), open_small(small, built[0], transcript="clean")
    assert clean.ds["transcript"][:] == [clean_transcript(text) for text in raw.ds["transcript"][:]]
    assert clean.ds["transcript"][:] != raw.ds["transcript"][:]
    assert not any("/" in text for text in clean.ds["transcript"][:])
    assert raw.fingerprint == clean.fingerprint and len(builds(built[0])) == 1


@pytest.mark.parametrize(("reference", "later"), [("KEMDy19", "KEMDy19_v1_3"), ("KEMDy20_v1_1", "KEMDy20_v1_2")])
def test_a_later_release_folder_is_found_and_needs_no_second_build(small, nineteen, tmp_path, capfd, reference, later):
    name, root = ("kemdy19", nineteen) if reference == "KEMDy19" else ("kemdy20", small)
    expected = open_small(root, tmp_path / "cache", dataset_name=name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / later).symlink_to(root / reference)
    capfd.readouterr()
    kemd = open_small(tmp_path / "data", tmp_path / "cache", dataset_name=name)
    assert content(kemd) == content(expected) and "Building" not in capfd.readouterr().err


# --- bad segments -----------------------------------------------------------------------------------------------------
BROKEN = {  # id -> how its files are broken, its kind, what is said
    "Sess01_script01_User001F_001": (  # the first row
        lambda wav: wav.write_bytes(b""),
        "empty audio",
        "the file is empty (0 bytes)",
    ),
    "Sess12_script02_User081F_001": (
        lambda wav: os.truncate(wav, wav.stat().st_size // 2),
        "truncated audio",
        "promised by the header",
    ),
    "Sess17_script03_User083F_002": (
        lambda wav: wav.with_suffix(".txt").write_bytes(b"\xff\xff"),
        "undecodable transcript",
        "bytes are neither",
    ),
    "Sess25_script01_User049M_001": (lambda wav: wav.with_suffix(".txt").unlink(), "missing files", "no file "),
    "Sess33_script06_User065M_001": (lambda wav: wav.unlink(), "missing files", "no file "),
}


def break_files(root: Path) -> None:
    for segment_id, (how, *_) in BROKEN.items():
        how(wav_of(root, segment_id))


def test_bad_segments_stop_the_build_and_each_is_named_with_its_file_and_reason(changeable, tmp_path):
    break_files(changeable)
    for _ in range(2):  # the second time the build is there already
        with pytest.raises(ValueError, match=r"All segments must be usable: 5 are not") as raised:
            open_small(changeable, tmp_path / "cache")
        message = str(raised.value)
        for segment_id, (*_, reason) in BROKEN.items():
            (line,) = [line for line in message.splitlines() if line.startswith(f"  {segment_id}: ")]
            assert reason in line and str(changeable) in line
        assert "dataset.on_bad_segment=skip" in message


def test_bad_segments_can_be_skipped_and_the_others_are_right(changeable, tmp_path, built, capfd):
    break_files(changeable)
    for _ in range(2):
        kemd = open_small(changeable, tmp_path / "cache", on_bad_segment="skip")
        assert content(kemd) == {name: row for name, row in built[1].items() if name not in BROKEN}
        assert {problem.segment_id: problem.kind for problem in kemd.bad} == {
            name: kind for name, (_, kind, _) in BROKEN.items()
        }
        assert "5 bad segments left out (on_bad_segment=skip)" in capfd.readouterr().err
        assert "5 bad segments left out" in str(kemd)


def test_a_build_of_an_earlier_version_has_bad_segments_without_a_kind(changeable, tmp_path, capfd):
    break_files(changeable)
    given = {"on_bad_segment": "skip"}
    before = open_small(changeable, tmp_path / "cache", **given)
    (build,) = builds(tmp_path / "cache")
    manifest = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
    assert len(manifest["bad"]) == 3  # those whose files are there
    for problem in manifest["bad"]:
        assert set(problem) == {"where", "problem", "segment_id", "in_paper", "kind"}
        del problem["kind"]
    (build / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    capfd.readouterr()
    after = open_small(changeable, tmp_path / "cache", **given)
    assert "Building" not in capfd.readouterr().err and content(after) == content(before)
    assert list(map(str, after.bad)) == list(map(str, before.bad))
    assert [problem.kind for problem in after.bad] == ["missing files"] * 2 + [None] * 3


@pytest.mark.parametrize("damage", ["wav", "txt"])
def test_a_file_that_the_system_cannot_read_is_a_bad_segment_of_its_kind(changeable, tmp_path, damage):
    path = wav_of(changeable, "Sess12_script02_User081F_001").with_suffix(f".{damage}")
    path.unlink()
    path.mkdir()  # a folder: an OSError, whoever reads
    (problem,) = open_small(changeable, tmp_path / "cache", on_bad_segment="skip").bad
    assert problem.where == str(path)
    assert problem.kind == ("unreadable audio" if damage == "wav" else "unreadable transcript")


def test_a_repaired_file_is_read_again(changeable, small, tmp_path, built):
    break_files(changeable)
    with pytest.raises(ValueError, match="5 are not"):
        open_small(changeable, tmp_path / "cache")
    data_build.read_source.cache_clear()
    for segment_id in BROKEN:
        for ending in (".wav", ".txt"):
            shutil.copyfile(
                wav_of(small, segment_id).with_suffix(ending), wav_of(changeable, segment_id).with_suffix(ending)
            )
    assert content(open_small(changeable, tmp_path / "cache")) == built[1]


def test_of_many_bad_segments_twenty_are_named_and_the_rest_counted(changeable, tmp_path):
    wavs = sorted((changeable / "KEMDy20_v1_1/wav/Session12").glob("*.wav"))[:25]
    for wav in wavs:
        wav.write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"25 are not") as raised:
        open_small(changeable, tmp_path / "cache")
    assert str(raised.value).count("a readable wav is expected") == 20 and "and 5 more" in str(raised.value)
    kemd = open_small(changeable, tmp_path / "cache", on_bad_segment="skip")
    assert [problem.segment_id for problem in kemd.bad] == [wav.stem for wav in wavs]  # all of them


def test_where_every_segment_of_a_view_is_bad_nothing_is_left_to_go_on_with(changeable, tmp_path):
    for wav in (changeable / "KEMDy20_v1_1/wav/Session33").glob("*.wav"):
        wav.write_bytes(b"no sound")
    given = {"on_bad_segment": "skip", "validation_fold": 4}  # session 33 is the only one of fold 4
    assert len(open_small(changeable, tmp_path / "cache", mode="train", **given)) > 100
    with pytest.raises(ValueError, match="No segment is left for kemdy20, valid, validation_fold 4"):
        open_small(changeable, tmp_path / "cache", mode="valid", **given)


def test_a_bad_annotation_row_stops_as_well(changeable, tmp_path):
    path = changeable / "KEMDy20_v1_1/annotation/Sess12_eval.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[5] = lines[5][: lines[5].rindex(",")] + ",6"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(
        ValueError,
        match=r"1 are not(.|\n)*arousal ratings are whole numbers 1 to 5; rater 10 has '6' .*Sess12_eval\.csv, line 6",
    ):
        open_small(changeable, tmp_path / "cache")
    assert len(open_small(changeable, tmp_path / "cache", on_bad_segment="skip")) == 178


def test_what_the_paper_leaves_out_does_not_stop_the_papers_selection(nineteen, tmp_path):
    root = Path(shutil.copytree(nineteen, tmp_path / "data"))
    broken = min((root / "KEMDy19/wav/Session03/Sess03_script04").glob("*.wav"))
    broken.write_bytes(b"")
    given = {"dataset_name": "kemdy19"}
    assert broken.stem not in ids(open_small(root, tmp_path / "cache", **given))
    with pytest.raises(ValueError, match=f"1 are not.*\n.*{broken.stem}"):
        open_small(root, tmp_path / "cache", exclude="none", **given)


def test_silence_that_is_known_stays_in_and_other_silence_is_bad(changeable, small, tmp_path, built):
    assert KNOWN_SILENT in built[1]  # the synthetic corpus holds one of the ten
    waveform, row = built[1][KNOWN_SILENT]
    assert not any(waveform) and row["n_samples"] > 400
    other = "Sess01_script05_User001F_003"
    wav = wav_of(changeable, other)
    wav.write_bytes(wav.read_bytes()[:44] + b"\0" * (wav.stat().st_size - 44))
    with pytest.raises(ValueError, match=f"1 are not.*\n.*{other}: sound is expected, all samples are zero"):
        open_small(changeable, tmp_path / "cache")


# --- arguments --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "dev"}, "mode must be one of train, valid, test: got 'dev'"),
        ({"validation_fold": 5}, "validation_fold must be 0 to 4, or -1 for no split: got 5"),
        ({"protocol": "loso"}, "protocol must be one of paper, nested, last, cross_corpus: got 'loso'"),
        ({"dataset_name": "iemocap"}, "dataset_name names corpora .* got 'iemocap'"),
        ({"exclude": "all"}, "exclude must be one of paper, none: got 'all'"),
        ({"transcript": "tags"}, "transcript must be one of raw, clean: got 'tags'"),
        ({"on_bad_segment": "ignore"}, "on_bad_segment must be one of raise, skip: got 'ignore'"),
        ({"num_data": 0}, "num_data must be a positive whole number, or null .*: got 0"),
        ({"num_data": True}, "num_data must be a positive whole number, or null .*: got True"),
        ({"num_data": 0.5}, "num_data must be a positive whole number, or null .*: got 0.5"),
        ({"num_proc": -1}, "num_proc must be a whole number of processes, 0 or more: got -1"),
        ({"num_proc": "2"}, "num_proc must be a whole number of processes, 0 or more: got '2'"),
    ],
)
def test_a_wrong_argument_is_refused_by_name_before_anything_is_read(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):  # the data folder does not exist: it is not even looked for
        open_small(tmp_path / "nowhere", tmp_path / "cache", **arguments)
    assert os.listdir(tmp_path) == []


def test_a_missing_corpus_is_named(small, tmp_path):
    with pytest.raises(FileNotFoundError, match="Corpus kemdy19 needs a folder KEMDy19 or KEMDy19_v1_3 under"):
        open_small(small, tmp_path, dataset_name="kemdy19-kemdy20")
    assert os.listdir(tmp_path) == []


def test_a_fold_without_sessions_is_refused_with_the_sessions_there_are(nineteen, tmp_path):
    with pytest.raises(
        ValueError, match=r"No segment is left for kemdy19, valid, validation_fold 4: .* hold sessions 3\."
    ):
        open_small(nineteen, tmp_path, dataset_name="kemdy19", mode="valid", validation_fold=4)


# --- as a command -----------------------------------------------------------------------------------------------------
def run_fire(*arguments: str) -> subprocess.CompletedProcess:
    return run_program("-m", "fire", "erc.datasets", "HF_KEMD", *arguments)


@pytest.mark.parametrize("dataset_name", ["kemdy19-kemdy20", '"kemdy19"'])
def test_the_prebuild_command_prints_a_summary(corpora, cache_dir, dataset_name):
    ran = run_fire(
        "--mode=valid",
        "--validation_fold=4",
        f"--dataset_name={dataset_name}",
        f"--root={corpora}",
        f"--cache_dir={cache_dir}",
    )
    assert ran.returncode == 0, ran.stderr
    is_held = {
        "kemdy19": lambda name: "User" not in name and int(name[4:6]) >= 17,
        "kemdy20": lambda name: "User" in name and int(name[4:6]) >= 33,
    }
    expected = read_disk(corpora)
    wanted = dataset_name.strip('"')
    held = {corpus: [name for name in expected if is_held[corpus](name)] for corpus in wanted.split("-")}
    n_segments = sum(map(len, held.values()))  # no known defect lies in the last fold
    assert ran.stdout.startswith(f"HF_KEMD: {wanted}, valid, validation_fold 4: {n_segments:,} segments, ")
    for corpus, names in held.items():
        seconds = sum(len(expected[name].wav) / 2 / 16_000 for name in names)
        line = next(line for line in ran.stdout.splitlines() if line.startswith(f"  {corpus}: "))
        sessions = {"kemdy19": "17-18", "kemdy20": "33-34"}[corpus]
        assert line == f"  {corpus}: {len(names):,} segments, 4 speakers, sessions {sessions}, {seconds / 3600:.2f} h"
    assert "  columns: segment_id, corpus, session" in ran.stdout
    for help_word in ("SYNOPSIS", "COMMANDS", "GROUPS"):
        assert help_word not in ran.stdout + ran.stderr


def test_the_prebuild_command_refuses_a_misspelt_option_by_name(corpora, cache_dir):
    ran = run_fire("--mode=valid", "--validation_folds=4", f"--root={corpora}", f"--cache_dir={cache_dir}")
    assert ran.returncode != 0 and "validation_folds" in ran.stderr


# --- groups -----------------------------------------------------------------------------------------------------------
def test_groups_are_the_speaker_s_sex_and_the_kind_of_speech(corpora, cache_dir):
    view = HF_KEMD("train", 4, root=str(corpora), cache_dir=str(cache_dir))
    groups = view.groups()
    assert groups.index.tolist() == view.ds["segment_id"][:] and groups.columns.tolist() == ["gender", "style"]
    for name, (gender, style) in zip(groups.index, groups.to_numpy(), strict=True):
        # KEMDy19: Sess01_script01_F001, Sess01_impro01_F001; KEMDy20, whose scripts are topics: Sess01_script01_User001F_001
        is_kemdy20 = "_User" in name
        assert gender == (name.split("_")[2][-1] if is_kemdy20 else name.split("_")[2][0])
        assert style == ("scripted" if "_script" in name and not is_kemdy20 else "spontaneous")
    assert set(groups["gender"]) == {"F", "M"} and set(groups["style"]) == {"scripted", "spontaneous"}
