"""A program of this repository as a process of its own that starts at once.

A fresh interpreter takes five seconds to import torch and Lightning. Here one process a test session imports them, and each
program is a fork of it: with a memory, a folder, variables, an output and an exit code of its own. What a test needs of a
fresh interpreter (its imports, variables that libraries read when they are loaded) starts one by ``subprocess``.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = [
    "torch",
    "torchaudio",
    "transformers",
    "pytorch_lightning",
    "datasets",
    "hydra",
    "pandas",
    "matplotlib.pyplot",
]
IMPORTED += ["sklearn.metrics", "scipy.stats", "pydantic", "rich.console", "torch.utils.data"]
"""Of other packages only: those of this repository are imported by each program itself."""


class Program:
    """A program that was started, with what ``subprocess.Popen`` has of the same names.

    Args:
        words: As ``run_program``'s; ``cwd``, ``umask`` and ``environment`` too.
        leads: It leads a session and a process group of its own.
    """

    def __init__(
        self, *words: str | Path, cwd: Path = ROOT, umask: int = -1, leads: bool = False, **environment: str
    ) -> None:
        self.words = [str(word) for word in words]
        self._out, self._err = tempfile.NamedTemporaryFile(), tempfile.NamedTemporaryFile()
        asked = {"words": self.words, "cwd": str(cwd), "umask": umask, "leads": leads}
        asked |= {"files": [self._out.name, self._err.name], "environment": {**os.environ, **environment}}
        self.pid, self.returncode = int(_ask(asked)), None

    def poll(self) -> int | None:
        """Exit code; None while it runs."""
        return self._code_after(0)

    def wait(self, seconds: float = 280) -> subprocess.CompletedProcess[str]:
        """Waits for its end; it is killed after so many seconds."""
        if self._code_after(seconds) is None:
            self.send_signal(signal.SIGKILL)
            self._code_after(60)
        return subprocess.CompletedProcess(
            self.words, self.returncode, self._out.read().decode(), self._err.read().decode()
        )

    def send_signal(self, number: int) -> None:
        """To this program alone, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _code_after(self, seconds: float) -> int | None:
        if self.returncode is None:
            self.returncode = json.loads(_ask({"pid": self.pid, "seconds": seconds}))
        return self.returncode


class ForkedCell:
    """Stands for ``erc.grid.guard.Guarded`` where a test looks at what cells give, and not at how they end."""

    def __init__(self, command: list[str], log: Path, cwd: Path, environment: dict[str, str]) -> None:
        self._program, self._log = Program(*command[1:], cwd=cwd, **environment), log

    def poll(self) -> int | None:
        if self._program.poll() is not None:
            ended = self._program.wait()
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(ended.stdout + ended.stderr)
        return self._program.returncode

    def terminate(self) -> None:
        self._program.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._program.send_signal(signal.SIGKILL)


def run_program(
    *command: str | Path, cwd: Path = ROOT, seconds: float = 280, umask: int = -1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs ``python COMMAND…`` to its end, as ``subprocess.run`` does with captured text.

    Args:
        command: A script and its arguments, or ``-m``, a module and its arguments.
        cwd: The folder in which it runs.
        seconds: It is killed after them.
        umask: Of the process; -1: that of the tests.
        environment: Variables that differ from those of the tests.
    """
    return Program(*command, cwd=cwd, umask=umask, **environment).wait(seconds)


def _ask(request: dict) -> str:
    """One line to the process from which programs are forked, and its answer."""
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return server.stdout.readline()


@cache
def _server() -> subprocess.Popen:
    """The process from which programs are forked; it ends when its input does, so with this process."""
    server = subprocess.Popen(
        [sys.executable, __file__], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    """Starts programs and waits for them: a JSON object a line comes in, a process id or an exit code goes out."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what a fork does not look at, it need not copy
    for line in sys.stdin:
        asked = json.loads(line)
        if "pid" in asked:
            print(json.dumps(_code_after(**asked)), flush=True)
            continue
        process = os.fork()
        if process == 0:
            os._exit(_become(**asked))
        print(process, flush=True)


def _code_after(pid: int, seconds: float) -> int | None:
    """Exit code of a program that ends within so many seconds."""
    until = time.monotonic() + seconds
    while (status := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            return None
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(status[1])


def _become(words: list[str], cwd: str, umask: int, leads: bool, files: list[str], environment: dict[str, str]) -> int:
    """Runs the program in this process; returns its exit code."""
    if leads:
        os.setsid()
    for number, name in enumerate([os.devnull, *files]):
        end = os.open(name, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(end, number)
        os.close(end)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    if umask >= 0:
        os.umask(umask)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    try:
        if words[0] == "-m":
            sys.argv, sys.path[0] = words[1:], cwd
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
            runpy.run_path(str(Path(words[0]).resolve()), run_name="__main__")
        return 0
    except SystemExit as end:  # as the interpreter deals with it
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    _serve()
