"""How the cells of a grid stand: done, running, failed, half-done, waiting."""

from __future__ import annotations

from pathlib import Path

from erc.training import epochs_done, error_of, state_of


def cells_status(folder: str) -> str:
    """How the cells of a grid stand, one line per row: done, running (with its epoch), failed, half-done, waiting.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.

    Raises:
        FileNotFoundError: There is no cell in it.
    """
    cells = sorted(path for path in Path(folder).glob("*/fold*-seed*") if path.is_dir())
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
    lines += [f"failed: {cell.parent.name}/{cell.name}: {error_of(cell)}" for cell in cells if states[cell] == "failed"]
    found = list(states.values())
    lines.append(", ".join(f"{found.count(state)} {state}" for state in sorted(set(found))))
    return "\n".join(lines)
