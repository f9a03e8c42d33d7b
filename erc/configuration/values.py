"""Does a value fit a type annotation with its range? A type annotation in words."""

from __future__ import annotations

import collections.abc
import inspect
import json
import math
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError


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


def parts_of(hint: Any, value: Any) -> tuple[Any, dict] | None:
    """Type of the values and the values, where both are a dictionary with texts as keys, each of which can be named."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is dict and arguments[0] is str and isinstance(value, dict) and not _holds_node(value):
        return (arguments[1], value) if all(isinstance(key, str) for key in value) else None
    return None


def unfit_numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Place and value of every number that is infinite or not a number."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from unfit_numbers(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from unfit_numbers(one, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, value


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
    """A type annotation and its range in words: ``a number above 0``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return f"{describe(arguments[0])}{_range_in_words(arguments[1:])}"
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(argument) for argument in arguments))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if isinstance(hint, type) and hint in words:
        return words[hint]
    if origin is collections.abc.Callable:
        return "something to build (with _target_)"
    if origin is not None and arguments:
        return f"{getattr(origin, '__name__', origin)} of {', '.join(describe(argument) for argument in arguments)}"
    return getattr(hint, "__name__", str(hint))


def _range_in_words(metadata: tuple) -> str:
    """Range of an ``Annotated`` type in words that follow those of its type; empty where it has none."""
    bounds = [bound for one in metadata for bound in (one if isinstance(one, GroupedMetadata) else [one])]
    low = next((bound for bound in bounds if isinstance(bound, Gt | Ge)), None)
    high = next((bound for bound in bounds if isinstance(bound, Lt | Le)), None)
    if isinstance(low, Ge) and isinstance(high, Le):
        return f" from {low.ge} to {high.le}"
    words = []
    if low is not None:
        words.append(f"above {low.gt}" if isinstance(low, Gt) else f"of {low.ge} or more")
    if high is not None:
        words.append(f"below {high.lt}" if isinstance(high, Lt) else f"of {high.le} or less")
    return f" {' and '.join(words)}" if words else ""
