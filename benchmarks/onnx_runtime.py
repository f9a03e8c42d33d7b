"""Time of ONNX Runtime and of PyTorch on the same model: encoders of the base size, random weights, this CPU.

    python benchmarks/onnx_runtime.py

Export first, with its comparison of the numbers; then both are called in turn, with as many threads each.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
from hydra.utils import instantiate
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main(seconds: float = 3.0, repeats: int = 5, threads: int = 1) -> None:
    """Prints the median of each way and batch size.

    Args:
        seconds: Length of every segment.
        repeats: Calls of each, after one that is not counted.
        threads: Of each.
    """
    import numpy as np
    import torch
    import transformers

    from erc.data import KEMD, SAMPLE_RATE
    from erc.export import export_onnx, session_of
    from erc.model import (
        AudioEncoder,
        EmotionModel,
        TextEncoder,
        load_feature_extractor,
        load_model,
        load_tokenizer,
        save_model,
    )

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # as facebook/wav2vec2-base and FacebookAI/roberta-base, with the vocabulary of the small tokenizer
        transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).save_pretrained(folder / "audio")
        vocabulary = len(load_tokenizer("tiny"))
        text = transformers.RobertaConfig(vocab_size=vocabulary, pad_token_id=1, max_position_embeddings=514)
        transformers.RobertaModel(text).save_pretrained(folder / "text")
        encoders = {
            "audio": functools.partial(AudioEncoder, str(folder / "audio")),
            "text": functools.partial(TextEncoder, str(folder / "text")),
        }
        mixer = instantiate(OmegaConf.load(ROOT / "config/fusion/tensor_mixer.yaml"))
        processors = {"feature_extractor": load_feature_extractor("tiny"), "tokenizer": load_tokenizer("tiny")}
        model = EmotionModel(encoders, mixer, KEMD).eval()
        save_model(model, processors, folder / "model", max_samples=7 * SAMPLE_RATE, max_tokens=64)
        saved = load_model(folder / "model")
        started = time.perf_counter()
        parity = export_onnx(saved, folder)
        n_parameters = sum(value.numel() for value in saved.model.parameters())
        print(
            f"{n_parameters / 1e6:.0f} million parameters; export and comparison: {time.perf_counter() - started:.0f} s"
        )
        print(f"largest difference: probabilities {parity.probability:.1e}, valence and arousal {parity.va:.1e}")
        session = session_of(folder / "model.onnx")  # with torch's number of threads
        rng = np.random.default_rng(0)
        for batch in (1, 8):
            audio = [rng.normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32) for _ in range(batch)]
            inputs = saved.processor(audio=audio, text=["정말 그래요"] * batch, sampling_rate=SAMPLE_RATE)
            ways = {
                "PyTorch": lambda inputs=inputs: saved.model(**inputs),
                "ONNX Runtime": lambda inputs=inputs: session.run(None, {k: v.numpy() for k, v in inputs.items()}),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            with torch.inference_mode():
                for _ in range(repeats + 1):
                    for name, call in ways.items():
                        started = time.perf_counter()
                        call()
                        times[name].append(time.perf_counter() - started)
            for name, taken in times.items():
                print(
                    f"batch {batch}: {name} {1000 * statistics.median(taken[1:]):.0f} ms ({min(taken[1:]):.3f} to {max(taken[1:]):.3f} s)"
                )


if __name__ == "__main__":
    fire.Fire(main)
