"""Train one fold: compose the configuration, check it, build, fit, write the result.

    python train.py                                   the paper's main row
    python train.py fusion=concat target=soft         another row
    python train.py dataset.validation_fold=3         another fold
    python train.py experiment=demo                   synthetic corpora, tiny encoders, minutes on a CPU

Any option of ``config/`` can be set on the command line; README lists them.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any, cast

# before torch is loaded: OpenMP threads that spin while they wait make a CPU run four times slower beside other work
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from erc.configuration import TOP_LEVEL, check_config, wandb_offline

# what is written on the terminal, and the code, stay here: Weights & Biases gets figures and options only
for name, value in {
    "WANDB_CONSOLE": "off",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_SILENT": "true",
}.items():
    os.environ.setdefault(name, value)

EXPERIMENTS = Path(__file__).resolve().parent / "config" / "experiment"

MOVED = re.compile(r"(?P<demo>demo/)?(?P<fusion>\w+)_(?P<target>hard|soft|peakl)", re.ASCII)
"""Names of experiments that are a fusion and a target by now."""


def plain_name(fusion: str) -> str:
    """A fusion's name without its size: ``small/concat`` -> ``concat``."""
    return fusion.split("/")[-1]


def check_experiment(arguments: list[str]) -> None:
    """Ends the program with the new spelling if an argument names an experiment that is not there any more."""
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("experiment=")]
    for name in (name.strip(" '\"") for names in given for name in names.split(",")):
        old = MOVED.fullmatch(name)
        if (EXPERIMENTS / f"{name}.yaml").is_file() or not (old or name == "demo/grid"):
            continue
        new = "experiment=demo_grid"
        if old:
            new = f"{new} fusion=small/" if old["demo"] else "fusion="
            new += f"{old['fusion']} target={old['target']}"
        known = ", ".join(sorted(path.stem for path in EXPERIMENTS.glob("*.yaml")))
        sys.exit(f"An experiment is one of {known}: got {name}. A row is a fusion and a target now: {new}")


OmegaConf.register_new_resolver("wandb_offline", wandb_offline, replace=True)
OmegaConf.register_new_resolver("row_name", lambda fusion, target: f"{plain_name(fusion)}_{target}", replace=True)
OmegaConf.register_new_resolver("process_id", os.getpid, replace=True)
OmegaConf.register_new_resolver("is_terminal", sys.stderr.isatty, replace=True)


@hydra.main(version_base="1.3", config_path="config", config_name="train")
def main(config: DictConfig) -> None:
    """Trains one fold; Hydra composes ``config``."""
    plain = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    check_config(plain, TOP_LEVEL)
    choices = HydraConfig.get().runtime.choices
    # this import is heavy, so it comes late: a misspelt option, --help and shell completion answer at once
    from erc.training import train_fold

    names = {
        "experiment": choices["experiment"],
        "fusion": plain_name(choices["fusion"]),
        "target": plain["target"]["kind"],
    }
    try:
        train_fold(parts=instantiate(OmegaConf.create(plain), _convert_="all"), names=names, config=plain)
    except SystemExit as stopped:
        sys.exit(stopped.code or 143)  # Lightning exits with 0 when it is terminated, although nothing is finished
    except Exception:
        # the error is written into the cell of the sweep; the other cells go on, and the grid's status names it
        if not (plain["resume"] and HydraConfig.get().mode == RunMode.MULTIRUN):
            raise
        traceback.print_exc()


if __name__ == "__main__":
    check_experiment(sys.argv[1:])
    main()
