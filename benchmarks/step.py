"""What batches of like length save where the encoders dominate: seconds an epoch by the way in which batches are made.

wav2vec2 and RoBERTa of the base size (12 layers each) with random weights and the Tensor Mixer at paper size. A step of
training is timed at several lengths in turn. An epoch is the sum over its batches, by interpolation between these
lengths. Durations are drawn from a log-normal distribution with KEMDy19's median (4.2 s) and 95th percentile (15.5 s), cut at
7 s.

    python benchmarks/step.py --out=step.json

``7 s`` pads every segment to 7 s and 64 tokens, as the published code does. ``random`` pads random batches to their longest
segment. ``bucketed`` puts segments of similar length into one batch, as training does.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
import numpy as np
from hydra.utils import instantiate
from measuring import interleaved, table, write
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

LONGEST, MAX_TOKENS = 7.0, 64
TOKENS_A_SECOND = 5
"""Of Korean speech in word pieces, roughly; a transcript of 7 s has some 37 tokens."""


def main(
    segments: int = 18_700,
    batch_size: int = 8,
    timed_batch_size: int = 2,
    layers: int = 12,
    repeats: int = 5,
    clock: str = "wall",
    out: str = "",
) -> None:
    """Prints the time of a step by length, and of an epoch by way.

    Args:
        segments: Of an epoch.
        batch_size: Segments of a batch.
        timed_batch_size: Segments of the steps that are timed; a batch of more costs in proportion.
        layers: Of each encoder.
        repeats: Steps of each length, after one that is not counted.
        clock: ``wall``, or ``cpu`` on a machine that others use.
        out: A JSON file.
    """
    import torch
    import transformers

    from erc.data import KEMD, LengthBucketSampler
    from erc.model import AudioEncoder, EmotionModel, TextEncoder, load_tokenizer
    from erc.training import FocalLoss, MSELoss, MultitaskLoss

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        audio = transformers.Wav2Vec2Config(num_hidden_layers=layers, layerdrop=0.0)
        transformers.Wav2Vec2Model(audio).save_pretrained(f"{folder}/audio")
        text = transformers.RobertaConfig(
            vocab_size=len(load_tokenizer("tiny")),
            num_hidden_layers=layers,
            pad_token_id=1,
            max_position_embeddings=514,
        )
        transformers.RobertaModel(text).save_pretrained(f"{folder}/text")
        encoders = {
            "audio": functools.partial(AudioEncoder, f"{folder}/audio"),
            "text": functools.partial(TextEncoder, f"{folder}/text"),
        }
        model = EmotionModel(encoders, instantiate(OmegaConf.load(ROOT / "config/fusion/tensor_mixer.yaml")), KEMD)
    loss = MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
    n = timed_batch_size

    def step(seconds: float, n_tokens: int) -> None:
        waves, tokens = torch.randn(n, int(16_000 * seconds)), torch.full((n, n_tokens), 5)
        inputs = {"audio": (waves, waves > -99), "text": (tokens, tokens > 0)}
        found = model({name: {"values": values, "mask": mask} for name, (values, mask) in inputs.items()})
        target, va = torch.full((n, 7), 1 / 7), torch.zeros(n, 2)
        optimizer.zero_grad()
        loss(emotion_logits=found.emotion_logits, va=found.va, target=target, va_target=va)["loss"].backward()
        optimizer.step()

    grid = [0.5, 1.5, 3.0, 5.0, LONGEST]
    calls = {f"{seconds} s": functools.partial(step, seconds, tokens_of(seconds)) for seconds in grid}
    calls["7 s, 64 tokens"] = functools.partial(step, LONGEST, MAX_TOKENS)
    times = interleaved(calls, repeats, clock=clock)
    print(table(times, "7 s, 64 tokens"), flush=True)

    rng = np.random.default_rng(0)
    lengths = np.exp(rng.normal(np.log(4.2), np.log(15.5 / 4.2) / 1.645, segments)).clip(0.3, LONGEST)
    order = rng.permutation(segments)
    random_batches = [order[i : i + batch_size] for i in range(0, segments, batch_size)]
    bucketed = list(LengthBucketSampler(lengths, batch_size, pool_batches=50))
    real = lengths.sum()
    epochs: dict[str, list[float]] = {"7 s": [], "random": [], "bucketed": []}
    for repeat in range(repeats):
        at = [times[f"{seconds} s"][repeat] for seconds in grid]
        per_segment = functools.partial(np.interp, xp=grid, fp=np.array(at) / n)
        epochs["7 s"].append(times["7 s, 64 tokens"][repeat] / n * segments)
        for name, batches in (("random", random_batches), ("bucketed", bucketed)):
            epochs[name].append(float(sum(len(one) * per_segment(lengths[one].max()) for one in batches)))
    padded = {"7 s": LONGEST * segments} | {
        name: sum(len(one) * lengths[one].max() for one in batches)
        for name, batches in (("random", random_batches), ("bucketed", bucketed))
    }
    waste = {name: f"{1 - real / total:.1%}" for name, total in padded.items()}
    print(f"\nAn epoch of {segments:,} segments, mean {real / segments:.1f} s, in batches of {batch_size}:")
    print(table(epochs, "7 s", **{"padding": waste}))
    write(out, clock=clock, layers=layers, step=times, epoch=epochs, padding=waste)


def tokens_of(seconds: float) -> int:
    """Tokens of a transcript, the two special ones included."""
    return min(MAX_TOKENS, 2 + round(TOKENS_A_SECOND * seconds))


if __name__ == "__main__":
    fire.Fire(main)
