"""``sh reproduce.sh``: runs a grid and writes its table."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import textwrap
from pathlib import Path

from erc.files import write_atomically
from erc.grid.asked_for import check_options, identities_of_rows, is_current, why_not_current
from erc.grid.board import LOG, Board, told
from erc.grid.cells import Cell
from erc.grid.options import parse
from erc.grid.pool import run_pool
from erc.grid.running import Terminated, run_by_hydra, terminated_as_interrupted, wait_for_others
from erc.model import model_folder, predict_command
from erc.report import tables_and_left_out
from erc.training import (
    GRID,
    GridIdentity,
    cells_in,
    claimed,
    error_of,
    finished_result,
    grid_refusal,
    name_of,
    read_grid,
    state_of,
)

GO_ON = "The same command goes on from here; at most the epoch in progress is lost."


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
    refused = begin(options, cells)
    if refused:
        if options.dry_run:
            say_how_they_stand(cells, options.overrides)
        print(refused)
        return 1
    if options.dry_run:
        say_how_they_stand(cells, options.overrides)
        return 0
    try:
        is_local = options.launcher == "local"
        with terminated_as_interrupted(), Board(cells, options.overrides, options.jobs if is_local else None) as board:
            for _ in range(2):
                if is_local:
                    run_pool(cells, options.overrides, options.jobs, board)
                else:
                    run_by_hydra(options, options.launcher, cells, board)
                # another process may have died while it worked on a cell: then that cell is ours
                if not wait_for_others(cells, board):
                    break
    except Terminated as stopped:
        # whoever sent the signal does not wait for a table
        print(f"\nStopped by {stopped}, and what was training here with it. {GO_ON}", flush=True)
        return 128 + signal.Signals[str(stopped)]
    except KeyboardInterrupt:
        print(f"\nInterrupted. {GO_ON}")
    return conclude(cells, options.overrides)


def say_how_they_stand(cells: list[Cell], extra: list[str]) -> None:
    """Prints the state of each cell and the command that trains it; "refused" and the reason for a result of another run."""
    for cell in cells:
        state = state_of(cell.run_dir)
        reason = why_not_current(cell, extra) if state == "done" else ""
        print(f"{'refused' if reason else state:<10} python train.py {' '.join(cell.overrides(extra))}")
        if reason:
            print(f"{'':<10} {reason}")


def begin(options: argparse.Namespace, cells: list[Cell]) -> str:
    """Compares what is asked for with the grid's folder, then writes ``grid.json`` into it, unless it is a dry run.

    Returns:
        Why the folder may not be used; empty if it may. Nothing is written then.
    """
    asked = identities_of_rows(cells, options.overrides)
    if options.dry_run:
        return grid_refusal(options.out, asked, options.accept_code)
    new = not options.out.exists()
    with claimed(options.out, wait_seconds=30):  # two drivers may begin at once
        refused = grid_refusal(options.out, asked, options.accept_code)
        if not refused:
            now = GridIdentity.of(asked, (name_of(cell.run_dir) for cell in cells))
            stored = read_grid(options.out)
            has_results = not new and any(finished_result(path) is not None for path in cells_in(options.out))
            grid = stored.value.joined(now, with_code=not has_results) if stored.state == "valid" else now
            write_atomically(options.out / GRID, grid.to_json())
    return refused


def _what_next(out: Path, done: list[Cell]) -> str:
    """Where the table is, how to see it and how to use a model of the grid."""
    lines = [
        f"The table:  {out / 'table.md'} (with statistics), table.csv and table.tex",
        f"To see it:  python -m erc report {shlex.quote(str(out))} --out=report",
    ]
    row = next((cell.run_dir.parent for cell in done if model_folder(cell.run_dir)), None)
    if row is not None:  # the folds of a row answer as one
        lines.append(f"To use it:  {predict_command(row)}")
    return "\n".join(lines)


def _width() -> int | None:
    """Columns of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _print(text: str) -> None:
    """Prints a sentence, whose lines end between words on a terminal."""
    width = _width()
    print(textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False) if width else text)


def conclude(cells: list[Cell], extra: list[str]) -> int:
    """Writes the table and says what is missing; returns 0 if nothing is."""
    states = {cell: state_of(cell.run_dir) for cell in cells}
    done = [cell for cell, state in states.items() if state == "done" and is_current(cell, extra)]
    refused = [cell for cell, state in states.items() if state in ("done", "of another run") and cell not in done]
    unusable: dict[str, str] = {}
    if refused:
        # the table is of all results in the folder: with these it would mix options, data or code
        print(f"No table is written: {len(refused)} results in {cells[0].out} are not of the run that is asked for.")
    elif done:
        text, unusable = tables_and_left_out(cells[0].out, _width())
        print(f"\n{text}\n")
        done = [cell for cell in done if name_of(cell.run_dir) not in unusable]
    missing, said = [cell for cell in cells if cell not in done], set[str]()
    for cell in missing:
        is_refused = cell in refused
        reason = why_not_current(cell, extra) if is_refused else error_of(cell.run_dir)
        reason = unusable.get(name_of(cell.run_dir), reason)
        state = "of another run" if is_refused else "damaged" if name_of(cell.run_dir) in unusable else states[cell]
        _print(f"missing: {cell.name}: {told(state, 'as above' if reason in said else reason, cell.run_dir / LOG)}")
        said |= {reason} - {""}
    print(f"{len(done)} of {len(cells)} cells are finished." + (" Start again to go on." if missing else ""))
    if done and not refused:
        print(_what_next(cells[0].out, done))
    return 1 if missing else 0
