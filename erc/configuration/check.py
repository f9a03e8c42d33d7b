"""A composed configuration is checked before anything is built: every name, type, range and ``_target_``.

Comes in: plain dictionaries. The schema is the code: a node with ``_target_`` must hold arguments of that function or
class, of the annotated types and ranges, so an option is declared in one place. All complaints are raised together.
"""

from __future__ import annotations

import collections.abc
import difflib
import functools
import inspect
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval

from erc.configuration.buildable import locate, type_hints
from erc.configuration.values import accepts, describe, parts_of, unfit_numbers
from erc.data import Protocol
from erc.model import cut_complaint
from erc.targets import KINDS, OPTIONS, TargetKind, options_complaint
from erc.tracking import wandb_mode


class NODE:
    """Type of a group that is one thing to build."""


class NODES:
    """Type of a group whose entries are all things to build: encoders, callbacks, loggers.

    It is a class and no plain object, so that it pickles as itself.
    """


TOP_LEVEL = {
    **dict.fromkeys(["dataset", "dataloader", "fusion", "model", "loss", "optim", "scheduler", "trainer"], NODE),
    "encoders": NODES,
    "target": {"kind": TargetKind, **OPTIONS},
    "callbacks": NODES,
    "logger": NODES,
    "synthetic": dict | None,
    "seed": Annotated[int, Interval(ge=0, le=2**32 - 1)],
    "n_threads": Annotated[int, Interval(ge=1, le=1024)] | None,
    "protocol": Protocol,
    "ckpt_path": str | None,
    "resume": bool | Literal["auto"],
    "accept_code": bool,
    "run_dir": str,
}
"""Types of the top-level options; what a group with ``_target_`` takes is read off the code."""

_SPECIAL = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def check_config(config: dict, top_level: dict[str, Any]) -> None:
    """Raises one ValueError that names everything that does not fit.

    That is a misspelt option, a wrong type, a number out of its range or not finite, a missing value, a forbidden target,
    and a file that would be written outside of the run folder.

    Args:
        config: The composed configuration, resolved. A node with ``_partial_`` may lack arguments: the program adds them.
        top_level: Type of each top-level entry; a dictionary of types for a group of named values, ``NODE`` for a thing
            to build, ``NODES`` for a group of them.
    """
    complaints: list[str] = []
    for name in top_level.keys() - config.keys():
        complaints.append(f"{name}: it is not set")
    _check_entries(config, "", top_level, complaints)
    _check_node(config, "", complaints)
    complaints += [*_unfit_target(config.get("target")), *_unfit_encoders(config)]
    complaints += _outside_of_run(config)
    not_finite = dict(unfit_numbers(config))
    # what is said of such a number, or of the dictionary that holds it, is said once
    complaints = [
        one for one in complaints if not any(f"{bad}[".startswith(f"{one.split(': ')[0]}[") for bad in not_finite)
    ]
    complaints += [f"{name}: expected a finite number, got {value}" for name, value in not_finite.items()]
    # model.fusion is ${fusion}, and model.encoders ${encoders}: one option, one complaint
    complaints = [one for one in complaints if not one.startswith("model.") or one[len("model.") :] not in complaints]
    if complaints:
        listing = "\n".join(f"  {complaint}" for complaint in complaints)
        count = "1 problem" if len(complaints) == 1 else f"{len(complaints)} problems"
        raise ValueError(f"The configuration must fit the code: {count}.\n{listing}")


def _check_entries(entries: dict, path: str, schema: dict[str, Any], complaints: list[str]) -> None:
    for key, value in entries.items():
        where = f"{path}{key}"
        hint = schema.get(key)
        if key not in schema:
            complaints.append(f"{where}: there is no such option{_nearest(key, schema)}")
        elif isinstance(hint, dict) and isinstance(value, dict):
            _check_entries(value, f"{where}.", hint, complaints)
        elif hint is NODES and isinstance(value, dict):
            for name, node in value.items():
                if not (isinstance(node, dict) and "_target_" in node):
                    complaints.append(f"{where}.{name}: expected something to build (with _target_), got {node!r}")
        elif hint is NODE:
            if not (isinstance(value, dict) and "_target_" in value):
                complaints.append(f"{where}: expected something to build (with _target_), got {value!r}")
        elif isinstance(hint, dict) or hint is NODES:
            complaints.append(f"{where}: expected a group of options, got {value!r}")
        else:
            _check_value(hint, value, where, complaints)


def _check_value(hint: Any, value: Any, path: str, complaints: list[str]) -> None:
    if parts := parts_of(hint, value):
        for key, one in parts[1].items():
            _check_value(parts[0], one, f"{path}.{key}", complaints)
    elif not accepts(hint, value):
        complaints.append(f"{path}: expected {describe(hint)}, got {value!r}")


def _nearest(name: str, known: collections.abc.Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; it takes {', '.join(known)}"


def _check_node(node: Any, path: str, complaints: list[str]) -> None:
    if isinstance(node, dict):
        if "_target_" in node:
            _check_call(node, path, complaints)
        for key, value in node.items():
            _check_node(value, f"{path}.{key}" if path else str(key), complaints)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_node(value, f"{path}[{index}]", complaints)


def _check_call(node: dict, path: str, complaints: list[str]) -> None:
    target = node["_target_"]
    try:
        called = locate(target, re.split(r"[.\[]", path)[0])
    except ValueError as err:
        complaints.append(f"{path}._target_: {err}")
        return
    parameters = inspect.signature(called).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = type_hints(called)
    for key, value in node.items():
        if key in _SPECIAL:
            continue
        if key not in parameters:
            if not takes_any:
                complaints.append(f"{path}.{key}: {target} has no such option{_nearest(key, parameters)}")
        else:
            _check_value(hints.get(key, Any), value, f"{path}.{key}", complaints)
    if node.get("_partial_"):
        return
    for name, parameter in parameters.items():
        is_required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if is_required and name not in node:
            complaints.append(f"{path}.{name}: {target} needs it, and it is not set")


def _unfit_target(target: Any) -> list[str]:
    """Complaint about known options that are not those of the label kind."""
    kind = target.get("kind") if isinstance(target, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return []  # said elsewhere
    complaint = options_complaint(kind, {name: target[name] for name in OPTIONS if name in target})
    return [f"target: {complaint}"] if complaint else []


def _unfit_encoders(config: dict) -> list[str]:
    """Complaints about encoders that are told in two ways what is trained of them, and about a cache for no frozen layers."""
    encoders, dataloader = config.get("encoders"), config.get("dataloader")
    cache = dataloader.get("cache") if isinstance(dataloader, dict) else None
    given = encoders.items() if isinstance(encoders, dict) else ()
    nodes = {name: options for name, options in given if isinstance(options, dict)}
    found = {name: cut_complaint(options) for name, options in nodes.items()}
    complaints = [f"encoders.{name}: {complaint}" for name, complaint in found.items() if complaint]
    if cache is not None and all(options.get("train_last") is None for options in nodes.values()):
        complaints.append(
            f"dataloader.cache: it holds what frozen layers give: expected encoders.audio.train_last or encoders.text.train_last "
            f"beside {cache!r}, got null for each"
        )
    return complaints


WRITES_TO = ("path", "dirpath", "save_dir", "dir", "root_dir", "default_root_dir")
"""Options of callbacks, loggers and the trainer that name a file or a folder to write to."""

WRITES_BELOW = ("filename", "name", "version", "sub_dir", "prefix")
"""Their options that become part of such a name."""


def _outside_of_run(config: dict) -> list[str]:
    """Complaints about files that would be written elsewhere than in the run folder."""
    if not isinstance(config.get("run_dir"), str):
        return []
    run_dir = Path(config["run_dir"]).resolve()
    nodes = {"trainer": config.get("trainer")}
    for group in ("callbacks", "logger"):
        entries = config.get(group)
        nodes |= {f"{group}.{name}": node for name, node in (entries if isinstance(entries, dict) else {}).items()}
    found = []
    for where, node in nodes.items():
        if not isinstance(node, dict) or not str(node.get("_target_")).startswith(("erc.", "pytorch_lightning.")):
            continue  # it is refused as a whole
        for key, value in node.items():
            if not isinstance(value, str):
                continue
            if key in WRITES_TO and not (run_dir / Path(value).resolve()).is_relative_to(run_dir):
                found.append(f"{where}.{key}: expected a place in the run folder {run_dir}, got {value!r}")
            elif key in WRITES_BELOW and (Path(value).is_absolute() or ".." in Path(value).parts):
                found.append(f"{where}.{key}: expected a plain name, got {value!r}")
    return found


@functools.cache
def wandb_offline() -> bool:
    """Whether Weights & Biases stays offline (``erc.tracking``); says so once.

    It stands here and not in train.py: a launcher's worker must be able to import it, and cannot from a script.
    """
    mode, reason = wandb_mode()
    if reason == "no key is known":
        print("Weights & Biases: no key is known, so figures stay in the run folder (wandb login, or logger=csv).")
    return mode == "offline"


def taken_up(config: dict[str, Any]) -> dict[str, Any]:
    """Options of a stored run, checked, for a program that reads the run: nothing is written or logged again.

    Raises:
        ValueError: See ``check_config``.
    """
    # a run of before the number of threads was an option does not say how many it had
    config = {"n_threads": 1} | config | {"logger": {}, "callbacks": {}}
    check_config(config, TOP_LEVEL)
    return config
