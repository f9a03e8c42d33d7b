"""A corpus is known by its content: a copy with other times is the same, a changed byte makes it another."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from kemd_views import builds, content, open_small, wav_of

from erc.data import build as data_build, checksums
from erc.data.build import corpora_fingerprint
from erc.training import identify

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")

SEGMENT = "Sess12_script02_User081F_001"


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Files of a corpus that are read for their checksums."""
    found: list[str] = []
    checksum = checksums.file_checksum
    monkeypatch.setattr(checksums, "file_checksum", lambda path, most: found.append(path) or checksum(path, most))
    return found


def copied_without_times(root: Path, to: Path) -> Path:
    shutil.copytree(root, to, copy_function=shutil.copyfile)
    for path in to.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return to


def fingerprint(root: Path, cache: Path) -> str:
    data_build.read_source.cache_clear()
    return corpora_fingerprint("kemdy20", str(root), str(cache))


def test_a_copy_without_times_is_the_same_corpus(small, cache, built, tmp_path, capfd, reads):
    before = open_small(small, cache).fingerprint
    copy = copied_without_times(small, tmp_path / "copy")
    kemd = open_small(copy, cache)
    assert kemd.fingerprint == before and content(kemd) == built[1]
    assert "Building" not in capfd.readouterr().err and len(builds(cache)) == 1
    assert len(reads) == 2 * len(kemd)  # once
    # and so is a run on it
    assert identify({"seed": 1}, kemd.fingerprint) == identify({"seed": 1}, before)
    # with another cache, too, where nothing of the corpus is known
    assert fingerprint(copy, tmp_path / "other") == before


def test_a_known_corpus_is_not_read_again(small, tmp_path, reads):
    first = fingerprint(small, tmp_path)
    assert len(reads) == 2 * 179
    reads.clear()
    checksums._parse.cache_clear()  # as in a new process
    assert fingerprint(small, tmp_path) == first and reads == []


@pytest.mark.parametrize("kind", ["wav", "txt"])
def test_a_changed_byte_with_another_time_is_another_corpus(changeable, tmp_path, kind, reads):
    first = fingerprint(changeable, tmp_path / "cache")
    path = wav_of(changeable, SEGMENT).with_suffix(f".{kind}")
    original, status = path.read_bytes(), path.stat()
    path.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    reads.clear()
    changed = fingerprint(changeable, tmp_path / "cache")
    assert changed != first and reads == [str(path)]  # that file alone
    # the old content with a third time is the old corpus
    path.write_bytes(original)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 2_000_000_000))
    assert fingerprint(changeable, tmp_path / "cache") == first
    # what the fast way cannot find: same size, same time
    path.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(changeable, tmp_path / "cache") == first


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"format": 1}', '{"format": 1, "checksums": {"a": 5}}']
)
def test_damaged_checksums_are_said_and_the_corpus_is_read_again(small, tmp_path, text, reads, capfd):
    first = fingerprint(small, tmp_path)
    kept = tmp_path / "checksums-kemdy20.json"
    kept.write_text(text, encoding="utf-8")
    reads.clear()
    assert fingerprint(small, tmp_path) == first and len(reads) == 2 * 179
    assert f"{kept} is damaged" in capfd.readouterr().err
    assert len(json.loads(kept.read_text(encoding="utf-8"))["checksums"]) == 2 * 179


def test_a_cache_that_cannot_be_written_is_said_and_gives_the_same_fingerprint(small, tmp_path, capfd):
    (tmp_path / "file").write_text("no folder")
    assert fingerprint(small, tmp_path / "file" / "cache") == fingerprint(small, tmp_path / "cache")
    assert "358 files will be read again at the next start" in capfd.readouterr().err


def test_a_bad_segment_is_named_where_the_copy_has_it(changeable, tmp_path):
    wav_of(changeable, SEGMENT).write_bytes(b"no sound")
    open_small(changeable, tmp_path / "cache", on_bad_segment="skip")
    copy = copied_without_times(changeable, tmp_path / "copy")
    (bad,) = open_small(copy, tmp_path / "cache", on_bad_segment="skip").bad
    assert bad.where == str(wav_of(copy.resolve(), SEGMENT)) and len(builds(tmp_path / "cache")) == 1
