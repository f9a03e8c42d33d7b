"""``python -m erc export``: the folder is whole or not there, and holds the model and nothing else."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from saved_models import save_tiny, spectrogram, tiny_model

from erc.__main__ import main
from erc.export import commands, export, onnx
from erc.model import load_model

FILES = {"README.md", "config.json", "model.safetensors", "processor_config.json", "tokenizer.json"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_finished_run_is_exported_byte_for_byte(run, tmp_path, capsys):
    main(["export", str(run), f"--out={tmp_path / 'out'}"])
    found = tmp_path / "out"
    assert names(found) == FILES | {"tokenizer_config.json"}
    for name in names(found) - {"README.md"}:
        assert (found / name).read_bytes() == (run / "model" / name).read_bytes()
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in FILES) and f"AutoModel.from_pretrained('{found}')" in told
    assert names(tmp_path) == {"out"}


def test_the_folder_model_of_a_run_is_exported_with_the_figures_of_the_run(run, tmp_path):
    export(str(run), str(tmp_path / "one"))
    export(str(run / "model"), str(tmp_path / "other"))
    one, other = ((tmp_path / name / "README.md").read_text(encoding="utf-8") for name in ("one", "other"))
    assert one == other and "Weighted-F1" in one


def test_what_else_is_in_the_folder_is_not_exported(tmp_path):
    source = save_tiny(tmp_path / "model", tiny_model("text_only"))
    (source / "segments.csv").write_text("secret", encoding="utf-8")
    (source / "README.md").write_text("of before", encoding="utf-8")
    export(str(source), str(tmp_path / "out"))
    assert "segments.csv" not in names(tmp_path / "out")
    assert "of before" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_the_selected_checkpoint_of_a_killed_run_is_exported(killed_run, tmp_path):
    before = names(killed_run)
    assert "model" not in before and "result.json" not in before
    export(str(killed_run), str(tmp_path / "out"))
    weights = torch.load(killed_run / "best.ckpt", weights_only=True)["state_dict"]
    found = load_file(tmp_path / "out" / "model.safetensors")
    expected = {f"emotion_{name}": value for name, value in weights.items() if name.startswith("model.")}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    saved = load_model(tmp_path / "out")
    assert saved.config.training["is_synthetic"] and saved.config.training["fusion"] == "TextOnly"
    assert "there are no figures" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert names(killed_run) == before


def test_a_finished_run_of_before_there_were_saved_models_is_exported_without_its_corpora(run, tmp_path, monkeypatch):
    old = Path(shutil.copytree(run, tmp_path / "old"))
    shutil.rmtree(old / "model")
    text = (old / "config.yaml").read_text(encoding="utf-8")
    text = text.replace("erc.model.build_model", "erc.model.EmotionModel").replace("  init_from: null\n", "")
    assert "erc.model.EmotionModel" in text and "init_from" not in text
    (old / "config.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("erc.export.checkpoint.make_views", None)  # what would read them
    export(str(old), str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (run / "model" / "model.safetensors").read_bytes()
    assert "Weighted-F1" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_checkpoint_that_is_not_of_the_configuration_is_refused(killed_run, tmp_path):
    run = Path(shutil.copytree(killed_run, tmp_path / "run"))
    text = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(text.replace("hidden_dim: 64", "hidden_dim: 32"), encoding="utf-8")
    assert "hidden_dim: 64" in text
    with pytest.raises(ValueError, match="A checkpoint must be of the run's configuration"):
        export(str(run), str(tmp_path / "out"))
    assert names(tmp_path) == {"run"}


def test_a_damaged_checkpoint_is_refused(killed_run, tmp_path):
    run = Path(shutil.copytree(killed_run, tmp_path / "run"))
    content = bytearray((run / "best.ckpt").read_bytes())
    with zipfile.ZipFile(run / "best.ckpt") as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
    content[largest.header_offset + 200] ^= 1
    (run / "best.ckpt").write_bytes(content)
    with pytest.raises(OSError, match="A checkpoint must be whole"):
        export(str(run), str(tmp_path / "out"))


def test_a_folder_with_something_in_it_is_left_alone(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="expected a new or an empty folder"):
        export(str(run), str(tmp_path / "out"))
    assert names(tmp_path / "out") == {"mine.txt"}
    (tmp_path / "empty").mkdir()
    export(str(run), str(tmp_path / "empty"))
    assert "README.md" in names(tmp_path / "empty")


def test_an_interrupted_export_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupt(*_):
        assert any(".tmp-" in name for name in names(tmp_path))  # it had begun
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "model_card", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(str(run), str(tmp_path / "out"))
    assert names(tmp_path) == set()


def test_a_row_of_several_models_is_refused_and_what_is_no_model_is_named(tmp_path):
    for fold in (0, 1):
        save_tiny(tmp_path / "row" / f"fold{fold}-seed42" / "model", tiny_model("text_only"))
    with pytest.raises(ValueError, match="An export is of one model: .* holds 2"):
        export(str(tmp_path / "row"), str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match="A model is the folder of a finished run"):
        export(str(tmp_path / "nothing"), str(tmp_path / "out"))


def test_onnx_without_its_packages_is_an_error_before_anything_is_done(run, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ImportError, match="no_such_package not installed. Install them: pip install"):
        export(str(run), str(tmp_path / "out"), onnx=True)
    assert names(tmp_path) == set()


def test_a_spectrogram_encoder_is_refused_with_the_reason(tmp_path):
    source = save_tiny(tmp_path / "model", tiny_model("audio_only", spectrogram()))
    with pytest.raises(ValueError, match="packs its sequences by length"):
        export(str(source), str(tmp_path / "out"), onnx=True)
    assert names(tmp_path) == {"model"}
