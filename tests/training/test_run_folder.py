"""State of a run folder: what each status is read from, who holds it, and what a half-written file counts as."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from stand_ins import holder, result_of, result_text

from erc.training import read_back, run_folder
from erc.training.identity import Identity

ROOT = Path(__file__).resolve().parents[2]

MINE = Identity(
    options={"seed": 42, "optim.lr.heads": 1e-4, "target.kind": "soft"},
    data="data",
    code={"model/heads.py": "a" * 12, "training/losses.py": "b" * 12},
)


def changed(**changes) -> Identity:
    """Another run: other options, data or hashes of files beside those of ``MINE``."""
    options, code = MINE.options | changes.get("options", {}), MINE.code | changes.get("code", {})
    return Identity(options, changes.get("data", MINE.data), code)


OTHER = changed(options={"seed": 7})


def write_result(run_dir: Path, identity: Identity = MINE) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "result.json").write_text(result_text(run_dir, identity.fingerprint), encoding="utf-8")


def write_run(run_dir: Path, identity: Identity = MINE, is_finished: bool = True) -> None:
    """What a run leaves in its folder, as far as its identity is concerned."""
    run_dir.mkdir(parents=True, exist_ok=True)
    run_folder.enter(run_dir, identity)
    if is_finished:
        write_result(run_dir, identity)


# --- status -----------------------------------------------------------------------------------------------------------
def test_a_folder_that_is_not_there_is_waiting_and_is_not_made(tmp_path):
    assert run_folder.state_of(tmp_path / "cell") == "waiting"
    assert not (tmp_path / "cell").exists()


def test_a_folder_without_a_checkpoint_is_waiting(tmp_path):
    # a run that was killed in its first epoch leaves its claim, its identity and its configuration
    with run_folder.claimed(tmp_path):
        run_folder.enter(tmp_path, MINE)
    (tmp_path / "config.yaml").touch()
    assert run_folder.state_of(tmp_path) == "waiting"


def test_a_checkpoint_without_a_result_is_half_done(tmp_path):
    (tmp_path / "last.ckpt").touch()
    assert run_folder.state_of(tmp_path) == "half-done"
    (tmp_path / "last.ckpt").rename(tmp_path / ".last.ckpt.tmp-123")  # control: one that was never whole
    assert run_folder.state_of(tmp_path) == "waiting"


def test_a_result_is_done_whatever_else_lies_there(tmp_path):
    (tmp_path / "last.ckpt").touch()
    run_folder.record_error(tmp_path, ValueError("of an attempt before"))
    assert run_folder.state_of(tmp_path) == "failed"
    write_result(tmp_path)
    assert run_folder.state_of(tmp_path) == "done"


def test_an_error_is_failed_until_the_run_is_taken_up_again(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "last.ckpt")
    run_folder.record_error(tmp_path, RuntimeError("the disk is full"))
    assert run_folder.state_of(tmp_path) == "failed"
    run_folder.enter(tmp_path, MINE)
    assert run_folder.state_of(tmp_path) == "half-done" and read_back.error_of(tmp_path) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fingerprint": "aaaaaaaa', '{"fold": 4}\x00\xff'])
def test_a_result_that_was_cut_is_not_finished(tmp_path, text):
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    assert read_back.finished_result(tmp_path) is None
    assert run_folder.state_of(tmp_path) == "damaged" and "result.json: " in read_back.error_of(tmp_path)
    assert "has a result but no identity.json" in run_folder.refusal(tmp_path, MINE)
    run_folder.enter(tmp_path, MINE)
    assert run_folder.newest_whole(tmp_path) is None
    assert run_folder.refusal(tmp_path, MINE) == ""  # of a run that is known: trained again, not refused
    write_result(tmp_path)  # control: a whole one
    assert read_back.finished_result(tmp_path) == result_of(tmp_path, MINE.fingerprint)


# --- claims -----------------------------------------------------------------------------------------------------------
def test_a_folder_is_running_while_another_process_holds_it_and_free_once_that_is_killed(tmp_path):
    (tmp_path / "last.ckpt").touch()
    run_folder.record_error(tmp_path, RuntimeError("of an attempt before"))
    with holder(tmp_path) as process:
        assert run_folder.state_of(tmp_path) == "running"
        with run_folder.claimed(tmp_path) as is_ours:
            assert is_ours is False
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert run_folder.state_of(tmp_path) == "failed"
        with run_folder.claimed(tmp_path) as is_ours:
            assert is_ours is True


def test_a_claim_ends_with_its_block_and_with_an_error_in_it(tmp_path):
    run_dir = tmp_path / "row" / "fold0-seed42"  # made by the claim
    with pytest.raises(KeyError), run_folder.claimed(run_dir) as first, run_folder.claimed(run_dir) as second:
        assert (first, second) == (True, False)  # a second claim is refused within one process, too
        raise KeyError
    with run_folder.claimed(run_dir) as third:
        assert third


def test_a_claim_is_of_one_folder(tmp_path):
    with (
        run_folder.claimed(tmp_path / "fold0-seed42") as first,
        run_folder.claimed(tmp_path / "fold1-seed42") as second,
    ):
        assert first and second


def test_a_look_at_the_status_never_keeps_a_run_from_its_cell(tmp_path):
    # a driver, or python -m erc status, looks at every cell again and again while training processes begin
    with run_folder.claimed(tmp_path):
        pass  # the file of the claim is there
    code = "import sys\nfrom erc.training import run_folder\nprint(flush=True)\nwhile True: run_folder.state_of(sys.argv[1])"
    watcher = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        watcher.stdout.readline()
        refused, until = 0, time.monotonic() + 1.0
        for n_claims in range(1, 301):
            with run_folder.claimed(tmp_path) as is_ours:
                refused += not is_ours
            if time.monotonic() > until and n_claims > 50:
                break
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()
    assert refused == 0, f"{refused} of {n_claims} runs would have passed over a cell that nobody works on"


# --- whose run a folder holds -----------------------------------------------------------------------------------------
def test_a_fresh_folder_starts_anew_and_holds_the_run_s_identity(tmp_path):
    assert run_folder.refusal(tmp_path / "new", MINE) == "" and not (tmp_path / "new").exists()
    run_folder.enter(tmp_path, MINE)
    assert run_folder.newest_whole(tmp_path) is None
    text = (tmp_path / "identity.json").read_text(encoding="utf-8")
    assert Identity.from_json(text) == MINE and json.loads(text)["fingerprint"] == MINE.fingerprint


def test_the_same_run_goes_on_from_its_last_checkpoint(tmp_path):
    run_folder.enter(tmp_path, MINE)
    torch.save({"epoch": 3}, tmp_path / "last.ckpt")
    assert run_folder.refusal(tmp_path, MINE) == ""
    run_folder.enter(tmp_path, MINE)
    assert run_folder.newest_whole(tmp_path) == str(tmp_path / "last.ckpt")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_cut_checkpoint_is_kept_aside_and_the_run_starts_afresh_and_says_so(tmp_path, share):
    run_folder.enter(tmp_path, MINE)
    last = tmp_path / "last.ckpt"
    torch.save({"weights": torch.arange(10_000)}, last)
    cut = last.read_bytes()[: int(share * last.stat().st_size)]
    last.write_bytes(cut)
    with pytest.warns(
        UserWarning, match=f"{re.escape(str(tmp_path))} holds last.ckpt .*no whole zip file.*first epoch"
    ):
        run_folder.enter(tmp_path, MINE)
        assert run_folder.newest_whole(tmp_path) is None
    assert not last.exists()
    assert (tmp_path / "last.ckpt.damaged").read_bytes() == cut
    run_folder.enter(tmp_path, MINE)
    assert run_folder.newest_whole(tmp_path) is None


@pytest.mark.parametrize("is_finished", [False, True])
@pytest.mark.parametrize("accept_code", [False, True])
@pytest.mark.parametrize(
    ("other", "named"),
    [
        (changed(options={"optim.lr.heads": 1e-3}), r"optim\.lr\.heads: 0\.0001 there, 0\.001 now"),
        (changed(options={"target.kind": "hard"}), r'target\.kind: "soft" there, "hard" now'),
        (changed(options={"trainer.limit_train_batches": 0.1}), r"limit_train_batches: not set there, 0\.1 now"),
        (changed(data="more data"), "other data: .* data there, more data now"),
    ],
    ids=["number", "word", "new option", "data"],
)
def test_a_folder_of_other_options_or_data_is_refused_with_both_values(
    tmp_path, is_finished, accept_code, other, named
):
    write_run(tmp_path, MINE, is_finished)
    said = run_folder.refusal(tmp_path, other, accept_code)
    assert re.search(rf"A run folder holds one run: {re.escape(str(tmp_path))} .*{named}.*--out", said)
    # control: the folder's own run
    assert run_folder.refusal(tmp_path, MINE, accept_code) == ""


def test_a_finished_run_of_other_code_is_refused_by_the_files_and_kept_if_that_is_accepted(tmp_path):
    write_run(tmp_path, MINE)
    other = changed(code={"training/losses.py": "0" * 12, "model/fusion/new.py": "1" * 12})
    said = run_folder.refusal(tmp_path, other)
    assert "these files changed: model/fusion/new.py; training/losses.py." in said and "--accept-code" in said
    assert "model/heads.py" not in said
    assert run_folder.refusal(tmp_path, other, accept_code=True) == ""


def test_an_unfinished_run_of_other_code_is_never_gone_on_with(tmp_path):
    # its result would come from two versions of the code
    write_run(tmp_path, MINE, is_finished=False)
    for accept_code in (False, True):
        said = run_folder.refusal(tmp_path, changed(code={"model/heads.py": "0" * 12}), accept_code)
        assert "was begun before these files changed: model/heads.py. Move the folder away" in said


def test_a_result_that_was_copied_into_another_run_s_folder_is_refused(tmp_path):
    write_run(tmp_path, MINE, is_finished=False)
    write_result(tmp_path, OTHER)
    named = f"{tmp_path} cannot be used (result.json: it is not of the run that identity.json names)"
    assert named in run_folder.refusal(tmp_path, MINE)
    assert run_folder.state_of(tmp_path) == "of another run"


def test_looking_whether_a_folder_may_be_used_changes_nothing_in_it(tmp_path):
    write_run(tmp_path, OTHER)
    (tmp_path / "last.ckpt").write_bytes(b"theirs")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run_folder.refusal(tmp_path, MINE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_many_differences_are_counted_and_not_all_named(tmp_path):
    write_run(tmp_path, MINE)
    said = run_folder.refusal(tmp_path, changed(options={f"fusion.option{n:02}": n for n in range(30)}))
    assert "fusion.option07" in said and "fusion.option08" not in said and "and 22 more" in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"fingerprint": "ec1ef4d220a2df37"}',
        '{"fingerprint": "0", "options": {}, "data": "", "code": {}}',
    ],
    ids=["empty", "cut", "list", "of an older version", "changed by hand"],
)
def test_an_identity_that_cannot_be_used_is_refused_and_the_folder_named(tmp_path, text):
    # a file renamed into place can be empty after a power cut; whose checkpoint this is cannot be known any more
    (tmp_path / "identity.json").write_text(text, encoding="utf-8")
    (tmp_path / "last.ckpt").touch()
    assert f"{tmp_path / 'identity.json'} cannot be used" in run_folder.refusal(tmp_path, MINE)


def test_a_result_without_an_identity_is_refused(tmp_path):
    write_result(tmp_path)
    assert f"{tmp_path} has a result but no identity.json" in run_folder.refusal(tmp_path, MINE)


# --- errors -----------------------------------------------------------------------------------------------------------
def test_an_error_is_written_down_with_its_type_its_message_and_where_it_was_raised(tmp_path):
    def deep_down():
        raise ValueError("the loss must be finite: got nan\nlook at the audio")

    try:
        deep_down()
    except ValueError as err:
        run_folder.record_error(tmp_path, err)
    report = json.loads((tmp_path / "error.json").read_text(encoding="utf-8"))
    assert report["error"] == "ValueError: the loss must be finite: got nan\nlook at the audio"
    assert "in deep_down" in report["traceback"] and "Traceback" in report["traceback"]
    assert abs(time.mktime(time.strptime(report["time"], "%Y-%m-%d %H:%M:%S")) - time.time()) < 60
    assert read_back.error_of(tmp_path) == "ValueError: the loss must be finite: got nan"  # one line, for a list


def test_where_no_error_is_written_down_none_is_told(tmp_path):
    assert read_back.error_of(tmp_path) == ""


@pytest.mark.parametrize(
    "content", [b"{", b"{}", b'{"error": ""}', b'{"error": 3}', b"[]", b"\xff\xfe", b"[" * 100_000]
)
def test_an_error_that_cannot_be_read_is_told_as_damaged(tmp_path, content):
    (tmp_path / "error.json").write_bytes(content)
    assert read_back.error_of(tmp_path).startswith("error.json: ")
    assert run_folder.state_of(tmp_path) == "damaged"


# --- epochs ----------------------------------------------------------------------------------------------------------
def test_epochs_are_counted_in_the_history(tmp_path):
    assert read_back.epochs_done(tmp_path) == 0
    (tmp_path / "metrics.csv").write_text("epoch,step\n0,4\n1,8\n", encoding="utf-8")
    assert read_back.epochs_done(tmp_path) == 2
