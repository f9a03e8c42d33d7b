"""A configuration is checked before anything is built: misspelt, of the wrong type, missing, or a target that runs code."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import train  # noqa: F401  registers the configuration's resolvers
from erc.configuration import BUILDABLE, FOREIGN, TOP_LEVEL, accepts, check_config, describe, locate

CONFIG = Path(__file__).resolve().parents[1] / "config"

FORBIDDEN = [
    "os.system",
    "os.mkdir",
    "os.execv",
    "posix.system",
    "subprocess.run",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "pickle.loads",
    "pandas.read_pickle",
    "numpy.load",
    "joblib.load",
    "torch.load",
    "torch.hub.load",
    "torch.nn.Linear",
    "pathlib.Path.write_text",
    "shutil.rmtree",
    "importlib.import_module",
    "functools.partial",
    "hydra.utils.call",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    "logging.os.system",
    "pip._internal.main",
    "pytorch_lightning.Trainer.fit",
    "pytorch_lightning.callbacks.LambdaCallback",
    "pytorch_lightning.os.system",
    # by way of this package's own names
    "erc",
    "erc.",
    "erc..os.system",
    "erc.os.system",
    "erc.media",
    "erc.data.media.struct.unpack",
    "erc.data.media.soundfile.write",
    "erc.datasets.os.system",
    "erc.datasets.os",
    "erc.datasets.shutil.rmtree",
    "erc.datasets.FileLock",
    "erc.datasets.Dataset",
    "erc.model.encoders.AutoModel",
    "erc.training.run.Callable",
    "erc.training.identity.importlib.import_module",
    "erc.nothing.there",
    "erc_evil.run",
    # ours, but no part of a run
    "erc.training.train_fold",
    "erc.training.run_folder.state_of",
    "erc.data.Build",
    "erc.doctor.corpus",
    "erc.report.build",
    "erc.files.write_atomically",
    "erc.grid.main",
    "erc.datasets._check_choice",
    "ercevil",
    "",
    " erc.model.AudioEncoder",
]


def compose_plain(*overrides: str) -> dict:
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        return OmegaConf.to_container(compose("train", [*overrides, "run_dir=none"]), resolve=True)


@pytest.fixture(scope="module")
def composed() -> dict:
    return compose_plain("experiment=demo")


@pytest.fixture
def config(composed) -> dict:
    """A configuration that is right; each test breaks it somewhere."""
    return copy.deepcopy(composed)


def change(config: dict, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        config = config[name]
    config[last] = value


def complaint_about(config: dict) -> str:
    with pytest.raises(ValueError, match="The configuration must fit the code") as caught:
        check_config(config, TOP_LEVEL)
    return str(caught.value)


def test_a_configuration_that_is_right_passes(config):
    check_config(config, TOP_LEVEL)


# --- names ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("dataset.validation_flod", "did you mean validation_fold"),
        ("dataloader.batchsize", "did you mean batch_size"),
        ("dataloader.collate.max_sample", "did you mean max_samples"),
        ("encoders.audio.frezee", "did you mean freeze"),
        ("model.encoders.audio.layer_drop", "did you mean layerdrop"),
        ("trainer.max_epoch", "did you mean max_epochs"),
        ("loss.emotion.gama", "did you mean gamma"),
        ("optim.weight_deacy", "did you mean weight_decay"),
        ("scheduler.warmup", "did you mean warmup_share"),
        ("callbacks.early_stopping.patince", "did you mean patience"),
        ("fusion.xyz", "it takes dims"),
    ],
)
def test_a_misspelt_option_is_named_with_what_was_meant(config, path, hint):
    change(config, path, 1)
    found = complaint_about(config)
    assert f"{path}: " in found and "has no such option" in found and hint in found


def test_two_options_for_what_is_trained_of_an_encoder_are_named(config):
    change(config, "encoders.audio.train_last", 0)
    check_config(config, TOP_LEVEL)
    change(config, "encoders.audio.freeze", True)
    found = complaint_about(config)
    assert "encoders.audio: train_last says alone" in found and "got freeze=True" in found


def test_a_cache_without_frozen_layers_is_named(config):
    change(config, "dataloader.cache", "bf16")
    assert "dataloader.cache: it holds what frozen layers give" in complaint_about(config)
    change(config, "encoders.text.train_last", 2)
    check_config(config, TOP_LEVEL)


def test_a_misspelt_top_level_option_is_named(config):
    config["sed"] = 1
    found = complaint_about(config)
    assert "sed: there is no such option" in found and "seed" in found


@pytest.mark.parametrize("path", ["target.knid", "encoders.vidoe", "callbacks.erly_stopping", "logger.wandbb"])
def test_a_misspelt_option_of_a_group_that_is_no_call_is_named(config, path):
    # these groups have no _target_ of their own, so no signature says what they may hold
    change(config, path, {"patience": 3} if "callbacks" in path else "hard")
    assert all(part in complaint_about(config) for part in path.split("."))


# --- types ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("dataset.validation_fold", "abc", "a whole number from -1 to 4, got 'abc'"),
        ("dataset.validation_fold", True, "a whole number from -1 to 4, got True"),
        ("dataset.validation_fold", None, "a whole number from -1 to 4, got None"),
        ("dataset.num_data", 1.5, "a whole number of 1 or more or null, got 1.5"),
        ("dataset.exclude", "some", "paper or none, got 'some'"),
        ("dataset.root", 3, "text, got 3"),
        ("dataloader.batch_size", 1.5, "a whole number of 1 or more, got 1.5"),
        ("dataloader.batch_size", "8", "a whole number of 1 or more, got '8'"),
        (
            "dataloader.collate.target",
            "sharp",
            "peakl or soft or hard or smoothed or sharpened or sampled, got 'sharp'",
        ),
        ("encoders.audio.freeze", 1, "true or false, got 1"),
        ("encoders.audio.freeze", "yes", "true or false, got 'yes'"),
        ("encoders.audio.layerdrop", "none", "a number of 0 or more and below 1 or null, got 'none'"),
        ("optim.lr", 1e-4, "got 0.0001"),
        ("optim.lr", {"heads": "fast"}, "optim.lr.heads: expected a number above 0, got 'fast'"),
        ("optim.eps", "1e-8", "a number above 0, got '1e-8'"),
        ("optim.betas", [0.9], "got [0.9]"),
        ("optim.betas", [0.9, "x"], "got [0.9, 'x']"),
        ("loss.emotion.weighting", "mean", "segment or batch, got 'mean'"),
        ("loss.emotion_weight", "0.7", "a number of 0 or more, got '0.7'"),
        ("loss.emotion", "focal", "got 'focal'"),
        ("optim.fused", "yes", "true or false or auto, got 'yes'"),
        ("trainer.max_epochs", "ten", "got 'ten'"),
        ("trainer.precision", "atuo", "got 'atuo'"),
        ("seed", 1.0, "seed: expected a whole number from 0 to 4294967295, got 1.0"),
        ("seed", "x", "seed: expected a whole number from 0 to 4294967295, got 'x'"),
        ("protocol", "fair", "paper or nested or last or cross_corpus, got 'fair'"),
        ("trainer", None, "trainer: expected something to build (with _target_), got None"),
        ("ckpt_path", 3, "text or null, got 3"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_was_expected(config, path, value, expected):
    change(config, path, value)
    found = complaint_about(config)
    assert path in found and expected in found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("dataset.num_data", None),
        ("dataset.num_data", 4),
        ("encoders.audio.layerdrop", 0),  # a whole number is a number
        ("optim.betas", [0.9, 0.95]),
        ("optim.lr", {"heads": 1}),
        ("ckpt_path", "last.ckpt"),
        ("synthetic", None),
        ("trainer.fast_dev_run", True),
        ("trainer.fast_dev_run", 2),
        ("trainer.precision", "bf16-mixed"),
        ("trainer.precision", "auto"),
        ("optim.fused", "auto"),
        ("optim.fused", True),
        ("trainer.precision", 32),
        ("trainer.devices", [0]),
        ("trainer.devices", "auto"),
    ],
)
def test_a_value_of_the_right_type_passes(config, path, value):
    change(config, path, value)
    check_config(config, TOP_LEVEL)


def test_a_missing_value_is_named(config):
    del config["callbacks"]["history"]["path"]
    del config["loss"]["emotion_weight"]
    found = complaint_about(config)
    assert "callbacks.history.path" in found and "loss.emotion_weight" in found and "needs it" in found


def test_all_complaints_come_at_once(config):
    change(config, "dataset.validation_fold", "abc")
    change(config, "dataloader.batch_size", 1.5)
    change(config, "optim.lr", "fast")
    change(config, "trainer.max_epoch", 3)
    change(config, "callbacks.evil", {"_target_": "os.system", "command": "true"})
    config["sed"] = 1
    found = complaint_about(config)
    assert "6 problems" in found
    for part in ("validation_fold", "batch_size", "optim.lr", "max_epoch", "os.system", "sed"):
        assert part in found


# --- targets ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", FORBIDDEN)
def test_a_target_that_is_not_ours_nor_listed_is_refused(target):
    for group in {*BUILDABLE, *FOREIGN, "nothing"}:
        with pytest.raises(ValueError, match="may not be built|does not exist|Empty module name"):
            locate(target, group)


@pytest.mark.parametrize("target", [None, 3, ["os.system"], {"a": "b"}])
def test_a_target_that_is_no_name_is_refused(target):
    with pytest.raises(ValueError, match="expected a dotted name"):
        locate(target, "callbacks")


PLACES = {
    "in place of a part": lambda config, node: config.update(dataset=node),
    "as a callback": lambda config, node: config["callbacks"].update(evil=node),
    "as an argument": lambda config, node: config["trainer"].update(logger=node),
    "below an argument": lambda config, node: config["model"]["encoders"]["audio"].update(name=node),
    "in a list": lambda config, node: config["trainer"].update(callbacks=[node]),
    "in a list in a list": lambda config, node: config["optim"].update(betas=[0.9, [node]]),
    "in a dictionary": lambda config, node: config["optim"]["lr"].update(heads=node),
    "below something without a target": lambda config, node: config["target"].update(more={"still": node}),
    "under a partial": lambda config, node: config["callbacks"].update(evil={**node, "_partial_": True}),
    "under its arguments": lambda config, node: config["callbacks"]["best"].update(_args_=[node]),
    "at the top": lambda config, node: config.update(node),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("target", ["os.system", "pandas.read_pickle", "torch.load", "erc.datasets.os.system"])
def test_a_forbidden_target_is_found_wherever_it_stands(config, place, target):
    place(config, {"_target_": target, "command": "true"})
    assert target in complaint_about(config)


def test_a_forbidden_target_is_not_even_imported(config, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    change(config, "callbacks.evil", {"_target_": "evil_module.run"})
    assert "evil_module.run" in complaint_about(config)
    assert not (tmp_path / "marker").exists()
    __import__("evil_module")  # control
    assert (tmp_path / "marker").exists()


def shipped_targets() -> list[tuple[str, str]]:
    """(target, group) of every node of every yaml; a file outside the group folders names its groups itself."""

    def walk(node: Any, group: str):
        if isinstance(node, dict):
            if "_target_" in node:
                yield node["_target_"], group
            for key, value in node.items():
                yield from walk(value, group or key)

    found = set()
    for path in CONFIG.rglob("*.yaml"):
        folder = path.relative_to(CONFIG).parts[0]
        group = "" if folder in ("experiment", "debug", "train.yaml") else folder
        found |= set(walk(yaml.safe_load(path.read_text(encoding="utf-8")), group))
    return sorted(found)


@pytest.mark.parametrize(("target", "group"), shipped_targets())
def test_every_shipped_target_resolves(target, group):
    assert callable(locate(target, group))


@pytest.mark.parametrize(
    ("target", "group"), sorted((name, group) for group, names in FOREIGN.items() for name in names)
)
def test_every_allowed_target_exists(target, group):
    assert callable(locate(target, group))


@pytest.mark.parametrize(
    ("target", "group"),
    [
        ("erc.synthetic.write", "callbacks"),
        ("erc.training.FocalLoss", "callbacks"),
        ("erc.datasets.HF_KEMD", "loss"),
        ("pytorch_lightning.Trainer", "callbacks"),
    ],
)
def test_what_one_group_may_build_another_may_not(target, group):
    with pytest.raises(ValueError, match=f"in the group '{group}'"):
        locate(target, group)


def test_only_lightning_s_own_parts_are_allowed_beside_ours():
    assert all(target.startswith("pytorch_lightning.") for names in FOREIGN.values() for target in names)


# --- types one by one -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [0, -3], [1.0, True, "1", None, [1], {}]),
        (float, [0.5, 2], [True, "0.5", None, float("nan"), float("inf")]),
        (bool, [True, False], [0, "true", None]),
        (str, ["", "x"], [1, None, ["x"]]),
        (int | None, [1, None], [1.5, "none"]),
        (Literal["a", "1"], ["a", "1"], ["b", 1, True, None]),
        (list[int], [[], [1, 2], (1,)], [[1.5], 1, "12", {}]),
        (tuple[float, float], [[0.1, 1]], [[0.1], [0.1, 0.2, 0.3], ["a", 1], 0.1]),
        (dict[str, float], [{}, {"a": 1}], [{"a": "b"}, {1: 1.0}, [1], {"a": float("nan")}]),
        (Path, ["a/b"], [3, None]),
        (Any, [1, None, "x", {}], []),
    ],
)
def test_a_type_accepts_what_it_says(hint, right, wrong):
    assert all(accepts(hint, value) for value in right)
    assert not any(accepts(hint, value) for value in wrong), describe(hint)


def test_types_are_described_in_words():
    assert describe(int | None) == "a whole number or null"
    assert describe(Literal["paper", "none"]) == "paper or none"
    assert describe(tuple[float, float]) == "tuple of a number, a number"
