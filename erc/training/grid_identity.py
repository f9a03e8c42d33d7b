"""What all cells of a grid share, ``grid.json`` in the grid's folder: one table is of one set of options, data and code.

A cell's own ``identity.json`` cannot tell that the next fold is asked for with other options. The grid's identity can: it is
written before the first cell begins, and everything that is asked for later in that folder is compared with it and with
the cells that lie there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from erc.training.identity import Identity, changed_files, named, option_differences
from erc.training.read_back import Stored, read_identity, read_json, read_result

GRID = "grid.json"

OF_CELL = ("seed", "dataset.validation_fold")
"""Options in which the cells of one row differ."""

OF_ROW = ("fusion.", "model.fusion.", "target.", "dataloader.collate.target")
"""Beginnings of the options in which rows differ as well. All other options are the grid's."""


@dataclass(frozen=True)
class GridIdentity:
    """What a grid was begun with.

    Attributes:
        options: Value of every option that all cells share, by dotted name.
        rows: The other options of each row, but for fold and seed, by the row's name.
        data: Fingerprint of the corpora; empty as long as they are not there.
        code: As in ``Identity``.
        cells: Every cell that was ever asked for, ``<row>/fold<k>-seed<s>``, sorted.
    """

    options: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    data: str
    code: dict[str, str]
    cells: list[str]

    @classmethod
    def of(cls, asked: dict[str, Identity], cells: Iterable[str]) -> GridIdentity:
        """Identity of the grid that is asked for, from the identity of one cell of each row."""
        first = next(iter(asked.values()))
        rows = {row: split(identity.options)[1] for row, identity in asked.items()}
        return cls(split(first.options)[0], rows, first.data, first.code, sorted(cells))

    def joined(self, asked: GridIdentity, with_code: bool) -> GridIdentity:
        """This grid with the rows and cells of what is asked for now; with its code, where no cell is finished."""
        cells = sorted({*self.cells, *asked.cells})
        code = asked.code if with_code else self.code
        return replace(self, rows=self.rows | asked.rows, data=self.data or asked.data, code=code, cells=cells)

    def to_json(self) -> str:
        """Content of ``grid.json``."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the whole grid, and those of the row; without those of the cell."""
    of_grid = {name: value for name, value in options.items() if name not in OF_CELL and not name.startswith(OF_ROW)}
    return of_grid, {name: value for name, value in options.items() if name.startswith(OF_ROW)}


def read_grid(folder: str | Path) -> Stored:
    """``grid.json`` as a ``GridIdentity``."""
    try:
        stored = read_json(Path(folder) / GRID)
        found = GridIdentity(**{name: stored[name] for name in GridIdentity.__annotations__})
        are_dictionaries = [*found.rows.values(), found.rows, found.options, found.code]
        if not all(isinstance(one, dict) for one in are_dictionaries) or not isinstance(found.data, str):
            raise TypeError("a field is of another type")
        if not (isinstance(found.cells, list) and all(isinstance(name, str) for name in found.cells)):
            raise TypeError("cells are no list of names")
    except FileNotFoundError:
        return Stored("absent")
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        return Stored("damaged", None, f"{GRID}: {type(err).__name__}: {err}")
    return Stored("valid", found)


def cells_in(folder: str | Path) -> list[Path]:
    """Folders of the cells in a grid's folder, sorted."""
    return sorted(path for path in Path(folder).glob("*/fold*-seed*") if path.is_dir())


def is_cell(run_dir: Path) -> bool:
    """Whether a run folder has the name of a cell of a grid."""
    return re.fullmatch(r"fold\d+-seed\d+", run_dir.name) is not None


def name_of(run_dir: Path) -> str:
    """Name of a cell within its grid, ``<row>/fold<k>-seed<s>``."""
    return f"{run_dir.parent.name}/{run_dir.name}"


def grid_refusal(folder: str | Path, asked: dict[str, Identity], accept_code: bool = False) -> str:
    """Why a grid's folder may not be used for what is asked for; empty if it may.

    Args:
        folder: The grid's folder; it may be new or not there.
        asked: Identity of any cell of each row that is asked for, by the row's name; its ``data`` may be empty where the
            corpora are not there yet.
        accept_code: Keep what other code trained.
    """
    stored = read_grid(folder)
    if stored.state == "damaged":
        return (
            f"A grid's folder says what its cells share: {Path(folder) / GRID} cannot be used ({stored.reason}). Remove that "
            "file: it is written again, and compared with the cells."
        )
    now = GridIdentity.of(asked, [])
    known = [(GRID, stored.value)] if stored.state == "valid" else []
    for run_dir in cells_in(folder):
        of_cell = read_identity(run_dir)
        if of_cell.state == "valid":
            known.append((name_of(run_dir), GridIdentity.of({run_dir.parent.name: of_cell.value}, [])))
    for name, one in known:
        reasons = differences(one, now)
        if reasons:
            return (
                f"A grid has one set of options and data: {folder} was begun with another ({named(reasons)}; see {name}). "
                "Choose another folder (--out), or ask for the same options."
            )
    if not accept_code and any(read_result(run_dir).state == "valid" for run_dir in cells_in(folder)):
        for _, one in known:
            changed = changed_files(one.code, now.code)
            if changed:
                return (
                    f"A grid is of one version of the code: {folder} has finished cells, and these files changed: "
                    f"{named(changed)}. Keep the results with --accept-code, or choose another folder (--out)."
                )
    return ""


def differences(known: GridIdentity, now: GridIdentity, words: tuple[str, str] = ("there", "now")) -> list[str]:
    """Options and data that two grids do not share; rows are compared that both have."""
    reasons = option_differences(known.options, now.options, words)
    for row in known.rows.keys() & now.rows.keys():
        reasons += option_differences(known.rows[row], now.rows[row], words)
    if known.data and now.data and known.data != now.data:
        reasons.append(f"the corpora's fingerprint: {known.data} {words[0]}, {now.data} {words[1]}")
    return reasons


def mixture(identities: dict[str, Identity]) -> str:
    """Why cells are not of one grid; empty if they are. Their code is not compared.

    Args:
        identities: By the cell's name, ``<row>/fold<k>-seed<s>``.
    """
    firsts: dict[str, str] = {}
    for name in identities:
        row = name.split("/")[0]
        for first in dict.fromkeys([next(iter(identities)), firsts.setdefault(row, name)]):
            grids = [GridIdentity.of({cell.split("/")[0]: identities[cell]}, []) for cell in (first, name)]
            reasons = differences(grids[0], grids[1], (f"in {first}", f"in {name}"))
            if reasons:
                return named(reasons)
    return ""
