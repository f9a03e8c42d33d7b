"""Damage to checkpoints: every kind is noticed before a weight is used, and a run falls back to the checkpoint before."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from small_cells import Cut, SmallCell

from erc.training import assembly, checkpoints, finished_result, resuming
from erc.training.checkpoints import AtomicCheckpointIO, read_checkpoint

N_PLACES = 40


@pytest.fixture
def cell(tmp_path, corpora, cache_dir) -> SmallCell:
    return SmallCell(tmp_path, corpora, cache_dir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, corpora, cache_dir) -> tuple[dict, bytes]:
    """Result and predictions of a run that nothing disturbed."""
    cell = SmallCell(tmp_path_factory.mktemp("whole"), corpora, cache_dir)
    return cell(), (cell.root / "run" / "predictions.csv").read_bytes()


@pytest.fixture(scope="module")
def half_done(tmp_path_factory, corpora, cache_dir) -> Path:
    """Folder of a run that broke off before its fourth epoch, the last; read only."""
    cell = SmallCell(tmp_path_factory.mktemp("half_done"), corpora, cache_dir)
    with pytest.raises(Cut):
        cell("resume=true", cut_at=3)
    return cell.root / "run"


@pytest.fixture
def cut(cell, half_done) -> SmallCell:
    """A cell with a copy of the folder that is half done."""
    shutil.copytree(half_done, cell.root / "run")
    return cell


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def hole(content: bytes, place: int) -> bytes:
    """A page of 4 KiB that was never written."""
    start = place // 4096 * 4096
    return content[:start] + bytes(min(4096, len(content) - start)) + content[start + 4096 :]


def weights() -> dict:
    torch.manual_seed(0)
    return {"epoch": 3, "state_dict": {f"layer{n}": torch.randn(100, 500) for n in range(8)}}


def loads(path: Path) -> bool:
    try:
        torch.load(path, weights_only=True)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("damage", [flip, hole])
def test_damage_at_forty_random_places_is_caught_everywhere_and_plain_loading_takes_most(tmp_path, damage):
    path, rng = tmp_path / "best.ckpt", random.Random(0)
    AtomicCheckpointIO().save_checkpoint(weights(), str(path))
    whole = path.read_bytes()
    assert checkpoints.checkpoint_damage(path) == ""
    missed, taken = [], 0
    for _ in range(N_PLACES):
        place = rng.randrange(len(whole))
        path.write_bytes(damage(whole, place))
        taken += loads(path)
        try:
            read_checkpoint(path)
        except OSError as err:
            assert "must be whole" in str(err) and str(path) in str(err)
        else:
            missed.append(place)
    assert missed == []
    assert taken > 0.7 * N_PLACES  # control: torch alone compares no checksum
    path.write_bytes(whole)
    found = read_checkpoint(path)["state_dict"]
    assert all(torch.equal(found[name], value) for name, value in weights()["state_dict"].items())


def test_weights_are_never_taken_from_a_damaged_checkpoint(tmp_path):
    # what ends a run, and what scores a run again, loads by this function
    path = tmp_path / "best.ckpt"
    module = torch.nn.Linear(100, 100)
    before = module.weight.detach().clone()
    torch.save({"epoch": 0, "state_dict": {"weight": torch.ones(100, 100), "bias": torch.ones(100)}}, path)
    content = path.read_bytes()
    path.write_bytes(flip(content, content.index(b"\x00\x00\x80\x3f" * 100) + 42))
    assert loads(path)  # control
    with pytest.raises(OSError, match="checksum"):
        assembly.load_weights(module, path)
    assert torch.equal(module.weight, before)


def test_the_checkpoint_before_the_last_one_is_kept(tmp_path):
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    for epoch in range(3):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch}, str(last))
    assert (read_checkpoint(last)["epoch"], read_checkpoint(previous)["epoch"]) == (2, 1)
    assert last.stat().st_ino != previous.stat().st_ino  # damage to one is no damage to the other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    # a kill between the two renamings leaves one file under both names; the next save tidies up
    previous.unlink()
    previous.hardlink_to(last)
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, str(last))
    assert (read_checkpoint(last)["epoch"], read_checkpoint(previous)["epoch"]) == (3, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_a_file_system_without_links_keeps_it_too(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("links are not supported")

    monkeypatch.setattr(checkpoints.os, "link", no_links)
    for epoch in range(3):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch}, str(tmp_path / "last.ckpt"))
    assert [read_checkpoint(tmp_path / name)["epoch"] for name in ("last.ckpt", "previous.ckpt")] == [2, 1]


# --- going on ---------------------------------------------------------------------------------------------------------
def truncated(content: bytes, share: float) -> bytes:
    return content[: int(share * len(content))]


@pytest.mark.parametrize(("damage", "resume"), [(0.0, "true"), (0.5, "auto"), (0.99, "true"), ("flip", "true")])
def test_a_run_falls_back_to_the_checkpoint_before_and_ends_as_if_nothing_had_been(cut, whole, damage, resume):
    last = cut.root / "run" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(flip(content, len(content) // 2) if damage == "flip" else truncated(content, damage))
    with pytest.warns(UserWarning, match=r"holds last\.ckpt \([\d,]+ bytes\): .*goes on from previous\.ckpt"):
        result = cut(f"resume={resume}")
    assert result["selected"] == whole[0]["selected"]
    assert [row["epoch"] for row in result["history"]] == [0, 1, 2, 3]
    assert (cut.root / "run" / "last.ckpt.damaged").is_file()
    assert (cut.root / "run" / "predictions.csv").read_bytes() == whole[1]
    assert not (cut.root / "run" / "previous.ckpt").exists()  # of no use to a finished run


def test_when_neither_is_whole_the_run_says_how_much_it_trains_again(cut):
    for name in ("last.ckpt", "previous.ckpt"):
        (cut.root / "run" / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"last\.ckpt .*previous\.ckpt .*starts from its first epoch: 3 epochs are"):
        result = cut("resume=true")
    assert len(result["history"]) == 4
    kept = {path.name for path in (cut.root / "run").glob("*.damaged")}
    assert kept == {"last.ckpt.damaged", "previous.ckpt.damaged"}


@pytest.mark.slow
def test_a_run_whose_selected_checkpoint_is_damaged_starts_afresh_and_says_so(cut, whole):
    # its last checkpoint is whole, but the run would end with damaged weights, or fail on every attempt
    best = cut.root / "run" / "best.ckpt"
    content = best.read_bytes()
    best.write_bytes(hole(content, len(content) // 2))
    with pytest.warns(UserWarning, match=r"holds best\.ckpt .*checksum.*3 epochs are trained again"):
        result = cut("resume=true")
    assert result["selected"] == whole[0]["selected"]


@pytest.mark.slow
def test_a_checkpoint_that_is_damaged_and_asked_for_by_name_is_an_error_not_a_fresh_start(cell):
    with pytest.raises(Cut):
        cell(cut_at=2)
    last = cell.root / "run" / "last.ckpt"
    content = last.read_bytes()
    for damaged in (flip(content, len(content) // 2), truncated(content, 0.5), b""):
        last.write_bytes(damaged)
        with pytest.raises(OSError, match=f"A checkpoint must be whole: .*{re.escape(str(last))}"):
            cell(f"ckpt_path={last}")
        assert last.read_bytes() == damaged
    assert finished_result(cell.root / "run") is None
    # control: the whole one is gone on from
    last.write_bytes(content)
    assert resuming.owner_of(last).n_epochs == 2
    assert len(cell(f"ckpt_path={last}")["history"]) == 4


def test_a_selected_checkpoint_that_is_damaged_is_not_taken_along_to_another_folder(cell):
    with pytest.raises(Cut):
        cell(cut_at=2)
    best = cell.root / "run" / "best.ckpt"
    best.write_bytes(flip(best.read_bytes(), best.stat().st_size // 2))
    with pytest.raises(OSError, match="selected so far must be whole"):
        cell(f"ckpt_path={cell.root / 'run' / 'last.ckpt'}", folder="elsewhere")


@pytest.mark.slow
def test_a_half_done_folder_that_was_moved_goes_on_with_the_checkpoint_in_it(cell):
    with pytest.raises(Cut):
        cell("resume=true", cut_at=2)
    (cell.root / "run").rename(cell.root / "moved")
    result = cell("resume=true", folder="moved")
    assert len(result["history"]) == 4 and not (cell.root / "run").exists()
