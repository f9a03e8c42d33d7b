"""Run folders -> ``table.md``, ``table.csv``, ``table.tex``: what goes into the paper, and how sure it is.

Comes in: ``<grid>/<row>/fold<k>-seed<s>/`` with ``result.json`` and ``predictions.csv``. No model is loaded.
Conventions:

- mean ± sample standard deviation (n - 1) over folds; several seeds of a fold are averaged first.
- Two readings, never mixed: ``selected`` (all metrics at the one selected checkpoint) and ``best_epoch_per_metric``
  (each metric's own maximum over epochs on the reported fold: what the paper printed, and optimistic).
- Intervals and tests take the lowest seed's predictions; segments are resampled by dialogue within their fold.
- An unfinished row says so ("3/5 folds"); nothing is filled in.

``python -m fire erc.report.tables build runs/paper`` writes and prints; ``… compare runs/paper ROW_A ROW_B`` any two rows.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from erc import statistics as st
from erc.corpora import N_FOLDS
from erc.labels import N_RATERS
from erc.results import PROB, SOFT
from erc.runs import finished_result, write_atomically

METRICS = {
    "weighted_f1": "Weighted-F1",
    "micro_f1": "Micro-F1",
    "macro_f1": "Macro-F1",
    "uar": "UAR",
    "ccc_arousal": "CCC(aro)",
    "ccc_valence": "CCC(val)",
}
COMPARED = ("weighted_f1", "ccc_arousal", "ccc_valence")
READINGS = {
    "selected": "all metrics at the one selected checkpoint",
    "best_epoch_per_metric": "each metric's best epoch on the reported fold, as published",
}
FUSIONS = {
    "concat": "Concatenation",
    "cross_attention": "Cross-attention",
    "tensor_mixer": "Tensor Mixer Network",
    "audio_only": "Audio only",
    "text_only": "Text only",
}
TARGETS = {"hard": "hard", "soft": "soft", "peakl": "PeakL"}
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


@dataclass
class Run:
    """One finished cell."""

    folder: Path
    result: dict

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """``predictions.csv`` with a column ``dialogue`` that is unique over both corpora."""
        # Python's float reads back exactly what was written; pandas' fast reader may miss by a digit
        exact = dict.fromkeys([*SOFT, *PROB, "valence", "arousal", "pred_valence", "pred_arousal"], float)
        table = pd.read_csv(self.folder / "predictions.csv", converters=exact)
        # Sess01_script01_F001 and Sess01_script01_User001F_001: the first two parts are the recording
        parts = table["segment_id"].str.split("_", n=2)
        return table.assign(dialogue=table["corpus"] + ":" + parts.str[0] + "_" + parts.str[1])


@dataclass
class Row:
    """All finished runs of one fusion and one label kind."""

    name: str
    runs: dict[tuple[int, int], Run] = field(default_factory=dict)
    """By fold and seed."""

    @property
    def folds(self) -> list[int]:
        """Folds with a finished run."""
        return sorted({fold for fold, _ in self.runs})

    @property
    def title(self) -> str:
        """For people."""
        run = next(iter(self.runs.values())).result
        title = f"{FUSIONS.get(run['fusion'], run['fusion'])}, {TARGETS.get(run['target'], run['target'])}"
        return title if len(self.folds) == N_FOLDS else f"{title} ({len(self.folds)}/{N_FOLDS} folds)"

    def values(self, metric: str, reading: str = "selected", corpus: str | None = None) -> np.ndarray:
        """One value per fold, in the order of ``folds``: mean over the fold's seeds; NaN where it is not defined."""
        return np.array(
            [
                np.mean([_value(run.result, metric, reading, corpus) for (f, _), run in self.runs.items() if f == fold])
                for fold in self.folds
            ]
        )

    def first_seed(self) -> dict[int, Run]:
        """Run of the lowest seed of each fold."""
        return {fold: self.runs[min(key for key in self.runs if key[0] == fold)] for fold in self.folds}


def _value(result: dict, metric: str, reading: str, corpus: str | None) -> float:
    if reading == "best_epoch_per_metric":
        value = result["best_epoch_per_metric"].get(metric, {}).get("value")
    elif corpus is None:
        value = result["selected"]["metrics"].get(metric)
    else:
        value = result["selected"]["metrics_by_corpus"].get(corpus, {}).get(metric)
    return float("nan") if value is None else float(value)


def load(folder: str | Path) -> list[Row]:
    """Finished rows of a grid, fusion by fusion in the paper's order.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: The cells are not of one protocol.
    """
    rows: dict[str, Row] = {}
    for path in sorted(Path(folder).glob("*/fold*-seed*/result.json")):
        result = finished_result(path.parent)
        if result is None:
            continue  # cut: runs.status calls it unfinished, and the grid trains it again
        row = rows.setdefault(path.parent.parent.name, Row(path.parent.parent.name))
        row.runs[result["fold"], result["seed"]] = Run(path.parent, result)
    if not rows:
        raise FileNotFoundError(
            f"A table needs finished cells, <row>/fold<k>-seed<s>/result.json: {folder} holds none."
        )
    protocols = {run.result["protocol"] for row in rows.values() for run in row.runs.values()}
    if len(protocols) > 1:
        raise ValueError(
            f"A table is of one protocol: {folder} holds {' and '.join(sorted(protocols))}. Use two folders."
        )
    kinds = list(TARGETS)

    def place(row: Row) -> tuple:
        result = next(iter(row.runs.values())).result
        fusion, target = result["fusion"], result["target"]
        return (
            list(FUSIONS).index(fusion) if fusion in FUSIONS else 99,
            kinds.index(target) if target in kinds else 9,
            row.name,
        )

    return sorted(rows.values(), key=place)


def build(folder: str, reference: str | None = None, n_resamples: int = 2000) -> str:
    """Writes ``table.md``, ``table.csv`` and ``table.tex`` into a grid's folder.

    Args:
        folder: The grid's folder.
        reference: Row that the others are compared with; the last tensor mixer row, or the last row, where not given.
        n_resamples: Of the bootstrap.

    Returns:
        The text of ``table.md``.
    """
    rows = load(folder)
    names = [row.name for row in rows]
    if reference is None:
        reference = "tensor_mixer_peakl" if "tensor_mixer_peakl" in names else names[-1]
    if reference not in names:
        raise ValueError(f"reference must be a finished row, one of {', '.join(names)}: got {reference!r}.")
    results = [run.result for row in rows for run in row.runs.values()]
    protocol = results[0]["protocol"]
    # a corpus of which a fold has no segment gives no column
    corpora = sorted({name for result in results for name in result["selected"]["metrics_by_corpus"]})
    is_sample = any(result["experiment"].split("/")[0] == "demo" for result in results)
    intervals = {row.name: interval(row, n_resamples) for row in rows}

    parts = [
        f"# {Path(folder).name}\n",
        f"protocol={protocol}: "
        + (
            "the checkpoint is chosen on the fold that is reported, as published (optimistic)."
            if protocol == "paper"
            else "fold k reports, fold k + 1 chooses, the rest trains."
        ),
        "Mean ± sample standard deviation over folds; seeds "
        + ", ".join(map(str, sorted({r["seed"] for r in results})))
        + ".",
    ]
    if is_sample:
        parts.append(
            "**Synthetic sample corpus: these figures show that the pipeline works, and say nothing about people.**"
        )
    for reading, what in READINGS.items():
        parts += [f"\n## Reading `{reading}`: {what}\n", _markdown(*_main_table(rows, reading))]
    parts += ["\n95 % intervals of reading `selected` (bootstrap over dialogues within folds):\n"]
    parts.append(_markdown(*_interval_table(rows, intervals)))
    for corpus in corpora if len(corpora) > 1 else []:
        parts += [f"\n## {corpus} alone, reading `selected`\n", _markdown(*_main_table(rows, "selected", corpus))]
    parts += [f"\n## Against {reference}, reading `selected`\n", COMPARISON_NOTE, ""]
    parts.append(_markdown(*_comparison_table(rows, reference, n_resamples)))
    parts += [
        "\n## Label distributions, reading `selected`\n",
        DISTRIBUTION_NOTE,
        "",
        _markdown(*_distribution_table(rows)),
    ]
    parts += ["\n## Beside the published figures, reading `best_epoch_per_metric`\n"]
    if is_sample:
        parts.append(
            "The published figures are of KEMDy19 and KEMDy20; ours here are of a synthetic corpus and not comparable.\n"
        )
    parts.append(_markdown(*_published_table(rows)))
    text = "\n".join(parts) + "\n"
    folder = Path(folder)
    write_atomically(folder / "table.md", text)
    write_atomically(folder / "table.csv", _csv(rows, intervals, corpora))
    write_atomically(folder / "table.tex", _latex(rows, protocol, is_sample))
    return text


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


def _main_table(rows: list[Row], reading: str, corpus: str | None = None) -> tuple[list[str], list[list[str]]]:
    lines = [[row.title, *(_mean_std(row.values(metric, reading, corpus)) for metric in METRICS)] for row in rows]
    if reading == "selected":
        lines.append(["Majority", *(_mean_std(_majority(rows, metric, corpus)) for metric in METRICS)])
    return ["", *METRICS.values()], lines


def _majority(rows: list[Row], metric: str, corpus: str | None) -> np.ndarray:
    """Majority figures of each fold, from the row that has most folds."""
    row = max(rows, key=lambda row: len(row.folds))
    results = [run.result for run in row.first_seed().values()]
    parts = [one["majority"] if corpus is None else one["majority_by_corpus"].get(corpus, {}) for one in results]
    found = [part.get(metric) for part in parts]
    return np.array([np.nan if value is None else value for value in found])


def _mean_std(values: np.ndarray) -> str:
    mean, std = st.mean_and_std(values)
    if np.isnan(mean):
        return "–"
    return short(mean) if np.isnan(std) else f"{short(mean)} ± {short(std)}"


def short(value: float) -> str:
    """Three decimals without the leading zero, as the paper prints, with a minus sign; – for NaN."""
    return "–" if np.isnan(value) else re.sub(r"^(-?)0\.", r"\1.", f"{round(value, 3) + 0.0:.3f}").replace("-", "−")


def interval(row: Row, n_resamples: int = 2000) -> dict[str, st.Interval]:
    """95 % interval of each metric's mean over folds; NaN ends where a fold has one dialogue only."""
    runs = row.first_seed()
    found = {}
    for statistic, folds, clusters, names in _statistics(runs):
        result = st.cluster_bootstrap(statistic, folds, clusters, n_resamples=n_resamples)
        for index, name in enumerate(names):
            ends = (np.atleast_1d(part)[index] for part in (result.estimate, result.low, result.high))
            found[name] = st.Interval(*(float(end) for end in ends))
    return found


def _statistics(runs: dict[int, Run]):
    """(statistic, folds, clusters, metric names) of the F1 family and of both concordances, over untied segments."""
    table = pd.concat([run.predictions.assign(fold=fold) for fold, run in runs.items()], ignore_index=True)
    table = table[~table["is_tied"]]
    folds, clusters = table["fold"].to_numpy(), table["dialogue"].to_numpy()
    truth, prediction = table["hard_label"].to_numpy(), table[PROB].to_numpy().argmax(axis=1)
    yield (
        st.confusion_sums(truth=truth, prediction=prediction, clusters=clusters),
        folds,
        clusters,
        st.CONFUSION_METRICS,
    )
    for name in ("arousal", "valence"):
        sums = st.moment_sums(
            truth=table[name].to_numpy(), prediction=table[f"pred_{name}"].to_numpy(), clusters=clusters
        )
        yield sums, folds, clusters, (f"ccc_{name}",)


def _interval_table(rows: list[Row], intervals: dict) -> tuple[list[str], list[list[str]]]:
    def text(found: st.Interval) -> str:
        return "–" if np.isnan(found.low) else f"{short(found.low)} to {short(found.high)}"

    return ["", *METRICS.values()], [
        [row.title, *(text(intervals[row.name][metric]) for metric in METRICS)] for row in rows
    ]


def compare(folder: str, row_a: str, row_b: str, n_resamples: int = 2000) -> str:
    """Any two rows of a grid as a table: ``differences``, its p corrected (Holm) over the metrics of this table."""
    found = differences(folder, row_a, row_b, n_resamples)
    corrected = {kind: st.holm(np.array([one[kind] for one in found.values()])) for kind in ("p_t", "p_bootstrap")}
    lines = [
        [METRICS[metric], *_difference(one), *(short_p(corrected[kind][index]) for kind in corrected)]
        for index, (metric, one) in enumerate(found.items())
    ]
    n_folds = next(iter(found.values()))["n_folds"]
    title = f"{row_a} minus {row_b}, reading `selected`, {n_folds} folds; both p Holm-corrected over this table"
    return f"{title}\n\n{_markdown(['', 'difference', '95 % interval', 'p (t)', 'p (bootstrap)'], lines)}"


def differences(folder: str, row_a: str, row_b: str, n_resamples: int = 2000) -> dict[str, dict[str, float]]:
    """Any two rows on the folds that both have: difference A - B, interval, p of both tests (not corrected), by metric.

    Raises:
        ValueError: A row is not there, they share no fold, or they were not scored on the same segments.
    """
    rows = {row.name: row for row in load(folder)}
    missing = [name for name in (row_a, row_b) if name not in rows]
    if missing:
        raise ValueError(f"Rows must be finished: {', '.join(missing)} is not among {', '.join(rows)}.")
    return _compare(rows[row_a], rows[row_b], n_resamples)


def _compare(a: Row, b: Row, n_resamples: int) -> dict[str, dict[str, float]]:
    shared = [fold for fold in a.folds if fold in b.folds]
    if not shared:
        raise ValueError(f"Rows are compared on folds that both have: {a.name} has {a.folds}, {b.name} has {b.folds}.")
    runs_a, runs_b = ({fold: row.first_seed()[fold] for fold in shared} for row in (a, b))
    for fold in shared:
        if not runs_a[fold].predictions["segment_id"].equals(runs_b[fold].predictions["segment_id"]):
            raise ValueError(f"Rows must be scored on the same segments: {a.name} and {b.name} are not in fold {fold}.")
    n_train = np.mean([runs_a[fold].result["n_train"] for fold in shared])
    n_test = np.mean([runs_a[fold].result["n_valid"] for fold in shared])
    found = {}
    for (of_a, folds, clusters, names), (of_b, *_) in zip(_statistics(runs_a), _statistics(runs_b), strict=True):
        paired = st.paired_bootstrap(of_a, of_b, folds, clusters, n_resamples=n_resamples)
        for index, name in enumerate(names):
            of_folds = [_by_fold(row, name, shared) for row in (a, b)]
            test = (
                st.corrected_resampled_t_test(of_folds[0] - of_folds[1], n_train, n_test) if len(shared) > 1 else None
            )
            found[name] = {
                "difference": float(np.atleast_1d(paired.difference)[index]),
                "low": float(np.atleast_1d(paired.low)[index]),
                "high": float(np.atleast_1d(paired.high)[index]),
                "p_bootstrap": float(np.atleast_1d(paired.p_value)[index]),
                "p_t": float(test.p_value) if test else float("nan"),
                "n_folds": len(shared),
            }
    return found


def _by_fold(row: Row, metric: str, folds: list[int]) -> np.ndarray:
    values = dict(zip(row.folds, row.values(metric), strict=True))
    return np.array([values[fold] for fold in folds])


def _comparison_table(rows: list[Row], reference: str, n_resamples: int) -> tuple[list[str], list[list[str]]]:
    base = next(row for row in rows if row.name == reference)
    others = [row for row in rows if row is not base and set(row.folds) & set(base.folds)]
    found = {(row.name, metric): value for row in others for metric, value in _compare(row, base, n_resamples).items()}
    keys = [(row.name, metric) for row in others for metric in COMPARED]
    corrected = {
        kind: dict(zip(keys, st.holm(np.array([found[key][kind] for key in keys])), strict=True))
        for kind in ("p_t", "p_bootstrap")
    }
    lines = []
    for row in others:
        for metric in COMPARED:
            one = found[row.name, metric]
            p_values = [short_p(corrected[kind][row.name, metric]) for kind in ("p_t", "p_bootstrap")]
            lines.append([row.title, METRICS[metric], *_difference(one), *p_values, str(one["n_folds"])])
    return ["", "metric", "difference", "95 % interval", "p (t)", "p (bootstrap)", "folds"], lines


def _difference(one: dict[str, float]) -> tuple[str, str]:
    ends = "–" if np.isnan(one["low"]) else f"{_signed(one['low'])} to {_signed(one['high'])}"
    return _signed(one["difference"]), ends


def _signed(value: float) -> str:
    return ("+" if round(value, 3) >= 0 else "−") + short(abs(value))


def short_p(value: float) -> str:
    """A p value as ``short``, or that it is less than that can show."""
    if np.isnan(value):
        return "–"
    return "< .001" if value < 0.001 else short(value)


def _distribution_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    strata = st.AGREEMENT_STRATA[::-1]
    lines = [[row.title, *_distribution_values(row, strata)] for row in rows]
    human = [run.result.get("human") for run in max(rows, key=lambda row: len(row.folds)).first_seed().values()]
    if all(human):
        names = {"weighted_f1": "weighted F1", "ccc_arousal": "CCC(aro)", "ccc_valence": "CCC(val)"}
        means = {name: np.mean([np.nan if one[name] is None else one[name] for one in human]) for name in names}
        text = ", ".join(f"{title} {short(means[name])}" for name, title in names.items())
        lines.append([f"Human: {text}", *[""] * (3 + len(strata))])
    return ["", "JSD", "CE", "ECE", *(f"F1 {stratum}" for stratum in strata)], lines


def _distribution_values(row: Row, strata: tuple[str, ...]) -> list[str]:
    values: dict[str, list[float]] = {}
    for run in row.first_seed().values():
        for name, value in distribution_metrics(run.predictions).items():
            values.setdefault(name, []).append(value)
    return [
        _mean_std(np.array(values[name])) for name in ("jsd", "ce", "ece", *(f"f1_{stratum}" for stratum in strata))
    ]


def distribution_metrics(table: pd.DataFrame) -> dict[str, float]:
    """How near predicted distributions are to the raters', of one fold's predictions.

    Returns:
        jsd, ce (all segments), ece (untied), and f1_<stratum>: weighted F1 of the untied segments of which so many of ten raters
        agree; NaN where there is none.
    """
    soft, probs = table[SOFT].to_numpy(), table[PROB].to_numpy()
    untied = ~table["is_tied"].to_numpy()
    hard = table["hard_label"].to_numpy()
    found = {
        "jsd": st.jensen_shannon_divergence(truth=soft, prediction=probs),
        "ce": st.cross_entropy(truth=soft, prediction=probs),
        "ece": st.expected_calibration_error(hard_label=hard[untied], probs=probs[untied]),
    }
    stratum = st.agreement_stratum(np.rint(soft * N_RATERS).astype(np.int64))
    for name in st.AGREEMENT_STRATA:
        chosen = untied & (stratum == name)
        confusion = np.zeros((probs.shape[1],) * 2)
        np.add.at(confusion, (hard[chosen], probs[chosen].argmax(axis=1)), 1)
        scores = st.confusion_scores(confusion) if chosen.any() else [np.nan]
        found[f"f1_{name}"] = float(scores[0])
    return found


def _published_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    lines = []
    for row in rows:
        for metric, (mean, std) in PUBLISHED.get(row.name, {}).items():
            ours = row.values(metric, "best_epoch_per_metric")
            difference = "–" if np.isnan(ours).any() else _signed(ours.mean() - mean)
            lines.append([row.title, METRICS[metric], f"{short(mean)} ± {short(std)}", _mean_std(ours), difference])
    return ["", "metric", "published", "ours", "ours − published"], lines


def _markdown(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _csv(rows: list[Row], intervals: dict, corpora: list[str]) -> str:
    """Long form: one line per row, part of the data, reading and metric; full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["row", "corpus", "reading", "metric", "mean", "std", "n_folds", "low", "high", "folds", "values"])
    for row in rows:
        for reading in READINGS:
            for corpus in [None, *(corpora if reading == "selected" else [])]:
                for metric in METRICS:
                    values = row.values(metric, reading, corpus)
                    ends = intervals[row.name][metric] if reading == "selected" and corpus is None else None
                    writer.writerow(
                        [row.name, corpus or "all", reading, metric, *map(repr, map(float, st.mean_and_std(values)))]
                        + [len(values), *(("", "") if ends is None else (repr(ends.low), repr(ends.high)))]
                        + [" ".join(map(str, row.folds)), " ".join(repr(float(value)) for value in values)]
                    )
    return stream.getvalue()


def _latex(rows: list[Row], protocol: str, is_sample: bool) -> str:
    header, lines = _main_table(rows, "selected")
    caption = (
        f"Mean $\\pm$ sample standard deviation over folds; protocol \\texttt{{{protocol}}}, all metrics at the selected "
        "checkpoint."
    )
    if is_sample:
        caption += " Synthetic sample corpus."

    def cells(texts: list[str]) -> str:
        return (
            " & ".join(text.replace("±", "$\\pm$").replace("−", "$-$").replace("–", "--") for text in texts) + " \\\\"
        )

    body = [cells(header), "\\midrule", *(cells(line) for line in lines[:-1]), "\\midrule", cells(lines[-1])]
    return (
        "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n"
        f"\\caption{{{caption}}}\n\\begin{{tabular}}{{l{'c' * len(METRICS)}}}\n\\toprule\n"
        + "\n".join(body)
        + "\n\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )
