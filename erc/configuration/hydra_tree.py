"""Hydra's own options: which classes they may build, and where they may write.

Hydra builds its callbacks, launcher, sweeper and logging before the program starts. A command line or a yaml file of
somebody else could run any code there, so these options are checked before Hydra acts.

Comes in: the tree ``hydra`` of a composed configuration, as plain values with its interpolations unresolved. A value that
must be on a list is then a text of that list, and no interpolation can stand for another.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

TARGETS = {
    "hydra.launcher": {
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    },
    "hydra.sweeper": {"hydra._internal.core_plugins.basic_sweeper.BasicSweeper"},
}
"""The launchers and the sweeper that are installed with the program; nothing else of Hydra's tree may be built."""

LOGGING_CLASSES = {"logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "logging.Formatter"}

STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}

LOG_FOLDER = "${hydra.runtime.output_dir}/"
"""What the name of a log file begins with."""

ENVIRONMENT = re.compile(r"(OMP|MKL|OPENBLAS|NUMEXPR|CUDA|NCCL|TOKENIZERS|WANDB|HF_HUB)_\w+|HYDRA_FULL_ERROR", re.ASCII)
"""Environment variables that ``hydra.job.env_set`` may set. Others, such as PYTHONPATH, decide which code runs."""


SHELL = {"setup", "srun_args", "additional_parameters"}
"""Options of a launcher that become lines or words of a job's shell script."""

PACKAGE = re.compile(r"pkg://erc(\.\w+)*", re.ASCII)
"""Search path within this package; to look into another one runs that one's code."""


def check_hydra(tree: dict[str, Any], typed: Collection[str] = ()) -> None:
    """Raises one ValueError that names everything in Hydra's tree that may not stand there.

    Args:
        tree: The tree ``hydra``.
        typed: Names of the options that stand on the command line. A cluster's shell commands (``hydra.launcher.setup``) are
            taken from there only: who types them could run them anyway, and a file of somebody else could not.
    """
    complaints = [*_forbidden_targets(tree, "hydra"), *_forbidden_logging(tree), *_forbidden_places(tree)]
    complaints += _forbidden_shell(tree, typed)
    if complaints:
        listing = "\n".join(f"  {complaint}" for complaint in complaints)
        count = "1 problem" if len(complaints) == 1 else f"{len(complaints)} problems"
        raise ValueError(f"Hydra's own options must be of the shipped kind: {count}.\n{listing}")


def check_search_path(entries: Any, config_dirs: Collection[str | Path]) -> None:
    """Raises a ValueError if Hydra would look for configurations elsewhere than in this package and the given folders.

    Args:
        entries: ``hydra.searchpath``.
        config_dirs: The program's own folder, and that of ``--config-dir``.
    """
    allowed = {Path(folder).resolve() for folder in config_dirs}
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, str) and PACKAGE.fullmatch(entry):
            continue
        if isinstance(entry, str) and "${" not in entry:
            place = entry.removeprefix("file://")
            if "://" not in place and Path(place).resolve() in allowed:
                continue
        raise ValueError(
            "hydra.searchpath: expected a list of places in this package (pkg://erc.NAME), or the folder of --config-dir, got "
            f"{entry!r}. Give a folder of your own with --config-dir."
        )


def _forbidden_shell(tree: dict[str, Any], typed: Collection[str]) -> list[str]:
    """What a launcher would write into a job's shell script and the user has not typed."""
    found = []
    launcher = tree.get("launcher") or {}
    for name in sorted(SHELL & launcher.keys()):
        where, value = f"hydra.launcher.{name}", launcher[name]
        if not value:
            continue
        if where not in typed:
            found.append(f"{where}: shell commands stand on the command line, not in a file; got {value!r}")
        elif any("${" in str(leaf) for _, _, leaf in _leaves(value, where)):
            found.append(f"{where}: expected plain text, got an interpolation: {value!r}")
    for where, _, value in _leaves({key: one for key, one in launcher.items() if key != "setup"}, "hydra.launcher"):
        if isinstance(value, str) and not value.isprintable():
            found.append(f"{where}: expected one line of text, got {value!r}")  # a line of its own in the script
    return found


def _forbidden_targets(node: Any, path: str) -> list[str]:
    found = []
    if isinstance(node, dict):
        if "_target_" in node and node["_target_"] not in TARGETS.get(path, set()):
            allowed = ", ".join(sorted(TARGETS.get(path, set()))) or "none"
            found.append(f"{path}._target_: {node['_target_']!r} may not be built; allowed are {allowed}")
        for key, value in node.items():
            found += _forbidden_targets(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            found += _forbidden_targets(value, f"{path}[{index}]")
    return found


def _forbidden_logging(tree: dict[str, Any]) -> list[str]:
    """What ``logging.config.dictConfig`` would import or call, and log files elsewhere than in the run folder."""
    found = []
    for group in ("job_logging", "hydra_logging"):
        for path, key, value in _leaves(tree.get(group), f"hydra.{group}"):
            if key == "()":
                found.append(f"{path}: a logging configuration may call nothing, got {value!r}")
            elif key == "class" and value not in LOGGING_CLASSES:
                allowed = ", ".join(sorted(LOGGING_CLASSES))
                found.append(f"{path}: {value!r} may not be built; allowed are {allowed}")
            elif key == "filename" and not _is_below(value, LOG_FOLDER):
                found.append(f"{path}: expected a log file in the run folder ({LOG_FOLDER}…), got {value!r}")
            elif isinstance(value, str) and "ext://" in value and value not in STREAMS:
                found.append(f"{path}: expected {' or '.join(sorted(STREAMS))}, got {value!r}")
            elif isinstance(value, str) and "${" in value and key != "filename":
                found.append(f"{path}: expected a plain value, got {value!r}")
    return found


def _leaves(node: Any, path: str) -> list[tuple[str, str, Any]]:
    """Place, key and value of everything below a node; a factory (``()``) is one, whatever it holds."""
    if isinstance(node, dict):
        found = []
        for key, value in node.items():
            where = f"{path}.{key}"
            found += [(where, str(key), value)] if key in ("()", "class") else _leaves(value, where)
        return found
    if isinstance(node, list):
        return [leaf for index, value in enumerate(node) for leaf in _leaves(value, f"{path}[{index}]")]
    return [(path, path.rpartition(".")[2], node)]


def _forbidden_places(tree: dict[str, Any]) -> list[str]:
    found = []
    subdir = tree.get("output_subdir")
    if subdir is not None and not _is_below(subdir, ""):
        found.append(f"hydra.output_subdir: expected a plain name or null, got {subdir!r}")
    if (tree.get("sweeper") or {}).get("params"):
        found.append("hydra.sweeper.params: what is swept over stands on the command line")
    for name in (tree.get("job") or {}).get("env_set") or {}:
        if not ENVIRONMENT.fullmatch(str(name)):
            found.append(f"hydra.job.env_set.{name}: this environment variable may not be set from a configuration")
    return found


def _is_below(value: Any, prefix: str) -> bool:
    """Whether a text is the prefix and a relative path that stays below it."""
    if not isinstance(value, str) or not value.startswith(prefix):
        return False
    # the run's name is Hydra's own, without a slash; no other interpolation
    rest = value.removeprefix(prefix).replace("${hydra.job.name}", "job")
    return bool(rest) and "${" not in rest and not Path(rest).is_absolute() and ".." not in Path(rest).parts
