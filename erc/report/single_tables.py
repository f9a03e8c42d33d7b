"""Each table of a grid as a value: means, intervals, comparisons, label distributions, published figures."""

from __future__ import annotations

import numpy as np

from erc.evaluation import AGREEMENT_STRATA, Interval, holm
from erc.report.comparisons import compare_rows, distribution_metrics
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


COMPARISON_NOTE = (
    "Difference = row minus reference. p (t): corrected resampled t-test over folds (Nadeau and Bengio, 2003), conservative for "
    "one five-fold cross-validation. p (bootstrap): paired bootstrap over dialogues within folds. Both Holm-corrected over this "
    "table."
)

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
        lines.append(["Majority", *(mean_std_text(_majority(rows, metric, corpus)) for metric in METRICS)])
    return Table(["", *METRICS.values()], lines, caption)


def _majority(rows: list[Row], metric: str, corpus: str | None) -> np.ndarray:
    """Majority figures of each fold, from the row that has most folds."""
    results = [run.result for run in _fullest(rows).first_seed().values()]
    parts = [one["majority"] if corpus is None else one["majority_by_corpus"].get(corpus, {}) for one in results]
    found = [part.get(metric) for part in parts]
    return np.array([np.nan if value is None else value for value in found])


def _fullest(rows: list[Row]) -> Row:
    """The first of the rows that have most folds."""
    return max(rows, key=lambda row: len(row.folds))


def interval_table(rows: list[Row], intervals: dict[str, dict[str, Interval]]) -> Table:
    """95 % interval of each metric's mean over folds, from the ``interval`` of each row by its name."""
    lines = [[row.title, *(_ends(intervals[row.name][metric]) for metric in METRICS)] for row in rows]
    caption = "95 % intervals of reading `selected` (bootstrap over dialogues within folds)"
    return Table(["", *METRICS.values()], lines, caption)


def _ends(found: Interval) -> str:
    return ends_text(float(found.low), float(found.high))


def comparison_table(rows: list[Row], base: Row, n_resamples: int) -> Table:
    """Every row against ``base`` on the folds of both, with p corrected (Holm) over the table."""
    others = [row for row in rows if row is not base and set(row.folds) & set(base.folds)]
    found = {
        (row.name, metric): value for row in others for metric, value in compare_rows(row, base, n_resamples).items()
    }
    keys = [(row.name, metric) for row in others for metric in COMPARED]
    corrected = {
        kind: dict(zip(keys, holm(np.array([found[key][kind] for key in keys])), strict=True))
        for kind in ("p_t", "p_bootstrap")
    }
    lines = []
    for row in others:
        for metric in COMPARED:
            one = found[row.name, metric]
            p_values = [short_p(corrected[kind][row.name, metric]) for kind in ("p_t", "p_bootstrap")]
            lines.append([row.title, METRICS[metric], *difference_texts(one), *p_values, str(one["n_folds"])])
    return Table(["", "metric", "difference", "95 % interval", "p (t)", "p (bootstrap)", "folds"], lines)


def difference_texts(one: dict[str, float]) -> tuple[str, str]:
    """Difference and interval of one metric of ``compare_rows``."""
    return signed(one["difference"]), ends_text(one["low"], one["high"], with_sign=True)


def distribution_table(rows: list[Row]) -> Table:
    """``distribution_metrics`` of every row, by the lowest seed of each fold; then one rater against the others."""
    strata = AGREEMENT_STRATA[::-1]
    names = ("jsd", "ce", "ece", *(f"f1_{stratum}" for stratum in strata))
    lines = []
    for row in rows:
        per_fold = [distribution_metrics(run.predictions) for run in row.first_seed().values()]
        lines.append([row.title, *(mean_std_text(np.array([one[name] for one in per_fold])) for name in names)])
    human = [run.result["human"] for run in _fullest(rows).first_seed().values()]
    if all(human):
        titles = {"weighted_f1": "weighted F1", "ccc_arousal": "CCC(aro)", "ccc_valence": "CCC(val)"}
        means = {name: float(np.mean([np.nan if one[name] is None else one[name] for one in human])) for name in titles}
        text = ", ".join(f"{title} {short(means[name])}" for name, title in titles.items())
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
