"""What ``python -m erc plan`` predicts against what training then takes, on this machine.

    python benchmarks/plan.py --out=benchmarks/plan.json

Three settings: the demo; its tiny encoders with the paper's Tensor Mixer; encoders of eight layers with random weights, saved in
a directory. Prediction and training take turns, each as a process of its own, because other work on the machine slows both.
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
        "tiny encoders, paper's mixer": [*demo, "fusion=tensor_mixer", "dataset.num_data=240"],
        "eight layers of 256": [*demo, *saved, "dataset.num_data=128"],
    }


def measured_epoch(options: list[str], run_dir: Path, epochs: int) -> tuple[float, float]:
    """Median seconds of the epochs after the first, and peak memory in GB, of a run."""
    command = [sys.executable, "train.py", *options, f"trainer.max_epochs={epochs}", f"hydra.run.dir={run_dir}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(run_dir / "metrics.csv", encoding="utf-8") as file:
        ends = [float(row["seconds"]) for row in csv.DictReader(file)]
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    return statistics.median(b - a for a, b in zip(ends, ends[1:], strict=False)), result["peak_memory_mb"] / 1e3


def predicted_epoch(options: list[str], seconds: float, target: Path) -> tuple[float, float]:
    """Seconds of an epoch and peak memory in GB, as the command says."""
    fusion = next((one.split("=")[1] for one in options if one.startswith("fusion=")), "small/tensor_mixer")
    row = f"--rows={fusion.split('/')[-1]}_peakl"
    command = [sys.executable, "-m", "erc", "plan", *options, row, f"--seconds={seconds}", f"--json={target}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = json.loads(target.read_text(encoding="utf-8"))["settings"]
    precision = next((one.split("=")[1] for one in options if one.startswith("trainer.precision=")), "32-true")
    cell = next(one["cell"] for one in found if one["precision"] == precision)
    return cell["epoch_seconds"], cell["memory_bytes"] / 1e9


def main(
    repeats: int = 3, epochs: int = 4, seconds: float = 20, only: str | None = None, out: str | None = None
) -> None:
    """Prints every pair, and writes them as JSON.

    Args:
        repeats: Pairs of each setting.
        epochs: Of each training run; the first one does not count.
        seconds: For each prediction.
        only: Part of the name of one setting.
        out: File for the pairs.
    """
    import torch

    pairs: list[dict] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_encoders(folder)
        chosen = {name: options for name, options in settings(folder).items() if only is None or only in name}
        for repeat in range(repeats):
            for number, (name, options) in enumerate(chosen.items()):
                load = os.getloadavg()[0]
                predicted, memory = predicted_epoch(options, seconds, folder / "plan.json")
                measured, used = measured_epoch(options, folder / f"run{repeat}-{number}", epochs)
                pairs.append(
                    {"setting": name, "predicted_seconds": predicted, "measured_seconds": measured, "load": load}
                    | {"predicted_gigabytes": memory, "measured_gigabytes": used}
                )
                print(
                    f"{name:<30} epoch: predicted {predicted:6.2f} s, measured {measured:6.2f} s ({predicted / measured - 1:+.0%}); "
                    f"memory: {memory:.2f}, {used:.2f} GB; load {load:.1f}",
                    flush=True,
                )
    for name in chosen:
        ratios = [one["predicted_seconds"] / one["measured_seconds"] for one in pairs if one["setting"] == name]
        print(f"{name:<30} median of {len(ratios)}: {statistics.median(ratios) - 1:+.0%}")
    if out is not None:
        facts = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "torch": torch.__version__}
        facts |= {"python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}
        Path(out).write_text(json.dumps({**facts, "pairs": pairs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    fire.Fire(main)
