"""How well the arrangement of the emotions among a model's vectors matches the raters', of every row and fold of a grid."""

from __future__ import annotations

import contextlib
import csv
import io
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from erc.evaluation import (
    Mantel,
    MeanMantel,
    as_same_length,
    mantel,
    mean_over_folds,
    present_emotions,
    relabelled,
    tested,
)
from erc.files import write_atomically
from erc.labels import NO_LABEL
from erc.report.finished_run import Run
from erc.report.grid_results import Row
from erc.report.projection import UMAP_NEIGHBOURS, Layout, NotDrawn, Projection, align_map, project
from erc.report.rendering import NOT_DEFINED, Section, Table, ends_text, short, short_p


@dataclass(frozen=True)
class FoldArrangement:
    """How the vectors of one fold of one row arrange the emotions."""

    n_segments: int
    space: Mantel
    """In the space of the vectors."""
    relabelled: np.ndarray
    """(P,) rho of ``space`` under every relabelling of the emotions."""


FoldArrangements = dict[str, dict[int, FoldArrangement]]
"""By row's name and fold; folds whose run has no vectors are not there."""


@dataclass(frozen=True)
class Alignment:
    """How well the arrangement of the vectors in front of the heads matches the raters' valence-arousal map."""

    space: Mantel
    """In the space of the vectors itself."""
    map: Mantel
    """On the map that is drawn."""
    map_range: tuple[float, float] | None
    """Lowest and highest rho of all layouts of which the map is one; None where there is one layout only."""
    trustworthiness: float
    """Of the map, in [0, 1]: whether neighbours on it are neighbours among the vectors (Venna and Kaski, 2001)."""
    disparity: float
    """What does not fit, in [0, 1], after the map is turned and scaled onto the raters' plane by the emotions' centroids."""
    n_segments: int


@dataclass(frozen=True)
class AlignmentRow:
    """Alignment of one fold of one row; what comes after ``p`` is None where no map was made of it."""

    row: str
    fold: int
    n_segments: int
    n_emotions: int
    rho: float
    """``Mantel.rho`` in the space of the vectors."""
    p: float
    map_rho: float | None = None
    """``Mantel.rho`` on the map."""
    map_p: float | None = None
    trustworthiness: float | None = None
    disparity: float | None = None
    untrained_rho: float | None = None
    """``Mantel.rho`` in the space of the network before training; None where the run has not kept its vectors."""
    untrained_p: float | None = None


@dataclass(frozen=True)
class Mapped:
    """One fold of the mapped row."""

    va: np.ndarray
    """(N, 2) valence and arousal by the raters, of untied segments."""
    hard_label: np.ndarray
    """(N,) emotion index."""
    trained: Projection
    numbers: Alignment
    untrained: Projection | None
    """The same segments before training; None where the run has not kept their vectors."""
    untrained_numbers: Alignment | None


@dataclass(frozen=True)
class Alignments:
    """Alignment of a grid."""

    rows: list[AlignmentRow]
    """One for each row and fold."""
    maps: dict[int, Mapped]
    """By fold of the mapped row."""


def alignment(va: np.ndarray, embedding: np.ndarray, hard_label: np.ndarray, projection: Projection) -> Alignment:
    """All numbers on how well the vectors in front of the heads match the raters' map.

    Args:
        va: (N, 2) valence and arousal of untied segments.
        embedding: (N, D) vectors.
        hard_label: (N,) emotion index.
        projection: Of the same vectors.

    Raises:
        ValueError: Lengths differ.
        NotDrawn: Too few emotions.
    """
    from sklearn.manifold import trustworthiness

    va, embedding, hard_label = as_same_length(va=va, embedding=embedding, hard_label=hard_label)
    n_neighbours = min(UMAP_NEIGHBOURS, (len(va) - 1) // 2)  # defined below N / 2 only
    of_map = mantel(va, projection.xy, hard_label)
    found = [of_map.rho if one is projection.xy else mantel(va, one, hard_label).rho for one in projection.layouts]
    return Alignment(
        space=mantel(va, embedding, hard_label),
        map=of_map,
        map_range=(min(found), max(found)) if len(found) > 1 else None,
        trustworthiness=float(trustworthiness(embedding, projection.xy, n_neighbors=n_neighbours)),
        disparity=align_map(projection.xy, va, hard_label)[1],
        n_segments=len(va),
    )


def mappable(run: Run) -> np.ndarray:
    """(N,) whether each segment of a run's predictions has one majority emotion, and valence and arousal.

    Raises:
        NotDrawn: The corpora do not rate valence and arousal.
    """
    if not run.label_space.has_plane:
        raise NotDrawn("the plane needs ratings of valence and arousal: the corpora have none")
    table = run.predictions
    untied = ~table["is_tied"].to_numpy(dtype=bool) & (table["hard_label"] != NO_LABEL).to_numpy()
    return untied & table[["valence", "arousal"]].notna().all(axis=1).to_numpy()


def vectors(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raters' va (N, 2), vectors in front of the heads (N, D) and hard_label (N,) of a run's ``mappable`` segments.

    Raises:
        NotDrawn: The corpora do not rate valence and arousal.
        FileNotFoundError: The run has no ``embeddings.npz``.
        ValueError: ``embeddings.npz`` is not of the segments of ``predictions.csv``.
    """
    kept = mappable(run)
    table = run.predictions[kept]
    return (
        table[["valence", "arousal"]].to_numpy(),
        run.embeddings[kept].astype(np.float64),
        table["hard_label"].to_numpy(),
    )


def fold_arrangements(rows: list[Row]) -> FoldArrangements:
    """How every run's vectors arrange the emotions. The lowest seed stands for a fold; a run without vectors is left out.

    Raises:
        ValueError: The vectors of a run are damaged, or not of the segments of its ``predictions.csv``.
    """
    found: FoldArrangements = {}
    for row in tqdm(rows, desc="arrangement", unit="row", disable=None):
        for fold, run in row.first_seed().items():
            with contextlib.suppress(FileNotFoundError, NotDrawn):
                va, embedding, hard = vectors(run)
                rho = relabelled(va, embedding, hard)
                space = tested(rho, len(present_emotions(hard)))
                found.setdefault(row.name, {})[fold] = FoldArrangement(len(va), space, rho)
    return found


def alignments(rows: list[Row], row: Row, layout: Layout = "pca", known: FoldArrangements | None = None) -> Alignments:
    """Alignment of every row and fold, and a map of each fold of one row.

    Each fold has its own network, hence its own space of vectors and its own map. The lowest seed stands for a fold. A run
    without ``embeddings.npz`` is left out, except in ``row``.

    Args:
        rows: Finished rows.
        row: The one of them that is mapped.
        layout: See ``project``.
        known: ``fold_arrangements`` of the rows; computed where None.

    Raises:
        FileNotFoundError: A run of ``row`` has no ``embeddings.npz``.
        NotDrawn: A fold of ``row`` has too few segments or emotions.
        ValueError: The vectors of a run are not of the segments of its ``predictions.csv``, or an unknown layout.
    """
    known = fold_arrangements(rows) if known is None else known
    maps = {fold: _mapped(run, layout) for fold, run in row.first_seed().items()}
    found = []
    for one in rows:
        for fold, arranged in known.get(one.name, {}).items():
            space = arranged.space
            line = AlignmentRow(one.name, fold, arranged.n_segments, space.n_emotions, space.rho, space.p_value)
            found.append(_with_map(line, maps[fold]) if one is row else line)
    return Alignments(found, maps)


def _mapped(run: Run, layout: Layout) -> Mapped:
    va, embedding, hard = vectors(run)
    trained = project(embedding, layout)
    numbers = alignment(va, embedding, hard, trained)
    before = run.untrained_embeddings
    if before is None:
        return Mapped(va, hard, trained, numbers, None, None)
    before = before[mappable(run)].astype(np.float64)
    untrained = project(before, layout)
    return Mapped(va, hard, trained, numbers, untrained, alignment(va, before, hard, untrained))


def _with_map(line: AlignmentRow, mapped: Mapped) -> AlignmentRow:
    numbers, before = mapped.numbers, mapped.untrained_numbers
    line = replace(
        line,
        map_rho=numbers.map.rho,
        map_p=numbers.map.p_value,
        trustworthiness=numbers.trustworthiness,
        disparity=numbers.disparity,
    )
    return line if before is None else replace(line, untrained_rho=before.space.rho, untrained_p=before.space.p_value)


def write_alignments(path: str | Path, rows: list[AlignmentRow]) -> None:
    """Writes one line for each row and fold as CSV, in full precision; what was not computed is left empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(AlignmentRow)])
    writer.writerows(["" if value is None else value for value in astuple(row)] for row in rows)
    write_atomically(Path(path), stream.getvalue())


def arrangements(rows: list[Row], known: FoldArrangements | None = None) -> dict[str, MeanMantel]:
    """By row's name, the mean rho of its folds in the space of the vectors; a row that lacks the vectors of a fold is left out.

    Args:
        rows: Finished rows.
        known: ``fold_arrangements`` of the rows; computed where None.
    """
    known = fold_arrangements(rows) if known is None else known
    return {
        row.name: mean_over_folds([known[row.name][fold].relabelled for fold in row.folds])
        for row in rows
        if set(row.folds) == set(known.get(row.name, {}))
    }


def arrangement_section(rows: list[Row], found: dict[str, MeanMantel]) -> Section | None:
    """The table of ``arrangements``; None where no row has vectors."""
    if not found:
        return None
    note = (
        "Do the model's vectors arrange the emotions as the raters' valence-arousal plane does? ρ is Spearman's rank correlation "
        "between the distances of the emotions in the plane and among the vectors in front of the heads (mean over folds, lowest "
        "seed). By chance: the middle 95 % of ρ when the emotions are relabelled at random in each fold (Mantel, 1967). A model "
        "that is trained on valence and arousal is pushed towards this arrangement by its own loss; p is not corrected for the "
        "number of rows."
    )
    lines = [
        [
            row.title,
            short(one.rho),
            ends_text(one.null_low, one.null_high) if np.isfinite(one.rho) else NOT_DEFINED,
            short_p(one.p_value),
            str(one.n_folds),
        ]
        for row in rows
        if (one := found.get(row.name)) is not None
    ]
    table = Table(["", "ρ", "by chance", "p", "folds"], lines)
    return Section("Arrangement of the emotions, reading `selected`", [note], [table], "statistics")
