"""A composed configuration is checked before anything is built: every name, every type, every ``_target_``.

Comes in: plain dictionaries. The schema is the code: a node with ``_target_`` must hold arguments of that function or
class, of the annotated types, so an option is declared in one place. All complaints are raised together.
"""

from __future__ import annotations

import collections.abc
import difflib
import functools
import importlib
import inspect
import json
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, Union

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from erc.data import Protocol
from erc.targets import TargetKind
from erc.tracking import wandb_mode

BUILDABLE = {
    "dataset": {"erc.datasets"},
    "dataloader": {"erc.training.loaders", "erc.data.collate"},
    "encoders": {"erc.model.encoders"},
    "fusion": {"erc.model.fusion"},
    "model": {"erc.model.emotion_model", "erc.model.encoders", "erc.model.fusion"},
    "loss": {"erc.training.losses"},
    "optim": {"erc.training.optim"},
    "scheduler": {"erc.training.optim"},
    "callbacks": {"erc.training.history", "erc.training.checkpoints"},
    "synthetic": {"erc.synthetic.corpora"},
}
"""Files of this package (or folders of files) whose functions and classes each group of options may build."""

FOREIGN = {
    "callbacks": {
        "pytorch_lightning.callbacks.EarlyStopping",
        "pytorch_lightning.callbacks.LearningRateMonitor",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "pytorch_lightning.callbacks.RichProgressBar",
        "pytorch_lightning.callbacks.TQDMProgressBar",
    },
    "logger": {"pytorch_lightning.loggers.TensorBoardLogger", "pytorch_lightning.loggers.WandbLogger"},
    "trainer": {"pytorch_lightning.Trainer", "pytorch_lightning.strategies.DDPStrategy"},
}
"""What each group may build of other packages: a yaml is input, and ``_target_`` runs code."""


class NODES:
    """Type of a group whose entries are all things to build: encoders, callbacks, loggers.

    It is a class and no plain object, so that it pickles as itself.
    """


TOP_LEVEL = {
    **dict.fromkeys(["dataset", "dataloader", "fusion", "model", "loss", "optim", "scheduler", "trainer"], dict),
    "encoders": NODES,
    "target": {"kind": TargetKind},
    "callbacks": NODES,
    "logger": NODES,
    "synthetic": dict | None,
    "seed": int,
    "protocol": Protocol,
    "ckpt_path": str | None,
    "resume": bool,
    "accept_code": bool,
    "run_dir": str,
}
"""Types of the top-level options; what a group with ``_target_`` takes is read off the code."""

_SPECIAL = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def check_config(config: dict, top_level: dict[str, Any]) -> None:
    """Raises one ValueError that names every misspelt option, wrong type, missing value and forbidden target.

    Args:
        config: The composed configuration, resolved. A node with ``_partial_`` may lack arguments: the program adds them.
        top_level: Type of each top-level entry; a dictionary of types for a group of named values, ``NODES`` for a group
            of things to build.
    """
    complaints: list[str] = []
    _check_entries(config, "", top_level, complaints)
    _check_node(config, "", complaints)
    if complaints:
        listing = "\n".join(f"  {complaint}" for complaint in complaints)
        raise ValueError(f"The configuration must fit the code: {len(complaints)} problems.\n{listing}")


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
        elif isinstance(hint, dict) or hint is NODES:
            complaints.append(f"{where}: expected a group of options, got {value!r}")
        elif not accepts(hint, value):
            complaints.append(f"{where}: expected {describe(hint)}, got {value!r}")


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
        elif not accepts(hints.get(key, Any), value):
            complaints.append(f"{path}.{key}: expected {describe(hints[key])}, got {value!r}")
    if node.get("_partial_"):
        return
    for name, parameter in parameters.items():
        is_required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if is_required and name not in node:
            complaints.append(f"{path}.{name}: {target} needs it, and it is not set")


def type_hints(called: Callable) -> dict[str, Any]:
    """Types of the parameters; one that cannot be had at run time (imported for type checkers only) counts as any."""
    function = inspect.unwrap(called.__init__ if inspect.isclass(called) else called)
    hints = {}
    for name, annotation in function.__annotations__.items():
        try:
            hints[name] = eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation
        except NameError:
            hints[name] = Any
    return hints


def locate(target: str, group: str) -> Callable:
    """The function or class that a ``_target_`` names.

    Args:
        target: Dotted name.
        group: Top-level option that the node stands in; it decides what may be built there.

    Raises:
        ValueError: It may not be built in that group, or does not exist.
    """
    if not isinstance(target, str):
        raise ValueError(f"expected a dotted name, got {target!r}")
    ours, foreign = BUILDABLE.get(group, set()), FOREIGN.get(group, set())
    refusal = (
        f"{target!r} may not be built from a configuration in the group {group!r}; allowed are "
        f"{', '.join(sorted([f'what {module} defines' for module in ours] + list(foreign))) or 'none'}"
    )
    if target not in foreign and not (target.startswith("erc.") and ours):
        raise ValueError(refusal)
    module_name, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as err:
        raise ValueError(f"{target!r} does not exist ({err})") from err
    if target in foreign:
        return found
    # a module of ours holds foreign names, too: only what it defines counts
    home = getattr(found, "__module__", None) or ""
    is_ours = any(home == module or home.startswith(f"{module}.") for module in ours)
    if not (inspect.isroutine(found) or inspect.isclass(found)) or not is_ours or name.startswith("_"):
        raise ValueError(refusal)
    return found


def accepts(hint: Any, value: Any) -> bool:
    """Whether a configuration's value fits a type annotation.

    Values are compared as JSON, in pydantic's strict mode: a list fits a tuple and a text fits a path, but no text is
    taken for a number and no number for a truth value. NaN and infinity are no numbers. A nested node fits everything
    that can be built; what it builds is checked where the node stands.
    """
    if hint is inspect.Parameter.empty or isinstance(hint, typing.TypeVar):
        return True
    if _holds_node(value):
        return hint not in (int, float, bool, str, None, type(None))
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))
    except PydanticUserError:  # types that bring a configuration of their own
        adapter = TypeAdapter(hint)
    try:
        adapter.validate_json(_as_json(value), strict=True)
    except (ValidationError, TypeError):
        return False
    return True


def _as_json(value: Any) -> str:
    """JSON of a value; TypeError for what JSON would have to change: a key that is no text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str.__str__(key))}: {_as_json(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_as_json, value)) + "]"
    return json.dumps(value)


def _holds_node(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_node, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_node, value))


def describe(hint: Any) -> str:
    """A type annotation in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(argument) for argument in arguments))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if hint in words:
        return words[hint]
    if origin is not None and arguments:
        return f"{getattr(origin, '__name__', origin)} of {', '.join(describe(argument) for argument in arguments)}"
    return getattr(hint, "__name__", str(hint))


@functools.cache
def wandb_offline() -> bool:
    """Whether Weights & Biases stays offline (``erc.tracking``); says so once.

    It stands here and not in train.py: a launcher's worker must be able to import it, and cannot from a script.
    """
    mode, reason = wandb_mode()
    if reason == "no key is known":
        print("Weights & Biases: no key is known, so figures stay in the run folder (wandb login, or logger=csv).")
    return mode == "offline"
