"""A grid's report as one HTML page: tables, statistics, figures and an embedding map to explore, in a single file.

Comes in: a grid's folder, and the values that tables.py, figures/ and raters.py make of it. Goes out:
``<out>/index.html``, which opens by double click and reaches no network: style and script are inline, arrays are base64
(little-endian), figures are SVG elements.
Conventions:

- Each fold has an embedding space of its own: each is projected by itself, and no two share a plot.
- Transcripts and audio are human-subject data: they are not read unless ``with_media`` asks for them.
- All text is escaped; a content security policy allows the page's own script only, by its hash.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from erc.files import write_atomically
from erc.report.against import compare_grids
from erc.report.figures.drawing import draw_all
from erc.report.figures.spec import GridView
from erc.report.figures.style import Width
from erc.report.grid_results import choose_row, is_single_run, load
from erc.report.page.answer import answer_of, best_marked
from erc.report.page.explorer import Explorer, explore
from erc.report.page.html import render
from erc.report.page.media import add_media
from erc.report.page.sections import alignment_section, cells_of, facts_of, pictures_of, raters_section
from erc.report.projection import Layout, check_layout
from erc.report.robustness_tables import robustness_section
from erc.report.tables import make_tables, save_tables


def build(
    runs: str,
    out: str = "report",
    row: str | None = None,
    with_media: bool = False,
    max_audio_mb: float = 12.0,
    n_resamples: int = 2000,
    seed: int = 42,
    layout: Layout = "pca",
    width: Width = "page",
    against: str | None = None,
) -> str:
    """Writes ``<out>/index.html``, and the tables and figures that go into it.

    Args:
        runs: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it; or the folder of one finished run.
        out: Folder of the report.
        row: The row that figures show, and the explorer first; tensor_mixer_peakl, or else the last row, where not given.
        with_media: Puts transcripts and audio into the page. They are human-subject data: keep such a page to yourself.
        max_audio_mb: Largest total of the audio, in megabytes; segments are taken in random order up to it.
        n_resamples: Of the bootstrap.
        seed: Of that order.
        layout: Of the maps: ``pca``, or ``umap``, see ``projection.project``.
        width: Of the figures: ``page`` (174 mm in print) or ``column`` (84 mm).
        against: Folder of another grid, whose rows of the same names are compared with these; see ``compare_grids``.

    Returns:
        Where the page is, how large, and what is in it.

    Raises:
        FileNotFoundError: No cell is finished, or a finished one has lost its ``embeddings.npz``.
        ValueError: ``row`` is not a finished one, a run's files do not belong together, or the grids cannot be compared.
    """
    check_layout(layout)
    rows = load(runs)
    chosen = choose_row(rows, row)
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    with tqdm(
        total=4 + sum(len(one.runs) for one in rows) + len(chosen.folds) * with_media,
        desc="report",
        unit="step",
        file=sys.stderr,
    ) as bar:

        def done(following: str) -> None:
            bar.update()
            bar.set_postfix_str(following)

        bar.set_postfix_str("tables")
        other = compare_grids(runs, against, n_resamples, row, rows) if against else None
        tables = make_tables(rows, n_resamples=n_resamples)
        # a run folder stays as the run left it
        save_tables(target if is_single_run(runs) else runs, tables, other)
        done("maps and neighbours of every run")
        explorer = explore(rows, chosen, layout, on_run=lambda: done("maps and neighbours of every run"))
        if with_media:
            add_media(explorer, chosen, max_audio_mb, seed=seed, on_fold=lambda fold: done(f"media of fold {fold}"))
        bar.set_postfix_str("figures")
        grid = GridView(rows, chosen, None, n_resamples, layout, width, tables.intervals, tables.arrangements)
        drawn = draw_all(grid, target / "figures", on_figure=lambda one: bar.set_postfix_str(one.name), for_page=True)
        done("raters")
        sections = [*([other.section] if other else []), raters_section(chosen, n_resamples)]
        if robustness := robustness_section(rows):
            sections.insert(0, robustness)
        if any(one.name == "map" and one.path for one in drawn):
            sections.insert(0, alignment_section(rows, grid.alignments.rows))
        done("page")
        pictures, missing = pictures_of(drawn)
        text = render(
            tables.document,
            explorer,
            sections,
            pictures,
            missing,
            facts=facts_of(rows),
            cells=cells_of(rows, runs),
            answer=answer_of(rows, tables.intervals, n_resamples, other),
            best=best_marked(rows),
        )
        write_atomically(target / "index.html", text)
        done("")
    return "\n".join([_summary(target / "index.html", explorer, len(pictures)), *missing])


def _summary(page: Path, explorer: Explorer, n_pictures: int) -> str:
    """Where the page is, how large, and what is in it."""
    media = "without transcripts and audio"
    if explorer.has_media:
        n_recordings = sum(bool(audio) for one in explorer.segments for audio in one.audio or [])
        media = f"with transcripts and {n_recordings:,} recordings: human-subject data"
    n_runs = len(explorer.runs)
    return (
        f"{page}: {page.stat().st_size / 1e6:.1f} MB, {explorer.n_segments:,} segments, "
        f"{n_runs} run{'s' * (n_runs != 1)}, {n_pictures} figures, {media}"
    )
