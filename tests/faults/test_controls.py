"""What a run does when the system fails it, and what would happen without the check that stands against it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_cells import Cut, SmallCell

import train
from erc.data import build as data_build, checksums
from erc.data.build import Build, read_source
from erc.data.corpora import KEMDY20
from erc.files import sweep_temporaries
from erc.training import checkpoints, read_back, resuming, run_folder
from erc.training.lightning_module import EmotionModule

ROOT = Path(__file__).resolve().parents[2]
SHORT = "trainer.max_epochs=1"


@pytest.fixture
def cell(tmp_path, corpora, cache_dir) -> SmallCell:
    return SmallCell(tmp_path, corpora, cache_dir)


def run(script: str, *arguments: str, seconds: float = 240) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip


# --- checkpoints and folders ------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_without_the_checksums_a_cut_checkpoint_would_stop_every_attempt(cell, monkeypatch):
    with pytest.raises(Cut):
        cell("resume=true", cut_at=2)
    last = cell.root / "run" / "last.ckpt"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    with monkeypatch.context() as patch:
        for module in (checkpoints, run_folder):
            patch.setattr(module, "checkpoint_damage", lambda _: "")
        for _ in range(2):
            with pytest.raises((OSError, RuntimeError, ValueError)):
                cell("resume=true")
    with pytest.warns(UserWarning, match=r"goes on from previous\.ckpt"):
        cell("resume=true")


@pytest.mark.slow
def test_without_the_refusal_another_run_s_result_would_be_taken(cell, monkeypatch):
    result = cell(SHORT, "resume=true")
    other = [SHORT, "resume=true", "seed=7"]
    with pytest.raises(FileExistsError, match="seed: 42 there, 7 now"):
        cell(*other)
    monkeypatch.setattr(resuming, "refusal", lambda *_, **__: "")
    assert cell(*other)["seed"] == result["seed"] == 42


def test_a_column_left_out_of_a_build_s_key_would_serve_another_corpus(small, tmp_path, monkeypatch):
    table = read_source("kemdy20", str((small / "KEMDy20_v1_1").resolve())).table
    table = checksums.with_checksums(KEMDY20, table, tmp_path)
    other = table.assign(votes=table["votes"].iloc[::-1].to_numpy())

    def keys() -> set[str]:
        return {Build(KEMDY20, rows, tmp_path).fingerprint for rows in (table, other)}

    assert len(keys()) == 2
    monkeypatch.setattr(data_build, "_NO_CONTENT", data_build._NO_CONTENT | {"votes"})
    assert len(keys()) == 1


def test_what_a_killed_process_left_in_a_run_folder_goes_at_the_next_start(cell):
    run_dir = cell.root / "run"
    left = [".metrics.csv.tmp-123", ".result.json.tmp-9", ".last.ckpt.tmp-77"]
    kept = [".metrics.csv.tmp-of-mine", "notes.tmp-1"]

    def leave() -> None:
        run_dir.mkdir(exist_ok=True)
        for name in (*left, *kept):
            (run_dir / name).write_text("half")

    leave()
    cell(SHORT, "resume=true")
    assert {path.name for path in run_dir.glob("*tmp-*")} == set(kept)
    leave()
    cell(SHORT, "resume=true")  # it is finished
    assert {path.name for path in run_dir.glob("*tmp-*")} == set(kept)


def test_a_folder_of_such_a_name_is_left(tmp_path):
    (tmp_path / ".a.tmp-1").mkdir()
    (tmp_path / ".b.tmp-1").symlink_to(tmp_path / "nowhere")
    sweep_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".a.tmp-1"]


def test_checksums_that_a_killed_process_was_writing_are_swept(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    (tmp_path / ".checksums-kemdy20.json.tmp-5").write_text("half")
    checksums.known_checksums("kemdy20", {"a": str(tmp_path / "a.wav")}, tmp_path)
    assert not list(tmp_path.glob(".*.tmp-*")) and (tmp_path / "checksums-kemdy20.json").is_file()


# --- memory -----------------------------------------------------------------------------------------------------------
def test_too_little_memory_ends_the_run_in_its_own_words_and_changes_no_batch(cell, monkeypatch):
    def out_of_memory(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    sizes: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(EmotionModule, "training_step", out_of_memory)
        patch.setattr(
            EmotionModule, "on_train_batch_start", lambda _, batch, __: sizes.append(len(batch["segment_id"]))
        )
        with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate 2"):
            cell(SHORT, "resume=true", "dataloader.batch_size=4")
    assert sizes == [4]  # no second attempt with a smaller one
    run_dir = cell.root / "run"
    assert run_folder.state_of(run_dir) == "failed" and not (run_dir / "result.json").exists()
    assert read_back.error_of(run_dir) == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    cell(SHORT, "resume=true", "dataloader.batch_size=4")  # control
    assert run_folder.state_of(run_dir) == "done" and not (run_dir / "error.json").exists()


def test_nothing_waits_for_somebody_at_the_keyboard():
    prompt = re.compile(r"\b(breakpoint|input|set_trace)\(|import i?pdb")
    paths = [*(ROOT / "erc").rglob("*.py"), *ROOT.glob("*.py")]
    assert len(paths) > 50 and prompt.search("    breakpoint()")  # control
    assert [path.name for path in paths if prompt.search(path.read_text(encoding="utf-8"))] == []


def test_nothing_unpacks_an_archive():
    unpacks = re.compile(r"\btarfile\b|unpack_archive|\.extract(all)?\(")
    assert unpacks.search("archive.extractall(folder)")  # control
    assert [
        path.name for path in (ROOT / "erc").rglob("*.py") if unpacks.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize(
    ("err", "is_worth"),
    [
        (OSError("no space left"), True),
        (RuntimeError("a worker was killed"), True),
        (ValueError("the loss must be finite"), False),
        (KeyError("x"), False),
        (torch.OutOfMemoryError("2 GiB"), False),
    ],
)
def test_going_on_is_advised_only_where_another_attempt_can_succeed(err, is_worth):
    assert train.is_worth_another_try(err) == is_worth


# --- figures ----------------------------------------------------------------------------------------------------------
def test_the_history_and_the_selected_epoch_hold_the_same_numbers(cell):
    result = cell("dataset.num_data=40", "trainer.max_epochs=2")
    row = result["history"][result["selected"]["epoch"]]
    found = {name: row[f"valid/{name}"] for name in result["selected"]["metrics"]}
    assert found == result["selected"]["metrics"]
    assert found["ccc_valence"] is not None


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_a_run_of_another_precision_ends_with_finite_figures(cell, precision):
    assert 0 <= cell(SHORT, f"trainer.precision={precision}")["selected"]["metrics"]["weighted_f1"] <= 1


# --- processes --------------------------------------------------------------------------------------------------------
MODEL_FIRST = """
import sys
import torch
from erc.datasets import HF_KEMD
torch.set_num_threads(2)
torch.nn.Linear(2000, 2000)(torch.randn(2000, 2000))  # OpenMP's threads run
for num_proc in (1, 2):
    kemd = HF_KEMD("train", 4, dataset_name="kemdy20", root=sys.argv[1], cache_dir=f"{sys.argv[2]}/{num_proc}",
                   num_proc=num_proc, num_data=24)
    print(len(kemd))
"""

FORKED = """
import multiprocessing
import torch
torch.set_num_threads(2)
layer, x = torch.nn.Linear(2000, 2000), torch.randn(2000, 2000)
layer(x)
child = multiprocessing.get_context("fork").Process(target=lambda: torch.randn(2000, 2000).exp().sum())
child.start()
child.join(5)
print(child.exitcode)
child.kill()
"""


@pytest.mark.slow
def test_a_data_set_is_built_in_processes_after_a_model_has_run(corpora, tmp_path):
    done = run(MODEL_FIRST, str(corpora), str(tmp_path))
    assert done.returncode == 0 and done.stdout.split()[-2:] == ["24", "24"], done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP")
def test_a_fork_after_a_model_has_run_would_hang():
    assert run(FORKED).stdout == "None\n"


ENDED = """
import os, signal
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel

class Stop(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=3,
           callbacks=[Stop()]).fit(BoringModel())
print("finished")
"""


@pytest.mark.slow
def test_lightning_s_own_exit_code_would_call_a_terminated_run_finished():
    ended = run(ENDED)
    assert ended.returncode in (0, 128 + signal.SIGTERM) and "finished" not in ended.stdout
    assert ended.returncode == 0  # so train.py sets its own: tests of interrupted runs
