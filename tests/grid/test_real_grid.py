"""Grids that train for real: finished, refused, killed at any moment, run twice at once, run by launchers."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from programs import Program, run_program

from erc.grid import pool, program

REAL_ROWS = ("text_only_peakl", "concat_hard")


def command(
    out: Path, corpora: Path, cache_dir: Path, *changes: str, launcher: str = "basic", rows=REAL_ROWS
) -> list[str]:
    """A grid of two rows on one fold, 16 segments, as it is typed."""
    grid_options = ["--experiment", "demo", "--launcher", launcher, "--rows", ",".join(rows), "--folds", "4"]
    data = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=16"]
    small = ["dataloader.collate.max_samples=8000", "dataloader.batch_size=8", "trainer.max_epochs=8"]
    small += ["callbacks.early_stopping.patience=10"]
    return ["-m", "erc.grid", *grid_options, "--out", str(out), "--", *data, *small, *changes]


def predictions(out: Path) -> dict[str, bytes]:
    return {row: (out / row / "fold4-seed42" / "predictions.csv").read_bytes() for row in REAL_ROWS}


def output_of_cells(out: Path) -> str:
    """What all cells of a grid have printed so far."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(out.glob("*/fold*/train.log")))


def n_trained(out: Path) -> dict[str, int]:
    """How often each cell was trained to its end."""
    text = output_of_cells(out)
    return {row: len(re.findall(rf"^Result: .*/{row}/fold4-seed42/", text, re.MULTILINE)) for row in REAL_ROWS}


def n_begun(out: Path) -> int:
    """How often a cell was begun; one that another program trains is not."""
    return len(re.findall("^Training ", output_of_cells(out), re.MULTILINE))


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


@pytest.fixture
def leaders():
    """Process groups that a test starts; whatever is left of them ends with the test."""
    found: list[int] = []
    yield found
    for leader in found:
        kill_group(leader)


@pytest.fixture(scope="module")
def uninterrupted(run_grid, corpora, cache_dir, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A grid of three rows, of which one holds another run, and so must fail."""
    out = tmp_path_factory.mktemp("grids") / "uninterrupted"
    foreign = out / "concat_soft" / "fold4-seed42"
    foreign.mkdir(parents=True)
    (foreign / "identity.json").write_text('{"fingerprint": "0000000000000000"}', encoding="utf-8")
    return out, run_grid(*command(out, corpora, cache_dir, rows=("concat_soft", *REAL_ROWS))[2:])


@pytest.mark.slow
def test_a_real_grid_goes_on_behind_a_cell_that_fails_and_names_it_last(uninterrupted):
    out, done = uninterrupted
    assert done.returncode == 1
    assert n_trained(out) == {"text_only_peakl": 1, "concat_hard": 1}, done.stdout
    *ending, the_table, to_see, to_use = done.stdout.splitlines()[-5:]
    assert the_table.startswith(f"The table:  {out}/table.md") and to_see.endswith(f"report {out} --out=report")
    assert to_use.endswith(f"--model={out}/{REAL_ROWS[0]}") or to_use.endswith(f"--model={out}/{REAL_ROWS[1]}")
    assert re.match(
        r"missing: concat_soft, fold 4, seed 42: failed \(FileExistsError: A run folder .*identity.json cannot be used",
        ending[0],
    )
    assert ending[1] == "2 of 3 cells are finished. Start again to go on."
    assert {"table.md", "table.csv", "table.tex", *REAL_ROWS} <= set(os.listdir(out))
    assert "Text only, PeakL (1/5 folds)" in (out / "table.md").read_text(encoding="utf-8")
    for row in REAL_ROWS:
        assert not (out / row / "fold4-seed42" / "last.ckpt").exists()  # of no more use


@pytest.mark.slow
def test_a_real_grid_that_is_finished_answers_without_training(uninterrupted, corpora, cache_dir, monkeypatch, capsys):
    out, _ = uninterrupted
    written = {path: path.stat().st_mtime_ns for path in out.rglob("fold4-seed42/*")}
    monkeypatch.setattr(pool, "Guarded", lambda *_: pytest.fail("a training process was started"))
    assert program.main(command(out, corpora, cache_dir)[2:]) == 0
    assert "\n2 of 2 cells are finished.\n" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("fold4-seed42/*")} == written
    # with another option, which the fingerprint holds, none is started either: the folder is of one set of options
    assert program.main(command(out, corpora, cache_dir, "optim.weight_decay=0.1")[2:]) == 1
    # control: for a cell that is not finished a process is started
    fresh = out.with_name("fresh")
    with pytest.raises(pytest.fail.Exception, match="a training process"):
        program.main(command(fresh, corpora, cache_dir)[2:])


@pytest.mark.slow
def test_two_drivers_that_go_on_with_a_grid_killed_twice_train_each_cell_once_and_end_with_the_same_predictions(
    uninterrupted, corpora, cache_dir, tmp_path, leaders
):
    out = tmp_path / "grid"
    typed, rng = command(out, corpora, cache_dir), random.Random(5)
    for attempt in range(2):
        n_epochs = output_of_cells(out).count("\nepoch ")
        driver = Program(*typed, leads=True)
        leaders.append(driver.pid)
        # any moment in one of this attempt's first four epochs: counted in epochs, which a fast machine has sooner
        n_epochs += rng.randint(0, 3)
        until = time.monotonic() + 240
        while output_of_cells(out).count("\nepoch ") <= n_epochs and driver.poll() is None:
            assert time.monotonic() < until, output_of_cells(out)
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        if attempt == 1:
            driver.send_signal(signal.SIGKILL)  # the driver alone: what it started ends with it
        else:
            kill_group(driver.pid)  # all of them, as in a power cut
        assert driver.wait().returncode == -signal.SIGKILL, "too late: the grid had finished"
    before, n_left = n_begun(out), list(n_trained(out).values()).count(0)  # one half done, and as a rule a new one
    # two cells at a time, and one: both drivers want the first cell
    commands = [command(out, corpora, cache_dir, launcher=launcher) for launcher in ("joblib", "basic")]
    drivers = [Program(*typed, leads=True) for typed in commands]
    leaders += [driver.pid for driver in drivers]
    done = [driver.wait() for driver in drivers]
    text = output_of_cells(out)
    assert [one.returncode for one in done] == [0, 0], text + done[0].stdout + done[1].stdout
    assert all("\n2 of 2 cells are finished.\n" in one.stdout for one in done)
    assert n_trained(out) == {"text_only_peakl": 1, "concat_hard": 1}, text
    assert n_begun(out) == before + n_left > before, text
    assert text.count("Going on from") >= 1
    assert predictions(out) == predictions(uninterrupted[0])
    for row in REAL_ROWS:
        found, expected = (
            [line.split(",") for line in (folder / row / "fold4-seed42" / "metrics.csv").read_text().splitlines()]
            for folder in (out, uninterrupted[0])
        )
        column = expected[0].index("seconds")  # everything but the clock
        assert [[*line[:column], *line[column + 1 :]] for line in found] == [
            [*line[:column], *line[column + 1 :]] for line in expected
        ]


@pytest.mark.slow
def test_a_cluster_s_launcher_trains_a_cell(uninterrupted, corpora, cache_dir, tmp_path):
    # submitit_local submits as submitit_slurm does, and runs the job on this machine
    row = REAL_ROWS[0]
    done = run_program(*command(tmp_path / "grid", corpora, cache_dir, launcher="submitit_local", rows=(row,)))
    assert done.returncode == 0, done.stdout
    assert "HYDRA" not in done.stdout + done.stderr  # no line of the launcher for each cell
    # what the cell printed is in its own folder, and nowhere else
    log = output_of_cells(tmp_path / "grid")
    assert log.count("\nepoch ") == 8 and log.startswith("Training text_only") and "\nResult: " in log
    found = (tmp_path / "grid" / row / "fold4-seed42" / "predictions.csv").read_bytes()
    assert found == predictions(uninterrupted[0])[row]
