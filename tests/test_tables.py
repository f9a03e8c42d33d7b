"""The paper's table from run folders that are written here by hand: every figure again by scikit-learn, NumPy and SciPy."""

from __future__ import annotations

import csv
import functools
import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from erc import statistics as st
from erc.report import tables
from erc.results import COLUMNS, PROB, SOFT

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # scikit-learn's, of our oracle

ROOT = Path(__file__).resolve().parents[1]
FOLDS = range(5)
NAMES = ("weighted_f1", "micro_f1", "macro_f1", "uar", "ccc_arousal", "ccc_valence")
"""Order of the table's columns: that of the published one, macro F1 and UAR put in."""
HEADER = ["", "Weighted-F1", "Micro-F1", "Macro-F1", "UAR", "CCC(aro)", "CCC(val)"]
SKILL = {"concat_hard": 0.1, "cross_attention_peakl": 0.3, "tensor_mixer_peakl": 0.45}
OPTIMISM = 0.03125
"""What ``best_epoch_per_metric`` is above ``selected`` in the folders written here."""


# --- run folders by hand ----------------------------------------------------------------------------------------------
def make_truth(fold: int, n_dialogues: int = 4, corpora: tuple[str, ...] = ("kemdy19", "kemdy20")) -> pd.DataFrame:
    """Labels of a fold: dialogues of one to nine segments; the same for every row of the table."""
    rng = np.random.default_rng([7, fold])
    ids = []
    for corpus in corpora:
        for dialogue in range(1, n_dialogues + 1):
            start = f"Sess{4 * fold + 1:02d}_script{dialogue:02d}"
            person = "F" if corpus == "kemdy19" else "User001F_"
            ids += [(f"{start}_{person}{i:03d}", corpus) for i in range(1, rng.integers(2, 11))]
    table = pd.DataFrame(sorted(ids), columns=["segment_id", "corpus"])
    votes = np.stack([rng.multinomial(10, rng.dirichlet(np.full(7, 0.3))) for _ in ids])
    table["speaker"] = "Sess01F"
    table[SOFT] = votes / 10
    table["hard_label"] = votes.argmax(axis=1)
    table["is_tied"] = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    table[["valence", "arousal"]] = rng.integers(10, 51, size=(len(ids), 2)) / 10
    return table


def predict(truth: pd.DataFrame, skill: float, seed: list[int]) -> pd.DataFrame:
    """Random predictions that know of the truth as much as ``skill`` (0 to 1) says."""
    rng = np.random.default_rng(seed)
    table, n = truth.copy(), len(truth)
    table[PROB] = skill * truth[SOFT].to_numpy() + (1 - skill) * rng.dirichlet(np.ones(7), size=n)
    for name in ("valence", "arousal"):
        table[f"pred_{name}"] = skill * truth[name] + (1 - skill) * rng.normal(3, 1, size=n)
    return table[COLUMNS]


@functools.cache
def score_of(row: str, fold: int, seed: int = 42, corpus: str | None = None) -> dict[str, float]:
    """``score`` of a cell that is written here, or of one corpus in it."""
    table = table_of(row, fold, seed)
    return score(table if corpus is None else table[table["corpus"] == corpus])


def quick_score(labels: np.ndarray) -> dict[str, float]:
    """``score`` from an (N, 6) array of label, guess, valence, predicted valence, arousal, predicted arousal: for bootstraps."""
    truth, guess = labels[:, 0], labels[:, 1]
    classes = sorted(set(truth) | set(guess))
    f1 = [2 * ((truth == k) & (guess == k)).sum() / ((truth == k).sum() + (guess == k).sum()) for k in classes]
    share = [(truth == k).mean() for k in classes]
    return {
        "weighted_f1": float(np.dot(f1, share)),
        "macro_f1": float(np.mean(f1)),
        "micro_f1": float((truth == guess).mean()),
        "uar": float(np.mean([(guess[truth == k] == k).mean() for k in sorted(set(truth))])),
        "ccc_valence": lin(labels[:, 2], labels[:, 3]),
        "ccc_arousal": lin(labels[:, 4], labels[:, 5]),
    }


def as_labels(table: pd.DataFrame) -> np.ndarray:
    """Untied segments as ``quick_score`` reads them."""
    table = table[~table["is_tied"]]
    guess = table[PROB].to_numpy().argmax(axis=1)
    columns = ["valence", "pred_valence", "arousal", "pred_arousal"]
    return np.column_stack([table["hard_label"], guess, table[columns]])


def lin(x: np.ndarray, y: np.ndarray) -> float:
    """Concordance (Lin 1989), moments divided by n."""
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def score(table: pd.DataFrame) -> dict[str, float]:
    """Metrics over the untied segments without a line of this repository's."""
    scored = table[~table["is_tied"]]
    truth, guess = scored["hard_label"], scored[PROB].to_numpy().argmax(axis=1)
    averages = {f"{how}_f1": f1_score(truth, guess, average=how, zero_division=0) for how in ("weighted", "macro")}
    return averages | {
        "micro_f1": accuracy_score(truth, guess),
        "uar": balanced_accuracy_score(truth, guess),
        **{
            f"ccc_{name}": lin(scored[name].to_numpy(), scored[f"pred_{name}"].to_numpy())
            for name in ("valence", "arousal")
        },
    }


def write_cell(out: Path, row: str, fold: int, table: pd.DataFrame, seed: int = 42, **changes) -> None:
    """A finished cell; ``changes`` go into its result."""
    fusion, target = row.rsplit("_", 1)
    metrics = score(table)
    result = {
        "schema": 1, "experiment": row, "fusion": fusion, "target": target, "fold": fold, "protocol": "paper",
        "seed": seed, "corpora": sorted(table["corpus"].unique()), "n_train": 400 + fold, "n_valid": len(table),
        "selected": {
            "epoch": 3,
            "metrics": metrics,
            "metrics_by_corpus": {name: score(part) for name, part in table.groupby("corpus")},
        },
        "best_epoch_per_metric": {name: {"epoch": 1, "value": value + OPTIMISM} for name, value in metrics.items()},
        "history": [],
        "majority": {name: 0.1 + fold / 64 for name in NAMES},
        "majority_by_corpus": {corpus: {name: 0.3 + fold / 64 for name in NAMES} for corpus in table["corpus"].unique()},
        "human": {"weighted_f1": 0.5 + fold / 64, "ccc_valence": 0.25, "ccc_arousal": 0.375},
        "fingerprint": "0" * 16,
    } | changes  # fmt: skip
    folder = out / row / f"fold{fold}-seed{seed}"
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / "result.json").write_text(json.dumps(result, allow_nan=False), encoding="utf-8")


def table_of(row: str, fold: int, seed: int = 42, **shape) -> pd.DataFrame:
    return predict(make_truth(fold, **shape), SKILL[row], [list(SKILL).index(row), fold, seed])


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """Three rows: five folds of two, three folds of the first; the second fold of the last with two seeds."""
    out = tmp_path_factory.mktemp("grids") / "paper"
    for row in SKILL:
        for fold in FOLDS[:3] if row == "concat_hard" else FOLDS:
            write_cell(out, row, fold, table_of(row, fold))
    write_cell(out, "tensor_mixer_peakl", 1, table_of("tensor_mixer_peakl", 1, seed=7), seed=7)
    return out


@pytest.fixture(scope="module")
def text(out) -> str:
    return tables.build(str(out), n_resamples=200)


@pytest.fixture(scope="module")
def rows(out) -> dict[str, tables.Row]:
    return {row.name: row for row in tables.load(out)}


def read_markdown(text: str) -> dict[str, list[list[str]]]:
    """Cells of the tables of a text, by the heading above each; a second table under one heading as ``heading/2``."""
    found: dict[str, list[list[str]]] = {}
    heading, inside = "", False
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").split(":")[0]
        if line.startswith("|"):
            if not inside:
                key = heading if heading not in found else f"{heading}/2"
                found[key] = []
            found[key].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return {key: [cells for cells in lines if set("".join(cells)) != {"-"}] for key, lines in found.items()}


def shown(value: float) -> str:
    """A figure as the paper prints it: three decimals, no zero in front, a minus sign."""
    return ("−" if value < 0 else "") + re.sub(r"^0\.", ".", f"{abs(value):.3f}")


def shown_pair(values) -> str:
    return f"{shown(np.mean(values))} ± {shown(np.std(values, ddof=1))}"


SELECTED = "Reading `selected`"
BEST = "Reading `best_epoch_per_metric`"
TITLES = ["Concatenation, hard (3/5 folds)", "Cross-attention, PeakL", "Tensor Mixer Network, PeakL"]


# --- means over folds -------------------------------------------------------------------------------------------------
def values_of(row: str, metric: str) -> list[float]:
    """The metric of each fold by scikit-learn; where a fold has two seeds, their mean."""
    found = []
    for fold in FOLDS[:3] if row == "concat_hard" else FOLDS:
        seeds = (42, 7) if (row, fold) == ("tensor_mixer_peakl", 1) else (42,)
        found.append(float(np.mean([score_of(row, fold, seed)[metric] for seed in seeds])))
    return found


def test_the_main_table_holds_mean_and_sample_deviation_over_folds(text):
    header, *lines = read_markdown(text)[SELECTED]
    assert header == HEADER
    assert [line[0] for line in lines] == [*TITLES, "Majority"]
    for line, row in zip(lines, SKILL, strict=False):
        assert line[1:] == [shown_pair(values_of(row, metric)) for metric in NAMES]
    # by hand: folds 0 to 4 have .1 + fold / 64; mean .1 + 2 / 64, sample deviation sqrt(10 / 4) / 64
    assert lines[-1][1:] == [f"{shown(0.1 + 2 / 64)} ± {shown(math.sqrt(2.5) / 64)}"] * 6


def test_the_two_readings_are_kept_apart(text):
    found = read_markdown(text)
    for line, row in zip(found[BEST][1:], SKILL, strict=True):  # and no majority row
        assert line[1:] == [shown_pair(np.array(values_of(row, metric)) + OPTIMISM) for metric in NAMES]
    selected = {cell for line in found[SELECTED][1:] for cell in line[1:]}
    assert not selected & {cell for line in found[BEST][1:] for cell in line[1:]}
    # everything that is inferred is of the selected reading, and says so
    assert (
        "95 % intervals of reading `selected`" in text and "## Against tensor_mixer_peakl, reading `selected`" in text
    )


def test_seeds_are_averaged_before_folds_are(rows):
    found = rows["tensor_mixer_peakl"].values("weighted_f1")
    first, second = (score_of("tensor_mixer_peakl", 1, seed)["weighted_f1"] for seed in (42, 7))
    assert len(found) == 5 and first != second
    assert found[1] == pytest.approx((first + second) / 2, abs=1e-12)
    assert rows["tensor_mixer_peakl"].first_seed()[1].result["seed"] == 7  # the lowest stands for the fold in tests


@pytest.mark.parametrize("corpus", ["kemdy19", "kemdy20"])
def test_each_corpus_has_its_own_table_and_majority(text, corpus):
    header, *lines = read_markdown(text)[f"{corpus} alone, reading `selected`"]
    assert header == HEADER
    for line, row in zip(lines[:2], SKILL, strict=False):
        folds = FOLDS[:3] if row == "concat_hard" else FOLDS
        per_fold = [score_of(row, fold, corpus=corpus) for fold in folds]
        assert line[1:] == [shown_pair([one[metric] for one in per_fold]) for metric in NAMES]
    assert lines[-1] == ["Majority", *[f"{shown(0.3 + 2 / 64)} ± {shown(math.sqrt(2.5) / 64)}"] * 6]


def test_rows_stand_in_the_paper_s_order_whatever_their_folders_are_called(tmp_path):
    truth = make_truth(0)
    order = [
        f"{fusion}_{target}"
        for fusion in ("concat", "cross_attention", "tensor_mixer", "audio_only", "text_only")
        for target in ("hard", "soft", "peakl")
    ]
    for number, row in enumerate(reversed(order)):
        write_cell(tmp_path, row, 0, predict(truth, 0.5, [number]))
    assert [row.name for row in tables.load(tmp_path)] == order


# --- intervals --------------------------------------------------------------------------------------------------------
def test_estimates_equal_scikit_learn_on_the_stored_predictions(rows):
    for name, row in rows.items():
        found = tables.interval(row, n_resamples=2)
        assert sorted(found) == sorted(NAMES)
        seeds = {1: 7} if name == "tensor_mixer_peakl" else {}
        per_fold = [score_of(name, fold, seeds.get(fold, 42)) for fold in row.folds]
        for metric in NAMES:
            assert found[metric].estimate == pytest.approx(np.mean([one[metric] for one in per_fold]), abs=1e-9), metric


def test_the_quick_oracle_of_the_bootstraps_equals_scikit_learn():
    for fold in FOLDS:
        assert quick_score(as_labels(table_of("cross_attention_peakl", fold))) == pytest.approx(
            score_of("cross_attention_peakl", fold), abs=1e-12
        )


def slow_bootstrap(row: str, folds, n_resamples: int) -> dict[str, np.ndarray]:
    """Resampled means over folds, one table glued together per resample and fold.

    Conventions of ``statistics.cluster_bootstrap``: generator 42; fold by fold, (resamples, dialogues) integers index
    the fold's dialogues in the order of their names, the corpus in front.
    """
    rng = np.random.default_rng(42)
    found: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for fold in folds:
        table = table_of(row, fold)
        table = table[~table["is_tied"]]
        name = table["corpus"] + ":" + table["segment_id"].str.extract(r"^(Sess\d\d_script\d\d)_")[0]
        parts = [as_labels(part) for _, part in table.groupby(name)]
        draws = rng.integers(len(parts), size=(n_resamples, len(parts)))
        scores = [quick_score(np.concatenate([parts[i] for i in draw])) for draw in draws]
        for metric in NAMES:
            found[metric].append(np.array([one[metric] for one in scores]))
    return {metric: np.mean(values, axis=0) for metric, values in found.items()}


def test_intervals_equal_a_slow_bootstrap_over_dialogues(rows):
    found = tables.interval(rows["concat_hard"], n_resamples=40)
    resampled = slow_bootstrap("concat_hard", FOLDS[:3], 40)
    for metric in NAMES:
        values, estimate = resampled[metric], np.mean([score_of("concat_hard", fold)[metric] for fold in FOLDS[:3]])
        z0 = stats.norm.ppf((np.mean(values < estimate - 1e-12) + np.mean(values <= estimate + 1e-12)) / 2)
        low, high = np.quantile(
            values, stats.norm.cdf([2 * z0 - stats.norm.ppf(0.975), 2 * z0 + stats.norm.ppf(0.975)])
        )
        assert (found[metric].low, found[metric].high) == pytest.approx((low, high), abs=1e-9), metric
        assert low < high
    # control: other resamples give other ends
    other = tables.interval(rows["concat_hard"], n_resamples=41)
    assert other["weighted_f1"].low != pytest.approx(found["weighted_f1"].low, abs=1e-9)


def test_the_table_shows_the_intervals(text, rows):
    lines = read_markdown(text)[f"{BEST}/2"]  # under the last heading, behind its table
    assert [line[0] for line in lines] == ["", *TITLES]
    for line, row in zip(lines[1:], rows.values(), strict=True):
        found = tables.interval(row, n_resamples=200)
        assert line[1:] == [f"{shown(found[metric].low)} to {shown(found[metric].high)}" for metric in NAMES]


def test_a_fold_of_one_dialogue_has_no_interval_and_no_bootstrap_p(tmp_path):
    for row in ("concat_hard", "tensor_mixer_peakl"):
        for fold in (0, 1):
            write_cell(tmp_path, row, fold, table_of(row, fold, n_dialogues=1, corpora=("kemdy19",)))
    found = read_markdown(tables.build(str(tmp_path), n_resamples=20))
    assert found[f"{BEST}/2"][1][1:] == ["–"] * 6
    for line in found["Against tensor_mixer_peakl, reading `selected`"][1:]:
        assert line[3] == "–" and line[5] == "–" and line[6] == "2"
    assert not [heading for heading in found if "alone" in heading]  # of one corpus, no table of its own


# --- comparisons ------------------------------------------------------------------------------------------------------
def holm_by_hand(p_values: list[float]) -> list[float]:
    """Holm (1979): the smallest times m, the next times m - 1 ..., never below the one before, at most 1."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, running)
    return adjusted


def compare_by_hand(name: str, metric: str, n_resamples: int) -> dict[str, float]:
    """Row ``name`` minus the main row on the folds of both; the lowest seed's predictions, the seeds' mean for the t-test."""
    folds = FOLDS[:3] if name == "concat_hard" else FOLDS
    base = {fold: table_of("tensor_mixer_peakl", fold, 7 if fold == 1 else 42) for fold in folds}
    ours = {fold: table_of(name, fold) for fold in folds}
    pairs = [
        pd.concat([table.assign(fold=fold) for fold, table in tables_.items()], ignore_index=True)
        for tables_ in (ours, base)
    ]
    untied = pairs[0][~pairs[0]["is_tied"]]
    clusters = (untied["corpus"] + ":" + untied["segment_id"].str[:15]).to_numpy()
    labels = [as_labels(table) for table in pairs]
    # the generic path of the bootstrap: the metric again from the segments of each resample
    found = st.paired_bootstrap(
        lambda index: quick_score(labels[0][index])[metric],
        lambda index: quick_score(labels[1][index])[metric],
        untied["fold"].to_numpy(),
        clusters,
        n_resamples=n_resamples,
    )
    differences = np.array(values_of(name, metric)) - np.array(values_of("tensor_mixer_peakl", metric))[: len(folds)]
    # Nadeau and Bengio (2003); n_train is 400 + fold in the folders written here
    share = np.mean([len(table) for table in ours.values()]) / np.mean([400 + fold for fold in folds])
    t = differences.mean() / np.sqrt((1 / len(folds) + share) * differences.var(ddof=1))
    return {
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_bootstrap": found.p_value,
        "p_t": 2 * stats.t.sf(abs(t), len(folds) - 1),
        "n_folds": len(folds),
    }


@pytest.mark.parametrize("name", ["concat_hard", "cross_attention_peakl"])
def test_a_comparison_equals_the_statistics_by_hand(out, name):
    found = tables.differences(str(out), name, "tensor_mixer_peakl", n_resamples=30)
    assert sorted(found) == sorted(NAMES)
    for metric in ("weighted_f1", "ccc_arousal"):
        expected = compare_by_hand(name, metric, 30)
        assert found[metric] == pytest.approx(expected, abs=1e-9), metric
        assert found[metric]["difference"] < 0  # less skill
    # the other way round the sign is the other
    turned = tables.differences(str(out), "tensor_mixer_peakl", name, n_resamples=30)["weighted_f1"]
    assert (turned["difference"], turned["low"]) == pytest.approx(
        (-found["weighted_f1"]["difference"], -found["weighted_f1"]["high"])
    )
    assert turned["p_t"] == pytest.approx(found["weighted_f1"]["p_t"])


def test_two_rows_are_compared_in_a_table_corrected_over_its_metrics(out):
    title, _, *table = tables.compare(str(out), "concat_hard", "tensor_mixer_peakl", n_resamples=30).splitlines()
    assert title.startswith("concat_hard minus tensor_mixer_peakl, reading `selected`, 3 folds")
    found = tables.differences(str(out), "concat_hard", "tensor_mixer_peakl", n_resamples=30)
    corrected = holm_by_hand([found[name]["p_t"] for name in NAMES])
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    assert [line[0] for line in lines] == HEADER[1:]
    for line, name, p_value in zip(lines, NAMES, corrected, strict=True):
        assert line[1] == "−" + shown(abs(found[name]["difference"]))
        assert line[3] == ("< .001" if p_value < 0.001 else shown(p_value))


def test_the_comparison_table_is_holm_corrected_over_all_its_tests(out, text):
    header, *lines = read_markdown(text)["Against tensor_mixer_peakl, reading `selected`"]
    assert header == ["", "metric", "difference", "95 % interval", "p (t)", "p (bootstrap)", "folds"]
    keys = [(name, metric) for name in SKILL if name != "tensor_mixer_peakl" for metric in ("weighted_f1", *NAMES[4:])]
    by_row = {name: tables.differences(str(out), name, "tensor_mixer_peakl", n_resamples=200) for name, _ in keys}
    found = [by_row[name][metric] for name, metric in keys]
    corrected = {kind: holm_by_hand([one[kind] for one in found]) for kind in ("p_t", "p_bootstrap")}
    labels = dict(zip(NAMES, HEADER[1:], strict=True))
    titles = dict(zip(SKILL, TITLES, strict=True))
    assert len(lines) == len(keys) == 6
    for index, (line, (name, metric), one) in enumerate(zip(lines, keys, found, strict=True)):
        p_values = [corrected[kind][index] for kind in ("p_t", "p_bootstrap")]
        signed = [
            ("+" if value >= 0 else "−") + shown(abs(value)) for value in (one["difference"], one["low"], one["high"])
        ]
        assert line == [
            titles[name],
            labels[metric],
            signed[0],
            f"{signed[1]} to {signed[2]}",
            *("< .001" if p < 0.001 else shown(p) for p in p_values),
            "3" if name == "concat_hard" else "5",
        ]
    # the correction acts: at least one p that is shown is larger than the plain one
    assert any(c > one["p_bootstrap"] for c, one in zip(corrected["p_bootstrap"], found, strict=True))


def test_the_reference_can_be_named_and_must_be_there(out, tmp_path):
    assert "## Against concat_hard," in tables.build(str(out), reference="concat_hard", n_resamples=5)
    tables.build(str(out), n_resamples=200)  # as the other tests expect it
    with pytest.raises(ValueError, match="one of concat_hard, .*tensor_mixer_peakl: got 'mixer'"):
        tables.build(str(out), reference="mixer")


# --- refusals ---------------------------------------------------------------------------------------------------------
def test_two_protocols_do_not_go_into_one_table(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(tmp_path, "concat_hard", 1, table_of("concat_hard", 1), protocol="nested")
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))} holds nested and paper"):
        tables.build(str(tmp_path))


def test_rows_scored_on_different_segments_are_not_compared(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(tmp_path, "tensor_mixer_peakl", 0, table_of("tensor_mixer_peakl", 0)[1:])
    with pytest.raises(ValueError, match=r"same segments: concat_hard and tensor_mixer_peakl are not in fold 0"):
        tables.build(str(tmp_path), n_resamples=5)


def test_rows_without_a_fold_in_common_are_not_compared(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(tmp_path, "tensor_mixer_peakl", 3, table_of("tensor_mixer_peakl", 3))
    with pytest.raises(ValueError, match=r"concat_hard has \[0\], tensor_mixer_peakl has \[3\]"):
        tables.differences(str(tmp_path), "concat_hard", "tensor_mixer_peakl")
    # the table leaves the comparison out, and nothing else
    found = read_markdown(tables.build(str(tmp_path), n_resamples=5))
    assert len(found["Against tensor_mixer_peakl, reading `selected`"]) == 1 and len(found[SELECTED]) == 4


def test_a_row_that_is_not_there_is_named(out):
    with pytest.raises(ValueError, match="must be finished: text_only_peakl is not among concat_hard, "):
        tables.differences(str(out), "concat_hard", "text_only_peakl")


def test_a_folder_without_a_finished_cell_is_an_error(tmp_path):
    (tmp_path / "concat_hard" / "fold0-seed42").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        tables.load(tmp_path)


# --- what is missing or not defined -----------------------------------------------------------------------------------
def test_a_cell_whose_result_was_cut_is_not_finished(tmp_path):
    # runs.status calls it unfinished and trains it again; until then the table is of the rest
    for fold in (0, 1):
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold))
    path = tmp_path / "concat_hard" / "fold1-seed42" / "result.json"
    path.write_bytes(path.read_bytes()[:100])
    (row,) = tables.load(tmp_path)
    assert row.folds == [0] and row.title == "Concatenation, hard (1/5 folds)"


def test_a_metric_that_a_fold_does_not_define_shows_a_dash_and_no_figure(tmp_path):
    for fold in (0, 1):
        table = table_of("tensor_mixer_peakl", fold)
        undefined = score(table) | ({"ccc_arousal": None} if fold else {})
        selected = {"epoch": 0, "metrics": undefined, "metrics_by_corpus": {}}
        write_cell(tmp_path, "tensor_mixer_peakl", fold, table, selected=selected, best_epoch_per_metric={})
    found = read_markdown(tables.build(str(tmp_path), n_resamples=5))
    line = dict(zip(found[SELECTED][0], found[SELECTED][1], strict=True))
    assert line["CCC(aro)"] == "–" and " ± " in line["CCC(val)"]
    assert set(found[BEST][1][1:]) == {"–"}
    published = found["Beside the published figures, reading `best_epoch_per_metric`"]
    assert all(line[3:] == ["–", "–"] for line in published[1:])
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        lines = [
            line for line in csv.DictReader(file) if line["metric"] == "ccc_arousal" and line["reading"] == "selected"
        ]
    assert lines[0]["mean"] == "nan" and lines[0]["values"].split()[1] == "nan"


def test_a_human_figure_that_is_not_defined_shows_a_dash(tmp_path):
    # leave_one_rater_out gives NaN where every segment is tied without one rater; result.json holds null
    for fold in (0, 1):
        human = {"weighted_f1": None, "ccc_valence": 0.25, "ccc_arousal": 0.375}
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold), human=human)
    text = tables.build(str(tmp_path), n_resamples=5)
    assert "Human: weighted F1 –, CCC(aro) .375, CCC(val) .250" in text


def test_figures_of_ten_and_more_keep_their_digits(tmp_path):
    # cross-entropy is the one figure that can be so large: a model that is certain and wrong costs 27.6 nats a segment
    table = table_of("concat_hard", 0)
    soft = table[SOFT].to_numpy()
    table[PROB] = soft
    for number, votes in enumerate(soft):
        if votes.min() == 0:
            table.loc[number, PROB] = np.eye(7)[votes.argmin()]  # what no rater said
        clipped = np.maximum(table[PROB].to_numpy(), 1e-12)
        value = float(-(soft * np.log(clipped)).sum(axis=1).mean())
        if 10 <= value < 11:
            break
    assert 10 <= value < 11
    write_cell(tmp_path, "concat_hard", 0, table)
    line = read_markdown(tables.build(str(tmp_path), n_resamples=5))["Label distributions, reading `selected`"][1]
    assert line[2] == f"{value:.3f}"


# --- label distributions ----------------------------------------------------------------------------------------------
def test_distribution_metrics_equal_scipy_and_scikit_learn():
    table = pd.concat([table_of("cross_attention_peakl", fold) for fold in FOLDS], ignore_index=True)
    found = tables.distribution_metrics(table)
    soft, probs = table[SOFT].to_numpy(), table[PROB].to_numpy()
    # SciPy's distance is the root of the divergence
    assert found["jsd"] == pytest.approx(np.mean(jensenshannon(soft, probs, base=2, axis=1) ** 2), abs=1e-9)
    # cross-entropy = entropy + Kullback-Leibler divergence
    expected = np.mean(stats.entropy(soft, axis=1) + stats.entropy(soft, probs, axis=1))
    assert found["ce"] == pytest.approx(expected, abs=1e-9)
    untied = table[~table["is_tied"]]
    confidence = untied[PROB].to_numpy().max(axis=1)
    hit = untied[PROB].to_numpy().argmax(axis=1) == untied["hard_label"]
    ece = 0.0
    for low in range(15):  # Guo et al. (2017), equation 3: bins (low / 15, (low + 1) / 15]
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert found["ece"] == pytest.approx(ece, abs=1e-9) and ece > 0.01
    most = (untied[SOFT].to_numpy().max(axis=1) * 10).round().astype(int)
    guess = untied[PROB].to_numpy().argmax(axis=1)
    for stratum, chosen in {
        "<=5": most <= 5, "6-7": (most == 6) | (most == 7), "8-9": (most == 8) | (most == 9), "10/10": most == 10,
    }.items():  # fmt: skip
        expected = f1_score(untied["hard_label"][chosen], guess[chosen], average="weighted", zero_division=0)
        assert chosen.any() and found[f"f1_{stratum}"] == pytest.approx(expected, abs=1e-9), stratum


def test_a_stratum_without_a_segment_is_nan():
    table = table_of("concat_hard", 0)
    table = table[table[SOFT].max(axis=1) < 0.95]
    found = tables.distribution_metrics(table)
    assert math.isnan(found["f1_10/10"]) and not math.isnan(found["f1_<=5"])


def test_the_distribution_table_is_of_the_lowest_seed_and_ends_with_the_humans(text):
    header, *lines = read_markdown(text)["Label distributions, reading `selected`"]
    assert header == ["", "JSD", "CE", "ECE", "F1 10/10", "F1 8-9", "F1 6-7", "F1 <=5"]
    per_fold = [
        tables.distribution_metrics(table_of("tensor_mixer_peakl", fold, 7 if fold == 1 else 42)) for fold in FOLDS
    ]
    names = ("jsd", "ce", "ece", "f1_10/10", "f1_8-9", "f1_6-7", "f1_<=5")
    pairs = [shown_pair([one[name] for one in per_fold]) for name in names]
    assert lines[2] == [TITLES[2], *(pair if "nan" not in pair else "–" for pair in pairs)]
    # .5 + fold / 64 over five folds
    assert lines[3][0] == f"Human: weighted F1 {shown(0.5 + 2 / 64)}, CCC(aro) .375, CCC(val) .250"


# --- published figures ------------------------------------------------------------------------------------------------
def test_published_figures_stand_beside_ours_with_the_difference(text):
    header, *lines = read_markdown(text)["Beside the published figures, reading `best_epoch_per_metric`"]
    assert header == ["", "metric", "published", "ours", "ours − published"]
    # Cho, Ryu and Wallraven (2023), headline table; concat_hard is not in it
    published = {
        "cross_attention_peakl": [
            ("weighted_f1", 0.837, ".015"), ("micro_f1", 0.848, ".016"),
            ("ccc_arousal", 0.810, ".035"), ("ccc_valence", 0.850, ".014"),
        ],
        "tensor_mixer_peakl": [
            ("weighted_f1", 0.844, ".015"), ("micro_f1", 0.851, ".018"),
            ("ccc_arousal", 0.813, ".011"), ("ccc_valence", 0.857, ".011"),
        ],
    }  # fmt: skip
    labels, titles = dict(zip(NAMES, HEADER[1:], strict=True)), dict(zip(SKILL, TITLES, strict=True))
    expected = []
    for row, figures in published.items():
        for metric, mean, std in figures:
            ours = np.array(values_of(row, metric)) + OPTIMISM
            difference = ours.mean() - mean
            sign = "+" if difference >= 0 else "−"
            expected.append(
                [titles[row], labels[metric], f"{shown(mean)} ± {std}", shown_pair(ours), sign + shown(abs(difference))]
            )
    assert lines == expected


def test_the_readme_s_published_table_is_the_one_that_is_compared_with():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in ("concat_peakl", "cross_attention_peakl", "tensor_mixer_peakl"):
        cells = [f"{shown(mean)} ± {shown(std)}" for mean, std in tables.PUBLISHED[row].values()]
        assert f"| {' | '.join(cells)} |" in readme


# --- files ------------------------------------------------------------------------------------------------------------
def test_the_text_is_table_md_and_names_protocol_and_seeds(out, text):
    tables.build(str(out), n_resamples=200)
    assert (out / "table.md").read_text(encoding="utf-8") == text
    assert text.startswith("# paper\n")
    assert "protocol=paper: the checkpoint is chosen on the fold that is reported" in text and "seeds 7, 42." in text


def test_the_csv_reads_back_to_the_last_digit(out, text, rows):
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    # 3 rows x (selected on all and on each of two corpora, best on all) x 6 metrics
    keys = [(line["row"], line["corpus"], line["reading"], line["metric"]) for line in lines]
    assert len(lines) == 3 * 4 * 6 and max(Counter(keys).values()) == 1
    for line in lines:
        values = [float(value) for value in line["values"].split()]
        corpus = None if line["corpus"] == "all" else line["corpus"]
        row = rows[line["row"]]
        assert values == row.values(line["metric"], line["reading"], corpus).tolist()
        assert [int(fold) for fold in line["folds"].split()] == row.folds and int(line["n_folds"]) == len(values)
        # an independent sum may round otherwise in the last place
        assert float(line["mean"]) == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
        assert float(line["std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        if (line["corpus"], line["reading"]) == ("all", "selected"):
            found = tables.interval(row, n_resamples=200)[line["metric"]]
            assert (float(line["low"]), float(line["high"])) == (found.low, found.high)
        else:
            assert line["low"] == line["high"] == ""


def test_the_latex_table_is_whole(out, text):
    lines = (out / "table.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"% needs \usepackage{booktabs}"
    opened = Counter(re.findall(r"\\begin\{(\w+)\}", "\n".join(lines)))
    assert opened == Counter(re.findall(r"\\end\{(\w+)\}", "\n".join(lines))) == {"table": 1, "tabular": 1}
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lcr]+)\}", "\n".join(lines))
    body = [line for line in lines if line.endswith(r"\\")]
    assert len(body) == 1 + 3 + 1  # header, rows, majority
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in body} == {len(columns)} == {7}
    rules = [line for line in lines if line in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]
    code = "\n".join(lines[1:])
    assert not re.search(r"(?<!\\)[%#]|(?<!\\)_", code), "a sign that LaTeX reads as its own"
    assert code.isascii() and code.count("{") == code.count("}") and code.count("$") % 2 == 0
    main = read_markdown(text)[SELECTED]
    shown_cells = [
        [cell.replace("$\\pm$", "±").strip() for cell in line.removesuffix(r"\\").split("&")] for line in body
    ]
    assert shown_cells == main


def test_a_sample_corpus_is_named_as_such_wherever_its_figures_stand(tmp_path, text, out):
    folder = tmp_path / "demo"
    for fold in (0, 1):
        write_cell(folder, "concat_peakl", fold, table_of("concat_hard", fold), experiment="demo/concat_peakl")
    found = tables.build(str(folder), n_resamples=5)
    assert (
        "**Synthetic sample corpus: these figures show that the pipeline works, and say nothing about people.**"
        in found
    )
    assert "ours here are of a synthetic corpus and not comparable" in found
    assert "Synthetic sample corpus." in (folder / "table.tex").read_text(encoding="utf-8")
    # control: real corpora are not called synthetic
    assert "ynthetic" not in text + (out / "table.tex").read_text(encoding="utf-8")


def test_the_command_writes_and_prints_the_table(tmp_path):
    for fold in (0, 1):
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold))
    typed = [sys.executable, "-m", "fire", "erc.report.tables", "build", str(tmp_path), "--n_resamples=5"]
    done = subprocess.run(typed, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (tmp_path / "table.md").read_text(encoding="utf-8").strip()
    assert "Concatenation, hard (2/5 folds)" in done.stdout
