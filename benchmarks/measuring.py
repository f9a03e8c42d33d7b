"""What the benchmarks of speed share: ways in turn, a table on the terminal, JSON with the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "pytorch-lightning", "transformers")


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds by the wall, and CPU seconds of all threads of the process, which other work on the machine hardly changes."""


def interleaved(
    ways: Mapping[str, Callable[[], Any]], repeats: int = 5, warm_up: int = 1, clock: str = "wall"
) -> dict[str, list[float]]:
    """Seconds of each call: every way once, then every way again, so that other work on the machine meets all alike."""
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(warm_up + repeats):
        for name, call in ways.items():
            started = now()
            call()
            if repeat >= warm_up:
                seconds[name].append(now() - started)
    return seconds


def table(seconds: Mapping[str, list[float]], against: str, paired: bool = True, **columns: Mapping[str, Any]) -> str:
    """Median, range and speed against one of the ways.

    Args:
        seconds: Of each way.
        against: The way that has a speed of 1.
        paired: The ways took turns: speed is the median of the ratios of the same repeat. Otherwise the ratio of the medians.
        **columns: Further columns, by way.
    """
    head = ["way", "median, s", "range, s", f"speed against {against}", *columns]
    lines = [head, ["---"] * len(head)]
    for name, found in seconds.items():
        first = seconds[against]
        ratio = statistics.median(first) / statistics.median(found)
        if paired:
            ratio = statistics.median(a / b for a, b in zip(first, found, strict=True))
        row = [name, f"{statistics.median(found):.3g}", f"{min(found):.3g} to {max(found):.3g}", f"{ratio:.2f}x"]
        lines.append([*row, *(str(values.get(name, "")) for values in columns.values())])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, Any]:
    """Processor, cores, card, threads and versions: what a figure of time belongs to."""
    import torch

    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "card": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def write(out: str, **found: Any) -> None:
    """Writes what was found, with the machine, as JSON; nothing where ``out`` is empty."""
    if out:
        content = {"machine": machine(), **found}
        Path(out).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
