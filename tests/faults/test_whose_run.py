"""Whose run a folder and a checkpoint are: another one is refused by what differs, and nothing of it is changed."""

from __future__ import annotations

import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from small_cells import Cut, SmallCell, content
from stand_ins import holder

from erc.training import checkpoints, how_to_go_on, newest_unfinished, run_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cell(tmp_path, corpora, cache_dir) -> SmallCell:
    return SmallCell(tmp_path, corpora, cache_dir)


RESUME = ["auto", *(pytest.param(word, marks=pytest.mark.slow) for word in ("false", "true"))]


@pytest.fixture
def half_done(cell) -> Path:
    """A run of four epochs that was cut after two; its folder."""
    with pytest.raises(Cut):
        cell(cut_at=2)
    return cell.root / "run"


# --- checkpoints of another run ---------------------------------------------------------------------------------------
OTHERS = [
    ("target=soft", r'target\.kind: "peakl" there, "soft" now'),
    ("seed=7", "seed: 42 there, 7 now"),
    ("dataset.validation_fold=3", r"dataset\.validation_fold: 4 there, 3 now"),
    ("optim.weight_decay=0.5", r"optim\.weight_decay: .* there, 0\.5 now"),
]


@pytest.mark.parametrize(("change", "named"), OTHERS)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(cell, half_done, change, named):
    before = content(half_done)
    with pytest.raises(ValueError, match=f"A checkpoint belongs to one run: .*last.ckpt is of another .*{named}"):
        cell(change, f"ckpt_path={half_done / 'last.ckpt'}", folder="elsewhere")
    assert not (cell.root / "elsewhere" / "identity.json").exists()
    # and in its own folder
    with pytest.raises(FileExistsError, match=named):
        cell(change, f"ckpt_path={half_done / 'last.ckpt'}")
    assert content(half_done) == before


def test_a_checkpoint_that_was_copied_into_another_run_s_folder_is_refused_by_resume(cell, half_done):
    with pytest.raises(Cut):
        cell("seed=7", "resume=true", folder="other", cut_at=1)
    shutil.copy(half_done / "last.ckpt", cell.root / "other" / "last.ckpt")
    with pytest.raises(ValueError, match="A checkpoint belongs to one run: .*seed: 42 there, 7 now"):
        cell("seed=7", "resume=true", folder="other")


def test_a_checkpoint_of_other_code_or_of_no_known_run_is_refused(cell, half_done):
    path = half_done / "last.ckpt"
    found = torch.load(path, weights_only=True)
    history = found["callbacks"]["EpochHistory"]
    owner = checkpoints.owner_of(path)
    assert owner.n_epochs == 2 and owner.fingerprint == owner.identity.fingerprint
    other = run_folder.Identity(
        owner.identity.options, owner.identity.data, owner.identity.code | {"model/heads.py": "0"}
    )
    for fingerprint, identity, said in (
        (other.fingerprint, other.to_json(), "other code: model/heads.py"),
        ("0123456789abcdef", "", "its fingerprint is 0123456789abcdef"),
        ("", "", "it does not say of which"),
    ):
        history |= {"fingerprint": fingerprint, "identity": identity}
        torch.save(found, cell.root / "last.ckpt")
        with pytest.raises(ValueError, match=said):
            cell(f"ckpt_path={cell.root / 'last.ckpt'}", folder="elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["run", "elsewhere"])
def test_more_epochs_than_before_are_no_other_run(cell, half_done, folder):
    before = checkpoints.owner_of(half_done / "last.ckpt")
    result = cell("trainer.max_epochs=5", f"ckpt_path={half_done / 'last.ckpt'}", folder=folder)
    assert [row["epoch"] for row in result["history"]] == [0, 1, 2, 3, 4]
    # but the result is not that of a run of five epochs from the start: it says so, and does not count as one
    identity = run_folder.Identity.from_json((cell.root / folder / "identity.json").read_text(encoding="utf-8"))
    assert identity.options["ckpt_path"] == f"of the run {before.fingerprint}"
    assert result["fingerprint"] == identity.fingerprint
    with pytest.raises(FileExistsError, match="ckpt_path: .* there, not set now"):
        cell("trainer.max_epochs=5", "resume=true", folder=folder)


def test_a_run_of_more_epochs_that_is_stopped_goes_on_from_its_own_checkpoint(cell, half_done):
    with pytest.raises(Cut):
        cell("trainer.max_epochs=5", f"ckpt_path={half_done / 'last.ckpt'}", folder="longer", cut_at=3)
    last = cell.root / "longer" / "last.ckpt"
    said = how_to_go_on(cell.root / "longer", ["seed=42", "ckpt_path=x/last.ckpt"], 5)
    assert said.endswith(f"python train.py seed=42 ckpt_path={last}") and "3 of 5 epochs are saved" in said
    first = run_folder.Identity.from_json((cell.root / "longer" / "identity.json").read_text(encoding="utf-8"))
    result = cell("trainer.max_epochs=5", f"ckpt_path={last}", folder="longer")
    assert len(result["history"]) == 5 and result["fingerprint"] == first.fingerprint


@pytest.mark.slow
def test_a_run_that_goes_on_as_it_was_is_the_same_run(cell, half_done):
    whole = cell(folder="whole")
    assert cell(f"ckpt_path={half_done / 'last.ckpt'}", folder="elsewhere")["fingerprint"] == whole["fingerprint"]


def test_fewer_epochs_than_a_checkpoint_has_are_an_error(cell, half_done):
    with pytest.raises(ValueError, match="2 epochs already, more than trainer.max_epochs"):
        cell("trainer.max_epochs=1", f"ckpt_path={half_done / 'last.ckpt'}", folder="elsewhere")


@pytest.mark.parametrize("name", ["last", "best", "nowhere/last.ckpt", "."])
def test_a_checkpoint_that_is_not_there_is_an_error_and_no_word_is_looked_up(cell, name):
    with pytest.raises(FileNotFoundError, match=f"expected a file, got {re.escape(name)}"):
        cell(f"ckpt_path={name}")
    assert set(content(cell.root / "run")) == {"error.json"}


# --- folders ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("resume", RESUME)
@pytest.mark.parametrize("is_finished", [True, False])
def test_a_folder_of_another_run_is_refused_with_every_kind_of_resume(cell, is_finished, resume):
    if is_finished:
        cell()
    else:
        with pytest.raises(Cut):
            cell(cut_at=2)
    before = content(cell.root / "run")
    with pytest.raises(FileExistsError, match="A run folder holds one run: .*seed: 42 there, 7 now"):
        cell("seed=7", f"resume={resume}")
    after = content(cell.root / "run")
    if resume == "true" and not is_finished:
        after["error.json"] = before["error.json"]  # a grid's driver reads there why its cell was refused
    assert after == before


@pytest.mark.parametrize("resume", RESUME)
def test_a_finished_run_that_is_started_again_trains_nothing(cell, resume, capsys):
    result = cell()
    before = content(cell.root / "run")
    capsys.readouterr()
    assert cell(f"resume={resume}") == result
    assert "finished already" in capsys.readouterr().out
    after = content(cell.root / "run")
    # a cell of a grid keeps its weights once, as saved model
    for name in ("last.ckpt", "best.ckpt"):
        assert before.pop(name) and (resume == "true") == (after.pop(name, None) is None)
    assert after == before and "model/model.safetensors" in after


def test_a_half_done_run_is_not_begun_anew_in_its_folder(cell, half_done):
    before = content(half_done)
    with pytest.raises(FileExistsError, match="holds 2 epochs of this run.*resume=auto"):
        cell()
    assert content(half_done) == before


def test_what_is_left_in_a_finished_cell_goes_when_the_cell_is_looked_at_and_stays_when_it_is_refused(cell):
    cell("resume=true")
    run_dir = cell.root / "run"
    left = ("best.ckpt", "last.ckpt", "previous.ckpt")
    assert not any((run_dir / name).exists() for name in left)
    for name in left:  # of a process that was killed before it removed them
        shutil.copy(run_dir / "metrics.csv", run_dir / name)
    before = content(run_dir)
    with pytest.raises(FileExistsError):
        cell("resume=true", "seed=7")
    assert content(run_dir) == before
    cell("resume=true")
    assert not any((run_dir / name).exists() for name in left)


@pytest.mark.slow
def test_a_second_process_in_a_folder_is_refused(cell):
    run_dir = cell.root / "run"
    with holder(run_dir):
        with pytest.raises(FileExistsError, match="another process is training in"):
            cell()
        assert content(run_dir) == {}
        assert cell("resume=true") is None  # a grid's cell is passed over
    assert cell() is not None  # control


# --- resume=auto ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_auto_finds_the_newest_unfinished_run_of_the_same_identity(cell, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fresh = cell.config("resume=auto", folder="outputs/new/run3")
    assert newest_unfinished(fresh) is None
    assert "there is no unfinished run" in capsys.readouterr().out
    for folder, change, cut_at in (
        ("outputs/row/run1", "seed=42", 2),
        ("outputs/row/run2", "seed=42", 1),
        ("outputs/row/other", "seed=7", 1),  # of another run
        ("outputs/row/early", "seed=42", 0),  # without a checkpoint
    ):
        with pytest.raises(Cut):
            cell(change, folder=folder, cut_at=cut_at)
    assert newest_unfinished(fresh) == (tmp_path / "outputs/row/run2").resolve()
    # the asked-for folder itself comes first
    assert newest_unfinished(cell.config(folder="outputs/row/run1")) == (tmp_path / "outputs/row/run1").resolve()
    # one that is finished, or that another process trains, is not gone on with
    cell("resume=auto", folder="outputs/row/run2")
    assert newest_unfinished(fresh) == (tmp_path / "outputs/row/run1").resolve()
    with run_folder.claimed(tmp_path / "outputs/row/run1"):
        assert newest_unfinished(fresh) is None
    assert "another process is training this run" in capsys.readouterr().out


# --- room on the disk -------------------------------------------------------------------------------------------------
def test_a_disk_without_room_is_found_before_training_and_both_numbers_are_said(cell, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(OSError, match=r"must have room .*expected [\d,]+ bytes, got 1,000 bytes free") as caught:
        cell(folder="new/deep/run")
    assert str(cell.root / "new/deep/run") in str(caught.value)
    assert "epoch 1/" not in capsys.readouterr().out
    needed = int(re.search(r"expected ([\d,]+) bytes", str(caught.value))[1].replace(",", ""))
    monkeypatch.undo()
    cell(folder="new/deep/run")  # control: the folder was made, and may be used
    # the estimate is that of the files: two of weights only, three with the optimizer's state
    sizes = [(cell.root / "new/deep/run" / name).stat().st_size for name in ("best.ckpt", "last.ckpt")]
    assert needed == pytest.approx(2 * sizes[0] + 3 * sizes[1], rel=0.2)


def test_a_checkpoint_that_finds_no_room_says_how_much_it_takes(tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"it takes about 4,000 bytes, and [\d,]+ bytes are free"):
        checkpoints.AtomicCheckpointIO().save_checkpoint({"weights": [torch.zeros(1000)]}, tmp_path / "last.ckpt")
