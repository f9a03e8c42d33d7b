"""Train one fold: compose the configuration, check it, build, fit, write the result.

    python train.py                                   the paper's main row
    python train.py fusion=concat target=soft         another row
    python train.py dataset.validation_fold=3         another fold
    python train.py experiment=demo                   synthetic corpora, tiny encoders, minutes on a CPU
    python train.py resume=auto                       goes on with the newest unfinished run of these options

Any option of ``config/`` can be set on the command line; README lists them.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, cast

# before torch is loaded: OpenMP threads that spin while they wait make a CPU run four times slower beside other work
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from erc.configuration import TOP_LEVEL, check_command_line, check_config, wandb_offline
from erc.files import keep_private
from erc.mistakes import told_plainly

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


def is_worth_another_try(err: Exception) -> bool:
    """Whether the same command may succeed after an error: what the system lacked can be there the next time.

    A value that does not fit, a defect of the program and too small a GPU are the same on every attempt.
    """
    from torch import OutOfMemoryError

    return isinstance(err, OSError | RuntimeError) and not isinstance(err, OutOfMemoryError | NotImplementedError)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[list[int]]:
    """Within the block SIGTERM stops the program as Ctrl-C does; yields a list that gets the number of the signal.

    A handler that somebody else has set stays: a cluster's launcher has its own.
    """
    received: list[int] = []
    process = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            os._exit(128 + number)  # a worker that was forked, and has this handler from its parent
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield received
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def output_in(log: Path) -> Iterator[None]:
    """Within the block, what this process prints, and what the processes print that it starts, is appended to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(number) for number in (1, 2)]
    try:
        with open(log, "ab") as file:
            sys.stdout.flush()
            sys.stderr.flush()
            for number in (1, 2):
                os.dup2(file.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, own in zip((1, 2), kept, strict=True):
            os.dup2(own, number)
            os.close(own)


def composed_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values; with ``resume=auto`` the run folder is that of the run that is gone on with."""
    plain = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    check_config(plain, TOP_LEVEL)
    if plain["resume"] == "auto":
        # heavy, as below
        from erc.training import newest_unfinished

        folder = newest_unfinished(plain)
        if folder is not None:
            config.run_dir = str(folder)
            plain = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    return plain


OmegaConf.register_new_resolver("wandb_offline", wandb_offline, replace=True)
OmegaConf.register_new_resolver("row_name", lambda fusion, target: f"{plain_name(fusion)}_{target}", replace=True)
OmegaConf.register_new_resolver("process_id", os.getpid, replace=True)
OmegaConf.register_new_resolver("is_terminal", sys.stderr.isatty, replace=True)


def is_multirun() -> bool:
    """Whether this run is one job of several."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


@hydra.main(version_base="1.3", config_path="config", config_name="train")
@told_plainly(unless=is_multirun)
def main(config: DictConfig) -> None:
    """Trains one fold; Hydra composes ``config``."""
    plain = composed_plain(config)
    choices = HydraConfig.get().runtime.choices
    # this import is heavy, so it comes late: a misspelt option, --help and shell completion answer at once
    from erc.training import how_to_go_on, train_fold

    names = {
        "experiment": choices["experiment"],
        "fusion": plain_name(choices["fusion"]),
        "target": plain["target"]["kind"],
    }

    def say_how_to_go_on() -> None:
        if not is_multirun() and int(os.environ.get("LOCAL_RANK", 0)) == 0:
            print(how_to_go_on(plain["run_dir"], sys.argv[1:], plain["trainer"]["max_epochs"]), flush=True)

    # each job of a cluster's grid has its output in its own folder, as a cell on this machine has
    log = Path(plain["run_dir"], "train.log")
    is_cell_of_sweep = is_multirun() and plain["resume"] is True
    if is_cell_of_sweep:
        print(f"Output: {log}", flush=True)
    with output_in(log) if is_cell_of_sweep else nullcontext(), sigterm_as_ctrl_c() as received:
        try:
            train_fold(parts=instantiate(OmegaConf.create(plain), _convert_="all"), names=names, config=plain)
        except (KeyboardInterrupt, SystemExit):
            # Lightning exits with 1 when it is interrupted, and with 0 when it is terminated; nothing is finished
            number = received[0] if received else signal.SIGINT
            print(f"\nStopped by {signal.Signals(number).name}. ", end="")
            say_how_to_go_on()
            sys.exit(128 + number)
        except FileExistsError:
            # the folder is refused: what it holds is not this run's
            if not (plain["resume"] and is_multirun()):
                raise
            traceback.print_exc()
        except Exception as err:
            # the error is written into the cell of the sweep; the other cells go on, and the grid's status names it
            if plain["resume"] and is_multirun():
                traceback.print_exc()
                return
            if is_worth_another_try(err):
                say_how_to_go_on()
            raise


if __name__ == "__main__":
    keep_private()
    check_experiment(sys.argv[1:])
    told_plainly()(check_command_line)(sys.argv[1:], EXPERIMENTS.parent)
    main()
