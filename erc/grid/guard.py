"""A command that cannot outlive the program that started it, nor leave processes behind.

``Guarded`` starts this file as a small process, the guard, which leads a session and a process group of its own and starts
the command within it. The guard reads a pipe whose other end only the program holds. The system closes that end when the
program ends, also by SIGKILL, and the guard then kills its group: the command, and what the command has started (loader
workers, further ranks). This holds on Linux and macOS alike. A process that leaves the group (``setsid``) is not reached.

Only the standard library is imported here: the guard starts in milliseconds and takes a few megabytes.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType


class Guarded:
    """A running command in a process group of its own.

    Args:
        command: Program and arguments.
        log: File that stdout and stderr are appended to.
        cwd: Folder that it runs in.
        environment: Its environment variables.
    """

    def __init__(self, command: list[str], log: Path, cwd: Path, environment: dict[str, str]) -> None:
        with open(log, "ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, *command],
                cwd=cwd,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Exit code of the command, 128 + n if signal n ended it; None while it runs. What it left behind is ended."""
        code = self._guard.poll()
        if code is None:
            return None
        self.kill()
        # a negative code is the guard's own end by a signal
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        """Sends SIGTERM to the command alone: it ends its own workers."""
        self._guard.terminate()

    def kill(self) -> None:
        """Ends the command and everything in its group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: a group of zombies is not permitted
            os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()


def guard(command: list[str]) -> int:
    """Runs the command; returns its exit code, 128 + n if signal n ended it."""
    if os.getpgid(0) != os.getpid():
        raise RuntimeError(
            "The guard must lead its own process group, which it kills: start it by erc.grid.guard.Guarded."
        )
    child: subprocess.Popen | None = None
    is_stopped = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        if child is not None:
            child.send_signal(number)

    # a handler, not SIG_IGN: the command would inherit that
    signal.signal(signal.SIGTERM, pass_on)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    if is_stopped:
        child.terminate()
    threading.Thread(target=_end_with_the_program, daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


def _end_with_the_program() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
