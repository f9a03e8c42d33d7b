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

    exported: Any = OnnxExporter().export(
        model, sample, OnnxConfig(dynamic=True, dynamic_shapes=shapes, prefer_deferred_runtime_asserts_over_guards=True)
    )
    if hasattr(exported, "save_pretrained"):
        exported.save_pretrained(folder)
    else:  # transformers 5.20, the last one for Python 3.10, gives torch's own program
        exported.save(str(folder / "model.onnx"), external_data=True)
