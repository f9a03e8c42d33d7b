"""``python -m erc predict``: one file, a folder of files, or a table of segments."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from erc.data import file_checksum
from erc.inference.sources import find_models, finished_runs, split_names
from erc.inference.table_rows import (
    CHUNK,
    SegmentSource,
    check_ending,
    hash_of_folder,
    list_folder,
    read_table,
    survey,
)

AUTO, NONE = "auto", "none"

MAX_FILE = 1 << 40
"""Bytes of a table, or of a model's weights."""


def file(
    audio: str,
    model: str | None = None,
    text: str | None = None,
    window: float | None = None,
    stride: float | None = None,
    transcriber: str | None = None,
    embeddings: bool = False,
    contributions: bool = False,
    json: bool = False,
    device: str | None = None,
) -> None:
    """Predicts one sound file.

    Args:
        audio: wav, flac, ogg or mp3.
        model: Folder of a finished run, a saved model or a row of a grid; several are joined by commas and averaged.
        text: What is said; ``auto``: a recogniser hears it; ``none``: the model reads audio alone.
        window: Seconds of each window; the emotions of each are told.
        stride: Seconds from one window to the next; half a window where not given.
        transcriber: Hub id or directory of the recogniser.
        embeddings: Tells the vector in front of the heads, too (with ``--json``).
        contributions: Tells what each modality adds: the prediction minus the one without it.
        json: Prints JSON.
        device: As torch names it.
    """
    predictor = _predictor(model, _is_heard(text, transcriber), transcriber, device)
    _check_none(text, predictor)
    words = None if text in (AUTO, NONE, None) else str(text)
    asked = {"return_embedding": embeddings, "return_contributions": contributions}
    answer = predictor(audio, words, window=window, stride=stride, **asked)
    if json:
        print(json_format.dumps(answer, ensure_ascii=False, indent=1, default=lambda value: value.tolist()))
        return
    print("\n".join(_lines(answer, predictor.label_space)))


def folder(
    folder: str,
    out: str,
    model: str | None = None,
    text: str = "files",
    window: float | None = None,
    stride: float | None = None,
    transcriber: str | None = None,
    embeddings: bool = False,
    contributions: bool = False,
    batch_size: int = 8,
    device: str | None = None,
) -> None:
    """Predicts every sound file below a folder, and writes a table. It goes on after a kill.

    Args:
        folder: With sound files; ``a.txt`` beside ``a.wav`` is its transcript.
        out: The table to write: .csv, .parquet or .jsonl.
        model: See ``predict file``.
        text: ``files``: the files beside the sound; ``auto``: a recogniser hears those that have none; ``none``: audio alone.
        window: Seconds of each window; a row for each, and one for the whole.
        stride: Seconds from one window to the next.
        transcriber: Hub id or directory of the recogniser.
        embeddings: Adds the column ``embedding`` (.parquet and .jsonl).
        contributions: Adds what each modality adds to score, valence and arousal: ``contribution_audio_score`` and so on.
        batch_size: Segments a batch.
        device: As torch names it.
    """
    listed = list_folder(Path(folder))
    chunks = (listed.iloc[i : i + CHUNK].reset_index(drop=True) for i in range(0, len(listed), CHUNK))
    content = {"files": hash_of_folder(Path(folder))}
    _write(Path(folder), chunks, len(listed), ["file"], content, out, model, text, transcriber,
           {"window": window, "stride": stride, "return_embedding": embeddings, "return_contributions": contributions,
            "batch_size": batch_size}, device)  # fmt: skip


def table(
    table: str,
    out: str,
    model: str | None = None,
    text: str = "column",
    window: float | None = None,
    stride: float | None = None,
    transcriber: str | None = None,
    embeddings: bool = False,
    contributions: bool = False,
    batch_size: int = 8,
    device: str | None = None,
) -> None:
    """Predicts every segment of a table, and writes the table with its predictions. It goes on after a kill.

    Args:
        table: .csv, .parquet or .jsonl with the columns file, and start, end and text where there are some.
        out: The table to write: .csv, .parquet or .jsonl.
        model: See ``predict file``.
        text: ``column``: the column text; ``auto``: a recogniser hears rows without it; ``none``: audio alone.
        window: Seconds of each window; a row for each, and one for the whole.
        stride: Seconds from one window to the next.
        transcriber: Hub id or directory of the recogniser.
        embeddings: Adds the column ``embedding`` (.parquet and .jsonl).
        contributions: Adds what each modality adds to score, valence and arousal: ``contribution_audio_score`` and so on.
        batch_size: Segments a batch.
        device: As torch names it.
    """
    path = Path(table)
    columns, n_rows = survey(path)
    content = {"table": file_checksum(path, MAX_FILE)}
    _write(path.parent, read_table(path), n_rows, columns, content, out, model, text, transcriber,
           {"window": window, "stride": stride, "return_embedding": embeddings, "return_contributions": contributions,
            "batch_size": batch_size}, device)  # fmt: skip


def _write(
    root: Path,
    chunks: Iterator[pd.DataFrame],
    n_rows: int,
    columns: list[str],
    content: dict[str, str],
    out: str,
    model: str | None,
    text: str,
    transcriber: str | None,
    options: dict[str, Any],
    device: str | None,
) -> None:
    from erc.inference.table_run import TableRun
    from erc.model import weights_checksum

    check_ending(Path(out), "The file of predictions")
    if text not in (AUTO, NONE, "files", "column"):
        raise ValueError(
            f"Transcripts come from the rows, from a recogniser, or are not read: expected --text={AUTO} or {NONE}, got {text!r}."
        )
    if options["return_embedding"] and Path(out).suffix.lower() == ".csv":
        raise ValueError(
            "Embeddings are lists of numbers, which CSV does not hold: choose an --out that ends with .parquet or .jsonl."
        )
    hears = _is_heard(text, transcriber)
    predictor = _predictor(model, hears, transcriber, device)
    _check_none(text, predictor)
    models = [weights_checksum(one) for one in find_models(split_names(model))]
    identity = content | {"models": models, "text": text, "transcriber": transcriber or ""} | options
    source = SegmentSource(root, reads_audio="audio" in predictor.modalities or hears)
    run = TableRun(predictor, source, Path(out), options, identity, columns, hears)
    n, n_failed = run.run(chunks, n_rows)
    print(f"{n - n_failed:,} of {n:,} rows predicted: {out}")
    if n_failed:
        print(f"{n_failed:,} could not be; column error says why.", file=sys.stderr)
        sys.exit(1)


def _predictor(model: str | None, hears: bool, transcriber: str | None, device: str | None) -> Any:
    if not split_names(model):
        runs = finished_runs()
        here = f" Those that are here: {', '.join(map(str, runs[:3]))}." if runs else " Train one: sh train.sh."
        raise ValueError(
            f"A prediction needs a model: expected --model=FOLDER of a finished run or a saved model, got none.{here}"
        )
    from erc.inference.predictor import Predictor  # torch takes seconds to import
    from erc.model import DEFAULT_TRANSCRIBER

    return Predictor.from_pretrained(
        split_names(model), (transcriber or DEFAULT_TRANSCRIBER) if hears else None, device
    )


def _is_heard(text: str | None, transcriber: str | None) -> bool:
    if transcriber is not None and text not in (AUTO, None):
        raise ValueError(
            f"A transcriber hears speech without a transcript: expected --text={AUTO} with it, got --text={text!r}."
        )
    return text == AUTO or (text is None and transcriber is not None)


def _check_none(text: str | None, predictor: Any) -> None:
    if text == NONE and "text" in predictor.modalities:
        raise ValueError(
            "The model reads the transcript, and nothing is put in its place: expected a model of audio alone for --text=none. In a grid "
            "these are the rows named audio_only; or give the words (--text), or let them be heard (--text=auto)."
        )


def _lines(answer: dict[str, Any], space: Any) -> list[str]:
    """What is printed of one file."""
    width = max(map(len, space.emotions))
    lines = [
        f"{one['label']:<{width}}  {one['score']:.3f}  {'#' * round(40 * one['score'])}" for one in answer["emotions"]
    ]
    for name in space.dimensions:
        lines.append(f"{name} {answer[name]:.2f} (scale {space.scale[0]:g} to {space.scale[1]:g})")
    for modality, added in answer.get("contributions", {}).items():
        rest = "".join(f", {name} {added[name]:+.2f}" for name in space.dimensions)
        lines.append(f"{modality} adds to {answer['emotions'][0]['label']} {added['score']:+.3f}{rest}")
    if answer.get("transcript_source") == "asr":
        lines.append(f"heard: {answer['text'] or '(nothing)'}")
    for one in answer.get("windows", []):
        best = one["emotions"][0]
        rest = "".join(f"  {name} {one[name]:.2f}" for name in space.dimensions)
        lines.append(f"{one['start']:7.2f} to {one['end']:7.2f} s  {best['label']:<{width}}  {best['score']:.3f}{rest}")
    return [*lines, *(f"Note: {note}" for note in answer["notes"])]
