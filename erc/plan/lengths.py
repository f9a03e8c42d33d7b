"""How long the segments are, and the batches that training makes of them.

Comes in: the corpus of a configuration, or, where it is not there, the published durations of KEMDy19 and KEMDy20. Goes out:
for each batch the number of segments, and the length to which each modality is padded.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from erc.data import (
    COLUMN_OF,
    KEMD,
    N_FOLDS,
    SAMPLE_RATE,
    SEQUENCE_RATE,
    SEQUENCE_SECONDS,
    SIGNALS,
    LengthBucketSampler,
    SignalForm,
)
from erc.labels import LabelSpace

SECONDS_19: dict[float, float] = {
    0: 0.255,
    1: 0.557,
    5: 1.08,
    25: 2.354,
    50: 4.223,
    75: 7.465,
    95: 15.5,
    99: 24.8,
    100: 78.4,
}
SECONDS_20: dict[float, float] = {
    0: 0.671,
    25: 2.75,
    50: 4.52,
    75: 7.73,
    93.2: 14.5,
    97.6: 17.95,
    99.2: 21.4,
    100: 35.2,
}
"""Percentiles of the durations of KEMDy19's and KEMDy20's segments, in seconds, from what others printed of the corpora."""

SEGMENTS: dict[str, tuple[int, dict[float, float]]] = {"kemdy19": (9_996, SECONDS_19), "kemdy20": (13_462, SECONDS_20)}
"""The paper's selection."""

TOKENS_A_SECOND = 2.6
"""Where there is no transcript: five syllables a second, about two of which are a token of a Korean WordPiece vocabulary."""

CHARACTERS_A_TOKEN = 1.9
"""Where there is no tokenizer."""


READ_AT_ONCE, READ_OFTEN = 16, 10
"""Segments whose reading is timed, and how often."""


class Lengths(NamedTuple):
    """Of the segments of one side of the fold, (N,) each."""

    samples: np.ndarray
    tokens: np.ndarray
    steps: np.ndarray
    """Of the bio-signals; 1 where they are features, or none."""


class Data(NamedTuple):
    """What a run trains on."""

    train: Lengths
    valid: Lengths
    n_folds: int
    label_space: LabelSpace
    source: str
    """Where the lengths come from, in words."""
    build_bytes: int
    """Of the data set on disk."""
    reading_seconds: float = 0.0
    """Of one segment from that disk; 0 where the corpus is not here."""


class Batches(NamedTuple):
    """Batches of one epoch, (n_batches,) each."""

    sizes: np.ndarray
    samples: np.ndarray
    """To which the audio is padded."""
    tokens: np.ndarray
    steps: np.ndarray
    """To which the bio-signals are padded."""

    def lengths(self, modality: str) -> np.ndarray:
        """To which a modality is padded."""
        return {"audio": self.samples, "text": self.tokens, "signals": self.steps}[modality]


def data_of(views: tuple[Any, Any], tokenizer: Any) -> Data:
    """Lengths of a corpus.

    Args:
        views: Training and reported segments (``erc.training.make_views``).
        tokenizer: The text encoder's own; None where it is not there: tokens are then counted by characters.
    """
    train, valid = (
        Lengths(view.ds.with_format("numpy")["n_samples"][:], _tokens(view, tokenizer), _steps(view)) for view in views
    )
    n_samples = train.samples.sum() + valid.samples.sum()
    source = f"{', '.join(sorted(set(views[0].ds['corpus'])))}: every segment"
    source += f"; bio-signals as {views[0].signals}" if views[0].signals else ""
    source += "" if tokenizer is not None else "; tokens by characters, the tokenizer is not here"
    reading = _reading_seconds(views[0])
    return Data(train, valid, views[0].n_folds, views[0].label_space, source, int(2 * n_samples), reading)


def _reading_seconds(view: Any) -> float:
    """Seconds of reading one segment, as a loader reads a batch."""
    rows, chosen = view.ds.with_format("numpy", dtype=None), np.arange(min(len(view), READ_AT_ONCE)).tolist()
    rows[chosen]
    begun = time.perf_counter()
    for _ in range(READ_OFTEN):
        rows.__getitems__(chosen)
    return (time.perf_counter() - begun) / (READ_OFTEN * len(chosen))


def _tokens(view: Any, tokenizer: Any) -> np.ndarray:
    texts = [str(text) for text in view.ds["transcript"]]
    if tokenizer is None:
        return np.array([2 + round(len(text) / CHARACTERS_A_TOKEN) for text in texts])
    return np.array([len(ids) for ids in tokenizer(texts)["input_ids"]])


def _steps(view: Any) -> np.ndarray:
    if view.signals != "sequence":
        return np.ones(len(view), dtype=int)
    return np.array([len(row) // len(SIGNALS) for row in view.ds.with_format("numpy")[COLUMN_OF["sequence"]][:]])


def steps_of(samples: np.ndarray, signals: SignalForm | None) -> np.ndarray:
    """Steps of the bio-signals of segments of so many samples, uncut, in a dialogue that has begun long before.

    A segment that lacks signals, or that is among the first of its dialogue, has fewer.
    """
    if signals != "sequence":
        return np.ones(len(samples), dtype=int)
    seconds = np.maximum(samples / SAMPLE_RATE, SEQUENCE_SECONDS)
    return 1 + (SEQUENCE_RATE * seconds).astype(int)


def published_data(dataset_name: str, signals: SignalForm | None = None) -> Data:
    """The published durations of KEMDy19 and KEMDy20, a fifth of the segments held out.

    Args:
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        signals: Form of the bio-signals, which every segment is taken to have; None for none.
    """
    names = [name for name in SEGMENTS if name in dataset_name.split("-")]
    seconds = np.concatenate([_drawn(*SEGMENTS[name]) for name in names])
    samples = np.round(seconds * SAMPLE_RATE).astype(int)
    tokens = 2 + np.round(TOKENS_A_SECOND * seconds).astype(int)
    order = np.random.default_rng(0).permutation(len(samples))
    held, rest = np.split(order, [len(order) // N_FOLDS])
    steps = steps_of(samples, signals)
    train, valid = (Lengths(samples[one], tokens[one], steps[one]) for one in (rest, held))
    source = f"{' and '.join(names)} as published ({len(order):,} segments), since the corpus is not here"
    source += f"; every segment is taken to have bio-signals, as {signals}" if signals else ""
    return Data(train, valid, N_FOLDS, KEMD, source, int(2 * samples.sum()))


def _drawn(n: int, percentiles: dict[float, float]) -> np.ndarray:
    """So many durations with these percentiles, evenly spread between them on a logarithmic scale."""
    shares = 100 * (np.arange(n) + 0.5) / n
    return np.exp(np.interp(shares, list(percentiles), np.log(list(percentiles.values()))))


def batches_of(lengths: Lengths, config: dict[str, Any], epoch: int, is_training: bool) -> Batches:
    """The batches of one process in one epoch, by the sampler of training itself.

    Args:
        lengths: Of the segments.
        config: Plain values of the run.
        epoch: From 0.
        is_training: Shuffled and shared equally; else sorted, every segment once.
    """
    loader, collate = config["dataloader"], config["dataloader"]["collate"]
    samples = lengths.samples.clip(max=collate["max_samples"])
    tokens = lengths.tokens.clip(max=collate["max_tokens"])
    sampler = LengthBucketSampler(
        samples.tolist(),
        loader["batch_size"],
        config["seed"],
        epoch,
        loader["pool_batches"],
        shuffle=is_training,
        n_processes=n_processes(config),
    )
    batches = [np.asarray(batch) for batch in sampler]
    steps = lengths.steps.clip(min=1)  # a batch without any signal is padded to one step
    return Batches(
        np.array([len(batch) for batch in batches]),
        np.array([samples[batch].max() for batch in batches]),
        np.array([tokens[batch].max() for batch in batches]),
        np.array([steps[batch].max() for batch in batches]),
    )


def n_processes(config: dict[str, Any]) -> int:
    """Processes that share the batches: a whole number of ``trainer.devices``, else 1."""
    devices = config["trainer"].get("devices", 1)
    return devices if isinstance(devices, int) and not isinstance(devices, bool) and devices > 0 else 1
