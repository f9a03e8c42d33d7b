"""The model card says what the run's files say, warns of what has to be warned of, and names nobody.

Expected figures are read from ``result.json`` and ``predictions.csv`` by this file itself.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard
from saved_models import TRAINING, save_tiny, tiny_model

from erc.datasets import HF_KEMD
from erc.export import export, model_card
from erc.model import load_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    export(str(run), str(folder))
    return folder


@pytest.fixture(scope="module")
def card(exported) -> str:
    return (exported / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A model of audio and text whose corpus is licensed, without a run beside it."""
    return load_model(save_tiny(tmp_path_factory.mktemp("other") / "model", tiny_model()))


@pytest.fixture
def copied(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copied"))


def cells(card: str, first: str) -> list[str]:
    """Cells of the first row of a table that begins so."""
    line = next(line for line in card.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def as_number(text: str) -> float:
    return float(text.replace("−", "-"))


def change_result(run: Path, **changes) -> None:
    """As results of before there were hashes."""
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    for name in ("result_sha256", "predictions_sha256"):
        result.pop(name)
    (run / "result.json").write_text(json.dumps(result | changes), encoding="utf-8")


def test_the_figures_are_those_of_the_result(copied):
    change_result(
        copied, majority={"weighted_f1": 0.123, "uar": 0.234, "ccc_valence": 0.345}
    )  # others than the model's
    result = json.loads((copied / "result.json").read_text(encoding="utf-8"))
    card = model_card(load_model(copied / "model"), copied)
    for title, metric in {"Weighted-F1": "weighted_f1", "UAR": "uar", "CCC (valence)": "ccc_valence"}.items():
        _, own, interval, majority, *_ = cells(card, title)
        assert as_number(own) == pytest.approx(result["selected"]["metrics"][metric], abs=5.01e-4)
        assert as_number(majority) == pytest.approx(result["majority"][metric], abs=5.01e-4)
        low, high = map(as_number, interval.split(" to "))
        assert -1 <= low < high <= 1
    for emotion in result["label_space"]["emotions"]:
        assert as_number(cells(card, emotion)[1]) == pytest.approx(
            result["selected"]["metrics"][f"f1_{emotion}"], abs=5.01e-4
        )


def test_the_front_matter_is_what_the_hub_reads(run, card):
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    data = yaml.safe_load(card.split("---")[1])
    assert (data["license"], data["language"], data["library_name"]) == ("mit", ["ko"], "erc")
    assert data["pipeline_tag"] == "text-classification" and "synthetic-data" in data["tags"]
    (model,) = data["model-index"]
    metrics = {one["name"]: one["value"] for one in model["results"][0]["metrics"]}
    assert ModelCard(card).data.eval_results[0].dataset_name.endswith("(synthetic)")  # the hub's own reader
    assert metrics["Macro-F1"] == pytest.approx(result["selected"]["metrics"]["macro_f1"], abs=5.01e-5)


def test_the_labels_stand_in_the_order_of_the_logits(exported, card):
    labels = re.findall(r"^\| (\d) \| (\w+) \|$", card, flags=re.MULTILINE)
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    assert dict(labels) == config["id2label"] and len(labels) == 7


def test_what_was_held_out_is_counted(run, card):
    table = pd.read_csv(run / "predictions.csv")
    for corpus, part in table.groupby("corpus"):
        n = part["speaker"].nunique()
        found = re.search(rf"{corpus}: (\d+) sessions? \(([\d, ]+)\), (\d+) dialogues?, (\d+) speakers?", card)
        assert found[2] == ", ".join(map(str, sorted(part["session"].unique())))
        assert [int(found[1]), int(found[3]), int(found[4])] == [
            part["session"].nunique(),
            part["dialogue"].nunique(),
            n,
        ]


def test_no_file_of_an_export_names_a_segment_a_speaker_a_transcript_or_a_folder(exported, run, corpora, cache_dir):
    table = pd.read_csv(run / "predictions.csv")
    everything = HF_KEMD("train", -1, root=str(corpora), cache_dir=str(cache_dir)).ds
    words = {text for text in everything["transcript"] if len(text) > 4}
    names = {*everything["segment_id"], *everything["speaker"], *everything["dialogue"], *table["segment_id"]}
    secret = [text.encode() for text in names | words | {str(run.parent), str(corpora), str(cache_dir)}]
    assert len(words) > 20 and len(names) > 100
    content = b"\n".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    assert [text for text in secret if text in content] == []
    assert any(text in (run / "predictions.csv").read_bytes() for text in secret)  # control


def test_a_card_says_that_the_checkpoint_was_chosen_on_the_reported_fold_only_where_it_was(copied):
    saved = load_model(copied / "model")
    assert "too good" in model_card(saved, copied)
    change_result(copied, protocol="nested")
    text = model_card(saved, copied)
    assert "too good" not in text and "fold k + 1 chooses" in text


def test_synthetic_speech_is_told_first_and_real_speech_has_terms_of_its_own(card, other):
    assert "synthetic corpus" in card.split("## Labels")[0] and "No person was recorded" in card
    text = model_card(other)
    data = yaml.safe_load(text.split("---")[1])
    assert (data["license"], data["license_name"]) == ("other", "terms-of-the-training-corpora")
    assert "synthetic" not in text and "**not of these weights**" in text and "kemdy19" in text


def test_a_model_without_a_run_has_a_card_without_figures(other):
    text = model_card(other)
    assert "there are no figures" in text and "model-index" not in text and "Hangul 98 %, Latin 2 %" in text


def test_the_result_of_another_run_is_refused(copied):
    training = TRAINING | {"fingerprint": "of another run"}
    shutil.rmtree(copied / "model")
    save_tiny(copied / "model", tiny_model("text_only"), training=training)
    with pytest.raises(ValueError, match="is of another run than the model beside it"):
        model_card(load_model(copied / "model"), copied)


def test_the_python_of_the_card_runs(exported, card, monkeypatch):
    monkeypatch.chdir(exported.parent)
    blocks = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        values: dict = {}
        exec(block.replace("path/to/this/folder", str(exported)), values)
    assert values["model"].config.id2label[0] == "surprise"


def test_the_card_cites_what_the_citation_file_cites(card):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["preferred-citation"]
    assert cited["title"] in card and str(cited["year"]) in card and cited["journal"] in card
    assert all(author["family-names"] in card for author in cited["authors"])
