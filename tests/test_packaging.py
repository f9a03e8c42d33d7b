"""The package installs from one list of requirements; its front door lists and runs the commands.

``python tests/test_packaging.py`` writes requirements.txt and requirements-dev.txt anew from pyproject.toml.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADERS = {
    "requirements.txt": "# What the project needs. Written from pyproject.toml by python tests/test_packaging.py: change it there.\n"
    "# constraints.txt holds the exact versions that the tests passed with.\n",
    "requirements-dev.txt": "# For the tests: ./setup.sh --dev. Written from pyproject.toml by python tests/test_packaging.py.\n"
    "-r requirements.txt\n",
}


def pyproject() -> dict:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        from pip._vendor import tomli as tomllib
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirement_files() -> dict[str, str]:
    """Content of both files, from pyproject.toml."""
    project = pyproject()["project"]
    extras = project["optional-dependencies"]
    dev = [line for line in extras["dev"] if not line.startswith("erc[")]
    dev += [line for name in ("lora", "classical", "app", "onnx") for line in extras[name]]
    lists = {"requirements.txt": project["dependencies"], "requirements-dev.txt": sorted(dev)}
    return {name: HEADERS[name] + "".join(f"{line}\n" for line in lines) for name, lines in lists.items()}


@pytest.mark.parametrize("name", HEADERS)
def test_the_requirement_files_are_those_of_pyproject(name):
    assert (ROOT / name).read_text(encoding="utf-8") == requirement_files()[name], "python tests/test_packaging.py"


def test_every_requirement_has_an_exact_version():
    pinned = {
        re.split(r"==|\s", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    wanted = {
        re.split(r"[<>=!~;\[ ]", line)[0].lower()
        for text in requirement_files().values()
        for line in text.splitlines()
        if line and not line.startswith(("#", "-r"))
    }
    assert wanted - pinned == set()


def test_only_the_package_is_installed():
    found = pyproject()["tool"]["setuptools"]["packages"]["find"]
    assert found == {"include": ["erc*"]}


def test_every_file_that_is_not_python_is_package_data():
    patterns = pyproject()["tool"]["setuptools"]["package-data"]["erc"]
    suffixes = {path.suffix or path.name for path in (ROOT / "erc").rglob("*") if path.is_file()} - {".py", ".pyc"}
    assert all(any(pattern.endswith(suffix) for pattern in patterns) for suffix in suffixes), suffixes


@pytest.mark.slow
def test_the_wheel_holds_what_the_source_holds(tmp_path):
    """Built without isolation: no package index is needed; from a copy, since a build leaves files behind."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "erc", source / "erc", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source]
    found = subprocess.run(build, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    from zipfile import ZipFile

    wheel = next(tmp_path.glob("erc-*.whl"))
    held = {name for name in ZipFile(wheel).namelist() if name.startswith("erc/")}
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "erc").rglob("*")
        if path.is_file() and "__pycache__" not in str(path)
    }
    assert held == wanted


# --- front door -------------------------------------------------------------------------------------------------------
def front_door(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "erc", *arguments], capture_output=True, text=True, cwd=ROOT)


def test_the_front_door_lists_its_commands():
    from erc.__main__ import COMMANDS

    found = front_door()
    assert found.returncode == 0
    assert all(f"  {name} " in found.stdout for name in COMMANDS)


def test_the_front_door_imports_nothing_heavy():
    code = "import sys, erc.__main__; erc.__main__.main([]); print(len(sys.modules), 'numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.splitlines()[-1].endswith("False")


def test_a_misspelt_command_is_told_what_was_meant():
    found = front_door("reprot")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "There is no command 'reprot'. Did you mean report? python -m erc lists them all.\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("synthetic --rooot={0}", "synthetic has no option --rooot. Did you mean --root? "),
        ("synthetic --root {0} --sesions 1", "synthetic has no option --sesions. Did you mean --sessions? "),
        ("doctor corpus --rot={0}", "doctor has no option --rot. Did you mean --root? "),
        ("report runs --with-meda", "report has no option --with_meda. Did you mean --with_media? "),
    ],
)
def test_a_misspelt_option_stops_a_command_before_it_does_anything(capsys, monkeypatch, tmp_path, typed, said):
    from erc import __main__ as door

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        door.main(typed.format(tmp_path / "out").split())
    assert ended.value.code == (3 if typed.startswith("doctor") else 2) and not any(tmp_path.iterdir())
    name = typed.split()[0]
    assert capsys.readouterr().err == f"{said}python -m erc {name} --help lists them all.\n"


@pytest.mark.parametrize(
    "typed",
    ["--root=x --sessions 2 --seed -1", "-r x --nobio", "--help", "-- --help", "", "--bio --corpora=kemdy19 -b"],
)
def test_an_option_in_any_spelling_of_fire_is_known(typed):
    from erc.__main__ import unknown_option
    from erc.synthetic import write

    assert unknown_option("synthetic", write, typed.split()) == ""


def test_every_command_finds_what_it_calls():
    from erc.__main__ import CLONE, COMMANDS

    for name, command in COMMANDS.items():
        if command.script:
            assert command.script[0] == "-m" or (CLONE / command.script[0]).is_file(), name
        for function in command.names:
            assert callable(getattr(import_module(command.module), function)), name


def test_a_command_runs_with_its_arguments(tmp_path):
    found = front_door(
        "synthetic", f"--root={tmp_path}", "--sessions=1", "--segments=2", "--seconds=0.5", "--corpora=kemdy20"
    )
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "KEMDy20_v1_1" / "annotation").is_dir()


def test_training_without_a_clone_says_what_to_do(monkeypatch, capsys, tmp_path):
    from erc import __main__ as door

    monkeypatch.setattr(door, "CLONE", tmp_path)
    with pytest.raises(SystemExit) as ended:
        door.main(["train", "experiment=demo"])
    assert ended.value.code == 2
    assert "Training runs from a clone" in capsys.readouterr().err


@pytest.mark.slow
def test_a_script_of_the_clone_runs_where_the_caller_stands(tmp_path):
    environment = {**__import__("os").environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-m", "erc", "train", "--help"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert found.returncode == 0 and "Powered by Hydra" in found.stdout, found.stderr


if __name__ == "__main__":
    for file_name, content in requirement_files().items():
        (ROOT / file_name).write_text(content, encoding="utf-8")
