"""Metrics by groups of segments: speaker's sex, and scripted or spontaneous speech, where the corpora tell."""

from __future__ import annotations

from erc.report.grid_results import Row, metrics_of
from erc.report.rendering import Section, Table, mean_std_text

KINDS = {
    "gender": ("By the speaker's sex", {"F": "female", "M": "male"}),
    "style": ("By kind of speech", {}),
}
"""Caption of each kind's table, and its groups in words."""

NOTE = (
    "Groups differ in their emotions and in their size as well, so a difference between two groups need not be one of sex or of "
    "kind of speech. A fold without a segment of a group has no figure, and the row's mean then has none."
)


def groups_of(rows: list[Row]) -> dict[str, list[str]]:
    """Names of the groups by kind, ``{"gender": ["F", "M"]}``; only kinds of which two groups or more have segments."""
    names = {name for row in rows for run in row.runs.values() for name in run.result.get("metrics_by_group", {})}
    found: dict[str, list[str]] = {}
    for kind, group in sorted(name.split(":", 1) for name in names):
        found.setdefault(kind, []).append(group)
    return {kind: groups for kind, groups in found.items() if len(groups) > 1}


def group_section(rows: list[Row]) -> Section | None:
    """A table for each kind of group, every row once for each group; None where no group is known."""
    tables = []
    for kind, groups in groups_of(rows).items():
        caption, words = KINDS.get(kind, (f"By {kind}", {}))
        lines = [
            [
                row.title,
                words.get(group, group),
                *(mean_std_text(row.group_values(metric, f"{kind}:{group}")) for metric in metrics_of(row)),
            ]
            for row in rows
            for group in groups
        ]
        tables.append(Table(["", "group", *metrics_of(rows[0]).values()], lines, caption))
    return Section("By group, reading `selected`", [NOTE], tables, "statistics") if tables else None
