"""A worker of the loader that is killed or hangs ends the run with words, and is not left behind."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from erc.training import loaders

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")

RUN = """
import os, sys
from datasets import Dataset
from torch.utils.data import DataLoader
from erc.data import LengthBucketSampler
from erc.training.loaders import make_loader

class Collate:
    columns = ["segment_id"]
    def __call__(self, rows):
        if rows[0]["segment_id"] == "s2":  # the third batch
            print(os.getpid(), flush=True)
            os.kill(os.getpid(), int(sys.argv[1]))
        return rows

if __name__ == "__main__":
    ds = Dataset.from_list([{"segment_id": f"s{k}"} for k in range(6)])
    loader = make_loader(ds, Collate(), LengthBucketSampler([1] * 6, 1, shuffle=False), 1, timeout_seconds=300)
    batches = iter(loader if sys.argv[2] == "ours" else DataLoader.__iter__(loader))
    assert len(batches) == 6
    next(batches)  # a worker may take long to start
    getattr(batches, "_batches", batches)._timeout = 3
    print([batch[0]["segment_id"] for batch in batches])
"""


def is_alive(process: int) -> bool:
    """Returns True if a process runs or is stopped; one that has ended and waits for its parent does neither."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run(tmp_path: Path, number: int, whose: str, seconds: float = 120) -> tuple[int | None, str, int, bool]:
    """Exit code (None: it had to be killed), its stderr, the worker, and whether the worker lives on."""
    script = tmp_path / "run.py"  # a spawned worker imports the script
    script.write_text(RUN, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, script, str(int(number)), whose],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    worker = int(process.stdout.readline())
    try:
        told, code = process.communicate(timeout=seconds)[1], process.returncode
        time.sleep(0.2)
    except subprocess.TimeoutExpired:
        told, code = "", None
    finally:
        lives = is_alive(worker)
        for one in (process.pid, worker):
            if is_alive(one):
                os.kill(one, signal.SIGKILL)
        process.communicate()
    return code, told, worker, lives


@pytest.mark.slow
def test_a_worker_that_hangs_ends_the_program_in_time(tmp_path):
    code, told, _, lives = run(tmp_path, signal.SIGSTOP, "ours")
    assert code == 1 and not lives
    assert "must give a batch in time: expected one within 300 s, got none. All 1 were killed." in told


@pytest.mark.slow
def test_torch_s_own_loader_would_wait_for_it_for_ever(tmp_path):
    code, _, _, lives = run(tmp_path, signal.SIGSTOP, "torch", 15)  # 3 s, 5 s of torch's, and then no end
    assert code is None and lives


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_program_and_is_told(tmp_path):
    code, told, _, lives = run(tmp_path, signal.SIGKILL, "ours")
    assert code == 1 and not lives
    assert re.search(r"got the end of 1 of 1 \(exit code -9; .*dataloader\.num_workers", told), told


# --- in this process --------------------------------------------------------------------------------------------------
class Failing:
    """Batches of workers, the first of which is an error."""

    def __init__(self, workers: list, error: BaseException) -> None:
        self._workers, self._error = workers, error

    def __len__(self) -> int:
        return 1

    def __next__(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("ends_first", "error", "expected", "said"),
    [
        (False, RuntimeError("DataLoader timed out after 3 seconds"), RuntimeError, "in time: expected one within 3 s"),
        (
            True,
            RuntimeError("DataLoader worker exited unexpectedly"),
            RuntimeError,
            "got the end of 1 of 1 .exit code -9",
        ),
        (False, RuntimeError("of another kind"), RuntimeError, "of another kind"),
        (False, KeyboardInterrupt(), KeyboardInterrupt, ""),
        (False, ValueError("in collate"), ValueError, "in collate"),
    ],
)
def test_whatever_ends_an_epoch_ends_its_workers_and_leaves_signals_as_they_were(ends_first, error, expected, said):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    worker.start()
    if ends_first:
        worker.kill()
        worker.join()
    before = signal.getsignal(signal.SIGCHLD)
    batches = loaders._Batches(Failing([worker], error), 3)
    assert iter(batches) is batches and len(batches) == 1
    with pytest.raises(expected, match=said):
        next(batches)
    assert worker.exitcode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGCHLD) is before
