"""Rows of a table -> a table of predictions. Rows are written chunk by chunk, so a killed program goes on where it was.

While the program runs, ``<out>.parts/`` holds a Parquet file for each chunk, and ``identity.json``: what is predicted, with
which models and options. At the end the chunks become one file, and the folder goes.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from erc.files import atomic_file, write_atomically
from erc.inference.predictor import Predictor, Request
from erc.inference.table_rows import TEXT_FILE, SegmentSource

IDENTITY = "identity.json"

GIVEN = ("text", "transcript_source")
"""Columns of a table that are written anew: what the model has read."""


class TableRun:
    """Predictions of a table.

    Args:
        predictor: The models.
        source: Audio and words of the rows.
        out: The table to write: ``.csv``, ``.parquet`` or ``.jsonl``.
        options: ``batch_size``, ``window``, ``stride``, ``return_embedding`` and ``return_contributions`` of the predictor.
        identity: What the predictions depend on, as plain values.
        columns: Of the table.
        hears: Whether the transcriber hears rows without a transcript.

    Raises:
        FileExistsError: ``out`` is there already, or half of another table of predictions.
        ValueError: An option is out of its range, or the table has a column that is to be added.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: SegmentSource,
        out: Path,
        options: dict[str, Any],
        identity: dict[str, Any],
        columns: list[str],
        hears: bool,
    ) -> None:
        predictor.check_options(options["batch_size"], options["window"], options["stride"])
        self._predictor, self._source, self._out, self._options = predictor, source, out, options
        self._hears, self._windowed = hears, options["window"] is not None
        self._parts = out.with_name(f"{out.name}.parts")
        if out.exists():
            raise FileExistsError(
                f"Predictions are written once: {out} is there already. Move it, or choose another --out."
            )
        if there := [name for name in self.columns if name in columns and name not in GIVEN]:
            raise ValueError(
                f"Predictions replace no column: the table has {', '.join(there)} already. Rename these columns of the table."
            )
        self._claim(identity)

    def _claim(self, identity: dict[str, Any]) -> None:
        stored = self._parts / IDENTITY
        if stored.is_file() and any(self._parts.glob("part-*.parquet")):
            other = json.loads(stored.read_text(encoding="utf-8"))
            if differing := [name for name in identity if identity[name] != other.get(name)]:
                raise FileExistsError(
                    f"Half-done predictions go on with the same rows, models and options: {self._parts} is of others "
                    f"({', '.join(differing)}). Remove that folder, or choose another --out."
                )
        self._parts.mkdir(parents=True, exist_ok=True)
        write_atomically(stored, json.dumps(identity, indent=1, sort_keys=True) + "\n")

    def run(self, chunks: Iterator[pd.DataFrame], n_rows: int) -> tuple[int, int]:
        """Predicts what is not predicted yet, and writes the table.

        Args:
            chunks: Of the table, always the same ones.
            n_rows: In all, for the progress bar.

        Returns:
            Number of rows, and of those that could not be predicted.
        """
        n_failed = 0
        paths: list[Path] = []
        with tqdm(total=n_rows, desc="predict", unit="row") as bar:
            for number, chunk in enumerate(chunks):
                path = self._parts / f"part-{number:06d}.parquet"
                if not path.is_file():
                    with atomic_file(path) as file:
                        pq.write_table(pa.Table.from_pandas(self._predicted(chunk), preserve_index=False), file)
                errors = pq.read_table(path, columns=["error"])["error"].to_pylist()
                n_failed += sum(1 for one in errors if one)
                paths.append(path)
                bar.update(len(chunk))
        self._join(paths)
        shutil.rmtree(self._parts)
        return n_rows, n_failed

    def _predicted(self, chunk: pd.DataFrame) -> pd.DataFrame:
        """The rows of a chunk with their predictions; a row for each window where windows are asked for."""
        rows = chunk.to_dict("records")
        requests: list[Request | None] = []
        answers: list[dict[str, Any] | Exception | None] = []
        for row in rows:
            try:
                requests.append(self._request(row))
                answers.append(None)
            except (ValueError, OSError) as err:
                requests.append(None)
                answers.append(err)
        told = self._predictor.stream([one for one in requests if one is not None], **self._options)
        for i, request in enumerate(requests):
            if request is not None:
                answers[i] = next(told)
        return pd.DataFrame(
            [out for row, answer in zip(rows, answers, strict=True) for out in self._lines(row, answer)],
            columns=[*dict.fromkeys([*(name for name in chunk.columns if name != TEXT_FILE), *self.columns])],
        )

    def _request(self, row: dict[str, str]) -> Request:
        text: str | None = None
        if "text" in self._predictor.modalities:
            given = self._source.text(row)
            text = None if self._hears and not given else given
            if text == "":
                raise ValueError("The row has no transcript: give it in column text, or let it be heard (--text=auto).")
        return Request(text=text, **self._source.audio(row))

    @property
    def columns(self) -> list[str]:
        """Columns that are added to those of the table."""
        space = self._predictor.label_space
        text = ["text", "transcript_source"] if "text" in self._predictor.modalities else []
        return [
            *(["window_start", "window_end"] if self._windowed else []),
            *text,
            *("pred_emotion", "entropy"),
            *(f"prob_{emotion}" for emotion in space.emotions),
            *(f"pred_{name}" for name in space.dimensions),
            *(name for modality in self._contributing for name in self._contribution_columns(modality)),
            *(["embedding"] if self._options["return_embedding"] else []),
            *("notes", "error"),
        ]

    @property
    def _contributing(self) -> tuple[str, ...]:
        return self._predictor.modalities if self._options["return_contributions"] else ()

    def _contribution_columns(self, modality: str) -> list[str]:
        """``contribution_audio_score`` and one for each dimension, in the order of ``Predictor``'s ``contributions``."""
        return [f"contribution_{modality}_{name}" for name in ("score", *self._predictor.label_space.dimensions)]

    def _lines(self, row: dict[str, str], answer: Any) -> list[dict[str, Any]]:
        """What is written of one row: the whole, and before it each window where windows are asked for."""
        rest = {name: value for name, value in row.items() if name != TEXT_FILE}
        if isinstance(answer, Exception):
            nothing: dict[str, Any] = dict.fromkeys(self.columns, math.nan) | {
                "text": row.get("text", ""),
                "transcript_source": "",
            }
            nothing |= {"pred_emotion": "", "notes": "", "embedding": None}
            return [rest | {name: nothing[name] for name in self.columns if name in nothing} | {"error": str(answer)}]
        words = {name: answer[name] for name in ("text", "transcript_source") if name in answer}
        lines = [
            rest | words | {"window_start": one["start"], "window_end": one["end"]} | self._cells(one)
            for one in answer.get("windows", [])
            if self._windowed
        ]
        whole = {"window_start": math.nan, "window_end": math.nan} if self._windowed else {}
        return [*lines, rest | words | whole | self._cells(answer)]

    def _cells(self, answer: dict[str, Any]) -> dict[str, Any]:
        cells = {f"prob_{one['label']}": one["score"] for one in answer["emotions"]}
        cells |= {f"pred_{name}": answer[name] for name in self._predictor.label_space.dimensions}
        cells |= {"pred_emotion": answer["emotions"][0]["label"], "entropy": answer["entropy"]}
        for modality, added in answer.get("contributions", {}).items():
            cells |= dict(zip(self._contribution_columns(modality), added.values(), strict=True))
        if "embedding" in answer:
            cells["embedding"] = answer["embedding"].tolist()
        return cells | {"notes": " ".join(answer.get("notes", [])), "error": ""}

    def _join(self, paths: list[Path]) -> None:
        """Writes all chunks into one table, one after the other."""
        whole = self._parts / f"all{self._out.suffix}"  # what a kill leaves here goes with the folder
        with atomic_file(whole) as file:
            self._write(file, paths)
        os.replace(whole, self._out)

    def _write(self, file: BinaryIO, paths: list[Path]) -> None:
        if self._out.suffix.lower() == ".parquet":
            schema = pa.unify_schemas([pq.read_schema(path) for path in paths], promote_options="permissive")
            with pq.ParquetWriter(file, schema) as writer:
                for path in paths:
                    writer.write_table(pq.read_table(path).cast(schema))
            return
        write = _csv if self._out.suffix.lower() == ".csv" else _json_lines
        for number, path in enumerate(paths):
            file.write(write(pq.read_table(path).to_pandas(), number == 0).encode("utf-8"))


def _csv(table: pd.DataFrame, is_first: bool) -> str:
    return table.to_csv(index=False, header=is_first)


def _json_lines(table: pd.DataFrame, is_first: bool) -> str:
    return table.to_json(orient="records", lines=True, force_ascii=False)
