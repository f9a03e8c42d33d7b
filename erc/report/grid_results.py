"""Run folders -> rows of the table: ``<grid>/<row>/fold<k>-seed<s>/`` with ``result.json`` and ``predictions.csv``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from erc.data import N_FOLDS, Mode
from erc.evaluation import PROB, SCHEMA, SOFT
from erc.training import finished_result

if TYPE_CHECKING:
    from erc.datasets import HF_KEMD

METRICS = {
    "weighted_f1": "Weighted-F1",
    "micro_f1": "Micro-F1",
    "macro_f1": "Macro-F1",
    "uar": "UAR",
    "ccc_arousal": "CCC(aro)",
    "ccc_valence": "CCC(val)",
}

COMPARED = ("weighted_f1", "ccc_arousal", "ccc_valence")

READINGS = {
    "selected": "all metrics at the one selected checkpoint",
    "best_epoch_per_metric": "each metric's best epoch on the reported fold, as published",
}

FUSIONS = {
    "concat": "Concatenation",
    "cross_attention": "Cross-attention",
    "tensor_mixer": "Tensor Mixer Network",
    "audio_only": "Audio only",
    "text_only": "Text only",
}

MAIN_ROW = "tensor_mixer_peakl"
"""The paper's own model and label kind: what is shown, and compared with, where no row is named."""

TARGETS = {"hard": "hard", "soft": "soft", "peakl": "PeakL"}


@dataclass
class Run:
    """One finished cell."""

    folder: Path
    result: dict
    """Content of ``result.json``."""

    @property
    def cell(self) -> str:
        """Row and folder, ``<row>/fold<k>-seed<s>``: the cell's name within its grid."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """``predictions.csv``; ``dialogue`` reads ``<corpus>:<dialogue>`` here, which is unique over both corpora."""
        # Python's float reads back exactly what was written; pandas' fast reader may miss by a digit
        exact = dict.fromkeys([*SOFT, *PROB, "valence", "arousal", "pred_valence", "pred_arousal"], float)
        table = pd.read_csv(self.folder / "predictions.csv", converters=exact)
        return table.assign(dialogue=table["corpus"] + ":" + table["dialogue"])

    @cached_property
    def embeddings(self) -> np.ndarray:
        """(N, D) vectors in front of the heads, in the order of ``predictions``.

        Raises:
            FileNotFoundError: The run has no ``embeddings.npz``.
            ValueError: The file lacks a segment of ``predictions.csv``, or holds values that are not finite.
        """
        path = self.folder / "embeddings.npz"
        if not path.is_file():
            raise FileNotFoundError(
                f"An embedding map needs the embeddings of every finished cell: {path} is not there. "
                "Remove the cell's result.json and train it again, or map another row (--row)."
            )
        with np.load(path, allow_pickle=False) as stored:
            ids, vectors = stored["segment_id"], stored["embedding"]
        place = pd.Index(ids).get_indexer(self.predictions["segment_id"])
        if (place < 0).any():
            raise ValueError(
                f"Embeddings and predictions must be of the same segments: {int((place < 0).sum())} of {len(place)} in "
                f"predictions.csv have no embedding in {path}. Train the cell again."
            )
        if not np.isfinite(vectors[place]).all():
            raise ValueError(f"Embeddings must be finite: {path} holds NaN or infinite values. Train the cell again.")
        return vectors[place]

    def dataset(self, mode: Mode = "test", **changes: Any) -> HF_KEMD:
        """The data set of this run, with every dataset option of its ``config.yaml`` and with its protocol.

        A relative ``root`` or ``cache_dir`` is relative to the working directory, as it was for the run.

        Args:
            mode: ``test`` for the segments that the run was scored on; ``train`` or ``valid``.
            changes: Arguments of ``HF_KEMD`` that replace the run's own.

        Raises:
            FileNotFoundError: The run has no ``config.yaml``, or its corpora are not there.
        """
        path = self.folder / "config.yaml"
        if not path.is_file():
            raise FileNotFoundError(
                f"The data of a run are found through its configuration: {path} is not there. Put the file back, or train "
                "the cell again."
            )
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        options = {key: value for key, value in config["dataset"].items() if not key.startswith("_")}
        from erc.datasets import HF_KEMD  # Hugging Face datasets takes seconds to import

        return HF_KEMD(**{"mode": mode, "protocol": config["protocol"], **options, **changes})


@dataclass
class Row:
    """All finished runs of one fusion and one label kind."""

    name: str
    runs: dict[tuple[int, int], Run] = field(default_factory=dict)
    """By fold and seed."""

    @property
    def folds(self) -> list[int]:
        """Folds with a finished run."""
        return sorted({fold for fold, _ in self.runs})

    @property
    def title(self) -> str:
        """Fusion and label kind in words, with the number of folds where some are missing."""
        run = next(iter(self.runs.values())).result
        title = f"{FUSIONS.get(run['fusion'], run['fusion'])}, {TARGETS.get(run['target'], run['target'])}"
        return title if len(self.folds) == N_FOLDS else f"{title} ({len(self.folds)}/{N_FOLDS} folds)"

    def values(self, metric: str, reading: str = "selected", corpus: str | None = None) -> np.ndarray:
        """(F,) one value per fold, in the order of ``folds``: mean over the fold's seeds; NaN where it is not defined."""
        return np.array(
            [
                np.mean([_value(run.result, metric, reading, corpus) for (f, _), run in self.runs.items() if f == fold])
                for fold in self.folds
            ]
        )

    def first_seed(self) -> dict[int, Run]:
        """Run of the lowest seed of each fold."""
        return {fold: self.runs[min(key for key in self.runs if key[0] == fold)] for fold in self.folds}


def _value(result: dict, metric: str, reading: str, corpus: str | None) -> float:
    if reading == "best_epoch_per_metric":
        value = result["best_epoch_per_metric"].get(metric, {}).get("value")
    elif corpus is None:
        value = result["selected"]["metrics"].get(metric)
    else:
        value = result["selected"]["metrics_by_corpus"].get(corpus, {}).get(metric)
    return float("nan") if value is None else float(value)


def load(folder: str | Path) -> list[Row]:
    """Finished rows of a grid, fusion by fusion in the paper's order.

    Args:
        folder: The grid's folder.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: The cells are not of one protocol, or a result is of another schema.
    """
    rows: dict[str, Row] = {}
    for path in sorted(Path(folder).glob("*/fold*-seed*/result.json")):
        result = finished_result(path.parent)
        if result is None:
            continue  # a damaged file: the grid calls the cell unfinished and trains it again
        if result.get("schema") != SCHEMA:
            raise ValueError(
                f"Results must be of schema {SCHEMA}: {path} is of schema {result.get('schema')}, which another version of "
                "this program wrote. Train the cell again, or make the table with that version."
            )
        row = rows.setdefault(path.parent.parent.name, Row(path.parent.parent.name))
        row.runs[result["fold"], result["seed"]] = Run(path.parent, result)
    if not rows:
        raise FileNotFoundError(
            f"A table needs finished cells, <row>/fold<k>-seed<s>/result.json: {folder} holds none."
        )
    protocols = {run.result["protocol"] for row in rows.values() for run in row.runs.values()}
    if len(protocols) > 1:
        raise ValueError(
            f"A table is of one protocol: {folder} holds {' and '.join(sorted(protocols))}. Use two folders."
        )
    return sorted(rows.values(), key=_place)


def _place(row: Row) -> tuple[int, int, str]:
    """Sort key of a row: unknown fusions and label kinds come last."""
    result = next(iter(row.runs.values())).result
    orders = ((list(FUSIONS), result["fusion"]), (list(TARGETS), result["target"]))
    fusion, target = (names.index(name) if name in names else len(names) for names, name in orders)
    return fusion, target, row.name


def choose_row(rows: list[Row], name: str | None = None, argument: str = "row") -> Row:
    """The row of that name; without a name ``tensor_mixer_peakl``, or the last row where that one is not finished.

    Args:
        rows: Finished rows.
        name: A row's name, ``<fusion>_<target>``.
        argument: What the message calls the name.

    Raises:
        ValueError: No finished row has that name.
    """
    by_name = {row.name: row for row in rows}
    if name is None:
        return by_name.get(MAIN_ROW, rows[-1])
    if name not in by_name:
        raise ValueError(f"{argument} must be a finished row, one of {', '.join(by_name)}: got {name!r}.")
    return by_name[name]


def is_synthetic(rows: list[Row]) -> bool:
    """Returns True if any run was trained or scored on a synthetic corpus."""
    return any(run.result["is_synthetic"] for row in rows for run in row.runs.values())
