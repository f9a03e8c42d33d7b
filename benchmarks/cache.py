"""Time of training steps by how much of the encoders is trained, and whether frozen layers are read from the cache; this CPU.

The encoders are wav2vec2 and RoBERTa with random weights: what they say is worth nothing, and a step takes as long. A step is a batch
from the loader, forward, backward and AdamW. The ways are measured in turn, batch by batch, so that other work on the machine slows
all of them.

    python benchmarks/cache.py base     six layers of width 256: everything trained, the last three, cached, frozen
    python benchmarks/cache.py paper    24 layers of width 1,024 each: every fusion of the table, frozen, through encoders and cached
    python benchmarks/cache.py paper --trained     and beside them with encoders that are trained: 23 GB of memory
"""

from __future__ import annotations

import functools
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
import torch
from hydra.utils import instantiate
from measuring import table, write
from omegaconf import OmegaConf
from transformers import RobertaConfig, Wav2Vec2Config

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from erc.data import KEMD, Collator, LengthBucketSampler
from erc.datasets import HF_KEMD
from erc.frozen import Computation, Segments, find_states
from erc.model import AudioEncoder, EmotionModel, TextEncoder, load_feature_extractor, load_tokenizer
from erc.synthetic import corpora
from erc.training import FocalLoss, MSELoss, MultitaskLoss, keep_freed_memory, make_loader

SIZES = {"base": (6, 256, 4), "paper": (24, 1024, 16)}
"""Layers, width and attention heads of both encoders."""

LARGE_LIKE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True, "layerdrop": 0.0}
"""As in wav2vec2-large-xlsr, but for layer drop, which would make steps differ."""

FUSIONS = ("concat", "cross_attention", "tensor_mixer", "audio_only", "text_only")
TABLE = FUSIONS[:3]
"""Fusions of the paper's table; each has as many cells."""


class Way:
    """One way to train: a model, an optimizer and batches.

    Args:
        model: Is trained.
        view: Segments.
        collate: Rows -> batch.
        batches: Indices of each batch.
        shared: Optimizer of encoders that several ways train: its two averages are there once.
    """

    def __init__(
        self,
        model: EmotionModel,
        view: HF_KEMD,
        collate: Collator,
        batches: list[list[int]],
        shared: torch.optim.Optimizer | None = None,
    ) -> None:
        self.model, self.view, self.collate, self.batches = model.train(), view, collate, batches
        others = {id(one) for one in (model.encoders.parameters() if shared else ())}
        trained = [one for one in model.parameters() if one.requires_grad and id(one) not in others]
        self.optimizers = [torch.optim.AdamW(trained, lr=1e-5, fused=True), *([shared] if shared else [])]
        self.loss = MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3)
        self.seconds: list[float] = []

    def step(self, number: int) -> None:
        """One training step on the batch of that number; its time is kept."""
        started = time.perf_counter()
        (batch,) = make_loader(self.view.ds, self.collate, [self.batches[number % len(self.batches)]])
        out = self.model(batch["inputs"])
        logits, va = out.emotion_logits.float(), out.va.float()
        losses = self.loss(emotion_logits=logits, va=va, target=batch["target"], va_target=batch["va"])
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        losses["loss"].backward()
        for optimizer in self.optimizers:
            optimizer.step()
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
    precision: str = "32-true",
    trained: bool = False,
    out: str = "",
) -> None:
    """Prints the seconds of a step of each way; ``fusions``, ``precision`` and ``trained`` are for ``paper``.

    Args:
        size: ``base`` or ``paper``.
        segments: Of the view whose batches are taken.
        batch_size: Segments a step.
        seconds: Median duration of a segment.
        repeats: Steps of each way that count.
        fusions: Which.
        precision: ``32-true``, or ``bf16-mixed`` for encoders and fusion.
        trained: Also with encoders that are trained whole.
        out: A JSON file.
    """
    keep_freed_memory()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        corpora.write(root=f"{folder}/corpora", sessions=5, segments=4, seconds=seconds, bio=False)
        view = HF_KEMD("train", 4, root=f"{folder}/corpora", cache_dir=f"{folder}/cache", num_data=segments)
        collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")
        lengths = view.ds.with_format("numpy")["n_samples"][:].clip(max=collate.max_samples)
        batches = [one for one in LengthBucketSampler(lengths, batch_size, pool_batches=50) if len(one) == batch_size]
        cached = functools.partial(with_cache, view=view, collate=collate, cache_dir=Path(folder, "cache"))
        make = functools.partial(Way, view=view, batches=batches)
        ways = (
            ways_of_base(make, collate, cached)
            if size == "base"
            else ways_of_table(make, collate, cached, fusions, trained)
        )
        for number in range(-1, repeats):  # the first step of each way makes AdamW's averages, and is left out
            for way in ways.values():
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                    way.step(number)
        report(size, {name: way.seconds[1:] for name, way in ways.items()}, fusions, trained)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
        mean = round(float(lengths.mean()) / 16_000, 2)
        print(f"\nSegments of {mean} s on average, {batch_size} a step; largest memory {peak:.1f} GB.")
        taken = {name: way.seconds[1:] for name, way in ways.items()}
        write(
            out, size=size, batch_size=batch_size, mean_seconds=mean, precision=precision, peak_gb=peak, seconds=taken
        )


def ways_of_base(make: Callable[..., Way], collate: Collator, cached: Callable[..., Collator]) -> dict[str, Way]:
    """Everything trained, the last three layers, these from the cache, and nothing from the cache."""
    ways: dict[str, Way] = {}
    for name, train_last in (("everything is trained", None), ("train_last=3", 3)):
        model = model_of("concat", audio_encoder(*SIZES["base"], train_last), text_encoder(*SIZES["base"], train_last))
        ways[name] = make(model, collate=collate)
    ways["train_last=3, cached"] = make(model, collate=cached(model))
    frozen = model_of("concat", audio_encoder(*SIZES["base"], 0), text_encoder(*SIZES["base"], 0))
    ways["train_last=0, cached"] = make(frozen, collate=cached(frozen))
    return ways


def ways_of_table(
    make: Callable[..., Way],
    collate: Collator,
    cached: Callable[..., Collator],
    fusions: tuple[str, ...],
    trained: bool,
) -> dict[str, Way]:
    """Each fusion at the paper's size on frozen encoders, through them and from the cache; with ``trained`` on trained ones, too."""
    audio, text = audio_encoder(*SIZES["paper"], 0), text_encoder(*SIZES["paper"], 0)
    ways: dict[str, Way] = {}
    if trained:
        whole = torch.nn.ModuleList([audio_encoder(*SIZES["paper"], None), text_encoder(*SIZES["paper"], None)])
        shared = torch.optim.AdamW(whole.parameters(), lr=1e-5, fused=True)
        for frozen, one in zip((*audio.parameters(), *text.parameters()), whole.parameters(), strict=True):
            frozen.data = one.data  # the values do not matter, and the memory does
    for fusion in fusions:
        if trained:
            ways[f"{fusion}, trained"] = make(model_of(fusion, *whole), collate=collate, shared=shared)
        model = model_of(fusion, audio, text)
        ways[f"{fusion}, through the encoders"] = make(model, collate=collate)
        ways[f"{fusion}, cached"] = make(model, collate=cached(model))
    return ways


def with_cache(model: EmotionModel, view: HF_KEMD, collate: Collator, cache_dir: Path) -> Collator:
    """The collator of a cached run; computes what is cached, and says how long that took."""
    segments = Segments((view.ds,), view.fingerprint, collate.make_inputs)
    started = time.perf_counter()
    states = find_states(model, segments, Computation("bf16", torch.device("cpu"), "32-true", nullcontext), cache_dir)
    print(f"Cache of {len(view)} segments: {time.perf_counter() - started:.1f} s", flush=True)
    return collate.with_states(states, states.stores)


def report(size: str, taken: dict[str, list[float]], fusions: tuple[str, ...], trained: bool = False) -> None:
    """Prints a table; for ``paper`` one for each fusion, and the sum over those of the paper's table."""
    if size == "base":
        print(table(taken, next(iter(taken))))
        return
    ways = (*(["trained"] if trained else []), "through the encoders", "cached")
    for fusion in fusions:
        names = [f"{fusion}, {way}" for way in ways]
        print(table({name: taken[name] for name in names}, names[-2]))
    if set(TABLE) <= set(fusions):
        totals = {way: sum(statistics.median(taken[f"{fusion}, {way}"]) for fusion in TABLE) for way in ways}
        print(f"\nThe paper's three fusions, cached: {totals['cached']:.2f} s")
        for way in ways[:-1]:
            print(f"{way}: {totals[way]:.1f} s, {totals[way] / totals['cached']:.1f} times as long")


if __name__ == "__main__":
    fire.Fire(main)
