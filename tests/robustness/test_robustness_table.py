"""Metrics under each condition, and their differences to the clean ones, against second ways to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from erc.data import KEMD
from erc.evaluation import Columns, concordance, evaluate_table
from erc.robustness import Effect, effects_of, read_effects, write_effects


@pytest.fixture(scope="module")
def effects(scored) -> dict[tuple[str, str], Effect]:
    return {(one.condition, one.metric): one for one in effects_of(scored, KEMD, n_resamples=300)}


def test_each_metric_is_that_of_the_predictions(scored, effects):
    clean = evaluate_table(scored[0].table, KEMD)
    for one in scored:
        table = scored[0].table if one.table is None else one.table
        expected = evaluate_table(table, KEMD)
        untied = table[~table["is_tied"]]
        guess = untied[Columns(KEMD).prob].to_numpy().argmax(axis=1)
        assert expected["macro_f1"] == pytest.approx(f1_score(untied["hard_label"], guess, average="macro"))
        for metric in ("macro_f1", "weighted_f1", "uar", "ccc_valence", "ccc_arousal"):
            found = effects[one.condition.name, metric]
            assert found.value == pytest.approx(expected[metric], nan_ok=True)
            assert found.difference == pytest.approx(expected[metric] - clean[metric], abs=1e-12)
            assert found.is_read == (one.table is not None)


def test_the_interval_is_that_of_pairs_of_whole_dialogues(scored, effects):
    """Drawn once more, segment by segment: the same dialogues of both tables."""
    clean, other = (next(one.table for one in scored if one.condition.name == name) for name in ("clean", "no_text"))
    untied = (~clean["is_tied"]).to_numpy()
    dialogues = (clean["corpus"] + clean["dialogue"]).to_numpy()[untied]
    names = np.unique(dialogues)
    places = {name: np.flatnonzero(dialogues == name) for name in names}
    truth, a, b = (
        table[untied].to_numpy() for table in (clean["valence"], other["pred_valence"], clean["pred_valence"])
    )
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(1000):
        chosen = np.concatenate([places[name] for name in rng.choice(names, len(names))])
        drawn.append(
            concordance(truth=truth[chosen], prediction=a[chosen])
            - concordance(truth=truth[chosen], prediction=b[chosen])
        )
    found = effects["no_text", "ccc_valence"]
    spread = np.std(drawn)
    assert [found.low, found.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.4 * spread)


def test_clean_differs_from_itself_by_nothing_and_so_does_what_is_not_read(effects):
    for name in ("clean", "no_signals"):
        one = effects[name, "macro_f1"]
        assert (one.difference, one.low, one.high) == (0, 0, 0) and math.isnan(one.word_error_rate)


def test_conditions_of_other_segments_are_not_compared(scored):
    cut = scored[1]._replace(table=scored[1].table.iloc[1:])
    with pytest.raises(ValueError, match="no_audio is of others than clean"):
        effects_of([scored[0], cut], KEMD, n_resamples=10)


def test_a_metric_without_any_rating_is_not_defined(scored):
    unrated = scored[0]._replace(table=scored[0].table.assign(valence=np.nan))
    one = next(one for one in effects_of([unrated], KEMD, n_resamples=10) if one.metric == "ccc_valence")
    assert np.isnan([one.value, one.difference, one.low, one.high]).all()


def test_the_file_holds_every_figure_in_full_precision(effects, tmp_path):
    found = list(effects.values())
    write_effects(tmp_path, found)
    assert repr(read_effects(tmp_path)) == repr(found)
    assert read_effects(tmp_path / "elsewhere") == []
    path = tmp_path / "robustness.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("True", "perhaps", 1), encoding="utf-8")
    with pytest.raises(ValueError, match="must be as it was written"):
        read_effects(tmp_path)
