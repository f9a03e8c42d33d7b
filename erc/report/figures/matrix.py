"""A heat map of shares with numbers, and the labels of emotions beside it: what "confusion" and "peakl" share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from erc.report.figures.style import INK, MIN_FONT, PAPER, SMALLEST_FONT, short_names

DARK = 0.5
"""Share from which the number of a cell is white."""


def draw_matrix(ax: Axes, values: np.ndarray, texts: list[list[str]], emotions: Sequence[str], square: bool) -> None:
    """Shares as shades of grey with a number each; columns have short labels, the rows' labels are the caller's.

    Args:
        ax: Where it is drawn.
        values: (K, K) shares, 0 to 1; NaN is as pale as 0.
        texts: A number for each cell.
        emotions: K names of the columns.
        square: Cells are squares; else they fill the panel, and numbers are smaller.
    """
    for (row, column), value in np.ndenumerate(np.nan_to_num(values)):
        # a shade is so much ink, whatever the colour of the page
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=INK, alpha=value, linewidth=0))
        look: dict[str, Any] = dict(
            color=PAPER if value > DARK else INK, fontsize=MIN_FONT if square else SMALLEST_FONT
        )
        ax.text(column, row, texts[row][column], ha="center", va="center", **look)
    n_rows, n_columns = values.shape
    ax.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5), aspect="equal" if square else "auto")
    label_columns(ax, emotions)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def label_columns(ax: Axes, emotions: Sequence[str]) -> None:
    """Short labels of a plot's columns, one for each emotion; upright where they have no room side by side."""
    labels = short_names(emotions)
    upright = max(map(len, labels)) * len(labels) > 40  # letters in a line
    ax.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0)


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Labels of a matrix's rows, one for each emotion."""
    ax.set_yticks(range(len(labels)), labels)


def count_text(n: int, n_columns: int) -> str:
    """A number of segments in a cell of a matrix; in thousands where the cells are narrow."""
    if n_columns <= 8 or n < 1000:
        return f"{n:,}"
    return f"{n / 1000:.1f}k" if n < 10_000 else f"{round(n / 1000)}k"
