"""Each table of a grid as a value: means, intervals, comparisons, label distributions, published figures."""

from __future__ import annotations

import numpy as np

from erc.evaluation import AGREEMENT_STRATA, Interval
from erc.report.comparisons import Comparison, compare_rows, corrected, distribution_metrics
from erc.report.grid_results import COMPARED, METRICS, Row
from erc.report.rendering import NOT_DEFINED, Table, ends_text, mean_std_text, short, short_p, signed

PUBLISHED = {
    "concat_peakl": {
        "weighted_f1": (0.827, 0.017),
        "micro_f1": (0.840, 0.016),
        "ccc_arousal": (0.578, 0.115),
        "ccc_valence": (0.688, 0.068),
    },
    "cross_attention_peakl": {
        "weighted_f1": (0.837, 0.015),
        "micro_f1": (0.848, 0.016),
        "ccc_arousal": (0.810, 0.035),
        "ccc_valence": (0.850, 0.014),
    },
    "tensor_mixer_peakl": {
        "weighted_f1": (0.844, 0.015),
        "micro_f1": (0.851, 0.018),
        "ccc_arousal": (0.813, 0.011),
        "ccc_valence": (0.857, 0.011),
    },
}
"""The paper's headline table (Cho, Ryu and Wallraven, 2023): mean, standard deviation over five folds."""


COMPARISON_NOTES = (
    "Difference = row minus reference. Both p are Holm-corrected over this table.",
    "p (t) asks: would the two methods differ if they were trained again on other folds of such data? (Corrected resampled "
    "t-test over folds, Nadeau and Bengio, 2003; conservative for one five-fold cross-validation.) A claim about methods "
    "rests on it.",
    "p (bootstrap) asks: do these trained models differ on other dialogues like those of each fold? (Paired bootstrap over "
    "dialogues within folds; it does not train again.)",
)

SEEDS_NOTE = "Where a fold has several seeds, its resamples draw seeds as well: other seeds are part of the question."

DISTRIBUTION_NOTE = (
    "JSD: Jensen-Shannon divergence to the raters' votes, base 2, over all segments; CE: cross-entropy to them in nats; ECE: "
    "expected calibration error, 15 bins, untied segments. Then weighted F1 by how many of the ten raters agree. Human: one rater "
    "against the other nine."
)

PUBLISHED_NOTE = (
    "The published figures are of KEMDy19 and KEMDy20; ours here are of a synthetic corpus and not comparable."
)


def main_table(rows: list[Row], reading: str, corpus: str | None = None, caption: str = "") -> Table:
    """Every metric of every row, over all corpora or one of them; reading ``selected`` ends with the majority row."""
    lines = [[row.title, *(mean_std_text(row.values(metric, reading, corpus)) for metric in METRICS)] for row in rows]
    if reading == "selected":
        lines.append(["Majority", *(mean_std_text(majority_of(rows, metric, corpus)) for metric in METRICS)])
    return Table(["", *METRICS.values()], lines, caption)


def majority_of(rows: list[Row], metric: str, corpus: str | None) -> np.ndarray:
    """Majority figures of each fold, from the row that has most folds; they are the same for every seed."""
    results = [run.result for run in fullest(rows).first_seed().values()]
    parts = [one["majority"] if corpus is None else one["majority_by_corpus"].get(corpus, {}) for one in results]
    found = [part.get(metric) for part in parts]
    return np.array([np.nan if value is None else value for value in found])


def fullest(rows: list[Row]) -> Row:
    """The first of the rows that have most folds."""
    return max(rows, key=lambda row: len(row.folds))


def interval_table(rows: list[Row], intervals: dict[str, dict[str, Interval]]) -> Table:
    """95 % interval of each metric's mean over folds, from the ``interval`` of each row by its name."""
    lines = [[row.title, *(_ends(intervals[row.name][metric]) for metric in METRICS)] for row in rows]
    caption = "95 % intervals of reading `selected` (bootstrap over dialogues within folds)"
    return Table(["", *METRICS.values()], lines, caption)


def _ends(found: Interval) -> str:
    return ends_text(float(found.low), float(found.high))


def compare_all(rows: list[Row], base: Row, n_resamples: int) -> dict[tuple[str, str], Comparison]:
    """Every row against ``base`` on the folds of both, by row and metric; p is corrected (Holm) over all of them.

    A p at its floor takes as many times ``n_resamples`` as there are comparisons; see ``compare_rows``.
    """
    others = [row for row in rows if row is not base and set(row.folds) & set(base.folds)]
    keys = [(row.name, metric) for row in others for metric in COMPARED]
    by_row = {row.name: compare_rows(row, base, n_resamples, len(keys)) for row in others}
    return dict(zip(keys, corrected([by_row[name][metric] for name, metric in keys]), strict=True))


def comparison_notes(rows: list[Row], n_comparisons: int, n_resamples: int) -> list[str]:
    """What the columns of ``comparison_table`` answer, and how many resamples that took."""
    notes = list(COMPARISON_NOTES)
    if has_several_seeds(rows):
        notes.append(SEEDS_NOTE)
    return [
        *notes,
        f"Each comparison has {n_resamples:,} resamples, and one whose p is the smallest that these can give has "
        f"{n_resamples * n_comparisons:,}. A p that is still the smallest is an upper bound, marked ≤ or <.",
    ]


def has_several_seeds(rows: list[Row]) -> bool:
    """Returns True if any fold of any row has more than one seed."""
    return any(len(row.runs_of(fold)) > 1 for row in rows for fold in row.folds)


def comparison_table(rows: list[Row], found: dict[tuple[str, str], Comparison]) -> Table:
    """The comparisons of ``compare_all`` as text."""
    titles = {row.name: row.title for row in rows}
    lines = [
        [titles[name], METRICS[metric], *difference_texts(one), short_p(one.p_t)]
        + [short_p(one.p_bootstrap, one.is_bound), str(one.n_folds)]
        for (name, metric), one in found.items()
    ]
    return Table(["", "metric", "difference", "95 % interval", "p (t)", "p (bootstrap)", "folds"], lines)


def difference_texts(one: Comparison) -> tuple[str, str]:
    """Difference and interval of one metric."""
    return signed(one.difference), ends_text(one.low, one.high, with_sign=True)


def distributions_of(row: Row) -> dict[str, np.ndarray]:
    """``distribution_metrics`` by name, (F,) each: the mean over the seeds of a fold, in the order of ``row.folds``."""
    per_fold = [[distribution_metrics(run.predictions) for run in row.runs_of(fold)] for fold in row.folds]
    return {
        name: np.array([np.mean([one[name] for one in of_fold]) for of_fold in per_fold]) for name in per_fold[0][0]
    }


def humans_of(rows: list[Row]) -> dict[str, np.ndarray]:
    """One rater against the others, (F,) by metric, from the row that has most folds; empty where a fold has no figure.

    It is of the labels alone, and therefore the same for every seed.
    """
    found = [run.result["human"] for run in fullest(rows).first_seed().values()]
    if not all(found):
        return {}
    names = ("weighted_f1", "ccc_arousal", "ccc_valence")
    return {name: np.array([np.nan if one.get(name) is None else one[name] for one in found]) for name in names}


def distribution_table(
    rows: list[Row], found: dict[str, dict[str, np.ndarray]], humans: dict[str, np.ndarray]
) -> Table:
    """``distributions_of`` every row by its name; then ``humans_of`` them."""
    strata = AGREEMENT_STRATA[::-1]
    names = ("jsd", "ce", "ece", *(f"f1_{stratum}" for stratum in strata))
    lines = [[row.title, *(mean_std_text(found[row.name][name]) for name in names)] for row in rows]
    if humans:
        titles = {"weighted_f1": "weighted F1", "ccc_arousal": "CCC(aro)", "ccc_valence": "CCC(val)"}
        text = ", ".join(f"{title} {short(float(np.mean(humans[name])))}" for name, title in titles.items())
        lines.append([f"Human: {text}", *[""] * len(names)])
    return Table(["", "JSD", "CE", "ECE", *(f"F1 {stratum}" for stratum in strata)], lines)


def published_table(rows: list[Row]) -> Table:
    """Our figures beside those of ``PUBLISHED``, for the rows that are in it."""
    lines = []
    for row in rows:
        for metric, (mean, std) in PUBLISHED.get(row.name, {}).items():
            ours = row.values(metric, "best_epoch_per_metric")
            difference = NOT_DEFINED if np.isnan(ours).any() else signed(ours.mean() - mean)
            lines.append([row.title, METRICS[metric], f"{short(mean)} ± {short(std)}", mean_std_text(ours), difference])
    return Table(["", "metric", "published", "ours", "ours − published"], lines)
