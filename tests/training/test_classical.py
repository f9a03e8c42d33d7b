"""The classical reference: openSMILE's functionals, a linear support vector machine, and its result as a row of the table."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from own_corpora import write_csv, write_tone
from programs import run_program
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from erc.datasets import HF_Manifest
from erc.labels import LabelSpace
from erc.training import EgemapsSVM, Identity, finished_result, read_result
from erc.training.run import _fit_classical, make_classical

SPACE = LabelSpace(("low", "high", "never"), ("valence",), (1.0, 5.0))


def view(numbers: range, **changes: list) -> SimpleNamespace:
    """Tones of two pitches with a little noise; the lower is rated lower."""
    rows = []
    for number in numbers:
        rng = np.random.default_rng(number)
        high = number % 2
        wave = np.sin(2 * np.pi * (440 if high else 140) * np.arange(8_000) / 16_000) + 0.05 * rng.standard_normal(
            8_000
        )
        rows.append(
            {
                "segment_id": f"s{number}", "waveform": (8_000 * wave).astype(np.int16), "hard_label": high, "is_tied": False,
                "valence": 2.0 + 2 * high,
            }
        )  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in rows[0]} | changes
    return SimpleNamespace(ds=Dataset.from_dict(columns), label_space=SPACE, fingerprint="f")


@pytest.fixture
def model(tmp_path) -> EgemapsSVM:
    return EgemapsSVM(cache_dir=str(tmp_path / "cache"))


def test_two_pitches_are_told_apart_and_rated(model):
    test = view(range(20, 30))
    found = model.fit_predict(view(range(20)), test)
    truth = np.array(test.ds["hard_label"])
    assert found["segment_id"].tolist() == test.ds["segment_id"][:]
    assert (found["emotion_probs"].argmax(axis=1) == truth).all()
    np.testing.assert_allclose(found["emotion_probs"].sum(axis=1), 1, atol=1e-12)
    assert not found["emotion_probs"][:, 2].any()  # no training segment has the third emotion
    assert np.corrcoef(found["pred_va"][:, 0], truth)[0, 1] > 0.9
    assert ((found["pred_va"] >= 1) & (found["pred_va"] <= 5)).all()


def test_it_is_scikit_learn_s_machine_on_standardised_functionals(model):
    train, test = view(range(20)), view(range(20, 26))
    features, others = model.functionals(train), model.functionals(test)
    scaler = StandardScaler().fit(features)
    machine = LinearSVC(C=0.01, random_state=0, max_iter=20_000).fit(
        scaler.transform(features), train.ds["hard_label"][:]
    )
    decision = machine.decision_function(scaler.transform(others))
    found = model.fit_predict(train, test)["emotion_probs"]
    np.testing.assert_allclose(found[:, :2], softmax(np.stack([-decision, decision], axis=1), axis=1), atol=1e-9)


def test_shuffled_labels_are_not_learnt(model):
    """Negative control."""
    shuffled = np.random.default_rng(0).permutation([number % 2 for number in range(20)]).tolist()
    test = view(range(20, 40))
    found = model.fit_predict(view(range(20), hard_label=shuffled), test)["emotion_probs"].argmax(axis=1)
    assert (found == np.array(test.ds["hard_label"])).mean() < 0.9


def test_segments_that_are_tied_or_without_a_label_teach_nothing(model):
    wrong = [1 - number % 2 if number >= 12 else number % 2 for number in range(20)]
    without = [-1 if 12 <= number < 16 else label for number, label in enumerate(wrong)]
    train = view(range(20), hard_label=without, is_tied=[number >= 16 for number in range(20)])
    test = view(range(20, 26))
    found, clean = (model.fit_predict(one, test)["emotion_probs"] for one in (train, view(range(12))))
    np.testing.assert_allclose(found.argmax(axis=1), clean.argmax(axis=1))


def test_functionals_are_computed_once_and_a_damaged_file_again(model, monkeypatch):
    first = model.functionals(view(range(4)))
    path = model.cache_dir / "egemaps-f.npz"
    counted = []
    process = model._smile.process_signal
    monkeypatch.setattr(model._smile, "process_signal", lambda *args: counted.append(1) or process(*args))
    np.testing.assert_array_equal(model.functionals(view(range(4))), first)
    assert not counted
    assert model.functionals(view(range(6))).shape == (6, 88) and len(counted) == 2
    path.write_bytes(path.read_bytes()[:200])
    np.testing.assert_array_equal(model.functionals(view(range(4))), first)
    assert len(counted) == 6


def test_a_single_emotion_and_a_dimension_without_ratings_are_refused(model):
    with pytest.raises(ValueError, match="two emotions"):
        model.fit_predict(view(range(4), hard_label=[0] * 4), view(range(4)))
    with pytest.raises(ValueError, match="expected valence"):
        model.fit_predict(view(range(4), valence=[float("nan")] * 4), view(range(4)))


def test_a_fitted_fold_is_written_as_that_of_a_network(tmp_path, capsys):
    write_corpus(tmp_path)
    views = tuple(
        HF_Manifest(str(tmp_path / "segments.csv"), mode, 0, str(tmp_path / "cache"), n_folds=2, protocol="last")
        for mode in ("train", "valid", "test")
    )
    config = {
        "run_dir": str(tmp_path / "run"), "dataset": {"validation_fold": 0, "cache_dir": str(tmp_path / "cache")},
        "protocol": "last", "seed": 42, "n_threads": 1, "resume": False, "target": {"kind": "hard"},
    }  # fmt: skip
    model = make_classical({"fusion": functools.partial(EgemapsSVM, c=0.1)}, config)
    assert model is not None and model.c == 0.1
    (tmp_path / "run").mkdir()
    names = {"experiment": "scratch", "fusion": "egemaps_svm", "target": "hard"}
    written = _fit_classical(model, names, config, Identity({}, "data", {}), views)
    stored = finished_result(tmp_path / "run")
    assert stored == written and stored["n_reported_on"] == 12 and stored["selected"]["epoch"] == 0
    assert stored["selected"]["metrics"]["uar"] == stored["history"][0]["valid/uar"] > 0.9
    assert "Fitting egemaps_svm, fold 0" in capsys.readouterr().out
    assert make_classical({"fusion": functools.partial(dict)}, config) is None
    with pytest.raises(ValueError, match="expected target=hard, got soft"):
        make_classical({"fusion": functools.partial(EgemapsSVM)}, config | {"target": {"kind": "soft"}})


# --- as a run ---------------------------------------------------------------------------------------------------------
def write_corpus(folder: Path) -> None:
    rows = []
    for number in range(24):
        write_tone(folder / f"{number}.wav", 0.5, hertz=150 + 250 * (number % 2) + 5 * (number // 6))
        rows.append({"file": f"{number}.wav", "speaker": f"s{number // 6}", "text": "a", "emotion": "ab"[number % 2]})
    write_csv(folder / "segments.csv", rows)


def train(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    write_corpus(folder)
    typed = ["experiment=scratch", "dataset=manifest", f"dataset.path={folder / 'segments.csv'}", "dataset.n_folds=2"]
    typed += [f"dataset.cache_dir={folder / 'cache'}", f"hydra.run.dir={folder / 'run'}", *options]
    return run_program("train.py", *typed)


@pytest.mark.slow
def test_the_row_has_a_result_as_any_other(tmp_path):
    done = train(tmp_path, "fusion=small/egemaps_svm", "target=hard")
    assert done.returncode == 0, done.stderr
    result = finished_result(tmp_path / "run")
    assert result is not None and result["fusion"] == "egemaps_svm" and result["selected"]["metrics"]["uar"] > 0.9
    assert "ccc_valence" not in result["selected"]["metrics"]
    assert len(pd.read_csv(tmp_path / "run" / "predictions.csv")) == result["n_reported_on"]


@pytest.mark.slow
def test_soft_labels_are_refused_in_words(tmp_path):
    done = train(tmp_path, "fusion=small/egemaps_svm", "target=soft")
    assert done.returncode == 1 and "expected target=hard, got soft" in done.stderr and "Traceback" not in done.stderr
    assert read_result(tmp_path / "run").state == "absent"


@pytest.mark.slow
def test_under_protocol_last_the_last_epoch_is_reported_whatever_validation_says(tmp_path):
    """With so high a learning rate, validation does not get better with every epoch; nothing stops early either."""
    options = (
        "fusion=small/audio_only",
        "trainer.max_epochs=4",
        "optim.lr.audio=0.05",
        "callbacks.early_stopping.patience=1",
    )
    done = train(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    result = finished_result(tmp_path / "run")
    assert result is not None and result["protocol"] == "last"
    assert len(result["history"]) == 4 and result["selected"]["epoch"] == 3
    assert result["selected"]["metrics"]["micro_f1"] == pytest.approx(result["history"][3]["valid/micro_f1"], abs=1e-6)
