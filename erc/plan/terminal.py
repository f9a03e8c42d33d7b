"""The answer on a terminal. Colours come on a terminal only; a pipe or a file gets plain text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

MAX_WIDTH = 110


def show(found: dict[str, Any], batch_size: int) -> None:
    """Prints what a run and its grid cost.

    Args:
        found: See ``erc.plan.plan_run``.
        batch_size: As configured.
    """
    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH) if console.is_terminal else MAX_WIDTH
    with console.capture() as captured:
        for part in (*_facts(found, batch_size), *_here(found), *_cards(found), *_batches(found)):
            console.print(part)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def hours(value: float) -> str:
    """A duration: minutes below an hour, days from two days on."""
    if value < 1:
        return f"{60 * value:.1f} min" if 60 * value >= 0.05 else "< .1 min"
    return f"{value:.1f} h" if value < 48 else f"{value / 24:.1f} days"


def gigabytes(n_bytes: float) -> str:
    """A size in GB (10^9 bytes)."""
    return f"{n_bytes / 1e9:.1f} GB"


def _facts(found: dict[str, Any], batch_size: int) -> list[str]:
    machine, data, cell = found["machine"], found["data"], found["settings"][0]["cell"]
    rates = ", ".join(f"{name} {rate / 1e9:,.0f}" for name, rate in machine["product_operations_a_second"].items())
    encoders = ", ".join(
        f"{name} {n} layers ({machine['encoders'][name]})" if n else f"{name} ({machine['encoders'][name]})"
        for name, n in machine["layers"].items()
    )
    return [
        f"Machine: {machine['device']}, {machine['threads']} threads; matrix products: {rates} GFLOP/s.",
        f"Data: {data['source']}. {data['training_segments']:,} training and {data['reported_segments']:,} reported "
        f"segments; {data['mean_seconds']:.1f} s on average after the cut; in batches of {batch_size}, "
        f"{data['real_share_of_samples']:.0%} of the samples are real and the rest is padding.",
        f"Model: {cell['fusion']}, {cell['weights'] / 1e6:,.1f} million weights. Encoders: {encoders}.",
        "",
    ]


def _name(setting: dict[str, Any], several: bool) -> str:
    n = setting["train_last"]
    words = {"configured": "as configured", None: "all layers", 0: "no layer"}
    return f"{setting['precision']}, {words.get(n, f'top {n} layers')}" if several else setting["precision"]


def _named(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    several = len({setting["train_last"] for setting in found["settings"]}) > 1
    return [(_name(setting, several), setting) for setting in found["settings"]]


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _here(found: dict[str, Any]) -> list[Any]:
    cells, epochs = found["settings"][0]["grid"]["cells"], found["settings"][0]["cell"]["epochs"]
    table = _table("", "epoch", "cell", "memory", "disk kept", "in training", f"grid of {cells}", "its disk")
    for name, setting in _named(found):
        cell, grid = setting["cell"], setting["grid"]
        sizes = (gigabytes(cell[key]) for key in ("memory_bytes", "disk_bytes", "disk_in_training_bytes"))
        table.add_row(
            name, f"{cell['epoch_seconds']:,.0f} s", hours(cell["hours"]), *sizes, hours(grid["hours"]),
            gigabytes(grid["disk_bytes"]),
        )  # fmt: skip
    title = f"On this machine, from what was measured ({epochs} epochs a cell; fewer where it stops early):"
    shared = max(setting["cell"]["shared_disk_bytes"] for setting in found["settings"])
    note = [f"Frozen layers are on the disk once for all cells: {gigabytes(shared)} at most."] if shared else []
    return [title, table, *note, ""]


def _cards(found: dict[str, Any]) -> list[Any]:
    named = _named(found)
    table = _table("", "share", *(card["card"] for card in named[0][1]["cards"]))
    for name, setting in named:
        of_cards = (hours(card["grid_hours"]) for card in setting["cards"])
        table.add_row(name, f"{setting['cell']['efficiency']:.0%}", *of_cards)
    title = (
        f"The grid of {named[0][1]['grid']['cells']} on other cards, computed and not measured: the operations at the share of the "
        "published peak that this machine reaches of its own matrix product, without loading."
    )
    return [title, table, ""]


def _batches(found: dict[str, Any]) -> list[Any]:
    sizes = found["settings"][0]["largest_batch"]
    table = _table("", *(f"{size} GB" for size in sizes))
    for name, setting in _named(found):
        table.add_row(name, *(f"{n:,}" if n else "none" for n in setting["largest_batch"].values()))
    return ["Largest batch (segments of the longest length) that fits a card, computed:", table]
