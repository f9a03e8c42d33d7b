"""Time of training steps by how much of the encoders is trained, and whether frozen layers are read from the cache; this CPU.

The encoders are wav2vec2 and RoBERTa with random weights: what they say is worth nothing, and a step takes as long. A step is a batch
from the loader, forward, backward and AdamW. The ways are measured in turn, batch by batch, so that other work on the machine slows
all of them.

    python benchmarks/cache.py base     six layers of width 256: everything trained, the last three, cached, frozen
    python benchmarks/cache.py paper    24 layers of width 1,024 each: every fusion of the table, frozen, through encoders and cached
"""

from __future__ import annotations

import functools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from transformers import RobertaConfig, Wav2Vec2Config

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from erc.data import KEMD, Collator, LengthBucketSampler
from erc.datasets import HF_KEMD
from erc.frozen import Computation, Segments, find_states
from erc.model import AudioEncoder, EmotionModel, TextEncoder, load_feature_extractor, load_tokenizer
from erc.synthetic import corpora
from erc.training import FocalLoss, MSELoss, MultitaskLoss, make_loader

SIZES = {"base": (6, 256, 4), "paper": (24, 1024, 16)}
"""Layers, width and attention heads of both encoders."""

LARGE_LIKE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True, "layerdrop": 0.0}
"""As in wav2vec2-large-xlsr, but for layer drop, which would make steps differ."""

FUSIONS = ("concat", "cross_attention", "tensor_mixer", "audio_only", "text_only")


class Way:
    """One way to train: a model, an optimizer and batches.

    Args:
        model: Is trained.
        view: Segments.
        collate: Rows -> batch.
        batches: Indices of each batch.
    """

    def __init__(self, model: EmotionModel, view: HF_KEMD, collate: Collator, batches: list[list[int]]) -> None:
        self.model, self.view, self.collate, self.batches = model.train(), view, collate, batches
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-5)
        self.loss = MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3)
        self.seconds: list[float] = []

    def step(self, number: int) -> None:
        """One training step on the batch of that number; its time is kept."""
        started = time.perf_counter()
        (batch,) = make_loader(self.view.ds, self.collate, [self.batches[number % len(self.batches)]])
        out = self.model(batch["inputs"])
        losses = self.loss(emotion_logits=out.emotion_logits, va=out.va, target=batch["target"], va_target=batch["va"])
        self.optimizer.zero_grad()
        losses["loss"].backward()
        self.optimizer.step()
        self.seconds.append(time.perf_counter() - started)


def audio_encoder(n_layers: int, width: int, n_heads: int, train_last: int | None) -> AudioEncoder:
    """wav2vec2 of that size with random weights."""
    sizes = {"num_hidden_layers": n_layers, "hidden_size": width, "num_attention_heads": n_heads}
    encoder = AudioEncoder.from_config(Wav2Vec2Config(**sizes, intermediate_size=4 * width, **LARGE_LIKE))
    encoder.adapt(train_last=train_last)
    return encoder


def text_encoder(n_layers: int, width: int, n_heads: int, train_last: int | None) -> TextEncoder:
    """RoBERTa of that size with random weights, and the vocabulary of klue/roberta-large."""
    sizes = {"num_hidden_layers": n_layers, "hidden_size": width, "num_attention_heads": n_heads}
    positions = {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1, "vocab_size": 32_000}
    encoder = TextEncoder.from_config(RobertaConfig(**sizes, **positions, intermediate_size=4 * width))
    encoder.adapt(train_last=train_last)
    return encoder


def model_of(fusion: str, audio: AudioEncoder, text: TextEncoder) -> EmotionModel:
    """A model of the table at the paper's size, with encoders that are there already."""
    part = instantiate(OmegaConf.load(ROOT / f"config/fusion/{fusion}.yaml"))
    return EmotionModel({"audio": lambda: audio, "text": lambda: text}, part, KEMD)


def main(
    size: str = "base",
    segments: int = 24,
    batch_size: int = 4,
    seconds: float = 2.0,
    repeats: int = 5,
    fusions: tuple[str, ...] = FUSIONS,
) -> None:
    """Prints the median seconds of a step of each way, and the same as JSON; the last argument is for ``paper``."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        corpora.write(root=f"{folder}/corpora", sessions=5, segments=4, seconds=seconds, bio=False)
        view = HF_KEMD("train", 4, root=f"{folder}/corpora", cache_dir=f"{folder}/cache", num_data=segments)
        collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")
        lengths = view.ds.with_format("numpy")["n_samples"][:].clip(max=collate.max_samples)
        batches = [one for one in LengthBucketSampler(lengths, batch_size, pool_batches=50) if len(one) == batch_size]
        cached = functools.partial(with_cache, view=view, collate=collate, cache_dir=Path(folder, "cache"))
        make = functools.partial(Way, view=view, batches=batches)
        ways: dict[str, Way] = {}
        if size == "base":
            for name, train_last in (("everything is trained", None), ("train_last=3", 3)):
                model = model_of(
                    "concat", audio_encoder(*SIZES[size], train_last), text_encoder(*SIZES[size], train_last)
                )
                ways[name] = make(model, collate=collate)
            ways["train_last=3, cached"] = make(model, collate=cached(model))
            frozen = model_of("concat", audio_encoder(*SIZES[size], 0), text_encoder(*SIZES[size], 0))
            ways["train_last=0, cached"] = make(frozen, collate=cached(frozen))
        else:
            audio, text = audio_encoder(*SIZES[size], 0), text_encoder(*SIZES[size], 0)
            for fusion in fusions:
                model = model_of(fusion, audio, text)
                ways[f"{fusion}, through the encoders"] = make(model, collate=collate)
                ways[f"{fusion}, cached"] = make(model, collate=cached(model))
        for number in range(-1, repeats):  # the first step of each way makes AdamW's averages, and is left out
            for way in ways.values():
                way.step(number)
        report(size, ways, float(lengths.mean()) / 16_000, batch_size)


def with_cache(model: EmotionModel, view: HF_KEMD, collate: Collator, cache_dir: Path) -> Collator:
    """The collator of a cached run; computes what is cached, and says how long that took."""
    segments = Segments((view.ds,), view.fingerprint, collate.make_inputs)
    started = time.perf_counter()
    states = find_states(model, segments, Computation("bf16", torch.device("cpu"), "32-true", nullcontext), cache_dir)
    print(f"Cache of {len(view)} segments: {time.perf_counter() - started:.1f} s", flush=True)
    return collate.with_states(states, states.stores)


def report(size: str, ways: dict[str, Way], mean_seconds: float, batch_size: int) -> None:
    """Prints the table and the JSON."""
    n_layers, width, _ = SIZES[size]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
    found: dict[str, Any] = {
        "layers": n_layers, "width": width, "batch_size": batch_size, "mean_seconds": round(mean_seconds, 2),
        "threads": torch.get_num_threads(), "peak_memory_gb": round(peak, 1), "seconds_per_step": {},
    }  # fmt: skip
    print(f"\n{n_layers} layers of width {width}, batches of {batch_size} segments of {mean_seconds:.1f} s on average")
    print(f"{'':<40} {'s a step':>9} {'least':>8} {'most':>8} {'faster':>8}")
    first = 0.0
    for name, way in ways.items():
        times = way.seconds[1:]
        median = statistics.median(times)
        first = median if "cached" not in name and (size == "paper" or not first) else first
        found["seconds_per_step"][name] = times
        print(f"{name:<40} {median:9.4f} {min(times):8.4f} {max(times):8.4f} {first / median:7.1f}x")
    print(json.dumps(found))


if __name__ == "__main__":
    fire.Fire(main)
