"""No option runs code of somebody else's, Hydra's own included, and no output is written outside of the run folder.

The payload of each attack writes a marker; what is tested is that there is none, and that the attack's name is said.
"""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path

import pytest
from programs import run_program

import train  # noqa: F401  registers the configuration's resolvers
from erc.configuration import TOP_LEVEL, check_command_line, check_config, check_hydra, locate

ROOT = Path(__file__).resolve().parents[2]
STOPS = "dataset.validation_fold=abc"
"""A mistake that ends train.py where nothing else does, so that a failing test does not train."""


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.fixture
def attack(tmp_path) -> tuple[Path, Path]:
    """A pickle, and the folder that it makes."""
    file, marker = tmp_path / "payload.pkl", tmp_path / "marker"
    file.write_bytes(pickle.dumps(Payload(marker)))
    return file, marker


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess:
    folders = [f"hydra.run.dir={tmp_path / 'run'}", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    return run_program("train.py", "experiment=demo", STOPS, *folders, *arguments)


def test_the_payload_works(attack):
    pickle.loads(attack[0].read_bytes())
    assert attack[1].is_dir()


@pytest.mark.slow
def test_a_callback_of_hydra_s_runs_nothing(attack, tmp_path):
    file, marker = attack
    ended = run(tmp_path, f"+hydra.callbacks.x={{_target_: pandas.read_pickle, filepath_or_buffer: {file}}}")
    assert not marker.exists()
    assert ended.returncode == 1
    assert "hydra.callbacks.x._target_: 'pandas.read_pickle' may not be built" in ended.stderr
    assert "Traceback" not in ended.stderr and not (tmp_path / "run").exists()


def test_a_factory_in_the_logging_runs_nothing(attack, tmp_path):
    file, marker = attack
    folder = tmp_path / "conf" / "evil"
    folder.mkdir(parents=True)
    # a factory's other entries are its arguments
    (folder / "evil.yaml").write_text(
        "# @package _global_\nhydra:\n  job_logging:\n    handlers:\n      evil:\n"
        f"        (): pandas.read_pickle\n        filepath_or_buffer: {file}\n",
        encoding="utf-8",
    )
    ended = run(tmp_path, "+evil=evil", "--config-dir", str(folder.parent))
    assert not marker.exists() and ended.returncode == 1
    assert "hydra.job_logging.handlers.evil.(): a logging configuration may call nothing" in ended.stderr


ATTACKS = {
    "launcher": ["-m", "hydra.launcher._target_=os.mkdir"],
    "launcher by interpolation": ["-m", "+x=os.mkdir", "hydra.launcher._target_='${x}'"],
    "sweeper": ["-m", "hydra.sweeper._target_=os.mkdir"],
    "nested callback": ["+hydra.callbacks.x={inner: [{_target_: os.mkdir}]}"],
    "logging class": ["hydra.job_logging.handlers.file.class=logging.handlers.SocketHandler"],
    "logging class by interpolation": ["+x=os.mkdir", "hydra.job_logging.handlers.file.class='${x}'"],
    "stream": ["hydra.hydra_logging.handlers.console.stream=ext://os.environ"],
    "log file": ["hydra.job_logging.handlers.file.filename=/tmp/elsewhere.log"],
    "log file above": ["hydra.job_logging.handlers.file.filename='${hydra.runtime.output_dir}/../x'"],
    "subfolder": ["hydra.output_subdir=../../x"],
    "environment": ["+hydra.job.env_set.PYTHONPATH=/tmp"],
    "library preloaded": ["+hydra.job.env_set.LD_PRELOAD=x.so"],
    "pickled run": ["--experimental-rerun", "config.pickle"],
    "other configuration": ["--config-path", "elsewhere"],
}  # fmt: skip


@pytest.mark.parametrize("arguments", ATTACKS.values(), ids=ATTACKS.keys())
def test_hydra_s_own_options_are_refused_unless_listed(arguments):
    with pytest.raises(ValueError, match=r"Hydra's own options|--experimental-rerun|--config-path"):
        check_command_line([*arguments, "experiment=demo"], ROOT / "config")


def test_what_is_swept_over_stands_on_the_command_line():
    with pytest.raises(ValueError, match=r"hydra\.sweeper\.params"):
        check_hydra({"sweeper": {"params": {"+hydra.callbacks.x._target_": "os.mkdir,os.rmdir"}}})
    check_hydra({"sweeper": {"params": None}})


@pytest.mark.parametrize("choice", ["evil", "good,evil"])
def test_a_file_of_another_folder_that_one_job_of_a_multirun_chooses_is_looked_at(tmp_path, choice):
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "good.yaml").write_text("# @package _global_\nseed: 1\n", encoding="utf-8")
    (tmp_path / "extra" / "evil.yaml").write_text(
        "# @package _global_\nhydra:\n  callbacks:\n    x:\n      _target_: os.mkdir\n", encoding="utf-8"
    )
    given = ["-m", "--config-dir", str(tmp_path), "experiment=demo"]
    check_command_line([*given, "+extra=good"], ROOT / "config")  # control
    with pytest.raises(ValueError, match=r"hydra\.callbacks\.x\._target_: 'os\.mkdir'"):
        check_command_line([*given, f"+extra={choice}"], ROOT / "config")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-m", "hydra/launcher=joblib", "seed=1,2", "hydra.launcher.n_jobs=2"],
        ["-m", "hydra/launcher=submitit_slurm", "target=hard,soft", "hydra.launcher.partition=gpu"],
        ["-m", "hydra/launcher=submitit_local"],
        ["hydra/job_logging=stdout"],
        ["hydra/job_logging=disabled", "hydra/hydra_logging=disabled"],
        ["hydra/job_logging=none", "hydra/hydra_logging=none"],
        ["hydra.verbose=true", "hydra.job.chdir=true", "hydra.output_subdir=null"],
        ["hydra.job.name=train_ddp_process_1", "hydra.run.dir=x y"],
        ["+hydra.job.env_set.OMP_NUM_THREADS=1"],
    ],
    ids=" ".join,
)
def test_the_shipped_launchers_and_loggings_pass(arguments):
    check_command_line([*arguments, "experiment=demo"], ROOT / "config")


# --- shell commands and search paths -----------------------------------------------------------------------------------
SETUP = "hydra.launcher.setup=['module load cuda']"
SLURM = ["-m", "hydra/launcher=submitit_slurm", "seed=1,2", "experiment=demo"]


def test_a_cluster_s_shell_commands_are_taken_from_the_command_line():
    check_command_line([*SLURM, SETUP, "hydra.launcher.comment='two words'"], ROOT / "config")
    check_command_line([*SLURM, "+hydra.launcher.additional_parameters={mail-user: me}"], ROOT / "config")


@pytest.mark.parametrize("option", ["setup: [touch x]", "additional_parameters: {x: y}"])
def test_shell_commands_in_a_file_are_refused(tmp_path, option):
    (tmp_path / "extra").mkdir()
    file = tmp_path / "extra" / "theirs.yaml"
    file.write_text(f"# @package _global_\nhydra:\n  launcher:\n    {option}\n", encoding="utf-8")
    given = ["--config-dir", str(tmp_path), *SLURM, "+extra=theirs"]
    name = option.split(":")[0]
    with pytest.raises(ValueError, match=rf"hydra\.launcher\.{name}: shell commands stand on the command line"):
        check_command_line(given, ROOT / "config")
    if name == "setup":  # control: what is typed takes its place
        check_command_line([*given, SETUP], ROOT / "config")


@pytest.mark.parametrize("value", ["['${x}']", "${x}"])
def test_shell_commands_are_no_interpolations(value):
    with pytest.raises(ValueError, match=r"hydra\.launcher\.setup: expected plain text"):
        check_command_line([*SLURM, f"hydra.launcher.setup={value}", "+x=[touch y]"], ROOT / "config")


def test_no_option_of_a_launcher_is_a_line_of_its_own_in_a_job_s_script():
    # control: submitit would write it so
    from submitit.slurm.slurm import _make_sbatch_string

    script = _make_sbatch_string("true", "folder", comment="x\ntouch marker")
    assert "touch marker'" in script.splitlines()
    with pytest.raises(ValueError, match=r"hydra\.launcher\.comment: expected one line of text"):
        check_hydra({"launcher": {"comment": "x\ntouch marker"}}, ["hydra.launcher.comment"])


def test_a_search_path_that_leads_elsewhere_is_refused_before_anything_there_is_imported(tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text(f"import os; os.mkdir({str(tmp_path / 'marker')!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    for entry in ("pkg://theirs", f"file://{tmp_path}", str(tmp_path), "structured://", "pkg://erc.x/../../theirs"):
        with pytest.raises(ValueError, match=r"hydra\.searchpath: expected a list of places in this package"):
            check_command_line(["experiment=demo", f"hydra.searchpath=['{entry}']"], ROOT / "config")
    assert not (tmp_path / "marker").exists()
    __import__("theirs")  # control
    assert (tmp_path / "marker").exists()


def test_a_search_path_in_a_file_is_looked_at_too(tmp_path):
    (tmp_path / "mine.yaml").write_text("defaults: [train, _self_]\nhydra: {searchpath: ['pkg://os']}\n")
    with pytest.raises(ValueError, match=r"hydra\.searchpath: .*pkg://os"):
        check_command_line(["--config-dir", str(tmp_path), "--config-name", "mine"], ROOT / "config")


def test_this_package_and_the_folder_of_config_dir_may_be_searched(tmp_path):
    given = ["--config-dir", str(tmp_path), "experiment=demo"]
    check_command_line([*given, f"hydra.searchpath=['pkg://erc.model','file://{tmp_path}']"], ROOT / "config")


# --- the program's own part --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "group"),
    [
        ("erc.synthetic.corpora.write_file", "synthetic"),
        ("erc.synthetic.corpora.write_session", "synthetic"),
        ("erc.training.optim.named_parameters", "optim"),
        ("erc.training.checkpoints.AtomicCheckpointIO", "callbacks"),
        ("erc.model.encoders.masked_group_norm", "encoders"),
        ("erc.training.losses.soft_cross_entropy", "loss"),
    ],
)
def test_only_what_is_listed_is_built(target, group):
    with pytest.raises(ValueError, match="may not be built"):
        locate(target, group)


@pytest.mark.parametrize(
    "override",
    [
        "callbacks.history.path={elsewhere}",
        "callbacks.best.dirpath={elsewhere}",
        "callbacks.best.filename=../best",
        "callbacks.last.filename={elsewhere}",
        "+trainer.default_root_dir={elsewhere}",
        "logger=tensorboard logger.tensorboard.save_dir={elsewhere}",
        "logger=tensorboard logger.tensorboard.name=../x",
        "logger=wandb logger.wandb.save_dir={elsewhere}",
    ],
)
def test_outputs_stay_in_the_run_folder(override, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine", encoding="utf-8")
    given = ["experiment=demo", f"run_dir={tmp_path / 'run'}"]
    check_command_line(given, ROOT / "config")  # control
    name = override.split()[-1].split("=")[0].lstrip("+")
    with pytest.raises(ValueError, match=f"{name}: expected a (place in the run folder|plain name)"):
        check_command_line([*given, *override.format(elsewhere=elsewhere).split()], ROOT / "config")


# --- our own words ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("encoders.audio=1e9", r"encoders\.audio: expected something to build"),
        ("model.encoders=3", r"model\.encoders: expected"),
        ("~dataset", "must hold every part of the program: dataset"),
        ("~trainer._target_", "must hold every part of the program: trainer"),
        ("~encoders", "must hold every part of the program: encoders"),
        ("trainer=3", "The options must compose"),
        ("seed=${nothing}", "The options must compose: Interpolation key 'nothing'"),
        ("optim.lr=[", "The options must compose"),
        ("dataset.cache_dir=/자료", "The options must compose(.|\\n)*needs quotes of its own: 'name=\"value\"'"),
        ("fusion=nothing", "The options must compose: .*nothing"),
        ("fusion.depht=3", "'fusion.depht'(.|\\n)*Did you mean fusion.depth[?]$"),
        ("datset.num_data=4", "Did you mean dataset[?]$"),
        ("fusion.colour=3", r"\nfusion has .*\bdepth\b"),
        ("seed.x=3", r"use \+seed.x=3$"),
    ],
)
def test_what_does_not_compose_is_said_in_our_own_words(override, expected):
    with pytest.raises(ValueError, match=expected):
        check_command_line(["experiment=demo", override], ROOT / "config")


def test_a_place_in_the_run_folder_may_be_given_in_full(tmp_path):
    run_dir = tmp_path / "run"
    given = ["experiment=demo", f"callbacks.best.dirpath={run_dir}/sub"]
    check_command_line([*given, f"hydra.run.dir={run_dir}"], ROOT / "config")
    check_command_line(["-m", *given, f"hydra.sweep.dir={run_dir}", "hydra.sweep.subdir=."], ROOT / "config")


def test_a_part_that_is_left_out_is_named(tmp_path):
    with pytest.raises(ValueError, match="dataset: it is not set"):
        check_config({"run_dir": str(tmp_path)}, TOP_LEVEL)
