"""What a figure is, and what it is drawn from.

A figure is one file of this folder: it ends with ``FIGURE``, a ``FigureSpec``, and stands in the list of drawing.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from erc.data import NO_SPLIT
from erc.evaluation import Intervals
from erc.labels import NO_LABEL, LabelSpace
from erc.report.arrangement import Alignments, FoldArrangements, alignments, fold_arrangements
from erc.report.comparisons import intervals
from erc.report.figures.style import SYNTHETIC_REMARK, WIDTHS_MM, Width
from erc.report.finished_run import Run
from erc.report.grid_results import Row, is_synthetic
from erc.report.projection import Layout, NotDrawn
from erc.training import read_config


class NotComputed(NotDrawn):
    """A figure shows what a command of its own computes, and that was not done; it is missing only where it is named."""


@dataclass
class GridView:
    """A grid as the figures show it: all rows, the one row that is pictured, and tables that several figures share.

    Args:
        rows: Finished rows of the grid.
        row: The one that is pictured; of its seeds, the lowest.
        fold: Fold of the map; the one of median weighted F1 where None.
        n_resamples: Of the bootstrap.
        layout: Of the map, see ``projection.project``.
        width: ``column`` (84 mm in print) or ``page`` (174 mm).
        known_intervals: What ``intervals`` returns for each row, by its name, where that was computed before.
        known_arrangements: The same of ``fold_arrangements``.

    Raises:
        ValueError: ``width`` is neither.
    """

    rows: list[Row]
    row: Row
    fold: int | None = None
    n_resamples: int = 2000
    layout: Layout = "pca"
    width: Width = "page"
    known_intervals: dict[str, dict[str, Intervals]] | None = None
    known_arrangements: FoldArrangements | None = None

    def __post_init__(self) -> None:
        if self.width not in WIDTHS_MM:
            raise ValueError(f"width must be column or page: got {self.width!r}.")

    @property
    def width_mm(self) -> int:
        """Printed width of every figure."""
        return WIDTHS_MM[self.width]

    @cached_property
    def intervals(self) -> dict[str, dict[str, Intervals]]:
        """Intervals of each row by its name, and of each metric; errors as ``comparisons.intervals``."""
        return self.known_intervals or {row.name: intervals(row, self.n_resamples) for row in self.rows}

    @property
    def title(self) -> str:
        """The pictured row in words."""
        return self.row.title

    @cached_property
    def runs(self) -> dict[int, Run]:
        """The pictured runs by fold."""
        return self.row.first_seed()

    @property
    def label_space(self) -> LabelSpace:
        """What the raters were asked."""
        return self.row.label_space

    @property
    def note(self) -> str:
        """Grey remark of every figure: empty, or that the corpus is synthetic."""
        return SYNTHETIC_REMARK if is_synthetic(self.rows) else ""

    @property
    def note_on_votes(self) -> str:
        """``note``, and how many segments of the pictured runs are left out because nobody voted on them."""
        return self.note_with(int((self.predictions["hard_label"] == NO_LABEL).sum()), "votes")

    def note_with(self, n_left_out: int, lacking: str) -> str:
        """``note``, and that so many segments are left out because they lack something."""
        left_out = f"left out: {n_left_out:,} without {lacking}" if n_left_out else ""
        return "; ".join(filter(None, (left_out, self.note)))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Predictions of the pictured runs with their ``fold``.

        Raises:
            ValueError: A run has lost its ``predictions.csv``.
        """
        return pd.concat([run.predictions.assign(fold=fold) for fold, run in self.runs.items()], ignore_index=True)

    @cached_property
    def untied(self) -> pd.DataFrame:
        """The ``predictions`` of segments with one majority emotion: neither tied nor without votes.

        Raises:
            NotDrawn: There is none.
        """
        table = self.predictions
        found = table[~table["is_tied"].astype(bool) & (table["hard_label"] != NO_LABEL)]
        if not len(found):
            raise NotDrawn("no segment has one majority emotion")
        return found

    @property
    def probs(self) -> np.ndarray:
        """(N, K) predicted probabilities of the segments of ``untied``."""
        return self.untied[self.row.columns.prob].to_numpy()

    @property
    def truth_and_prediction(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) emotion index by the raters and by the model, of the segments of ``untied``."""
        return self.untied["hard_label"].to_numpy(), self.probs.argmax(axis=1)

    @cached_property
    def arrangements(self) -> FoldArrangements:
        """How every run's vectors arrange the emotions; errors as ``arrangement.fold_arrangements``."""
        return fold_arrangements(self.rows) if self.known_arrangements is None else self.known_arrangements

    @cached_property
    def corpus(self) -> tuple[pd.DataFrame, float | None]:
        """``corpus_table`` of the pictured row."""
        return corpus_table(next(iter(self.runs.values())))

    @cached_property
    def alignments(self) -> Alignments:
        """Alignment of every row and fold, with a map of each pictured run; errors as ``arrangement.alignments``."""
        return alignments(self.rows, self.row, self.layout, self.arrangements)


def corpus_table(run: Run) -> tuple[pd.DataFrame, float | None]:
    """Segments of a run's data set without its split, for figure "corpus"; and where the run's inputs end, in seconds.

    Raises:
        FileNotFoundError: The configuration or the corpora are not there.
    """
    from erc.data import SAMPLE_RATE

    segments = run.dataset(validation_fold=NO_SPLIT, on_bad_segment="skip", protocol="paper")
    names = ["corpus", "session", "speaker", "segment_id", "votes", "hard_label", "is_tied", "n_samples"]
    table = segments.ds.select_columns(names).to_pandas()
    table["fold"] = segments.folds()
    table["seconds"] = table["n_samples"] / SAMPLE_RATE
    max_samples = read_config(run.folder)["dataloader"]["collate"]["max_samples"]
    return table, None if max_samples is None else max_samples / SAMPLE_RATE


@dataclass(frozen=True)
class FigureSpec:
    """One figure of the report."""

    name: str
    """Of its files: ``<name>.png``."""
    alt: str
    """What is seen, for readers who do not see it."""
    caption: str
    draw: Callable[[GridView], Figure]
    """Raises ``FileNotFoundError`` or ``NotDrawn`` where the grid does not hold what the figure needs."""
    finding: Callable[[GridView], str] = lambda grid: ""
    """What the figure shows in this grid, in a sentence with its numbers; empty where the data do not support one."""
