"""What a finished run leaves for its users: a saved model with the run's own predictions, and facts without any segment."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from saved_models import save_tiny, tiny_model
from small_cells import SmallCell, content

from erc.data import KEMD
from erc.inference import Predictor
from erc.labels import LabelSpace
from erc.model import build_model, load_model
from erc.training import run as training_run
from erc.training.facts import training_facts
from erc.views import SegmentDataset


@pytest.fixture(scope="module")
def cell(corpora, cache_dir, tmp_path_factory) -> SmallCell:
    """A finished run of text only in ``run``."""
    cell = SmallCell(tmp_path_factory.mktemp("saved_run"), corpora, cache_dir)
    cell("trainer.max_epochs=1")
    return cell


def view(cell: SmallCell, mode: str) -> SegmentDataset:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    return instantiate(OmegaConf.create(cell.config()["dataset"]), _convert_="all")(mode=mode, protocol="paper")


def test_the_saved_model_gives_the_run_s_own_predictions(cell):
    predictor = Predictor.from_pretrained(cell.root / "run")
    stored = pd.read_csv(cell.root / "run" / "predictions.csv").set_index("segment_id")
    segments = view(cell, "test")
    for row in segments:
        answer = predictor(text=row["transcript"])
        for one in answer["emotions"]:
            assert one["score"] == pytest.approx(stored.loc[row["segment_id"], f"prob_{one['label']}"], abs=1e-5)
        assert answer["valence"] == pytest.approx(stored.loc[row["segment_id"], "pred_valence"], abs=1e-5)


def test_its_facts_are_those_of_the_training_segments(cell):
    facts = load_model(cell.root / "run" / "model").config.training
    train = view(cell, "train")
    seconds = np.array(train.ds["n_samples"]) / 16_000
    assert facts["seconds"]["p50"] == pytest.approx(np.median(seconds), abs=1e-3)
    assert (facts["n_segments"], facts["is_synthetic"], facts["fold"], facts["seed"]) == (8, True, 4, 42)
    assert facts["fingerprint"] == json.loads((cell.root / "run" / "result.json").read_text())["fingerprint"]
    hangul = sum("가" <= letter <= "힣" for text in train.ds["transcript"] for letter in text)
    letters = sum(letter.isalpha() for text in train.ds["transcript"] for letter in text)
    assert facts["scripts"]["HANGUL"] == pytest.approx(hangul / letters, abs=1e-4)
    happy = [row for row in train if row["hard_label"] == 4 and not row["is_tied"]]
    if happy:
        assert facts["centroids"]["happy"][0] == pytest.approx(np.mean([row["valence"] for row in happy]), abs=1e-4)


def test_no_segment_is_in_the_saved_model(cell):
    text = b"".join(content(cell.root / "run" / "model").values())
    for row in [*view(cell, "train"), *view(cell, "test")]:
        assert row["segment_id"].encode() not in text and row["speaker"].encode() not in text
        assert row["transcript"].encode() not in text


def test_facts_do_without_transcripts_letters_and_ratings():
    class Nothing:
        label_space = LabelSpace(("ja", "nein"))
        is_synthetic = False

        class ds:
            @staticmethod
            def with_format(_):
                return {"n_samples": np.array([16_000]), "corpus": np.array(["x"]), "transcript": np.array(["1 2"])}

    facts = training_facts({"dataset": {"validation_fold": 0}, "seed": 1, "protocol": "last"}, {}, Nothing, "f")
    assert facts["scripts"] == {} and "centroids" not in facts and facts["seconds"]["p99"] == 1.0


def test_a_run_that_cannot_save_its_model_is_not_finished(cell, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training_run, "save_model", full)
    with pytest.raises(OSError, match="No space left"):
        cell("trainer.max_epochs=1", folder="full")
    assert not (cell.root / "full" / "result.json").exists() and (cell.root / "full" / "last.ckpt").exists()


# --- model.init_from --------------------------------------------------------------------------------------------------
def test_training_starts_from_the_weights_of_a_saved_model(cell):
    before = load_model(cell.root / "run" / "model").model.emotion_model.state_dict()
    cell("trainer.max_epochs=1", f"model.init_from={cell.root / 'run'}", "optim.lr.heads=1e-12", folder="on")
    after = load_model(cell.root / "on" / "model").model.emotion_model.state_dict()
    heads = [name for name in before if name.startswith("heads.")]
    assert all(np.allclose(before[name], after[name], atol=1e-8) for name in heads)
    # control: from new weights they would be others
    cell("trainer.max_epochs=1", "optim.lr.heads=1e-12", "seed=7", folder="new")
    new = load_model(cell.root / "new" / "model").model.emotion_model.state_dict()
    assert not any(np.allclose(before[name], new[name], atol=1e-3) for name in heads if name.endswith("weight"))


def test_the_saved_weights_belong_to_the_run_s_identity(cell):
    from erc.training import identify

    options = [f"model.init_from={cell.root / 'run'}", f"model.init_from={cell.root / 'run' / 'model'}", "seed=42"]
    first, same, none = (identify(cell.config(option), "data").fingerprint for option in options)
    assert first == same != none
    other = save_tiny(cell.root / "other", tiny_model("text_only"))
    assert identify(cell.config(f"model.init_from={other}"), "data").fingerprint != first


def partials(cell: SmallCell, *changes: str) -> dict:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    return instantiate(OmegaConf.create(cell.config(*changes)), _convert_="all")


def test_heads_of_another_question_are_new_and_said_so(cell, capsys):
    source = str(cell.root / "run")
    before = load_model(cell.root / "run" / "model").model.emotion_model
    parts = partials(cell, f"model.init_from={source}")
    three = parts["model"](label_space=LabelSpace(("a", "b", "c"), ("valence", "arousal"), (1.0, 5.0)))
    told = capsys.readouterr().out
    assert "New head for the emotions: a, b, c (before: surprise" in told and "valence" not in told
    assert three.heads.emotion.out_features == 3 and np.array_equal(
        three.heads.va.weight.detach(), before.heads.va.weight.detach()
    )
    wide = parts["model"](label_space=LabelSpace(KEMD.emotions, ("valence", "arousal"), (-1.0, 1.0)))
    assert "New head for valence, arousal" in capsys.readouterr().out and wide.training
    assert np.array_equal(wide.heads.emotion.weight.detach(), before.heads.emotion.weight.detach())
    assert parts["model"](label_space=LabelSpace(KEMD.emotions)).heads.va is None


def test_options_of_the_encoders_hold_for_a_saved_model(cell):
    parts = partials(cell, f"model.init_from={cell.root / 'run'}", "encoders.text.freeze=true")
    model = parts["model"](label_space=KEMD)
    assert not any(value.requires_grad for value in model.encoders["text"].parameters())
    parts = partials(cell, f"model.init_from={cell.root / 'run'}", "encoders.text.lora_rank=2")
    names = dict(parts["model"](label_space=KEMD).named_parameters())
    assert any("lora_A" in name for name in names)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (["fusion=small/concat"], r"keeps its fusion: .*name: TextOnly there, Concat here"),
        (["fusion.hidden_dim=32"], r"hidden_dim: 64 there, 32 here"),
        (["model.init_from=/nowhere"], "expected a finished run folder"),
    ],
)
def test_another_architecture_and_no_model_are_refused_by_name(cell, changes, complaint):
    parts = partials(cell, f"model.init_from={cell.root / 'run'}", *changes)
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        parts["model"](label_space=KEMD)


def test_encoders_of_another_kind_are_refused(cell, tmp_path):
    from functools import partial

    from saved_models import FUSIONS, spectrogram

    save_tiny(tmp_path / "model", tiny_model("audio_only"))
    with pytest.raises(ValueError, match="has a AudioEncoder for audio, the configuration another"):
        build_model({"audio": partial(spectrogram())}, FUSIONS["audio_only"], KEMD, str(tmp_path / "model"))
