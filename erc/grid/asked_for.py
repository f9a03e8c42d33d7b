"""Whether a finished cell is of the run that is asked for now: the same options, data and code.

The configuration is composed as train.py composes it, but without Hydra's own run: what only that run can fill in
(folders, a terminal) stands in options that decide nothing.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, cast

from erc.configuration import nearest_option
from erc.grid.cells import CONFIG, ROOT, Cell, row_overrides
from erc.training import Identity, finished_result, identify, refusal, without_ignored


class Composed(NamedTuple):
    """A row's configuration, as plain values."""

    deciding: dict[str, Any]
    """The options that decide a result."""
    dataset: dict[str, Any]
    """All options of the data set, those that say where it lies included."""
    accept_code: bool


def is_current(cell: Cell, extra: list[str]) -> bool:
    """Returns True if the cell is finished and may be used."""
    return finished_result(cell.run_dir) is not None and why_not_current(cell, extra) == ""


def why_not_current(cell: Cell, extra: list[str]) -> str:
    """Why the cell's folder may not be used for what is asked for now; empty if it may."""
    try:
        identity = identity_of(cell, extra)
    except (OSError, ValueError) as err:
        return f"the corpora cannot be read: {err}"
    return refusal(cell.run_dir, identity, composed(cell.experiment, cell.row, tuple(extra)).accept_code)


def check_options(experiment: str, rows: list[str], extra: list[str]) -> None:
    """Raises ValueError if Hydra cannot compose the rows with the options behind ``--``.

    Without this, every cell would start, and fail for the same reason.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    for row in rows:
        try:
            composed(experiment, row, tuple(extra))
        except (HydraException, OmegaConfBaseException) as err:
            raise ValueError(
                f"Options behind -- must be options of train.py: {row} cannot take {' '.join(extra)} ({err}{nearest_option(err)})"
            ) from err


def identity_of(cell: Cell, extra: list[str]) -> Identity:
    """Identity of the run that a cell is for.

    Args:
        cell: The cell.
        extra: Options of train.py behind those of the cell.

    Raises:
        OSError: The corpora are not there.
        ValueError: A corpus's files are not those of the corpus.
    """
    from erc.datasets import fingerprint_of

    config, dataset = _config_of(cell, extra)
    data = fingerprint_of(dataset, ROOT)
    return identify(config, data, base=ROOT)


def identities_of_rows(cells: list[Cell], extra: list[str]) -> dict[str, Identity]:
    """Identity of one cell of each row, by the row's name; ``data`` is empty where the corpora are not there yet."""
    found: dict[str, Identity] = {}
    for cell in cells:
        if cell.row not in found:
            try:
                found[cell.row] = identity_of(cell, extra)
            except (OSError, ValueError):  # the first cell of a demo writes its corpora
                found[cell.row] = identify(_config_of(cell, extra)[0], "", base=ROOT)
    return found


def _config_of(cell: Cell, extra: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a cell that decide its result, and all options of its data set."""
    found = composed(cell.experiment, cell.row, tuple(extra))
    config = found.deciding | {"seed": cell.seed}
    config["dataset"] = config["dataset"] | {"validation_fold": cell.fold}
    return config, found.dataset


@functools.lru_cache
def composed(experiment: str, row: str, extra: tuple[str, ...]) -> Composed:
    """A row's configuration as train.py composes it."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        # where and how long a cluster runs a cell decides nothing, and is known only beside that cluster's launcher
        deciding_options = [one for one in extra if not is_of_launcher(one)]
        config = compose("train", [*row_overrides(experiment, [row]), *deciding_options])
    unresolved = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=False))
    deciding = OmegaConf.to_container(OmegaConf.create(without_ignored(unresolved)), resolve=True)
    dataset = cast("dict[str, Any]", OmegaConf.to_container(config.dataset, resolve=True))
    return Composed(cast("dict[str, Any]", deciding), dataset, config.accept_code)


def is_of_launcher(override: str) -> bool:
    """Whether an option is of a cluster's launcher: ``hydra.launcher.timeout_min=1440``."""
    return override.lstrip("+~").startswith("hydra.launcher.")


def folds_of(experiment: str, rows: list[str], extra: list[str]) -> list[int]:
    """All folds of the corpora that are asked for.

    Raises:
        OSError: The table of segments is not there.
        ValueError: It has mistakes, or Hydra cannot compose the options.
    """
    from erc.datasets import count_folds

    return list(range(count_folds(composed(experiment, rows[0], tuple(extra)).dataset, ROOT)))
