"""The lock files: every version exact, every file hashed, nothing with a known advisory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]

FLOORS = {
    "torch": "2.10",
    "transformers": "5.5",
    "pyarrow": "14.0.1",
    "filelock": "3.20.3",
    "hydra-core": "1.3.6",
}
"""Older versions have known advisories."""

MALICIOUS = {
    ("pytorch-lightning", "2.6.2"),
    ("pytorch-lightning", "2.6.3"),
    ("lightning", "2.6.2"),
    ("lightning", "2.6.3"),
}


def entries(text: str) -> dict[str, list[str]]:
    """Requirement -> its hashes."""
    found = {}
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE):
        first, *hashes = [line.strip().removesuffix("\\").strip() for line in entry.splitlines() if line.strip()] or [
            ""
        ]
        if first and not first.startswith(("#", "-r")):
            found[first] = hashes
    return found


def complaints(text: str) -> list[str]:
    found = []
    for line, hashes in entries(text).items():
        requirement = Requirement(line)
        name = requirement.name.lower().replace("_", "-")
        [specifier] = list(requirement.specifier) or [None]
        if specifier is None or specifier.operator != "==" or "*" in specifier.version:
            found.append(f"{line}: no exact version")
            continue
        if not hashes or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes):
            found.append(f"{line}: no hash")
        if name in FLOORS and Version(specifier.version) < Version(FLOORS[name]):
            found.append(f"{line}: older than {FLOORS[name]}")
        if (name, specifier.version) in MALICIOUS:
            found.append(f"{line}: malicious")
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_everything_is_exact_hashed_and_not_known_to_be_bad(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(entries(text)) > 30
    assert complaints(text) == []
    # where a file comes from is the installer's business; its hash decides
    assert "://" not in text and "--index-url" not in text and "--find-links" not in text


@pytest.mark.parametrize(
    "line",
    ["torch>=2.11", "torch", "torch==2.11.0", "pytorch-lightning==2.6.3 \\\n    --hash=sha256:" + "0" * 64]
    + ["filelock==3.20.2 \\\n    --hash=sha256:" + "0" * 64, "numpy==2.0 \\\n    --hash=md5:" + "0" * 64],
)
def test_a_lock_file_that_is_wrong_would_be_found(line):
    assert len(complaints(line + "\n")) == 1


def test_the_locked_versions_are_those_of_the_constraints():
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            pinned.setdefault(requirement.name.lower().replace("_", "-"), set()).add(str(requirement.specifier))
    for name in LOCKS:
        for line in entries((ROOT / name).read_text(encoding="utf-8")):
            requirement = Requirement(line)
            wanted = pinned.get(requirement.name.lower().replace("_", "-"))
            # what another operating system needs besides is in the lock files alone
            assert wanted is None or str(requirement.specifier) in wanted, line


def test_every_requirement_is_locked():
    locked = {
        Requirement(line).name.lower().replace("_", "-")
        for name in LOCKS
        for line in entries((ROOT / name).read_text(encoding="utf-8"))
    }
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r")):
                assert Requirement(line.split("#")[0]).name.lower().replace("_", "-") in locked, line


def test_requirements_exclude_what_is_malicious():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(r"^pytorch-lightning.*!=2\.6\.2,!=2\.6\.3", text, flags=re.MULTILINE)


# --- actions of the workflows -----------------------------------------------------------------------------------------
def unpinned(text: str) -> list[str]:
    """Actions that are not named by a commit with its version behind it; a tag can be moved to other code."""
    used = re.findall(r"uses:\s*(.*\S)", text)
    return [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)]


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_every_action_is_named_by_its_commit_and_may_only_read(path):
    text = path.read_text(encoding="utf-8")
    assert "uses:" in text and unpinned(text) == []
    assert re.search(r"^permissions:\n  contents: read\n", text, re.MULTILINE)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_an_action_of_a_tag_would_be_found():
    assert unpinned("- uses: actions/checkout@v4\n") == ["actions/checkout@v4"]
    assert unpinned(f"- uses: actions/checkout@{'0' * 40}\n") != []
