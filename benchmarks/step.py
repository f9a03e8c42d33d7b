"""Time of training steps by the way in which batches are made; tiny encoders, the Tensor Mixer at paper size, this CPU.

``published`` pads every segment to 7 s. ``random`` pads random batches to their longest segment. ``bucketed`` puts segments
of similar length into one batch, as training does.

    python benchmarks/step.py --segments=160
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main(segments: int = 160, batch_size: int = 8, seconds: float = 3.0, repeats: int = 2) -> None:
    """Prints seconds per segment, forward and backward, for the three ways in turn."""
    import torch

    from erc.data import KEMD, Collator, LengthBucketSampler
    from erc.datasets import HF_KEMD
    from erc.model import (
        AudioEncoder,
        EmotionModel,
        TextEncoder,
        load_feature_extractor,
        load_tokenizer,
    )
    from erc.synthetic import corpora
    from erc.training import FocalLoss, MSELoss, MultitaskLoss, make_loader

    with tempfile.TemporaryDirectory() as folder:
        corpora.write(root=f"{folder}/corpora", sessions=5, segments=4, seconds=seconds, bio=False)
        view = HF_KEMD("train", 4, root=f"{folder}/corpora", cache_dir=f"{folder}/cache", num_data=segments)
        collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")
        lengths = np.asarray(view.ds.with_format("numpy")["n_samples"][:]).clip(max=collate.max_samples)
        mixer = instantiate(OmegaConf.load(ROOT / "config/fusion/tensor_mixer.yaml"))
        torch.manual_seed(0)
        encoders = {"audio": functools.partial(AudioEncoder, "tiny"), "text": functools.partial(TextEncoder, "tiny")}
        model = EmotionModel(encoders, mixer, KEMD)
        loss = MultitaskLoss(FocalLoss(), MSELoss(), 0.7, 0.3)
        order = np.random.default_rng(0).permutation(len(lengths))
        random_batches = [order[i : i + batch_size].tolist() for i in range(0, len(order), batch_size)]
        ways = {
            "published": random_batches,
            "random": random_batches,
            "bucketed": LengthBucketSampler(lengths, batch_size, pool_batches=50),
        }
        print(f"{len(view)} segments, mean {lengths.mean() / 16000:.2f} s, batches of {batch_size}")
        for _ in range(repeats):
            for way, sampler in ways.items():
                n_padded = 0
                started = time.perf_counter()
                for batch in make_loader(view.ds, collate, sampler):
                    audio = batch["inputs"]["audio"]
                    if way == "published":
                        padding = (0, collate.max_samples - audio["values"].shape[1])
                        audio = {name: torch.nn.functional.pad(part, padding) for name, part in audio.items()}
                    n_padded += audio["values"].numel()
                    out = model({"audio": audio, "text": batch["inputs"]["text"]})
                    losses = loss(
                        emotion_logits=out.emotion_logits, va=out.va, target=batch["target"], va_target=batch["va"]
                    )
                    model.zero_grad()
                    losses["loss"].backward()
                taken = time.perf_counter() - started
                print(
                    f"{way:<10} {taken / len(view):.4f} s a segment, {lengths.sum() / n_padded:5.1%} of samples are real"
                )


if __name__ == "__main__":
    fire.Fire(main)
