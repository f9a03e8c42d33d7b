"""Run folders -> rows of the table: ``<grid>/<row>/fold<k>-seed<s>/`` with ``result.json`` and ``predictions.csv``.

Every file is checked when it is read. A cell whose files are damaged, or of another run, is left out of the rows, and its
row has a fold less; the reason is kept beside the rows and stands in every table. Cells that do not belong into one table
(other options, data or protocols) are an error, since no choice between them would be right.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from erc.evaluation import SCHEMA, Columns, disagreement
from erc.labels import DIMENSIONS, LabelSpace
from erc.report.finished_run import Run
from erc.training import Identity, cells_in, mixture, name_of, read_identity, read_result

METRICS = {
    "weighted_f1": "Weighted-F1",
    "micro_f1": "Micro-F1",
    "macro_f1": "Macro-F1",
    "uar": "UAR",
    "ccc_arousal": "CCC (arousal)",
    "ccc_valence": "CCC (valence)",
    "ccc_dominance": "CCC (dominance)",
}
"""Columns of the table; a corpus that does not rate a dimension has no column for it."""

COMPARED = ("weighted_f1", "ccc_arousal", "ccc_valence", "ccc_dominance")
"""Metrics on which rows are compared, as far as the corpus has them."""

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
    "signals_only": "Bio-signals only",
    "concat_3": "Concatenation of three",
    "cross_attention_3": "Cross-attention of three",
    "tensor_mixer_3": "Tensor Mixer of three",
    "egemaps_svm": "eGeMAPS, linear SVM",
}

MAIN_ROW = "tensor_mixer_peakl"
"""The paper's own model and label kind: what is shown, and compared with, where no row is named."""

TARGETS = {
    "hard": "hard",
    "smoothed": "smoothed",
    "soft": "soft",
    "sampled": "sampled",
    "sharpened": "sharpened",
    "peakl": "PeakL",
}
"""Label kinds in words, in the order of the table."""


@dataclass
class Row:
    """All finished runs of one fusion and one label kind."""

    name: str
    runs: dict[tuple[int, int], Run] = field(default_factory=dict)
    """By fold and seed."""
    grid_seeds: list[int] = field(default_factory=list)
    """Seeds of all rows of the grid."""

    @property
    def label_space(self) -> LabelSpace:
        """What the raters were asked; the same for all runs of a grid."""
        return next(iter(self.runs.values())).label_space

    @property
    def columns(self) -> Columns:
        """Names of the columns of its predictions."""
        return Columns(self.label_space)

    @property
    def n_folds(self) -> int:
        """Folds into which the corpora are divided."""
        return next(iter(self.runs.values())).result.get("n_folds", 5)

    @property
    def folds(self) -> list[int]:
        """Folds with a finished run."""
        return sorted({fold for fold, _ in self.runs})

    @property
    def seeds(self) -> list[int]:
        """Seeds with a finished run on any fold."""
        return sorted({seed for _, seed in self.runs})

    @property
    def title(self) -> str:
        """Fusion and label kind in words, with the number of folds and the seeds where some are missing."""
        run = next(iter(self.runs.values())).result
        title = f"{FUSIONS.get(run['fusion'], run['fusion'])}, {TARGETS.get(run['target'], run['target'])}"
        title += f", {trained_part(run)}" if trained_part(run) else ""
        if len(self.folds) < self.n_folds:
            title += f" ({len(self.folds)}/{self.n_folds} folds)"
        return f"{title}, {self.seeds_text}" if self.seeds_text else title

    @property
    def seeds_text(self) -> str:
        """``seeds 42, 43 (43 in 1/5 folds)`` where a seed of the row or of the grid is missing somewhere; else empty."""
        counts = {seed: sum((fold, seed) in self.runs for fold in self.folds) for seed in self.seeds}
        some = ", ".join(f"{seed} in {n}/{len(self.folds)} folds" for seed, n in counts.items() if n < len(self.folds))
        if not some and set(self.grid_seeds) <= set(self.seeds):
            return ""
        text = f"seed{'s' if len(counts) > 1 else ''} {', '.join(map(str, counts))}"
        return f"{text} ({some})" if some else text

    def runs_of(self, fold: int) -> list[Run]:
        """Runs of a fold, by rising seed."""
        return [self.runs[key] for key in sorted(self.runs) if key[0] == fold]

    def values(self, metric: str, reading: str = "selected", corpus: str | None = None) -> np.ndarray:
        """(F,) one value per fold, in the order of ``folds``: mean over the fold's seeds; NaN where it is not defined."""
        return self.over_seeds(lambda run: _value(run.result, metric, reading, corpus))

    def group_values(self, metric: str, group: str) -> np.ndarray:
        """(F,) as ``values``, of one group of segments, ``gender:F``; NaN where a fold has none of it."""
        return self.over_seeds(lambda run: _or_nan(run.result.get("metrics_by_group", {}).get(group, {}).get(metric)))

    def over_seeds(self, value: Callable[[Run], float]) -> np.ndarray:
        """(F,) mean over the fold's seeds of any value of a run, in the order of ``folds``."""
        return np.array([np.mean([value(run) for run in self.runs_of(fold)]) for fold in self.folds])

    def first_seed(self) -> dict[int, Run]:
        """Run of the lowest seed of each fold."""
        return {fold: self.runs[min(key for key in self.runs if key[0] == fold)] for fold in self.folds}


def trained_part(result: dict) -> str:
    """What of the pre-trained encoders was trained, in a few words: ``frozen``, ``last 3 layers``; empty where all was."""
    by_encoder = {
        name: "all layers" if n is None else f"last {n} layer{'s' if n > 1 else ''}" if n else "frozen"
        for name, n in result.get("train_last", {}).items()
    }
    if len(set(by_encoder.values())) < 2:
        return "".join(set(by_encoder.values()))
    return ", ".join(f"{name} {part}" for name, part in by_encoder.items())


def trained_part_text(rows: list[Row]) -> str:
    """The same of all rows as a sentence after a space; empty where all of every encoder was trained."""
    parts = dict.fromkeys(filter(None, (trained_part(run.result) for row in rows for run in row.runs.values())))
    return f" Pre-trained encoders: {'; '.join(parts)} (train_last)." if parts else ""


def _value(result: dict, metric: str, reading: str, corpus: str | None) -> float:
    if reading == "best_epoch_per_metric":
        value = result["best_epoch_per_metric"].get(metric, {}).get("value")
    elif corpus is None:
        value = result["selected"]["metrics"].get(metric)
    else:
        value = result["selected"]["metrics_by_corpus"].get(corpus, {}).get(metric)
    return _or_nan(value)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


class Grid(list[Row]):
    """Finished rows, fusion by fusion in the paper's order, and what was left out of them."""

    def __init__(self, rows: Iterable[Row], left_out: dict[str, str]) -> None:
        super().__init__(rows)
        self.left_out = left_out
        """Why a cell is not among the rows, though it has a result, by its name ``<row>/fold<k>-seed<s>``."""


def load(folder: str | Path) -> Grid:
    """Finished rows of a grid, each file checked; a cell whose files are damaged is left out with a warning.

    Args:
        folder: The grid's folder; or one run folder, which is then a grid of one row and one fold.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: The cells are not of one set of options, of one data set or of one protocol, or a result is of another
            schema.
    """
    rows: dict[str, Row] = {}
    left_out: dict[str, str] = {}
    identities: dict[str, Identity] = {}
    single = is_single_run(folder)
    for run_dir in [Path(folder)] if single else cells_in(folder):
        if (run_dir / "result.json").exists():
            run, reason = _read_cell(run_dir)
            if run is None:
                left_out[name_of(run_dir)] = reason
                continue
            name = f"{run.result['fusion']}_{run.result['target']}" if single else run_dir.parent.name
            row = rows.setdefault(name, Row(name))
            row.runs[run.result["fold"], run.result["seed"]] = run
            identity = read_identity(run_dir)
            if identity.state == "valid":
                identities[run.cell] = identity.value
    if left_out:
        warnings.warn(left_out_text(left_out), stacklevel=2)
    if not rows:
        if left_out:
            got = f"holds none that can be used. {left_out_text(left_out)}"
        else:
            got = f"{'holds none' if Path(folder).is_dir() else 'is not there'}. Train one (python train.py, sh reproduce.sh)."
        raise FileNotFoundError(
            f"Expected a finished run, or a grid with finished cells (<row>/fold<k>-seed<s>/result.json): {folder} {got}"
        )
    _check_one_grid(folder, list(rows.values()), identities)
    seeds = sorted({seed for row in rows.values() for seed in row.seeds})
    for row in rows.values():
        row.grid_seeds = seeds
    return Grid(sorted(rows.values(), key=_place), left_out)


def is_single_run(folder: str | Path) -> bool:
    """Whether a folder is that of one finished run, and not of a grid."""
    return (Path(folder) / "result.json").exists()


def _read_cell(run_dir: Path) -> tuple[Run | None, str]:
    """A finished cell whose files belong together; or None, and what is wrong with it."""
    found = read_result(run_dir)
    if found.state == "of another version":
        raise ValueError(
            f"Results must be of schema {SCHEMA}: {run_dir}: {found.reason}. Another version of this program wrote it. Train "
            "the cell again, or make the table with that version."
        )
    if found.state != "valid":
        return None, found.reason
    identity = read_identity(run_dir)
    if identity.state == "damaged":
        return None, identity.reason
    run = Run(run_dir, found.value)
    try:
        differing = disagreement(run.predictions, run.result)
    except ValueError as err:
        return None, f"predictions.csv: {err.__cause__}"
    return (run, "") if not differing else (None, f"predictions.csv: {differing}")


def _check_one_grid(folder: str | Path, rows: list[Row], identities: dict[str, Identity]) -> None:
    """Raises a ValueError where cells do not belong into one table."""
    protocols = {run.result["protocol"] for row in rows for run in row.runs.values()}
    if len(protocols) > 1:
        raise ValueError(
            f"A table is of one protocol: {folder} holds {' and '.join(sorted(protocols))}. Use two folders."
        )
    for row in rows:
        kinds = {f"{run.result['fusion']} on {run.result['target']}" for run in row.runs.values()}
        if len(kinds) > 1:
            raise ValueError(
                f"A row is of one fusion and target: {row.name} in {folder} holds {' and '.join(sorted(kinds))}. Move the "
                "cells that are not of that row away."
            )
    spaces = {run.label_space for row in rows for run in row.runs.values()}
    if len(spaces) > 1:
        first, second, *_ = spaces
        raise ValueError(
            f"A table is of one label space: cells in {folder} differ ({'; '.join(first.differences(second))}). Use two folders."
        )
    mixed = mixture(identities)
    if mixed:
        raise ValueError(
            f"A table is of one set of options and data: cells in {folder} differ ({mixed}). Move the cells of one of them "
            "to another folder."
        )


def left_out_text(cells: dict[str, str]) -> str:
    """One sentence on the cells that were left out."""
    listed = "; ".join(f"{name} ({reason})" for name, reason in cells.items())
    return f"Left out, because files are damaged or of another run: {listed}."


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


def metrics_of(row: Row) -> dict[str, str]:
    """Title of each metric of ``METRICS`` that the row's corpora have; by metric, in the order of the table."""
    absent = {f"ccc_{name}" for name in DIMENSIONS if name not in row.label_space.dimensions}
    return {metric: title for metric, title in METRICS.items() if metric not in absent}


def is_synthetic(rows: list[Row]) -> bool:
    """Returns True if any run was trained or scored on a synthetic corpus."""
    return any(run.result["is_synthetic"] for row in rows for run in row.runs.values())
