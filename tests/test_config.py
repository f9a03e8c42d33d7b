"""The files under config/: all compose, fit the code, repeat its defaults, and hold the published hyper-parameters."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import OmegaConf, open_dict, read_write
from programs import run_program

import train
from erc.configuration import TOP_LEVEL, check_config, locate

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config"


def options(group: str) -> list[str]:
    """Names that a group can be set to, those in its folders as ``folder/name``."""
    return sorted(str(path.relative_to(CONFIG / group).with_suffix("")) for path in (CONFIG / group).rglob("*.yaml"))


ROWS = [("fusion=concat", "target=soft"), ("experiment=demo_grid", "fusion=small/text_only", "target=peakl")]
"""How two rows of the table are typed."""

GROUPS = sorted(path.name for path in CONFIG.iterdir() if path.is_dir() and path.name not in ("loss", "experiment"))
GROUPS += ["loss/emotion", "loss/va"]


NEEDED = {"dataset=manifest": ["dataset.path=segments.csv"]}
"""What must be typed beside an option: a table of one's own has no default place."""


def choices() -> list[tuple[str, ...]]:
    """What is typed: each experiment by itself; the n-th option of every other group together, so that all are met."""
    found = [(f"experiment={name}",) for name in options("experiment")] + ROWS
    by_group = [[f"{group}={name}" for name in options(group)] for group in GROUPS]
    return found + [
        tuple(typed[min(n, len(typed) - 1)] for typed in by_group) for n in range(max(len(typed) for typed in by_group))
    ]


@pytest.fixture
def composed(tmp_path, monkeypatch):
    """Composes as ``python train.py`` does, Hydra's own interpolations included; plain, checked values."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def run(*overrides: str) -> dict:
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            config = compose(
                "train",
                [*overrides, *(more for one in overrides for more in NEEDED.get(one, []))],
                return_hydra_config=True,
            )
        config.hydra.runtime.output_dir = str(tmp_path)
        HydraConfig.instance().set_config(config)
        plain = OmegaConf.to_container(config, resolve=False)
        del plain["hydra"]
        plain = OmegaConf.to_container(OmegaConf.create(plain), resolve=True, throw_on_missing=True)
        check_config(plain, TOP_LEVEL)
        return plain

    yield run
    GlobalHydra.instance().clear()


# --- composing --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("overrides", choices(), ids=" ".join)
def test_every_option_of_every_group_composes_fits_the_code_and_can_be_built(composed, overrides):
    parts = instantiate(OmegaConf.create(composed(*overrides)), _convert_="all")
    assert all(
        callable(parts[key]) for key in ("dataset", "dataloader", "model", "loss", "optim", "scheduler", "trainer")
    )
    assert set(parts["callbacks"]) >= {"history", "early_stopping", "best", "last"}


def test_every_yaml_is_reached_by_an_option():
    reached = {f"{override.replace('=', '/')}.yaml" for overrides in choices() for override in overrides}
    reached |= {"train.yaml", "loss/default.yaml"}
    assert {str(path.relative_to(CONFIG)) for path in CONFIG.rglob("*.yaml")} <= reached


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.accelerator=cpu", "dataset.validation_fold=3"],
        ["dataset.num_data=4", "dataloader.batch_size=4", "trainer.accelerator=cpu"],
        ["+trainer.fast_dev_run=True"],
        ["experiment=demo", "debug=quick"],
        ["experiment=demo", "protocol=nested", "seed=7"],
        ["target=hard", "loss.emotion.weighting=batch", "dataset.exclude=none"],
        ["dataset.dataset_name=kemdy20", "dataset.transcript=clean", "dataset.on_bad_segment=skip"],
        ["encoders.audio.lora_rank=8", "encoders.text.lora_rank=8", "trainer.precision=bf16-mixed"],
        ["encoders.audio.train_last=3", "encoders.text.train_last=0"],
        ["encoders.text.name=/path/to/text_encoder", "encoders.audio.name=/path/to/audio_encoder"],
        ["trainer.devices=2", "+trainer.strategy=ddp"],
        ["callbacks.early_stopping.patience=3", "ckpt_path=outputs/last.ckpt"],
    ],
    ids=" ".join,
)
def test_a_command_of_the_documentation_composes(composed, overrides):
    composed(*overrides)


def test_options_on_the_command_line_arrive(composed):
    config = composed(
        "trainer.accelerator=cpu", "dataset.validation_fold=3", "dataset.num_data=4", "optim.lr.heads=1e-3"
    )
    assert config["trainer"]["accelerator"] == "cpu"
    assert (config["dataset"]["validation_fold"], config["dataset"]["num_data"]) == (3, 4)
    assert config["optim"]["lr"]["heads"] == 1e-3


def test_fast_dev_run_needs_its_plus(composed):
    assert composed("+trainer.fast_dev_run=True")["trainer"]["fast_dev_run"] is True
    # the yaml does not declare it, or the plus of the documented command would be an error
    with pytest.raises(ConfigCompositionException, match="fast_dev_run"):
        composed("trainer.fast_dev_run=True")


def test_the_command_itself_shows_what_it_composes():
    shown = run_program("train.py", "experiment=demo", "dataset.validation_fold=3", "--cfg", "job")
    assert shown.returncode == 0, shown.stderr
    assert yaml.safe_load(shown.stdout)["dataset"]["validation_fold"] == 3


@pytest.mark.parametrize(
    "override",
    [
        "dataset.validation_flod=3",
        "fusion=tensormixer",
        "debug=overfitting",
        "encoder=tiny",
        "optim.lr.mixer=1",
        "experiment=dmeo",
        "sed=1",
    ],
)
def test_a_misspelt_override_does_not_compose(composed, override):
    with pytest.raises(Exception, match=re.escape(override.split("=")[0].split(".")[-1])):
        composed(override)


def test_switching_the_target_switches_the_batch_s_and_nothing_else(composed):
    peakl, hard = composed("target=peakl"), composed("target=hard")
    assert hard["dataloader"]["collate"]["target"] == hard["target"]["kind"] == "hard"
    peakl["target"] = hard["target"]
    peakl["dataloader"]["collate"]["target"] = "hard"
    without_logger = [{key: value for key, value in config.items() if key != "logger"} for config in (peakl, hard)]
    assert without_logger[0] == without_logger[1]


def test_plain_train_is_the_paper_s_main_row(composed):
    assert composed() == composed("experiment=paper", "fusion=tensor_mixer", "target=peakl", "encoders=paper")


def test_an_experiment_is_a_size_and_a_row_is_a_fusion_and_a_target():
    sizes = ["demo", "demo_grid", "demo_signals", "emodb", "frozen", "paper", "scratch", "signals"]
    assert options("experiment") == sizes


def test_the_grid_s_demo_is_the_demo_with_less_data_and_fewer_epochs(composed):
    demo, small = composed("experiment=demo"), composed("experiment=demo_grid")
    assert (small["synthetic"]["segments"], demo["synthetic"]["segments"]) == (4, 5)
    assert (small["trainer"]["max_epochs"], demo["trainer"]["max_epochs"]) == (6, 8)
    collate = small["dataloader"]["collate"] | {"max_samples": demo["dataloader"]["collate"]["max_samples"]}
    for part in ("synthetic", "trainer", "dataset"):
        small[part] = demo[part]
    small["dataloader"] = small["dataloader"] | {"collate": collate}
    assert small == demo


def test_a_run_s_folder_names_its_row(composed):
    for overrides, row in (
        ([], "paper/tensor_mixer_peakl"),
        (["experiment=demo", "target=hard"], "demo/tensor_mixer_hard"),
    ):
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            config = compose("train", overrides, return_hydra_config=True)
        with open_dict(config), read_write(config.hydra):
            config.hydra.job.num = 3
        HydraConfig.instance().set_config(config)
        assert config.hydra.run.dir.startswith(f"outputs/{row}/fold4-seed42/")
        assert config.hydra.sweep.subdir == f"3-{row.split('/')[1]}-fold4-seed42"


def test_overfitting_trains_and_validates_on_the_same_segments_and_never_stops_early(composed):
    config = composed("experiment=demo", "debug=overfit")
    assert (config["dataset"]["validation_fold"], config["dataset"]["num_data"]) == (-1, 8)
    assert config["callbacks"]["early_stopping"]["patience"] > config["trainer"]["max_epochs"]
    assert config["dataloader"]["batch_size"] == 8 and config["encoders"]["audio"]["layerdrop"] == 0.0


def test_two_runs_that_start_in_the_same_second_have_folders_of_their_own(composed):
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        config = compose("train", return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        assert str(os.getpid()) in config.hydra.run.dir and str(os.getpid()) in config.hydra.sweep.dir


# --- defaults ---------------------------------------------------------------------------------------------------------
GIVEN_BY_THE_PROGRAM = {
    **{
        f"erc.datasets.{name}": {"mode", "protocol", "drop_tied"}
        for name in ("HF_KEMD", "HF_Manifest", "HF_CrossCorpus")
    },
    "erc.training.SegmentData": {"train", "valid", "test", "seed"},
    "erc.data.Collator": {"tokenizer", "feature_extractor", "label_space", "target_options", "signals"},
    "erc.model.build_model": {"label_space"},
    "erc.training.EgemapsSVM": {"cache_dir"},
}
"""Arguments that the program adds, so that no yaml holds them; ``optimizer`` and ``total_steps`` of schedules as well."""


def is_declared_here(target: str, group: str) -> bool:
    """Whether the arguments are this repository's, not those of a class of Lightning's that it extends."""
    if not target.startswith("erc."):
        return False
    found = locate(target, group)
    return not inspect.isclass(found) or "__init__" in vars(found)


def calls(node: object, group: str, path: str = ""):
    """Every node with a target of ours in a group's yaml files, with the place where it stands."""
    if isinstance(node, dict):
        if is_declared_here(node.get("_target_", ""), group):
            yield path, node
        for key, value in node.items():
            yield from calls(value, group, f"{path}.{key}")


def shipped_calls() -> list:
    found = []
    for path in sorted(CONFIG.rglob("*.yaml")):
        name = str(path.relative_to(CONFIG))
        if not name.startswith(("experiment/", "debug/")):  # these are there to differ
            node = OmegaConf.to_container(OmegaConf.create(yaml.safe_load(path.read_text(encoding="utf-8"))))
            group = name.split("/")[0]
            # the corpora of a list differ from each other, and take what is set for all of them
            called = [(where, call) for where, call in calls(node, group) if ".corpora." not in where]
            found += [pytest.param(group, call, id=name + where) for where, call in called]
    return found


@pytest.mark.parametrize(("group", "call"), shipped_calls())
def test_a_default_in_a_yaml_is_the_default_of_the_code(group, call):
    parameters = inspect.signature(locate(call["_target_"], group)).parameters
    for name, value in call.items():
        is_filled_in_later = isinstance(value, dict) or (isinstance(value, str) and value.startswith("${"))
        if name.startswith("_") or name == "defaults" or is_filled_in_later:
            continue
        default = parameters[name].default
        if default is not inspect.Parameter.empty:
            assert (tuple(value) if isinstance(value, list) else value) == default, name


@pytest.mark.parametrize(("group", "call"), shipped_calls())
def test_every_argument_stands_in_the_yaml_or_is_given_by_the_program(group, call):
    target = call["_target_"]
    given = GIVEN_BY_THE_PROGRAM.get(target, set()) | {"optimizer", "total_steps", "model", "dims"}
    parameters = inspect.signature(locate(target, group)).parameters
    expected = {name for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)} - given
    in_yaml = {name for name in call if not name.startswith("_")} - {"defaults"}
    if target == "erc.training.MultitaskLoss":
        in_yaml |= {"emotion", "va"}  # a defaults list puts them there
    assert in_yaml == expected, "an option that no yaml shows cannot be found"


# --- published --------------------------------------------------------------------------------------------------------
def test_the_paper_s_hyper_parameters_are_the_published_ones(composed):
    """As in the paper or, where it is silent, in its authors' code."""
    config = composed("experiment=paper")
    assert config["encoders"]["audio"]["name"] == "kresnik/wav2vec2-large-xlsr-korean"
    assert config["encoders"]["text"]["name"] == "klue/roberta-large"
    assert config["dataloader"]["batch_size"] == 8
    assert config["dataloader"]["collate"]["max_samples"] == 7 * 16_000
    assert config["dataloader"]["collate"]["max_tokens"] == 64
    fusion = {name: value for name, value in config["fusion"].items() if not name.startswith("_")}
    assert fusion == {
        "projection_dim": 256, "patch_size": 16, "mixer_dim": 512, "depth": 12,
        "tokens_mlp_dim": 1024, "channels_mlp_dim": 256, "dropout": 0.0,
    }  # fmt: skip
    assert (config["loss"]["emotion_weight"], config["loss"]["va_weight"]) == (0.7, 0.3)
    assert config["loss"]["emotion"] == {"_target_": "erc.training.FocalLoss", "gamma": 2.0, "weighting": "segment"}
    assert config["loss"]["va"] == {"_target_": "erc.training.MSELoss"}
    assert config["optim"]["lr"] == {"audio": 1e-5, "text": 1e-5, "signals": 1e-4, "fusion": 1e-4, "heads": 1e-4}
    assert (config["optim"]["eps"], config["optim"]["weight_decay"]) == (1e-8, 1e-6)
    schedule = config["scheduler"]
    assert schedule["_target_"] == "erc.training.cosine_restarts"
    assert (schedule["first_period"], schedule["factor"], schedule["min_lr"]) == (500, 2, 1e-7)
    assert (config["trainer"]["max_epochs"], config["trainer"]["gradient_clip_val"]) == (30, 1.0)
    stop, best = config["callbacks"]["early_stopping"], config["callbacks"]["best"]
    assert (stop["monitor"], stop["mode"], stop["patience"]) == ("valid/accuracy", "max", 5)
    assert (best["monitor"], best["mode"], best["save_top_k"]) == ("valid/accuracy", "max", 1)
    assert (config["seed"], config["protocol"], config["target"]["kind"]) == (42, "paper", "peakl")
    assert (config["dataset"]["validation_fold"], config["dataset"]["exclude"]) == (4, "paper")


def test_the_demo_needs_no_licence_no_network_and_no_gpu(composed):
    config = composed("experiment=demo")
    assert config["synthetic"] is not None and config["dataset"]["root"] == config["synthetic"]["root"]
    assert config["encoders"]["audio"]["name"] == config["encoders"]["text"]["name"] == "tiny"
    assert config["trainer"]["accelerator"] == "cpu" and config["logger"] == {}


def test_weights_and_biases_gets_no_model_and_stays_offline_without_a_key(composed, monkeypatch, tmp_path):
    def logger(**env: str) -> dict:
        train.wandb_offline.cache_clear()
        for name in ("WANDB_API_KEY", "WANDB_MODE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        return composed("logger=wandb")["logger"]["wandb"]

    monkeypatch.setenv("HOME", str(tmp_path))  # no netrc there
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert logger()["offline"] is True and logger()["log_model"] is False
    assert logger(WANDB_API_KEY="x" * 40)["offline"] is False
    assert logger(WANDB_API_KEY="x" * 40, WANDB_MODE="offline")["offline"] is True
    train.wandb_offline.cache_clear()
