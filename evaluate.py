"""Score a checkpoint of a run again, on any fold; the run folder is only read.

    python evaluate.py RUN_FOLDER                     the fold that the run reported
    python evaluate.py RUN_FOLDER --fold=3            another fold
    python evaluate.py RUN_FOLDER --fold=-1           all segments
    python evaluate.py RUN_FOLDER --out=scores        writes predictions.csv and evaluation.json

The options are those of the run (its ``config.yaml``). Start it from the folder that the run was started from, because
relative paths of corpora and encoders count from there.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# before torch is loaded: OpenMP threads that spin while they wait make a CPU run four times slower beside other work
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf

from erc.configuration import taken_up
from erc.files import keep_private
from erc.mistakes import told_plainly


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog="python evaluate.py", description="Scores a checkpoint of a run again, on any fold."
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_FOLDER", help="folder of a run, with config.yaml")
    parser.add_argument("--fold", type=int, choices=range(-1, 5), help="-1 for all segments (default: the run's own)")
    parser.add_argument("--mode", choices=["train", "valid", "test"], default="test", help="side of the fold")
    parser.add_argument(
        "--checkpoint", default="model", help="of the run folder: model, best.ckpt or last.ckpt (default: model)"
    )
    parser.add_argument("--out", type=Path, help="folder for predictions.csv and evaluation.json (default: none)")
    return parser.parse_args(arguments)


@told_plainly()
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    options = parse(arguments)
    path = options.run_dir / "config.yaml"
    if not path.is_file():
        sys.exit(f"A run folder holds the run's options: expected {path}, it is not there. Name the folder of a run.")
    config = taken_up(yaml.safe_load(path.read_text(encoding="utf-8")))
    # this import is heavy, so it comes late: a misspelt option and --help answer at once
    from erc.training import score_again

    parts = instantiate(OmegaConf.create(config), _convert_="all")
    score_again(parts, config, **vars(options))


if __name__ == "__main__":
    keep_private()
    main()
