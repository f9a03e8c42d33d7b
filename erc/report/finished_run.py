"""One finished run folder: ``result.json``, and its other files, each checked when it is read."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from erc.data import Mode, label_space_of
from erc.evaluation import read_predictions
from erc.labels import LabelSpace
from erc.training import open_view, read_config

if TYPE_CHECKING:
    from erc.datasets import SegmentDataset

AGAIN = "Put the file back, or move the cell's folder away and train it again."


@dataclass
class Run:
    """One finished cell."""

    folder: Path
    result: dict
    """Content of ``result.json``."""

    @cached_property
    def label_space(self) -> LabelSpace:
        """What the raters of its corpora were asked."""
        return label_space_of(self.result)

    @property
    def cell(self) -> str:
        """Row and folder, ``<row>/fold<k>-seed<s>``: the cell's name within its grid."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """``predictions.csv``; ``dialogue`` reads ``<corpus>:<dialogue>`` here, which is unique over both corpora.

        Raises:
            ValueError: The file is not there, or is damaged.
        """
        path = self.folder / "predictions.csv"
        try:
            table = read_predictions(path, self.label_space, self.result.get("predictions_sha256", ""))
        except ValueError as err:
            raise ValueError(f"Predictions must be those that the run wrote: {path}: {err}. {AGAIN}") from err
        return table.assign(dialogue=table["corpus"] + ":" + table["dialogue"])

    @property
    def embeddings(self) -> np.ndarray:
        """(N, D) vectors in front of the heads, in the order of ``predictions``; read anew each time, since they are large.

        Raises:
            FileNotFoundError: The run has no ``embeddings.npz``.
            ValueError: The file is damaged, lacks a segment of ``predictions.csv``, or holds values that are not finite.
        """
        path = self.folder / "embeddings.npz"
        if not path.is_file():
            raise FileNotFoundError(
                f"An embedding map needs the embeddings of every finished cell: {path} is not there. "
                "Remove the cell's result.json and train it again, or map another row (--row)."
            )
        return self._read_vectors(path)

    @property
    def untrained_embeddings(self) -> np.ndarray | None:
        """(N, D) the same vectors before training; None where the run has not kept them. Errors as ``embeddings``."""
        path = self.folder / "embeddings_untrained.npz"
        return self._read_vectors(path) if path.is_file() else None

    def _read_vectors(self, path: Path) -> np.ndarray:
        try:
            with np.load(path, allow_pickle=False) as stored:
                ids, vectors = stored["segment_id"], stored["embedding"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as err:
            raise ValueError(
                f"Embeddings must be those that the run wrote: {path} is damaged ({err}). {AGAIN}"
            ) from err
        if vectors.ndim != 2 or ids.shape != vectors.shape[:1] or vectors.dtype.kind != "f":
            raise ValueError(f"Embeddings must be a vector for each segment: {path} holds others. {AGAIN}")
        place = pd.Index(ids).get_indexer(self.predictions["segment_id"])
        if (place < 0).any():
            raise ValueError(
                f"Embeddings and predictions must be of the same segments: {int((place < 0).sum())} of {len(place)} in "
                f"predictions.csv have no embedding in {path}. Train the cell again."
            )
        if not np.isfinite(vectors[place]).all():
            raise ValueError(f"Embeddings must be finite: {path} holds NaN or infinite values. Train the cell again.")
        return vectors[place]

    def dataset(self, mode: Mode = "test", **changes: Any) -> SegmentDataset:
        """The data set of this run, with every dataset option of its ``config.yaml`` and with its protocol.

        A relative ``root``, ``path`` or ``cache_dir`` is relative to the working directory, as it was for the run.

        Args:
            mode: ``test`` for the segments that the run was scored on; ``train`` or ``valid``.
            changes: Arguments of the data set that replace the run's own.

        Raises:
            FileNotFoundError: The run has no ``config.yaml``, or its corpora are not there.
            ValueError: ``config.yaml`` is damaged.
        """
        path = self.folder / "config.yaml"
        if not path.is_file():
            raise FileNotFoundError(
                f"The data of a run are found through its configuration: {path} is not there. Put the file back, or train "
                "the cell again."
            )
        return open_view(read_config(self.folder), mode, **changes)
