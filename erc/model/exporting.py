"""A model -> the files of its ONNX program, through transformers' exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel


def export_program(model: PreTrainedModel, sample: dict[str, Any], shapes: dict[str, Any], folder: Path) -> None:
    """Writes ``model.onnx`` and ``model.onnx.data``.

    Args:
        model: In evaluation mode.
        sample: Inputs that are traced.
        shapes: Of each input, the dimensions that may be of any length.
        folder: Where the files go.

    Raises:
        ImportError: A package is missing.
        RuntimeError: The model cannot be traced or translated; the exporter has errors of other kinds, too.
    """
    from transformers.exporters import OnnxConfig, OnnxExporter

    OnnxExporter().export(
        model, sample, OnnxConfig(dynamic=True, dynamic_shapes=shapes, prefer_deferred_runtime_asserts_over_guards=True)
    ).save_pretrained(folder)
