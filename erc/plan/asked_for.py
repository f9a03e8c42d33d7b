"""Options of train.py -> the run that is planned, and the rows of the grid around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from erc.configuration import compose_run
from erc.grid import CONFIG, SIGNAL_ROWS, TABLE_ROWS, rows_of


class Asked(NamedTuple):
    """What is planned."""

    config: dict[str, Any]
    """The run, as plain values."""
    fusion: str
    """Its fusion, as typed: ``small/concat``."""
    rows: tuple[str, ...]
    """Rows of the grid."""
    fusions: dict[str, dict[str, Any]]
    """Options of each fusion that the run or a row has, by its name as typed."""

    def fusion_of(self, row: str) -> str:
        """The fusion of a row, as typed."""
        return f"{self.folder}{rows_of(self.size)[row][0]}"

    @property
    def folder(self) -> str:
        """Folder of the fusions of this size, with its slash; empty for the paper's."""
        folder, slash, _ = self.fusion.rpartition("/")
        return folder + slash

    @property
    def size(self) -> str:
        """The grid's name for fusions of this size."""
        return "demo" if self.folder else "paper"


def asked_for(overrides: list[str], rows: str | None) -> Asked:
    """Composes and checks what is planned.

    Args:
        overrides: Options of train.py.
        rows: Rows of the grid joined by commas; None for the usual ones.

    Raises:
        FileNotFoundError: The package runs from elsewhere than a clone.
        ValueError: An option does not fit, a row is not known, or a fusion reads bio-signals and the data have none.
    """
    if not (CONFIG / "train.yaml").is_file():
        raise FileNotFoundError(
            f"Planning needs the options of training: expected {CONFIG / 'train.yaml'}, it is not there. Run it from a clone."
        )
    config, choices = compose_run(overrides, CONFIG)
    named = usual_rows(config["dataset"]) if rows is None else tuple(filter(None, rows.split(",")))
    asked = Asked(config, choices["fusion"], named, {})
    known = rows_of(asked.size)
    unknown = [row for row in asked.rows if row not in known]
    if unknown or not asked.rows:
        raise ValueError(
            f"Rows must be known: expected some of {', '.join(known)}, got {', '.join(unknown) or 'none'}."
        )
    from erc.training import check_signals  # heavy, so it comes late

    others = [one for one in overrides if not one.startswith("fusion=")]
    names = dict.fromkeys([asked.fusion, *map(asked.fusion_of, asked.rows)])
    for name in names:
        node = config if name == asked.fusion else compose_run([*others, f"fusion={name}"], CONFIG)[0]
        if not str(node["fusion"]["_target_"]).startswith("erc.model.fusion."):
            raise ValueError(f"Only a network can be planned: expected a fusion, got {name}, which trains no network.")
        asked.fusions[name] = node["fusion"]
        check_signals(modalities_of(node["fusion"]), node["dataset"])
    return asked


def usual_rows(dataset: dict[str, Any]) -> tuple[str, ...]:
    """The paper's nine rows; where the data have bio-signals, the nine that tell what these add."""
    return SIGNAL_ROWS if dataset.get("signals") else TABLE_ROWS


def modalities_of(fusion: dict[str, Any]) -> tuple[str, ...]:
    """What a fusion reads."""
    from erc.model import fusion as fusions

    return getattr(fusions, str(fusion["_target_"]).rpartition(".")[2]).modalities


def output_folder(config: dict[str, Any]) -> Path:
    """The folder nearest to the run's that exists: whose disk it will write to."""
    place = Path(config["run_dir"]).absolute()
    return next(parent for parent in (place, *place.parents) if parent.is_dir())
