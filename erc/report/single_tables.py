"""Each table of a grid as a value: means, intervals, comparisons, label distributions, published figures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from erc.data import CORPORA
from erc.evaluation import N_SPLITS, Interval, Intervals, agreement_strata, half_of_raters
from erc.labels import LabelSpace
from erc.report.comparisons import Comparison, compare_rows, corrected, distribution_metrics
from erc.report.coverage import error_rates_text
from erc.report.grid_results import COMPARED, METRICS, Row, metrics_of
from erc.report.rendering import (
    NOT_DEFINED,
    Table,
    ends_text,
    mean_std_text,
    number_text,
    raters_text,
    short,
    short_p,
    signed,
)

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

PUBLISHED_NOTE = (
    "The published figures are of KEMDy19 and KEMDy20; ours here are of a synthetic corpus and not comparable."
)


def distribution_note(label_space: LabelSpace) -> str:
    """What the columns of ``distribution_table`` are."""
    n, by, others = label_space.n_raters, "the majority's share of the votes", "the others"
    if n is not None and n > 1:
        others = f"the other {number_text(n - 1)}"
    if agreement_strata(n) != agreement_strata(None):  # they are named by votes, not by shares
        by = f"how many of the {raters_text(n)} agree"
    return (
        "JSD: Jensen-Shannon divergence to the raters' votes, base 2, over all segments; CE: cross-entropy to them in nats; ECE: "
        f"expected calibration error, 15 bins, untied segments. Then weighted F1 by {by}. Human: one rater against {others}."
    )


def main_table(rows: list[Row], reading: str, corpus: str | None = None, caption: str = "") -> Table:
    """Every metric of every row, over all corpora or one of them; reading ``selected`` ends with the majority row."""
    metrics = metrics_of(rows[0])
    lines = [[row.title, *(mean_std_text(row.values(metric, reading, corpus)) for metric in metrics)] for row in rows]
    if reading == "selected":
        lines.append(["Majority", *(mean_std_text(majority_of(rows, metric, corpus)) for metric in metrics)])
    return Table(["", *metrics.values()], lines, caption)


def majority_of(rows: list[Row], metric: str, corpus: str | None) -> np.ndarray:
    """Majority figures of each fold, from the row that has most folds; they are the same for every seed."""
    results = [run.result for run in fullest(rows).first_seed().values()]
    parts = [one["majority"] if corpus is None else one["majority_by_corpus"].get(corpus, {}) for one in results]
    found = [part.get(metric) for part in parts]
    return np.array([np.nan if value is None else value for value in found])


def fullest(rows: list[Row]) -> Row:
    """The first of the rows that have most folds."""
    return max(rows, key=lambda row: len(row.folds))


INTERVAL_CAPTIONS = {
    "dialogues": "Over dialogues: the mean of these trained models, over all dialogues like those of each fold",
    "folds": "Over folds: the mean of models trained again, on other sessions and dialogues like these",
}
"""What each kind of ``Intervals`` is about."""


def interval_tables(rows: list[Row], found: dict[str, dict[str, Intervals]]) -> list[Table]:
    """95 % intervals of each metric's mean over folds, from the ``intervals`` of each row by its name, kind by kind."""
    metrics = metrics_of(rows[0])
    return [
        Table(
            ["", *metrics.values()],
            [[row.title, *(_ends(getattr(found[row.name][metric], kind)) for metric in metrics)] for row in rows],
            caption,
        )
        for kind, caption in INTERVAL_CAPTIONS.items()
        if kind != "folds" or has_several_folds(rows)
    ]


def n_dialogues_of(rows: list[Row]) -> int:
    """Dialogues with an untied segment in the fold that has fewest, of the row that has most folds."""
    tables = [run.predictions for run in fullest(rows).first_seed().values()]
    return min(table.loc[~table["is_tied"], "dialogue"].nunique() for table in tables)


def _ends(found: Interval) -> str:
    return ends_text(float(found.low), float(found.high))


def compare_all(rows: list[Row], base: Row, n_resamples: int) -> dict[tuple[str, str], Comparison]:
    """Every row against ``base`` on the folds of both, by row and metric; p is corrected (Holm) over all of them.

    A p at its floor takes as many times ``n_resamples`` as there are comparisons; see ``compare_rows``.
    """
    others = [row for row in rows if row is not base and set(row.folds) & set(base.folds)]
    keys = [(row.name, metric) for row in others for metric in COMPARED if metric in metrics_of(row)]
    by_row = {row.name: compare_rows(row, base, n_resamples, len(keys)) for row in others}
    return dict(zip(keys, corrected([by_row[name][metric] for name, metric in keys]), strict=True))


def comparison_notes(rows: list[Row], n_comparisons: int, n_resamples: int) -> list[str]:
    """What the columns of ``comparison_table`` answer, and how many resamples that took."""
    notes = list(COMPARISON_NOTES)
    if has_several_seeds(rows):
        notes.append(SEEDS_NOTE)
    return [
        *notes,
        error_rates_text(n_dialogues_of(rows)),
        f"Each comparison has {n_resamples:,} resamples, and one whose p is the smallest that these can give has "
        f"{n_resamples * n_comparisons:,}. A p that is still the smallest is an upper bound, marked ≤ or <.",
    ]


def conclusion_text(found: Iterable[Comparison]) -> str:
    """What may be concluded where both p are known, most of all where they disagree at .05; empty without a comparison."""
    known = [(one.p_t < 0.05, one.p_bootstrap < 0.05) for one in found if not np.isnan(one.p_t)]
    if not known:
        return ""
    n = len(known)
    only_models, only_methods = known.count((False, True)), known.count((True, False))
    both, neither = known.count((True, True)), known.count((False, False))
    parts = [
        (both, "both p are below .05: the methods differ, as far as these folds can tell"),
        (
            only_models,
            "only p (bootstrap) is below .05: these trained models differ, and whether the methods do is open",
        ),
        (
            only_methods,
            "only p (t) is below .05: the folds agree in direction, and the dialogues are too few to show it",
        ),
        (neither, "neither p is below .05: no difference is shown, which is not to say that there is none"),
    ]
    told = "; ".join(f"in {count} of {n} comparisons {text}" for count, text in parts if count)
    return f"To conclude: {told}."


def has_several_folds(rows: list[Row]) -> bool:
    """Whether any row has more than one fold, so that something can be said of how folds differ."""
    return any(len(row.folds) > 1 for row in rows)


def has_several_seeds(rows: list[Row]) -> bool:
    """Returns True if any fold of any row has more than one seed."""
    return any(len(row.runs_of(fold)) > 1 for row in rows for fold in row.folds)


def comparison_table(rows: list[Row], found: dict[tuple[str, str], Comparison]) -> Table:
    """The comparisons of ``compare_all`` as text."""
    titles = {row.name: row.title for row in rows}
    lines = [
        [titles[name], METRICS[metric], str(one.n_folds), *difference_texts(one), short_p(one.p_t)]
        + [short_p(one.p_bootstrap, one.is_bound)]
        for (name, metric), one in found.items()
    ]
    return Table(["", "metric", "folds", "difference", "95 % interval", "p (t)", "p (bootstrap)"], lines)


def difference_texts(one: Comparison) -> tuple[str, str]:
    """Difference and interval of one metric."""
    return signed(one.difference), ends_text(one.low, one.high, with_sign=True)


def distributions_of(row: Row) -> dict[str, np.ndarray]:
    """``distribution_metrics`` by name, (F,) each: the mean over the seeds of a fold, in the order of ``row.folds``."""
    per_fold = [
        [distribution_metrics(run.predictions, row.label_space) for run in row.runs_of(fold)] for fold in row.folds
    ]
    names = dict.fromkeys(name for of_fold in per_fold for one in of_fold for name in one)
    return {
        name: np.array([np.mean([one.get(name, np.nan) for one in of_fold]) for of_fold in per_fold]) for name in names
    }


def humans_of(rows: list[Row]) -> dict[str, np.ndarray]:
    """One rater against the others, (F,) by metric, from the row that has most folds; empty where a fold has no figure.

    It is of the labels alone, and therefore the same for every seed.
    """
    found = [run.result["human"] for run in fullest(rows).first_seed().values()]
    if not all(found):
        return {}
    names = [metric for metric in COMPARED if metric in metrics_of(rows[0])]
    return {name: np.array([np.nan if one.get(name) is None else one[name] for one in found]) for name in names}


def distribution_table(
    rows: list[Row], found: dict[str, dict[str, np.ndarray]], humans: dict[str, np.ndarray]
) -> Table:
    """``distributions_of`` every row by its name; then ``humans_of`` them."""
    strata = agreement_strata(rows[0].label_space.n_raters)[::-1]
    names = ("jsd", "ce", "ece", *(f"f1_{stratum}" for stratum in strata))
    lines = [[row.title, *(mean_std_text(found[row.name][name]) for name in names)] for row in rows]
    if humans:
        titles = METRICS | {"weighted_f1": "weighted F1"}
        text = ", ".join(f"{titles[name]} {short(float(np.mean(values)))}" for name, values in humans.items())
        lines.append([f"Human: {text}", *[""] * len(names)])
    return Table(["", "JSD", "CE", "ECE", *(f"F1 {stratum}" for stratum in strata)], lines)


DISAGREEMENT = {
    "manhattan": "L1",
    "soft_micro_f1": "soft micro-F1",
    "multilabel_macro_f1": "macro-F1 > 1/K",
    "entropy_correlation": "entropy ρ",
    "ece_scaled": "ECE scaled",
}
"""Columns of ``disagreement_table``; a corpus for which a measure makes no sense has no column for it."""

DISAGREEMENT_CAPTION = "Disagreement of the raters, and of the model"

HALVES = "Human: half of the raters against the other half"


def halves_of(rows: list[Row]) -> dict[str, np.ndarray]:
    """One half of the raters against the other, (F,) by measure, from the row that has most folds; empty where a fold has no
    figure. It is of the votes alone, and therefore the same for every seed.
    """
    full = fullest(rows)
    found = [half_of_raters(run.predictions[full.columns.votes].to_numpy()) for run in full.first_seed().values()]
    if not all(found):
        return {}
    names = dict.fromkeys(name for one in found for name in one)
    return {name: np.array([one.get(name, np.nan) for one in found]) for name in names}


def disagreement_table(
    rows: list[Row], found: dict[str, dict[str, np.ndarray]], halves: dict[str, np.ndarray]
) -> Table:
    """Measures of predicted against voted distributions of every row, from ``distributions_of``; then ``halves_of`` them."""
    names = [name for name in DISAGREEMENT if any(name in found[row.name] for row in rows)]

    def texts(values: dict[str, np.ndarray], without: str) -> list[str]:
        return [mean_std_text(values[name]) if name in values else without for name in names]

    lines = [[row.title, *texts(found[row.name], NOT_DEFINED)] for row in rows]
    if halves:
        lines.append([HALVES, *texts(halves, "")])
    return Table(["", *(DISAGREEMENT[name] for name in names)], lines, DISAGREEMENT_CAPTION)


def disagreement_note(rows: list[Row], found: dict[str, dict[str, np.ndarray]], halves: dict[str, np.ndarray]) -> str:
    """What the columns of ``disagreement_table`` are."""
    has_entropy = any("entropy_correlation" in found[row.name] for row in rows)
    return " ".join(
        [
            "Second table: L1 is the Manhattan distance to the votes, 0 to 2. Soft micro-F1 is the F1 of shares, and equals 1 − L1 / 2. "
            "Macro-F1 > 1/K is over all emotions with a share above 1/K, several a segment.",
            *(["Entropy ρ is Spearman's correlation of predicted and vote entropy."] if has_entropy else []),
            "ECE scaled is ECE after temperature scaling: the temperature of a dialogue is fitted on other dialogues of the reported "
            "fold, under every protocol.",
            *(
                [f"{HALVES}, in {N_SPLITS} random splits of the votes; it is a reference and no upper bound."]
                if halves
                else []
            ),
        ]
    )


def has_published(rows: list[Row]) -> bool:
    """Whether the rows are of the corpora that the published figures are of, and were trained on them as well."""
    results = [run.result for row in rows for run in row.runs.values()]
    is_across = any(result["protocol"] == "cross_corpus" for result in results)
    return not is_across and {corpus for result in results for corpus in result["corpora"]} <= CORPORA.keys()


def published_table(rows: list[Row]) -> Table:
    """Our figures beside those of ``PUBLISHED``, for the rows that are in it."""
    lines = []
    for row in rows:
        for metric, (mean, std) in PUBLISHED.get(row.name, {}).items():
            ours = row.values(metric, "best_epoch_per_metric")
            difference = NOT_DEFINED if np.isnan(ours).any() else signed(ours.mean() - mean)
            lines.append([row.title, METRICS[metric], f"{short(mean)} ± {short(std)}", mean_std_text(ours), difference])
    return Table(["", "metric", "published", "ours", "ours − published"], lines)
