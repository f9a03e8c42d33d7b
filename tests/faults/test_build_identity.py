"""A build holds all rows of its table, lies in its own folder, and is another one where its content would be another."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from datasets import Features, Value
from kemd_views import MANIFEST, builds, content, debris, ids, open_small

from erc.data import build as data_build
from erc.data.build import Build, read_source
from erc.data.checksums import with_checksums
from erc.data.corpora import KEMDY20

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")


def edit_manifest(cache: Path, change) -> Path:
    (build,) = builds(cache)
    manifest = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (build / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return build


def drop_shard(manifest: dict) -> None:
    manifest["n_segments"] -= manifest["shards"].pop()["n_segments"]


def call_a_row_bad(manifest: dict) -> None:
    """As many as the table has, by a row that is counted less and called bad."""
    manifest["shards"][-1]["n_segments"] -= 1
    manifest["n_segments"] -= 1
    manifest["bad"].append(
        {"where": "x", "problem": "x", "segment_id": "Sess12_script02_User081F_001", "in_paper": False, "kind": None}
    )


def lead_out(manifest: dict) -> None:
    manifest["shards"][0]["name"] = "../outside.arrow"


EDITS = {
    "a shard dropped": drop_shard,
    "a row called bad": call_a_row_bad,
    "a shard outside": lead_out,
    "a shard twice": lambda m: m["shards"].__setitem__(1, m["shards"][0]),
    "two shards exchanged": lambda m: m["shards"].reverse(),
    "no shards": lambda m: m.pop("shards"),
    "shards null": lambda m: m.__setitem__("shards", None),
    "a shard a number": lambda m: m["shards"].__setitem__(0, 5),
    "no checksum": lambda m: m["shards"][0].pop("xxh3"),
    "bytes a text": lambda m: m["shards"][0].__setitem__("bytes", "12"),
    "rows a boolean": lambda m: m["shards"][0].__setitem__("n_segments", True),
    "no bad": lambda m: m.pop("bad"),
    "bad of strangers": lambda m: m["bad"].append({"where": "x"}),
    "a name that is no text": lambda m: m["shards"][0].__setitem__("name", ["a"]),
}


@pytest.fixture
def sharded(small, tmp_path, monkeypatch) -> Path:
    """A cache with a build of four shards."""
    monkeypatch.setattr(data_build, "SEGMENTS_PER_SHARD", 50)
    open_small(small, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.mark.parametrize("edit", EDITS)
def test_a_manifest_that_does_not_hold_the_table_leads_to_a_new_build(small, sharded, built, capfd, edit):
    build = edit_manifest(sharded, EDITS[edit])
    shutil.copy(build / "shard-00000.arrow", build.parent / "outside.arrow")
    capfd.readouterr()
    assert content(open_small(small, sharded)) == built[1]
    told = capfd.readouterr().err
    assert f"{build} is damaged" in told and "building it again" in told
    (sharded / "outside.arrow").unlink()
    assert builds(sharded) == [build] and debris(sharded) == []


def test_a_deeply_nested_manifest_is_damaged_and_no_crash(small, cache, built, capfd):
    (build,) = builds(cache)
    (build / MANIFEST).write_bytes(b"[" * 200_000)
    assert content(open_small(small, cache)) == built[1]
    assert "it is no JSON" in capfd.readouterr().err


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: path.mkdir(), lambda p: p.symlink_to(p)])
@pytest.mark.parametrize("name", [MANIFEST, "shard-00000.arrow", ""])
def test_a_build_whose_files_are_no_files_is_made_again(small, cache, built, make, name):
    (build,) = builds(cache)
    target = build / name if name else build
    shutil.rmtree(target) if not name else target.unlink()
    make(target)
    assert content(open_small(small, cache)) == built[1]
    assert builds(cache) == [build]


def test_a_shard_that_was_cut_is_found_by_its_size_before_it_is_mapped(small, cache, built, monkeypatch):
    """Reading a mapped file behind its end would kill the process (SIGBUS)."""
    (shard,) = builds(cache)[0].glob("*.arrow")
    os.truncate(shard, shard.stat().st_size - 4096)
    checksums: list[Path] = []
    checksum = data_build.file_checksum
    monkeypatch.setattr(data_build, "file_checksum", lambda path, most: checksums.append(path) or checksum(path, most))
    assert content(open_small(small, cache)) == built[1]
    assert shard not in checksums  # only the new build's, in its temporary folder


# --- R9: other content, another key -----------------------------------------------------------------------------------
def key(table, corpus=KEMDY20) -> str:
    return Build(corpus, table, Path()).fingerprint


def test_other_rows_another_format_or_other_columns_give_another_key(small, tmp_path, monkeypatch):
    table = read_source("kemdy20", str((small / "KEMDy20_v1_1").resolve())).table
    table = with_checksums(KEMDY20, table, tmp_path)
    keys = {key(table)}
    assert key(table) in keys  # the same again
    keys.add(key(table.head(4)))  # num_data=4
    keys.add(key(table.head(5)))
    for column in ("votes", "valence", "start", "wav_bytes", "wav_xxh3", "txt_bytes", "txt_xxh3", "in_paper"):
        changed = table.copy()
        value = changed[column].iloc[0]
        other = [9, *value[1:]] if column == "votes" else "0" * 32 if column.endswith("xxh3") else value + 1
        changed[column] = [other, *changed[column].iloc[1:]]
        keys.add(key(changed))
    for column in ("wav_mtime_ns", "txt_mtime_ns", "wav_path", "txt_path"):  # a copy elsewhere, without times
        assert key(table.assign(**{column: table[column].iloc[::-1].to_numpy()})) == key(table)
    monkeypatch.setattr(data_build, "FORMAT_VERSION", data_build.FORMAT_VERSION + 1)  # other code that writes
    keys.add(key(table))
    monkeypatch.undo()
    monkeypatch.setattr(data_build, "FEATURES", Features(data_build.FEATURES | {"new": Value("string")}))
    keys.add(key(table))
    assert len(keys) == 13


def test_a_debug_build_is_never_taken_for_the_whole_one(small, tmp_path, built):
    assert len(open_small(small, tmp_path, num_data=4)) == 4
    assert ids(open_small(small, tmp_path)) == list(built[1])
    assert len(builds(tmp_path)) == 2


def test_no_processor_stands_between_the_files_and_the_build(small, tmp_path, built):
    """A feature extractor, a tokeniser and a maximal length act on the batch: one build serves all of them."""
    kemd = open_small(small, tmp_path, transcript="clean")
    assert kemd.fingerprint == open_small(small, tmp_path).fingerprint and len(builds(tmp_path)) == 1
    names = set(kemd.ds.column_names)
    assert {"waveform", "transcript"} <= names and not names & {"input_values", "input_ids", "attention_mask"}
