"""What a user names as a model -> the folders of saved models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from erc.model import MODEL, model_folder
from erc.training import BEST


def split_names(model: str | Sequence[str] | None) -> list[str]:
    """Paths of models as an option names them, joined by commas; a list stays one."""
    names = str(model or "").split(",") if model is None or isinstance(model, str) else model
    return [str(name).strip() for name in names if str(name).strip()]


def find_models(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Folders of saved models.

    Args:
        paths: A run folder, a saved model, a row of a grid (its finished folds), or several of these.

    Raises:
        FileNotFoundError: A path is none of these.
    """
    found: list[Path] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        one = model_folder(path)
        folds = [] if one else sorted(filter(None, map(model_folder, Path(path).glob("fold*-seed*"))))
        if one is None and not folds:
            raise FileNotFoundError(_message(Path(path)))
        found += [one] if one else folds
    if not found:
        raise FileNotFoundError(_message(None))
    return found


def _message(path: Path | None) -> str:
    if path is None:
        given = "got none"
    elif not path.exists():
        given = f"{path.absolute()} is not there"
    elif (path / BEST).is_file():
        given = f"{path} has checkpoints only (python -m erc export {path} --out=DIR makes a saved model of them)"
    elif (path / "result.json").is_file():
        given = f"{path} has none: it is of a run without a network, or of an older version"
    else:
        given = f"{path} is something else"
    runs = finished_runs()
    there = f" The newest that are here: {', '.join(map(str, runs[:3]))}." if runs else ""
    return (
        "A model is the folder of a finished run, a saved model that python -m erc export wrote, or a row of a grid: "
        f"{given}.{there}"
    )


def finished_runs(root: str | Path = ".") -> list[Path]:
    """Run folders with a saved model below ``outputs`` and ``runs`` of a folder, the newest first."""
    found = [
        config.parents[1]
        for folder in ("outputs", "runs")
        for config in Path(root, folder).glob(f"*/*/**/{MODEL}/config.json")
    ]
    return sorted(found, key=lambda run: (run / MODEL).stat().st_mtime_ns, reverse=True)
