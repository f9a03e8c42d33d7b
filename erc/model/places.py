"""Where saved models lie, and how one is used. Light: it is asked before torch is imported."""

from __future__ import annotations

import shlex
from pathlib import Path

MODEL = "model"
"""Folder of the saved model in a run folder."""


def model_folder(path: str | Path) -> Path | None:
    """The saved model that a path names: that of a run folder, or a saved model itself; None if it is neither."""
    path = Path(path)
    return next((folder for folder in (path / MODEL, path) if (folder / "config.json").is_file()), None)


def saved_model(path: str | Path) -> Path:
    """Folder of the saved model that ``init_from`` names.

    Raises:
        FileNotFoundError: There is none.
    """
    folder = model_folder(path)
    if folder is None:
        raise FileNotFoundError(
            f"Training goes on from a saved model: expected a finished run folder, or a folder that python -m erc export wrote, got "
            f"{path} (model.init_from)."
        )
    return folder


def predict_command(folder: str | Path, modalities: tuple[str, ...] = ("audio", "text")) -> str:
    """The command that predicts own speech with a model, to be pasted."""
    text = ' --text="…"' if "text" in modalities else ""
    return f"python -m erc predict file YOUR.wav{text} --model={shlex.quote(str(folder))}"
