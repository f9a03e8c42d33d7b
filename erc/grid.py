"""The paper's table as a grid of cells: row x fold x seed, each a run folder; skipped, resumed, run, and tabulated.

Comes in: command-line options (``sh reproduce.sh --help``). Goes out: ``<out>/<row>/fold<k>-seed<s>/`` and the table files
in ``<out>``. A cell is one ``python train.py ... resume=true``: it knows for itself whether it is finished, half-done or
being worked on, so cells can be started from anywhere, several times, on several machines that share the folder.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from erc import runs

ROOT = Path(__file__).resolve().parents[1]
ROWS = (
    *(
        f"{fusion}_{target}"
        for fusion in ("concat", "cross_attention", "tensor_mixer")
        for target in ("hard", "soft", "peakl")
    ),
    "audio_only_peakl",
    "text_only_peakl",
)
TABLE_ROWS = ROWS[:9]
"""The paper's nine; the rows of one modality alone are run when they are named."""
EXPERIMENTS = {"paper": "", "demo": "demo/"}
"""What stands in front of a row's name to make its ``experiment=``."""


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
        """Its folder."""
        return self.out / self.row / f"fold{self.fold}-seed{self.seed}"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.row}, fold {self.fold}, seed {self.seed}"

    def overrides(self, extra: list[str]) -> list[str]:
        """What to tell train.py."""
        return [
            f"experiment={EXPERIMENTS[self.experiment]}{self.row}",
            f"dataset.validation_fold={self.fold}",
            f"seed={self.seed}",
            "resume=true",
            f"hydra.run.dir={quoted(self.run_dir)}",
            *extra,
        ]


def main(arguments: list[str] | None = None) -> int:
    """Runs the grid and writes its table; returns 0 when every cell is finished."""
    options = parse(arguments)
    cells = [
        Cell(options.experiment, row, fold, seed, options.out)
        for seed in options.seeds
        for fold in options.folds
        for row in options.rows
    ]
    if options.dry_run:
        for cell in cells:
            print(f"{runs.status(cell.run_dir):<10} python train.py {' '.join(cell.overrides(options.overrides))}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    launcher = options.launcher or ("joblib" if options.experiment == "demo" else "basic")
    try:
        for _ in range(2):
            if launcher == "basic":
                run_one_by_one(cells, options.overrides)
            else:
                run_by_hydra(options, launcher, cells)
            # what another process was working on may have died with it: then it is ours
            if not wait_for_others(cells):
                break
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here; at most the epoch in progress is lost.")
    return conclude(cells, options.overrides)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Options of ``sh reproduce.sh``."""
    parser = argparse.ArgumentParser(
        prog="sh reproduce.sh",
        description="Trains every row of the paper's table on every fold and writes the table. Start it again after any "
        "interruption: finished cells are skipped, a half-done one goes on from its last epoch.",
        epilog="What follows -- goes to train.py: sh reproduce.sh --folds 0,1 -- trainer.precision=bf16-mixed",
    )
    parser.add_argument(
        "--rows", type=_names(ROWS), default=list(TABLE_ROWS), help=f"of {', '.join(ROWS)} (default: the first nine)"
    )
    parser.add_argument("--folds", type=_numbers(0, 4), default=[0, 1, 2, 3, 4], help="e.g. 0,1 (default: all five)")
    parser.add_argument("--seeds", type=_numbers(0, 2**31), default=[42], help="e.g. 42,43 (default: 42)")
    parser.add_argument(
        "--experiment", choices=EXPERIMENTS, default="paper", help="demo: synthetic corpus, tiny encoders"
    )
    parser.add_argument("--out", type=Path, default=None, help="folder of the grid (default: runs/EXPERIMENT)")
    parser.add_argument(
        "--launcher",
        choices=["basic", "joblib", "submitit_slurm", "submitit_local"],
        default=None,
        help="basic: one cell after the other, each in a process of its own (default of paper); joblib: several at a time on "
        "this machine (default of demo); submitit_slurm: a cluster",
    )
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time under joblib (default: 2)")
    parser.add_argument("--dry-run", action="store_true", help="only say which cells there are and how they stand")
    parser.add_argument("overrides", nargs="*", help="options of train.py, behind --")
    options = parser.parse_args(arguments)
    options.out = (options.out or Path("runs") / options.experiment).absolute()
    if options.jobs < 1:
        parser.error(f"--jobs must be 1 or more: got {options.jobs}")
    return options


def _names(choices: tuple[str, ...]):
    def names(text: str) -> list[str]:
        given = [part for part in text.split(",") if part]
        unknown = [part for part in given if part not in choices]
        if unknown or not given:
            raise argparse.ArgumentTypeError(
                f"expected some of {', '.join(choices)}, got {', '.join(unknown) or 'nothing'}"
            )
        return list(dict.fromkeys(given))

    return names


def _numbers(low: int, high: int):
    def numbers(text: str) -> list[int]:
        try:
            given = [int(part) for part in text.split(",")]
        except ValueError as err:
            raise argparse.ArgumentTypeError(f"expected whole numbers joined by commas, got {text!r}") from err
        if not all(low <= number <= high for number in given):
            raise argparse.ArgumentTypeError(f"expected numbers from {low} to {high}, got {text!r}")
        return list(dict.fromkeys(given))

    return numbers


def quoted(path: Path) -> str:
    """A path as a quoted string of Hydra's override grammar, in which commas, brackets and equals signs mean something."""
    text = str(path)
    if re.fullmatch(r"[\w./ -]+", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def run_one_by_one(cells: list[Cell], extra: list[str]) -> None:
    """Each cell in a process of its own, so that one that dies takes nothing with it."""
    took: list[float] = []
    for number, cell in enumerate(cells, start=1):
        states = [runs.status(other.run_dir) for other in cells]
        n_left = len(cells) - states.count("done")
        if took:
            print(f"   about {duration(sum(took) / len(took) * n_left)} left", flush=True)
        print(
            f"[{number}/{len(cells)}] {cell.name}: {states[number - 1]}  (done {states.count('done')}, "
            f"running {states.count('running')}, failed {states.count('failed')})",
            flush=True,
        )
        started = time.monotonic()
        # a finished cell is started, too: only it knows whether options, data and code are still the same; but a grid
        # that is finished as a whole answers at once
        was_done = states[number - 1] == "done"
        if was_done and is_current(cell, extra):
            continue
        subprocess.run([sys.executable, "train.py", *cell.overrides(extra)], cwd=ROOT, check=False)
        if not was_done and runs.status(cell.run_dir) == "done":
            took.append(time.monotonic() - started)


def run_by_hydra(options: argparse.Namespace, launcher: str, cells: list[Cell]) -> None:
    """All cells as jobs of a Hydra launcher, with a line whenever one of them begins or ends."""
    with subprocess.Popen(hydra_command(options, launcher), cwd=ROOT) as process:
        try:
            watch(process, cells)
        except BaseException:
            process.kill()
            raise


def hydra_command(options: argparse.Namespace, launcher: str) -> list[str]:
    """How the whole grid is typed as one multirun of train.py."""
    prefix = EXPERIMENTS[options.experiment]
    command = [
        sys.executable,
        "train.py",
        "--multirun",
        f"hydra/launcher={launcher}",
        f"experiment={','.join(prefix + row for row in options.rows)}",
        f"dataset.validation_fold={','.join(map(str, options.folds))}",
        f"seed={','.join(map(str, options.seeds))}",
        "resume=true",
        f"hydra.sweep.dir={quoted(options.out)}",
        "hydra.sweep.subdir='${row_name:${hydra:runtime.choices.experiment}}/fold${dataset.validation_fold}-seed${seed}'",
        *options.overrides,
    ]
    if launcher == "joblib":
        command.append(f"hydra.launcher.n_jobs={options.jobs}")
    return command


def watch(process: subprocess.Popen, cells: list[Cell], seconds: float = 5.0) -> None:
    """Waits for the end of a process that trains cells, and says how they stand whenever that has changed."""
    started, n_before, last = time.monotonic(), None, ""
    ended = False
    while not ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        ended = process.poll() is not None
        states = [runs.status(cell.run_dir) for cell in cells]
        n_done = states.count("done")
        if n_before is None:
            n_before = n_done
        line = f"[{n_done}/{len(cells)}] done, running {states.count('running')}, failed {states.count('failed')}"
        if line != last:
            last = line
            if n_before < n_done < len(cells):
                left = (time.monotonic() - started) / (n_done - n_before) * (len(cells) - n_done)
                line += f", about {duration(left)} left"
            print(line, flush=True)


def wait_for_others(cells: list[Cell], seconds: float = 5.0) -> bool:
    """Waits until no cell is worked on by another process; whether there was one and a cell is still to do."""
    busy = [cell for cell in cells if runs.status(cell.run_dir) == "running"]
    if not busy:
        return False
    print(f"Waiting for {len(busy)} cells that other processes are training, e.g. {busy[0].name}.", flush=True)
    while any(runs.status(cell.run_dir) == "running" for cell in busy):
        time.sleep(seconds)
    return any(runs.status(cell.run_dir) != "done" for cell in busy)


def is_current(cell: Cell, extra: list[str]) -> bool:
    """Whether a finished cell is of the run that is asked for now: same options, same data, same code."""
    from erc.datasets import corpora_fingerprint
    from erc.training import fingerprint

    config = composed(cell.experiment, cell.row, tuple(extra))
    config = config | {"seed": cell.seed, "dataset": config["dataset"] | {"validation_fold": cell.fold}}
    try:
        data = corpora_fingerprint(config["dataset"]["dataset_name"], str(ROOT / config["dataset"]["root"]))
    except (OSError, ValueError):
        return False  # the cell will say what is wrong with the corpora
    return runs.finished_result(cell.run_dir, fingerprint(config, data)) is not None


@functools.lru_cache
def composed(experiment: str, row: str, extra: tuple[str, ...]) -> dict:
    """The parts of a row's configuration that decide its result, as plain values."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from erc.training import RESULT_KEYS

    with initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        config = compose("train", [f"experiment={EXPERIMENTS[experiment]}{row}", *extra])
    parts = {key: config[key] for key in RESULT_KEYS}
    # the rest of these two only Hydra's own run can fill in (folders, a terminal), and it decides nothing
    parts["trainer"] = OmegaConf.to_container(config.trainer, resolve=False)
    parts["callbacks"] = OmegaConf.to_container(config.callbacks, resolve=False)
    return {
        k: OmegaConf.to_container(part, resolve=True) if OmegaConf.is_config(part) else part
        for k, part in parts.items()
    }


def conclude(cells: list[Cell], extra: list[str]) -> int:
    """Writes the table, says what is missing."""
    from erc.report.tables import build

    states = {cell: runs.status(cell.run_dir) for cell in cells}
    # a result of other options, data or code is not one of this grid
    states |= {
        cell: "of another run" for cell, state in states.items() if state == "done" and not is_current(cell, extra)
    }
    done = [cell for cell, state in states.items() if state == "done"]
    if done:
        print(build(str(cells[0].out)))
    missing = [cell for cell in cells if cell not in done]
    for cell in missing:
        error = runs.error_of(cell.run_dir)
        print(f"missing: {cell.name}: {states[cell]}{f' ({error})' if error else ''}")
    print(f"{len(done)} of {len(cells)} cells are finished." + (" Start again to go on." if missing else ""))
    return 1 if missing else 0


def duration(seconds: float) -> str:
    """Seconds in words of two units at most."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [
        f"{days} d" if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes and not days else "",
    ]
    return " ".join(part for part in parts if part)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())
