"""A run under every condition: the run's own predictions where nothing is changed, and no condition scored twice."""

from __future__ import annotations

import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from saved_models import save_tiny, tiny_model

from erc.data import FEATURES, KEMD
from erc.model import AudioEncoder, EmotionModel, SignalEncoder, TextEncoder
from erc.model.fusion import Concat3
from erc.robustness import conditions, score_conditions, scoring
from erc.robustness.conditions import Condition
from erc.robustness.scoring import ConditionedModel, material_of
from erc.training import read_config


@pytest.fixture(scope="module")
def view(run):
    """The reported segments, as the program opens them."""
    return scoring.open_view(read_config(run))


def by_name(scored):
    return {one.condition.name: one for one in scored}


def test_the_clean_predictions_are_those_of_the_run_to_the_last_bit(run, out, scored):
    assert (out / "predictions" / "clean.csv").read_bytes() == (run / "predictions.csv").read_bytes()


def test_every_condition_is_scored_and_each_changes_the_predictions(scored):
    assert [one.condition.name for one in scored] == [one.name for one in conditions(with_transcriber=True)]
    found = by_name(scored)
    assert found["no_signals"].table is None  # not read
    clean = found["clean"].table
    for name, one in found.items():
        if one.table is not None and name != "clean":
            assert one.table["segment_id"].equals(clean["segment_id"]) and not one.table.equals(clean), name


def test_a_recogniser_is_as_wrong_as_is_told(scored, view, recogniser):
    from erc.model import Transcriber
    from erc.robustness.words import count_errors

    hears = Transcriber(str(recogniser))
    rows = view.ds.with_format("numpy", dtype=None)
    counts = np.array([count_errors(str(row["transcript"]), hears(row["waveform"])) for row in rows])
    found = by_name(scored)
    assert found["recognised"].word_error_rate == pytest.approx(counts[:, 0].sum() / counts[:, 1].sum())
    assert found["words_dropped_30"].word_error_rate == pytest.approx(0.3, abs=0.06)
    assert found["babble_0"].word_error_rate is None


def test_a_change_is_a_function_of_seed_and_segment_alone(view):
    rows = {row["segment_id"]: row for row in view.ds.with_format("numpy", dtype=None).select(range(12))}
    backwards = view.ds.select(range(len(view) - 1, -1, -1))
    material = material_of(view.ds, 42)
    again = {name: material_of(backwards, 42) for name in rows}  # everything is made anew
    other = material_of(view.ds, 43)
    for condition in conditions():
        if condition.change is None:
            continue
        changed = [condition.change(row, material) for row in rows.values()]
        for row in reversed(changed):
            second = condition.change(rows[row["segment_id"]], again[row["segment_id"]])
            assert np.array_equal(row["waveform"], second["waveform"]) and row["transcript"] == second["transcript"]
        differing = [condition.change(rows[row["segment_id"]], other) for row in changed]
        is_same = all(
            np.array_equal(one["waveform"], two["waveform"]) and one["transcript"] == two["transcript"]
            for one, two in zip(changed, differing, strict=True)
        )
        assert is_same == (condition.name in ("clipping", "telephone")), condition.name  # nothing is drawn for these
        kept = "transcript" if condition.modality == "audio" else "waveform"
        assert all(np.array_equal(row[kept], rows[row["segment_id"]][kept]) for row in changed)


def test_predictions_do_not_depend_on_the_batches(run, view, scored):
    config = read_config(run)
    config["dataloader"]["batch_size"] = 5
    model = ConditionedModel(run, config, view, "cpu")
    found = by_name(scored)
    for name in ("no_text", "babble_0", "words_replaced_30"):
        table = found[name].table.set_index("segment_id")
        gathered, _ = model.predict(found[name].condition, material_of(view.ds, 42))
        expected = table.loc[gathered["segment_id"], ["pred_valence", "pred_arousal"]].to_numpy()
        assert gathered["pred_va"] == pytest.approx(expected, abs=1e-4)


def test_a_run_in_half_precision_is_scored_in_half_precision(run, view, scored):
    config = read_config(run)
    config["trainer"]["precision"] = "bf16-mixed"
    gathered, _ = ConditionedModel(run, config, view, "cpu").predict(scored[0].condition, material_of(view.ds, 42))
    table = scored[0].table.set_index("segment_id").loc[gathered["segment_id"]]
    off = np.abs(gathered["pred_va"] - table[["pred_valence", "pred_arousal"]].to_numpy()).max()
    assert 1e-5 < off < 0.05


@pytest.mark.parametrize(("computed_in", "is_same"), [("32-true", True), ("bf16-mixed", False)])
def test_a_run_of_precision_auto_is_scored_in_what_it_computed_in(run, view, scored, monkeypatch, computed_in, is_same):
    config = read_config(run)
    config["trainer"]["precision"] = "auto"
    monkeypatch.setattr(scoring, "finished_result", lambda folder: {"precision": computed_in})
    gathered, _ = ConditionedModel(run, config, view, "cpu").predict(scored[0].condition, material_of(view.ds, 42))
    table = scored[0].table.set_index("segment_id").loc[gathered["segment_id"]]
    assert np.array_equal(gathered["pred_va"], table[["pred_valence", "pred_arousal"]].to_numpy()) == is_same


@pytest.mark.parametrize(("fusion", "unread"), [("text_only", "audio"), ("audio_only", "text"), ("concat", "signals")])
def test_removing_a_modality_that_the_model_does_not_read_changes_not_one_bit(run, view, tmp_path, fusion, unread):
    save_tiny(tmp_path / "model", tiny_model(fusion), max_samples=16_000)
    model = ConditionedModel(tmp_path, read_config(run), view, "cpu")
    material = material_of(view.ds, 42)
    clean, _ = model.predict(Condition("clean", "Clean"), material)
    removed, _ = model.predict(Condition("removed", "Removed", unread, removes=True), material)
    assert unread not in model.modalities
    for name in ("emotion_probs", "pred_va"):
        assert np.array_equal(clean[name], removed[name])
    read, _ = model.predict(Condition("removed", "Removed", model.modalities[0], removes=True), material)
    assert not np.array_equal(clean["pred_va"], read["pred_va"])


def test_a_removed_modality_has_no_influence_whatever_its_values_are(run, view):
    """The same words with another sound give the same predictions once the sound is removed."""
    model = ConditionedModel(run, read_config(run), view, "cpu")
    removed = next(one for one in conditions() if one.name == "no_audio")

    def backwards(row, material):
        return row | {"waveform": row["waveform"][::-1].copy()}

    noisy = Condition("x", "X", "audio", backwards, removes=True)
    material = material_of(view.ds, 42)
    first, second = (model.predict(one, material)[0] for one in (removed, noisy))
    assert np.array_equal(first["emotion_probs"], second["emotion_probs"])
    assert np.array_equal(first["pred_va"], second["pred_va"])


def test_bio_signals_are_removed_where_the_model_reads_them(run, view, tmp_path):
    rng = np.random.default_rng(0)
    encoders = {"audio": partial(AudioEncoder, "tiny"), "text": partial(TextEncoder, "tiny")}
    encoders["signals"] = partial(SignalEncoder, form="features", hidden_dim=8)
    reads = EmotionModel(encoders, partial(Concat3, projection_dim=8, hidden_dim=8), KEMD)
    save_tiny(tmp_path / "model", reads, max_samples=16_000)
    found = {}
    for name in ("one", "other"):
        ds = view.ds.add_column("signal_features", rng.normal(size=(len(view), len(FEATURES))).tolist())
        with_signals = SimpleNamespace(ds=ds, signals="features")
        model = ConditionedModel(tmp_path, read_config(run), with_signals, "cpu")
        for condition in (one for one in conditions() if one.name in ("clean", "no_signals")):
            found[name, condition.name], _ = model.predict(condition, material_of(view.ds, 42))
    assert model.modalities == ("audio", "text", "signals")
    assert not np.array_equal(found["one", "clean"]["pred_va"], found["other", "clean"]["pred_va"])
    assert np.array_equal(found["one", "no_signals"]["pred_va"], found["other", "no_signals"]["pred_va"])


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.slow
def test_after_a_kill_the_command_goes_on_and_scores_no_condition_again(run, out, scored, tmp_path, monkeypatch):
    told = []
    predict = ConditionedModel.predict

    def counted(self, condition, material):
        told.append(condition.name)
        if len(told) == 4:
            raise Killed
        return predict(self, condition, material)

    monkeypatch.setattr(ConditionedModel, "predict", counted)
    with pytest.raises(Killed):
        score_conditions(run, tmp_path / "out")
    assert told == ["clean", "no_audio", "no_text", "white_noise_20"]
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "predictions").iterdir()}
    score_conditions(run, tmp_path / "out")
    assert told[4:] == [
        one.name for one in conditions() if one.name not in ("clean", "no_audio", "no_text", "no_signals")
    ]
    folder = tmp_path / "out" / "predictions"
    assert all((folder / name).stat().st_mtime_ns == time for name, time in kept.items())
    for path in folder.glob("*.csv"):  # the same as without the kill
        assert path.read_bytes() == (out / "predictions" / path.name).read_bytes()


def test_predictions_of_something_else_are_not_gone_on_with(run, out, scored, tmp_path):
    without = score_conditions(run, out)  # nothing is scored again, and the recogniser is remembered
    assert [one.condition.name for one in without] == [one.condition.name for one in scored[:-1]]
    with pytest.raises(FileExistsError, match=r"holds others \(seed\)"):
        score_conditions(run, out, seed=43)
    with pytest.raises(FileExistsError, match=r"holds others \(transcriber\)"):
        score_conditions(run, out, transcriber="another")
    stranger = tmp_path / "out" / "predictions"
    stranger.mkdir(parents=True)
    (stranger / "clean.csv").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"without identity\.json"):
        score_conditions(run, tmp_path / "out")


def test_a_cut_file_of_predictions_is_named(run, out, scored, tmp_path):
    copy = shutil.copytree(out, tmp_path / "out")
    path = copy / "predictions" / "clean.csv"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"must be those that were written: .*clean\.csv.* Remove the file"):
        score_conditions(run, copy)


def test_a_run_folder_stays_as_it_is_and_a_folder_that_is_no_run_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match="A run folder stays as it is"):
        score_conditions(run, run / "robustness")
    with pytest.raises(FileNotFoundError, match="that of a finished run with a saved model"):
        score_conditions(tmp_path, tmp_path / "out")
