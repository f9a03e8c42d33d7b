"""Checks of the interpreter and the installed packages."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from pathlib import Path
from typing import Any

from erc.doctor.findings import Finding, plural

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
"""The list of requirements, where the package runs from a clone and is not installed."""

PYTHON = ((3, 10), (3, 14))
"""The first version that works, and the first that does not; ``requires-python`` in pyproject.toml says the same."""

MALICIOUS = {"pytorch-lightning": ("2.6.2", "2.6.3"), "lightning": ("2.6.2", "2.6.3")}
"""Releases that run an attacker's code when they are imported (GHSA-w37p-236h-pfx3)."""


def installed(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_python() -> list[Finding]:
    """The interpreter's version."""
    version = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if PYTHON[0] <= tuple(sys.version_info[:2]) < PYTHON[1]:
        return [Finding("python", "ok", version)]
    first, last = (".".join(map(str, bound)) for bound in PYTHON)
    return [
        Finding(
            "python",
            "problem",
            version,
            expected=f"{first} or newer, older than {last}",
            advice="PYTHON=python3.12 ./setup.sh makes an environment of that version.",
        )
    ]


def required() -> tuple[list[str], str]:
    """What this package needs, as requirement lines, and where they are written.

    Raises:
        OSError: The package is not installed, and no pyproject.toml is beside it.
        ImportError: Python 3.10 without pip has nothing that reads the file.
        ValueError: The file is no TOML, or has no list of dependencies.
    """
    try:
        return importlib.metadata.requires("erc") or [], "the installed package"
    except importlib.metadata.PackageNotFoundError:
        text = PYPROJECT.read_text(encoding="utf-8")
    try:
        return list(_read_toml(text)["project"]["dependencies"]), PYPROJECT.name
    except KeyError as err:
        raise ValueError(f"{PYPROJECT} has no {err}") from err


def _read_toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        from pip._vendor import tomli as tomllib
    return tomllib.loads(text)


def check_packages() -> list[Finding]:
    """Installed versions against the ranges that this package requires."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return [Finding("packages", "warning", "versions not compared: packaging is missing", advice="./setup.sh")]
    try:
        lines, source = required()
    except (OSError, ImportError, ValueError) as err:
        return [
            Finding(
                "packages",
                "warning",
                f"versions not compared: {err}",
                advice="Run it in a clone of the repository, or install the package: pip install .",
            )
        ]
    requirements = [Requirement(line) for line in lines]
    # what only an extra brings has a marker on it
    requirements = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for requirement in requirements:
        version = installed(requirement.name)
        if version is None:
            wrong.append(f"{requirement.name} is not installed; {requirement.specifier or 'any version'} is needed")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version}; {requirement.specifier} is needed")
    if not wrong:
        return [Finding("packages", "ok", f"{len(requirements)} packages within the ranges of {source}")]
    return [
        Finding(
            "packages",
            "problem",
            f"{plural(len(wrong), 'package')} missing or out of range",
            expected=f"the ranges of {source}",
            where=wrong,
            advice="./setup.sh, or pip install -r requirements.txt -c constraints.txt",
        )
    ]


def check_lightning() -> list[Finding]:
    """Releases of Lightning that must never be installed; nothing is imported."""
    versions = {package: installed(package) for package in MALICIOUS}
    bad = [f"{package} {version}" for package, version in versions.items() if version in MALICIOUS[package]]
    if not bad:
        here = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        return [Finding("lightning release", "ok", here or "not installed")]
    return [
        Finding(
            "lightning release",
            "problem",
            f"{', '.join(bad)}: malicious, steals tokens when it is imported (GHSA-w37p-236h-pfx3)",
            expected="any release but 2.6.2 and 2.6.3",
            advice="Import nothing. Uninstall it, delete the environment, and revoke every token that this machine "
            "knows (Hugging Face, W&B, git, cloud); then ./setup.sh in a new environment.",
        )
    ]


def check_torch_pair() -> list[Finding]:
    """Whether torch and torchaudio are of one release."""
    torch, torchaudio = installed("torch"), installed("torchaudio")
    if torch is None or torchaudio is None:
        lacking = " and ".join(name for name, there in (("torch", torch), ("torchaudio", torchaudio)) if there is None)
        return [Finding("torch and torchaudio", "problem", f"{lacking} not installed", advice="./setup.sh")]
    got = f"torch {torch}, torchaudio {torchaudio}"
    if _release(torch) != _release(torchaudio):
        wanted, advice = "the same release of both", f"pip install torchaudio=={_release(torch)}.*"
    elif "+" in torch and "+" in torchaudio and torch.split("+")[1] != torchaudio.split("+")[1]:
        wanted, advice = "the same build of both (behind the +)", "Install both from the same index."
    else:
        return [Finding("torch and torchaudio", "ok", got)]
    return [Finding("torch and torchaudio", "problem", got, expected=wanted, advice=advice)]


def check_torchaudio() -> list[Finding]:
    """Whether torchaudio can be imported; its library must fit torch's."""
    try:
        import torchaudio
    except (ImportError, OSError, RuntimeError, AttributeError) as err:
        return [
            Finding(
                "torchaudio import",
                "problem",
                f"{type(err).__name__}: {err}",
                expected="an import without error",
                advice="Install torch and torchaudio of the same release and build: ./setup.sh",
            )
        ]
    return [Finding("torchaudio import", "ok", f"torchaudio {torchaudio.__version__} imports")]


def _release(version: str) -> str:
    """Major and minor number: "2.11.0+cpu" -> "2.11"."""
    return ".".join(re.split(r"[.+]", version)[:2])
