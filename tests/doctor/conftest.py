"""A clean corpus, a spoilt copy of it, and what the doctor finds in both.

Planted files are written with the standard library, byte by byte.
"""

from __future__ import annotations

import io
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from erc.data.corpora import EMOTIONS, KEMDY19, KEMDY20, find_folder
from erc.data.kemdy import read_annotations
from erc.doctor.diagnosis import diagnose_corpus
from erc.doctor.evidence import Evidence
from erc.doctor.published import KNOWN, SESSION_SIZES


def wav_bytes(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """A mono 16-bit PCM wav."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def tone(n_samples: int = 9600, peak: float = 8000) -> np.ndarray:
    """(L,) int16; a peak above 32767 clips."""
    return np.clip(peak * np.sin(np.arange(n_samples) / 7), -32768, 32767).astype(np.int16)


def edit_row(path: Path, segment_id: str, edit) -> None:
    """Changes the cells of the one row of an annotation file that holds an id."""
    text = path.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if f",{segment_id}," in line)
    path.write_text(text.replace(row, ",".join(edit(row.split(",")))), encoding="utf-8")


LONG_TEXT = "이 문장은 열두 단어보다 길어서 두 사람이 우연히 똑같이 말할 리가 거의 없는 문장입니다 그렇죠"


@pytest.fixture(scope="session")
def clean(corpora):
    """Findings about the synthetic corpora as they are written."""
    return diagnose_corpus(corpora)


@pytest.fixture(scope="session")
def spoilt(corpora, tmp_path_factory):
    """Root of a copy with one defect per segment, and the segments that have it, by the finding's name."""
    root = tmp_path_factory.mktemp("spoilt") / "data"
    shutil.copytree(corpora, root)
    tables = {c.name: read_annotations(c, find_folder(c, root)).table for c in (KEMDY19, KEMDY20)}
    # of the selection, no known defect, and no file is taken twice
    rows = {
        name: iter(t[t["in_paper"] & ~t["segment_id"].isin(KEMDY20.silent)].itertuples()) for name, t in tables.items()
    }
    sick: dict[str, list[str]] = {}

    def take(name: str, corpus: str = "kemdy19"):
        row = next(rows[corpus])
        sick.setdefault(name, []).append(row.segment_id)
        return row

    def annotation(row) -> Path:
        if row.corpus == "kemdy19":
            return root / f"KEMDy19/annotation/Session{row.session:02d}_{row.gender}_res.csv"
        return root / f"KEMDy20_v1_1/annotation/Sess{row.session:02d}_eval.csv"

    for corpus in ("kemdy19", "kemdy20"):
        Path(take("empty audio", corpus).wav_path).write_bytes(b"")
        Path(take("unreadable audio", corpus).wav_path).write_bytes(b"this is no sound " * 200)
        path = Path(take("truncated audio", corpus).wav_path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        Path(take("silent audio", corpus).wav_path).write_bytes(wav_bytes(np.zeros(8000)))
        Path(take("short audio", corpus).wav_path).write_bytes(wav_bytes(tone(399)))
        row = take("clipped audio", corpus)
        Path(row.wav_path).write_bytes(wav_bytes(tone(int(16_000 * (row.end - row.start)), peak=200_000)))
        row = take("audio format", corpus)
        Path(row.wav_path).write_bytes(wav_bytes(tone(int(8000 * (row.end - row.start))), rate=8000))
        row = take("audio beyond annotation", corpus)
        Path(row.wav_path).write_bytes(wav_bytes(tone(int(16_000 * (row.end - row.start + 0.1)))))
        take_out = take("missing files", corpus)
        Path(take_out.wav_path).unlink()
        Path(take("undecodable transcripts", corpus).txt_path).write_bytes(b"\xff\xff\x80 \xfe")
        Path(take("empty transcripts", corpus).txt_path).write_bytes(b" \n")
        row = take("raters", corpus)
        edit_row(annotation(row), row.segment_id, lambda cells: [*cells[:-3], "", "", ""])
        row = take("rows", corpus)
        edit_row(annotation(row), row.segment_id, lambda cells: cells[:-1])
        row = take("intervals", corpus)
        edit_row(annotation(row), row.segment_id, lambda cells: [cells[0], cells[2], cells[1], *cells[3:]])
        row, emotions = take("totals", corpus), set(EMOTIONS)
        other = (emotions - {EMOTIONS[i] for i in row.emotion_ratings}).pop()
        column = {"kemdy19": 10, "kemdy20": 4}[corpus]
        edit_row(annotation(row), row.segment_id, lambda c, k=column, o=other: [*c[:k], o, *c[k + 1 :]])
    row = take("transcript encodings", "kemdy20")
    Path(row.txt_path).write_text("이것은 유니코드 문장", encoding="utf-8")
    row = take("tag-only transcripts", "kemdy20")
    Path(row.txt_path).write_bytes(b"n/ l/ b/\n")
    row = next(rows["kemdy20"])
    extra = Path(row.wav_path).with_name(f"{row.segment_id[:-3]}977.wav")
    extra.write_bytes(Path(row.wav_path).read_bytes())
    sick["extra audio"] = [extra.stem]

    # across folds: the last session's segments lie in the last fold
    last = {
        name: iter(t[t["in_paper"] & (t["session"] == t["session"].max())].itertuples()) for name, t in tables.items()
    }
    first, second = next(rows["kemdy19"]), next(last["kemdy19"])
    seconds = min(first.end - first.start, second.end - second.start) - 0.01
    Path(first.wav_path).write_bytes(wav_bytes(tone(int(16_000 * seconds), peak=7000)))
    shutil.copyfile(first.wav_path, second.wav_path)
    sick["duplicate audio"] = [first.segment_id, second.segment_id]
    first, second = next(rows["kemdy20"]), next(last["kemdy20"])
    for row in (first, second):
        Path(row.txt_path).write_bytes(f"n/ {LONG_TEXT} l/\n".encode("cp949"))
    sick["repeated text"] = [first.segment_id, second.segment_id]
    row = next(last["kemdy20"])
    moved = re.sub(r"User\d{3}[FM]_\d{3}", "User001F_901", row.segment_id)
    for path in (Path(row.wav_path), Path(row.txt_path)):
        path.rename(path.with_name(path.name.replace(row.segment_id, moved)))
    edit_row(
        annotation(row), row.segment_id, lambda cells: [moved if cell == row.segment_id else cell for cell in cells]
    )
    sick["speakers"] = ["kemdy20 User001F", f"kemdy20 session {row.session}"]
    return root, sick


@pytest.fixture(scope="session")
def found(spoilt):
    """Findings about the spoilt copy."""
    return diagnose_corpus(spoilt[0])


@pytest.fixture
def full_case():
    """Makes evidence of a whole corpus with the published counts, row by row; no files."""

    def make(corpus, exclude="paper", release=0, is_synthetic=False) -> Evidence:
        known, block = KNOWN[corpus.name, exclude], corpus.sessions_per_fold
        fold = np.repeat(range(5), known.folds)
        is_tied = np.concatenate([np.arange(n) >= u for n, u in zip(known.folds, known.folds_untied, strict=True)])
        hard_label = np.zeros(len(fold), dtype=int)
        hard_label[~is_tied] = np.repeat(range(7), known.emotions)
        table = pd.DataFrame({"fold": fold, "is_tied": is_tied, "hard_label": hard_label, "is_selected": True})
        # a session has its published size; what a fold holds beyond them is in its last session
        parts = []
        for number in range(5):
            sizes = SESSION_SIZES[corpus.name][number * block : (number + 1) * block]
            session = np.repeat(range(number * block + 1, (number + 1) * block + 1), sizes)
            inside = table[table["fold"] == number]
            n_outside = max(0, len(session) - len(inside))
            outside = pd.DataFrame(
                {"fold": number, "is_tied": False, "hard_label": 0, "is_selected": [False] * n_outside}
            )
            rows = pd.concat([inside, outside], ignore_index=True)
            session = np.concatenate([session, np.full(len(rows) - len(session), (number + 1) * block)])
            parts.append(rows.assign(session=session))
        table = pd.concat(parts, ignore_index=True).assign(corpus=corpus.name)
        sessions = list(range(1, corpus.n_sessions + 1))
        folder = Path(corpus.folders[release])
        return Evidence(corpus, folder, exclude, is_synthetic, sessions, 40, table, [], [])

    return make
