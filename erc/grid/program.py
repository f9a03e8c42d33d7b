"""``sh reproduce.sh``: runs a grid and writes its table."""

from __future__ import annotations

import sys

from erc.grid.asked_for import check_options, is_current, why_not_current
from erc.grid.cells import Cell
from erc.grid.options import parse
from erc.grid.running import run_by_hydra, run_one_by_one, wait_for_others
from erc.report import write_tables
from erc.training import error_of, state_of


def main(arguments: list[str] | None = None) -> int:
    """Runs the grid and writes its table; returns 0 if every cell is finished."""
    options = parse(arguments)
    cells = [
        Cell(options.experiment, row, fold, seed, options.out)
        for seed in options.seeds
        for fold in options.folds
        for row in options.rows
    ]
    try:
        check_options(options.experiment, options.rows, options.overrides)
    except ValueError as err:
        print(err, file=sys.stderr)
        return 2
    if options.dry_run:
        say_how_they_stand(cells, options.overrides)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    launcher = options.launcher or ("joblib" if options.experiment == "demo" else "basic")
    try:
        for _ in range(2):
            if launcher == "basic":
                run_one_by_one(cells, options.overrides)
            else:
                run_by_hydra(options, launcher, cells)
            # another process may have died while it worked on a cell: then that cell is ours
            if not wait_for_others(cells):
                break
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here; at most the epoch in progress is lost.")
    return conclude(cells, options.overrides)


def say_how_they_stand(cells: list[Cell], extra: list[str]) -> None:
    """Prints the state of each cell and the command that trains it; "refused" and the reason for a result of another run."""
    for cell in cells:
        state = state_of(cell.run_dir)
        reason = why_not_current(cell, extra) if state == "done" else ""
        print(f"{'refused' if reason else state:<10} python train.py {' '.join(cell.overrides(extra))}")
        if reason:
            print(f"{'':<10} {reason}")


def conclude(cells: list[Cell], extra: list[str]) -> int:
    """Writes the table and says what is missing; returns 0 if nothing is."""
    states = {cell: state_of(cell.run_dir) for cell in cells}
    done = [cell for cell, state in states.items() if state == "done" and is_current(cell, extra)]
    refused = [cell for cell, state in states.items() if state == "done" and cell not in done]
    if refused:
        # the table is of all results in the folder: with these it would mix options, data or code
        print(f"No table is written: {len(refused)} results in {cells[0].out} are not of the run that is asked for.")
    elif done:
        print(write_tables(str(cells[0].out)))
    missing = [cell for cell in cells if cell not in done]
    for cell in missing:
        is_refused = cell in refused
        reason = why_not_current(cell, extra) if is_refused else error_of(cell.run_dir)
        state = "of another run" if is_refused else states[cell]
        print(f"missing: {cell.name}: {state}{f' ({reason})' if reason else ''}")
    print(f"{len(done)} of {len(cells)} cells are finished." + (" Start again to go on." if missing else ""))
    return 1 if missing else 0
