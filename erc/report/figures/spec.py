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

from erc.labels import NO_LABEL, LabelSpace
from erc.report.arrangement import Alignments, alignments
from erc.report.figures.style import SYNTHETIC_REMARK
from erc.report.finished_run import Run
from erc.report.grid_results import Row, is_synthetic
from erc.report.projection import Layout, NotDrawn


@dataclass
class GridView:
    """A grid as the figures show it: all rows, the one row that is pictured, and tables that several figures share.

    Args:
        rows: Finished rows of the grid.
        row: The one that is pictured; of its seeds, the lowest.
        fold: Fold of the map; the one of median weighted F1 where None.
        n_resamples: Of the bootstrap.
        layout: Of the map, see ``projection.project``.
    """

    rows: list[Row]
    row: Row
    fold: int | None = None
    n_resamples: int = 2000
    layout: Layout = "pca"

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
    def alignments(self) -> Alignments:
        """Alignment of every row and fold, with a map of each pictured run; errors as ``arrangement.alignments``."""
        return alignments(self.rows, self.row, self.layout)


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
