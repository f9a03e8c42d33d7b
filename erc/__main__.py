"""The front door: ``python -m erc`` lists the program's commands, ``python -m erc COMMAND`` runs one.

A command's module is imported when the command is asked for, so that the list answers at once. Arguments go through
fire: ``python -m erc doctor corpus --root=data``, ``python -m erc report runs/demo --out=report``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CLONE = Path(__file__).resolve().parents[1]
"""Where train.py and config/ are, when the package runs from a clone."""


class Command(NamedTuple):
    """One command: what it does in one line, and what runs it."""

    summary: str
    module: str = ""
    names: tuple[str, ...] = ()
    """Functions or classes of ``module``; a command with several of them takes one as its next word."""
    script: tuple[str, ...] = ()
    """Instead of them, arguments of Python in the clone's folder."""
    usage_error: int = 2
    """Exit code where the arguments are wrong."""


TEXTS = ("str", "str | None")
"""Annotations of arguments that are texts."""

COMMANDS = {
    "dataset": Command("build the data set of KEMDy19 and KEMDy20, print what it holds", "erc.datasets", ("HF_KEMD",)),
    "manifest": Command("the same for a corpus of your own, one table of segments", "erc.datasets", ("HF_Manifest",)),
    "convert": Command(
        "a corpus as it is distributed -> a table of segments",
        "erc.convert",
        ("crema_d", "emodb", "iemocap", "meld", "msp_podcast", "ravdess"),
    ),
    "doctor": Command(
        "is the corpus sound? can this machine train?", "erc.doctor", ("corpus", "environment"), usage_error=3
    ),
    "plan": Command(
        "hours, memory and disk of a training, before it is paid for (from a clone)", "erc.plan", ("plan",)
    ),
    "synthetic": Command("write synthetic corpora in the real format, to try things out", "erc.synthetic", ("write",)),
    "train": Command("train one fold: python train.py (from a clone)", script=("train.py",)),
    "evaluate": Command(
        "score a checkpoint again, on any fold: python evaluate.py (from a clone)", script=("evaluate.py",)
    ),
    "predict": Command(
        "emotions of your own speech, with a trained model", "erc.inference", ("file", "folder", "table")
    ),
    "export": Command("a trained model -> a folder to share: weights, model card, ONNX", "erc.export", ("export",)),
    "app": Command("a page on this machine to try a model: speak, or upload a file", "erc.app", ("app",)),
    "reproduce": Command(
        "train the paper's table, resumable: sh reproduce.sh (from a clone)", script=("-m", "erc.grid")
    ),
    "status": Command("which cells of a grid are done, running, failed or waiting", "erc.grid", ("cells_status",)),
    "table": Command("a grid's table: Markdown, CSV and LaTeX", "erc.report", ("write_tables",)),
    "compare": Command("two rows of a grid: differences, intervals, p values", "erc.report", ("compare_table",)),
    "figures": Command("a grid's figures: PNG, and PDF or SVG", "erc.report", ("draw_figures",)),
    "report": Command("a grid as one HTML page: tables, statistics, figures, embedding map", "erc.report", ("build",)),
    "robustness": Command(
        "a finished run with noise, wrong words, without a modality: table and figure", "erc.report", ("robustness",)
    ),
    "raters": Command("how far the raters of a corpus agree", "erc.report", ("show_raters",)),
}
"""In the order in which a newcomer needs them."""


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: python -m erc COMMAND [ARGUMENTS]",
            "",
            *lines,
            "",
            "python -m erc COMMAND --help lists a command's options.",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Runs one command, or prints the list of them."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help", "help"):
        print(usage())
        return
    name, *rest = given
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        print(f"There is no command {name!r}.{hint} python -m erc lists them all.", file=sys.stderr)
        sys.exit(2)
    # before torch is loaded: OpenMP threads that spin while they wait make a CPU slow beside other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from erc.files import keep_private
    from erc.mistakes import told_plainly

    keep_private()
    command = COMMANDS[name]
    if command.script:
        sys.exit(run_script(name, command.script, rest))
    told_plainly()(run_function)(name, command, rest)


def run_script(name: str, script: tuple[str, ...], arguments: list[str]) -> int:
    """Runs a script of the clone where the caller stands; returns its exit code."""
    if not (CLONE / "train.py").is_file():
        print(
            f"Training runs from a clone of the repository: {CLONE} holds no train.py. Clone it, then run "
            f"python -m erc {name} there.",
            file=sys.stderr,
        )
        return 2
    file, *rest = script
    command = [sys.executable, file if file == "-m" else str(CLONE / file), *rest, *arguments]
    path = os.pathsep.join([str(CLONE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.call(command, env=os.environ | {"PYTHONPATH": path})


def run_function(name: str, command: Command, arguments: list[str]) -> None:
    """Imports what a command needs, and calls it with the arguments as fire reads them."""
    import fire

    module = importlib.import_module(command.module)
    functions = {one: getattr(module, one) for one in command.names}
    component = functions if len(functions) > 1 else functions[command.names[0]]
    for function in functions.values():
        keep_texts(function)
    called = functions.get(arguments[0]) if len(functions) > 1 and arguments else component
    if callable(called) and (complaint := unknown_option(name, called, arguments)):
        print(complaint, file=sys.stderr)
        sys.exit(command.usage_error)
    try:
        fire.Fire(component, command=arguments, name=f"python -m erc {name}")
    except fire.core.FireExit as stop:  # fire's own exit: help, or a usage error
        sys.exit(command.usage_error if stop.code else 0)


def keep_texts(function: Callable) -> None:
    """Has fire hand on an argument that is a text as it was typed: it would make a tuple of "yes, please".

    Args:
        function: Changed in place; a class is left as it is.
    """
    if not inspect.isfunction(function):
        return
    from fire.decorators import SetParseFns

    texts = [name for name, one in inspect.signature(function).parameters.items() if one.annotation in TEXTS]
    SetParseFns(**dict.fromkeys(texts, str))(function)


def unknown_option(name: str, called: Callable, arguments: list[str]) -> str:
    """Names the first option that a function does not have; empty if it has all of them.

    fire would call the function without that option first, and complain when its work is done.
    """
    known = inspect.signature(called).parameters
    for word in itertools.takewhile(lambda word: word not in ("-", "--"), arguments):
        found = re.match(r"--?([A-Za-z][\w-]*)", word)
        option = found[1].replace("-", "_") if found else "help"
        # fire's spellings: --no<option> is False, -r is the option that begins with r
        is_short = len(option) == 1 and any(one.startswith(option) for one in known)
        if option not in (*known, "help", "h") and option.removeprefix("no") not in known and not is_short:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f" Did you mean --{near[0]}?" if near else ""
            return f"{name} has no option --{option}.{hint} python -m erc {name} --help lists them all."
    return ""


if __name__ == "__main__":
    main()
