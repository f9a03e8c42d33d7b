"""Options of ``sh reproduce.sh``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from erc.grid.cells import EXPERIMENTS, TABLE_ROWS, rows_of

OWN = {
    "experiment": "--experiment",
    "fusion": "--rows",
    "target": "--rows",
    "dataset.validation_fold": "--folds",
    "seed": "--seeds",
    "run_dir": "--out",
    "hydra.run.dir": "--out",
    "hydra.sweep.dir": "--out",
}
"""Options of train.py that the grid sets itself, and its own option for each: a cell's folder is named after them."""

CALLER = "ERC_CALLER"
"""Environment variable by which ``reproduce.sh`` says where it was called: a relative ``--out`` starts there."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Options of ``sh reproduce.sh``; ``overrides`` are those that every cell's train.py gets."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    options.out = Path(os.environ.get(CALLER, ""), options.out) if options.out else Path("runs") / options.experiment
    options.out = options.out.absolute()
    if options.jobs < 1:
        parser.error(f"--jobs must be 1 or more: got {options.jobs}")
    known = rows_of(options.experiment)
    unknown = [row for row in options.rows if row not in known]
    if unknown or not options.rows:
        parser.error(f"argument --rows: expected some of {', '.join(known)}, got {', '.join(unknown) or 'nothing'}")
    for override in options.overrides:
        name = override.partition("=")[0].lstrip("+~")
        if name in OWN:
            parser.error(f"{OWN[name]} decides over {name}: got {override} behind --")
    if options.accept_code:
        options.overrides = [*options.overrides, "accept_code=true"]
    return options


def make_parser() -> argparse.ArgumentParser:
    """The options, their defaults and their help."""
    parser = argparse.ArgumentParser(
        prog="sh reproduce.sh",
        description="Trains every row of the paper's table on every fold and writes the table. Start it again after any "
        "interruption: finished cells are skipped, a half-done one goes on from its last epoch.",
        epilog="What follows -- goes to train.py: sh reproduce.sh --folds 0,1 -- trainer.precision=bf16-mixed",
    )
    parser.add_argument(
        "--rows",
        type=_names,
        default=list(TABLE_ROWS),
        help=f"FUSION_TARGET joined by commas, of {', '.join(rows_of('paper'))} (default: the paper's nine)",
    )
    parser.add_argument("--folds", type=_numbers(0, 4), default=[0, 1, 2, 3, 4], help="e.g. 0,1 (default: all five)")
    parser.add_argument("--seeds", type=_numbers(0, 2**31), default=[42], help="e.g. 42,43 (default: 42)")
    parser.add_argument(
        "--experiment", choices=EXPERIMENTS, default="paper", help="demo: synthetic corpora, tiny encoders"
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the grid (default: runs/EXPERIMENT in the clone)"
    )
    parser.add_argument(
        "--launcher",
        choices=["basic", "joblib", "submitit_slurm", "submitit_local"],
        default=None,
        help="basic: one cell after the other, each in a process of its own (default of paper); joblib: several at a time on "
        "this machine (default of demo); submitit_slurm: a cluster",
    )
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time under joblib (default: 2)")
    parser.add_argument(
        "--accept-code",
        action="store_true",
        help="keep finished cells that another version of the code trained (default: refuse them by the changed files)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say which cells there are and how they stand")
    parser.add_argument("overrides", nargs="*", help="options of train.py, behind --")
    return parser


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(part for part in text.split(",") if part))


def _numbers(low: int, high: int) -> Callable[[str], list[int]]:
    def numbers(text: str) -> list[int]:
        try:
            given = [int(part) for part in text.split(",")]
        except ValueError as err:
            raise argparse.ArgumentTypeError(f"expected whole numbers joined by commas, got {text!r}") from err
        if not all(low <= number <= high for number in given):
            raise argparse.ArgumentTypeError(f"expected numbers from {low} to {high}, got {text!r}")
        return list(dict.fromkeys(given))

    return numbers
