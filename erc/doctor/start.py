"""Checks whether the planned training can start: corpora, encoders, disk, memory, precision, workers, launcher."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

from erc.data import CORPORA, Corpus, find_folder
from erc.doctor.findings import Finding, gigabytes, plural
from erc.doctor.machine import usable_cores
from erc.doctor.plan import PRECISIONS, RUN_BYTES, Plan

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

HUB_SECONDS = 4.0
"""Longest wait for the hub's answer."""

TRUE = {"1", "ON", "YES", "TRUE"}
"""What huggingface_hub takes for yes in an environment variable."""


def check_corpora(root: Path, plan: Plan) -> list[Finding]:
    """Whether the corpora are there; what is in them is looked at by the other command."""
    if plan.experiment == "demo":
        return [Finding("corpora", "ok", "none needed: the demo writes synthetic ones")]
    missing = []
    for corpus in CORPORA.values():
        try:
            find_folder(corpus, root)
        except FileNotFoundError as err:
            missing.append(str(err))
    if not missing:
        return [Finding("corpora", "ok", f"both under {root}; python -m erc doctor corpus looks into them")]
    return [
        Finding(
            "corpora",
            "problem",
            f"{len(missing)} of {len(CORPORA)} corpora are not under {root}: python train.py cannot start",
            expected="a release folder of each corpus",
            where=missing,
            advice="Link them, or train the demo: python train.py experiment=demo",
        )
    ]


def check_encoders(plan: Plan) -> list[Finding]:
    """Whether the default encoders are in the hub's cache, or can come there."""
    if plan.experiment == "demo":
        return [Finding("encoders", "ok", "none needed: the demo has tiny ones")]
    try:
        lacking = missing_encoders()
    except ImportError as err:
        return [Finding("encoders", "problem", f"huggingface_hub does not import: {err}", advice="./setup.sh")]
    offline = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(name, "").upper() in TRUE]
    if not lacking:
        return [Finding("encoders", "ok", "both in the hub's cache" + (f" ({offline[0]} is set)" if offline else ""))]
    names = "name directories: encoders.audio.name=/path encoders.text.name=/path. experiment=demo needs neither."
    reason, advice = "", f"Connect this machine, or download them elsewhere and {names}"
    if offline:
        reason, advice = f"{' and '.join(offline)} is set", f"Unset {' and '.join(offline)} once, or {names}"
    else:
        reason = hub_problem([line.split(":")[0] for line in lacking])
    got = f"{len(lacking)} of {len(ENCODERS)} not in the hub's cache"
    if not reason:
        return [
            Finding(
                "encoders",
                "note",
                f"{got}; the hub has them",
                where=lacking,
                advice=f"The first run downloads them (up to {gigabytes(ENCODER_BYTES)}).",
            )
        ]
    return [
        Finding(
            "encoders",
            "problem",
            f"{got}, and {reason}: python train.py cannot start",
            expected="both in the cache, or the hub within reach",
            where=lacking,
            advice=advice,
        )
    ]


def missing_encoders() -> list[str]:
    """The encoders that are not whole in the hub's cache, and what they lack.

    Raises:
        ImportError: huggingface_hub is not there.
    """
    from huggingface_hub import try_to_load_from_cache

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
    return lacking


def hub_problem(encoders: list[str], seconds: float = HUB_SECONDS) -> str:
    """Why the hub does not give these encoders; empty where it does. Asks for one header each, and downloads nothing."""
    from huggingface_hub import constants

    answers = {encoder: f"{constants.ENDPOINT} does not answer within {seconds:g} s" for encoder in encoders}

    def ask(encoder: str) -> None:
        address = f"{constants.ENDPOINT}/{encoder}/resolve/main/config.json"
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
            answers[encoder] = ""
        except urllib.error.HTTPError as err:
            # too many questions: it is there
            answers[encoder] = "" if err.code == 429 else f"{constants.ENDPOINT} refuses {encoder} ({err.code})"
        except (OSError, ValueError) as err:
            answers[encoder] = f"{constants.ENDPOINT} is not reachable ({getattr(err, 'reason', err)})"

    # a thread: looking up a name has no time limit of its own
    threads = [threading.Thread(target=ask, args=(encoder,), daemon=True) for encoder in encoders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return next((answer for answer in answers.values() if answer), "")


def check_disk(root: Path, cache_dir: Path, run_dir: Path, plan: Plan) -> list[Finding]:
    """Room for the build, the encoders to download and the results of all planned cells, per file system."""
    one_run = RUN_BYTES[plan.experiment]
    needs = [(run_dir, plan.disk_bytes, one_run, f"results of {plural(plan.cells, 'cell')}")]
    if plan.experiment == "paper":
        n_bytes, what = build_need(root, cache_dir)
        needs.append((cache_dir, n_bytes, n_bytes, what))
        needs += _download_need()
    by_device: dict[int, list[tuple[Path, int, int, str]]] = {}
    for path, n_bytes, at_least, what in needs:
        existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
        by_device.setdefault(existing.stat().st_dev, []).append((existing, n_bytes, at_least, what))
    findings = []
    for parts in by_device.values():
        free, need = shutil.disk_usage(parts[0][0]).free, sum(part[1] for part in parts)
        said = ", ".join(f"{gigabytes(n_bytes)} {what}" for _, n_bytes, _, what in parts)
        got = f"{gigabytes(free)} free at {parts[0][0]}"
        if free >= need:
            findings.append(Finding("disk", "ok", f"{got}; needed: {said}"))
            continue
        can_start = free >= sum(part[2] for part in parts)
        findings.append(
            Finding(
                "disk",
                "warning" if can_start else "problem",
                got + (": enough to start, not for all cells" if can_start else ""),
                expected=f"{gigabytes(need)}: {said}",
                advice="Make room, or choose another disk: dataset.cache_dir=/path, sh reproduce.sh --out /path. "
                "For one run: --cells=1.",
            )
        )
    return findings


def _download_need() -> list[tuple[Path, int, int, str]]:
    """Room for the encoders in the hub's cache, where they are not there."""
    try:
        from huggingface_hub import constants

        lacking = missing_encoders()
    except ImportError:  # check_encoders says so
        return []
    if not lacking:
        return []
    return [(Path(constants.HF_HUB_CACHE), ENCODER_BYTES, ENCODER_BYTES, "encoders")]


def build_need(root: Path, cache_dir: Path) -> tuple[int, str]:
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
        name = f"{one.name}-{corpora_fingerprint(one.name, str(root), str(cache_dir))}"
    except (OSError, ValueError, csv.Error):  # a corpus that cannot be read has no build; the other command says why
        return False
    return (cache_dir / name / MANIFEST).is_file()


def check_memory(plan: Plan) -> list[Finding]:
    """The estimated memory of the planned cells against the GPU's, or the machine's."""
    on_gpu, available = available_memory(uses_gpu=plan.experiment == "paper")
    n_cells = plan.n_running
    need = n_cells * plan.memory_bytes
    got = f"about {gigabytes(need)} needed (estimate: {plural(n_cells, 'cell')}, batches of {plan.batch_size})"
    if available is None:
        return [Finding("memory", "note", f"{got}; this system does not say how much there is")]
    got += f", {gigabytes(available)} {'on the GPU' if on_gpu else 'of memory available'}"
    if need <= available:
        return [Finding("memory", "ok", got)]
    return [
        Finding(
            "memory",
            "problem" if need > 2 * available else "warning",
            got,
            expected="the estimate or more",
            advice="Smaller batches (dataloader.batch_size=2 trainer.accumulate_grad_batches=4), "
            "trainer.precision=bf16-mixed, encoders.audio.gradient_checkpointing=true and "
            "encoders.text.gradient_checkpointing=true need less; fewer --jobs as well.",
        )
    ]


def available_memory(uses_gpu: bool) -> tuple[bool, int | None]:
    """Whether the memory is a GPU's, and its bytes: the smallest card's, or what the machine and its container leave."""
    if uses_gpu:
        try:
            import torch

            if torch.cuda.is_available():
                cards = range(torch.cuda.device_count())
                return True, min(torch.cuda.get_device_properties(card).total_memory for card in cards)
        except (ImportError, OSError, RuntimeError):  # check_device says so
            pass
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii")
        found += [int(limit) - int(used)] if limit != "max" else []
    except (OSError, ValueError, IndexError):  # another system, or no cgroup 2
        pass
    return False, min(found) if found else None


def check_precision(plan: Plan) -> list[Finding]:
    """Whether this machine computes in the planned precision."""
    if plan.precision not in PRECISIONS:
        return [
            Finding(
                "precision",
                "problem",
                f"trainer.precision={plan.precision}",
                expected=f"one of {', '.join(PRECISIONS)}",
                advice="Keep trainer.precision=32-true.",
            )
        ]
    try:
        import torch

        has_gpu = plan.experiment == "paper" and torch.cuda.is_available()
        has_bf16 = has_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    except (ImportError, OSError, RuntimeError):  # check_device says so
        return [Finding("precision", "note", f"{plan.precision}; torch gives no answer")]
    if plan.precision.startswith("16") and not has_gpu:
        got, advice = f"{plan.precision} without a GPU", "Use trainer.precision=32-true or bf16-mixed."
        return [Finding("precision", "problem", got, expected="a GPU for 16 bits", advice=advice)]
    if plan.precision.startswith("bf16") and has_gpu and not has_bf16:
        got, advice = f"{plan.precision}, which this GPU only emulates", "Use trainer.precision=32-true or 16-mixed."
        return [Finding("precision", "warning", got, expected="a GPU with bf16", advice=advice)]
    return [Finding("precision", "ok", plan.precision)]


def check_workers(plan: Plan) -> list[Finding]:
    """Processes of the plan against the cores."""
    n_cores, _ = usable_cores()
    n_processes = plan.n_running * (1 + plan.num_workers)
    got = f"{plural(n_processes, 'process', 'processes')} at a time, {plural(n_cores, 'core')}"
    if n_processes <= n_cores:
        return [Finding("workers", "ok", got)]
    advice = "Fewer dataloader.num_workers or --jobs: they would wait for each other."
    return [Finding("workers", "warning", got, expected=f"at most {n_cores}", advice=advice)]


def check_launcher(plan: Plan) -> list[Finding]:
    """Whether what starts the cells is installed."""
    if not plan.launcher.startswith("submitit"):
        where = "one after the other" if plan.n_running == 1 else f"{plan.n_running} at a time"
        return [Finding("launcher", "ok", f"{plan.launcher}: {where} on this machine")]
    lacking = [] if importlib.util.find_spec("submitit") else ["the package submitit"]
    if plan.launcher == "submitit_slurm" and shutil.which("sbatch") is None:
        lacking.append("the command sbatch")
    if not lacking:
        return [Finding("launcher", "ok", plan.launcher)]
    return [
        Finding(
            "launcher",
            "problem",
            f"{plan.launcher}: {' and '.join(lacking)} is not here",
            expected="submitit, and Slurm for submitit_slurm",
            advice="Install hydra-submitit-launcher, start it on a machine of the cluster, or use --launcher=local.",
        )
    ]
