"""Training step: seconds a segment by how batches are made, tiny encoders and the paper-size mixer, on this CPU.

``published`` pads every segment to 7 s, ``random`` pads random batches to their longest, ``bucketed`` is ours.

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

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(segments: int = 160, batch_size: int = 8, seconds: float = 3.0, repeats: int = 2) -> None:
    """Times forward and backward over the same segments, the three ways in turn."""
    import torch

    from erc import sample
    from erc.batch import Collator, LengthBucketSampler, load_feature_extractor, load_tokenizer, make_loader
    from erc.datasets import HF_KEMD
    from erc.encoders import AudioEncoder, TextEncoder
    from erc.fusion.tensor_mixer import TensorMixer
    from erc.losses import FocalLoss, MSELoss, MultitaskLoss
    from erc.model import EmotionModel

    with tempfile.TemporaryDirectory() as folder:
        sample.write(root=f"{folder}/corpora", sessions=5, segments=4, seconds=seconds, bio=False)
        view = HF_KEMD("train", 4, root=f"{folder}/corpora", cache_dir=f"{folder}/cache", num_data=segments)
        collate = Collator(load_tokenizer("tiny"), load_feature_extractor("tiny"), "peakl")
        lengths = np.asarray(view.ds.with_format("numpy")["n_samples"][:]).clip(max=collate.max_samples)
        mixer = functools.partial(
            TensorMixer,
            projection_dim=256,
            patch_size=16,
            mixer_dim=512,
            depth=12,
            tokens_mlp_dim=1024,
            channels_mlp_dim=256,
        )
        torch.manual_seed(0)
        model = EmotionModel(functools.partial(AudioEncoder, "tiny"), functools.partial(TextEncoder, "tiny"), mixer)
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
                    waveform, mask = batch["waveform"], batch["waveform_mask"]
                    if way == "published":
                        padding = (0, collate.max_samples - waveform.shape[1])
                        waveform, mask = (torch.nn.functional.pad(part, padding) for part in (waveform, mask))
                    n_padded += waveform.numel()
                    out = model(waveform, mask, batch["token_ids"], batch["token_mask"])
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
