"""Identity of a run: everything that decides its result, and what differs between two runs.

Comes in: the configuration as plain values, the fingerprint of the corpora, the package's source. Goes out: an
``Identity``, which ``identity.json`` stores and ``result.json`` names by its fingerprint. An option counts unless it is in
``IGNORED``; a source file counts if it is in ``DECIDING``. Versions of other packages do not: ``result.json`` has them.
"""

from __future__ import annotations

import ast
import fnmatch
import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from erc import __version__
from erc.model import model_folder
from erc.training.encoder_files import content_hash

PACKAGE = Path(__file__).resolve().parents[1]

VERSIONED = ("torch", "pytorch-lightning", "transformers", "datasets", "hydra-core", "numpy", "scikit-learn")

IGNORED = (
    "dataset.root",
    "dataset.path",
    "dataset.allow_outside",
    "dataset.cache_dir",
    "dataset.num_proc",
    "dataset.corpora.*.root",
    "dataset.corpora.*.path",
    "dataset.corpora.*.allow_outside",
    "dataset.corpora.*.cache_dir",
    "dataset.corpora.*.num_proc",
    "dataloader.num_workers",
    "dataloader.timeout_seconds",
    "synthetic.root",
    "callbacks.*.path",
    "callbacks.*.dirpath",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
    "trainer.default_root_dir",
    "logger",
    "run_dir",
    "ckpt_path",
    "resume",
    "accept_code",
)
"""The only options that do not count: where files lie, logging, and how the work is divided. None of them can change a result.

A run goes on from a checkpoint of its own only, so ``ckpt_path`` does not count. Where it goes on from a checkpoint of fewer
epochs, ``continued`` writes down from which run.

``trainer.accelerator``, ``trainer.devices``, ``trainer.precision`` and ``n_threads`` count: a CPU and a GPU round
differently, the number of devices changes the batches, and the number of threads the order in which a CPU adds up."""

ADDED = ("n_threads", "model.init_from", "model.modality_dropout", "dataset.*signals", "*.signals.*", "optim.*.signals")
"""Options that count, and that an identity of before lacks. What it was then is not known: a number of threads was the
machine's. That is no difference by itself, since the code differs as well, and is refused unless it is accepted."""

LATER = ("train_last", "cache")
"""Last parts of the names of options that came later, and that an identity does not hold where they are null: null is what was
there before they were."""

ENCODER_NAMES = ("encoders.*.name", "model.encoders.*.name", "model.init_from")
"""Options that may name a directory. Its content counts then, and its path does not."""

DECIDING = (
    "labels.py",
    "peakl.py",
    "targets.py",
    "views.py",
    "manifests.py",
    "cross_corpora.py",
    "datasets.py",
    "data/*.py",
    "model/**/*.py",
    "frozen/*.py",
    "evaluation/checks.py",
    "evaluation/cluster_sums.py",
    "evaluation/metrics.py",
    "evaluation/one_rater.py",
    "evaluation/predictions.py",
    "training/*.py",
)
"""Source files that decide a result, as patterns below the package."""

DECIDING_SYNTHETIC = ("synthetic/*.py",)
"""Source files that decide a result as well, where the run is on a synthetic corpus."""

NOT_DECIDING = {
    "data/scripts.py",
    "model/configuration.py",
    "model/exporting.py",
    "model/places.py",
    "model/processor.py",
    "model/recognition_model.py",
    "model/saving.py",
    "model/sizes.py",
    "model/transcription.py",
    "model/weight_files.py",
    "training/allocator.py",
    "training/encoder_files.py",
    "training/epoch_bar.py",
    "training/facts.py",
    "training/grid_identity.py",
    "training/identity.py",
    "training/loggers.py",
    "training/read_back.py",
    "training/resuming.py",
    "training/run_folder.py",
    "training/scoring.py",
}
"""Files that ``DECIDING`` matches and no result depends on: they save models, log, keep folders, or read finished runs."""

ORIGIN = "ckpt_path"
"""Option by which an identity names the run that it goes on from; see ``continued``."""

MAX_NAMED = 8
"""So many differences are named in a message."""


@dataclass(frozen=True)
class Identity:
    """What decides a run's result.

    Attributes:
        options: Value of every option that counts, by dotted name.
        data: Fingerprint of the corpora.
        code: Hash of every source file that counts, by its name below the package; see ``code_hashes``.
    """

    options: dict[str, Any]
    data: str
    code: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Content of ``identity.json``."""
        return json.dumps({"fingerprint": self.fingerprint, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Identity:
        """Reads ``identity.json``.

        Raises:
            ValueError: It is cut, was changed, or is of a version of this package that stored the fingerprint alone.
        """
        try:
            stored = json.loads(text)
            identity = cls(dict(stored["options"]), stored["data"], dict(stored["code"]))
            if stored["fingerprint"] != identity.fingerprint:
                raise ValueError(f"its fingerprint {stored['fingerprint']!r} is not that of its content")
        except (KeyError, TypeError) as err:
            raise ValueError(f"it lacks options, data or code ({type(err).__name__}: {err})") from err
        return identity


def identify(config: dict, data: str, base: str | Path = ".", package: Path = PACKAGE) -> Identity:
    """Identity of the run that a configuration asks for.

    Args:
        config: Plain values, resolved; options in ``IGNORED`` may be missing.
        data: ``SegmentDataset.fingerprint``.
        base: Folder that a relative path of an encoder starts from.
        package: Folder of this package's source.
    """
    found = flatten(without_ignored(config))
    options = {name: value for name, value in found if value is not None or name.rpartition(".")[2] not in LATER}
    for name, value in options.items():
        if isinstance(value, str) and matches(name, ENCODER_NAMES) and Path(base, value).is_dir():
            folder = model_folder(Path(base, value)) or Path(base, value)
            options[name] = f"directory with the content {content_hash(folder)}"
    # as JSON reads it back: a tuple is a list
    options = json.loads(json.dumps(options))
    return Identity(options, data, code_hashes(package, with_synthetic=config.get("synthetic") is not None))


def versions() -> dict[str, str]:
    """Version of each package that a figure may depend on."""
    return {"erc": __version__, "python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in VERSIONED
    }


# --- options ----------------------------------------------------------------------------------------------------------
def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a dotted name fits one of the patterns; ``*`` stands for one part of a name."""
    parts = name.split(".")
    return any(
        len(parts) == len(pattern.split(".")) and all(map(fnmatch.fnmatchcase, parts, pattern.split(".")))
        for pattern in patterns
    )


def without_ignored(config: dict, prefix: str = "") -> dict:
    """The configuration without the options in ``IGNORED``, whose values are never looked at.

    A configuration with unresolved interpolations may come in: those of Hydra's own run stand in ignored options only.
    """
    return {
        key: without_ignored(value, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in config.items()
        if not matches(f"{prefix}{key}", IGNORED)
    }


def flatten(config: dict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every option; an empty group is a value."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# --- code -------------------------------------------------------------------------------------------------------------
def code_hashes(package: Path = PACKAGE, with_synthetic: bool = False) -> dict[str, str]:
    """Twelve hex digits of the syntax tree of each source file that decides a result.

    Comments, docstrings and layout do not count.

    Args:
        package: Folder of this package's source.
        with_synthetic: Whether the corpora are synthetic; the code that draws them counts then.

    Returns:
        Hash by the file's name below the package, such as ``model/fusion/concat.py``, sorted.
    """
    patterns = DECIDING + (DECIDING_SYNTHETIC if with_synthetic else ())
    found = {path for pattern in patterns for path in package.glob(pattern)}
    by_name = {path.relative_to(package).as_posix(): path for path in sorted(found)}
    return {name: _hash_of(path) for name, path in by_name.items() if name not in NOT_DECIDING}


def _hash_of(path: Path) -> str:
    status = path.stat()
    return _tree_hash(str(path), status.st_mtime_ns, status.st_size)


@functools.cache
def _tree_hash(path: str, mtime_ns: int, size: int) -> str:
    """Hash of the syntax tree of a file of this time and size."""
    tree = _plain(ast.parse(Path(path).read_bytes()))
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()[:12]


def _plain(node: Any) -> Any:
    """A syntax tree as lists and texts, without positions and without strings that stand alone (docstrings).

    ``ast.dump`` would do, but its text differs between versions of Python.
    """
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return [type(node).__name__, *([name, _plain(value)] for name, value in fields)]
    if isinstance(node, list):
        return [_plain(part) for part in node if not _is_docstring(part)]
    return repr(node)


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


# --- differences ------------------------------------------------------------------------------------------------------
def changed_files(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Names of the source files that are not the same, sorted."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def option_differences(
    before: dict[str, Any], now: dict[str, Any], words: tuple[str, str] = ("there", "now")
) -> list[str]:
    """Name and both values of each option that is not the same, sorted by name; ``words`` say where each value stands."""
    missing = object()
    found = []
    for name in sorted(before.keys() | now.keys()):
        if matches(name, ADDED) and not (name in before and name in now):
            continue
        values = [options.get(name, missing) for options in (before, now)]
        if values[0] != values[1]:
            old, new = ("not set" if value is missing else json.dumps(value, ensure_ascii=False) for value in values)
            found.append(f"{name}: {old} {words[0]}, {new} {words[1]}")
    return found


def continued(before: Identity, now: Identity) -> Identity:
    """Identity of the run that is asked for, once it goes on from a checkpoint of the run before.

    It is the same if both are one run. It names the run before if that was to take another number of epochs: the schedule
    of its epochs was another one, so the result is not that of a run from the start.

    Args:
        before: Of the run that the checkpoint is of.
        now: Of the run that is asked for.
    """
    inherited = now
    if ORIGIN in before.options:
        inherited = replace(now, options=now.options | {ORIGIN: before.options[ORIGIN]})
    if inherited == before or before.code != now.code or differences(before, now, more_epochs=True):
        return inherited
    return replace(now, options=now.options | {ORIGIN: f"of the run {before.fingerprint}"})


def differences(before: Identity, now: Identity, more_epochs: bool = False) -> list[str]:
    """What differs in the options and the data of two runs.

    Args:
        before: Of the run that is there.
        now: Of the run that is asked for.
        more_epochs: The number of epochs may differ, and where the run comes from.
    """
    allowed = ("trainer.max_epochs", ORIGIN) if more_epochs else ()
    options_before, options_now = (
        {name: value for name, value in identity.options.items() if name not in allowed} for identity in (before, now)
    )
    found = option_differences(options_before, options_now)
    if before.data != now.data:
        found.append(f"other data: the corpora's fingerprint is {before.data} there, {now.data} now")
    return found


def named(parts: list[str]) -> str:
    """The first parts in one line, and how many there are besides."""
    rest = len(parts) - MAX_NAMED
    return "; ".join(parts[:MAX_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
