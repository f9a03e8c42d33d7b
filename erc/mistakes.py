"""A user's mistake is told on the terminal in its sentence alone; any other error keeps its traceback.

A mistake is an error that this package raised itself, so that its message says what must hold and what to do. The
traceback goes into the log file of the run (``train.log``), and with ``HYDRA_FULL_ERROR=1`` onto the terminal.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

PACKAGE = Path(__file__).resolve().parent

KINDS = (ArithmeticError, ImportError, OSError, RuntimeError, ValueError)
"""Kinds of errors with a sentence; others (KeyError, TypeError) are defects of the program."""

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def listed(lines: Sequence[object], at_most: int) -> str:
    """The first lines, indented, and how many there are besides."""
    rest = f"\n  and {len(lines) - at_most:,} more" if len(lines) > at_most else ""
    return "\n".join(f"  {line}" for line in lines[:at_most]) + rest


def is_explained(err: BaseException) -> bool:
    """Whether the error was raised by this package or by a script of its clone, and not within another package."""
    frames = traceback.extract_tb(err.__traceback__)
    if not isinstance(err, KINDS) or not frames:
        return False
    raised_in = Path(frames[-1].filename)
    return raised_in.is_relative_to(PACKAGE) or raised_in.parent == PACKAGE.parent


def told_plainly(
    unless: Callable[[], bool] = lambda: False,
) -> Callable[[Callable[Arguments, Value]], Callable[Arguments, Value]]:
    """Decorator of a program: a user's mistake ends it with its sentence and exit code 1.

    Args:
        unless: Says, when an error comes, whether somebody else deals with it (the other jobs of a multirun go on).
    """

    def decorate(program: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
        @functools.wraps(program)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
            try:
                return program(*args, **kwargs)
            except Exception as err:
                if os.environ.get("HYDRA_FULL_ERROR") == "1" or not is_explained(err) or unless():
                    raise
                _log(err)
                print(f"\n{err}", file=sys.stderr, flush=True)
            sys.exit(1)

        return run

    return decorate


def is_run_by_fire() -> bool:
    """Whether the program is ``python -m fire``, which imports a module and calls what its arguments name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name == "fire.__main__"


def tell_plainly_at_the_end() -> None:
    """From here on, a user's mistake that nobody catches ends the program with its sentence and exit code 1.

    For a program whose main function is not ours. What is raised can be caught as before.
    """
    others = sys.excepthook

    def tell(kind: type[BaseException], err: BaseException, trace: TracebackType | None) -> None:
        if os.environ.get("HYDRA_FULL_ERROR") == "1" or not is_explained(err):
            others(kind, err, trace)
        else:
            print(f"\n{err}", file=sys.stderr, flush=True)

    sys.excepthook = tell


def _log(err: Exception) -> None:
    """Writes the traceback into the log files that are open, and not onto the terminal."""
    info = (type(err), err, err.__traceback__)
    record = logging.LogRecord("erc", logging.ERROR, __file__, 0, "The run ended with an error.", None, info)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
