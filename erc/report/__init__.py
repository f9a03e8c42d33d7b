"""Number -> paper: tables, figures, rater agreement.

May read everything of the package; nothing imports it but the grid, which ends in a table.
``python -m fire erc.report build --runs=runs/paper --out=report/`` writes tables, figures and one HTML page of a grid.
"""

from __future__ import annotations


def build(
    runs: str,
    out: str = "report",
    row: str | None = None,
    with_media: bool = False,
    max_audio_mb: float = 12.0,
    n_resamples: int = 2000,
    seed: int = 42,
) -> str:
    """Tables, figures and the page of a grid: see ``page.build``."""
    from erc.report import page  # matplotlib and more: importing this package stays cheap

    return page.build(
        runs, out, row=row, with_media=with_media, max_audio_mb=max_audio_mb, n_resamples=n_resamples, seed=seed
    )
