"""A saved model -> ``model.onnx``, through transformers' own exporter. It is kept only if it agrees with PyTorch.

Inputs are those of ``EmotionProcessor``, of any batch size and length; outputs are ``logits``, ``va`` and ``embeddings``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from erc.data import SAMPLE_RATE
from erc.export.parity import TOLERANCE, Parity, compare, inputs_of
from erc.model import SavedModel, export_program

FILE = "model.onnx"

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_packages() -> None:
    """Raises ImportError unless the packages of the extra ``onnx`` are installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"--onnx needs {', '.join(PACKAGES)}: {', '.join(missing)} not installed. Install them: pip install "
            f"{' '.join(PACKAGES)}"
        )


def export_onnx(saved: SavedModel, folder: Path) -> Parity:
    """Writes ``model.onnx`` and its weights, ``model.onnx.data``, into a folder.

    Args:
        saved: The model.
        folder: Of the export; it exists.

    Returns:
        How far both agree.

    Raises:
        ImportError: A package is missing.
        ValueError: The model cannot be exported, or ONNX and PyTorch differ; no file is left then.
    """
    check_packages()
    if saved.config.spectrogram is not None and "audio" in saved.model.emotion_model.encoders:
        raise ValueError(
            "ONNX needs an encoder that reads a batch at once: the spectrogram encoder packs its sequences by length, which ONNX "
            "does not know. Export without --onnx, or train pre-trained encoders."
        )
    if "signals" in saved.model.emotion_model.encoders:
        raise ValueError(
            "ONNX is written for models of audio and text: this one reads bio-signals as well. Export without --onnx, or a row of "
            "two modalities."
        )
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        try:
            with _quietly():
                export_program(saved.model, _sample(saved), _shapes(saved), Path(temporary))
        except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as err:
            reason = " ".join(str(err).split())[:400]
            raise ValueError(
                f"The model cannot be written as ONNX with the packages that are installed: {type(err).__name__}: {reason}. Export "
                "without --onnx. Python 3.11 and later have the newest exporter."
            ) from err
        parity = compare(saved, Path(temporary, FILE))
        if not parity.is_close:
            raise ValueError(
                f"ONNX and PyTorch must agree to {TOLERANCE:g}: probabilities differ by {parity.probability:.1e}, dimensions by "
                f"{parity.va:.1e} over {parity.n_inputs} inputs. No {FILE} is left. Please report it with the versions of onnx, "
                "onnxscript and transformers."
            )
        for name in (FILE, f"{FILE}.data"):
            if Path(temporary, name).is_file():
                shutil.move(Path(temporary, name), folder / name)
    return parity


def _sample(saved: SavedModel) -> dict[str, torch.Tensor]:
    """What is traced: three segments, no two dimensions of equal length."""
    return inputs_of(saved, 3, 1.0)


def shortest_audio(saved: SavedModel) -> int:
    """Fewest samples that ``model.onnx`` reads; 0 where it reads no audio."""
    audio: Any = dict(saved.model.emotion_model.encoders.items()).get("audio")
    return getattr(audio, "min_samples", -1) + 1


def _shapes(saved: SavedModel) -> dict[str, Any]:
    """Batch and length of every input may be any; a mask is as long as its values."""
    batch, tokens = torch.export.Dim("batch", max=1024), torch.export.Dim("tokens", min=2, max=512)
    # training pads shorter audio with silence; the graph is that of audio which needs none
    samples = torch.export.Dim("samples", min=max(1, shortest_audio(saved)), max=600 * SAMPLE_RATE)
    lengths = {"input_values": samples, "audio_attention_mask": samples, "input_ids": tokens, "attention_mask": tokens}
    return {name: {0: batch, 1: lengths[name]} for name in _sample(saved)}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the exporters' reports off the terminal; an error is raised all the same."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "transformers", "onnxscript", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
