"""A run folder as one cell of a grid: finished, running, failed, half-done or not begun; claimed by one process at a time.

A cell is finished when its ``result.json``, which is written last, carries the fingerprint of the run that is asked for.
An exit code says nothing: Lightning exits with 0 when it is terminated.
"""

from __future__ import annotations

import json
import os
import time
import traceback
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

Status = Literal["done", "running", "failed", "half-done", "waiting"]
RESULT, ERROR, IDENTITY, LOCK, LAST = "result.json", "error.json", "identity.json", ".lock", "last.ckpt"


@contextmanager
def claimed(run_dir: str | Path, wait_seconds: float = 2.0) -> Iterator[bool]:
    """Whether the folder could be claimed; the claim ends with the block, or with the process, however it dies."""
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / LOCK)
    try:
        # not at once: somebody may be looking at the cell's status just now, which takes the lock for a moment
        lock.acquire(timeout=wait_seconds, poll_interval=0.01)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def finished_result(run_dir: str | Path, fingerprint: str | None = None) -> dict | None:
    """The result of a finished run; None where there is none, or it is of another fingerprint."""
    try:
        result = json.loads((Path(run_dir) / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None  # cannot come from us, because it is renamed into place: somebody cut it; train it again
    return result if fingerprint in (None, result.get("fingerprint")) else None


def checkpoint_to_resume(run_dir: str | Path, fingerprint: str) -> str | None:
    """Where to go on from; None for a fresh start, with a warning where that is because ``last.ckpt`` is damaged.

    Notes in the folder whose run it is.

    Raises:
        FileExistsError: The folder holds another run.
    """
    run_dir = Path(run_dir)
    identity = run_dir / IDENTITY
    try:
        known = json.loads(identity.read_text(encoding="utf-8"))["fingerprint"] if identity.is_file() else None
    except (ValueError, KeyError, TypeError) as err:
        raise ValueError(
            f"A run folder says whose run it holds: {identity} cannot be read ({err}). Move {run_dir} away to start afresh."
        ) from err
    if known is None and finished_result(run_dir) is not None:
        known = finished_result(run_dir)["fingerprint"]
    if known is not None and known != fingerprint:
        raise FileExistsError(
            f"A run folder holds one run: {run_dir} holds {known}, this one is {fingerprint} (other options, other data, or "
            "another version of the code). Move the folder away, or write the new grid to another place (--out)."
        )
    write_atomically(identity, json.dumps({"fingerprint": fingerprint}) + "\n")
    (run_dir / ERROR).unlink(missing_ok=True)
    last = run_dir / LAST
    if not last.is_file():
        return None
    if not zipfile.is_zipfile(last):  # torch.save ends a file with its table of contents: a cut one has none
        kept = last.with_name(f"{LAST}.damaged")
        os.replace(last, kept)
        warnings.warn(
            f"{last} is no whole checkpoint ({kept.stat().st_size:,} bytes; a disk that was full or failed?). It was kept as "
            f"{kept.name}, and this run starts from its first epoch.",
            stacklevel=2,
        )
        return None
    return str(last)


def record_error(run_dir: str | Path, err: BaseException) -> None:
    """Writes down why a run failed."""
    report = {
        "error": f"{type(err).__name__}: {err}",
        "traceback": "".join(traceback.format_exception(type(err), err, err.__traceback__)),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    write_atomically(Path(run_dir) / ERROR, json.dumps(report, indent=1) + "\n")


def status(run_dir: str | Path, fingerprint: str | None = None) -> Status:
    """State of a cell, read from its folder."""
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        return "waiting"
    if finished_result(run_dir, fingerprint) is not None:
        return "done"
    if (run_dir / LOCK).exists():
        with claimed(run_dir, wait_seconds=0) as is_free:
            if not is_free:
                return "running"
    if (run_dir / ERROR).is_file():
        return "failed"
    return "half-done" if (run_dir / LAST).is_file() else "waiting"


def error_of(run_dir: str | Path) -> str:
    """First line of why a cell failed; empty where it did not."""
    try:
        return json.loads((Path(run_dir) / ERROR).read_text(encoding="utf-8"))["error"].splitlines()[0]
    except (FileNotFoundError, json.JSONDecodeError, KeyError, IndexError):
        return ""


def epochs_done(run_dir: str | Path) -> int:
    """Epochs that a cell has behind it."""
    try:
        return max(0, len((Path(run_dir) / "metrics.csv").read_text(encoding="utf-8").splitlines()) - 1)
    except FileNotFoundError:
        return 0


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes to a temporary name beside the file, down to the disk, then renames."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
