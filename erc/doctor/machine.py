"""Checks of the machine: device, encoders, disk, tracking, cores, shared memory."""

from __future__ import annotations

import csv
import netrc
import os
import shutil
from pathlib import Path

from erc.data import CORPORA, Corpus
from erc.doctor.findings import Finding, gigabytes
from erc.tracking import has_key_in_netrc, wandb_mode

ENCODERS = {
    "kresnik/wav2vec2-large-xlsr-korean": (("config.json",), ("preprocessor_config.json",)),
    "klue/roberta-large": (("config.json",), ("tokenizer.json", "vocab.txt")),
}
"""Default encoders. Of each group of files, one must be in the cache, and one of ``WEIGHTS``."""

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")

ENCODER_BYTES = 3_000_000_000
"""Of both, to download."""

CORPORA_BYTES = 4_300_000_000
"""Wav files of both corpora."""

RUN_BYTES = 8_000_000_000
"""Checkpoints of one run with the paper's encoders: the selected weights, and everything that resuming needs."""

SHARED_BYTES = 256_000_000
"""Of shared memory, for the loader's workers."""

TRUE = {"1", "ON", "YES", "TRUE"}
"""What huggingface_hub takes for yes in an environment variable."""


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


def check_encoders() -> list[Finding]:
    """Whether the default encoders are in the hub's cache, or can come there."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError as err:
        return [Finding("encoders", "problem", f"huggingface_hub does not import: {err}", advice="./setup.sh")]
    offline = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(name, "").upper() in TRUE]
    lacking = []
    for encoder, files in ENCODERS.items():
        absent = [
            " or ".join(names)
            for names in (*files, WEIGHTS)
            if not any(isinstance(try_to_load_from_cache(encoder, name), str) for name in names)
        ]
        if absent:
            everything = len(absent) == len(files) + 1
            lacking.append(f"{encoder}: " + ("not in the cache" if everything else f"no {', no '.join(absent)}"))
    if not lacking:
        return [Finding("encoders", "ok", "both in the hub's cache" + (f" ({offline[0]} is set)" if offline else ""))]
    if offline:
        return [
            Finding(
                "encoders",
                "problem",
                f"{len(lacking)} of {len(ENCODERS)} not in the hub's cache, and {' and '.join(offline)} is set",
                expected="both in the cache, or the hub within reach",
                where=lacking,
                advice=f"Unset {' and '.join(offline)} once, or name directories: encoders.audio.name=/path "
                "encoders.text.name=/path. experiment=demo needs neither.",
            )
        ]
    return [
        Finding(
            "encoders",
            "note",
            f"{len(lacking)} of {len(ENCODERS)} not in the hub's cache",
            where=lacking,
            advice=f"The first run downloads them (up to {gigabytes(ENCODER_BYTES)}). Without a network, name "
            "directories: encoders.audio.name=/path encoders.text.name=/path.",
        )
    ]


def check_disk(root: Path, cache_dir: Path, run_dir: Path) -> list[Finding]:
    """Room for the data set's build and for one run's checkpoints, per file system."""
    needs = [(cache_dir, *_build_need(root, cache_dir)), (run_dir, RUN_BYTES, "checkpoints of one run")]
    by_device: dict[int, list[tuple[Path, int, str]]] = {}
    for path, n_bytes, what in needs:
        existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
        by_device.setdefault(existing.stat().st_dev, []).append((existing, n_bytes, what))
    findings = []
    for parts in by_device.values():
        free, need = shutil.disk_usage(parts[0][0]).free, sum(n_bytes for _, n_bytes, _ in parts)
        said = ", ".join(f"{gigabytes(n_bytes)} {what}" for _, n_bytes, what in parts)
        got = f"{gigabytes(free)} free at {parts[0][0]}"
        if free >= need:
            findings.append(Finding("disk", "ok", f"{got}; needed: {said}"))
        else:
            findings.append(
                Finding(
                    "disk",
                    "problem",
                    got,
                    expected=f"{gigabytes(need)}: {said}",
                    advice="Make room, or choose another disk: dataset.cache_dir=/path hydra.run.dir=/path.",
                )
            )
    return findings


def _build_need(root: Path, cache_dir: Path) -> tuple[int, str]:
    """Bytes that the missing builds of both corpora need, and what to call them."""
    missing, is_estimate = 0, False
    for one in CORPORA.values():
        folder = next((root / name for name in one.folders if (root / name).is_dir()), None)
        if folder is None:
            missing, is_estimate = missing + CORPORA_BYTES // 2, True
        elif not _is_built(one, root, cache_dir):
            wavs = [*folder.glob("wav/Session*/*.wav"), *folder.glob("wav/Session*/Sess*/*.wav")]
            missing += int(1.05 * sum(path.stat().st_size for path in wavs if path.is_file()))
    if not missing:
        return 0, "data set (built already)"
    return missing, "data set" + (" (estimated: a corpus is not here)" if is_estimate else "")


def _is_built(one: Corpus, root: Path, cache_dir: Path) -> bool:
    """Whether the build of this corpus, as it is now, is there. Annotations are read only where a build is."""
    if not any(cache_dir.glob(f"{one.name}-*/MANIFEST.json")):
        return False
    from erc.data import MANIFEST, corpora_fingerprint

    try:
        name = f"{one.name}-{corpora_fingerprint(one.name, str(root))}"
    except (OSError, ValueError, csv.Error):  # a corpus that cannot be read has no build; the other command says why
        return False
    return (cache_dir / name / MANIFEST).is_file()


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


def check_cores() -> list[Finding]:
    """Cores that this process may use, against the threads that torch would start."""
    n_visible = os.cpu_count() or 1
    n_usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_visible
    quota = _cgroup_cores()
    if quota is not None:
        n_usable = min(n_usable, max(1, round(quota)))
    threads = os.environ.get("OMP_NUM_THREADS", "")
    got = f"{n_usable} of {n_visible} cores usable; OMP_NUM_THREADS {threads or 'not set'}"
    if threads and not (threads.isdigit() and int(threads)):
        return [Finding("cores", "warning", got, expected="a whole number", advice="unset OMP_NUM_THREADS")]
    n_threads = int(threads) if threads else n_visible
    if n_threads > n_usable:
        return [
            Finding(
                "cores",
                "warning",
                got,
                expected=f"at most {n_usable} threads",
                advice=f"More threads than cores wait for each other: export OMP_NUM_THREADS={n_usable}",
            )
        ]
    advice = f"dataset.num_proc={n_usable} builds faster." if n_usable > 1 else ""
    return [Finding("cores", "ok", got, advice=advice)]


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
