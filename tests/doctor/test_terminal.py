"""Findings on a terminal: everything is there, within the width; colours come on a terminal only."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from erc.doctor import terminal
from erc.doctor.findings import Finding


def rendered(findings: list[Finding], width: int = terminal.MAX_WIDTH, verbose: bool = False, **kwargs) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **kwargs)
    console.print(terminal.layout(findings, verbose))
    return console.file.getvalue()


def words(text: str) -> str:
    """A text without what a layout may change."""
    return re.sub(r"\s", "", text)


def test_the_table_fits_the_terminal_and_names_every_finding(found):
    text = rendered(found)
    assert max(map(len, text.splitlines())) <= terminal.MAX_WIDTH
    assert all(finding.name in text for finding in found if finding.severity != "ok")
    verbose = rendered(found, verbose=True)
    assert all(finding.name in verbose for finding in found)
    assert text.splitlines()[-1].startswith("Not sound")


def test_problems_come_first_and_ok_lines_are_folded(found):
    severities = ["ok", "note", "warning", "problem", "ok", "problem", "note"]
    mixed = [Finding(f"check{k}", severity, "what came") for k, severity in enumerate(severities)]
    lines = [line.split()[:2] for line in rendered(mixed).splitlines() if line.split()[1:2]]
    assert [line for line in lines if line[1].startswith("check")][1:] == [
        ["problem", "check3"],
        ["problem", "check5"],
        ["warning", "check2"],
        ["note", "check1"],
        ["note", "check6"],
    ]
    assert ["ok", "2"] in lines and "check0" not in rendered(mixed)
    assert "check0" in rendered(mixed, verbose=True) and "--verbose" not in rendered(mixed, verbose=True)


@pytest.mark.parametrize(
    ("severity", "verdict"), [("note", "Sound"), ("warning", "Look first"), ("problem", "Not sound, do not start")]
)
def test_the_verdict_says_the_level(severity, verdict):
    assert rendered([Finding("check", severity, "what came")]).splitlines()[-1].startswith(verdict)


def test_a_pipe_gets_no_trailing_spaces(found, monkeypatch, capsys):
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    terminal.show(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines and lines == [line.rstrip() for line in lines]


def test_no_transcript_is_printed(found):
    assert not re.search("[가-힣]", rendered(found))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_nothing_of_a_finding_is_lost_at_any_width(width):
    long = "/data/[a folder]/" + "x" * 120 + ":smile:.wav"
    finding = Finding(
        "empty audio",
        "problem",
        f"1 segment, {long}",
        expected="a wav file, not 0 bytes",
        where=[f"s{k}: {long}" for k in range(5)],
        advice="Copy it from the corpus again, or go on without it.",
        corpus="kemdy19",
        table=[["fold", "surprise %"], [0, 12.345], [1, None]],
    )
    text = rendered([finding], width)
    assert max(map(len, text.splitlines())) <= width
    column = next(line.index("1 segment") for line in text.splitlines() if "1 segment" in line)
    last_column = "\n".join(line[column:] for line in text.splitlines())  # without what stands to the left of it
    assert words(finding.got) in words(last_column)
    for part in (finding.expected, *finding.where[:3], "and 2 more", finding.advice, "12.3", "-"):
        assert words(part) in words(text)
    assert "s3:" not in text


def test_colours_come_on_a_terminal_only(found):
    assert "\x1b[" not in rendered(found)
    coloured = rendered(found, force_terminal=True, color_system="standard")
    assert "\x1b[1;31mproblem" in coloured
    assert words(re.sub(r"\x1b\[[0-9;]*m", "", coloured)) == words(rendered(found))


@pytest.mark.parametrize(("columns", "expected"), [("60", 60), ("250", 100)])
def test_a_terminal_is_filled_up_to_100_columns(found, columns, expected, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)
    terminal.show(found)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, text.splitlines())) == expected


def test_a_pipe_gets_plain_text_of_100_columns(found, monkeypatch, capsys):
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    terminal.show(found)
    text = capsys.readouterr().out
    assert "\x1b" not in text and max(map(len, text.splitlines())) == 100
