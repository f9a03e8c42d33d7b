"""How far ONNX Runtime and PyTorch agree on the same inputs, and how long each takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from erc.data import SAMPLE_RATE
from erc.model import SavedModel

SECONDS = (0.5, 1.0, 3.0, 7.0)
BATCHES = (1, 3, 8)

TOLERANCE = 1e-4
"""Largest allowed difference of a probability, and of a dimension on the raters' scale."""

REPEATS = 5


class Parity(NamedTuple):
    """Result of a comparison."""

    probability: float
    """Largest difference of a probability."""
    va: float
    """Largest difference of valence, arousal or another dimension; 0 where there is none."""
    n_inputs: int
    pytorch_seconds: float
    """Median time of a batch of 8 segments of 3 s (or as long as the model reads), interleaved with the other."""
    onnx_seconds: float

    @property
    def is_close(self) -> bool:
        """Whether both agree."""
        return max(self.probability, self.va) <= TOLERANCE


def inputs_of(saved: SavedModel, batch: int, seconds: float, seed: int = 0) -> dict[str, torch.Tensor]:
    """Noise and words for the model's modalities: ``batch`` segments, the longest of ``seconds``, others shorter."""
    rng = np.random.default_rng(seed)
    lengths = [max(800, int(seconds * SAMPLE_RATE * (1 - 0.6 * i / batch))) for i in range(batch)]
    words = ["정말", "그래요", "안녕하세요", "oh no", "그랬구나"]
    texts = [" ".join(rng.choice(words, 1 + (i + seed) % 7)) for i in range(batch)]
    waveforms = [rng.normal(0, 0.1, n).astype(np.float32) for n in lengths]
    modalities = saved.model.emotion_model.encoders
    return dict(
        saved.processor(
            audio=waveforms if "audio" in modalities else None,
            text=texts if "text" in modalities else None,
            sampling_rate=SAMPLE_RATE,
        )
    )


def session_of(path: Path) -> Any:
    """The file as ONNX Runtime runs it, on the CPU with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare(saved: SavedModel, path: Path) -> Parity:
    """Compares both on inputs of several lengths and batch sizes.

    Args:
        saved: The model in PyTorch.
        path: ``model.onnx``.
    """
    session = session_of(path)
    longest = saved.config.max_samples / SAMPLE_RATE
    probability = va = 0.0
    cases = [(batch, min(seconds, longest)) for batch in BATCHES for seconds in SECONDS]
    for seed, (batch, seconds) in enumerate(cases):
        inputs = inputs_of(saved, batch, seconds, seed)
        expected, found = _torch(saved, inputs), _onnx(session, inputs)
        probability = max(probability, float(np.abs(_softmax(expected[0]) - _softmax(found[0])).max()))
        va = max(va, float(np.abs(expected[1] - found[1]).max(initial=0.0)))
    timed = inputs_of(saved, 8, min(3.0, longest))
    times = _interleaved(lambda: _torch(saved, timed), lambda: _onnx(session, timed))
    return Parity(probability, va, len(cases), *times)


def _torch(saved: SavedModel, inputs: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        output = saved.model(**inputs)
    return output.logits.numpy(), output.va.numpy()


def _onnx(session: Any, inputs: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    names = {one.name for one in session.get_inputs()}
    outputs = [one.name for one in session.get_outputs()]
    values = session.run(outputs, {name: value.numpy() for name, value in inputs.items() if name in names})
    found = dict(zip(outputs, values, strict=True))
    return found["logits"], found.get("va", np.zeros((len(found["logits"]), 0), dtype=np.float32))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _interleaved(*functions: Callable[[], object]) -> list[float]:
    """Median seconds of each function, called in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS):
        for taken, function in zip(times, functions, strict=True):
            started = time.perf_counter()
            function()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]
