"""Training on some corpora and reporting another: who is where, label spaces, and a run from the command line to its table."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from own_corpora import write_csv, write_tone

import train as program  # noqa: F401  registers the configuration's resolvers
from erc.configuration import TOP_LEVEL, check_config
from erc.cross_corpora import joint_space
from erc.datasets import HF_KEMD, HF_CrossCorpus, HF_Manifest, class_of, count_folds, fingerprint_of, without_specials
from erc.labels import LabelSpace
from erc.report.finished_run import Run
from erc.training import identify
from erc.training.assembly import make_views

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")


def ids(view) -> set[str]:
    return set(view.ds["segment_id"])


@pytest.fixture
def kemd(corpora, cache_dir):
    """Views of KEMDy19 and KEMDy20 against each other."""
    parts = {name: partial(HF_KEMD, dataset_name=name, validation_fold=3) for name in ("kemdy19", "kemdy20")}
    return partial(HF_CrossCorpus, parts, root=str(corpora), cache_dir=str(cache_dir))


def write_table(folder: Path, corpus: str, emotions: list[str], **columns: list[str]) -> Path:
    """Six speakers with two tones each, one label a segment."""
    rows = []
    for number in range(12):
        write_tone(folder / f"{corpus}{number}.wav", 0.3, hertz=200 + 20 * number)
        row = {"file": f"{corpus}{number}.wav", "corpus": corpus, "speaker": f"s{number // 2}", "text": "so"}
        row |= {"fold": str(number // 4), "emotion": emotions[number % len(emotions)]}
        rows.append(row | {name: values[number % len(values)] for name, values in columns.items()})
    return write_csv(folder / f"{corpus}.csv", rows)


@pytest.fixture
def own(tmp_path):
    """Makes views over tables: ``own(a={...}, b={...}, mode=…)`` with the options of each corpus."""

    def make(mode="train", validation_fold=0, dimensions=None, **parts):
        made = {name: partial(HF_Manifest, **options) for name, options in parts.items()}
        cache = str(tmp_path / "cache")
        return HF_CrossCorpus(made, mode, validation_fold, dimensions, cache_dir=cache, drop_tied=mode == "train")

    return make


# --- who is where -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("fold", "trains", "reported"), [(0, "kemdy20", "kemdy19"), (1, "kemdy19", "kemdy20")])
def test_the_reported_corpus_has_no_part_in_training_or_choosing(kemd, corpora, cache_dir, fold, trains, reported):
    train, valid, test = make_views(
        partial(kemd, validation_fold=fold), {"protocol": "cross_corpus", "target": {"kind": "hard"}}
    )
    options = {"root": str(corpora), "cache_dir": str(cache_dir), "dataset_name": trains}
    assert ids(train) == ids(HF_KEMD("train", 3, drop_tied=True, **options))
    assert ids(valid) == ids(HF_KEMD("valid", 3, **options))
    assert ids(test) == ids(HF_KEMD("test", -1, **options | {"dataset_name": reported}))
    assert set(train.ds["corpus"]) == set(valid.ds["corpus"]) == {trains} and set(test.ds["corpus"]) == {reported}
    assert not set(train.ds["speaker"]) & set(valid.ds["speaker"])
    assert not (ids(train) | ids(valid)) & ids(test)
    assert set(test.folds()) == {fold} and set(train.folds()) == {1 - fold}
    assert len({one.fingerprint for one in (train, valid, test)}) == 1 and train.is_synthetic


def test_every_fold_of_three_corpora_leaves_one_out(own, tmp_path):
    parts = {name: {"path": str(write_table(tmp_path, name, ["happy", "sad"]))} for name in ("a", "b", "c")}
    for fold, name in enumerate(parts):
        train, valid, test = (own(mode, fold, **parts) for mode in ("train", "valid", "test"))
        assert set(train.ds["corpus"]) == set(valid.ds["corpus"]) == set(parts) - {name}
        assert set(test.ds["corpus"]) == {name} and len(test) == 12 and len(train) == 16 and len(valid) == 8
        speakers = [{*zip(one.ds["corpus"], one.ds["speaker"], strict=True)} for one in (train, valid)]
        assert not speakers[0] & speakers[1]
    whole = own("test", -1, **parts)
    assert len(whole) == 36 and whole.folds().tolist() == [0] * 12 + [1] * 12 + [2] * 12 and whole.n_folds == 3


def test_an_official_partition_trains_with_its_sides_and_is_reported_as_a_whole(own, tmp_path):
    a = write_table(tmp_path, "a", ["happy", "sad"])
    table = pd.read_csv(a, dtype=str).drop(columns="fold")
    table["split"] = ["train"] * 8 + ["test"] * 4
    table.to_csv(a, index=False)
    parts = {"a": {"path": str(a)}, "b": {"path": str(write_table(tmp_path, "b", ["happy", "sad"]))}}
    assert len(own("train", 1, **parts)) == 8 and len(own("valid", 1, **parts)) == 4
    assert len(own("test", 0, **parts)) == 12


# --- label spaces -----------------------------------------------------------------------------------------------------
def test_five_emotions_against_six_are_an_error_that_names_them(own, tmp_path):
    five, six = ["angry", "fear", "happy", "neutral", "sad"], ["angry", "disgust", "fear", "happy", "neutral", "sad"]
    parts = {"a": {"path": str(write_table(tmp_path, "a", five))}, "b": {"path": str(write_table(tmp_path, "b", six))}}
    with pytest.raises(ValueError, match=r"(?s)a and b: emotions: \['angry', 'fear'.*label_map") as err:
        own(**parts)
    assert "'disgust'" in str(err.value) and not (tmp_path / "cache").exists()
    parts["b"]["label_map"] = {"disgust": None}
    assert own(**parts).label_space.emotions == own("test", **parts).label_space.emotions == tuple(five)


def test_the_same_emotions_in_another_order_are_an_error(own, tmp_path):
    parts = {name: {"path": str(write_table(tmp_path, name, ["happy", "sad"]))} for name in ("a", "b")}
    parts["b"]["emotions"] = ["sad", "happy"]
    with pytest.raises(ValueError, match=r"emotions: \['happy', 'sad'\] and \['sad', 'happy'\]"):
        own(**parts)


def test_other_names_are_mapped_and_votes_stand_in_the_common_order(own, tmp_path):
    a, b = write_table(tmp_path, "a", ["happy", "sad"]), write_table(tmp_path, "b", ["Wut", "Freude", "Trauer"])
    b_options = {
        "path": str(b),
        "label_map": {"Freude": "happy", "Trauer": "sad", "Wut": None},
        "emotions": ["happy", "sad"],
    }
    test = own("test", 1, a={"path": str(a)}, b=b_options)
    assert test.ds["votes"][:] == [[0, 0], [1, 0], [0, 1]] * 4
    assert test.label_space == own("train", 1, a={"path": str(a)}, b=b_options).label_space


def test_dimensions_and_scale_must_agree_or_be_left_out(own, tmp_path):
    a = write_table(tmp_path, "a", ["happy", "sad"], valence=["1", "5"], dominance=["2"])
    b = write_table(tmp_path, "b", ["happy", "sad"], valence=["1", "7"])
    parts = {"a": {"path": str(a), "scale": [1, 5]}, "b": {"path": str(b), "scale": [1, 7]}}
    with pytest.raises(ValueError, match=r"dimensions: \['valence', 'dominance'\] and \['valence'\]; scale: "):
        own(**parts)
    with pytest.raises(ValueError, match=r"They differ:\n  a and b: scale: \[1.0, 5.0\] and \[1.0, 7.0\]"):
        own(dimensions=["valence"], **parts)
    with pytest.raises(ValueError, match="b has valence, and not dominance"):
        own(dimensions=["dominance"], **parts)
    space = own(dimensions=[], **parts).label_space
    assert (space.dimensions, space.scale) == ((), None)
    parts["b"]["scale"] = [1, 5]
    write_table(tmp_path, "b", ["happy", "sad"], valence=["1", "5"])
    view = own(dimensions=["valence"], **parts)
    assert view.label_space.dimensions == ("valence",) and "dominance" not in view.ds.column_names


def test_numbers_of_raters_may_differ():
    spaces = {name: LabelSpace(("happy", "sad"), n_raters=n) for name, n in (("a", 10), ("b", 3))}
    assert joint_space(spaces, None).n_raters is None
    assert joint_space({"a": spaces["a"], "b": spaces["a"]}, None).n_raters == 10


# --- what is refused --------------------------------------------------------------------------------------------------
def test_what_does_not_fit_is_refused_with_what_to_do(kemd, corpora, own, tmp_path):
    with pytest.raises(ValueError, match=r"0 \(kemdy19\), 1 \(kemdy20\), or -1 for no split: got 2"):
        kemd(validation_fold=2)
    with pytest.raises(ValueError, match="expected protocol=cross_corpus, got nested"):
        kemd(protocol="nested")
    with pytest.raises(ValueError, match="it needs dataset=cross_corpus"):
        HF_KEMD(root=str(corpora), protocol="cross_corpus")
    with pytest.raises(ValueError, match="two corpora or more: got a"):
        own(a={"path": "a.csv"})
    with pytest.raises(ValueError, match="expected _target_ and _partial_: true, got {'path'"):
        HF_CrossCorpus({"a": {"path": "a.csv"}})
    path = str(write_table(tmp_path, "a", ["happy", "sad"]))
    with pytest.raises(ValueError, match="dataset.corpora.b.path is not set"):
        own(a={"path": path}, b={"scale": [1, 5]})
    with pytest.raises(ValueError, match="a and b both hold one named 'a'"):
        own(a={"path": path}, b={"path": path})


def test_corpora_of_two_kinds_report_each_other_but_do_not_train_together(corpora, cache_dir, tmp_path):
    order = ["surprise", "fear", "angry", "neutral", "happy", "sad", "disgust"]
    tables = {name: write_table(tmp_path, name, order, valence=["1", "5"], arousal=["2"]) for name in ("mine", "other")}
    parts = {"kemdy20": partial(HF_KEMD, dataset_name="kemdy20", root=str(corpora))}
    parts["mine"] = partial(HF_Manifest, str(tables["mine"]), scale=[1, 5], emotions=order)
    make = partial(HF_CrossCorpus, parts, cache_dir=str(cache_dir))
    assert set(make("train", 1).ds["corpus"]) == {"kemdy20"} and set(make("test", 1).ds["corpus"]) == {"mine"}
    whole = make("test", -1, protocol="paper")
    assert set(whole.ds["corpus"]) == {"kemdy20", "mine"} and "waveform" not in whole.ds.column_names
    parts["other"] = partial(HF_Manifest, str(tables["other"]), scale=[1, 5], emotions=order)
    with pytest.raises(ValueError, match="train together must have columns of one type: session in kemdy20"):
        make("train", 1)


# --- a run ------------------------------------------------------------------------------------------------------------
def test_places_of_corpora_are_no_part_of_a_run_and_their_content_is(kemd, corpora, cache_dir):
    def config(root):
        parts = {
            n: {"_target_": "erc.datasets.HF_KEMD", "_partial_": True, "dataset_name": n, "root": root} for n in names
        }
        return {"dataset": {"_target_": "erc.datasets.HF_CrossCorpus", "corpora": parts, "cache_dir": str(cache_dir)}}

    names = ("kemdy19", "kemdy20")
    assert identify(config("here"), "d").fingerprint == identify(config("there"), "d").fingerprint
    options = config(str(corpora))["dataset"]
    assert fingerprint_of(options) == kemd().fingerprint and count_folds(options) == 2
    assert (
        class_of(options)(validation_fold=1, **without_specials(options)).describe()
        == kemd(validation_fold=1).describe()
    )
    options["corpora"] = dict(reversed(options["corpora"].items()))
    assert fingerprint_of(options) != kemd().fingerprint


@pytest.mark.slow
def test_a_grid_across_kemdy19_and_kemdy20_says_what_it_trained_on_and_what_it_reports(
    corpora, cache_dir, tmp_path, run_grid
):
    data = [f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=16", "synthetic=null"]
    command = ["--experiment", "demo", "--rows", "text_only_peakl", "--jobs", "1"]
    command += ["--out", str(tmp_path / "grid"), "--", "dataset=cross_corpus", "protocol=cross_corpus", *data]
    done = run_grid(*command, "trainer.max_epochs=1")
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {fold: tmp_path / f"grid/text_only_peakl/fold{fold}-seed42" for fold in (0, 1)}
    for fold, (trained, reported) in enumerate([("kemdy20", "kemdy19"), ("kemdy19", "kemdy20")]):
        result = json.loads((cells[fold] / "result.json").read_text())
        assert (result["protocol"], result["trained_on"], result["corpora"]) == ("cross_corpus", [trained], [reported])
        assert (result["n_folds"], result["n_train"], result["n_chosen_on"], result["n_reported_on"]) == (2, 16, 16, 16)
        predicted = pd.read_csv(cells[fold] / "predictions.csv")
        assert set(predicted["corpus"]) == {reported}
        run = Run(cells[fold], result)
        assert set(run.dataset().ds["segment_id"]) == set(predicted["segment_id"])
        assert not (ids(run.dataset("train")) | ids(run.dataset("valid"))) & set(predicted["segment_id"])
    table = (tmp_path / "grid/table.md").read_text()
    header = "Fold 0 is trained on kemdy20 and reports kemdy19. Fold 1 is trained on kemdy19 and reports kemdy20."
    assert "protocol=cross_corpus: each fold reports a corpus that had no part in training or choosing" in table
    assert "best epoch on the segments that choose the checkpoint" in table and "published" not in table
    assert header in table and header in (tmp_path / "grid/table.tex").read_text().replace("\\_", "_")


def test_the_acted_corpora_are_mapped_onto_their_six_common_emotions(tmp_path):
    six = ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
    more = {"crema_d": [], "emodb": ["boredom"], "ravdess": ["calm", "surprise"]}
    folds = {"crema_d": {"fold": [""]}}  # its converter makes none
    tables = {name: write_table(tmp_path, name, [*one, *six], **folds.get(name, {})) for name, one in more.items()}
    paths = [f"dataset.corpora.{name}.path={path}" for name, path in tables.items()]
    with initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        options = ["dataset=cross_acted", "protocol=cross_corpus"]
        config = compose("train", [*options, *paths, f"dataset.cache_dir={tmp_path / 'cache'}"])
    dataset = OmegaConf.to_container(config.dataset, resolve=True)
    check_config({"dataset": dataset}, {"dataset": TOP_LEVEL["dataset"]})
    test = instantiate(dataset, _convert_="all")(mode="test", validation_fold=1, protocol="cross_corpus")
    assert test.label_space.emotions == tuple(six) and set(test.ds["corpus"]) == {"emodb"}
    # every seventh label is boredom, which nobody voted on here; twelve segments
    assert test.ds["hard_label"][:] == [-1, 0, 1, 2, 3, 4, 5, -1, 0, 1, 2, 3]
