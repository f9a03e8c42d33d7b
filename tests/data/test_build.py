"""A build on disk: found again, never of older sources, made again when damaged, whole or not there at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import wave
from collections import namedtuple
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset
from kemd_views import builds, content, debris, ids, open_small, read_disk, wav_of

from erc.data import build as data_build
from erc.data.build import MANIFEST
from erc.datasets import HF_KEMD

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")

REPOSITORY = Path(__file__).resolve().parents[2]


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
    monkeypatch.setattr(data_build, "FORMAT_VERSION", data_build.FORMAT_VERSION + 1)
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
    monkeypatch.setattr(data_build, "SEGMENTS_PER_SHARD", 50)
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
        settings, frames = file.getparams(), file.readframes(file.getnframes() - 1000)
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
from erc.data import build
read = build.read_waveform
def slow(*args, **kwargs):
    print("reading", flush=True)
    time.sleep(0.01)
    return read(*args, **kwargs)
build.read_waveform = slow
build.SEGMENTS_PER_SHARD = 30
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
    monkeypatch.setattr(data_build, "SEGMENTS_PER_SHARD", 50)
    write = data_build.write_shard

    def run_out_of_space(corpus_name, rows, path):
        if path.endswith("2.arrow"):
            raise OSError(28, "No space left on device", path)
        return write(corpus_name, rows, path)

    monkeypatch.setattr(data_build, "write_shard", run_out_of_space)
    with pytest.raises(OSError, match="No space left on device"):
        open_small(small, tmp_path)
    assert builds(tmp_path) == []
    monkeypatch.setattr(data_build, "write_shard", write)
    assert content(open_small(small, tmp_path)) == built[1] and debris(tmp_path) == []


def test_a_full_disk_is_found_before_the_first_byte(small, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(data_build.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 50_000_000, 50_000_000))
    with pytest.raises(
        OSError, match=r"data set of kemdy20: expected 5[\d,]+ bytes, got 50,000,000 bytes free \(/.*dataset.cache_dir="
    ):
        open_small(small, tmp_path)
    assert builds(tmp_path) == [] and debris(tmp_path) == []
    wavs = sum(path.stat().st_size for path in small.rglob("*.wav"))
    monkeypatch.setattr(
        data_build.shutil, "disk_usage", lambda path: usage(10**9, 0, 50_000_000 + int(1.05 * wavs) + 1)
    )
    assert len(open_small(small, tmp_path)) == 179  # just enough


def test_room_for_both_corpora_is_compared_before_the_first_build(corpora, tmp_path, monkeypatch):
    wavs = [path.stat().st_size for path in corpora.glob("*/wav/**/*.wav")]
    one_only = 50_000_000 + 2 * sum(wavs)
    monkeypatch.setattr(data_build.shutil, "disk_usage", lambda path: namedtuple("usage", "free")(one_only))
    with pytest.raises(
        OSError, match=r"the data set of kemdy19 and kemdy20: expected 1[\d,]+ bytes, got [\d,]+ bytes free"
    ):
        HF_KEMD(root=str(corpora), cache_dir=str(tmp_path), validation_fold=-1)
    assert builds(tmp_path) == []


def test_what_another_process_has_written_of_a_build_needs_no_room_again(small, tmp_path, built):
    (whole,) = builds(built[0])
    begun = tmp_path / f".{whole.name}.tmp-1"
    begun.mkdir()
    source = data_build.read_source("kemdy20", str((small / "KEMDy20_v1_1").resolve())).table
    build = data_build.Build(
        data_build.CORPORA["kemdy20"],
        data_build.with_checksums(data_build.CORPORA["kemdy20"], source, tmp_path),
        tmp_path,
    )
    before = build.room_needed()
    (begun / "shard-00000.arrow").write_bytes(b"x" * 1000)
    assert build.path.name == whole.name and build.room_needed() == before - 1000
