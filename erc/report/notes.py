"""Rows of a grid -> the sentences above its tables: name, protocol, scope, and cells of other code."""

from __future__ import annotations

from collections import Counter

from erc.report.grid_results import Row, trained_part_text
from erc.report.single_tables import fullest, has_several_folds, has_several_seeds

PROTOCOLS = {
    "paper": "the checkpoint is chosen on the fold that is reported, as published (optimistic).",
    "last": "the last epoch is reported: nothing is chosen on the fold that is reported.",
    "cross_corpus": "each fold reports a corpus that had no part in training or choosing; the checkpoint is chosen on folds of the "
    "training corpora that were not trained on.",
    "nested": "fold k reports, fold k + 1 chooses, the rest trains.",
}

SYNTHETIC_NOTE = (
    "**Synthetic sample corpus: these figures show that the pipeline works, and say nothing about people.**"
)


def other_code_note(rows: list[Row]) -> str:
    """Names the cells that were trained with other code than most, and the files that differ; empty where none was."""
    runs = [run for row in rows for run in row.runs.values()]
    versions = Counter(frozenset(run.result["code"].items()) for run in runs)
    most = dict(versions.most_common(1)[0][0])
    cells = []
    for run in runs:
        code = run.result["code"]
        changed = sorted(file for file in most.keys() | code.keys() if most.get(file) != code.get(file))
        if changed:
            cells.append(f"`{run.cell}` ({', '.join(f'`{file}`' for file in changed)})")
    return f"Cells trained with other code: {'; '.join(cells)}." if cells else ""


def results_of(rows: list[Row]) -> list[dict]:
    """The content of ``result.json`` of every run."""
    return [run.result for row in rows for run in row.runs.values()]


def grid_name(rows: list[Row]) -> str:
    """Name of the grid's folder; for a single run what it is of."""
    run = next(iter(rows[0].runs.values()))
    if len(results_of(rows)) == 1:
        return f"{rows[0].name}, fold {run.result['fold']}, seed {run.result['seed']}"
    return run.folder.absolute().parent.parent.name


def preamble(rows: list[Row]) -> list[str]:
    """How checkpoints were chosen, and what stands behind the mean."""
    results = results_of(rows)
    protocol = results[0]["protocol"]
    seeds = ", ".join(map(str, sorted({result["seed"] for result in results})))
    return [
        f"protocol={protocol}: {PROTOCOLS[protocol]}{trained_on_text(rows)}",
        f"Mean ± sample standard deviation over folds; seeds {seeds}."
        if has_several_folds(rows)
        else f"One fold; seeds {seeds}. How much folds differ is not known.",
    ]


def trained_on_text(rows: list[Row]) -> str:
    """Which part of the encoders was trained if not all, and on which corpora if others than those that are reported."""
    part = trained_part_text(rows)
    if not any(result.get("trained_on") for result in results_of(rows)):
        return part
    corpora = {one["fold"]: (one.get("trained_on") or one["corpora"], one["corpora"]) for one in results_of(rows)}
    of_folds = [
        f"Fold {fold} is trained on {', '.join(there)} and reports {', '.join(here)}"
        for fold, (there, here) in sorted(corpora.items())
    ]
    return f"{part} {'. '.join(of_folds)}."


def scope_text(rows: list[Row], n_resamples: int) -> str:
    """What the figures are of, and what they leave out: enough to print the table elsewhere."""
    tables = [run.predictions for run in fullest(rows).first_seed().values()]
    n_tied = sum(int(table["is_tied"].sum()) for table in tables)
    folds = f"{len(tables)} folds" if len(tables) > 1 else "One fold"
    text = (
        f"{folds} with {sum(map(len, tables)):,} segments, of which {n_tied:,} with tied votes are left out of "
        "every figure but JSD and CE. Majority: always the training segments' most frequent emotion, mean valence and mean "
        "arousal. Intervals over dialogues: jackknife over whole dialogues within their fold, bias corrected by "
        f"{n_resamples:,} resamples of them"
    )
    over_folds = (
        "Intervals over folds: t over the folds, never narrower than those over dialogues."
        if has_several_folds(rows)
        else ""
    )
    if has_several_seeds(rows):
        return (
            f"{text}; they hold the variation between seeds. {over_folds} Every figure is the mean over the seeds of a fold, "
            "then over folds; resamples draw seeds as well."
        )
    return f"{text}; they hold the trained models fixed. {over_folds}".strip()
