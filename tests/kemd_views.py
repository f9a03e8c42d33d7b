"""Small corpora, their data sets, and a second way to what the data sets must hold: for test_datasets and test_build.

The second way reads the files with the standard library alone (``csv``, ``wave``). ``small`` is 179 segments of KEMDy20
in one build; tests that damage something take a copy of it.
"""

from __future__ import annotations

import csv
import shutil
import wave
from collections import namedtuple
from pathlib import Path

import pytest

from erc.data import build as data_build
from erc.data.build import MANIFEST
from erc.datasets import HF_KEMD
from erc.synthetic import corpora as synthetic_corpora

EMOTIONS = ["surprise", "fear", "angry", "neutral", "happy", "sad", "disgust"]  # the paper's order
PAPER_DROPS = "Sess01_impro03 Sess01_impro04 Sess03_script04 Sess06_script02 Sess07_script02".split()

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
@pytest.fixture
def as_in_a_new_process():
    """Annotations are read once per process; the tests change files meanwhile."""
    data_build.read_source.cache_clear()


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """One session of KEMDy20 per fold (1, 12, 17, 25, 33), short segments."""
    root = tmp_path_factory.mktemp("small")
    synthetic_corpora.write(root=str(root), sessions=5, segments=3, seconds=0.5, corpora="kemdy20", bio=False)
    return root


@pytest.fixture(scope="session")
def nineteen(tmp_path_factory) -> Path:
    """Session 3 of KEMDy19: a mis-numbered F001, a dialogue that the paper drops, one segment without files."""
    root = tmp_path_factory.mktemp("nineteen")
    synthetic_corpora.write(root=str(root), sessions=1, segments=2, seconds=0.5, corpora="kemdy19", bio=False)
    return root


def open_small(root: Path, cache: Path, **kwargs) -> HF_KEMD:
    """All of KEMDy20, unless told otherwise."""
    return HF_KEMD(
        **{"dataset_name": "kemdy20", "validation_fold": -1, "root": str(root), "cache_dir": str(cache)} | kwargs
    )


@pytest.fixture(scope="session")
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
    """What is neither a build, nor a lock, nor the file of checksums."""
    kept = {*builds(cache), *cache.glob("checksums-*.json")}
    return sorted(path.name for path in cache.iterdir() if path not in kept and path.suffix != ".lock")


def wav_of(root: Path, segment_id: str) -> Path:
    return root / "KEMDy20_v1_1/wav" / f"Session{segment_id[4:6]}" / f"{segment_id}.wav"
