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

from erc.evaluation import PROB
from erc.report.figures.style import SYNTHETIC_REMARK
from erc.report.grid_results import Row, Run, is_synthetic
from erc.report.projection import Alignments, alignments


@dataclass
class GridView:
    """A grid as the figures show it: all rows, the one row that is pictured, and tables that several figures share.

    Args:
        rows: Finished rows of the grid.
        row: The one that is pictured; of its seeds, the lowest.
        fold: Fold of the map; the one of median weighted F1 where None.
        n_resamples: Of the bootstrap.
    """

    rows: list[Row]
    row: Row
    fold: int | None = None
    n_resamples: int = 2000

    @property
    def title(self) -> str:
        """The pictured row in words."""
        return self.row.title

    @cached_property
    def runs(self) -> dict[int, Run]:
        """The pictured runs by fold."""
        return self.row.first_seed()

    @property
    def note(self) -> str:
        """Grey remark of every figure: empty, or that the corpus is synthetic."""
        return SYNTHETIC_REMARK if is_synthetic(self.rows) else ""

    @cached_property
    def untied(self) -> pd.DataFrame:
        """Predictions of the pictured runs with their ``fold``, without tied segments.

        Raises:
            FileNotFoundError: A run has lost its ``predictions.csv``.
        """
        table = pd.concat([run.predictions.assign(fold=fold) for fold, run in self.runs.items()], ignore_index=True)
        return table[~table["is_tied"].astype(bool)]

    @property
    def truth_and_prediction(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) emotion index by the raters and by the model, of the untied segments."""
        return self.untied["hard_label"].to_numpy(), self.untied[PROB].to_numpy().argmax(axis=1)

    @cached_property
    def alignments(self) -> Alignments:
        """Alignment of every row and fold, with a map of each pictured run; errors as ``projection.alignments``."""
        return alignments(self.rows, self.row)


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
