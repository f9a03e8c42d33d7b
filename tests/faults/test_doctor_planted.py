"""Planted defects: each is found by its name, and clean corpora of any size are called sound.

A small synthetic corpus is written once. Each defect is planted into a copy of it, whose files are links: a planted file
replaces its link, so that the original stays as it was.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from erc.data import EMOTIONS
from erc.doctor.diagnosis import diagnose_corpus
from erc.doctor.findings import Finding, exit_code
from erc.synthetic import write

FOLDERS = {"kemdy19": "KEMDy19", "kemdy20": "KEMDy20_v1_1"}

FIRST = {"kemdy19": 13, "kemdy20": 7}
"""Column of the first rater's emotion."""


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def wavs(folder: Path, session: int = 0) -> list[Path]:
    number = f"{session:02d}" if session else "*"
    return sorted(folder.glob(f"wav/Session{number}/**/Sess*.wav"))


def present(folder: Path) -> list[int]:
    """Sessions in ascending order."""
    return sorted(int(path.name[-2:]) for path in folder.glob("wav/Session*"))


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def rewrite(path: Path, samples: np.ndarray) -> None:
    path.unlink()
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def edit(folder: Path, change: Callable[[list[str]], None], sessions: tuple[int, ...] = ()) -> None:
    """Changes each row of the annotation files; Total columns are made to agree with the raters again."""
    first = 13 if folder.name == "KEMDy19" else 7
    for path in sorted(folder.glob("annotation/*.csv")):
        if sessions and int(re.search(r"Sess(?:ion)?(\d\d)", path.name)[1]) not in sessions:
            continue
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        for row in lines[2:]:
            change(row)
            emotions = row[first::3]
            most = max(map(emotions.count, emotions))
            row[first - 3] = ";".join(dict.fromkeys(one for one in emotions if emotions.count(one) == most))
            row[first - 2] = f"{np.mean([int(cell) for cell in row[first + 1 :: 3]]):.1f}"
            row[first - 1] = f"{np.mean([int(cell) for cell in row[first + 2 :: 3]]):.1f}"
        replace(path, "".join(",".join(row) + "\n" for row in lines).encode())


def raters(rater: int, **cells: Callable[[str], str]) -> Callable[[Path], None]:
    """Changes one rater's cells (counted from 1)."""

    def plant(folder: Path) -> None:
        start = (13 if folder.name == "KEMDy19" else 7) + 3 * (rater - 1)

        def change(row: list[str]) -> None:
            for name, do in cells.items():
                place = start + ("emotion", "valence", "arousal").index(name)
                row[place] = do(row[place])

        edit(folder, change)

    return plant


def lose_session(folder: Path) -> None:
    for path in [*folder.glob("annotation/Sess*09*"), folder / "wav/Session09"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_annotation(folder: Path) -> None:
    for path in folder.glob("annotation/Sess*09*"):
        path.unlink()


def lose_wavs(folder: Path) -> None:
    shutil.rmtree(folder / "wav/Session09")


def lose_row(folder: Path) -> None:
    for path in folder.glob("annotation/Sess*09*"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        replace(path, "".join(lines[:-4]).encode())


def add_wav(folder: Path) -> None:
    one = wavs(folder, 9)[0]
    shutil.copyfile(one, one.with_name(one.name[:-7] + "977.wav"))


def exchange_sessions(folder: Path) -> None:
    """Files of session 1 under the ids of session 9, and the reverse, where both have the place."""

    def places(session: int) -> dict[tuple, Path]:
        found = {}
        speakers = sorted({path.stem[16:24] for path in wavs(folder, session)})
        for path in wavs(folder, session):
            who = speakers.index(path.stem[16:24]) if folder.name != "KEMDy19" else path.stem[-4]
            found[path.stem[7:15], who, path.stem[-3:]] = path
        return found

    one, two = places(present(folder)[0]), places(9)
    for place in set(one) & set(two):
        first, second = one[place].read_bytes(), two[place].read_bytes()
        replace(one[place], second)
        replace(two[place], first)


def exchange_speakers(folder: Path) -> None:
    """In one session, the wavs of the two speakers."""
    for path in wavs(folder, 9):
        if path.stem[-4] == "F" and (other := path.with_name(path.name.replace("_F", "_M"))).exists():
            first, second = path.read_bytes(), other.read_bytes()
            replace(path, second)
            replace(other, first)


def one_wav(change: Callable[[np.ndarray], np.ndarray], n: int = 1) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        for path in wavs(folder, 9)[0 if n > 1 else 5 :][:n]:
            rewrite(path, change(read(path)))

    return plant


def limit(samples: np.ndarray) -> np.ndarray:
    bound = 0.35 * min(30_000, abs(samples.astype(int)).max())
    return samples.clip(-bound, bound)


def texts(change: Callable[[str], bytes], n: int = 3) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        paths = [path.with_suffix(".txt") for path in wavs(folder, 9)]
        encoding = "utf-8" if folder.name == "KEMDy19" else "cp949"
        paths = [path for path in paths if re.search("[가-힣]{2}", path.read_bytes().decode(encoding))]
        for path in paths[3 : 3 + n]:
            replace(path, change(path.read_bytes().decode(encoding)))

    return plant


def shift_labels(folder: Path) -> None:
    """In the second fold, nine segments in ten are neutral by all raters."""
    rng = np.random.default_rng(0)
    first = 13 if folder.name == "KEMDy19" else 7

    def change(row: list[str]) -> None:
        if rng.random() < 0.8:
            row[first::3] = ["neutral"] * 10

    edit(folder, change, sessions=(5, 6, 7, 8) if first == 13 else tuple(range(9, 17)))


def shift_valence(folder: Path) -> None:
    first = 13 if folder.name == "KEMDy19" else 7

    def change(row: list[str]) -> None:
        row[first + 1 :: 3] = [str(min(5, int(cell) + 2)) for cell in row[first + 1 :: 3]]

    edit(folder, change, sessions=(5, 6, 7, 8) if first == 13 else tuple(range(9, 17)))


def exchange_scales(folder: Path) -> None:
    first = 13 if folder.name == "KEMDy19" else 7

    def change(row: list[str]) -> None:
        row[first + 1 :: 3], row[first + 2 :: 3] = row[first + 2 :: 3], row[first + 1 :: 3]

    edit(folder, change)


def invert_valence(folder: Path) -> None:
    first = 13 if folder.name == "KEMDy19" else 7

    def change(row: list[str]) -> None:
        row[first + 1 :: 3] = [str(6 - int(cell)) for cell in row[first + 1 :: 3]]

    edit(folder, change)


def shift_scale(folder: Path) -> None:
    first = 13 if folder.name == "KEMDy19" else 7

    def change(row: list[str]) -> None:
        row[first + 2 :: 3] = [str(max(1, int(cell) - 1)) for cell in row[first + 2 :: 3]]

    edit(folder, change)


def exchange_emotions(folder: Path) -> None:
    first = 13 if folder.name == "KEMDy19" else 7
    swap = {"happy": "angry", "angry": "happy"}

    def change(row: list[str]) -> None:
        row[first::3] = [swap.get(cell, cell) for cell in row[first::3]]

    edit(folder, change)


def duplicate(second: int) -> Callable[[Path], None]:
    """One wav of the first session under an id of another one, counted among the sessions that are there."""

    def plant(folder: Path) -> None:
        sessions = present(folder)
        first, other = wavs(folder, sessions[0])[5], wavs(folder, sessions[second])[7]
        rewrite(other, read(first))

    return plant


def noise(samples: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).integers(-1, 2, len(samples))


NEXT = {emotion: EMOTIONS[(k + 1) % 7] for k, emotion in enumerate(EMOTIONS)} | {"disqust": "surprise"}


def copy_session(folder: Path) -> None:
    """The ratings of the first session's file stand in session 9's, row by row."""
    first = FIRST["kemdy19" if folder.name == "KEMDy19" else "kemdy20"]
    for path in sorted(folder.glob("annotation/Sess*09*")):
        source = path.with_name(path.name.replace("09", f"{present(folder)[0]:02d}"))
        rows = [line.split(",") for line in source.read_text(encoding="utf-8").splitlines()][2:]
        lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        for row, other in zip(lines[2:], rows, strict=False):
            row[first - 3 :] = other[first - 3 :]
        replace(path, "".join(",".join(row) + "\n" for row in lines).encode())


def copy_rater(folder: Path) -> None:
    first = FIRST["kemdy19" if folder.name == "KEMDy19" else "kemdy20"]

    def change(row: list[str]) -> None:
        row[first + 6 : first + 9] = row[first : first + 3]

    edit(folder, change)


def one_text(folder: Path) -> None:
    paths = [path.with_suffix(".txt") for path in wavs(folder, 9)]
    content = max((path.read_bytes() for path in paths), key=len)
    for path in paths:
        replace(path, content)


def swap_bytes(samples: np.ndarray) -> np.ndarray:
    return samples.astype("<i2").byteswap()


def one_value(first_column: int, value: str) -> Callable[[Path], None]:
    """All ten raters give one value in session 9: of emotion (0) or valence (1)."""

    def plant(folder: Path) -> None:
        start = FIRST["kemdy19" if folder.name == "KEMDy19" else "kemdy20"] + first_column

        def change(row: list[str]) -> None:
            row[start::3] = [value] * 10

        edit(folder, change, sessions=(9,))

    return plant


def one_vote(folder: Path) -> None:
    """In session 9, the other raters have the first one's ratings."""
    first = FIRST["kemdy19" if folder.name == "KEMDy19" else "kemdy20"]

    def change(row: list[str]) -> None:
        row[first:] = row[first : first + 3] * 10

    edit(folder, change, sessions=(9,))


def lose_emotion(folder: Path) -> None:
    first = FIRST["kemdy19" if folder.name == "KEMDy19" else "kemdy20"]

    def change(row: list[str]) -> None:
        row[first::3] = ["neutral" if cell in ("disgust", "disqust") else cell for cell in row[first::3]]

    edit(folder, change)


def only_tags(folder: Path) -> None:
    for path in wavs(folder, 9):
        replace(path.with_suffix(".txt"), b"n/ l/\n")


def other_letter(folder: Path) -> None:
    """The other letter for the sex of session 9's first speaker, in the ids and the file names."""
    who = wavs(folder, 9)[0].name[16:24]
    other = who[:-1] + ("M" if who[-1] == "F" else "F")
    for path in list(folder.glob("wav/Session09/*")):
        path.rename(path.with_name(path.name.replace(who, other)))
    for path in folder.glob("annotation/Sess09*"):
        replace(path, path.read_bytes().replace(who.encode(), other.encode()))


BOTH = ("kemdy19", "kemdy20")
LATER = ("kemdy20",)
"""What is found after the files are read, where both corpora are alike: one of them is enough. Encodings and names of raters
are not alike."""

DEFECTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...], str, str]] = {
    "a session is missing": (lose_session, BOTH, "sessions", "session 9: neither"),
    "annotation files are missing": (lose_annotation, BOTH, "sessions", "session 9: wavs without an annotation"),
    "wavs of a session are missing": (lose_wavs, BOTH, "sessions", "session 9: an annotation file without wavs"),
    "rows are cut off": (lose_row, BOTH, "extra audio", r"\d wavs? without an annotation row"),
    "a wav is too many": (add_wav, BOTH, "extra audio", "977.wav"),
    "sessions are exchanged": (exchange_sessions, BOTH, "exchanged audio", r"fit the intervals of session \d"),
    "speakers are exchanged": (exchange_speakers, ("kemdy19",), "exchanged audio", "session 9|speaker Sess09"),
    "a quarter of a wav": (one_wav(lambda x: x[: len(x) // 4]), LATER, "audio short of annotation", "1 segment"),
    "twice a wav": (one_wav(lambda x: np.tile(x, 2)), LATER, "audio beyond annotation", "1 segment"),
    "noise of one step": (one_wav(noise), LATER, "audio without signal", "noise of a step"),
    "a constant wav": (one_wav(lambda x: np.full(len(x), 900)), LATER, "audio without signal", "constant"),
    "a faint wav": (one_wav(lambda x: np.rint(x * (30 / abs(x).max()))), LATER, "faint audio", "dB below"),
    "an offset": (one_wav(lambda x: x // 8 + 12_000), LATER, "audio offset", "constant part of 1[12]"),
    "a session is limited": (one_wav(limit, 40), LATER, "limited audio", "session 9"),
    "exchanged bytes": (one_wav(swap_bytes), ("kemdy19",), "noise audio", "1 segment"),
    "a wav that is half empty": (
        one_wav(lambda x: np.where(np.arange(len(x)) < len(x) // 3, x, 0)),
        ("kemdy20",),
        "partly silent audio",
        "6[0-9] % of the samples are zero",
    ),
    "a session made quiet": (one_wav(lambda x: x // 32, 500), ("kemdy19",), "session level", "session (9|10)"),
    "ratings of another session": (copy_session, BOTH, "copied ratings", "session 9: .* ratings of another"),
    "a rater is a copy": (copy_rater, LATER, "copied ratings", "rater 3.* equals Eval"),
    "one text for a session": (one_text, LATER, "exchanged transcripts", "session 9: .* are one text"),
    "text encoded twice": (
        texts(lambda text: text.encode().decode("latin-1").encode()),
        BOTH,
        "garbled transcripts",
        "[23] segments",  # text with control characters is refused by the reader, under "undecodable transcripts"
    ),
    "text of CP949 as Latin": (
        texts(lambda text: text.encode("cp949").decode("latin-1").encode()),
        BOTH,
        "garbled transcripts",
        "3 segments",
    ),
    "text of UTF-8 as CP949": (
        texts(lambda text: text.encode().decode("cp949", "replace").encode()),
        BOTH,
        "garbled transcripts",
        "3 segments",
    ),
    "letters lost": (
        texts(lambda text: re.sub("[가-힣]", "\ufffd", text).encode()),
        BOTH,
        "garbled transcripts",
        "U.FFFD",
    ),
    "question marks": (texts(lambda text: text.encode("ascii", "replace")), BOTH, "garbled transcripts", "3 segments"),
    "another language": (texts(lambda text: b"hello there\n", 20), LATER, "transcripts without Hangul", "20 segments"),
    "labels of a fold": (shift_labels, ("kemdy19",), "label shift", "fold 1: total variation"),
    "valence of a fold": (shift_valence, LATER, "label shift", "fold 1: mean valence"),
    "valence and arousal exchanged": (exchange_scales, LATER, "valence and arousal", "exchanged in the corpus"),
    "valence inverted": (invert_valence, LATER, "valence and arousal", "valence is inverted"),
    "arousal shifted": (shift_scale, LATER, "valence and arousal", r"arousal is shifted by -[01]\."),
    "happy and angry exchanged": (
        exchange_emotions,
        LATER,
        "valence and arousal",
        "(happy|angry): mean valence|inverted",
    ),
    "a constant rater": (raters(3, valence=lambda _: "3"), BOTH, "rater agreement", "Eval0?3.*rater 3.*constant"),
    "an inverted rater": (
        raters(4, valence=lambda cell: str(6 - int(cell))),
        LATER,
        "rater agreement",
        "rater 4.*valence is inverted",
    ),
    "a shifted rater": (
        raters(5, arousal=lambda cell: str(max(1, int(cell) - 2))),
        LATER,
        "rater agreement",
        "rater 5.*arousal is shifted",
    ),
    "a rater of one emotion": (raters(6, emotion=lambda _: "sad"), LATER, "rater agreement", "rater 6.*emotion sad"),
    "a rater of other emotions": (raters(7, emotion=NEXT.get), LATER, "rater agreement", "rater 7.*contradict"),
    "one valence in a session": (one_value(1, "3"), LATER, "rater agreement", r"\(session 9\) are constant: valence 3"),
    "one emotion in a session": (one_value(0, "sad"), LATER, "rater agreement", r"\(session 9\) .* emotion sad"),
    "one vote for ten in a session": (one_vote, LATER, "copied ratings", "sessions 9. equals"),
    "an emotion is lost": (lose_emotion, LATER, "rater agreement", "never gave disgust"),
    "only tags in a session": (only_tags, LATER, "tag-only transcripts", "Most of the session: 9"),
    "a wrong letter for the sex": (other_letter, ("kemdy20",), "speaker sex", r"session 9\) sounds"),
    "audio twice in two folds": (duplicate(5), BOTH, "duplicate audio", "1 of them in two folds"),
}


def by_name(findings: list[Finding], name: str) -> Finding:
    (finding,) = [one for one in findings if one.name == name]
    return finding


EVERY_DAY = (
    "a session is missing",
    "annotation files are missing",
    "sessions are exchanged",
    "text encoded twice",
)

CASES = [
    pytest.param(
        defect,
        corpus,
        id=f"{defect}-{corpus}",
        # some defects in one corpus are enough for every day
        marks=[] if corpus == names[-1] and defect in EVERY_DAY else [pytest.mark.slow],
    )
    for defect, (_, names, _, _) in DEFECTS.items()
    for corpus in names
]


@pytest.mark.parametrize(("defect", "corpus"), CASES)
def test_a_planted_defect_is_found_by_its_name(defect, corpus, corpora, tmp_path):
    plant, _, name, said = DEFECTS[defect]
    shutil.copytree(corpora / FOLDERS[corpus], tmp_path / FOLDERS[corpus], copy_function=os.link)
    plant(tmp_path / FOLDERS[corpus])
    findings = diagnose_corpus(tmp_path, corpus)
    finding = by_name(findings, name)
    assert finding.severity in ("warning", "problem"), finding
    assert re.search(said, f"{finding.got} {finding.expected} {' '.join(finding.where)}"), finding
    assert exit_code(findings) > 0 and finding.advice
    shutil.rmtree(tmp_path)


@pytest.mark.slow
def test_the_planted_corpora_were_sound_before(corpora):
    findings = diagnose_corpus(corpora)
    assert [one for one in findings if one.severity in ("warning", "problem")] == []


@pytest.mark.slow
@pytest.mark.parametrize("second", [0, 1], ids=["one session", "two sessions of a fold"])
def test_a_duplicate_within_one_fold_is_no_leak(second, corpora, tmp_path):
    shutil.copytree(corpora / FOLDERS["kemdy19"], tmp_path / FOLDERS["kemdy19"], copy_function=os.link)
    duplicate(second)(tmp_path / FOLDERS["kemdy19"])
    finding = by_name(diagnose_corpus(tmp_path, "kemdy19"), "duplicate audio")
    assert finding.severity == "warning" and "does not hear" in finding.advice


@pytest.mark.parametrize(
    ("sessions", "segments", "seed"),
    [
        (1, 2, 0),
        (1, 5, 1),
        (2, 3, 2),
        pytest.param(5, 2, 3, marks=pytest.mark.slow),
        pytest.param(2, 20, 9, marks=pytest.mark.slow),
    ],
)
def test_a_clean_corpus_of_any_size_is_sound(sessions, segments, seed, tmp_path):
    write(root=str(tmp_path), sessions=sessions, segments=segments, seed=seed, seconds=0.6, bio=False)
    for note in ("with", "without"):
        findings = diagnose_corpus(tmp_path)
        assert [one for one in findings if one.severity in ("warning", "problem")] == [], note
        assert exit_code(findings) == 0
        for path in tmp_path.glob("*/SAMPLE_CORPUS.txt"):  # then it could be taken for the published one
            path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sessions", "segments", "seconds", "seed"), [(1, 12, 0.6, 21), (2, 5, 1.0, 22), (10, 3, 1.5, 23), (40, 2, 0.5, 24)]
)
def test_a_clean_corpus_of_any_seed_is_sound_alone_too(sessions, segments, seconds, seed, tmp_path):
    write(root=str(tmp_path), sessions=sessions, segments=segments, seed=seed, seconds=seconds, bio=False)
    for name in ("kemdy19-kemdy20", "kemdy19", "kemdy20"):
        findings = diagnose_corpus(tmp_path, name, exclude="none" if seed % 2 else "paper")
        assert [one for one in findings if one.severity in ("warning", "problem")] == [], name
        assert exit_code(findings) == 0
