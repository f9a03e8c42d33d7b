"""The interpreter and the installed packages are judged by their versions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from erc.doctor import packages

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def versions(monkeypatch):
    """Installed versions that a test may change; a name that is not here is as installed."""
    changed: dict[str, str | None] = {}
    real = packages.installed
    monkeypatch.setattr(packages, "installed", lambda name: changed[name] if name in changed else real(name))
    return changed


def test_versions_out_of_range_and_missing_packages_are_named(versions):
    versions |= {"hydra-core": "1.3.5", "wandb": None}
    (finding,) = packages.check_packages()
    assert finding.severity == "problem" and finding.got.startswith("2 packages")
    assert [place.split(" ")[0] for place in finding.where] == ["hydra-core", "wandb"]
    assert "hydra-core 1.3.5" in finding.where[0] and ">=1.3.6" in finding.where[0]


def test_every_requirement_is_compared(versions):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")]
    versions |= dict.fromkeys(names)
    (finding,) = packages.check_packages()
    assert [place.split(" ")[0] for place in finding.where] == names


def test_an_installed_package_says_itself_what_it_needs_and_an_extra_is_not_needed(versions, monkeypatch):
    lines = ["torch==2.11.*", 'peft>=0.17; extra == "lora"', 'tomli>=2; python_version < "3"', "wandb>=0.20"]
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: lines if name == "erc" else None)
    versions |= {"torch": None, "peft": None, "tomli": None, "wandb": "0.19"}
    (finding,) = packages.check_packages()
    assert finding.where == ["torch is not installed; ==2.11.* is needed", "wandb 0.19; >=0.20 is needed"]
    assert finding.expected == "the ranges of the installed package"


@pytest.fixture
def not_installed(monkeypatch):
    """As in a clone whose package is not installed."""

    def fail(name):
        raise packages.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages.importlib.metadata, "requires", fail)


def test_in_a_clone_pyproject_says_what_is_needed(not_installed):
    lines, source = packages.required()
    assert source == "pyproject.toml" and any(line.startswith("torch==") for line in lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file"), ("[project", "Expected"), ("[project]\nname = 'erc'\n", "has no 'dependencies'")],
)
def test_versions_that_cannot_be_compared_are_said_so(not_installed, monkeypatch, tmp_path, text, reason):
    monkeypatch.setattr(packages, "PYPROJECT", tmp_path / "pyproject.toml")
    if text is not None:
        packages.PYPROJECT.write_text(text)
    (finding,) = packages.check_packages()
    assert finding.severity == "warning" and finding.got.startswith("versions not compared: ") and reason in finding.got


def test_a_python_that_cannot_read_toml_says_so(not_installed, monkeypatch):
    for name in ("tomllib", "pip._vendor"):
        monkeypatch.setitem(sys.modules, name, None)
    (finding,) = packages.check_packages()
    assert finding.severity == "warning" and "not compared" in finding.got


def test_versions_within_the_ranges_are_fine(versions):
    versions |= {"torch": "2.11.0+cpu", "torchaudio": "2.11.3", "pytorch-lightning": "2.6.6", "hydra-core": "1.3.6"}
    wrong = [place.split(" ")[0] for finding in packages.check_packages() for place in finding.where]
    assert not set(versions) & set(wrong)


@pytest.mark.parametrize("package", ["pytorch-lightning", "lightning"])
@pytest.mark.parametrize("release", ["2.6.2", "2.6.3"])
def test_the_malicious_releases_of_lightning_are_found(package, release, versions):
    versions |= {"pytorch-lightning": "2.6.6", "lightning": None, package: release}
    (finding,) = packages.check_lightning()
    assert finding.severity == "problem" and f"{package} {release}" in finding.got and "token" in finding.advice
    if package == "pytorch-lightning":  # the range shuts it out, too
        assert any(place.startswith(f"{package} {release}") for place in packages.check_packages()[0].where)
    versions |= {package: "2.6.4"}
    assert packages.check_lightning()[0].severity == "ok"


@pytest.mark.slow
def test_nothing_of_lightning_is_imported_to_look_at_it():
    code = "import sys, erc.doctor as d; d.diagnose_environment(); print([m for m in sys.modules if 'lightning' in m])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert process.stdout.strip() == "[]", process.stderr


@pytest.mark.parametrize(
    ("torch", "torchaudio", "severity"),
    [
        ("2.11.0", "2.11.0", "ok"),
        ("2.11.0+cpu", "2.11.1+cpu", "ok"),
        ("2.13.0", "2.11.0", "problem"),
        ("2.1.0", "2.11.0", "problem"),
        ("2.11.0+cpu", "2.11.0+cu130", "problem"),
        ("2.11.0", None, "problem"),
        (None, None, "problem"),
    ],
)
def test_torch_and_torchaudio_must_be_of_one_release(torch, torchaudio, severity, versions):
    versions |= {"torch": torch, "torchaudio": torchaudio}
    (finding,) = packages.check_torch_pair()
    assert finding.severity == severity
    assert all(str(version) in finding.got for version in (torch, torchaudio) if torch and torchaudio)


def test_a_torchaudio_that_does_not_import_is_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    (finding,) = packages.check_torchaudio()
    assert finding.severity == "problem" and "torchaudio" in finding.got


@pytest.mark.parametrize(
    ("version", "severity"), [((3, 9), "problem"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "problem")]
)
def test_the_interpreter_is_judged_as_pyproject_says(version, severity, monkeypatch):
    monkeypatch.setattr(packages.sys, "version_info", (*version, 0))
    assert packages.check_python()[0].severity == severity
    bounds = re.search(r'requires-python = ">=(\d+)\.(\d+),<(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert packages.PYTHON == tuple(tuple(map(int, pair)) for pair in (bounds.groups()[:2], bounds.groups()[2:]))
