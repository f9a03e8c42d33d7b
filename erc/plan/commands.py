"""The command ``plan``: what a training costs, before it is paid for."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path

from erc.files import write_atomically
from erc.plan.asked_for import asked_for
from erc.plan.terminal import show


def plan(*overrides: str, rows: str | None = None, seconds: float = 60, json: str | None = None) -> None:
    """Measures this machine, and says hours, memory and disk of one cell and of the grid, here and on other cards.

    Options of train.py stand as for it: python -m erc plan experiment=demo dataloader.batch_size=4

    Args:
        *overrides: Options of train.py.
        rows: Rows of the grid joined by commas; left out, the paper's nine on every fold, or, with dataset.signals, the nine with
            and without bio-signals.
        seconds: For the measurement; a slow machine takes longer.
        json: File for all of it as JSON.

    Raises:
        ValueError: An option is not one of train.py, a row is not known, or a fusion reads bio-signals and the data have none.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= 3600:
        raise ValueError(f"seconds must be a number from 1 to 3,600: got {seconds!r}.")
    if json == "True" or (json is not None and Path(json).is_dir()):
        raise ValueError(f"json names a file: expected --json=FILE, got {'--json alone' if json == 'True' else json}.")
    # heavy, so it comes late: --help answers at once
    from erc.plan.answer import plan_run

    asked = asked_for([str(one) for one in overrides], rows)
    found = plan_run(asked, seconds, lambda text: print(text, file=sys.stderr, flush=True))
    show(found, asked.config["dataloader"]["batch_size"])
    if json is not None:
        target = Path(json)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, json_format.dumps(found, indent=1) + "\n")
