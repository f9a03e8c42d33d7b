"""``python -m erc robustness``: one run, or the runs of one fold of a grid -> robustness.csv, robustness.md and a figure."""

from __future__ import annotations

from pathlib import Path

from erc.files import write_atomically
from erc.report.figures.drawing import save
from erc.report.figures.robustness import draw_robustness
from erc.report.figures.style import SYNTHETIC_REMARK, WIDTHS_MM, Width
from erc.report.finished_run import Run
from erc.report.grid_results import Row, is_single_run, is_synthetic, load
from erc.report.rendering import Document, Section, table_to_text, to_markdown
from erc.report.robustness_tables import TITLE, finding_of, notes_of, robustness_table, run_title
from erc.report.tables import SYNTHETIC_NOTE
from erc.robustness import default_out, effects_of, score_conditions, write_effects


def robustness(
    run: str,
    out: str | None = None,
    transcriber: str | None = None,
    fold: int | None = None,
    seed: int = 42,
    n_resamples: int = 2000,
    vector: str = "pdf",
    width: Width = "page",
    device: str | None = None,
) -> str:
    """Scores a finished run with noise, reverberation, wrong words, and without each modality. It goes on after a kill.

    Args:
        run: Folder of a finished run; or of a grid, whose runs of one fold are scored, of each row the lowest seed.
        out: Folder of the result; beside the run where not given: ``robustness-<run>``, where ``python -m erc report`` finds it.
        transcriber: Hub id or directory of a recogniser: adds the words that it hears in place of the transcript.
        fold: Of a grid; its first finished one where not given.
        seed: Of the noise, the rooms and the wrong words.
        n_resamples: Of the bootstrap.
        vector: ``pdf`` or ``svg``, beside the PNG.
        width: Of the figure: ``page`` (174 mm in print) or ``column`` (84 mm).
        device: As torch names it; a GPU where there is one if not given.

    Returns:
        The table, what it shows, and where it is.

    Raises:
        FileExistsError: ``out`` holds another run's.
        FileNotFoundError: No run is finished, or its corpora are not there.
        ValueError: An argument is out of its range.
    """
    if width not in WIDTHS_MM or vector not in ("pdf", "svg"):
        raise ValueError(f"width must be column or page, and vector pdf or svg: got {width!r} and {vector!r}.")
    told = []
    for row, one in _chosen(run, fold, out):
        target = default_out(one.folder) if out is None else Path(out)
        scored = score_conditions(one.folder, target, transcriber, seed, device)
        effects = effects_of(scored, one.label_space, n_resamples)
        write_effects(target, effects)
        title = run_title(row.title, one)
        table, finding = robustness_table(effects, ""), finding_of(effects)
        marks = [SYNTHETIC_NOTE] if is_synthetic([row]) else []
        section = Section(title, [*filter(None, [finding]), *notes_of([one]), *marks], [table], "statistics")
        write_atomically(target / "robustness.md", to_markdown(Document(TITLE, [], [section])))
        note = SYNTHETIC_REMARK if is_synthetic([row]) else ""
        save(draw_robustness(effects, title, note, WIDTHS_MM[width]), target / "robustness", vector)
        files = f"{target / 'robustness'}.csv, .md, .png, .{vector}"
        told += [title, "", table_to_text(table), *filter(None, ["", finding]), f"Written: {files}", ""]
    return "\n".join(told).strip()


def _chosen(run: str, fold: int | None, out: str | None) -> list[tuple[Row, Run]]:
    """The run that is named, or those of one fold of a grid, each with its row."""
    rows = load(run)
    if is_single_run(run):
        if fold is not None:
            raise ValueError(f"A fold is chosen among those of a grid: {run} is a single run. Leave out --fold.")
        return [(row, one) for row in rows for one in row.runs.values()]
    if out is not None:
        raise ValueError("The runs of a grid are kept beside each of them: leave out --out, or name a single run.")
    folds = sorted({one for row in rows for one in row.folds})
    fold = folds[0] if fold is None else fold
    if fold not in folds:
        raise ValueError(f"fold must be a finished fold of the grid, one of {folds}: got {fold!r}.")
    return [(row, row.first_seed()[fold]) for row in rows if fold in row.folds]
