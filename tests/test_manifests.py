"""A corpus of one's own, from its table to a trained cell, a grid of two rows and its table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from own_corpora import EMOTIONS, write_corpus, write_csv, write_tone

from erc.datasets import HF_Manifest, count_folds, fingerprint_of


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def view(corpus: Path, cache: str, **options) -> HF_Manifest:
    return HF_Manifest(str(corpus), cache_dir=cache, **{"scale": [1, 5]} | options)


def test_views_partition_the_corpus_and_hold_the_audio(corpus, cache):
    parts = [view(corpus, cache, mode="valid", validation_fold=fold) for fold in range(5)]
    whole = view(corpus, cache, validation_fold=-1)
    ids = [one for part in parts for one in part.ds["segment_id"]]
    assert sorted(ids) == sorted(whole.ds["segment_id"]) and len(ids) == 30
    assert {part.fingerprint for part in parts} == {whole.fingerprint}
    assert all(set(part.folds()) == {fold} for fold, part in enumerate(parts))
    train = view(corpus, cache, validation_fold=2)
    assert not set(train.ds["speaker"]) & set(parts[2].ds["speaker"])
    first = whole[0]
    assert first["transcript"] == "" and first["n_samples"] == len(first["waveform"]) == 8_000
    spectrum = np.abs(np.fft.rfft(first["waveform"]))
    assert spectrum.argmax() * 2 == pytest.approx(200, abs=2)  # the tone that was written, at 16 kHz
    assert np.isnan(whole[1]["valence"]) and whole[3]["votes"].tolist() == [0] * 5


def test_the_summary_names_labels_and_what_is_not_known(corpus, cache):
    text = str(view(corpus, cache, validation_fold=-1))
    for part in ("30 segments", "5 folds", "6 speakers", ", ".join(EMOTIONS), "6 of 30 segments have no transcript"):
        assert part in text


def test_nested_takes_the_next_fold_and_hard_labels_drop_what_has_none(corpus, cache):
    options = {"validation_fold": 4, "protocol": "nested"}
    sides = {mode: set(view(corpus, cache, mode=mode, **options).folds()) for mode in ("train", "valid", "test")}
    assert sides == {"train": {1, 2, 3}, "valid": {0}, "test": {4}}
    assert -1 not in view(corpus, cache, validation_fold=-1, drop_tied=True).ds["hard_label"]
    with pytest.raises(ValueError, match="validation_fold must be 0 to 4"):
        view(corpus, cache, validation_fold=5)
    with pytest.raises(ValueError, match="nested needs three folds"):
        view(corpus, cache, n_folds=2, protocol="nested")


def test_a_partition_of_the_corpus_is_one_fold(corpus, tmp_path, cache):
    table = pd.read_csv(corpus, keep_default_na=False)
    table["file"] = [str(corpus.parent / file) for file in table["file"]]
    table["split"] = ["train"] * 20 + ["valid"] * 5 + ["test"] * 5
    path = tmp_path / "official.csv"
    table.to_csv(path, index=False)

    def sides(protocol):
        options = {"allow_outside": True, "protocol": protocol, "validation_fold": 0}
        parts = [view(path, cache, mode=mode, **options) for mode in ("train", "valid", "test")]
        return [(len(part), *sorted(set(part.folds()))) for part in parts], parts[0].n_folds

    assert sides("nested") == ([(20, "train"), (5, "valid"), (5, "test")], 1)
    assert sides("paper") == ([(20, "train"), (5, "test"), (5, "test")], 1)
    assert (
        count_folds({"_target_": "erc.datasets.HF_Manifest", "path": str(path), "scale": [1, 5], "allow_outside": True})
        == 1
    )


def test_the_fingerprint_is_of_content_and_known_without_a_build(corpus, tmp_path, cache):
    options = {"_target_": "erc.datasets.HF_Manifest", "scale": [1, 5], "cache_dir": str(tmp_path / "cache")}
    here = fingerprint_of(options | {"path": str(corpus)})
    assert here == view(corpus, cache).fingerprint
    assert not list((tmp_path / "cache").glob("segments-*"))  # checksums, no build
    shutil.copytree(corpus.parent, tmp_path / "copy", copy_function=shutil.copyfile)  # other times
    copy = tmp_path / "copy" / corpus.name
    assert fingerprint_of(options | {"path": str(copy)}) == here
    folds = fingerprint_of(options | {"path": str(copy), "fold_seed": 1})
    assert folds != here and folds.split("-")[0] == here.split("-")[0]  # another division, the same build
    audio = next((tmp_path / "copy").rglob("*.mp3"))
    sound, rate = soundfile.read(audio)
    soundfile.write(audio, sound * 0.5, rate)
    assert fingerprint_of(options | {"path": str(copy)}).split("-")[0] != here.split("-")[0]


def test_folds_are_written_beside_the_build(corpus, cache):
    one = view(corpus, cache, n_folds=3)
    written = pd.read_csv(Path(cache, f"segments-{one.fingerprint}.folds.csv"))
    assert written["segment_id"].tolist() == view(corpus, cache, validation_fold=-1).ds["segment_id"]
    assert set(written["fold"]) == {0, 1, 2}


def test_bad_audio_stops_or_is_skipped_and_is_named_with_its_line(tmp_path):
    write_tone(tmp_path / "a.wav", 1.0)
    (tmp_path / "broken.wav").write_bytes(b"RIFFnothing")
    rows = [
        {"file": file, "segment_id": str(k), "end": end, "emotion": "xy"[k % 2], "fold": k % 2}
        for k, (file, end) in enumerate(
            [("a.wav", 0.5), ("a.wav", 1.0), ("a.wav", 3.0), ("broken.wav", ""), ("gone.wav", "")]
        )
    ]
    path = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(ValueError, match="gone.wav is not there"):
        HF_Manifest(str(path), validation_fold=-1, cache_dir=str(tmp_path / "cache"))
    found = HF_Manifest(str(path), validation_fold=-1, cache_dir=str(tmp_path / "cache"), on_bad_segment="skip")
    assert found.ds["segment_id"] == ["0", "1"] and {one.segment_id for one in found.bad} == {"2", "3", "4"}
    assert any("at most 1.000 s is expected" in str(one) and "t.csv, line 4" in str(one) for one in found.bad)


def test_a_build_in_several_processes_and_shards_is_the_same(tmp_path, monkeypatch):
    write_tone(tmp_path / "a.wav", 30)
    rows = [
        {"file": "a.wav", "start": k / 10, "end": k / 10 + 0.1, "emotion": "xy"[k % 2], "speaker": str(k % 7)}
        for k in range(250)
    ]
    path = write_csv(tmp_path / "t.csv", rows)
    one = HF_Manifest(str(path), validation_fold=-1, cache_dir=str(tmp_path / "1"))
    two = HF_Manifest(str(path), validation_fold=-1, cache_dir=str(tmp_path / "2"), num_proc=2)
    assert one.ds.to_pandas().equals(two.ds.to_pandas()) and len(one) == 250
    assert one.ds[7]["waveform"] == np.rint(soundfile.read(tmp_path / "a.wav")[0][11_200:12_800] * 32768).tolist()


def test_the_doctor_looks_at_a_table_and_says_whether_to_start(corpus, tmp_path, capsys):
    from erc.doctor import corpus as doctor

    def code(path, **options):
        with pytest.raises(SystemExit) as stop:
            doctor(path=str(path), json=str(tmp_path / "out.json"), **options)
        found = json.loads((tmp_path / "out.json").read_text()) if stop.value.code < 3 else {}
        return stop.value.code, {
            one["name"]: one["severity"] for one in found.get("findings", []) if one["severity"] != "note"
        }

    assert code(corpus, scale=[1, 5], n_folds=6)[0] == 1  # a fold of one speaker lacks emotions
    assert code(corpus)[1] == {"table of segments": "problem"}
    assert code(corpus, scale=[1, 5], n_folds="many")[0] == 3
    write_tone(tmp_path / "a.wav")
    plain = [
        {"file": "a.wav", "segment_id": str(k), "speaker": str(k % 4), "emotion": "xy"[k // 4 % 2]} for k in range(16)
    ]
    sound = write_csv(tmp_path / "sound.csv", plain)
    assert code(sound, n_folds=2)[0] == 0
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 16_000)
    assert code(sound, n_folds=2)[1]["silent audio"] == "problem"
    write_tone(tmp_path / "a.wav")
    shared = write_csv(tmp_path / "shared.csv", [row | {"fold": k // 8} for k, row in enumerate(plain)])
    assert code(shared)[0] == 2
    assert code(shared, allow_shared_speakers=True)[1]["speakers"] == "warning"


OPTIONS = [
    "dataset=manifest",
    "dataset.scale=[1,5]",
    "dataset.n_folds=2",
    "encoders=tiny",
    "logger=csv",
    "trainer.accelerator=cpu",
] + [
    "trainer.max_epochs=1",
    "dataloader.collate.max_samples=16000",
]


@pytest.mark.slow
def test_from_a_table_to_a_grid_and_its_table(corpus, cache, tmp_path, run_grid):
    asked = ["--rows", "concat_soft", "--out", str(tmp_path / "grid")]
    options = ["--", *OPTIONS, f"dataset.path={corpus}", f"dataset.cache_dir={cache}"]
    ran = run_grid(*asked, *options)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "2 of 2 cells are finished" in ran.stdout  # two folds: --folds follows the corpus
    result = json.loads((tmp_path / "grid/concat_soft/fold0-seed42/result.json").read_text())
    assert result["label_space"]["emotions"] == list(EMOTIONS) and result["n_folds"] == 2
    assert (
        result["n_unlabelled"]["emotion"]
        + json.loads((tmp_path / "grid/concat_soft/fold1-seed42/result.json").read_text())["n_unlabelled"]["emotion"]
        == 1
    )
    table = (tmp_path / "grid/table.md").read_text(encoding="utf-8")
    assert "CCC (valence)" in table and "CCC (arousal)" not in table
    again = run_grid(*asked, *options)
    assert again.returncode == 0 and "Training" not in again.stdout
    refused = run_grid(*asked, "--folds=2", *options)
    assert refused.returncode == 2 and "expected numbers from 0 to 1, got '2'" in refused.stderr
