"""An epoch as train.py takes it, in several set-ups in turn: steps, validation, logs and checkpoints; no start-up.

A small wav2vec2 (``tiny``), RoBERTa 1,024 wide with 2 layers, both with random weights, and the mixer at paper size: 42
million parameters. ``published set-up`` is a stand-in: this package's code with what the published code's costs come from (every
segment padded to 7 s and 64 tokens, mixing by convolutions, AdamW as a plain loop, float32). ``before`` is this package
without what was done for speed. Each epoch has a process of its own, because how the C library keeps memory stays as it is set.

    python benchmarks/epoch.py --out=epoch.json
    python benchmarks/epoch.py --profile
"""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["WANDB_MODE"] = "disabled"

import fire
from measuring import CLOCKS, interleaved, table, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SETUPS = {
    "published set-up": ["optim.fused=false"],
    "before": ["optim.fused=false"],
    "now": [],
    "now, precision=auto": ["trainer.precision=auto"],
}


def write_encoders(folder: Path) -> list[str]:
    """Writes the text encoder; returns the options that name both."""
    import torch
    from transformers import BertTokenizer, RobertaConfig, RobertaModel

    from erc.model.pretrained import tiny_vocabulary

    torch.manual_seed(0)
    vocabulary = {token: index for index, token in enumerate(tiny_vocabulary())}
    text = RobertaConfig(
        vocab_size=6000, hidden_size=1024, num_hidden_layers=2, num_attention_heads=16,
        intermediate_size=4096, max_position_embeddings=514, pad_token_id=1,
    )  # fmt: skip
    RobertaModel(text).save_pretrained(folder / "text")
    BertTokenizer(vocab=vocabulary, do_lower_case=False).save_pretrained(folder / "text")
    return ["encoders.audio.name=tiny", f"encoders.text.name={folder / 'text'}"]


@contextmanager
def as_it_was(setup: str) -> Iterator[None]:
    """Within the block the package's code takes the way of a set-up, where no option does."""
    import math

    import torch

    from erc.data import collate
    from erc.model import products
    from erc.model.fusion import mixer
    from erc.training import lightning_module, run

    def padded(prepare: Callable, width: Callable[[Any], int]) -> Callable:
        def call(processor: Any, longest: int, values: list) -> Any:
            made = prepare(processor, longest, values)
            return {k: torch.nn.functional.pad(v, (0, width(longest) - v.shape[1])) for k, v in made.items()}

        return call

    def finite(parameters: Any, **options: Any) -> Any:
        return norm(parameters, norm_type=math.inf)

    def convolved(block: Any, x: torch.Tensor) -> torch.Tensor:
        widen, gelu, _, narrow, _ = block.tokens_mlp
        wide = torch.nn.functional.conv1d(block.tokens_norm(x), widen.weight.unsqueeze(2), widen.bias)
        x = x + torch.nn.functional.conv1d(gelu(wide), narrow.weight.unsqueeze(2), narrow.bias)
        return x + block.channels_mlp(block.channels_norm(x))

    norm = torch.nn.utils.get_total_norm
    with ExitStack() as stack:
        if setup in ("published set-up", "before"):
            stack.enter_context(mock.patch.object(products, "convolution_is_faster", lambda: False))
            stack.enter_context(mock.patch.object(run, "keep_freed_memory", lambda: False))
            clipping = "configure_gradient_clipping"
            plain = getattr(lightning_module.pl.LightningModule, clipping)
            stack.enter_context(mock.patch.object(lightning_module.EmotionModule, clipping, plain))
        if setup == "before":
            stack.enter_context(mock.patch.object(lightning_module.nn.utils, "get_total_norm", finite))
            stack.enter_context(mock.patch.object(run.SelectedPredictions, "holds", lambda *_: False))
        if setup == "published set-up":
            stack.enter_context(mock.patch.object(mixer.MixerBlock, "forward", convolved))
            for name in ("_audio_input", "_text_input"):
                stack.enter_context(mock.patch.object(collate, name, padded(getattr(collate, name), lambda n: n)))
            stack.enter_context(
                mock.patch.object(lightning_module.nn.utils, "get_total_norm", lambda *_: torch.ones(()))
            )
        yield


def one_epoch(setup: str, options: list[str], run_dir: Path, clock: str = "wall") -> dict[str, float]:
    """Trains one epoch; returns the seconds of it and of the whole run."""
    import pytorch_lightning as pl
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    import train  # noqa: F401  registers the configuration's resolvers
    from erc.training import train_fold

    now = CLOCKS[clock]

    class Clock(pl.Callback):
        seconds = 0.0

        def on_train_start(self, *_: Any) -> None:
            self.seconds = -now()

        def on_fit_end(self, *_: Any) -> None:
            self.seconds += now()

    with initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        composed = compose("train", ["experiment=paper", "logger=csv", f"run_dir={run_dir}", *options, *SETUPS[setup]])
    config = OmegaConf.to_container(composed, resolve=True)
    parts = instantiate(OmegaConf.create(config), _convert_="all")
    parts["callbacks"]["clock"] = fit = Clock()
    started = now()
    with as_it_was(setup), redirect_stdout(io.StringIO()):
        train_fold(parts, {"experiment": "paper", "fusion": "tensor_mixer", "target": "peakl"}, config)
    return {"epoch": fit.seconds, "run": now() - started}


def main(
    steps: int = 16,
    valid_steps: int = 2,
    seconds: float = 3.0,
    repeats: int = 5,
    clock: str = "wall",
    profile: bool = False,
    out: str = "",
) -> None:
    """Prints one line a set-up; with ``--profile`` the costliest operations of ``now`` and ``before`` instead.

    Args:
        steps: Steps of training, of 8 segments each.
        valid_steps: Batches of validation.
        seconds: Median duration of a segment.
        repeats: Epochs of each set-up.
        clock: ``wall``, or ``cpu`` on a machine that others use.
        profile: Profile instead.
        out: A JSON file.
    """
    from erc.synthetic import corpora

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        corpora.write(root=str(folder / "corpora"), sessions=5, segments=4, seconds=seconds, bio=False)
        options = [
            *write_encoders(folder),
            f"dataset.root={folder / 'corpora'}",
            f"dataset.cache_dir={folder / 'cache'}",
        ]
        options += ["trainer.accelerator=cpu", "trainer.max_epochs=1", "dataset.exclude=none"]
        options += [f"+trainer.limit_train_batches={steps}", f"dataset.num_data={8 * max(steps, valid_steps)}"]
        options += [f"+trainer.limit_val_batches={valid_steps}"] if valid_steps < steps else []
        found: dict[str, list[dict[str, float]]] = {name: [] for name in SETUPS}

        def once(setup: str) -> None:
            run_dir = folder / "runs" / f"{list(SETUPS).index(setup)}-{len(found[setup])}"
            run_dir.mkdir(parents=True)
            spawned = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawned) as process:
                found[setup].append(process.submit(one_epoch, setup, options, run_dir, clock).result())
            shutil.rmtree(run_dir)

        if profile:
            from torch.profiler import profile as profiler

            for setup in ("before", "now"):
                run_dir = folder / "runs" / setup
                run_dir.mkdir(parents=True)
                with profiler(acc_events=True) as profiled:
                    one_epoch(setup, options, run_dir)
                print(setup, profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=25), sep="\n")
            return
        interleaved({name: lambda name=name: once(name) for name in SETUPS}, repeats, warm_up=0)
        for what in ("epoch", "run"):
            taken = {name: [one[what] for one in rows] for name, rows in found.items()}
            print(
                f"\n{what} of {steps} steps and {valid_steps} of validation\n{table(taken, 'published set-up')}",
                flush=True,
            )
        write(out, steps=steps, valid_steps=valid_steps, clock=clock, seconds=found)


if __name__ == "__main__":
    fire.Fire(main)
