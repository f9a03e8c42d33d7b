"""Files damaged at random: every reader gives the right content or an error in our words, at once, and loses no row.

The generator is seeded, so a failure names the case that shows it. The quick run has a few hundred cases for each kind
of file, the slow one thousands.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kemd_views import MANIFEST, builds, ids, open_small

from erc.data.corpora import KEMDY19, KEMDY20
from erc.data.kemdy import read_annotations
from erc.data.manifest import ManifestError, parse_manifest
from erc.data.media import MAX_SECONDS, MediaError, read_transcript, read_waveform
from erc.synthetic import corpora as synthetic_corpora

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")

MAX_CASE_SECONDS = 5.0
"""Far above what a case takes (10 ms); what hangs or takes gigabytes is beyond."""

PIECES = [
    b'"',
    b"\n",
    b"\r",
    b",",
    b"\0",
    b";",
    b"\xff",
    b"\xef\xbb\xbf",
    b"1_0",
    b"inf",
    b"-1",
    b"../",
    b'","',
    b'"\n"',
]
PIECES += ["창".encode("cp949"), "가".encode(), b"neutral", b"1e999", b"\x1b[2J", b"9" * 400, b"Sess01_script01_F001"]


def damage_bytes(raw: bytes, rng: np.random.Generator) -> bytes:
    """One to three of: flip, cut, remove, repeat, insert."""
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(len(raw) + 1)), int(2 ** rng.uniform(0, 10))
        match rng.integers(5):
            case 0:
                raw = raw[:at] + bytes([rng.integers(256)]) + raw[at + 1 :]
            case 1:
                raw = raw[:at] if rng.random() < 0.3 else raw
            case 2:
                raw = raw[:at] + raw[at + length :]
            case 3:
                raw = raw[:at] + raw[at : at + length] + raw[at:]
            case _:
                raw = raw[:at] + PIECES[rng.integers(len(PIECES))] + raw[at:]
    return raw


def damage_lines(raw: bytes, rng: np.random.Generator) -> bytes:
    """Rows removed, repeated, exchanged, joined by quotation marks, or cut off at the end of a line."""
    lines = raw.splitlines(keepends=True)
    first, second = sorted(int(k) for k in rng.integers(2, len(lines), 2))
    match rng.integers(6):
        case 0:
            lines = lines[:first] + lines[second:]
        case 1:
            lines = lines[:second] + lines[first:]
        case 2:
            lines[first], lines[second] = lines[second], lines[first]
        case 3:
            lines = lines[:first]
        case 4:
            for k in (first, second):
                cells = lines[k].split(b",")
                cell = int(rng.integers(len(cells)))
                cells[cell] = b'"' + cells[cell] if rng.random() < 0.7 else cells[cell] + b'"'
                lines[k] = b",".join(cells)
        case _:
            cells, others = lines[first].split(b","), lines[second].split(b",")
            cell = int(rng.integers(len(cells)))
            cells[cell] = others[int(rng.integers(len(others)))] if rng.random() < 0.5 else PIECES[rng.integers(14)]
            lines[first] = b",".join(cells)
    return b"".join(lines)


def damage_header(raw: bytes, rng: np.random.Generator) -> bytes:
    """A field of a wav's header gets a value that a header may hold by accident."""
    changed = bytearray(raw)
    values = [0, 1, 2, 3, 7, 16, 255, 400, 0x7FFF, 0xFFFE, 0xFFFF, 16_001, 1_000_003, 2**31 - 1, 2**31, 2**32 - 1]
    for _ in range(rng.integers(1, 4)):
        at = int(rng.choice([4, 16, 20, 22, 24, 28, 32, 34, 40]))
        form = "<H" if at in (20, 22, 32, 34) else "<I"
        value = values[rng.integers(len(values))] if rng.random() < 0.7 else int(rng.integers(2**32))
        struct.pack_into(form, changed, at, value & (0xFFFF if form == "<H" else 0xFFFFFFFF))
    return bytes(changed)


def timed(case: int, call: Callable[[], Any], *expected: type[Exception]) -> Any:
    """What a call gives, or the error of an expected kind; fails where it takes too long."""
    before = (
        time.process_time()
    )  # of the processor: other work on the machine is no fault; what waits for ever, pytest ends
    try:
        found = call()
    except expected as err:
        found = err
    seconds = time.process_time() - before
    assert seconds < MAX_CASE_SECONDS, f"case {case} took {seconds:.1f} s"
    return found


# --- annotation files -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    synthetic_corpora.write(str(root), sessions=1, segments=2, seconds=0.5, bio=False)
    return root


def check_annotations(folder: Path, n_cases: int, seed: int) -> int:
    """Damages one annotation file after the other; gives the number of cases that were read in spite of it."""
    corpus = KEMDY19 if folder.name == "KEMDy19" else KEMDY20
    clean = read_annotations(corpus, folder)
    expected = set(clean.table["segment_id"])
    assert clean.bad == [] and len(expected) > 20
    paths = sorted((folder / "annotation").glob("*.csv"))
    originals = {path: path.read_bytes() for path in paths}
    n_read = 0
    for case in range(n_cases):
        rng = np.random.default_rng([seed, case])
        path = paths[rng.integers(len(paths))]
        how = damage_lines if rng.random() < 0.5 else damage_bytes
        path.write_bytes(how(originals[path], rng))
        found = timed(case, lambda: read_annotations(corpus, folder), ValueError)
        path.write_bytes(originals[path])
        if isinstance(found, ValueError):
            assert "annotation" in str(found).lower() and str(folder) in str(found), f"case {case}: {found}"
            continue
        n_read += 1
        left, named = set(found.table["segment_id"]), {problem.segment_id for problem in found.bad}
        assert expected <= left | named, f"case {case} lost {expected - left - named}"
        assert not left & named, f"case {case}"
        assert all(len(str(problem)) < 1500 and str(problem).isprintable() for problem in found.bad), f"case {case}"
    return n_read


@pytest.mark.parametrize("name", ["KEMDy19", "KEMDy20_v1_1"])
@pytest.mark.parametrize("n_cases", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_a_damaged_annotation_file_loses_no_row_quietly(both, tmp_path, name, n_cases):
    folder = Path(shutil.copytree(both / name, tmp_path / name))
    assert check_annotations(folder, n_cases, seed=n_cases) > n_cases / 2


# --- media ------------------------------------------------------------------------------------------------------------
def tone_bytes(n_samples: int = 8000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16_000, n_samples, "NONE", ""))
        file.writeframes((8000 * np.sin(np.arange(n_samples) / 9)).astype("<i2").tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize("n_cases", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_damaged_wav_is_a_waveform_or_one_error_and_takes_no_time(tmp_path, n_cases):
    path, original = tmp_path / "a.wav", tone_bytes()
    n_read = 0
    for case in range(n_cases):
        rng = np.random.default_rng([n_cases, case])
        path.write_bytes((damage_header if rng.random() < 0.7 else damage_bytes)(original, rng))
        found = timed(case, lambda: read_waveform(path), MediaError)
        if isinstance(found, np.ndarray):
            n_read += 1
            assert found.dtype == np.int16 and found.ndim == 1, f"case {case}"
            assert 400 <= len(found) <= MAX_SECONDS * 16_000, f"case {case}"
    assert 0 < n_read < n_cases


@pytest.mark.parametrize("n_cases", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_damaged_transcript_is_printable_text_or_one_error(tmp_path, n_cases):
    path = tmp_path / "a.txt"
    originals = ["n/ 아 친구들도? l/\n".encode("cp949"), "b/ 몰라. o/ b/ 아 몰라 어떡해. o/ \n".encode()]
    n_read = 0
    for case in range(n_cases):
        rng = np.random.default_rng([n_cases, case])
        path.write_bytes(damage_bytes(originals[case % 2], rng))
        found = timed(case, lambda: read_transcript(path), MediaError)
        if isinstance(found, str):
            n_read += 1
            assert found and not any(ord(character) < 32 or ord(character) == 127 for character in found), (
                f"case {case}"
            )
    assert 0 < n_read < n_cases


# --- builds -----------------------------------------------------------------------------------------------------------
VALUES = [None, True, -1, 0, 1.5, 10**30, "", "../x", "/etc/passwd", "shard-00000.arrow", [], {}, [[]], {"name": 1}]


def damage_json(content: Any, rng: np.random.Generator) -> Any:
    """One place in a JSON tree is removed, or gets another value."""
    places = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(content)
    node, key = places[rng.integers(len(places))]
    if rng.random() < 0.3:
        del node[key]
    else:
        node[key] = VALUES[rng.integers(len(VALUES))]
    return content


def damage_manifest(raw: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.4:
        return damage_bytes(raw, rng)
    return json.dumps(damage_json(json.loads(raw), rng)).encode()


def manifest_of(n_shards: int = 4, n_rows: int = 10) -> tuple[dict[str, Any], list[str]]:
    segment_ids = [f"s{k}" for k in range(n_shards * n_rows + 2)]
    shards = [
        {"name": f"shard-{k:05d}.arrow", "bytes": 100, "xxh3": f"{k:032x}", "n_segments": n_rows}
        for k in range(n_shards)
    ]
    bad = [
        {"where": "w", "problem": "p", "segment_id": name, "in_paper": True, "kind": "silent audio"}
        for name in segment_ids[-2:]
    ]
    facts = {"format": 1, "corpus": "kemdy20", "fingerprint": "f" * 16, "n_segments": n_shards * n_rows}
    return facts | {"shards": shards, "bad": bad}, segment_ids


@pytest.mark.parametrize("n_cases", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_damaged_manifest_describes_the_whole_table_or_is_refused(n_cases):
    content, segment_ids = manifest_of()
    raw, n_read = json.dumps(content).encode(), 0
    for case in range(n_cases):
        rng = np.random.default_rng([n_cases, case])
        text = damage_manifest(raw, rng)
        found = timed(case, lambda text=text: parse_manifest(text, "f" * 16, segment_ids), ManifestError)
        if not isinstance(found, ManifestError):
            n_read += 1
            assert sum(shard.n_segments for shard in found.shards) + len(found.bad) == len(segment_ids), f"case {case}"
            assert all("/" not in shard.name for shard in found.shards), f"case {case}"
    assert n_read < n_cases / 2  # most damage is one


@pytest.mark.parametrize("n_cases", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_a_build_with_a_damaged_file_is_made_again_or_is_right(small, cache, built, n_cases, capfd):
    (build,) = builds(cache)
    expected = list(built[1])
    n_made_again = 0
    for case in range(n_cases):
        rng = np.random.default_rng([n_cases, case])
        paths = sorted(build.iterdir())
        path = paths[rng.integers(len(paths))]
        path.write_bytes((damage_manifest if path.name == MANIFEST else damage_bytes)(path.read_bytes(), rng))
        kemd = timed(case, lambda: open_small(small, cache))
        assert ids(kemd) == expected and not kemd.bad, f"case {case}"
        n_made_again += "building it again" in capfd.readouterr().err
    assert n_made_again > n_cases / 2
