"""Train one fold: compose the configuration, check it, build, fit, write the result.

    python train.py                                   the paper's main row
    python train.py dataset.validation_fold=3         another fold
    python train.py experiment=demo                   synthetic corpus, tiny encoders, minutes on a CPU

Any option of ``config/`` can be set on the command line; README lists them.
"""

from __future__ import annotations

import os
import sys
import traceback

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


OmegaConf.register_new_resolver("wandb_offline", wandb_offline, replace=True)
OmegaConf.register_new_resolver("row_name", lambda experiment: experiment.split("/")[-1], replace=True)
OmegaConf.register_new_resolver("process_id", os.getpid, replace=True)
OmegaConf.register_new_resolver("is_terminal", sys.stderr.isatty, replace=True)


@hydra.main(version_base="1.3", config_path="config", config_name="train")
def main(config: DictConfig) -> None:
    """Entry point; ``config`` is composed by Hydra."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    check_config(plain, TOP_LEVEL)
    OmegaConf.save(OmegaConf.create(plain), os.path.join(plain["run_dir"], "config.yaml"))
    choices = HydraConfig.get().runtime.choices
    # this import is heavy, so it comes late: a misspelt option, --help and shell completion answer at once
    from erc.training import train_fold

    names = {
        "experiment": choices["experiment"],
        "fusion": choices["fusion"].removeprefix("small/"),
        "target": plain["target"]["kind"],
    }
    try:
        train_fold(parts=instantiate(OmegaConf.create(plain), _convert_="all"), names=names, config=plain)
    except SystemExit as stopped:
        sys.exit(stopped.code or 143)  # Lightning leaves with 0 when it is terminated; nothing was finished
    except Exception:
        # a cell of a sweep has written its error down; the other cells go on, and the grid's status names it
        if not (plain["resume"] and HydraConfig.get().mode == RunMode.MULTIRUN):
            raise
        traceback.print_exc()


if __name__ == "__main__":
    main()
