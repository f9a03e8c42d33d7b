"""Rows and cells of a grid: a row is a fusion and a target, a cell is a row on one fold with one seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from erc.training import override_value

ROOT = Path(__file__).resolve().parents[2]

CONFIG = ROOT / "config"

TABLE_ROWS = tuple(
    f"{fusion}_{target}"
    for fusion in ("concat", "cross_attention", "tensor_mixer")
    for target in ("hard", "soft", "peakl")
)
"""The paper's nine rows."""

ONE_LABEL_ROWS = ("audio_only_hard", "text_only_hard", "concat_hard", "tensor_mixer_hard", "egemaps_svm_hard")
"""Rows of a corpus with one label a segment: soft labels and PeakL are the hard label there."""

SIGNAL_ROWS = tuple(
    f"{fusion}_peakl"
    for fusion in (
        "audio_only",
        "text_only",
        "signals_only",
        "concat",
        "concat_3",
        "cross_attention",
        "cross_attention_3",
    )
    + ("tensor_mixer", "tensor_mixer_3")
)
"""Rows that tell what bio-signals add to audio and text."""


class Size(NamedTuple):
    """How ``--experiment`` is typed for train.py."""

    experiment: str
    fusion_folder: str
    """Folder of the fusions of that size below ``config/fusion``, with its slash."""
    rows: tuple[str, ...] = TABLE_ROWS
    """Rows of its grid unless others are named."""
    jobs: int = 2
    """Cells at a time unless another number is named; a cell of the paper fills a GPU."""


EXPERIMENTS = {
    "paper": Size("paper", "", jobs=1),
    "frozen": Size("frozen", "", jobs=1),
    "demo": Size("demo_grid", "small/"),
    "signals": Size("signals", "", rows=SIGNAL_ROWS, jobs=1),
    "demo_signals": Size("demo_signals", "small/", rows=SIGNAL_ROWS),
    "scratch": Size("scratch", "small/"),
    "emodb": Size("emodb", "small/", rows=ONE_LABEL_ROWS),
}


def rows_of(experiment: str) -> dict[str, tuple[str, str]]:
    """Fusion and target by the row's name, for every fusion and target that has a yaml file.

    Args:
        experiment: A key of ``EXPERIMENTS``.
    """
    fusions = CONFIG / "fusion" / EXPERIMENTS[experiment].fusion_folder
    return {
        f"{fusion.stem}_{target.stem}": (fusion.stem, target.stem)
        for fusion in sorted(fusions.glob("*.yaml"))
        for target in sorted((CONFIG / "target").glob("*.yaml"))
    }


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    experiment: str
    row: str
    fold: int
    seed: int
    out: Path

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return self.out / self.row / f"fold{self.fold}-seed{self.seed}"

    @property
    def name(self) -> str:
        """Name on the terminal."""
        return f"{self.row}, fold {self.fold}, seed {self.seed}"

    def overrides(self, extra: list[str]) -> list[str]:
        """Arguments of train.py for this cell."""
        return [
            *row_overrides(self.experiment, [self.row]),
            f"dataset.validation_fold={self.fold}",
            f"seed={self.seed}",
            "resume=true",
            f"hydra.run.dir={override_value(self.run_dir)}",
            *extra,
        ]


def row_overrides(experiment: str, rows: list[str]) -> list[str]:
    """Arguments of train.py for the product of the fusions and the targets of some rows; see ``products``."""
    known, size = rows_of(experiment), EXPERIMENTS[experiment]
    fusions = dict.fromkeys(f"{size.fusion_folder}{known[row][0]}" for row in rows)
    targets = dict.fromkeys(known[row][1] for row in rows)
    return [f"experiment={size.experiment}", f"fusion={','.join(fusions)}", f"target={','.join(targets)}"]


def products(experiment: str, rows: list[str]) -> list[list[str]]:
    """The rows in as few groups as possible, each of which holds every pair of its fusions and its targets.

    A multirun of Hydra runs such a product: the paper's nine rows are one group, and rows of one modality another.
    """
    known = rows_of(experiment)
    targets_of: dict[str, frozenset[str]] = {}
    for row in rows:
        fusion, target = known[row]
        targets_of[fusion] = targets_of.get(fusion, frozenset()) | {target}
    return [
        [row for row in rows if targets_of[known[row][0]] == targets] for targets in dict.fromkeys(targets_of.values())
    ]
