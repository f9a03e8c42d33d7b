"""Imports run one way, room by room; each heavy library comes in by its own door; files and functions stay readable."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "erc"

ORDER = [
    "labels",
    "peakl",
    "targets",
    "files",
    "tracking",
    "mistakes",
    "registration",
    "data",
    "views",
    "manifests",
    "cross_corpora",
    "datasets",
    "convert",
    "model",
    "frozen",
    "evaluation",
    "training",
    "inference",
    "robustness",
    "synthetic",
] + ["doctor", "report", "configuration", "export", "app", "grid", "plan", "__main__"]
"""Rooms in the order in which the data flows: folders, and files that are a room of their own."""

WITHIN = {
    "data": [
        "options",
        "corpora",
        "segments",
        "source_files",
        "kemdy_rows",
        "completeness",
        "kemdy",
        "folds",
        "scripts",
        "media",
    ]
    + ["checksums", "manifest", "build", "table_files", "rated_labels", "segment_rows", "made_folds", "segment_list"]
    + [
        "sound_cuts",
        "segment_build",
        "signal_files",
        "heart_beats",
        "signal_features",
        "signal_sequences",
        "signal_build",
        "collate",
        "sampler",
    ],
    "convert": ["segments_file", "crema_d_rows", "emodb_rows", "ravdess_rows", "iemocap_rows"]
    + ["meld_rows", "msp_podcast_rows", "commands"],
    "model": [
        "places",
        "products",
        "pretrained",
        "adaptation",
        "layer_cut",
        "sizes",
        "encoders",
        "spectrogram",
        "pooling",
        "fusion",
        "signal_encoder",
        "missing",
        "heads",
        "emotion_model",
        "configuration",
    ]
    + ["recognition_model", "processor", "transcription", "exporting", "weight_files"]
    + ["saving", "fine_tuning"],
    "frozen": ["store", "states"],
    "synthetic": ["layout", "ratings", "annotation_files", "voice", "words", "bio", "signals", "examples", "corpora"],
    "doctor": ["findings", "mojibake", "evidence", "published", "annotations", "ratings", "counts", "audio", "level"]
    + [
        "lengths",
        "transcripts",
        "voices",
        "signals",
        "across_folds",
        "label_shift",
        "packages",
        "plan",
        "machine",
        "start",
    ]
    + ["diagnosis", "segment_lists", "terminal", "commands"],
    "inference": ["windows", "sound", "remarks", "sources", "ensemble", "predictor", "table_rows", "table_run"]
    + ["commands"],
    "robustness": ["effects", "sounds", "words", "conditions", "scoring", "table"],
    "app": ["texts", "limits", "pictures", "page", "server", "commands"],
    "export": ["parity", "onnx", "card", "checkpoint", "commands"],
    "plan": [
        "asked_for",
        "cards",
        "lengths",
        "model",
        "timing",
        "parts",
        "loop",
        "costs",
        "answer",
        "terminal",
        "commands",
    ],
    "configuration": ["values", "buildable", "check", "hydra_tree", "start"],
    "report": [
        "rendering",
        "finished_run",
        "grid_results",
        "projection",
        "arrangement",
        "coverage",
        "comparisons",
        "single_tables",
        "modalities",
        "notes",
        "group_tables",
        "table_files",
        "against",
        "tables",
        "raters",
        "robustness_tables",
        "figures",
        "robustness_command",
        "page",
    ],
}
"""Order within a room, where the room has a flow of its own."""

DOORS = {
    "transformers": {"model"},
    "safetensors": {"model", "frozen/store"},
    "peft": {"model/adaptation"},
    "pytorch_lightning": {"training"},
    "datasets": {"data/build", "data/segment_build", "data/signal_build", "views", "cross_corpora", "datasets"},
    "pydantic": {"configuration", "evaluation/result_schema"},
    "hydra": {"grid", "configuration", "export/checkpoint", "plan/model"},
    "omegaconf": {"grid", "configuration", "export/checkpoint", "plan/model"},
    "wandb": set(),
    "matplotlib": {"report", "app"},
    "umap": {"report"},
    "plotly": {"report"},
    "jinja2": {"report", "export/card"},
    "gradio": {"app"},
    "fastapi": {"app"},
    "uvicorn": {"app"},
}
"""Rooms, or single files, that may import a library. Hydra belongs to train.py; ``grid`` composes as train.py does, to know
a cell's identity, ``configuration`` to check what Hydra itself would build, ``export`` to build the model of a checkpoint, and
``plan`` to build one without its weights."""

MAX_FILE_LINES = 350
MAX_BODY_LINES = 60


def sources() -> dict[str, str]:
    """Name of each module, ``data/media`` for one in a room, and its text; a room's face (``.pyi``) is ``data/__init__``."""
    found = {
        str(path.relative_to(PACKAGE).with_suffix("")): path.read_text(encoding="utf-8") for path in python_files()
    }
    return found


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """Dotted names that a module imports, those inside functions as well."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir()


def complaints(modules: dict[str, str]) -> list[str]:
    """Imports that run against the order, or reach behind another room's face."""
    found = []
    for name, source in modules.items():
        here, *rest = name.split("/")
        for dotted in imported(source):
            parts = dotted.split(".")
            if parts[0] != "erc" or len(parts) == 1 or parts[1].startswith("__"):
                continue
            there = parts[1]
            if there == here:
                order = WITHIN.get(here, [])
                if rest and rest[0] in order and len(parts) > 2 and parts[2] in order:
                    if order.index(parts[2]) > order.index(rest[0]):
                        found.append(f"{name} -> {dotted}: runs backwards within the room")
            elif ORDER.index(there) > ORDER.index(here):
                found.append(f"{name} -> {dotted}: runs backwards")
            elif is_room(there) and len(parts) > 3 and is_file_of(there, parts[2]):
                found.append(f"{name} -> {dotted}: reaches behind the face of {there}")
    return found


def is_file_of(room: str, name: str) -> bool:
    return (PACKAGE / room / f"{name}.py").is_file()


def foreign_doors(modules: dict[str, str]) -> list[str]:
    """Imports of a heavy library elsewhere than by its doors."""
    return [
        f"{name} imports {library}"
        for name, source in modules.items()
        for library in {dotted.split(".")[0] for dotted in imported(source)} & set(DOORS)
        if not any(name == door or name.startswith(f"{door}/") for door in DOORS[library])
    ]


def test_every_room_has_its_place_in_the_order():
    found = {name.split("/")[0] for name in sources()} - {"__init__"}
    assert found == set(ORDER), "a new room gets a place in ORDER and in README's code structure"


def test_the_readme_lists_the_rooms_in_this_order():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Code structure")[1].split("```")[1]
    listed = [line.split()[0].removesuffix(".py").removesuffix("/") for line in text.strip().splitlines()]
    assert listed == ORDER


def test_every_file_has_its_place_in_its_room():
    for room, order in WITHIN.items():
        found = {path.stem for path in (PACKAGE / room).iterdir() if path.suffix == ".py" or path.is_dir()}
        assert found - {"__init__", "__pycache__"} == set(order), room


def test_each_face_lists_every_file_of_its_room():
    for room in (name for name in ORDER if is_room(name)):
        docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
        for path in (PACKAGE / room).iterdir():
            if path.suffix == ".py" and not path.stem.startswith("__"):
                assert f"    {path.name} " in docstring, f"{room}/__init__.py: a line on {path.name}"


def test_imports_run_one_way_and_through_the_faces():
    assert complaints({name: source for name, source in sources().items() if name != "__init__"}) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("labels", "from erc.peakl import peak_label"),
        ("model/heads", "import erc.training"),
        ("evaluation/metrics", "def f():\n    from erc.training import state_of"),
        ("report/tables", "from erc.grid import main"),
        ("data/folds", "from erc.data.build import Build"),
        ("report/tables", "from erc.evaluation.metrics import evaluate"),
    ],
)
def test_an_import_that_runs_backwards_or_behind_a_face_would_be_found(name, source):
    assert len(complaints({name: source})) == 1


def test_heavy_libraries_come_in_by_their_doors_only():
    assert foreign_doors(sources()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("training/losses", "import wandb"),
        ("evaluation/metrics", "from transformers import AutoModel"),
        ("training/run", "import hydra.utils"),
    ],
)
def test_a_library_that_comes_in_elsewhere_would_be_found(name, source):
    assert len(foreign_doors({name: source})) == 1


@pytest.mark.parametrize(
    "module", ["erc", *(f"erc.{room}" for room in ORDER if is_room(room)), "erc.__main__", "erc.tracking", "erc.files"]
)
def test_a_face_imports_nothing_heavy(module):
    """``python -m erc`` and ``--help`` answer at once."""
    heavy = "{'torch', 'transformers', 'datasets', 'pandas', 'matplotlib', 'pytorch_lightning', 'sklearn', 'scipy'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_what_builds_the_data_set_imports_no_torch():
    """``python -m fire erc.datasets HF_KEMD`` starts fast, and its workers are processes without torch."""
    code = "import sys, erc.datasets, erc.data.build; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "False"


@pytest.mark.slow
def test_every_name_of_a_face_can_be_had():
    rooms = ", ".join(f"erc.{room}" for room in ORDER if is_room(room))
    code = f"import {rooms}"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, env={**__import__("os").environ, "EAGER_IMPORT": "1"}
    )


def test_no_file_is_longer_than_a_reader_can_hold():
    files = [*python_files(), *PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.css")]
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_body_is_longer_than_a_screen():
    found = {}
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                n_lines = node.end_lineno - first.lineno + 1
                if n_lines > MAX_BODY_LINES:
                    found[f"{path.relative_to(ROOT)}:{node.name}"] = n_lines
    assert found == {}


def test_no_module_stops_in_a_debugger_or_swallows_every_exception():
    for path in [*python_files(), ROOT / "train.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", getattr(node.func, "attr", "")) not in {"breakpoint", "set_trace"}, path
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}, line {node.lineno}: a bare except"
