"""What happens to time and memory as a corpus grows 1, 4 and 16 times: build, opening it, an epoch, statistics, report page.

    python benchmarks/scale.py --out=benchmarks/scale.json --plot=benchmarks/scale.png

Corpora and cells of a grid are invented. Each stage runs in a process of its own, first with the smallest corpus, and says its peak
memory so far after each; then the sizes take turns. Seconds are seconds of a core, imports left out: other work on the machine
hardly changes them.
"""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"

import fire

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FACTORS = (1, 4, 16)
STAGES = {"build": "build", "open": "open the build", "epoch": "epoch", "table": "statistics", "page": "report page"}
ROWS = ("concat_peakl", "tensor_mixer_peakl")


def options_of(folder: Path, factor: int) -> dict[str, str]:
    return {"root": str(folder / f"corpora{factor}"), "cache_dir": str(folder / f"cache{factor}")}


def prepare_build(folder: Path, factor: int) -> Any:
    from erc.datasets import HF_KEMD

    def build() -> None:
        cache = tempfile.mkdtemp(dir=folder)  # a new one each time: a build that is there is only opened
        HF_KEMD("train", -1, root=str(folder / f"corpora{factor}"), cache_dir=cache, exclude="none")

    return build


def prepare_open(folder: Path, factor: int) -> Any:
    from erc.datasets import HF_KEMD

    return lambda: HF_KEMD("train", -1, exclude="none", **options_of(folder, factor))


def prepare_epoch(folder: Path, factor: int) -> Any:
    """Forward and backward pass over every segment, in the batches of training, with the demo's model."""
    import functools

    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from erc.data import KEMD, Collator, LengthBucketSampler
    from erc.datasets import HF_KEMD
    from erc.model import AudioEncoder, EmotionModel, TextEncoder, load_feature_extractor, load_tokenizer
    from erc.training import make_loader

    torch.set_num_threads(1)
    view = HF_KEMD("train", -1, exclude="none", **options_of(folder, factor))
    encoders = {"audio": functools.partial(AudioEncoder, "tiny"), "text": functools.partial(TextEncoder, "tiny")}
    fusion = instantiate(OmegaConf.load(ROOT / "config/fusion/small/tensor_mixer.yaml"))
    model = EmotionModel(encoders, fusion, KEMD)
    collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")

    def epoch() -> None:
        lengths = view.ds.with_format("numpy")["n_samples"][:]
        for batch in make_loader(view.ds, collate, LengthBucketSampler(lengths, 16)):
            out = model(batch["inputs"])
            model.zero_grad()
            (out.emotion_logits.sum() + out.va.sum()).backward()

    return epoch


def prepare_table(folder: Path, factor: int) -> Any:
    from erc.report import write_tables

    return lambda: write_tables(folder / f"grid{factor}", n_resamples=500)


def prepare_page(folder: Path, factor: int) -> Any:
    from erc.report import build

    return lambda: build(str(folder / f"grid{factor}"), out=str(folder / f"page{factor}"))


def write_grid(folder: Path, n_segments: int) -> None:
    """Two rows on five folds, ``n_segments`` over all folds, twenty a dialogue; predictions are drawn."""
    import numpy as np
    import pandas as pd

    from erc.data import EMOTIONS, KEMD
    from erc.evaluation import evaluate_table, make_result, write_fold

    n = n_segments // 5
    for number, row in enumerate(ROWS):
        for fold in range(5):
            rng = np.random.default_rng(fold)  # every row is of the same segments
            votes = rng.multinomial(10, rng.dirichlet(np.ones(7), n))
            ordered = np.sort(votes, axis=1)
            va = rng.uniform(1, 5, (n, 2)).round(1)
            ids = [f"Sess{4 * fold + 1:02d}_script{k // 20 + 1:04d}_F{k:05d}" for k in range(n)]
            table = pd.DataFrame({"segment_id": ids, "corpus": "kemdy19", "session": 4 * fold + 1})
            table["dialogue"], table["speaker"] = [one[:17] for one in ids], f"Sess{4 * fold + 1:02d}F"
            rng = np.random.default_rng([fold, number])
            probs = rng.dirichlet(np.ones(7), n)
            columns = {f"votes_{name}": votes[:, k] for k, name in enumerate(EMOTIONS)}
            columns |= {f"soft_{name}": votes[:, k] / 10 for k, name in enumerate(EMOTIONS)}
            columns |= {"hard_label": votes.argmax(axis=1), "is_tied": ordered[:, -1] == ordered[:, -2]}
            columns |= {"valence": va[:, 0], "arousal": va[:, 1]}
            columns |= {f"prob_{name}": probs[:, k] for k, name in enumerate(EMOTIONS)}
            columns |= {"pred_valence": rng.uniform(1, 5, n), "pred_arousal": rng.uniform(1, 5, n)}
            table = pd.concat([table, pd.DataFrame(columns)], axis=1)
            metrics = {f"valid/{name}": value for name, value in evaluate_table(table, KEMD).items()}
            facts = {"experiment": "demo", "fusion": row.rsplit("_", 1)[0], "target": "peakl", "fold": fold}
            facts |= {"protocol": "paper", "seed": 42, "corpora": ["kemdy19"], "is_synthetic": True, "n_chosen_on": n}
            facts |= {"human": {}, "label_space": KEMD, "n_folds": 5, "fingerprint": "f", "code": {}, "versions": {}}
            facts |= {"seconds": 1.0, "peak_memory_mb": 1.0}
            run_dir = folder / row / f"fold{fold}-seed42"
            run_dir.mkdir(parents=True)
            gathered = {"segment_id": np.array(ids), "embedding": rng.normal(size=(n, 64)).astype(np.float32)}
            history = [{"epoch": 0, "train/loss": 1.0, **metrics}]
            write_fold(run_dir, table, make_result(table, table, history, 0, facts), gathered)


def memory_mb() -> float:
    """Peak so far of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def stage(name: str, folder: str, repeats: int) -> None:
    """One stage with all sizes in turn; prints what each took."""
    runs = {factor: globals()[f"prepare_{name}"](Path(folder), factor) for factor in FACTORS}
    found, out = [], sys.stdout
    before = memory_mb()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        for _ in range(repeats):
            for factor, run in runs.items():
                cpu, wall = time.process_time(), time.perf_counter()
                run()
                taken = {"seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
                found.append({"stage": name, "factor": factor, **taken, "memory_mb": memory_mb()})
        sys.stdout = out
    print(json.dumps({"memory_before_mb": before, "runs": found}))


def main(
    segments: int = 2,
    repeats: int = 2,
    seconds: float = 0.5,
    work: str | None = None,
    out: str | None = None,
    plot: str | None = None,
) -> None:
    """Prints a line for each stage and size.

    Args:
        segments: Mean number of segments a speaker and dialogue in the smallest corpus.
        repeats: Runs of each stage and size.
        seconds: Median duration of a segment.
        work: Folder for corpora and grids, which are kept there and taken again; left out, a temporary one.
        out: File for the figures as JSON.
        plot: File for the picture.
    """
    import datasets
    import torch

    from erc.datasets import HF_KEMD
    from erc.synthetic import write

    found: list[dict[str, Any]] = []
    sizes: dict[int, int] = {}
    before: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(work or temporary).absolute()
        for factor in FACTORS:
            where = options_of(folder, factor)
            if not Path(where["root"]).is_dir():
                write(root=where["root"], sessions=5, segments=segments * factor, seconds=seconds, bio=False)
            sizes[factor] = len(HF_KEMD("train", -1, exclude="none", **where))
            if not (folder / f"grid{factor}").is_dir():
                write_grid(folder / f"grid{factor}", sizes[factor])
        for name in STAGES:
            command = [sys.executable, __file__, "stage", name, str(folder), str(repeats)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            taken = json.loads(done.stdout.splitlines()[-1])
            before[name] = taken["memory_before_mb"]
            found += [{**one, "segments": sizes[one["factor"]]} for one in taken["runs"]]
            print(name, json.dumps(taken), file=sys.stderr, flush=True)
    summary = {name: summarised([one for one in found if one["stage"] == name], before[name]) for name in STAGES}
    for name, one in summary.items():
        listed = ", ".join(
            f"{n:,}: {s:.2f} s, {m:,.0f} MB"
            for n, s, m in zip(one["segments"], one["seconds"], one["memory_mb"], strict=True)
        )
        print(f"{STAGES[name]:<15} {listed}; seconds grow with the power {one['power']:.2f} of the segments")
    facts = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, one used", "python": platform.python_version()}
    facts |= {"torch": torch.__version__, "datasets": datasets.__version__, "date": time.strftime("%Y-%m-%d")}
    if out is not None:
        Path(out).write_text(
            json.dumps({**facts, "summary": summary, "runs": found}, indent=1) + "\n", encoding="utf-8"
        )
    if plot is not None:
        draw(summary, plot)


def summarised(runs: list[dict[str, Any]], before: float) -> dict[str, Any]:
    """By size: median seconds, peak memory after the first run of that size; the power with which seconds grow at the end."""
    sizes = sorted({one["segments"] for one in runs})
    seconds = [statistics.median(one["seconds"] for one in runs if one["segments"] == n) for n in sizes]
    memory = [min(one["memory_mb"] for one in runs if one["segments"] == n) for n in sizes]
    power = math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])
    return {"segments": sizes, "seconds": seconds, "memory_mb": memory, "memory_before_mb": before, "power": power}


def draw(summary: dict[str, dict[str, Any]], path: str) -> None:
    """Seconds and peak memory against the number of segments; lines differ by mark and dash as well as by shade."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
    for (name, one), mark, dash, grey in zip(
        summary.items(), "osD^v", ["-", "--", "-.", ":", "-"], ["0", "0.15", "0.3", "0.45", "0.6"], strict=True
    ):
        for axes, key in ((left, "seconds"), (right, "memory_mb")):
            axes.plot(one["segments"], one[key], dash, marker=mark, color=grey, markersize=4, label=STAGES[name])
    for axes, label in ((left, "seconds of a core"), (right, "peak memory of the process (MB)")):
        axes.set(xscale="log", xlabel="segments", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    sizes = next(iter(summary.values()))["segments"]
    start = min(one["seconds"][0] for one in summary.values())
    left.plot(sizes, [start * n / sizes[0] for n in sizes], color="0.8", linewidth=3, zorder=0, label="linear")
    left.set_yscale("log")
    for axes in (left, right):
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
    right.set_ylim(bottom=0)
    left.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    if sys.argv[1:2] == ["stage"]:
        stage(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        fire.Fire(main)
