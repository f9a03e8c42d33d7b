"""Imports run one way: a module imports only modules above it, and each heavy library comes in by its own doors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "erc"

ORDER = (
    ["labels", "peakl", "targets", "corpora", "annotations", "folds", "media", "sample", "datasets", "doctor"]
    + ["batch", "pooling", "encoders", "fusion", "heads", "model", "losses", "metrics", "optim", "module", "datamodule"]
    + ["callbacks", "runs", "statistics", "results", "configuration", "training", "report", "grid"]
)
"""The order in which the data flows. ``fusion`` and ``report`` are folders."""

DOORS = {
    "transformers": {"batch", "encoders"},
    "peft": {"encoders"},
    "pytorch_lightning": {"module", "datamodule", "callbacks", "training"},
    "datasets": {"datasets"},
    "hydra": {"grid"},
    "omegaconf": {"grid"},
    "wandb": set(),
    "matplotlib": {"report"},
    "seaborn": {"report"},
    "umap": {"report"},
    "plotly": {"report"},
}
"""Modules that may import a library. Hydra belongs to train.py; ``grid`` composes as train.py does, to know a cell's identity."""

LIGHT = ORDER[: ORDER.index("batch")]
"""What ``python -m fire erc.datasets HF_KEMD`` loads: no torch at import, so that it starts fast."""


def sources() -> dict[str, str]:
    """Name of each module, ``fusion/mixer`` for one in a folder, and its text."""
    return {
        str(path.relative_to(PACKAGE).with_suffix("")): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imported(source: str, only_at_import: bool = False) -> Iterator[str]:
    """Dotted names that a module imports, those inside functions as well unless ``only_at_import``."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if only_at_import and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def backward_imports(modules: dict[str, str]) -> list[str]:
    """Imports that run against ``ORDER``, as "module -> imported one"."""
    found = []
    for name, source in modules.items():
        here = name.split("/")[0]
        for dotted in imported(source):
            parts = dotted.split(".")
            if parts[0] != "erc" or len(parts) == 1 or parts[1].startswith("__"):
                continue
            is_above = parts[1] in ORDER and ORDER.index(parts[1]) < ORDER.index(here)
            # one row of the table does not import another; the building block they share may be imported
            is_block = here == "fusion" == parts[1] and parts[2:3] == ["mixer"] and name != "fusion/mixer"
            is_within = here == "report" == parts[1]
            if not (is_above or is_block or is_within):
                found.append(f"{name} -> {dotted}")
    return found


def foreign_doors(modules: dict[str, str]) -> list[str]:
    """Imports of a heavy library elsewhere than by its doors."""
    return [
        f"{name} imports {library}"
        for name, source in modules.items()
        for library in {dotted.split(".")[0] for dotted in imported(source)} & set(DOORS)
        if name.split("/")[0] not in DOORS[library]
    ]


def test_every_module_has_its_place_in_the_order():
    found = {name.split("/")[0] for name in sources()} - {"__init__"}
    assert found == set(ORDER), "a new module gets a line in ORDER and in README's code structure"


def test_the_readme_lists_the_modules_in_this_order():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Code structure")[1].split("```")[1]
    listed = [line.split()[0].removesuffix(".py").removesuffix("/") for line in text.strip().splitlines()]
    assert listed == sorted(listed, key=ORDER.index)
    assert set(listed) == set(ORDER), "README's code structure and the modules differ"


def test_imports_run_one_way():
    assert backward_imports({name: source for name, source in sources().items() if name != "__init__"}) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("labels", "from erc.peakl import peak_label"),
        ("model", "import erc.losses"),
        ("metrics", "def f():\n    from erc import results"),
        ("report/tables", "from erc.grid import Cell"),
        ("fusion/concat", "from erc.fusion.tensor_mixer import TensorMixer"),
        ("results", "from erc.report.tables import table"),
    ],
)
def test_an_import_that_runs_backwards_would_be_found(name, source):
    assert len(backward_imports({name: source})) == 1


def test_heavy_libraries_come_in_by_their_doors_only():
    assert foreign_doors(sources()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [("losses", "import wandb"), ("model", "from transformers import AutoModel"), ("training", "import hydra.utils")],
)
def test_a_library_that_comes_in_elsewhere_would_be_found(name, source):
    assert len(foreign_doors({name: source})) == 1


def test_the_package_itself_imports_nothing():
    assert list(imported(sources()["__init__"])) == []


def test_what_builds_the_data_set_imports_no_torch_at_the_top():
    heavy = {"torch", "torchaudio", "transformers", "pytorch_lightning"}
    for name in LIGHT:
        assert not heavy & {dotted.split(".")[0] for dotted in imported(sources()[name], only_at_import=True)}, name


def test_no_module_stops_in_a_debugger_or_swallows_every_exception():
    for path in [*PACKAGE.rglob("*.py"), ROOT / "train.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", getattr(node.func, "attr", "")) not in {"breakpoint", "set_trace"}, path
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}, line {node.lineno}: a bare except"
