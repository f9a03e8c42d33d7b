"""Rater agreement against published worked examples, two libraries and the definitions written as loops."""

from __future__ import annotations

import functools
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from erc.data import KEMD, N_RATERS
from erc.evaluation import agreement as evaluation_agreement, bootstrap
from erc.labels import count_votes
from erc.report import raters
from erc.synthetic import corpora

X = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
).T
"""Krippendorff (2011), example C: 12 units by 4 observers, with missing values."""

FLEISS = np.zeros((30, 5), dtype=int)
"""Fleiss (1971), table 1: 30 patients, 6 psychiatrists; depression, personality disorder, schizophrenia, neurosis, other."""
for _patient, _diagnoses in enumerate(
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445 "
    "333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555".split()
):
    np.add.at(FLEISS[_patient], [int(name) - 1 for name in _diagnoses], 1)

WIKIPEDIA = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
"""The example of the article on Fleiss' kappa: 14 raters, 10 subjects, kappa .210."""


@pytest.fixture(autouse=True)
def _no_warning_ever():
    """Undefined results are decided, not warned about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def loop_kappa(votes):
    """Fleiss (1971), written once more, by loops."""
    n, m = len(votes), int(votes[0].sum())
    agreement = math.fsum(sum(count * (count - 1) for count in row) / (m * (m - 1)) for row in votes) / n
    chance = math.fsum((votes[:, j].sum() / (n * m)) ** 2 for j in range(votes.shape[1]))
    return (agreement - chance) / (1 - chance)


def loop_alpha(ratings, level):
    """1 - observed / expected disagreement over all pairs of values, as Krippendorff defines it: no coincidences."""
    units = [[value for value in unit if not math.isnan(value)] for unit in ratings]
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]

    @functools.cache
    def apart(a, b):
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        low, high = sorted((a, b))
        between = sum(low <= value <= high for value in values)
        return (between - (values.count(low) + values.count(high)) / 2) ** 2

    observed = math.fsum(
        apart(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)
    ) / len(values)
    expected = math.fsum(apart(a, b) for a, b in itertools.permutations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


def random_ratings(rng, n=40, n_raters=10, n_categories=5, missing=0.0):
    """Raters who follow a common opinion half the time."""
    opinion = rng.integers(1, n_categories + 1, n)
    own = rng.integers(1, n_categories + 1, (n, n_raters))
    ratings = np.where(rng.random((n, n_raters)) < 0.5, opinion[:, None], own).astype(float)
    ratings[rng.random(ratings.shape) < missing] = np.nan
    return ratings


# ------------------------------------------------------------------------------------------------------------- golden


def test_kappa_of_fleiss_1971():
    assert evaluation_agreement.fleiss_kappa(FLEISS) == pytest.approx(0.430, abs=5e-4)
    assert evaluation_agreement.fleiss_kappa(FLEISS) == pytest.approx(loop_kappa(FLEISS), abs=1e-12)
    assert (FLEISS.sum(axis=0) / 180).round(3).tolist() == [0.144, 0.144, 0.167, 0.306, 0.239]  # as printed there


def test_kappa_of_the_fourteen_raters():
    assert evaluation_agreement.fleiss_kappa(WIKIPEDIA) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(
    ("level", "published", "exact"),
    [("nominal", 0.743, 0.743421052632), ("ordinal", 0.815, 0.815387691155), ("interval", 0.849, 0.849107410343)],
)
def test_alpha_of_krippendorff_2011(level, published, exact):
    found = evaluation_agreement.krippendorff_alpha(KRIPPENDORFF, level)
    assert found == pytest.approx(published, abs=5e-4)
    assert found == pytest.approx(loop_alpha(KRIPPENDORFF, level), abs=1e-12)
    assert found == pytest.approx(exact, abs=1e-6)


def test_nominal_alpha_of_krippendorff_2011_is_the_fraction_of_his_coincidences():
    # his coincidence matrix: diagonal 7, 10, 8, 4, 3 ... summing to 40 values; alpha = 1 - 39 * 8 / 1216 = 113 / 152
    total = evaluation_agreement.coincidences(KRIPPENDORFF, np.arange(1, 6)).sum(axis=0)
    assert total.sum() == pytest.approx(40)
    assert total.sum(axis=1) == pytest.approx([9, 13, 10, 5, 3])
    assert evaluation_agreement.krippendorff_alpha(KRIPPENDORFF) == pytest.approx(113 / 152, abs=1e-12)


# ------------------------------------------------------------------------------------------------------------- oracles


def test_kappa_equals_statsmodels():
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    rng = np.random.default_rng(0)
    for votes in (FLEISS, WIKIPEDIA, rng.multinomial(10, np.full(7, 1 / 7), 50)):
        assert evaluation_agreement.fleiss_kappa(votes) == pytest.approx(inter_rater.fleiss_kappa(votes), abs=1e-12)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
def test_alpha_equals_the_library_and_the_definition(level, missing):
    krippendorff = pytest.importorskip("krippendorff")
    ratings = random_ratings(np.random.default_rng(1), missing=missing)
    found = evaluation_agreement.krippendorff_alpha(ratings, level)
    assert found == pytest.approx(krippendorff.alpha(ratings.T, level_of_measurement=level), abs=1e-9)
    assert found == pytest.approx(loop_alpha(ratings, level), abs=1e-9)


def test_correlations_equal_numpy():
    ratings = random_ratings(np.random.default_rng(2))
    assert evaluation_agreement.rater_correlations(ratings) == pytest.approx(np.corrcoef(ratings.T), abs=1e-12)


# --------------------------------------------------------------------------------------------------------- properties


@given(
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=8), elements=st.integers(0, 4))
)
def test_nominal_alpha_is_kappa_but_for_a_small_sample_correction(ratings):
    votes = (ratings[:, :, None] == np.arange(5)).sum(axis=1)
    kappa, alpha = evaluation_agreement.fleiss_kappa(votes), evaluation_agreement.krippendorff_alpha(ratings)
    assert np.isnan(kappa) == np.isnan(alpha) == (len(np.unique(ratings)) == 1)
    if not np.isnan(kappa):
        assert 1 - alpha == pytest.approx((1 - 1 / ratings.size) * (1 - kappa), abs=1e-9)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_order_of_raters_and_segments_does_not_matter(level):
    rng = np.random.default_rng(3)
    ratings = random_ratings(rng, missing=0.2)
    shuffled = rng.permutation(rng.permutation(ratings, axis=0), axis=1)
    assert evaluation_agreement.krippendorff_alpha(ratings, level) == pytest.approx(
        evaluation_agreement.krippendorff_alpha(shuffled, level)
    )


def test_interval_alpha_knows_units_and_ordinal_alpha_only_their_order():
    ratings = random_ratings(np.random.default_rng(4))
    for level, change in (("interval", lambda x: 7 * x - 3), ("ordinal", np.exp), ("nominal", lambda x: -x)):
        assert evaluation_agreement.krippendorff_alpha(change(ratings), level) == pytest.approx(
            evaluation_agreement.krippendorff_alpha(ratings, level), abs=1e-9
        )
    assert evaluation_agreement.krippendorff_alpha(np.exp(ratings), "interval") != pytest.approx(
        evaluation_agreement.krippendorff_alpha(ratings, "interval"), abs=1e-3
    )


def test_full_agreement_is_1_and_chance_is_0():
    rng = np.random.default_rng(5)
    agreed = np.repeat(rng.integers(0, 7, (200, 1)), 10, axis=1)
    assert evaluation_agreement.fleiss_kappa(count_votes(agreed, 7)) == pytest.approx(1)
    random = rng.integers(0, 7, (4000, 10))
    assert evaluation_agreement.fleiss_kappa(count_votes(random, 7)) == pytest.approx(0, abs=0.01)
    for level in ("nominal", "ordinal", "interval"):
        assert evaluation_agreement.krippendorff_alpha(agreed, level) == pytest.approx(1)
        assert evaluation_agreement.krippendorff_alpha(random, level) == pytest.approx(0, abs=0.01)


def test_single_ratings_add_nothing():
    alone = np.full((3, 4), np.nan)
    alone[:, 1] = [5, 1, 2]
    extended = np.concatenate([KRIPPENDORFF, alone])
    for level in ("nominal", "ordinal", "interval"):
        assert evaluation_agreement.krippendorff_alpha(extended, level) == pytest.approx(
            evaluation_agreement.krippendorff_alpha(KRIPPENDORFF, level)
        )


# ------------------------------------------------------------------------------------------------- degenerate, malformed


def test_one_category_throughout_is_undefined():
    assert math.isnan(evaluation_agreement.fleiss_kappa(count_votes(np.full((5, 10), 3), 7)))
    for level in ("nominal", "ordinal", "interval"):
        assert math.isnan(evaluation_agreement.krippendorff_alpha(np.full((5, 10), 3.0), level))
        assert math.isnan(evaluation_agreement.krippendorff_alpha(np.full((5, 10), np.nan), level))
        assert math.isnan(evaluation_agreement.krippendorff_alpha(np.zeros((0, 10)), level))
    assert math.isnan(evaluation_agreement.fleiss_kappa(np.zeros((0, 7))))


def test_a_constant_rater_has_no_correlation():
    ratings = random_ratings(np.random.default_rng(6))
    ratings[:, 2] = 4
    found = evaluation_agreement.rater_correlations(ratings)
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()
    assert not np.isnan(np.delete(np.delete(found, 2, 0), 2, 1)).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation_agreement.fleiss_kappa(np.array([[1, 2], [2, 2]])), "same number of raters"),
        (lambda: evaluation_agreement.fleiss_kappa(np.array([[1, 0], [0, 1]])), "two or more"),
        (lambda: evaluation_agreement.fleiss_kappa(np.array([[3, -1]])), "counts >= 0"),
        (lambda: evaluation_agreement.fleiss_kappa(np.ones(4)), "counts >= 0"),
        (
            lambda: evaluation_agreement.krippendorff_alpha(np.ones((2, 2)), "ratio"),
            "level must be one of nominal, ordinal, interval",
        ),
        (lambda: evaluation_agreement.krippendorff_alpha(np.ones(3)), "must be"),
        (lambda: evaluation_agreement.rater_correlations(np.array([[1, np.nan], [2, 3]])), "none missing"),
    ],
)
def test_malformed_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --------------------------------------------------------------------------------------------------------------- groups


def make_table(rng, n=240):
    """Segments of all three groups, 20 dialogues each."""
    rows = []
    for corpus, session in (("kemdy19", 10), ("kemdy19", 11), ("kemdy20", 33)):
        emotion = random_ratings(rng, n, n_categories=KEMD.n_emotions).astype(int) - 1
        valence, arousal = (random_ratings(rng, n).astype(int) for _ in range(2))
        for k in range(n):
            rows.append(
                {
                    "corpus": corpus,
                    "session": session,
                    "dialogue": f"Sess{session}_script{k % 20:02d}",
                    "emotion_ratings": emotion[k].tolist(),
                    "valence_ratings": valence[k].tolist(),
                    "arousal_ratings": arousal[k].tolist(),
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def table():
    return make_table(np.random.default_rng(7))


@pytest.fixture(scope="module")
def rows(table):
    return raters.agreement(table, KEMD, n_resamples=300)


def column(part, name):
    return np.stack(part[f"{name}_ratings"].to_numpy())


def test_every_group_has_every_statistic(rows):
    found = [(row.group, row.ratings, row.statistic) for row in rows]
    va = ["fleiss_kappa", "alpha_ordinal", "alpha_interval", "correlation_mean", "correlation_min", "correlation_max"]
    of_group = [("emotion", "fleiss_kappa"), ("emotion", "alpha_nominal")]
    of_group += [(kind, name) for kind in ("arousal", "valence") for name in va]
    assert found == [(group, *rest) for group in raters.GROUPS for rest in of_group]
    assert {row.n_segments for row in rows} == {240} and {row.n_clusters for row in rows} == {20}


def test_estimates_are_the_statistics_of_the_group(table, rows):
    for group, (corpus, first, last) in raters.GROUPS.items():
        part = table[(table["corpus"] == corpus) & table["session"].between(first, last)]
        found = {(row.ratings, row.statistic): row.estimate for row in rows if row.group == group}
        assert found["emotion", "fleiss_kappa"] == pytest.approx(loop_kappa(count_votes(column(part, "emotion"), 7)))
        for kind in ("valence", "arousal"):
            ratings = column(part, kind)
            pairs = np.corrcoef(ratings.T)[np.triu_indices(N_RATERS, 1)]
            for name, value in (("mean", pairs.mean()), ("min", pairs.min()), ("max", pairs.max())):
                assert found[kind, f"correlation_{name}"] == pytest.approx(value, abs=1e-12)
            for level in ("ordinal", "interval"):
                assert found[kind, f"alpha_{level}"] == pytest.approx(
                    evaluation_agreement.krippendorff_alpha(ratings, level)
                )


def test_intervals_are_those_of_whole_dialogues_drawn_again(table, rows):
    part = table[table["corpus"] == "kemdy20"]
    ratings = column(part, "valence")

    def slowly(indices):  # the same resamples, each computed from its segments
        pairs = np.corrcoef(ratings[indices].T)[np.triu_indices(N_RATERS, 1)]
        return np.array(
            [evaluation_agreement.krippendorff_alpha(ratings[indices], "ordinal"), pairs.mean(), pairs.min()]
        )

    expected = bootstrap.cluster_bootstrap(slowly, np.zeros(len(part)), part["dialogue"].to_numpy(), 300)
    found = {row.statistic: row for row in rows if row.group == "KEMDy20" and row.ratings == "valence"}
    for index, name in enumerate(("alpha_ordinal", "correlation_mean", "correlation_min")):
        row = found[name]
        for end, value in (("estimate", row.estimate), ("low", row.low), ("high", row.high)):
            assert value == pytest.approx(getattr(expected, end)[index], abs=1e-9)
        assert row.low < row.high


def test_intervals_cover_the_truth_as_often_as_they_say():
    """40 worlds: one population kappa, 60 dialogues of 5 segments; some 95 % of intervals hold it."""
    rng = np.random.default_rng(8)

    def world(n_dialogues):
        mood = rng.integers(0, 2, n_dialogues).repeat(5)  # a dialogue's segments resemble each other
        opinion = np.where(rng.random(mood.size) < 0.6, mood, rng.integers(0, 7, mood.size))
        own = rng.integers(0, 7, (mood.size, N_RATERS))
        return np.where(rng.random(own.shape) < 0.6, opinion[:, None], own)

    truth = evaluation_agreement.fleiss_kappa(count_votes(world(20_000), 7))
    hits = 0
    for _ in range(40):
        ratings = world(60)
        frame = pd.DataFrame({"corpus": "kemdy20", "session": 1, "dialogue": np.arange(60).repeat(5)})
        for name in ("emotion", "valence", "arousal"):
            frame[f"{name}_ratings"] = list(ratings if name == "emotion" else rng.integers(1, 6, ratings.shape))
        row = raters.agreement(frame, KEMD, n_resamples=200)[0]
        hits += row.low <= truth <= row.high
    assert hits >= 33


def test_without_dialogues_segments_are_drawn(table):
    found = raters.agreement(table.drop(columns="dialogue"), KEMD, n_resamples=50)
    assert {row.n_clusters for row in found} == {240}
    assert "resampled one by one" in raters.as_text(found)


def test_one_dialogue_has_no_interval(table):
    part = table[table["corpus"] == "kemdy20"].head(40).assign(dialogue="one")
    found = raters.agreement(part, KEMD, n_resamples=50)
    assert all(np.isnan([row.low, row.high]).all() and not np.isnan(row.estimate) for row in found)


def test_known_values_stand_beside_kappa_only(rows):
    known = {(row.group, row.ratings): row.known for row in rows if row.statistic == "fleiss_kappa"}
    expected = {"emotion": (0.491, 0.505, 0.241), "arousal": (0.271, 0.298, 0.077), "valence": (0.335, 0.368, 0.223)}
    assert known == {(g, kind): values[i] for kind, values in expected.items() for i, g in enumerate(raters.GROUPS)}
    assert all(np.isnan(row.known) for row in rows if row.statistic != "fleiss_kappa")


def test_a_data_set_is_taken_as_well(table, rows):
    datasets = pytest.importorskip("datasets")

    class View:
        ds = datasets.Dataset.from_pandas(table)

    for segments in (View(), View.ds):
        for found, expected in zip(raters.agreement(segments, KEMD, n_resamples=300), rows, strict=True):
            assert found[:3] == expected[:3]
            # to 1e-12: BLAS may add in another order the second time
            assert found[3:] == pytest.approx(expected[3:], abs=1e-12, nan_ok=True)


def test_a_missing_column_and_segments_of_no_group_are_named(table):
    with pytest.raises(ValueError, match="valence_ratings is missing"):
        raters.agreement(table.drop(columns="valence_ratings"), KEMD)
    with pytest.raises(ValueError, match="none of the 720 segments belongs to one"):
        raters.agreement(table.assign(session=99), KEMD)


# ------------------------------------------------------------------------------------------------------------- terminal


@pytest.fixture(scope="module")
def tiny_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        corpora.write(root=str(root), sessions=1, segments=2, seconds=0.5, bio=False)
    return root


def test_show_prints_ours_beside_the_known_values_and_says_what_they_are(tiny_root):
    text = raters.show_raters(root=str(tiny_root), n_resamples=50)
    assert "This is a synthetic corpus." in text and "not those of KEMDy19 and KEMDy20" in text
    kappa = next(line for line in text.splitlines() if line.startswith("  emotion  Fleiss"))
    assert kappa.endswith(".491")
    assert "KEMDy20: " in text and "sessions 11-20" not in text  # one session of each corpus


def test_show_names_bad_arguments(tiny_root, tmp_path):
    with pytest.raises(ValueError, match="exclude must be paper or none"):
        raters.show_raters(root=str(tiny_root), exclude="some")
    with pytest.raises(FileNotFoundError, match="KEMDy19"):
        raters.show_raters(root=str(tmp_path))
