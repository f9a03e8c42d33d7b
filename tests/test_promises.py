"""Every test that ``docs/promises.md`` names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", PAGE.split("\n| promise", 1)[1])))


def is_there(file: str, name: str) -> bool:
    path = TESTS / file
    return path.is_file() and f"\ndef {name or 'test_'}" in path.read_text(encoding="utf-8")


def test_the_page_names_many_tests():
    assert len(NAMED) > 35
    assert not is_there("faults/test_lock.py", "test_no_such(")  # control


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: part)
def test_a_named_test_exists(file, name):
    assert is_there(file, f"{name}(" if name else "")


def test_every_promise_has_a_test():
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert [what for what, test, _ in rows if "::" not in test and ".py" not in test and "**" not in what] == []


def test_readme_links_to_the_page():
    assert "(docs/promises.md)" in (TESTS.parent / "README.md").read_text(encoding="utf-8")
