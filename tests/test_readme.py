"""README and the pages of docs/: every link leads somewhere, and every command is one that the program has."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import train  # noqa: F401  registers the configuration's resolvers
from erc.__main__ import COMMANDS, unknown_option
from erc.grid import options as grid_options

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands() -> list[str]:
    """Every command line of the pages: those of code blocks, and those between backticks."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`((?:python|sh) [^`]+)`", text)
        found += [line for line in lines if line.startswith(("python ", "sh "))]
    return sorted({line for line in found if "<" not in line})  # <name> stands for a name of the reader's


def test_the_pages_name_many_commands():
    assert len(commands()) > 50


@pytest.mark.parametrize("line", [one for one in commands() if one.startswith("python train.py")])
def test_a_training_command_composes(line):
    words = [word for word in shlex.split(line)[2:] if not word.startswith("-") and "…" not in word]
    if "-m" in line.split():  # a sweep: its first run
        words = [word.split(",")[0] for word in words]
    with initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        compose("train", words)


@pytest.mark.parametrize("line", [one for one in commands() if one.startswith("python -m erc ")])
def test_a_command_of_the_program_exists_with_its_options(line):
    name, *rest = [word for word in shlex.split(line)[3:] if word != "…"]
    if name in ("COMMAND", "--help"):
        return
    command = COMMANDS[name]
    if command.script:
        return
    module = import_module(command.module)
    functions = {one: getattr(module, one) for one in command.names}
    called = functions.get(rest[0]) if len(functions) > 1 and rest else next(iter(functions.values()))
    if callable(called):
        assert unknown_option(name, called, rest) == ""


@pytest.mark.parametrize("line", [one for one in commands() if one.startswith("sh reproduce.sh")])
def test_a_grid_command_is_parsed(line, monkeypatch):
    if "manifest" in line or "emodb" in line:
        return  # how many folds there are is read from a corpus that is not here
    words = [word for word in shlex.split(line)[2:] if "…" not in word]
    if "--help" in words:
        return
    monkeypatch.setattr(sys, "argv", ["reproduce.sh"])
    grid_options.parse(words)


@pytest.mark.parametrize("line", [one for one in commands() if one.startswith(("sh ", "python evaluate.py"))])
def test_a_script_is_there(line):
    assert (ROOT / shlex.split(line)[1]).is_file()
