"""The Hugging Face data set: its content against the files on disk, its views, and a cache that is never wrong.

What must come out is read here a second time with the standard library alone (``csv``, ``wave``). ``small`` is 179
segments of KEMDy20 in one build; tests that damage something take a copy of it.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import wave
from collections import Counter, namedtuple
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

import erc.datasets
from erc import sample
from erc.datasets import HF_KEMD, MANIFEST
from erc.media import clean_transcript

REPOSITORY = Path(__file__).resolve().parents[1]
EMOTIONS = ["surprise", "fear", "angry", "neutral", "happy", "sad", "disgust"]  # the paper's order
PAPER_DROPS = "Sess01_impro03 Sess01_impro04 Sess03_script04 Sess06_script02 Sess07_script02".split()
KNOWN_SILENT = "Sess01_script05_User001F_004"  # one of the real corpus

Segment = namedtuple("Segment", "wav transcript emotions valence arousal start end bio in_paper")


# --- the second way to the content ------------------------------------------------------------------------------------
def read_disk(root: Path) -> dict[str, Segment]:
    """Every segment with audio under a data folder, straight from its files."""
    found = {}
    for path in sorted(root.glob("KEMDy19/annotation/*_F_res.csv")):
        both = [csv_rows(path), csv_rows(path.with_name(path.name.replace("_F_", "_M_")))]
        for f_row, m_row in zip(*both, strict=True):
            segment_id = m_row[9]  # the M files have the right ids throughout
            own = f_row if "_F" in segment_id else m_row
            wav = root / "KEMDy19/wav" / f"Session{segment_id[4:6]}" / segment_id[:-5] / f"{segment_id}.wav"
            if wav.exists():
                in_paper = segment_id[:-5] not in PAPER_DROPS and all(own[3:9]) and own[9] == segment_id
                found[segment_id] = read_segment(wav, "utf-8", own, own[3:9], in_paper)
    for path in sorted(root.glob("KEMDy20_v1_1/annotation/*.csv")):
        for cells in csv_rows(path):
            wav = root / "KEMDy20_v1_1/wav" / f"Session{cells[3][4:6]}" / f"{cells[3]}.wav"
            found[cells[3]] = read_segment(wav, "cp949", cells, [""] * 6, True)
    return found


def csv_rows(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))[2:]


def read_segment(wav: Path, encoding: str, cells: list[str], bio: list[str], in_paper: bool) -> Segment:
    with wave.open(str(wav)) as file:
        frames = file.readframes(file.getnframes())
    text = wav.with_suffix(".txt").read_text(encoding=encoding).strip()
    emotions = [EMOTIONS.index(cell.replace("disqust", "disgust")) for cell in cells[-30::3]]
    valence, arousal = ([int(cell) for cell in cells[offset::3]] for offset in (-29, -28))
    return Segment(frames, text, emotions, valence, arousal, float(cells[1]), float(cells[2]), bio, in_paper)


def content(kemd: HF_KEMD) -> dict[str, tuple]:
    """What a data set says of each segment, as plain values."""
    table = kemd.ds.with_format("arrow")[:]
    rows = table.drop_columns(["waveform"]).to_pylist()
    found = {}
    for row, waveform in zip(rows, table["waveform"], strict=True):
        row |= {name: repr(row[name]) for name in row if isinstance(row[name], float)}  # NaN equals NaN
        found[row["segment_id"]] = (waveform.values.to_numpy().tobytes(), row)
    assert len(found) == len(rows), "a segment stands twice"
    return found


def ids(kemd: HF_KEMD) -> list[str]:
    return kemd.ds["segment_id"][:]


# --- fixtures ---------------------------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def as_in_a_new_process():
    """Annotations are read once per process; the tests change files meanwhile."""
    erc.datasets._read_source.cache_clear()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """One session of KEMDy20 per fold (1, 12, 17, 25, 33), short segments."""
    root = tmp_path_factory.mktemp("small")
    sample.write(root=str(root), sessions=5, segments=3, seconds=0.5, corpora="kemdy20", bio=False)
    return root


@pytest.fixture(scope="module")
def nineteen(tmp_path_factory) -> Path:
    """Session 3 of KEMDy19: a mis-numbered F001, a dialogue that the paper drops, one segment without files."""
    root = tmp_path_factory.mktemp("nineteen")
    sample.write(root=str(root), sessions=1, segments=2, seconds=0.5, corpora="kemdy19", bio=False)
    return root


def open_small(root: Path, cache: Path, **kwargs) -> HF_KEMD:
    """All of KEMDy20, unless told otherwise."""
    return HF_KEMD(
        **{"dataset_name": "kemdy20", "validation_fold": -1, "root": str(root), "cache_dir": str(cache)} | kwargs
    )


@pytest.fixture(scope="module")
def built(small, tmp_path_factory) -> tuple[Path, dict]:
    """A cache with the build of ``small``, and its content."""
    cache = tmp_path_factory.mktemp("built")
    return cache, content(open_small(small, cache))


@pytest.fixture
def cache(built, tmp_path) -> Path:
    """A copy of that cache, to damage."""
    return Path(shutil.copytree(built[0], tmp_path / "cache"))


@pytest.fixture
def changeable(small, tmp_path) -> Path:
    """A copy of ``small``, to change."""
    return Path(shutil.copytree(small, tmp_path / "data"))


def builds(cache: Path) -> list[Path]:
    """Finished builds in a cache."""
    return sorted(path.parent for path in cache.glob(f"*/{MANIFEST}"))


def debris(cache: Path) -> list[str]:
    """What is neither a build nor its lock."""
    return sorted(path.name for path in cache.iterdir() if path not in builds(cache) and path.suffix != ".lock")


def wav_of(root: Path, segment_id: str) -> Path:
    return root / "KEMDy20_v1_1/wav" / f"Session{segment_id[4:6]}" / f"{segment_id}.wav"


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
    # blocks of 4 sessions in KEMDy19, of 8 in KEMDy20
    fold_of = {name: (int(name[4:6]) - 1) // (8 if "User" in name else 4) for name in kept}
    for fold in range(5):
        choosing = fold if protocol == "paper" else (fold + 1) % 5
        for mode in ("train", "valid", "test"):
            held = {"train": set(range(5)) - {fold, choosing}, "valid": {choosing}, "test": {fold}}[mode]
            kemd = HF_KEMD(mode, fold, root=str(corpora), cache_dir=str(cache_dir), exclude=exclude, protocol=protocol)
            assert sorted(ids(kemd)) == sorted(name for name in kept if fold_of[name] in held)
            assert len(kemd) == len(kemd.ds) > 0
    assert len(builds(cache_dir)) == 2  # one per corpus serves all views


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
    notes = "\n".join(HF_KEMD(root=str(corpora), cache_dir=str(cache_dir)).notes)
    assert "Session03_F_res.csv" in notes and "Sess03_impro02_M001 is Sess03_impro02_F001; repaired" in notes
    assert "Sess07_script02: 2 annotated segments without files, as known of the corpus" in notes


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


# --- one build, found again -------------------------------------------------------------------------------------------
def test_a_finished_build_is_read_and_not_touched(small, cache, built, capfd):
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert content(open_small(small, cache)) == built[1]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "Building" not in capfd.readouterr().err


def test_a_build_is_for_its_owner_only(built):
    (build,) = builds(built[0])
    assert build.stat().st_mode & 0o777 == 0o700


def test_moving_the_corpus_needs_no_second_build(changeable, cache, built, capfd):
    moved = changeable.rename(changeable.with_name("elsewhere"))
    assert content(open_small(moved, cache)) == built[1]
    assert "Building" not in capfd.readouterr().err


def test_a_new_format_version_is_another_build(small, cache, built, monkeypatch):
    monkeypatch.setattr(erc.datasets, "FORMAT_VERSION", erc.datasets.FORMAT_VERSION + 1)
    assert content(open_small(small, cache)) == built[1]
    assert len(builds(cache)) == 2


@pytest.mark.parametrize("order", [(4, None, 4), (None, 4, None)])
def test_a_quick_look_and_the_full_data_set_do_not_poison_each_other(small, tmp_path, built, order):
    everything = read_disk(small)
    for num_data in order:
        kemd = open_small(small, tmp_path, num_data=num_data)
        assert content(kemd) == dict(list(built[1].items())[:num_data])
        assert len(kemd) == (num_data or len(everything))
    assert len(builds(tmp_path)) == (2 if order[0] == 4 else 1)  # the whole build serves the quick look as well


def test_a_quick_look_holds_the_first_of_its_mode_and_reads_no_more(corpora, tmp_path):
    kemd = HF_KEMD("valid", 1, root=str(corpora), cache_dir=str(tmp_path), num_data=4)
    expected = [name for name, segment in read_disk(corpora).items() if segment.in_paper and name[:6] == "Sess06"]
    assert set(ids(kemd)) <= set(expected) and len(ids(kemd)) == 4
    (build,) = builds(tmp_path)  # KEMDy20 is not needed
    assert sum(Dataset.from_file(str(path)).num_rows for path in build.glob("*.arrow")) == 4


def test_a_quick_look_at_more_than_there_is_holds_all(small, built):
    assert len(open_small(small, built[0], num_data=10_000)) == 179


@pytest.mark.parametrize("num_proc", [0, None, pytest.param(2, marks=pytest.mark.slow)])
def test_any_number_of_processes_gives_the_same_content(small, tmp_path, built, monkeypatch, num_proc):
    monkeypatch.setattr(erc.datasets, "SEGMENTS_PER_SHARD", 50)
    kemd = open_small(small, tmp_path, num_proc=num_proc)
    assert len(list(builds(tmp_path)[0].glob("*.arrow"))) == 4
    assert list(content(kemd).items()) == list(built[1].items())  # in the same order, too


# --- changed sources --------------------------------------------------------------------------------------------------
def change_wav_in_place(root: Path) -> None:
    """Same size, other sound."""
    path = wav_of(root, "Sess12_script02_User081F_001")
    raw = bytearray(path.read_bytes())
    raw[-2000:] = bytes(reversed(raw[-2000:]))
    path.write_bytes(raw)


def shorten_wav(root: Path) -> None:
    path = wav_of(root, "Sess12_script02_User081F_001")
    with wave.open(str(path)) as file:
        settings, frames = file.getparams(), file.readframes(3000)
    with wave.open(str(path), "wb") as file:
        file.setparams(settings)
        file.writeframes(frames)


def change_transcript(root: Path) -> None:
    wav_of(root, "Sess12_script02_User081F_001").with_suffix(".txt").write_bytes("다른 말\n".encode("cp949"))


def change_rating(root: Path) -> None:
    """The last rater's emotion in the first row of session 12."""
    path = root / "KEMDy20_v1_1/annotation/Sess12_eval.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[2].split(",")
    cells[-3] = "sad" if cells[-3] != "sad" else "fear"
    lines[2] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("change", [change_wav_in_place, shorten_wav, change_transcript, change_rating])
def test_a_changed_source_is_never_served_from_an_older_build(changeable, cache, built, change):
    before = read_disk(changeable)
    change(changeable)
    expected = read_disk(changeable)
    changed = [name for name in before if before[name] != expected[name]]
    assert len(changed) == 1  # the change is one
    found = content(open_small(changeable, cache))
    assert [name for name in found if found[name] != built[1][name]] == changed
    waveform, row = found[changed[0]]
    segment = expected[changed[0]]
    assert (waveform, row["transcript"], row["emotion_ratings"]) == (segment.wav, segment.transcript, segment.emotions)
    assert row["votes"] == [segment.emotions.count(k) for k in range(7)]
    assert len(builds(cache)) == 2


# --- damage -----------------------------------------------------------------------------------------------------------
def shard_of(build: Path) -> Path:
    (path,) = build.glob("*.arrow")
    return path


def cut_at_record_batch(build: Path) -> None:
    """Ends the shard where a record batch ends: Arrow reads what is left without a word."""
    path = shard_of(build)
    raw = path.read_bytes()
    source = pa.BufferReader(raw)
    reader = pa.ipc.open_stream(source)
    reader.read_next_batch()
    path.write_bytes(raw[: source.tell()])
    assert 0 < Dataset.from_file(str(path)).num_rows < 179  # why the manifest has checksums


def flip_a_byte(build: Path) -> None:
    path = shard_of(build)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert Dataset.from_file(str(path)).num_rows == 179  # Arrow does not notice


DAMAGE = {
    "shard missing": lambda build: shard_of(build).unlink(),
    "shard emptied": lambda build: shard_of(build).write_bytes(b""),
    "shard cut in half": lambda build: os.truncate(shard_of(build), shard_of(build).stat().st_size // 2),
    "shard cut at a record batch": cut_at_record_batch,
    "shard with a flipped bit": flip_a_byte,
    "manifest missing": lambda build: (build / MANIFEST).unlink(),
    "manifest emptied": lambda build: (build / MANIFEST).write_bytes(b""),
    "manifest cut in half": lambda build: os.truncate(build / MANIFEST, (build / MANIFEST).stat().st_size // 2),
    "manifest all zero": lambda build: (build / MANIFEST).write_bytes(b"\0" * 300),
    "manifest no text": lambda build: (build / MANIFEST).write_bytes(b"\xff" * 300),
    "manifest of something else": lambda build: (build / MANIFEST).write_bytes(b"{}"),
    "manifest a list": lambda build: (build / MANIFEST).write_bytes(b"[]"),
    "all gone but the folder": lambda build: [path.unlink() for path in build.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_build_is_made_again_and_right(small, cache, built, capfd, damage):
    (build,) = builds(cache)
    DAMAGE[damage](build)
    assert content(open_small(small, cache)) == built[1]
    told = capfd.readouterr().err
    assert told.count("Building kemdy20") >= 1
    if "missing" not in damage and "gone" not in damage:
        assert f"{build} is damaged" in told
    assert builds(cache) == [build] and debris(cache) == []
    assert content(open_small(small, cache)) == built[1]
    assert "Building" not in capfd.readouterr().err


def test_a_reader_keeps_its_data_while_the_build_is_made_again(small, cache, built):
    reader = open_small(small, cache)
    (builds(cache)[0] / MANIFEST).unlink()
    open_small(small, cache)
    assert content(reader) == built[1]


# --- interruption and company -----------------------------------------------------------------------------------------
SLOW_BUILDER = """
import sys, time
import erc.datasets
read = erc.datasets.read_waveform
def slow(*args, **kwargs):
    print("reading", flush=True)
    time.sleep(0.01)
    return read(*args, **kwargs)
erc.datasets.read_waveform = slow
erc.datasets.SEGMENTS_PER_SHARD = 30
kemd = erc.datasets.HF_KEMD("train", -1, "kemdy20", sys.argv[1], sys.argv[2])
print("rows", len(kemd), "samples", sum(kemd.ds["n_samples"][:]), flush=True)
"""


def start_builder(root: Path, cache: Path) -> subprocess.Popen:
    """A builder of its own process that says "reading" before each of 179 segments."""
    command = [sys.executable, "-c", SLOW_BUILDER, str(root), str(cache)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_build_leaves_nothing_that_could_be_read_and_the_next_sweeps_up(small, tmp_path, built):
    builder = start_builder(small, tmp_path)
    for _ in range(100):
        assert builder.stdout.readline() == "reading\n"
    builder.send_signal(signal.SIGKILL)
    builder.communicate(timeout=60)
    assert builder.returncode == -signal.SIGKILL
    assert builds(tmp_path) == [] and len(debris(tmp_path)) == 1  # three shards of a build that never finished
    assert len(list(tmp_path.glob(".*/*.arrow"))) == 3
    assert content(open_small(small, tmp_path)) == built[1]
    assert len(builds(tmp_path)) == 1 and debris(tmp_path) == []


def test_two_builders_at_once_make_one_build(small, tmp_path, built):
    first = start_builder(small, tmp_path)
    assert first.stdout.readline() == "reading\n"  # it holds the lock from here on, for about two seconds
    second = start_builder(small, tmp_path)
    told = [process.communicate(timeout=150) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], told
    n_samples = sum(row["n_samples"] for _, row in built[1].values())
    assert [out.splitlines()[-1] for out, _ in told] == [f"rows 179 samples {n_samples}"] * 2
    assert [out.count("reading") for out, _ in told] == [178, 0]  # the first line is read above
    assert "Another process is building" not in told[0][1]
    assert len(builds(tmp_path)) == 1 and debris(tmp_path) == []
    assert content(open_small(small, tmp_path)) == built[1]


def test_who_comes_second_says_that_it_waits_and_builds_nothing(small, tmp_path, built, capfd):
    builder = start_builder(small, tmp_path)
    assert builder.stdout.readline() == "reading\n"
    # this process has no import to do: it meets the lock while the other still reads
    assert content(open_small(small, tmp_path)) == built[1]
    told = capfd.readouterr().err
    assert re.search(r"Another process is building .*kemdy20-[0-9a-f]{16}: waiting for it", told)
    assert "Building kemdy20" not in told
    out, _ = builder.communicate(timeout=60)
    assert out.count("reading") == 178 and out.splitlines()[-1].startswith("rows 179 ")
    assert len(list(builds(tmp_path)[0].iterdir())) == 7  # six shards of 30 and the manifest: the other's


def test_a_build_that_fails_half_way_is_no_build(small, tmp_path, built, monkeypatch):
    monkeypatch.setattr(erc.datasets, "SEGMENTS_PER_SHARD", 50)
    write = erc.datasets.write_shard

    def run_out_of_space(corpus_name, rows, path):
        if path.endswith("2.arrow"):
            raise OSError(28, "No space left on device", path)
        return write(corpus_name, rows, path)

    monkeypatch.setattr(erc.datasets, "write_shard", run_out_of_space)
    with pytest.raises(OSError, match="No space left on device"):
        open_small(small, tmp_path)
    assert builds(tmp_path) == []
    monkeypatch.setattr(erc.datasets, "write_shard", write)
    assert content(open_small(small, tmp_path)) == built[1] and debris(tmp_path) == []


def test_a_full_disk_is_found_before_the_first_byte(small, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(erc.datasets.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 50_000_000, 50_000_000))
    with pytest.raises(
        OSError, match=r"data set of kemdy20 needs 0\.1 GB under .*: 0\.1 GB are free\. Make room, or set"
    ):
        open_small(small, tmp_path)
    assert builds(tmp_path) == [] and debris(tmp_path) == []
    wavs = sum(path.stat().st_size for path in small.rglob("*.wav"))
    monkeypatch.setattr(
        erc.datasets.shutil, "disk_usage", lambda path: usage(10**9, 0, 50_000_000 + int(1.05 * wavs) + 1)
    )
    assert len(open_small(small, tmp_path)) == 179  # just enough


# --- bad segments -----------------------------------------------------------------------------------------------------
BROKEN = {  # id -> how its files are broken, what is said
    "Sess01_script01_User001F_001": (lambda wav: wav.write_bytes(b""), "the file is empty (0 bytes)"),  # the first row
    "Sess12_script02_User081F_001": (lambda wav: os.truncate(wav, wav.stat().st_size // 2), "promised by the header"),
    "Sess17_script03_User083F_002": (lambda wav: wav.with_suffix(".txt").write_bytes(b"\xff\xff"), "bytes are neither"),
    "Sess25_script01_User049M_001": (lambda wav: wav.with_suffix(".txt").unlink(), "no file "),
    "Sess33_script06_User065M_001": (lambda wav: wav.unlink(), "no file "),
}


def break_files(root: Path) -> None:
    for segment_id, (how, _) in BROKEN.items():
        how(wav_of(root, segment_id))


def test_bad_segments_stop_the_build_and_each_is_named_with_its_file_and_reason(changeable, tmp_path):
    break_files(changeable)
    for _ in range(2):  # the second time the build is there already
        with pytest.raises(ValueError, match=r"All segments must be usable: 5 are not") as raised:
            open_small(changeable, tmp_path / "cache")
        message = str(raised.value)
        for segment_id, (_, reason) in BROKEN.items():
            (line,) = [line for line in message.splitlines() if line.startswith(f"  {segment_id}: ")]
            assert reason in line and str(changeable) in line
        assert "dataset.on_bad_segment=skip" in message


def test_bad_segments_can_be_skipped_and_the_others_are_right(changeable, tmp_path, built, capfd):
    break_files(changeable)
    for _ in range(2):
        kemd = open_small(changeable, tmp_path / "cache", on_bad_segment="skip")
        assert content(kemd) == {name: row for name, row in built[1].items() if name not in BROKEN}
        assert sorted(problem.segment_id for problem in kemd.bad) == sorted(BROKEN)
        assert "5 bad segments left out (on_bad_segment=skip)" in capfd.readouterr().err
        assert "5 bad segments left out" in str(kemd)


def test_a_repaired_file_is_read_again(changeable, small, tmp_path, built):
    break_files(changeable)
    with pytest.raises(ValueError, match="5 are not"):
        open_small(changeable, tmp_path / "cache")
    erc.datasets._read_source.cache_clear()
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
    assert KNOWN_SILENT in built[1]  # the sample holds one of the ten
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
        ({"protocol": "loso"}, "protocol must be one of paper, nested: got 'loso'"),
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
    command = [sys.executable, "-m", "fire", "erc.datasets", "HF_KEMD", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=150, check=False)


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
