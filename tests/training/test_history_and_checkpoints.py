"""The history of a run, and checkpoints that are whole or not there whatever happens while they are written."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.loggers import CSVLogger

from erc.training import checkpoints
from erc.training.checkpoints import AtomicCheckpointIO, check_room
from erc.training.history import EpochHistory
from erc.training.loggers import DispensableLogger
from erc.training.run_folder import claimed

ROOT = Path(__file__).resolve().parents[2]


# --- history ----------------------------------------------------------------------------------------------------------
def make_trainer(epoch: int, step: int = 0, **changes) -> SimpleNamespace:
    state = {"sanity_checking": False, "is_global_zero": True, "max_epochs": 3, "state": SimpleNamespace(fn="fit")}
    state |= {"early_stopping_callbacks": [], "should_stop": False}
    state |= {"checkpoint_callbacks": [checkpoints.RunCheckpoint(monitor="valid/accuracy", mode="max")]}
    return SimpleNamespace(**state | {"current_epoch": epoch, "global_step": step} | changes)


def run_epoch(history: EpochHistory, epoch: int, losses: dict[int, float], valid: dict[str, float]) -> None:
    """One epoch whose batches have so many segments (key) and such a loss (value)."""
    trainer, module = make_trainer(epoch, step=2 * (epoch + 1)), SimpleNamespace(valid_metrics=valid)
    history.on_train_epoch_start(trainer, module)
    for n, value in losses.items():
        outputs = {name: torch.tensor(value) for name in ("loss", "loss_emotion", "loss_va")}
        history.on_train_batch_end(trainer, module, outputs, {"segment_id": ["x"] * n}, 0)
    history.on_validation_start(trainer, module)
    for n, value in losses.items():
        outputs = {name: torch.tensor(2 * value) for name in ("loss", "loss_emotion", "loss_va")}
        history.on_validation_batch_end(trainer, module, outputs, {"segment_id": ["x"] * n}, 0)
    history.on_validation_end(trainer, module)


@pytest.fixture
def two_epochs(tmp_path) -> EpochHistory:
    history = EpochHistory(str(tmp_path / "run" / "metrics.csv"))
    history.on_train_start(make_trainer(0), None)
    run_epoch(history, 0, {8: 2.0, 2: 7.0}, {"accuracy": 0.25, "ccc_valence": float("nan")})
    run_epoch(history, 1, {8: 1.0, 2: 1.0}, {"accuracy": 0.5, "ccc_valence": 0.125})
    return history


def test_a_row_per_epoch_holds_means_over_segments(two_epochs):
    first, second = two_epochs.rows
    # (8 x 2 + 2 x 7) / 10; a mean over batches would be 4.5
    assert first["train/loss"] == first["train/loss_emotion"] == first["train/loss_va"] == 3.0
    assert second["train/loss"] == 1.0
    assert (first["valid/loss"], second["valid/loss"]) == (6.0, 2.0)
    assert first["valid/loss_emotion"] == first["valid/loss_va"] == 6.0
    assert (first["epoch"], second["epoch"], second["step"]) == (0, 1, 4)
    assert 0 <= first["seconds"] <= second["seconds"]
    assert second["valid/accuracy"] == 0.5


def test_the_csv_holds_the_rows(two_epochs):
    with open(two_epochs.path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in row.items()} for row in two_epochs.rows]
    assert os.listdir(two_epochs.path.parent) == ["metrics.csv"]  # nothing temporary is left


def test_an_epoch_s_line_names_the_main_figures(two_epochs, capsys):
    run_epoch(two_epochs, 2, {1: 0.5}, {"weighted_f1": 0.75, "ccc_valence": 0.5, "ccc_arousal": float("nan")})
    line = capsys.readouterr().out
    assert "epoch 3/3" in line and "train loss 0.500" in line
    assert "weighted_f1 0.750" in line and "ccc_valence 0.500" in line and "ccc_arousal nan" in line


def test_an_epoch_s_line_begins_with_the_metric_that_chooses_and_marks_a_new_best(two_epochs, capsys):
    for epoch, (accuracy, mark) in enumerate([(0.4, ""), (0.75, " (best)"), (0.75, "")], start=2):
        run_epoch(two_epochs, epoch, {1: 0.5}, {"accuracy": accuracy, "weighted_f1": 0.1})
        assert f"valid accuracy {accuracy:.3f}{mark}  weighted_f1 0.100" in capsys.readouterr().out


def test_a_resumed_history_goes_on(two_epochs, tmp_path):
    two_epochs.fingerprint = "0123456789abcdef"
    state = two_epochs.state_dict()
    assert state["fingerprint"] == "0123456789abcdef"  # a checkpoint says whose it is
    resumed = EpochHistory(str(tmp_path / "resumed" / "metrics.csv"))
    resumed.load_state_dict(state)
    resumed.on_train_start(make_trainer(2), None)
    run_epoch(resumed, 2, {4: 0.5}, {"accuracy": 0.75, "ccc_valence": 0.5})
    assert resumed.rows[:2] == two_epochs.rows and [row["epoch"] for row in resumed.rows] == [0, 1, 2]
    assert resumed.rows[2]["seconds"] >= two_epochs.rows[1]["seconds"]  # a sum over both runs
    assert resumed.path.read_text(encoding="utf-8").count("\n") == 4


def test_an_epoch_run_again_replaces_its_row(two_epochs):
    run_epoch(two_epochs, 1, {4: 9.0}, {"accuracy": 0.0, "ccc_valence": 0.0})
    assert [(row["epoch"], row["train/loss"]) for row in two_epochs.rows] == [(0, 3.0), (1, 9.0)]


@pytest.mark.parametrize("changes", [{"sanity_checking": True}, {"state": SimpleNamespace(fn="validate")}])
def test_a_validation_outside_training_adds_no_row(two_epochs, changes):
    two_epochs.on_validation_end(make_trainer(2, **changes), SimpleNamespace(valid_metrics={}))
    assert len(two_epochs.rows) == 2


def test_only_the_first_process_writes(tmp_path):
    history = EpochHistory(str(tmp_path / "metrics.csv"))
    history.on_train_start(make_trainer(0), None)
    history.on_validation_end(make_trainer(0, is_global_zero=False), SimpleNamespace(valid_metrics={"accuracy": 1.0}))
    assert len(history.rows) == 1 and not history.path.exists()


@pytest.mark.parametrize(("waited", "stops"), [(4, False), (5, True)])
def test_a_run_that_had_stopped_early_takes_no_further_epoch_when_resumed(tmp_path, waited, stops):
    trainer = make_trainer(7, early_stopping_callbacks=[SimpleNamespace(wait_count=waited, patience=5)])
    EpochHistory(str(tmp_path / "metrics.csv")).on_train_start(trainer, None)
    assert trainer.should_stop == stops


# --- loggers ----------------------------------------------------------------------------------------------------------
class BrokenLogger(CSVLogger):
    """Raises from its n-th call on, as a tracking service does whose connection is lost."""

    def __init__(self, *args, works: int, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.left = works

    def log_metrics(self, metrics, step=None) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("the service is gone")
        super().log_metrics(metrics, step)


class LoggingModel(BoringModel):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)["loss"]
        self.log("loss", loss)
        return loss


def weights_after(logger, folder: Path) -> torch.Tensor:
    pl.seed_everything(1, verbose=False)
    model = LoggingModel()
    quiet = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    pl.Trainer(
        max_epochs=1, limit_train_batches=4, limit_val_batches=0, logger=logger, default_root_dir=folder, **quiet
    ).fit(model)
    return model.layer.weight.detach()


@pytest.mark.parametrize("works", [0, 2])
def test_a_logger_that_fails_costs_one_warning_and_changes_no_weight(tmp_path, works):
    with pytest.raises(ConnectionError):  # control: by itself it ends the run
        weights_after(BrokenLogger(tmp_path / "alone", works=works), tmp_path)
    inner = BrokenLogger(tmp_path / "wrapped", works=works)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = weights_after(DispensableLogger(inner), tmp_path)
    told = [str(one.message) for one in caught if "left out from here on" in str(one.message)]
    assert len(told) == 1 and "BrokenLogger" in told[0] and "ConnectionError: the service is gone" in told[0]
    torch.testing.assert_close(weights, weights_after(False, tmp_path), rtol=0, atol=0)


def test_a_logger_that_works_gets_everything(tmp_path):
    inner = CSVLogger(tmp_path, name="n", version="v")
    logger = DispensableLogger(inner)
    logger.log_hyperparams({"a": 1})
    weights_after(logger, tmp_path)
    assert (logger.name, logger.version, logger.save_dir) == ("n", "v", inner.save_dir)
    assert len((tmp_path / "n" / "v" / "metrics.csv").read_text().splitlines()) == 5
    assert "a: 1" in (tmp_path / "n" / "v" / "hparams.yaml").read_text()


# --- checkpoints ------------------------------------------------------------------------------------------------------
def checkpoint_of(step: int) -> dict:
    return {"step": step, "state_dict": {"weight": torch.full((100_000,), float(step))}}


def test_a_checkpoint_loads_as_it_was_saved(tmp_path):
    path = tmp_path / "new_folder" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint_of(3), str(path))
    found = AtomicCheckpointIO().load_checkpoint(str(path))
    assert found["step"] == 3 and (found["state_dict"]["weight"] == 3).all()
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_leftovers_of_killed_runs_are_swept_and_other_files_are_not(tmp_path):
    for name in (".last.ckpt.tmp-123", ".best.ckpt.tmp-123", "other.ckpt"):
        (tmp_path / name).write_bytes(b"x")
    AtomicCheckpointIO().save_checkpoint(checkpoint_of(1), str(tmp_path / "last.ckpt"))
    assert sorted(os.listdir(tmp_path)) == [".best.ckpt.tmp-123", "last.ckpt", "other.ckpt"]


def test_a_disk_that_is_full_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint_of(1), str(path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # bytes; the checkpoint takes 400,000
    try:
        with pytest.raises(OSError, match=r"last\.ckpt could not be written.*Make room") as caught:
            AtomicCheckpointIO().save_checkpoint(checkpoint_of(2), str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["last.ckpt"]
    assert AtomicCheckpointIO().load_checkpoint(str(path))["step"] == 1


def test_a_plain_save_on_a_full_disk_would_lose_the_checkpoint_before(tmp_path):
    # negative control
    path = tmp_path / "last.ckpt"
    torch.save(checkpoint_of(1), path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises((OSError, RuntimeError)):
            torch.save(checkpoint_of(2), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises((OSError, RuntimeError, EOFError)):
        torch.load(path, weights_only=True)


def test_an_interrupted_save_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint_of(1), str(path))

    def interrupted(checkpoint, file):
        file.write(b"half a checkpoint")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint(checkpoint_of(2), str(path))
    assert torch.load(path, weights_only=True)["step"] == 1


KILLS = 20
KILL_LOOP = """
import os, random, signal, sys, time
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pathlib import Path
import torch
from erc.training import checkpoints
from erc.training.checkpoints import AtomicCheckpointIO, check_room

torch.set_num_threads(1)  # a fork of more threads than one could hang
weight = torch.zeros(2_000_000)  # 8 MB
rng = random.Random(0)


def kill(save, folder, kills):
    path, last, torn, backwards = folder / "last.ckpt", 0, 0, 0
    save({"step": 0, "weight": weight.fill_(0)}, str(path))
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            step = last
            while True:
                step += 1
                save({"step": step, "weight": weight.fill_(step)}, str(path))
        time.sleep(rng.uniform(0.02, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        try:
            found = torch.load(path, weights_only=True)
            is_whole = bool((found["weight"] == found["step"]).all())
        except Exception:
            is_whole = False
        if not is_whole:
            torn += 1
            save({"step": last, "weight": weight.fill_(last)}, str(path))
            continue
        backwards += found["step"] < last
        last = found["step"]
    save({"step": last, "weight": weight}, str(path))
    print(torn, backwards, last, *sorted(os.listdir(folder)))


root, kills = Path(sys.argv[1]), int(sys.argv[2])
for name, save in {
    "atomic": AtomicCheckpointIO().save_checkpoint, "torch": torch.save, "lightning": TorchCheckpointIO().save_checkpoint
}.items():
    (root / name).mkdir()
    kill(save, root / name, kills)
"""


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """A folder on another file system than that of ``tmp_path``, from where moving a file is copying it."""
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_checkpoint_loads_whenever_the_process_is_killed_and_a_plain_save_would_not(tmp_path, memory_disk):
    # Lightning's own save stages in the temporary directory; ours leaves nothing there
    done = subprocess.run(
        [sys.executable, "-c", KILL_LOOP, str(tmp_path), str(KILLS)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(memory_disk)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    atomic, *controls = (line.split() for line in done.stdout.splitlines())
    torn, backwards, last, *names = atomic
    assert (torn, backwards) == ("0", "0")
    assert int(last) > 0  # some saves were finished
    assert names == ["last.ckpt", "previous.ckpt"]  # what the kills left behind is swept
    assert len(controls) == 2 and all(int(n_torn) > 0 for n_torn, *_ in controls)  # torch's own, and Lightning's


# --- room -------------------------------------------------------------------------------------------------------------
def test_cells_that_are_trained_beside_each_other_need_room_for_all_of_them(tmp_path, monkeypatch):
    module = BoringModel()
    savers = [pl.callbacks.ModelCheckpoint(save_weights_only=True)]
    one = 2 * sum(value.nbytes for value in module.state_dict().values())
    cells = [tmp_path / row / "fold0-seed42" for row in ("a", "b", "c")]
    for cell in cells:
        cell.mkdir(parents=True)
    (cells[1] / "best.ckpt").write_bytes(b"x" * 100)

    def check(free: int, cell: Path = cells[0], frozen_bytes: int = 0) -> None:
        monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
        check_room(cell, module, savers, frozen_bytes=frozen_bytes)

    check(one)  # no other is trained
    with pytest.raises(OSError, match=rf"expected {one + 50:,} bytes, got {one:,} bytes free"):
        check(one, frozen_bytes=50)
    with claimed(cells[1]):
        check(2 * one - 100)
        said = rf"this cell and of 1 others .*expected {2 * one - 100:,} bytes, got {one:,} bytes free .*--jobs"
        with pytest.raises(OSError, match=said):
            check(one)
        alone = tmp_path / "a" / "a-run-of-its-own"
        alone.mkdir()
        check(one, alone)
