"""Checks of the machine: device, tracking, cores, shared memory."""

from __future__ import annotations

import netrc
import os
import shutil
from pathlib import Path

from erc.doctor.findings import Finding, gigabytes, plural
from erc.doctor.plan import Plan
from erc.tracking import has_key_in_netrc, wandb_mode

SHARED_BYTES = 256_000_000
"""Of shared memory, for the loader's workers."""


def check_device() -> list[Finding]:
    """GPU and bf16."""
    try:
        import torch
    except (ImportError, OSError) as err:
        return [Finding("device", "problem", f"torch does not import: {err}", advice="./setup.sh")]
    if not torch.cuda.is_available():
        build = f"torch built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch built without CUDA"
        return [
            Finding(
                "device",
                "note",
                f"CPU only ({build})",
                expected="a GPU, for the paper's encoders",
                advice="experiment=demo trains on a CPU in minutes. With a GPU here: check nvidia-smi and the driver.",
            )
        ]
    try:
        facts = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        # emulated bf16 would be slower than float32, so it does not count
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    except RuntimeError as err:
        return [Finding("device", "problem", f"the GPU does not answer: {err}", advice="Check nvidia-smi.")]
    got = "; ".join(f"{fact.name}, {fact.total_memory / 2**30:.0f} GiB" for fact in facts)
    if has_bf16:
        return [Finding("device", "ok", f"{got}; bf16", advice="trainer.precision=bf16-mixed is possible.")]
    return [Finding("device", "note", f"{got}; no bf16", advice="Keep trainer.precision=32-true.")]


def check_wandb() -> list[Finding]:
    """Whether Weights & Biases will be online (``erc.tracking``), and why."""
    mode, reason = wandb_mode()
    got = f"{mode}: {reason}"
    if mode == "online" or os.environ.get("WANDB_MODE"):
        return [Finding("wandb", "ok", got)]
    if os.environ.get("WANDB_API_KEY"):  # only an empty WANDB_MODE keeps a run with a key offline
        return [Finding("wandb", "note", got, advice="unset WANDB_MODE")]
    try:
        has_key_in_netrc()
    except (OSError, netrc.NetrcParseError):
        return [Finding("wandb", "warning", got, advice="Repair ~/.netrc (mode 600).")]
    return [
        Finding(
            "wandb",
            "note",
            f"{got}; runs are written to disk",
            advice="wandb login for online runs; logger=csv for none. result.json and metrics.csv are written anyway.",
        )
    ]


def check_cores(plan: Plan) -> list[Finding]:
    """Cores that this process may use, against the threads of the planned cells.

    Option ``n_threads`` says how many threads a cell has. Where it is null, cells that run beside each other share the cores
    that the system shows, and a single cell takes ``OMP_NUM_THREADS``, or all cores that it is bound to.
    """
    n_usable, n_visible = usable_cores()
    got = f"{n_usable} of {n_visible} cores usable"
    variable = os.environ.get("OMP_NUM_THREADS", "")
    if plan.threads is not None:
        n_threads, source = plan.threads, f"n_threads={plan.threads}"
    elif plan.n_running > 1:
        n_threads, source = max(1, n_visible // plan.n_running), "n_threads=null, the cells share all cores"
    elif variable and not (variable.isdigit() and int(variable)):
        got += f"; OMP_NUM_THREADS is {variable}"
        return [Finding("cores", "warning", got, expected="a whole number", advice="unset OMP_NUM_THREADS")]
    elif variable:
        n_threads, source = int(variable), f"n_threads=null and OMP_NUM_THREADS={variable}"
    else:
        n_threads, source = _bound_cores(), "n_threads=null: all cores"
    got += f"; {plural(plan.n_running * n_threads, 'thread')} ({plural(plan.n_running, 'cell')}, {source})"
    if plan.n_running * n_threads > n_usable:
        few = max(1, n_usable // plan.n_running)
        advice = (
            f"More threads than cores wait for each other: n_threads={few} (sh reproduce.sh ... -- n_threads={few})"
        )
        advice += ", fewer --jobs." if plan.n_running > n_usable else "."
        return [Finding("cores", "warning", got, expected=f"at most {n_usable} threads", advice=advice)]
    advice = f"dataset.num_proc={n_usable} builds faster." if n_usable > 1 else ""
    return [Finding("cores", "ok", got, advice=advice)]


def usable_cores() -> tuple[int, int]:
    """Cores that this process may use, and cores that the system shows."""
    n_visible, n_usable = os.cpu_count() or 1, _bound_cores()
    quota = _cgroup_cores()
    return (n_usable if quota is None else min(n_usable, max(1, round(quota)))), n_visible


def _bound_cores() -> int:
    """Cores that this process is bound to; a container's quota is no such bound."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cgroup_cores(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> float | None:
    """Cores that a container's quota (cgroup 2) allows; None where there is no quota."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # no cgroup 2 here, so there is no quota
        return None


def check_shared_memory(path: Path = Path("/dev/shm")) -> list[Finding]:
    """Room in shared memory: the loader's workers hand over their batches there."""
    if not path.is_dir():
        return [
            Finding("shared memory", "note", f"no {path} on this system", advice="dataloader.num_workers=0 is safe.")
        ]
    usage = shutil.disk_usage(path)
    got = f"{path}: {gigabytes(usage.free)} of {gigabytes(usage.total)} free"
    if usage.free >= SHARED_BYTES:
        return [Finding("shared memory", "ok", got)]
    return [
        Finding(
            "shared memory",
            "warning",
            got,
            expected=f"{gigabytes(SHARED_BYTES)}, where loader workers are used",
            advice="Keep dataloader.num_workers=0 (default), or give the container more: docker run --shm-size=2g.",
        )
    ]
