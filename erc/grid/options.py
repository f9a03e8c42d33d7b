"""Options of ``sh reproduce.sh``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from erc.grid.asked_for import check_options, folds_of, is_of_launcher
from erc.grid.cells import EXPERIMENTS, rows_of

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
    _settle_launcher(options, parser)
    known = rows_of(options.experiment)
    if options.rows is None:
        options.rows = list(EXPERIMENTS[options.experiment].rows)
    unknown = [row for row in options.rows if row not in known]
    if unknown or not options.rows:
        parser.error(f"argument --rows: expected some of {', '.join(known)}, got {', '.join(unknown) or 'nothing'}")
    for override in options.overrides:
        name = override.partition("=")[0].lstrip("+~")
        if name in OWN:
            parser.error(f"{OWN[name]} decides over {name}: got {override} behind --")
        if is_of_launcher(override) and not options.launcher.startswith("submitit"):
            parser.error(f"{name} is of --launcher submitit_slurm: got {override} with --launcher {options.launcher}")
    _settle_folds(parser, options)
    if options.accept_code:
        options.overrides = [*options.overrides, "accept_code=true"]
    return options


def _settle_folds(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Sets ``folds`` to all folds of the corpora where none is named, and refuses one that they do not have.

    Options that Hydra cannot compose are left to ``check_options``, which the program calls next.
    """
    try:
        check_options(options.experiment, options.rows[:1], options.overrides)
    except ValueError:
        options.folds = options.folds or [0]
        return
    try:
        there = folds_of(options.experiment, options.rows, options.overrides)
    except (OSError, ValueError) as err:
        parser.error(str(err))
    unknown = sorted(set(options.folds or []) - set(there))
    if unknown:
        parser.error(f"argument --folds: expected numbers from 0 to {there[-1]}, got {','.join(map(str, unknown))!r}")
    options.folds = options.folds or there


def _settle_launcher(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Fills in launcher and jobs; ``basic`` and ``joblib`` are the names of before for ``local``."""
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs must be 1 or more: got {options.jobs}")
    if options.launcher.startswith("submitit") and options.jobs is not None:
        parser.error(
            f"--jobs is of --launcher local, the cluster decides for {options.launcher}: got --jobs {options.jobs}"
        )
    if options.launcher == "basic" and options.jobs not in (None, 1):
        parser.error(f"--launcher basic is one cell at a time: got --jobs {options.jobs}. Use --launcher local")
    if options.jobs is None:
        options.jobs = {"basic": 1, "joblib": 2}.get(options.launcher, EXPERIMENTS[options.experiment].jobs)
    if options.launcher in ("basic", "joblib"):
        options.launcher = "local"


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
        default=None,
        help=f"FUSION_TARGET joined by commas, of {', '.join(rows_of('paper'))} (default: the paper's nine; for emodb "
        f"{', '.join(EXPERIMENTS['emodb'].rows)})",
    )
    parser.add_argument("--folds", type=_numbers(0, 9_999), default=None, help="e.g. 0,1 (default: all of the corpora)")
    parser.add_argument("--seeds", type=_numbers(0, 2**31), default=[42], help="e.g. 42,43 (default: 42)")
    parser.add_argument(
        "--experiment",
        choices=EXPERIMENTS,
        default="paper",
        help="frozen: the paper's encoders are not trained; demo: synthetic corpora, tiny encoders; signals, demo_signals: with "
        "bio-signals; scratch: small corpora, nothing pre-trained; emodb: EmoDB",
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the grid (default: runs/EXPERIMENT in the clone)"
    )
    parser.add_argument(
        "--launcher",
        choices=["local", "basic", "joblib", "submitit_slurm", "submitit_local"],
        default="local",
        help="local: on this machine, each cell in a process of its own (default); submitit_slurm: a cluster; submitit_local: "
        "as on a cluster, to try it. basic is local --jobs 1, and joblib is local: the names of before",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=None,
        help=f"cells at a time on this machine (default: {', '.join(f'{size.jobs} for {name}' for name, size in EXPERIMENTS.items())})",
    )
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
