"""Identity of a run: which options, files and lines of code count, which do not, and how two runs are told apart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from erc.training import identity as identities
from erc.training.identity import Identity, changed_files, code_hashes, identify, option_differences

ROOT = Path(__file__).resolve().parents[2]


def composed(*overrides: str) -> dict:
    """The demo's configuration, with what only Hydra's own run fills in left out."""
    with initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        config = compose("train", ["experiment=demo", "run_dir=here", "trainer.enable_progress_bar=false", *overrides])
    return OmegaConf.to_container(config, resolve=True)


@pytest.fixture(scope="module")
def plain() -> Identity:
    return identify(composed(), "data")


# --- options ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("callbacks.best.monitor=valid/weighted_f1", 'callbacks.best.monitor: "valid/accuracy" there, "valid/weighted_f1" now'),
        ("callbacks.best.mode=min", 'callbacks.best.mode: "max" there, "min" now'),
        ("+trainer.limit_train_batches=0.1", "trainer.limit_train_batches: not set there, 0.1 now"),
        ("+trainer.limit_val_batches=2", "trainer.limit_val_batches: not set there, 2 now"),
        ("+trainer.check_val_every_n_epoch=3", "trainer.check_val_every_n_epoch: not set there, 3 now"),
        ("+trainer.gradient_clip_algorithm=value", 'trainer.gradient_clip_algorithm: not set there, "value" now'),
        ("+trainer.overfit_batches=1", "trainer.overfit_batches: not set there, 1 now"),
        ("+trainer.max_time=00:00:01:00", 'trainer.max_time: not set there, "00:00:01:00" now'),
        ("trainer.max_epochs=2", "trainer.max_epochs: 8 there, 2 now"),
        ("trainer.precision=bf16-mixed", 'trainer.precision: "32-true" there, "bf16-mixed" now'),
        ("trainer.devices=2", "trainer.devices: 1 there, 2 now"),
        ("trainer.accelerator=gpu", 'trainer.accelerator: "cpu" there, "gpu" now'),
        ("callbacks.early_stopping.patience=2", "callbacks.early_stopping.patience: 5 there, 2 now"),
        ("dataset.validation_fold=3", "dataset.validation_fold: 4 there, 3 now"),
        ("dataset.exclude=none", 'dataset.exclude: "paper" there, "none" now'),
        ("dataset.num_data=8", "dataset.num_data: null there, 8 now"),
        ("dataloader.batch_size=4", "dataloader.batch_size: 16 there, 4 now"),
        ("dataloader.pool_batches=1", "dataloader.pool_batches: 50 there, 1 now"),
        ("dataloader.collate.max_samples=2", "dataloader.collate.max_samples: 48000 there, 2 now"),
        ("encoders.text.name=klue/roberta-large", 'encoders.text.name: "tiny" there, "klue/roberta-large" now'),
        ("encoders.text.revision=abc", 'encoders.text.revision: null there, "abc" now'),
        ("fusion.depth=3", "fusion.depth: 2 there, 3 now"),
        ("encoders.audio.train_last=0", "encoders.audio.train_last: not set there, 0 now"),
        ("loss.emotion_weight=0.5", "loss.emotion_weight: 0.7 there, 0.5 now"),
        ("target=soft", 'target.kind: "peakl" there, "soft" now'),
        ("optim.lr.heads=1e-4", "optim.lr.heads: 0.002 there, 0.0001 now"),
        ("scheduler.warmup_share=0.2", "scheduler.warmup_share: 0.1 there, 0.2 now"),
        ("synthetic.seconds=1.3", "synthetic.seconds: 1.2 there, 1.3 now"),
        ("seed=1", "seed: 42 there, 1 now"),
        ("protocol=nested", 'protocol: "paper" there, "nested" now'),
    ],
)  # fmt: skip
def test_an_option_that_can_change_a_result_counts_and_is_named_with_both_values(plain, override, said):
    other = identify(composed(override), "data")
    assert other.fingerprint != plain.fingerprint
    assert said in option_differences(plain.options, other.options)


@pytest.mark.parametrize(
    "override",
    [
        "dataset.root=elsewhere", "dataset.cache_dir=elsewhere", "dataset.num_proc=8", "synthetic.root=elsewhere",
        "dataloader.num_workers=4", "dataloader.timeout_seconds=9", "run_dir=elsewhere", "ckpt_path=last.ckpt",
        "resume=true", "accept_code=true", "logger=tensorboard", "trainer.enable_progress_bar=true",
        "trainer.enable_model_summary=true", "trainer.log_every_n_steps=1", "+trainer.default_root_dir=elsewhere",
        "callbacks.history.path=elsewhere.csv", "callbacks.best.dirpath=elsewhere", "callbacks.last.dirpath=elsewhere",
    ],
)  # fmt: skip
def test_an_option_that_cannot_change_a_result_does_not_count(plain, override):
    assert identify(composed(override), "data") == plain


def test_an_option_that_came_later_is_left_out_where_it_asks_for_what_was_before(plain):
    # a grid that was begun before there were train_last and cache goes on, as long as it is null
    assert not [name for name in plain.options if name.endswith(("train_last", "cache"))]


def test_every_ignored_option_exists(plain):
    """A misspelt one, or one that was renamed, would count again without a word."""
    names = {name for name, _ in identities.flatten(composed("+trainer.default_root_dir=elsewhere"))}
    with initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        for dataset in ("manifest", "cross_corpus"):
            config = compose("train", ["experiment=scratch", f"dataset={dataset}", "run_dir=here"])
            plain = OmegaConf.to_container(config.dataset, resolve=False)
            names |= {name for name, _ in identities.flatten({"dataset": plain})}
    # a corpus of several takes the options of a data set
    names |= {name.replace("dataset.", "dataset.corpora.one.", 1) for name in names}
    groups = {name.split(".")[0] for name in names}
    for pattern in identities.IGNORED:
        assert pattern in groups or any(identities.matches(name, (pattern,)) for name in names), pattern


def test_values_of_ignored_options_are_never_looked_at():
    class Unresolved:
        """Stands for an interpolation that only Hydra's own run can fill in."""

    config = composed()
    expected = identify(config, "data")
    config["run_dir"] = config["dataset"]["root"] = config["callbacks"]["history"]["path"] = Unresolved()
    assert identify(config, "data") == expected


def test_other_data_is_another_run(plain):
    other = identify(composed(), "other data")
    assert other.fingerprint != plain.fingerprint and len(plain.fingerprint) == 16
    assert (other.options, other.code) == (plain.options, plain.code)


def test_an_identity_reads_back_as_itself(plain):
    found = Identity.from_json(plain.to_json())
    assert found == plain and found.fingerprint == plain.fingerprint


@pytest.mark.parametrize("name", ["options", "data", "code", "fingerprint"])
def test_a_stored_identity_that_lacks_a_part_is_an_error(plain, name):
    stored = json.loads(plain.to_json())
    del stored[name]
    with pytest.raises(ValueError, match=name):
        Identity.from_json(json.dumps(stored))


# --- encoders in a directory ------------------------------------------------------------------------------------------
@pytest.fixture
def encoder(tmp_path) -> Path:
    folder = tmp_path / "text_encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\x01" * 1000)
    return folder


def with_encoder(folder: Path, base: Path = Path()) -> Identity:
    return identify(composed(f"encoders.text.name={folder}"), "data", base=base)


def test_a_directory_counts_by_its_content_and_not_by_its_place(encoder, tmp_path):
    before = with_encoder(encoder)
    moved = shutil.copytree(encoder, tmp_path / "elsewhere")  # with other times of the files, too
    assert with_encoder(moved) == before
    assert with_encoder(Path("elsewhere"), base=tmp_path) == before
    assert str(tmp_path) not in before.to_json()


@pytest.mark.parametrize("change", ["weights", "longer", "new file", "renamed"])
def test_other_files_of_an_encoder_are_another_run(encoder, change):
    before, weights = with_encoder(encoder), encoder / "model.safetensors"
    if change == "weights":  # of the same size
        weights.write_bytes(b"\x02" * 1000)
        os.utime(weights, ns=(0, 0))
    elif change == "longer":
        weights.write_bytes(b"\x01" * 1001)
    elif change == "new file":
        (encoder / "vocab.txt").write_text("[PAD]")
    else:
        weights.rename(encoder / "pytorch_model.bin")
    after = with_encoder(encoder)
    assert after.fingerprint != before.fingerprint
    changed = [line.split(":")[0] for line in option_differences(before.options, after.options)]
    assert changed == ["encoders.text.name", "model.encoders.text.name"]
    assert after.options["encoders.text.name"].startswith("directory with the content ")


def test_notes_beside_an_encoder_do_not_count(encoder):
    before = with_encoder(encoder)
    (encoder / "README.md").write_text("notes")
    assert with_encoder(encoder) == before


def test_weights_are_read_once_while_they_do_not_change(encoder, monkeypatch):
    with_encoder(encoder)
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("the weights were read again"))
    identities.content_hash(encoder)


# --- code -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the package's source."""
    return shutil.copytree(ROOT / "erc", tmp_path / "erc", ignore=shutil.ignore_patterns("__pycache__"))


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) >= 1, f"{path} holds no {before!r}"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_a_copy_of_the_source_is_the_same_code(package):
    assert code_hashes(package) == code_hashes() and len(code_hashes()) > 20
    assert all(len(digits) == 12 for digits in code_hashes().values())


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("training/losses.py", "2.0", "2.1"),
        ("model/fusion/mixer.py", " + ", " - "),
        ("data/media.py", "16_000", "16_001"),
        ("evaluation/metrics.py", "return", "return 0 *"),
        ("data/corpora.py", '"surprise"', '"surprised"'),
    ],
)
def test_one_changed_coefficient_is_other_code_and_its_file_is_named(package, name, before, after):
    unchanged = code_hashes(package)
    edit(package / name, before, after)
    assert changed_files(unchanged, code_hashes(package)) == [name]


def test_a_new_and_a_missing_file_are_other_code(package):
    unchanged = code_hashes(package)
    (package / "model" / "fusion" / "concat.py").rename(package / "model" / "fusion" / "joined.py")
    assert changed_files(unchanged, code_hashes(package)) == ["model/fusion/concat.py", "model/fusion/joined.py"]


def test_comments_docstrings_and_layout_do_not_count(package):
    unchanged = code_hashes(package)
    for path in (package / "training").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith('"""')
        path.write_text(
            '"""Other words.\n\n' + text[3:].replace("\n    ", "\n\n    ") + "\n# a comment\n", encoding="utf-8"
        )
    edit(package / "labels.py", "\ndef ", "\n# why\ndef ")
    edit(package / "data" / "media.py", '    """', '    """Other words. ')
    assert code_hashes(package) == unchanged


def test_code_that_decides_no_result_does_not_count(package):
    unchanged = code_hashes(package)
    for path in [
        *(package / "report").rglob("*.py"),
        *(package / "grid").glob("*.py"),
        package / "training/loggers.py",
    ]:
        path.write_text("changed = True\n", encoding="utf-8")
    assert code_hashes(package) == unchanged


def test_the_synthetic_corpora_s_code_counts_only_where_they_are_trained_on(package):
    plain, synthetic = code_hashes(package), code_hashes(package, with_synthetic=True)
    assert {name.split("/")[0] for name in synthetic.keys() - plain.keys()} == {"synthetic"}
    edit(package / "synthetic" / "voice.py", "def ", "changed = True\n\n\ndef ")
    assert code_hashes(package) == plain
    assert changed_files(synthetic, code_hashes(package, with_synthetic=True)) == ["synthetic/voice.py"]
    for overrides, counts in ((["synthetic=null", "dataset.root=data"], False), ([], True)):
        assert ("synthetic/voice.py" in identify(composed(*overrides), "data").code) == counts


@pytest.mark.slow
def test_no_module_that_a_run_needs_is_left_out():
    """Whatever a training process imports of this package either counts, or is known to decide nothing."""
    deciding = ", ".join(name.removesuffix(".py").replace("/", ".") for name in code_hashes() if "__init__" not in name)
    code = f"import sys\nfor name in {deciding.split(', ')!r}: __import__('erc.' + name)\n"
    code += "print(*(name for name in sys.modules if name.startswith('erc.')))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    files = set()
    for module in found.stdout.split():
        path = module.removeprefix("erc.").replace(".", "/")
        files.add(f"{path}/__init__.py" if (ROOT / "erc" / path).is_dir() else f"{path}.py")
    # the writer of files; the words of mistakes; what tells transformers of saved models; the check of what is
    # read back; faces, which only re-export
    nothing = {
        "files.py",
        "mistakes.py",
        "registration.py",
        "evaluation/__init__.py",
        "evaluation/result_schema.py",
    } | identities.NOT_DECIDING
    assert files - set(code_hashes()) <= nothing
    assert {"training/run.py", "model/fusion/concat.py", "evaluation/predictions.py"} <= files


def test_the_hash_of_a_syntax_tree_is_independent_of_its_text(tmp_path):
    for name, text in {
        "a.py": 'def f(x: int = 1):\n    """One."""\n    return x + 1.50\n',
        "b.py": "def f(x: int=1): return (x+1.5)  # the same\n",
        "c.py": "def f(x: int = 1):\n    return x + 1.51\n",
    }.items():
        (tmp_path / name).write_text(text)
    a, b, c = (identities._hash_of(tmp_path / name) for name in ("a.py", "b.py", "c.py"))
    assert a == b != c
    # with another version of Python it must be the same; taken once, on 3.11
    assert a == "4fe8df3df209"


def test_the_number_of_threads_counts_and_an_identity_of_before_it_was_an_option_is_no_other_run():
    now, before = {"n_threads": 1, "seed": 42}, {"seed": 42}
    assert option_differences({"n_threads": 2, "seed": 42}, now) == ["n_threads: 2 there, 1 now"]
    assert option_differences(before, now) == option_differences(now, before) == []
    assert option_differences({"seed": 1}, now) == ["seed: 1 there, 42 now"]  # control
