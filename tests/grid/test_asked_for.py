"""Which finished cells are of the run that is asked for now, and how the grid refuses the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from stand_ins import result_text

from erc import files
from erc.data.build import corpora_fingerprint
from erc.datasets import HF_KEMD
from erc.grid import asked_for, cells as grid_cells, options as grid_options, pool, program
from erc.training import identity as training_identity, run_folder
from erc.training.identity import Identity

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


@pytest.mark.parametrize(
    ("experiment", "extra"),
    [
        ("paper", ()),
        ("demo", ("trainer.max_epochs=2", "dataset.num_data=8", "callbacks.early_stopping.patience=2")),
        ("demo", ("trainer.precision=bf16-mixed", "+trainer.limit_train_batches=2", "protocol=nested")),
    ],
)
def test_the_driver_and_train_py_give_a_cell_the_same_identity(experiment, extra, tmp_path, monkeypatch):
    cell = grid_cells.Cell(experiment, "cross_attention_soft", 2, 9, tmp_path)
    monkeypatch.setattr("erc.data.corpora_fingerprint", lambda dataset_name, root, cache_dir: "data")
    overrides = [word for word in cell.overrides(list(extra)) if not word.startswith("hydra.")]
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        # the last three, which train.py's own resolvers fill in, decide nothing
        config = compose(
            "train", [*overrides, f"run_dir={tmp_path}", "logger=csv", "trainer.enable_progress_bar=false"]
        )
    whole = OmegaConf.to_container(config, resolve=True)  # as train.py does
    theirs = asked_for.identity_of(cell, list(extra))
    assert training_identity.identify(whole, "data") == theirs
    # control: another fold is another run
    other = asked_for.identity_of(grid_cells.Cell(experiment, "cross_attention_soft", 3, 9, tmp_path), list(extra))
    assert other.fingerprint != theirs.fingerprint


def finish(cell: grid_cells.Cell, identity: Identity) -> None:
    """What a run leaves in its folder, as far as its identity is concerned."""
    cell.run_dir.mkdir(parents=True, exist_ok=True)
    run_folder.enter(cell.run_dir, identity)
    files.write_atomically(cell.run_dir / "result.json", result_text(cell.run_dir, identity.fingerprint))


def test_a_finished_cell_is_current_until_an_option_or_the_data_change(tmp_path, corpora, cache_dir):
    cell = grid_cells.Cell("demo", "concat_hard", 3, 9, tmp_path)
    extra = ["synthetic=null", f"dataset.root={corpora}", "dataset.num_data=2"]
    assert not asked_for.is_current(cell, extra)  # not begun
    view = HF_KEMD("train", 3, root=str(corpora), cache_dir=str(cache_dir), num_data=2)
    identity = asked_for.identity_of(cell, extra)
    assert view.fingerprint == corpora_fingerprint("kemdy19-kemdy20", str(corpora), str(cache_dir)) == identity.data
    finish(cell, identity)
    assert asked_for.is_current(cell, extra)
    no_matter = [*extra, f"dataset.cache_dir={tmp_path}", "dataloader.num_workers=2"]
    assert asked_for.is_current(cell, no_matter)
    assert not asked_for.is_current(cell, [*extra, "optim.lr.heads=1e-3"])
    nothing_there = ["synthetic=null", f"dataset.root={tmp_path}", "dataset.num_data=2"]
    assert not asked_for.is_current(cell, nothing_there)
    assert "corpora cannot be read" in asked_for.why_not_current(cell, nothing_there)
    # the same result in the place of another fold or seed
    for fold, seed in ((4, 9), (3, 42)):
        other = grid_cells.Cell("demo", "concat_hard", fold, seed, tmp_path)
        finish(other, identity)
        assert not asked_for.is_current(other, extra)


@pytest.mark.parametrize(
    "option",
    [
        "callbacks.best.monitor=valid/weighted_f1", "callbacks.best.mode=min", "+trainer.limit_train_batches=0.1",
        "+trainer.limit_val_batches=2", "+trainer.check_val_every_n_epoch=3", "+trainer.gradient_clip_algorithm=value",
        "+trainer.overfit_batches=1", "+trainer.max_time=00:00:01:00", "encoders.text.name=elsewhere",
    ],
)  # fmt: skip
def test_a_grid_refuses_a_finished_cell_of_another_option_and_names_it(tmp_path, corpora, capsys, monkeypatch, option):
    typed = [
        "--experiment",
        "demo",
        "--launcher",
        "basic",
        "--rows",
        "concat_hard",
        "--folds",
        "3",
        "--out",
        str(tmp_path),
    ]
    typed += ["--", "synthetic=null", f"dataset.root={corpora}"]
    cell = grid_cells.Cell("demo", "concat_hard", 3, 42, tmp_path)
    finish(cell, asked_for.identity_of(cell, typed[-2:]))
    monkeypatch.setattr(program, "tables_and_left_out", lambda folder, width: ("THE TABLE", {}))
    started = []
    monkeypatch.setattr(pool, "Guarded", lambda command, *_: started.append(command))
    assert program.main(typed) == 0 and started == []  # control
    assert "THE TABLE" in capsys.readouterr().out
    assert program.main([*typed, option]) == 1
    told = capsys.readouterr().out
    assert re.search(
        rf"A grid has one set of options and data: .*{option.split('=')[0].strip('+')}: .* there, .* now", told
    )
    assert "THE TABLE" not in told and started == []


def test_a_grid_refuses_a_finished_cell_of_other_code_until_that_is_accepted(tmp_path, corpora, capsys, monkeypatch):
    typed = [
        "--experiment",
        "demo",
        "--launcher",
        "basic",
        "--rows",
        "concat_hard",
        "--folds",
        "3",
        "--out",
        str(tmp_path),
    ]
    extra = ["--", "synthetic=null", f"dataset.root={corpora}"]
    cell = grid_cells.Cell("demo", "concat_hard", 3, 42, tmp_path)
    now = asked_for.identity_of(cell, extra[1:])
    finish(cell, Identity(now.options, now.data, now.code | {"model/fusion/concat.py": "0" * 12}))
    monkeypatch.setattr(program, "tables_and_left_out", lambda folder, width: ("THE TABLE", {}))
    started = []
    monkeypatch.setattr(pool, "Guarded", lambda command, *_: started.append(command))
    assert program.main([*typed, *extra]) == 1
    told = capsys.readouterr().out
    assert "these files changed: model/fusion/concat.py. Keep the results with --accept-code" in told
    assert started == [] and "THE TABLE" not in told
    assert program.main([*typed, "--accept-code", *extra]) == 0
    told = capsys.readouterr().out
    assert "THE TABLE" in told and "1 of 1 cells are finished." in told
    assert started == []  # not trained again
    # what is to be accepted is told to the cells as well
    options = grid_options.parse([*typed, "--accept-code", *extra])
    assert "accept_code=true" in cell.overrides(options.overrides)
