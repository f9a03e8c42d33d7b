"""Findings on a terminal. Colours come on a terminal only; a pipe or a file gets plain text."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

from erc.doctor.findings import (
    CORPUS_NAMES,
    LEVELS,
    SEVERITIES,
    SIGNAL_NAMES,
    TABLE_NAMES,
    Cells,
    Finding,
    Severity,
    count_by_severity,
    exit_code,
    plural,
)

MAX_WIDTH = 100
"""Columns; a narrower terminal gets narrower text."""

MAX_SHOWN = 3
"""Places that the terminal names of each finding; the JSON has all."""

STYLES: dict[Severity, str] = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


VERDICTS: dict[str, tuple[str, Severity]] = {
    "sound": ("Sound: training may start.", "ok"),
    "look first": ("Look first: the figures may suffer.", "warning"),
    "do not start": ("Not sound, do not start: solve the problems.", "problem"),
}


def show(findings: list[Finding], verbose: bool = False) -> None:
    """Prints the findings and the verdict on standard output.

    Args:
        findings: What was found.
        verbose: Show each finding that is *ok*, too.
    """
    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH) if console.is_terminal else MAX_WIDTH
    with console.capture() as captured:
        console.print(layout(findings, verbose))
    # a table fills its last column with spaces, which a pipe would hand on
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def layout(findings: list[Finding], verbose: bool = False) -> RenderableType:
    """The findings, problems first and in the order of the checks, then the verdict with the number of each severity."""
    has_corpus = any(finding.corpus for finding in findings)
    name_width = max([len("check"), *(len(finding.name) for finding in findings)])
    widths = [8, *([8] if has_corpus else []), name_width + 1]

    def line(severity: Text, corpus: str, name: str, found: str) -> Table:
        columns = [Column(width=width, no_wrap=True) for width in widths]
        table = Table.grid(*columns, Column(overflow="fold"), padding=(0, 1, 0, 0))
        table.add_row(severity, *([corpus] if has_corpus else []), name, Text(found))
        return table

    parts: list[RenderableType] = [line(Text("state"), "corpus", "check", "found"), Rule(style="dim")]
    shown = [finding for finding in findings if verbose or finding.severity != "ok"]
    for finding in sorted(shown, key=lambda one: SEVERITIES.index(one.severity), reverse=True):
        scope = finding.corpus or (
            "all" if has_corpus and finding.name in (*CORPUS_NAMES, *SIGNAL_NAMES, *TABLE_NAMES) else ""
        )
        severity = Text(finding.severity, style=STYLES[finding.severity])
        parts.append(line(severity, scope, finding.name, finding.got))
        parts += _details(finding)
        parts += [_cells(finding.table)] if finding.table else []
    n_folded = len(findings) - len(shown)
    if n_folded:
        parts.append(
            line(Text("ok", style=STYLES["ok"]), "", "", f"{plural(n_folded, 'check')} (--verbose lists them)")
        )
    return Group(*parts, Rule(style="dim"), _verdict(findings))


def _details(finding: Finding) -> list[RenderableType]:
    """What was expected, where, and what to do."""
    shown = finding.where[:MAX_SHOWN]
    if len(finding.where) > MAX_SHOWN:
        shown = [*shown, f"and {len(finding.where) - MAX_SHOWN} more"]
    rows = [("expected", finding.expected), *(("where", text) for text in shown), ("do", finding.advice)]
    rows = [(label, text) for label, text in rows if text]
    if not rows:
        return []
    table = Table.grid(Column(width=19, justify="right", style="dim"), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for label, text in rows:
        table.add_row(label, Text(text))
    return [table]


def _cells(cells: Cells) -> Table:
    """A finding's table, numbers to the right."""
    header, *rows = [
        ["-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value) for value in row]
        for row in cells
    ]
    table = Table.grid(*(Column(justify="right", overflow="fold") for _ in ["", *header]), padding=(0, 1, 0, 0))
    table.add_row("   ", *header, style="dim")
    for row in rows:
        table.add_row("", *row)
    return table


def _verdict(findings: list[Finding]) -> Text:
    n = count_by_severity(findings)
    parts = [
        plural(n["problem"], "problem"),
        plural(n["warning"], "warning"),
        plural(n["note"], "note"),
        f"{n['ok']} ok",
    ]
    verdict, severity = VERDICTS[LEVELS[exit_code(findings)]]
    return Text.assemble((verdict, STYLES[severity]), f" {', '.join(parts)}.")
