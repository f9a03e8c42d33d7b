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
import netrc
import os
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, Union

from erc.folds import Protocol
from erc.targets import TargetKind

ALLOWED = frozenset(
    {
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "pytorch_lightning.callbacks.LearningRateMonitor",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "pytorch_lightning.callbacks.RichProgressBar",
        "pytorch_lightning.callbacks.TQDMProgressBar",
        "pytorch_lightning.loggers.TensorBoardLogger",
        "pytorch_lightning.loggers.WandbLogger",
        "pytorch_lightning.strategies.DDPStrategy",
    }
)
"""Outside this package, only these can be built from a configuration: a yaml is input, and ``_target_`` runs code."""

PROGRAMS = frozenset({"doctor", "grid", "report", "training"})
"""Modules of this package that start other programs or write elsewhere; nothing in them is a part of a run."""


class NODES:
    """Type of a group whose entries are all things to build: callbacks, loggers (a class, so that it pickles as itself)."""


TOP_LEVEL = {
    **dict.fromkeys(["dataset", "dataloader", "fusion", "model", "loss", "optim", "scheduler", "trainer"], dict),
    "encoders": {"audio": dict, "text": dict},
    "target": {"kind": TargetKind},
    "callbacks": NODES,
    "logger": NODES,
    "sample": dict | None,
    "seed": int,
    "protocol": Protocol,
    "ckpt_path": str | None,
    "resume": bool,
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
        called = locate(target)
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


def locate(target: str) -> Callable:
    """The function or class that a ``_target_`` names.

    Raises:
        ValueError: It may not be built from a configuration, or does not exist.
    """
    if not isinstance(target, str):
        raise ValueError(f"expected a dotted name, got {target!r}")
    if target not in ALLOWED and not target.startswith("erc."):
        raise ValueError(
            f"{target!r} may not be built from a configuration; allowed are erc.* and {', '.join(sorted(ALLOWED))}"
        )
    if target.split(".")[1] in PROGRAMS:
        raise ValueError(f"{target!r} may not be built from a configuration: it is a program of its own")
    module_name, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as err:
        raise ValueError(f"{target!r} does not exist ({err})") from err
    # a module of ours holds foreign names, too (erc.media.struct): only what we define counts
    if target not in ALLOWED and not (callable(found) and getattr(found, "__module__", "").startswith("erc.")):
        raise ValueError(f"{target!r} may not be built from a configuration: erc does not define it")
    return found


def accepts(hint: Any, value: Any) -> bool:
    """Whether a configuration's value fits a type annotation; a nested node fits everything that it can build."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is inspect.Parameter.empty or isinstance(hint, typing.TypeVar):
        return True
    if isinstance(value, dict) and "_target_" in value:
        return hint not in (int, float, bool, str, None, type(None))
    if origin in (Union, types.UnionType):
        return any(accepts(argument, value) for argument in arguments)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    kind = origin or hint
    if kind in (tuple, list, collections.abc.Sequence, collections.abc.Iterable):
        if not isinstance(value, list | tuple):
            return False
        if kind is tuple and arguments and arguments[-1] is not Ellipsis:
            return len(value) == len(arguments) and all(map(accepts, arguments, value))
        return not arguments or all(accepts(arguments[0], item) for item in value)
    if kind in (dict, collections.abc.Mapping):
        return isinstance(value, dict) and (
            not arguments or all(accepts(arguments[0], k) and accepts(arguments[1], v) for k, v in value.items())
        )
    if kind is os.PathLike or (inspect.isclass(kind) and issubclass(kind, os.PathLike)):
        return isinstance(value, str)
    return inspect.isclass(kind) and isinstance(value, kind)


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
    """Whether Weights & Biases has to stay offline: no key in the environment, none in netrc. Says so once.

    It stands here and not in train.py: a launcher's worker must be able to import it, and cannot from a script.
    """
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE"):
        return os.environ.get("WANDB_MODE", "online") != "online"
    try:
        is_known = any("wandb" in host for host in netrc.netrc().hosts)
    except (OSError, netrc.NetrcParseError):
        is_known = False
    if not is_known:
        print("Weights & Biases: no key is known, so figures stay in the run folder (wandb login, or logger=csv).")
    return not is_known
