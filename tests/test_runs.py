"""State of a run folder: what each status is read from, who holds it, and what a half-written file counts as."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from erc import results, runs

ROOT = Path(__file__).resolve().parents[1]
MINE, OTHER = "a" * 16, "b" * 16  # as long as training.fingerprint makes them


def write_result(run_dir: Path, fingerprint: str = MINE) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "result.json").write_text(json.dumps({"fingerprint": fingerprint, "fold": 4}), encoding="utf-8")


@contextmanager
def holder(run_dir: Path):
    """Another process that holds the claim on a folder until it dies."""
    code = (
        "import sys, time\nfrom erc.runs import claimed\n"
        "with claimed(sys.argv[1]) as is_ours:\n print(is_ours, flush=True)\n time.sleep(300)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, run_dir], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "True\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- status -----------------------------------------------------------------------------------------------------------
def test_a_folder_that_is_not_there_is_waiting_and_is_not_made(tmp_path):
    assert runs.status(tmp_path / "cell") == "waiting"
    assert not (tmp_path / "cell").exists()


def test_a_folder_without_a_checkpoint_is_waiting(tmp_path):
    # a run that was killed in its first epoch leaves its claim, its identity and its configuration
    with runs.claimed(tmp_path):
        runs.checkpoint_to_resume(tmp_path, MINE)
    (tmp_path / "config.yaml").touch()
    assert runs.status(tmp_path) == "waiting"


def test_a_checkpoint_without_a_result_is_half_done(tmp_path):
    (tmp_path / "last.ckpt").touch()
    assert runs.status(tmp_path) == "half-done"
    (tmp_path / "last.ckpt").rename(tmp_path / ".last.ckpt.tmp-123")  # control: one that was never whole
    assert runs.status(tmp_path) == "waiting"


def test_a_result_is_done_whatever_else_lies_there(tmp_path):
    (tmp_path / "last.ckpt").touch()
    runs.record_error(tmp_path, ValueError("of an attempt before"))
    write_result(tmp_path)
    assert runs.status(tmp_path) == runs.status(tmp_path, MINE) == "done"
    assert runs.status(tmp_path, OTHER) == "failed"  # asked for another run, the result is none


def test_an_error_is_failed_until_the_run_is_taken_up_again(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "last.ckpt")
    runs.record_error(tmp_path, RuntimeError("the disk is full"))
    assert runs.status(tmp_path) == "failed"
    runs.checkpoint_to_resume(tmp_path, MINE)
    assert runs.status(tmp_path) == "half-done" and runs.error_of(tmp_path) == ""


@pytest.mark.parametrize("text", ["", "{", '{"fingerprint": "aaaaaaaa', '{"fold": 4}\x00\xff'])
def test_a_result_that_was_cut_is_not_finished(tmp_path, text):
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    assert runs.finished_result(tmp_path) is None and runs.finished_result(tmp_path, MINE) is None
    assert runs.status(tmp_path) == "waiting"
    assert runs.checkpoint_to_resume(tmp_path, MINE) is None  # trained again, not refused
    write_result(tmp_path)  # control: a whole one
    assert runs.finished_result(tmp_path) == {"fingerprint": MINE, "fold": 4}


# --- claims -----------------------------------------------------------------------------------------------------------
def test_a_folder_is_running_while_another_process_holds_it_and_free_once_that_is_killed(tmp_path):
    (tmp_path / "last.ckpt").touch()
    runs.record_error(tmp_path, RuntimeError("of an attempt before"))
    with holder(tmp_path) as process:
        assert runs.status(tmp_path) == "running"
        with runs.claimed(tmp_path) as is_ours:
            assert is_ours is False
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert runs.status(tmp_path) == "failed"
        with runs.claimed(tmp_path) as is_ours:
            assert is_ours is True


def test_a_claim_ends_with_its_block_and_with_an_error_in_it(tmp_path):
    run_dir = tmp_path / "row" / "fold0-seed42"  # made by the claim
    with pytest.raises(KeyError), runs.claimed(run_dir) as first, runs.claimed(run_dir) as second:
        assert (first, second) == (True, False)  # a second claim is refused within one process, too
        raise KeyError
    with runs.claimed(run_dir) as third:
        assert third


def test_a_claim_is_of_one_folder(tmp_path):
    with runs.claimed(tmp_path / "fold0-seed42") as first, runs.claimed(tmp_path / "fold1-seed42") as second:
        assert first and second


def test_a_look_at_the_status_never_keeps_a_run_from_its_cell(tmp_path):
    # a driver, or erc.results status, looks at every cell again and again while training processes begin
    with runs.claimed(tmp_path):
        pass  # the file of the claim is there
    code = "import sys\nfrom erc import runs\nprint(flush=True)\nwhile True: runs.status(sys.argv[1])"
    watcher = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        watcher.stdout.readline()
        refused, until = 0, time.monotonic() + 1.0
        for n_claims in range(1, 301):
            with runs.claimed(tmp_path) as is_ours:
                refused += not is_ours
            if time.monotonic() > until and n_claims > 50:
                break
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()
    assert refused == 0, f"{refused} of {n_claims} runs would have passed over a cell that nobody works on"


# --- identity ---------------------------------------------------------------------------------------------------------
def test_a_fresh_folder_starts_anew_and_notes_whose_it_is(tmp_path):
    assert runs.checkpoint_to_resume(tmp_path, MINE) is None
    assert json.loads((tmp_path / "identity.json").read_text(encoding="utf-8")) == {"fingerprint": MINE}


def test_the_same_run_goes_on_from_its_last_checkpoint(tmp_path):
    runs.checkpoint_to_resume(tmp_path, MINE)
    torch.save({"epoch": 3}, tmp_path / "last.ckpt")
    assert runs.checkpoint_to_resume(tmp_path, MINE) == str(tmp_path / "last.ckpt")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_cut_checkpoint_is_kept_aside_and_the_run_starts_afresh_and_says_so(tmp_path, share):
    runs.checkpoint_to_resume(tmp_path, MINE)
    last = tmp_path / "last.ckpt"
    torch.save({"weights": torch.arange(10_000)}, last)
    cut = last.read_bytes()[: int(share * last.stat().st_size)]
    last.write_bytes(cut)
    with pytest.warns(UserWarning, match=f"{re.escape(str(last))} is no whole checkpoint .*first epoch"):
        assert runs.checkpoint_to_resume(tmp_path, MINE) is None
    assert not last.exists()
    assert (tmp_path / "last.ckpt.damaged").read_bytes() == cut
    assert runs.checkpoint_to_resume(tmp_path, MINE) is None


@pytest.mark.parametrize("known_by", ["identity", "result"])
def test_another_run_s_folder_is_refused_by_name_and_left_as_it_is(tmp_path, known_by):
    if known_by == "identity":
        runs.checkpoint_to_resume(tmp_path, OTHER)
    else:
        write_result(tmp_path, OTHER)
    (tmp_path / "last.ckpt").write_bytes(b"theirs")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match=f"{re.escape(str(tmp_path))} holds {OTHER}, this one is {MINE}.*--out"):
        runs.checkpoint_to_resume(tmp_path, MINE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_identity_that_was_cut_is_an_error_that_names_the_folder(tmp_path):
    # a file renamed into place can be empty after a power cut; whose checkpoint this is cannot be known any more
    (tmp_path / "identity.json").write_text("", encoding="utf-8")
    (tmp_path / "last.ckpt").touch()
    with pytest.raises((FileExistsError, ValueError), match=re.escape(str(tmp_path))):
        runs.checkpoint_to_resume(tmp_path, MINE)


# --- errors -----------------------------------------------------------------------------------------------------------
def test_an_error_is_written_down_with_its_type_its_message_and_where_it_was_raised(tmp_path):
    def deep_down():
        raise ValueError("the loss must be finite: got nan\nlook at the audio")

    try:
        deep_down()
    except ValueError as err:
        runs.record_error(tmp_path, err)
    report = json.loads((tmp_path / "error.json").read_text(encoding="utf-8"))
    assert report["error"] == "ValueError: the loss must be finite: got nan\nlook at the audio"
    assert "in deep_down" in report["traceback"] and "Traceback" in report["traceback"]
    assert abs(time.mktime(time.strptime(report["time"], "%Y-%m-%d %H:%M:%S")) - time.time()) < 60
    assert runs.error_of(tmp_path) == "ValueError: the loss must be finite: got nan"  # one line, for a list


@pytest.mark.parametrize("text", [None, "{", "{}", '{"error": ""}'])
def test_where_no_error_is_written_down_none_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "error.json").write_text(text, encoding="utf-8")
    assert runs.error_of(tmp_path) == ""


# --- files ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content", ["Größe, 감정\n", b"\x00\xff\r\n"])
def test_what_is_written_atomically_is_there_to_the_byte_and_nothing_else_is(tmp_path, content):
    runs.write_atomically(tmp_path / "table.md", "older and much longer than what replaces it")
    runs.write_atomically(tmp_path / "table.md", content)
    assert (tmp_path / "table.md").read_bytes() == (content.encode("utf-8") if isinstance(content, str) else content)
    assert os.listdir(tmp_path) == ["table.md"]


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    # two contents of one letter each, written in turns: any mixture or cut would show
    code = (
        "import sys\nfrom pathlib import Path\nfrom erc.runs import write_atomically\nprint(flush=True)\n"
        "while True:\n for letter in 'ab': write_atomically(Path(sys.argv[1]), letter * 3_000_000)"
    )
    path = tmp_path / "predictions.csv"
    for wait in (0.05, 0.12, 0.21):
        process = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        while not path.exists():
            time.sleep(0.01)
        time.sleep(wait)
        process.kill()
        process.wait()
        process.stdout.close()
        content = path.read_bytes()
        assert len(content) == 3_000_000 and len(set(content)) == 1


def test_epochs_are_counted_in_the_history(tmp_path):
    assert runs.epochs_done(tmp_path) == 0
    (tmp_path / "metrics.csv").write_text("epoch,step\n0,4\n1,8\n", encoding="utf-8")
    assert runs.epochs_done(tmp_path) == 2


# --- how a grid stands ------------------------------------------------------------------------------------------------
@pytest.fixture
def grid(tmp_path):
    """A folder with a cell of each kind; one is held by another process."""
    write_result(tmp_path / "concat_hard" / "fold0-seed42")
    write_result(tmp_path / "concat_hard" / "fold1-seed42")
    failed = tmp_path / "concat_hard" / "fold2-seed42"
    failed.mkdir()
    runs.record_error(failed, RuntimeError("no room\nat all"))
    half = tmp_path / "text_only_peakl" / "fold0-seed42"
    half.mkdir(parents=True)
    (half / "last.ckpt").touch()
    (tmp_path / "text_only_peakl" / "fold1-seed42").mkdir()
    (tmp_path / "table.md").touch()
    (tmp_path / "concat_hard" / "notes").mkdir()  # no cell
    busy = tmp_path / "text_only_peakl" / "fold2-seed7"
    with holder(busy):
        (busy / "metrics.csv").write_text("epoch,step\n0,4\n1,8\n", encoding="utf-8")
        yield tmp_path


EXPECTED = """\
concat_hard              0-seed42: done  1-seed42: done  2-seed42: failed
text_only_peakl          0-seed42: half-done  1-seed42: waiting  2-seed7: running (epoch 3)
failed: concat_hard/fold2-seed42: RuntimeError: no room
2 done, 1 failed, 1 half-done, 1 running, 1 waiting"""
"""Two epochs of the running cell are in its history, so it works on the third."""


def test_the_status_of_a_grid_has_a_line_a_row_each_failure_and_the_sums(grid):
    assert results.status(str(grid)) == EXPECTED


def test_the_command_says_the_same(grid):
    done = subprocess.run(
        [sys.executable, "-m", "fire", "erc.results", "status", str(grid)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == EXPECTED


def test_a_folder_without_cells_is_an_error_that_says_what_was_expected(tmp_path):
    (tmp_path / "concat_hard").mkdir()
    with pytest.raises(FileNotFoundError, match=f"fold<k>-seed<s>/: {re.escape(str(tmp_path))} holds none"):
        results.status(str(tmp_path))
