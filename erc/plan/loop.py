"""What a step costs beside the model: preparing the batch, Lightning's loop, the optimizer, the checkpoints."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from erc.data import COLUMN_OF, FEATURES, SIGNALS, Collator, SignalForm
from erc.labels import LabelSpace
from erc.model import EmotionModel, Encoder, load_feature_extractor, load_tokenizer
from erc.plan.lengths import steps_of
from erc.plan.timing import interleaved
from erc.training import AtomicCheckpointIO, EmotionModule

N_BATCHES, N_WARM = 30, 3
"""Batches of which the loop is timed, and those before that do not count."""

WRITTEN = (100_000, 64_000_000)
"""Bytes of the two checkpoints whose writing is timed."""


class Line(NamedTuple):
    """A cost that is a constant and a slope."""

    constant: float
    slope: float

    def at(self, amount: Any) -> Any:
        """Cost of an amount."""
        return self.constant + self.slope * amount


def line_through(amounts: tuple[float, float], costs: tuple[float, float]) -> Line:
    """The line through two points; neither part is below 0."""
    slope = max(0.0, (costs[1] - costs[0]) / (amounts[1] - amounts[0]))
    return Line(max(0.0, costs[0] - slope * amounts[0]), slope)


class _Stub(Encoder):
    """An encoder that costs nothing: the step around it is left."""

    dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(self.dim))

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A sequence of one step."""
        return self.weight.expand(len(values), 1, self.dim), mask[:, :1].flatten(start_dim=1).any(dim=1, keepdim=True)


class _StubFusion(nn.Module):
    """A fusion that costs next to nothing."""

    modalities: tuple[str, ...]
    dim = 4

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__()
        self.hidden = nn.Linear(sum(dims.values()), self.dim)

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        """The first step of each modality -> (B, dim)."""
        return self.hidden(torch.cat([one[:, 0] for one in sequences.values()], dim=1))


def loop_seconds(config: dict[str, Any], parts: dict[str, Any], modalities: tuple[str, ...], space: LabelSpace) -> Line:
    """Seconds of one training batch without its model, by the samples of its longest segment.

    Args:
        config: Plain values of the run.
        parts: Instantiated loss and trainer.
        modalities: What the fusion reads.
        space: What is predicted.
    """
    longest = config["dataloader"]["collate"]["max_samples"]
    lengths = (longest // 4, longest)
    costs = tuple(_seconds_of_batch(config, parts, modalities, space, length) for length in lengths)
    return line_through(lengths, costs)  # type: ignore[arg-type]


def _seconds_of_batch(
    config: dict[str, Any], parts: dict[str, Any], modalities: tuple[str, ...], space: LabelSpace, length: int
) -> float:
    rows, collate = _rows_and_collator(config, space, length)
    fusion: Any = type("_StubOfThese", (_StubFusion,), {"modalities": modalities})
    model = EmotionModel(dict.fromkeys(modalities, _Stub), fusion, space)
    stamps: list[float] = []

    def stamped(chosen: list[dict]) -> Any:
        stamps.append(time.perf_counter())
        return collate(chosen)

    loader: Any = DataLoader(rows, batch_sampler=[list(range(len(rows)))] * N_BATCHES, collate_fn=stamped)
    module = EmotionModule(
        model, parts["loss"], lambda one: torch.optim.AdamW(one.parameters()), lambda *_, **__: None, 0
    )
    trainer = parts["trainer"](
        callbacks=[], logger=False, enable_checkpointing=False, max_epochs=1, enable_progress_bar=False,
        accelerator="cpu", devices=1, strategy="auto", precision="32-true", accumulate_grad_batches=1,
        num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You defined a `validation_step`")
        trainer.fit(module, train_dataloaders=loader)
    return (stamps[-1] - stamps[N_WARM]) / (len(stamps) - 1 - N_WARM)


def _rows_and_collator(config: dict[str, Any], space: LabelSpace, length: int) -> tuple[Any, Collator]:
    """Rows of one batch, all of them so long, and what makes the batch of them.

    As in training, the batch holds every modality of the data, also those that the fusion does not read.
    """
    options, signals = config["dataloader"]["collate"], config["dataset"].get("signals")
    feature_extractor: Any = load_feature_extractor("tiny")
    collate = Collator(
        feature_extractor,
        load_tokenizer("tiny"),
        space,
        "soft",
        options["max_samples"],
        options["max_tokens"],
        signals=signals,
    )
    rng = np.random.default_rng(0)
    return [
        _row(rng, length, space, f"segment{i}", signals) for i in range(config["dataloader"]["batch_size"])
    ], collate


def _row(
    rng: np.random.Generator, length: int, space: LabelSpace, name: str, signals: SignalForm | None
) -> dict[str, Any]:
    votes = np.zeros(space.n_emotions, dtype=np.int64)
    votes[0] = 1
    waveform = rng.integers(-3000, 3000, length).astype(np.int16)
    row = {"segment_id": name, "waveform": waveform, "transcript": "정말 행복해 " * 4, "votes": votes}
    if signals is not None:
        n_steps = int(steps_of(np.array([length]), signals)[0])
        n_values = len(FEATURES) if signals == "features" else n_steps * len(SIGNALS)
        row[COLUMN_OF[signals]] = rng.normal(size=n_values).astype(np.float32)
    return row | {"hard_label": 0, "is_tied": False} | dict.fromkeys(space.dimensions, 3.0)


def optimizer_seconds(optimizer: Callable[[Any], Any], model: EmotionModel, device: torch.device) -> float:
    """Seconds of clipping, checking and stepping, for one weight that is trained.

    Args:
        optimizer: Builds it (``erc.training.build_optimizer``).
        model: Its encoders may have few layers.
        device: Where it is.
    """
    step = optimizer(model)
    trained = [one for group in step.param_groups for one in group["params"]]
    for one in trained:
        one.grad = torch.full_like(one, 1e-6)

    def update() -> None:
        norm = nn.utils.get_total_norm([one.grad for one in trained])
        norm.item()
        nn.utils.clip_grads_with_norm_(trained, 1.0, norm)
        step.step()

    taken = interleaved({"update": update}, device, 1.0)["update"]
    for one in trained:
        one.grad = None
    return taken / sum(one.numel() for one in trained)


def writing_seconds(folder: Path) -> Line:
    """Seconds of writing a checkpoint with its checksums, by bytes, on the disk of a folder."""
    costs = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".erc-plan-") as temporary:
        for n_bytes in WRITTEN:
            taken = []
            for _ in range(3):
                begun = time.perf_counter()
                AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(n_bytes // 4)}, Path(temporary) / "a.ckpt")
                taken.append(time.perf_counter() - begun)
            costs.append(statistics.median(taken))
    return line_through(WRITTEN, (costs[0], costs[1]))
