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

SCHEMA = 2
"""Version of the JSON's layout."""

CORPUS_NAMES = (
    *("folder", "annotations", "sessions", "rows", "raters", "totals", "missing files", "extra audio", "known defects"),
    "numbering",
    *("rater agreement", "copied ratings", "valence and arousal", "intervals"),
    *("counts", "fold sizes", "session sizes", "emotion counts"),
    *("unreadable audio", "empty audio", "truncated audio", "silent audio", "short audio"),
    *("audio without signal", "faint audio", "audio offset", "noise audio", "partly silent audio"),
    *("limited audio", "session level", "exchanged transcripts"),
    *("audio format", "clipped audio", "long audio", "audio beyond annotation", "audio short of annotation"),
    *("exchanged audio", "unreadable transcripts", "undecodable transcripts", "empty transcripts"),
    *("transcript encodings", "garbled transcripts", "transcripts without Hangul", "tag-only transcripts"),
    *("speaker voices", "speaker sex"),
    *("label shares", "label shift", "speakers", "repeated text", "duplicate audio"),
)
"""Names of the findings about corpora. A name never changes its meaning: other programs read the JSON by it."""

SIGNAL_NAMES = (
    *(
        "signal files",
        "signal defects",
        "signal coverage",
        "flat signals",
        "heart rates",
        "signal clock",
        "signal shift",
    ),
)
"""Names of the further findings where bio-signals are looked at."""

TABLE_NAMES = ("table of segments", "tied segments", "missing labels")
"""Names of the further findings about a table of segments."""

ENVIRONMENT_NAMES = (
    *("python", "packages", "lightning release", "torch and torchaudio", "torchaudio import", "device", "precision"),
    *("corpora", "encoders", "disk", "memory", "workers", "launcher", "wandb", "cores", "shared memory"),
)
"""Names of the findings about the machine."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """One of ``CORPUS_NAMES``, ``SIGNAL_NAMES``, ``TABLE_NAMES`` or ``ENVIRONMENT_NAMES``."""
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


LEVELS = ("sound", "look first", "do not start")
"""What the findings come to, and the exit code: the position in this list. ``USAGE_ERROR`` is the next one."""

USAGE_ERROR = 3
"""Exit code where an argument is out of its range, or the JSON cannot be written."""


def exit_code(findings: list[Finding]) -> int:
    """2 where a finding is a problem, 1 where one is a warning, otherwise 0."""
    severities = {finding.severity for finding in findings}
    return 2 if "problem" in severities else 1 if "warning" in severities else 0


def to_json(command: str, arguments: dict[str, Any], findings: list[Finding]) -> str:
    """The findings as JSON, laid out as ``erc/doctor/__init__.py`` says."""
    code = exit_code(findings)
    content = {
        "schema": SCHEMA,
        "command": command,
        "arguments": arguments,
        "level": LEVELS[code],
        "exit_code": code,
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
