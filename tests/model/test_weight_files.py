"""Frozen weights lie on the disk once, and every saved model is whole all the same."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from saved_models import processors, tiny_model
from transformers import AutoModel

from erc.export import export
from erc.files import sweep_temporaries
from erc.model import EmotionModel, SharedWeights, load_model, save_model, weight_files, weights_checksum

FROZEN = {"model-audio-frozen.safetensors", "model-text-frozen.safetensors"}


def model_of(fusion: str, audio: int | None = 0, text: int | None = 0, seed: int = 0) -> EmotionModel:
    model = tiny_model(fusion, seed=seed)
    for modality, train_last in (("audio", audio), ("text", text)):
        if train_last is not None:
            model.encoders[modality].adapt(train_last=train_last)
    return model


def save(model: EmotionModel, folder: Path, shared: Path | None) -> Path:
    save_model(model, processors(), folder, max_samples=48_000, max_tokens=64, shared=shared)
    return folder


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.glob("*.safetensors")}


@pytest.fixture
def two(tmp_path) -> list[Path]:
    """Saved models of two fusions and other heads on the same frozen encoders."""
    models = model_of("concat"), model_of("cross_attention")
    for name in ("audio", "text"):
        models[1].encoders[name].load_state_dict(models[0].encoders[name].state_dict())
    return [save(model, tmp_path / f"run{i}" / "model", tmp_path / "shared") for i, model in enumerate(models)]


def test_two_models_have_one_file_of_frozen_weights_between_them(two, tmp_path):
    assert names(two[0]) == names(two[1]) == FROZEN | {"model-trained.safetensors"}
    for name in FROZEN:
        assert (two[0] / name).stat().st_ino == (two[1] / name).stat().st_ino
        assert (two[0] / name).stat().st_nlink == 3
    assert len(names(tmp_path / "shared")) == 2
    assert weights_checksum(two[0]) != weights_checksum(two[1])


def test_a_model_with_shared_weights_is_whole_without_the_shared_folder(two, tmp_path):
    alone = save(model_of("concat"), tmp_path / "alone", None)
    assert names(alone) == {"model.safetensors"}
    shutil.rmtree(tmp_path / "shared")
    shutil.rmtree(two[1])
    moved = Path(shutil.copytree(two[0], tmp_path / "moved"))
    expected = load_file(alone / "model.safetensors")
    for loaded in (load_model(moved).model, AutoModel.from_pretrained(moved)):
        found = loaded.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_an_export_is_one_file_whatever_the_run_has(two, tmp_path):
    alone = save(model_of("concat"), tmp_path / "alone", None)
    export(str(two[0]), str(tmp_path / "out"))
    assert names(tmp_path / "out") == {"model.safetensors"}
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (alone / "model.safetensors").read_bytes()


def test_other_weights_or_another_cut_have_a_file_of_their_own(two, tmp_path):
    save(model_of("concat", seed=1), tmp_path / "other", tmp_path / "shared")
    assert len(names(tmp_path / "shared")) == 4
    save(model_of("concat", audio=1, text=None), tmp_path / "cut", tmp_path / "shared")
    assert len(names(tmp_path / "shared")) == 5
    assert names(tmp_path / "cut") == {"model-audio-frozen.safetensors", "model-trained.safetensors"}
    whole = save(model_of("concat", audio=None, text=None), tmp_path / "whole", tmp_path / "shared")
    assert names(whole) == {"model.safetensors"}


def test_a_damaged_shared_file_is_written_again_and_reaches_no_further_model(two, tmp_path, capsys):
    damaged = next((tmp_path / "shared").glob("audio-*.safetensors"))
    content = damaged.read_bytes()
    with open(damaged, "r+b") as file:  # in place: the models before have the same damage
        file.write(b"\xff")
    third = save(model_of("concat"), tmp_path / "third", tmp_path / "shared")
    kept = damaged.with_name(f"{damaged.name}.damaged")
    assert all(kept.samefile(model / "model-audio-frozen.safetensors") for model in two)
    said = capsys.readouterr().err
    assert f"{damaged} is damaged, and so are the 2 saved models that share it" in said and f"-samefile {kept}" in said
    assert (third / "model-audio-frozen.safetensors").read_bytes() == content == damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[:-1])  # a file that no model has
    (third / "model-audio-frozen.safetensors").unlink()
    save(model_of("concat"), tmp_path / "fourth", tmp_path / "shared")
    assert f"{damaged} is damaged: it is written again." in capsys.readouterr().err
    assert damaged.read_bytes() == content


def test_where_the_shared_file_cannot_be_written_no_trained_model_is_lost(tmp_path, monkeypatch, capsys):
    def full(weights, path, **options):
        if Path(path).parent.name == "shared":
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save_file(weights, path, **options)

    monkeypatch.setattr(weight_files, "save_file", full)
    found = save(model_of("concat"), tmp_path / "run", tmp_path / "shared")
    assert names(found) == FROZEN | {"model-trained.safetensors"} and not names(tmp_path / "shared")
    assert "No space left on device" in capsys.readouterr().err
    load_model(found)
    monkeypatch.setattr(weight_files, "save_file", lambda *_, **__: full({}, "shared/a"))
    with pytest.raises(OSError, match="must be written whole: .*No space left on device.*Make room"):
        save(model_of("concat"), tmp_path / "run2", None)
    assert not (tmp_path / "run2").exists()


@pytest.mark.parametrize("reason", ["another disk", "no folder"])
def test_where_no_link_can_be_made_a_model_has_its_own_file_which_is_said(two, tmp_path, monkeypatch, capsys, reason):
    def refuse(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    shared = tmp_path / "shared"
    if reason == "another disk":
        monkeypatch.setattr(os, "link", refuse)
    else:  # root may write everywhere, but not into a file
        shared = tmp_path / "a file"
        shared.write_bytes(b"")
    third = save(model_of("concat"), tmp_path / "third", shared)
    for name in FROZEN:
        assert (third / name).stat().st_nlink == 1
        assert (third / name).read_bytes() == (two[0] / name).read_bytes()
    said = capsys.readouterr().err
    assert "bytes of its own" in said and "no hard link can be made" in said and "dataset.cache_dir" in said


@pytest.mark.parametrize("name", [".audio-0123.tmp-999999", ".tmpAbC123"])
def test_what_a_killed_process_left_is_swept(two, tmp_path, name):
    """Before it is renamed a file has our temporary name, and before that one of safetensors."""
    left = tmp_path / "shared" / name
    left.write_bytes(b"half")
    save(model_of("concat"), tmp_path / "third", tmp_path / "shared")
    assert left.exists()  # nothing was written there, so nobody looked
    save(model_of("concat", seed=1), tmp_path / "other", tmp_path / "shared")
    assert not left.exists()


def test_the_bytes_that_frozen_weights_will_take_are_known_before(tmp_path, monkeypatch):
    model, shared = model_of("concat"), SharedWeights(tmp_path / "shared")
    expected = sum(value.nbytes for one in model.encoders.values() for value in one.cut.frozen())
    assert shared.lacking_bytes(model, tmp_path / "run") == pytest.approx(expected, rel=0.01)
    save(model, tmp_path / "run" / "model", tmp_path / "shared")
    assert shared.lacking_bytes(model, tmp_path / "run") == 0
    assert shared.lacking_bytes(model_of("concat", None, None), tmp_path / "run") == 0
    monkeypatch.setattr(SharedWeights, "links_to", lambda *_: False)  # another disk
    assert shared.lacking_bytes(model, tmp_path / "run") == pytest.approx(expected, rel=0.01)


def test_a_link_is_tried_and_leaves_nothing(tmp_path):
    shared = SharedWeights(tmp_path / "shared")
    assert shared.links_to(tmp_path / "run" / "not" / "there")
    assert not list((tmp_path / "shared").iterdir()) and [one.name for one in tmp_path.iterdir()] == ["shared"]
    if Path("/dev/shm").is_dir():
        assert not shared.links_to(Path("/dev/shm"))  # another file system
        assert not list((tmp_path / "shared").iterdir())


def test_another_process_that_sweeps_disturbs_no_link_that_is_tried(tmp_path, monkeypatch):
    link = os.link

    def swept_before(source, target):
        sweep_temporaries(tmp_path / "shared")
        link(source, target)

    monkeypatch.setattr(os, "link", swept_before)
    assert SharedWeights(tmp_path / "shared").links_to(tmp_path)


@pytest.mark.parametrize("name", [*sorted(FROZEN), "model-trained.safetensors"])
def test_a_file_that_is_missing_is_named(two, name):
    (two[0] / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"lacks {name}"):
        load_model(two[0])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"weight_map": 3}',
        '{"weight_map": {}}',
        '{"weight_map": {"a": "../a"}}',
        '{"weight_map": {"a": ',
    ],
)
def test_a_damaged_index_is_named(two, content):
    (two[0] / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    with pytest.raises(OSError, match=r"must be as they were written: .*model\.safetensors\.index\.json"):
        load_model(two[0])
