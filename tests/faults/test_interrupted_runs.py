"""A run that a signal stops says what it saved and the command that goes on, and that command finishes it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from programs import run_program

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
N_EPOCHS = 12

has_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")


@pytest.fixture
def options(corpora, cache_dir, tmp_path) -> list[str]:
    """Options of a small run whose folder's name holds the time, as that of every run does."""
    data = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=8"]
    row = ["experiment=demo_grid", "fusion=small/text_only", "target=peakl", "scheduler=none", "logger=csv"]
    small = [f"trainer.max_epochs={N_EPOCHS}", "callbacks.early_stopping.patience=100"]
    folder = f"hydra.run.dir='{tmp_path / 'my runs'}/${{now:%H-%M-%S}}-${{process_id:}}'"
    return [*row, *data, *small, folder]


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stop_after(process: subprocess.Popen, beginning: str, number: int) -> str:
    """Sends a signal once a line begins so; returns what the process says until its end."""
    for line in process.stdout:
        if line.startswith(beginning):
            break
    process.send_signal(number)
    return process.communicate(timeout=120)[0]


def results(folder: Path) -> list[Path]:
    return sorted(folder.rglob("result.json"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_in_an_epoch_is_finished_by_the_command_that_it_prints(options, tmp_path, number):
    process = start(options)
    try:
        told = stop_after(process, "epoch 3/", number)
    finally:
        process.kill()
        process.wait()
    runs = tmp_path / "my runs"
    assert results(tmp_path) == []
    if number == signal.SIGKILL:
        assert process.returncode == -number
        (last,) = runs.rglob("last.ckpt")
        assert torch.load(last, weights_only=True)["epoch"] >= 1  # whole, whenever the kill came
        again = [*options, "resume=auto"]
    else:
        assert process.returncode == 128 + number, told
        (n_saved,) = re.findall(
            rf"Stopped by {number.name}\. (\d+) of {N_EPOCHS} epochs are saved in .*last\.ckpt", told
        )
        assert 2 <= int(n_saved) < N_EPOCHS
        assert "Traceback" not in told, told
        (command,) = re.findall(r"^    python train\.py (.*)$", told, re.MULTILINE)
        again = shlex.split(command)
        assert again == [*options, "resume=auto"]
    done = run_program("train.py", *again)
    text = done.stdout
    assert done.returncode == 0, done.stderr
    assert "Going on from" in text and f"epoch {N_EPOCHS}/{N_EPOCHS}" in text and "epoch 1/" not in text
    (path,) = results(runs)  # in the folder of the run that was stopped
    history = json.loads(path.read_text(encoding="utf-8"))["history"]
    assert [row["epoch"] for row in history] == list(range(N_EPOCHS))
    assert [row["step"] for row in history] == [(n + 1) * history[0]["step"] for n in range(N_EPOCHS)]
    # once more: finished, so nothing is left to go on with
    assert (path.parent / "last.ckpt").exists() and not (path.parent / "previous.ckpt").exists()


@pytest.mark.slow
def test_a_run_that_is_stopped_before_its_first_epoch_says_that_nothing_is_saved(options):
    process = start(options)
    try:
        told = stop_after(process, "Training ", signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped by SIGTERM. No epoch is saved" in told and "This starts again:" in told


GRID = """
import sys
from erc.grid import program, running

CHILD = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);" \\
        "print(p.pid, flush=True); time.sleep(300)"
running.hydra_commands = lambda *_: [[sys.executable, "-c", CHILD]]
program.is_current = lambda *_: False
sys.exit(program.main(["--experiment", "demo", "--launcher", sys.argv[1], "--rows", "concat_hard", "--out", sys.argv[2]]))
"""


def is_alive(process: int) -> bool:
    """Returns True if a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@has_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_grid_s_driver_that_is_stopped_ends_its_launcher_with_all_its_workers(tmp_path, number):
    driver = subprocess.Popen(
        [sys.executable, "-c", GRID, "submitit_local", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    worker = None
    try:
        lines = iter(driver.stdout.readline, "")
        worker = int(next(line for line in lines if line.strip().isdigit()))
        assert is_alive(worker)
        driver.send_signal(number)
        told = driver.communicate(timeout=60)[0]
        assert driver.returncode != 0 and "The same command goes on from here" in told
        for _ in range(200):
            if not is_alive(worker):
                break
            signal.sigtimedwait([], 0.05)
        assert not is_alive(worker)
    finally:
        driver.kill()
        driver.wait()
        if worker is not None and is_alive(worker):
            os.kill(worker, signal.SIGKILL)
