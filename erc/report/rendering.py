"""Report values, and numbers, tables and documents as text.

Comes in: numbers. Goes out: a ``Document`` of sections and tables, and the same document as Markdown; a table as LaTeX.
A value holds plain text with two marks, ``**bold**`` and `` `code` ``; each renderer escapes what its language reads as
its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from erc.evaluation import mean_and_std

NOT_DEFINED = "–"


@dataclass(frozen=True)
class Table:
    """A table as text: every row has as many cells as the header."""

    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    """What the table shows, where the section's title does not say it; without a full stop."""


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, then tables."""

    title: str
    paragraphs: list[str]
    tables: list[Table]
    kind: Literal["reading", "statistics"]
    """``reading``: means over folds of one reading; ``statistics``: all others."""


@dataclass(frozen=True)
class Document:
    """A report without its figures."""

    title: str
    paragraphs: list[str]
    sections: list[Section]


def mean_std_text(values: np.ndarray) -> str:
    """Mean ± sample standard deviation; the mean alone for one value; – where it is not defined."""
    mean, std = mean_and_std(values)
    if np.isnan(mean):
        return NOT_DEFINED
    return short(mean) if np.isnan(std) else f"{short(mean)} ± {short(std)}"


def short(value: float, digits: int = 3) -> str:
    """Three decimals (or ``digits``) without the leading zero, as the paper prints, with a minus sign; – for NaN."""
    if np.isnan(value):
        return NOT_DEFINED
    return re.sub(r"^(-?)0\.", r"\1.", f"{round(value, digits) + 0.0:.{digits}f}").replace("-", "−")


def signed(value: float) -> str:
    """``short`` with a plus sign in front of what is not negative."""
    return ("+" if round(value, 3) >= 0 else "−") + short(abs(value))


def short_p(value: float, is_bound: bool = False) -> str:
    """A p value as ``short``; ``< .001`` for a smaller one; ``≤ .024`` for one that is an upper bound only."""
    if np.isnan(value):
        return NOT_DEFINED
    if value < 0.001:
        return "< .001"
    return f"≤ {short(value)}" if is_bound and value < 1 else short(value)


def p_text(value: float) -> str:
    """A p value within a sentence: ``p = .043``, ``p < .001``, ``p –``."""
    is_number = not np.isnan(value) and value >= 0.001
    return f"p = {short_p(value)}" if is_number else f"p {short_p(value)}"


def ends_text(low: float, high: float, with_sign: bool = False, digits: int = 3) -> str:
    """Both ends of an interval; – where it is not defined. ``digits`` is of ends without a sign."""
    if np.isnan(low):
        return NOT_DEFINED
    return f"{signed(low)} to {signed(high)}" if with_sign else f"{short(low, digits)} to {short(high, digits)}"


def table_to_markdown(table: Table) -> str:
    """A table in pipes, without its caption."""
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |" for cells in rows)


def table_to_text(table: Table, width: int | None = None) -> str:
    """A table for the terminal: columns under each other, figures to the right.

    Args:
        table: The table; its first column has the names of the rows.
        width: Columns of the terminal: what does not fit stands below, with the names again. None: all beside each other.
    """
    rows = [table.header, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    blocks: list[list[int]] = [[]]
    for i in range(1, len(widths)):
        taken = widths[0] + sum(2 + widths[j] for j in [*blocks[-1], i])
        if width is not None and taken > width and blocks[-1]:
            blocks.append([])
        blocks[-1].append(i)
    parts = [
        "\n".join(
            "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in block)]).rstrip() for row in rows
        )
        for block in blocks
    ]
    return "\n\n".join(parts)


def to_markdown(document: Document) -> str:
    """A document as Markdown: one heading for each section, a caption as a line above its table."""
    parts = [f"# {document.title}\n", *document.paragraphs]
    for section in document.sections:
        blocks = list(section.paragraphs)
        for table in section.tables:
            blocks += [f"{table.caption}:"] if table.caption else []
            blocks.append(table_to_markdown(table))
        parts += [f"\n## {section.title}\n", "\n\n".join(blocks)]
    return "\n".join(parts) + "\n"


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "≤": r"$\leq$",
}


def latex_escape(text: str) -> str:
    """Text as LaTeX prints it: its special characters escaped, ± and the minus sign set as mathematics."""
    return "".join(_LATEX.get(character, character) for character in text)


def to_latex(table: Table, label: str = "", below: list[list[str]] | None = None) -> str:
    r"""A ``table`` environment with booktabs rules; the last row stands apart, and the caption above.

    Args:
        table: Header, rows and caption as plain text, which is escaped here.
        label: What ``\ref`` finds the table by; its characters that mean something in LaTeX are left out.
        below: A second line of cells for each row, set smaller; an empty list for a row that has none.

    Returns:
        LaTeX source. The document needs ``\usepackage{booktabs}``.
    """
    blocks = [_latex_line(cells) for cells in table.rows]
    for index, cells in enumerate(below or []):
        if cells:
            blocks[index] += "\n" + _latex_line(cells, r"\footnotesize ")
    body = [_latex_line(table.header), r"\midrule", *blocks[:-1], r"\midrule", *blocks[-1:]]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex_caption(table.caption)}}}",
        *([rf"\label{{tab:{re.sub(r'[^A-Za-z0-9:.-]+', '-', label)}}}"] if label else []),
        rf"\begin{{tabular}}{{l{'c' * (len(table.header) - 1)}}}",
        r"\toprule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_line(cells: list[str], style: str = "") -> str:
    return " & ".join(f"{style if cell else ''}{latex_escape(cell)}" for cell in cells) + r" \\"


def _latex_caption(text: str) -> str:
    """Escaped text in which `` `code` `` is set in typewriter."""
    plain_and_code = re.split(r"`([^`]*)`", text)
    return "".join(
        rf"\texttt{{{latex_escape(part)}}}" if index % 2 else latex_escape(part)
        for index, part in enumerate(plain_and_code)
    )


NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number_text(n: int) -> str:
    """A number in words; digits above twelve."""
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def raters_text(n_raters: int | None) -> str:
    """``three raters``; without a number where that differs from segment to segment."""
    if n_raters is None:
        return "raters"
    return f"{number_text(n_raters)} rater{'s' if n_raters > 1 else ''}"
