"""Time and memory of a training step at the paper's size, by what saves either: one table, on this CPU.

wav2vec2 and RoBERTa of 24 layers each with random weights, and the Tensor Mixer; batches of like length. Each way has a process of its
own, because memory is the largest that a process had; with ``--repeats`` they take turns.

    python benchmarks/memory.py --out=memory.json
    python benchmarks/memory.py --layers=2 --width=128      small, to try it
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
from measuring import table, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

WAYS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "precision=auto": {"precision": "bf16"},
    "gradient_checkpointing": {"encoders": {"gradient_checkpointing": True}},
    "accumulate_grad_batches=2, half the batch": {"accumulate": 2},
    "lora_rank=8": {"encoders": {"lora_rank": 8}},
    "train_last=3": {"encoders": {"train_last": 3}},
    "compile_layers": {"encoders": {"compile_layers": True}},
}
"""What differs from the configured run."""


def measured(way: str, layers: int, width: int, batch_size: int, seconds: float, n_tokens: int, n_steps: int) -> Any:
    """Seconds of each step, the first left out, and the largest memory of the process in GB."""
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from transformers import RobertaConfig, Wav2Vec2Config

    from erc.data import KEMD
    from erc.model import AudioEncoder, EmotionModel, TextEncoder
    from erc.training import FocalLoss, MSELoss, MultitaskLoss, build_optimizer, keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(0)
    options = WAYS[way]
    size = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": width // 64}
    size["intermediate_size"] = 4 * width
    audio = AudioEncoder.from_config(
        Wav2Vec2Config(
            **size, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True, layerdrop=0.0,
            mask_time_prob=0.05,
        )
    )  # fmt: skip
    text = TextEncoder.from_config(
        RobertaConfig(**size, vocab_size=32_000, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1)
    )
    for encoder in (audio, text):
        encoder.adapt(**options.get("encoders", {}))
    fusion = instantiate(OmegaConf.load(ROOT / "config/fusion/tensor_mixer.yaml"))
    model = EmotionModel({"audio": lambda: audio, "text": lambda: text}, fusion, KEMD).train()
    optimizer = build_optimizer(model, {"audio": 1e-5, "text": 1e-5, "fusion": 1e-4, "heads": 1e-4})
    loss = MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3)
    n_parts = options.get("accumulate", 1)
    n, n_samples = batch_size // n_parts, round(16_000 * seconds)
    mask = torch.ones(n, max(n_samples, n_tokens), dtype=torch.bool)
    inputs: Any = {
        "audio": {"values": torch.randn(n, n_samples), "mask": mask[:, :n_samples]},
        "text": {"values": torch.randint(5, 30_000, (n, n_tokens)), "mask": mask[:, :n_tokens]},
    }
    labels = {"target": torch.full((n, 7), 1 / 7), "va_target": torch.full((n, 2), 3.0)}
    taken = []
    for _ in range(1 + n_steps):
        started = time.perf_counter()
        for _ in range(n_parts):
            with torch.autocast("cpu", torch.bfloat16, enabled=options.get("precision") == "bf16"):
                out = model(inputs)
            found = loss(emotion_logits=out.emotion_logits.float(), va=out.va.float(), **labels)
            (found["loss"] / n_parts).backward()
        torch.nn.utils.clip_grad_norm_([one for one in model.parameters() if one.grad is not None], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        taken.append(time.perf_counter() - started)
    return taken[1:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main(
    layers: int = 24,
    width: int = 1024,
    batch_size: int = 4,
    seconds: float = 4.0,
    n_tokens: int = 24,
    n_steps: int = 5,
    repeats: int = 1,
    ways: tuple[str, ...] = tuple(WAYS),
    out: str = "",
) -> None:
    """Prints one line a way.

    Args:
        layers: Of each encoder.
        width: Of each encoder; a multiple of 64.
        batch_size: Segments a step.
        seconds: Of a segment.
        n_tokens: Of a segment.
        n_steps: Steps of a process that count.
        repeats: Processes of each way, in turn.
        ways: Which.
        out: A JSON file.
    """
    found: dict[str, list[float]] = {way: [] for way in ways}
    memory: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                taken, peak = process.submit(
                    measured, way, layers, width, batch_size, seconds, n_tokens, n_steps
                ).result()
            found[way] += taken
            memory[way].append(peak)
            print(f"{way}: {', '.join(f'{one:.2f} s' for one in taken)}, {peak:.2f} GB", file=sys.stderr, flush=True)
    peaks = {way: f"{statistics.median(of):.1f}" for way, of in memory.items()}
    print(table(found, ways[0], paired=False, **{"largest memory, GB": peaks}))
    write(out, layers=layers, width=width, batch_size=batch_size, length=seconds, seconds=found, memory_gb=memory)


if __name__ == "__main__":
    fire.Fire(main)
