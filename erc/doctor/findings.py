"""A finding: what was looked at, how severe it is, where, and what to do. Also the findings as JSON, and words for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from json import dumps
from typing import Any, Literal, get_args

Severity = Literal["ok", "note", "warning", "problem"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Cells = list[list[str | int | float | None]]
"""A table of a finding: header and rows."""

SCHEMA = 1
"""Version of the JSON's layout."""

CORPUS_NAMES = (
    *("folder", "annotations", "sessions", "rows", "raters", "totals", "missing files", "extra audio", "known defects"),
    *("intervals", "counts", "fold sizes", "emotion counts"),
    *("unreadable audio", "empty audio", "truncated audio", "silent audio", "short audio"),
    *("audio format", "clipped audio", "long audio", "audio beyond annotation"),
    *("unreadable transcripts", "undecodable transcripts", "empty transcripts", "transcript encodings"),
    *("tag-only transcripts", "label shares", "speakers", "repeated text", "duplicate audio"),
)
"""Names of the findings about corpora. A name never changes its meaning: other programs read the JSON by it."""

ENVIRONMENT_NAMES = (
    *("python", "packages", "lightning release", "torch and torchaudio", "torchaudio import", "device", "encoders"),
    *("disk", "wandb", "cores", "shared memory"),
)
"""Names of the findings about the machine."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """One of ``CORPUS_NAMES`` or ``ENVIRONMENT_NAMES``."""
    severity: Severity
    got: str
    """What was found."""
    expected: str = ""
    where: list[str] = field(default_factory=list)
    """Every place that the finding is about."""
    advice: str = ""
    corpus: str = ""
    """Name of the corpus; empty where the finding is about all corpora or none."""
    table: Cells = field(default_factory=list)
    """Header and rows; may be empty."""


def is_sound(findings: list[Finding]) -> bool:
    """Whether training should start: no finding is a problem."""
    return all(finding.severity != "problem" for finding in findings)


def to_json(command: str, arguments: dict[str, Any], findings: list[Finding]) -> str:
    """The findings as JSON, laid out as ``erc/doctor/__init__.py`` says."""
    content = {
        "schema": SCHEMA,
        "command": command,
        "arguments": arguments,
        "is_sound": is_sound(findings),
        "n": count_by_severity(findings),
        "findings": [asdict(finding) for finding in findings],
    }
    return dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def count_by_severity(findings: list[Finding]) -> dict[Severity, int]:
    """Number of findings of each severity, those without any included."""
    return {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}


def plural(n: int, one: str, many: str = "") -> str:
    """A number and its noun: "1 file", "2 files"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def numbers_text(values: Iterable[int]) -> str:
    """Whole numbers with thousands separators, one space between two."""
    return " ".join(f"{value:,}" for value in values)


def gigabytes(n_bytes: float) -> str:
    """A number of bytes in gigabytes (10^9), one decimal."""
    return f"{n_bytes / 1e9:.1f} GB"
