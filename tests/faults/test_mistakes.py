"""A user's mistake is told in its sentence alone; what the program makes of people's data is private."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kemd_views import builds, open_small
from programs import run_program

from erc.mistakes import is_explained, told_plainly

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    # a mask that would let everybody read
    return run_program(*command, cwd=cwd, umask=0o022, PYTHONPATH=str(ROOT), **environment)


@pytest.mark.slow
def test_without_corpora_and_encoders_both_are_named_and_no_traceback_is_shown(tmp_path):
    ended = run("train.py", f"hydra.run.dir={tmp_path / 'run'}", f"dataset.root={tmp_path}")
    assert ended.returncode == 1
    for said in ("klue/roberta-large", "kresnik/wav2vec2-large-xlsr-korean", "Corpus kemdy19", "Corpus kemdy20"):
        assert said in ended.stderr, said
    assert "Traceback" not in ended.stdout + ended.stderr and "HYDRA_FULL_ERROR" not in ended.stderr
    assert "Traceback" in (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    # the folder is private, and all that is in it
    folders = [tmp_path / "run", *(path for path in (tmp_path / "run").rglob("*") if path.is_dir())]
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files and {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


@pytest.mark.slow
def test_the_whole_error_can_be_asked_for(tmp_path):
    ended = run(
        "train.py",
        f"hydra.run.dir={tmp_path / 'run'}",
        f"dataset.root={tmp_path}",
        "encoders=tiny",
        HYDRA_FULL_ERROR="1",
    )
    assert ended.returncode == 1 and "Traceback" in ended.stderr and "Corpus kemdy19" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["train.py", "experiment=demo", "optim.lr.heads=-1"],
        ["train.py", "~dataset"],
        ["-m", "erc", "dataset", "--root=nowhere"],
        ["-m", "fire", "erc.datasets", "HF_KEMD", "--mode=nonsense"],
        ["-m", "fire", "erc.datasets", "HF_KEMD", "--root=nowhere"],
        ["-m", "erc", "table", "nowhere"],
        ["evaluate.py", "nowhere"],
    ],
    ids=" ".join,
)
def test_each_program_tells_a_mistake_in_its_sentence(command, tmp_path):
    script = [str(ROOT / command[0]), *command[1:]] if command[0].endswith(".py") else command
    ended = run(*script, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.strip() and "Traceback" not in ended.stdout + ended.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


def test_what_is_written_is_private(tmp_path):
    ended = run(
        "-m", "erc", "synthetic", f"--root={tmp_path / 'new'}", "--sessions=1", "--segments=2", "--seconds=0.5",
        "--corpora=kemdy20",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    modes = {
        (path.is_dir(), path.stat().st_mode & 0o777) for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_in_python_the_data_set_raises_as_before(tmp_path):
    code = "import erc.datasets as d\ntry: d.HF_KEMD(root='nowhere')\nexcept FileNotFoundError: print('raised')"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\nd.HF_KEMD(root='nowhere')"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.stdout == "raised\n" and "Traceback" in ended.stderr and ended.returncode == 1


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_run_folder_that_was_open_becomes_private_and_those_above_it_stay(tmp_path):
    from erc.training import Identity
    from erc.training.run_folder import enter

    run_dir = tmp_path / "above" / "run"
    run_dir.mkdir(parents=True)
    for folder in (run_dir.parent, run_dir):
        folder.chmod(0o755)
    enter(run_dir, Identity({}, "", {}))
    assert (mode_of(run_dir), mode_of(run_dir.parent)) == (0o700, 0o755)


@pytest.mark.usefixtures("as_in_a_new_process")
def test_a_build_that_was_open_becomes_private_and_the_cache_folder_stays(small, cache):
    (build,) = builds(cache)
    for folder in (cache, build):
        folder.chmod(0o755)
    open_small(small, cache)
    assert (mode_of(build), mode_of(cache)) == (0o700, 0o755)


@pytest.mark.parametrize("program", ["train.py", "evaluate.py", "erc/__main__.py", "erc/grid/__main__.py"])
def test_every_program_keeps_private(program):
    assert "    keep_private()\n" in (ROOT / program).read_text(encoding="utf-8")


def test_an_error_of_another_package_keeps_its_traceback():
    def foreign() -> None:
        import numpy as np

        np.zeros(3).reshape(2, 2)

    with pytest.raises(ValueError, match="reshape"):
        told_plainly()(foreign)()


def test_a_defect_of_ours_keeps_its_traceback():
    from erc.labels import hard_label

    with pytest.raises((AttributeError, TypeError, IndexError)):
        told_plainly()(hard_label)(None)


def test_a_mistake_that_others_deal_with_is_passed_on(capsys):
    from erc.data import parse_dataset_name

    with pytest.raises(ValueError, match="kemdy"):
        told_plainly(unless=lambda: True)(parse_dataset_name)("kemdy99")
    with pytest.raises(SystemExit) as ended:
        told_plainly()(parse_dataset_name)("kemdy99")
    assert ended.value.code == 1 and "kemdy99" in capsys.readouterr().err


def test_only_errors_with_a_traceback_of_ours_are_explained():
    assert not is_explained(ValueError("never raised"))
