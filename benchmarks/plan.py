"""What ``python -m erc plan`` predicts against what training then takes, on this machine.

    python benchmarks/plan.py --out=benchmarks/plan.json
    python benchmarks/plan.py --paper          one step at the paper's size, some three minutes and 17 GB

Three settings: the demo; its tiny encoders with the paper's Tensor Mixer; encoders of eight layers with random weights, saved in
a directory. The prediction is made while the training runs, each with one thread, so that whatever else works on the machine
slows both alike.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fire

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def save_encoders(folder: Path) -> None:
    """wav2vec 2.0 and RoBERTa of eight layers of 256, random weights, into ``folder``."""
    from transformers import BertTokenizer, RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

    from erc.model.pretrained import tiny_vocabulary

    size = {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4, "intermediate_size": 1024}
    audio = Wav2Vec2Config(
        **size, conv_dim=(128,) * 7, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True, layerdrop=0.0
    )
    Wav2Vec2Model(audio).save_pretrained(folder / "audio")
    vocabulary = {token: i for i, token in enumerate(tiny_vocabulary())}
    text = RobertaConfig(**size, vocab_size=len(vocabulary), max_position_embeddings=514, pad_token_id=1)
    RobertaModel(text).save_pretrained(folder / "text")
    BertTokenizer(vocab=vocabulary, do_lower_case=False).save_pretrained(folder / "text")


def settings(folder: Path) -> dict[str, list[str]]:
    """Options of train.py for each setting."""
    demo = ["experiment=demo", f"synthetic.root={folder / 'corpora'}", f"dataset.cache_dir={folder / 'cache'}"]
    saved = [f"encoders.{name}.name={folder / name}" for name in ("audio", "text")]
    return {
        "demo": demo,
        "tiny encoders, paper's mixer": [
            *demo,
            "fusion=tensor_mixer",
            "dataset.num_data=16",
            "dataloader.batch_size=4",
        ],
        "eight layers of 256": [*demo, *saved, "dataset.num_data=32", "dataloader.batch_size=4"],
    }


class Training:
    """A run of train.py in a process of its own, watched while it trains."""

    def __init__(self, options: list[str], run_dir: Path) -> None:
        command = [sys.executable, "train.py", *options, "protocol=last", "trainer.max_epochs=1000"]
        self.run_dir = run_dir
        self.process = subprocess.Popen(
            [*command, f"hydra.run.dir={run_dir}"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def ends(self) -> list[float]:
        """When its epochs ended, in seconds since it began to train."""
        try:
            with open(self.run_dir / "metrics.csv", encoding="utf-8") as file:
                return [float(row["seconds"]) for row in csv.DictReader(file)]
        except FileNotFoundError:
            return []

    def wait_for(self, n_epochs: int) -> None:
        """Waits until so many epochs are over."""
        while len(self.ends()) < n_epochs:
            if self.process.poll() is not None:
                raise RuntimeError(f"train.py ended with {self.process.returncode}: {self.run_dir}")
            time.sleep(0.2)

    def cpu_seconds(self) -> float:
        """Seconds of a core that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_gigabytes(self) -> float:
        """Largest memory so far."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9

    def stop(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()


def pair_of(
    options: list[str], run_dir: Path, seconds: float, least_epochs: int, in_cpu_seconds: bool
) -> dict[str, float]:
    """Seconds of an epoch and peak memory in GB, as the command says and as a run takes at the same time."""
    training = Training(options, run_dir)
    try:
        training.wait_for(1)
        n_before, cpu_before = len(training.ends()), training.cpu_seconds()
        found = predicted(options, seconds, run_dir / "plan.json", in_cpu_seconds)
        training.wait_for(n_before + least_epochs)
        ends, used, cpu = training.ends(), training.peak_gigabytes(), training.cpu_seconds()
    finally:
        training.stop()
    n_epochs = len(ends) - n_before
    measured = (cpu - cpu_before if in_cpu_seconds else ends[-1] - ends[n_before - 1]) / n_epochs
    return {
        "predicted_seconds": found["epoch_seconds"],
        "measured_seconds": measured,
        "epochs": n_epochs,
        "predicted_gigabytes": found["memory_bytes"] / 1e9,
        "measured_gigabytes": used,
    }


IN_CPU_SECONDS = "import sys, time; time.perf_counter = time.process_time; from erc.__main__ import main; main()"
"""The command with another clock."""


def predicted(options: list[str], seconds: float, target: Path, in_cpu_seconds: bool) -> dict[str, float]:
    """The cell that the command plans."""
    fusion = next((one.split("=")[1] for one in options if one.startswith("fusion=")), "small/tensor_mixer")
    row = f"--rows={fusion.split('/')[-1]}_peakl"
    start = ["-c", IN_CPU_SECONDS] if in_cpu_seconds else ["-m", "erc"]
    command = [sys.executable, *start, "plan", *options, row, f"--seconds={seconds}", f"--json={target}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = json.loads(target.read_text(encoding="utf-8"))["settings"]
    precision = next((one.split("=")[1] for one in options if one.startswith("trainer.precision=")), "32-true")
    return next(one["cell"] for one in found if one["precision"] == precision)


def step_at_paper_size(seconds: float, batch_size: int = 4, length: float = 4.0, n_tokens: int = 24) -> None:
    """Prints a step of training and its memory as the plan has them, and as ``memory.py`` measures them afterwards."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    import numpy as np
    from memory import measured

    from erc.plan.answer import Planner, find_data
    from erc.plan.asked_for import asked_for
    from erc.plan.costs import activation_bytes, cost_of, memory_bytes, weights_of
    from erc.plan.lengths import Batches
    from erc.plan.loop import Line
    from erc.plan.model import parts_of

    asked = asked_for(["encoders.audio.layerdrop=0", "trainer.accelerator=cpu"], "tensor_mixer_peakl")
    parts = parts_of(asked.config)
    planner = Planner(asked, parts, find_data(asked.config, parts), seconds)
    _, found = planner.measured({"32-true": planner.products()["32-true"]})
    plan = found["32-true"]["tensor_mixer"]._replace(loop=Line(0.0, 0.0))
    depths, both = planner.depths("configured"), ("audio", "text")
    weights = weights_of(depths, planner.models["tensor_mixer"])
    n_samples = round(16_000 * length)
    batch = Batches(np.array([batch_size]), np.array([n_samples]), np.array([n_tokens]), np.array([1]))
    step = cost_of(batch, depths, "tensor_mixer", both, plan, True).seconds + plan.optimizer * weights.trained
    kept = float(activation_bytes(batch, depths, "tensor_mixer", both, plan)[0])
    memory = memory_bytes(weights, kept, plan) / 1e9
    del planner
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        taken, peak = process.submit(measured, "as configured", 24, 1024, batch_size, length, n_tokens, 5).result()
    median = statistics.median(taken)
    print(
        f"A step of {batch_size} segments of {length:g} s, {weights.all:,} weights: predicted {step:.1f} s, measured "
        f"{median:.1f} s ({min(taken):.1f} to {max(taken):.1f}; {step / median - 1:+.0%}); memory: {memory:.1f}, {peak:.1f} GB"
    )


def main(
    repeats: int = 5,
    epochs: int = 3,
    seconds: float = 20,
    only: str | None = None,
    cpu: bool = False,
    paper: bool = False,
    out: str | None = None,
) -> None:
    """Prints every pair, and writes them as JSON.

    Args:
        repeats: Pairs of each setting.
        epochs: At least so many of each training run count.
        seconds: For each prediction.
        only: Part of the name of one setting.
        cpu: Compare seconds of a core, which other work on the machine hardly changes; with one thread, these are the seconds of
            a machine that does nothing else.
        paper: Compare one step at the paper's size instead.
        out: File for the pairs.
    """
    import torch

    if paper:
        step_at_paper_size(seconds)
        return

    pairs: list[dict] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_encoders(folder)
        chosen = {name: options for name, options in settings(folder).items() if only is None or only in name}
        for repeat in range(repeats):
            for number, (name, options) in enumerate(chosen.items()):
                load = os.getloadavg()[0]
                pair = pair_of(options, folder / f"run{repeat}-{number}", seconds, epochs, cpu)
                pairs.append({"setting": name, "load": round(load, 1), **pair})
                ratio = pair["predicted_seconds"] / pair["measured_seconds"]
                print(
                    f"{name:<30} epoch: predicted {pair['predicted_seconds']:6.2f} s, measured {pair['measured_seconds']:6.2f} s "
                    f"({ratio - 1:+.0%}); memory: {pair['predicted_gigabytes']:.2f}, {pair['measured_gigabytes']:.2f} GB; "
                    f"load before {load:.1f}",
                    flush=True,
                )
    for name in chosen:
        ratios = [one["predicted_seconds"] / one["measured_seconds"] for one in pairs if one["setting"] == name]
        print(f"{name:<30} median of {len(ratios)}: {statistics.median(ratios) - 1:+.0%}")
    if out is not None:
        facts = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "torch": torch.__version__}
        facts |= {"python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}
        Path(out).write_text(
            json.dumps({**facts, "clock": "seconds of a core" if cpu else "seconds", "pairs": pairs}, indent=1) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    fire.Fire(main)
