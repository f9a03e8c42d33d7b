"""Intervals, differences and label distributions of rows, again by scikit-learn, NumPy and SciPy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from grid_by_hand import (
    FOLDS,
    NAMES,
    as_labels,
    quick_score,
    score_of,
    seeds_of,
    table_of,
    values_of,
    write_cell,
    write_paper_grid,
)
from kemd_columns import PROB, SOFT, VOTES
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import f1_score

from erc.data import KEMD
from erc.report import comparisons, grid_results

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # scikit-learn's, of our oracle


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return write_paper_grid(tmp_path_factory.mktemp("grids") / "paper")


@pytest.fixture(scope="module")
def rows(out) -> dict[str, grid_results.Row]:
    return {row.name: row for row in grid_results.load(out)}


def test_estimates_equal_scikit_learn_on_the_stored_predictions(rows):
    for name, row in rows.items():
        found = comparisons.intervals(row, n_resamples=2)
        assert sorted(found) == sorted(NAMES)
        for metric in NAMES:
            assert found[metric].dialogues.estimate == pytest.approx(np.mean(values_of(name, metric)), abs=1e-9), metric


def test_the_quick_oracle_of_the_bootstraps_equals_scikit_learn():
    for fold in FOLDS:
        assert quick_score(as_labels(table_of("cross_attention_peakl", fold))) == pytest.approx(
            score_of("cross_attention_peakl", fold), abs=1e-12
        )


def slow_bootstrap(row: str, folds, n_resamples: int) -> dict[str, np.ndarray]:
    """Resampled means over folds, one table glued together per resample and fold.

    Conventions of ``bootstrap.cluster_bootstrap``: generator 42; fold by fold, (resamples, dialogues) integers index
    the fold's dialogues in the order of their names, the corpus in front. Of two seeds, each resample takes one, by a
    generator of the fold's.
    """
    rng = np.random.default_rng(42)
    found: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for number, fold in enumerate(folds):
        by_seed, draws = [], None
        for seed in seeds_of(row, fold):
            table = table_of(row, fold, seed)
            table = table[~table["is_tied"]]
            name = table["corpus"] + ":" + table["segment_id"].str.extract(r"^(Sess\d\d_script\d\d)_")[0]
            parts = [as_labels(part) for _, part in table.groupby(name)]
            if draws is None:
                draws = rng.integers(len(parts), size=(n_resamples, len(parts)))
            by_seed.append([quick_score(np.concatenate([parts[i] for i in draw])) for draw in draws])
        n = len(by_seed)
        which = np.zeros(n_resamples, dtype=int)
        if n > 1:
            assert n == 2
            which = np.random.default_rng([42, 1, number, 2]).integers(2, size=(1 + n_resamples, 1))[1:, 0]
        for metric in NAMES:
            found[metric].append(np.array([by_seed[k][r][metric] for r, k in enumerate(which)]))
    return {metric: np.mean(values, axis=0) for metric, values in found.items()}


@pytest.mark.parametrize("name", ["concat_hard", "tensor_mixer_peakl"])
def test_intervals_equal_a_slow_jackknife_and_bootstrap_over_dialogues_and_seeds(rows, name):
    found = comparisons.intervals(rows[name], n_resamples=40)
    resampled = slow_bootstrap(name, rows[name].folds, 40)
    variance = slow_jackknife(name, rows[name].folds)
    for metric in NAMES:
        values, by_fold = resampled[metric], np.array(values_of(name, metric))
        df = sum(v for v, _ in variance[metric]) ** 2 / sum(v**2 / df for v, df in variance[metric])
        half = stats.t.ppf(0.975, df) * math.sqrt(sum(v for v, _ in variance[metric])) / len(by_fold)
        over_folds = stats.t.ppf(0.975, len(by_fold) - 1) * by_fold.std(ddof=1) / math.sqrt(len(by_fold))
        centre = 2 * by_fold.mean() - values.mean()  # the estimate minus its bias
        bounds = (-1 if metric.startswith("ccc") else 0, 1)
        for one, width in ((found[metric].dialogues, half), (found[metric].folds, max(half, over_folds))):
            expected = np.clip([centre - width, centre + width], *bounds)
            assert (one.low, one.high) == pytest.approx(expected, abs=1e-9), metric
            assert one.low < one.high
    # control: other resamples give other ends
    other = comparisons.intervals(rows[name], n_resamples=41)
    assert other["weighted_f1"].dialogues.low != pytest.approx(found["weighted_f1"].dialogues.low, abs=1e-9)


def slow_jackknife(row: str, folds) -> dict[str, list[tuple[float, int]]]:
    """(variance, degrees of freedom) of each fold's dialogues, and of its seeds where there are two, by metric."""
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in NAMES}
    for fold in folds:
        by_seed = []
        for seed in seeds_of(row, fold):
            table = table_of(row, fold, seed)
            table = table[~table["is_tied"]]
            name = table["corpus"] + ":" + table["segment_id"].str.extract(r"^(Sess\d\d_script\d\d)_")[0]
            by_seed.append([quick_score(as_labels(table[name != one])) for one in sorted(set(name))])
        n = len(by_seed[0])
        whole = [score_of(row, fold, seed) for seed in seeds_of(row, fold)]
        for metric in NAMES:
            without = np.mean([[one[metric] for one in scores] for scores in by_seed], axis=0)
            found[metric].append(((n - 1) / n * ((without - without.mean()) ** 2).sum(), n - 1))
            if len(whole) > 1:
                found[metric].append((np.var([one[metric] for one in whole], ddof=1) / len(whole), len(whole) - 1))
    return found


def compare_by_hand(name: str, metric: str, n_resamples: int) -> dict[str, float]:
    """Row ``name`` minus the main row on the folds of both, every seed of a fold."""
    folds = FOLDS[:3] if name == "concat_hard" else FOLDS
    ours, base = (slow_bootstrap(row, folds, n_resamples)[metric] for row in (name, "tensor_mixer_peakl"))
    resampled = ours - base
    tail = min((resampled <= 1e-12).sum(), (resampled >= -1e-12).sum())
    differences = np.array(values_of(name, metric)) - np.array(values_of("tensor_mixer_peakl", metric))[: len(folds)]
    # Nadeau and Bengio (2003); n_train is 400 + fold in the folders written here
    share = np.mean([len(table_of(name, fold)) for fold in folds]) / np.mean([400 + fold for fold in folds])
    t = differences.mean() / np.sqrt((1 / len(folds) + share) * differences.var(ddof=1))
    return {
        "difference": differences.mean(),
        "low": np.quantile(resampled, 0.025),
        "high": np.quantile(resampled, 0.975),
        "p_bootstrap": min(1, 2 * (1 + tail) / (n_resamples + 1)),
        "is_floor": bool(tail == 0),
        "p_t": 2 * stats.t.sf(abs(t), len(folds) - 1),
        "n_folds": len(folds),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concat_hard", "cross_attention_peakl"])
def test_a_comparison_equals_the_statistics_by_hand(out, name):
    found = comparisons.differences(str(out), name, "tensor_mixer_peakl", n_resamples=30)
    assert sorted(found) == sorted(NAMES)
    for metric in ("weighted_f1", "ccc_arousal"):
        expected = compare_by_hand(name, metric, 30)
        assert found[metric] == pytest.approx(expected, abs=1e-9), metric
        assert found[metric]["difference"] < 0  # less skill
    # the other way round the sign is the other
    turned = comparisons.differences(str(out), "tensor_mixer_peakl", name, n_resamples=30)["weighted_f1"]
    assert (turned["difference"], turned["low"]) == pytest.approx(
        (-found["weighted_f1"]["difference"], -found["weighted_f1"]["high"])
    )
    assert turned["p_t"] == pytest.approx(found["weighted_f1"]["p_t"])


def test_a_row_that_is_not_there_is_named(out):
    with pytest.raises(ValueError, match="must be finished: text_only_peakl is not among concat_hard, "):
        comparisons.differences(str(out), "concat_hard", "text_only_peakl")


def test_distribution_metrics_equal_scipy_and_scikit_learn():
    table = pd.concat([table_of("cross_attention_peakl", fold) for fold in FOLDS], ignore_index=True)
    found = comparisons.distribution_metrics(table, KEMD)
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
    found = comparisons.distribution_metrics(table, KEMD)
    assert math.isnan(found["f1_10/10"]) and not math.isnan(found["f1_<=5"])


def test_a_stratum_is_of_the_votes_that_are_stored():
    table = table_of("concat_hard", 0)
    table[VOTES] = np.eye(7, dtype=int)[table["hard_label"]] * 10  # the shares stay as they are
    found = comparisons.distribution_metrics(table, KEMD)
    assert not math.isnan(found["f1_10/10"])
    assert all(math.isnan(found[f"f1_{stratum}"]) for stratum in ("<=5", "6-7", "8-9"))


def test_dialogues_are_those_of_the_column_and_not_of_the_ids(tmp_path):
    for name, dialogue in (("as written", None), ("one", "Sess01_script01")):
        table = table_of("concat_hard", 0, corpora=("kemdy19",))
        write_cell(tmp_path / name, "concat_hard", 0, table if dialogue is None else table.assign(dialogue=dialogue))
    written, one = (
        comparisons.intervals(grid_results.load(tmp_path / name)[0], n_resamples=20)["weighted_f1"].dialogues
        for name in ("as written", "one")
    )
    assert written.estimate == one.estimate and not math.isnan(written.low) and math.isnan(one.low)


def test_the_t_test_counts_the_segments_that_are_reported(tmp_path):
    for row in ("concat_hard", "tensor_mixer_peakl"):
        for fold in (0, 1):
            write_cell(tmp_path, row, fold, table_of(row, fold))

    def p_with(**changes):
        rows = grid_results.load(tmp_path)
        for run in (run for row in rows for run in row.runs.values()):
            run.result |= changes
        return comparisons.compare_rows(*rows, n_resamples=5)["uar"]["p_t"]

    plain, chosen, reported = p_with(), p_with(n_chosen_on=7), p_with(n_reported_on=7)
    assert chosen == plain and reported < plain  # a small test set makes the correction small
