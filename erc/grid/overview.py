"""How the cells of a grid stand: done, running, damaged, failed, half-done, waiting, of another run."""

from __future__ import annotations

from pathlib import Path

from erc.training import cells_in, epochs_done, error_of, mixture, name_of, read_grid, read_identity, state_of


def cells_status(folder: str) -> str:
    """How the cells of a grid stand, one line per row: done, running (with its epoch), failed, half-done, waiting ...

    Cells that were asked for and have no folder yet are waiting; ``grid.json`` says which those are. What is damaged, or of
    other options than the rest, is named below.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.

    Raises:
        FileNotFoundError: There is no cell in it.
    """
    grid = read_grid(folder)
    asked = [Path(folder) / name for name in (grid.value.cells if grid.state == "valid" else [])]
    cells = sorted({*cells_in(folder), *asked})
    if not cells:
        raise FileNotFoundError(
            f"A grid's folder holds <row>/fold<k>-seed<s>/: {folder} holds none. Run sh reproduce.sh."
        )
    states = {cell: state_of(cell) for cell in cells}
    lines = []
    for row in dict.fromkeys(cell.parent for cell in cells):
        parts = []
        for cell in (cell for cell in cells if cell.parent == row):
            detail = f" (epoch {epochs_done(cell) + 1})" if states[cell] == "running" else ""
            parts.append(f"{cell.name.removeprefix('fold')}: {states[cell]}{detail}")
        lines.append(f"{row.name:<24} {'  '.join(parts)}")
    told = ("failed", "damaged", "of another run")
    lines += [f"{states[cell]}: {name_of(cell)}: {error_of(cell)}" for cell in cells if states[cell] in told]
    lines += [grid.reason] if grid.reason else []
    identities = {name_of(cell): known.value for cell in cells if (known := read_identity(cell)).state == "valid"}
    if mixed := mixture(identities):
        lines.append(f"of several runs: {mixed}")
    every = list(states.values())
    lines.append(", ".join(f"{every.count(state)} {state}" for state in sorted(set(every))))
    return "\n".join(lines)
