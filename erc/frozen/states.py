"""Encoders and segments -> hidden states on disk; segments of a batch -> inputs of the model.

A store belongs to one encoder, and its name to everything that its states depend on: the weights below the cut, the place of the
cut, the numbers' format, the precision and the kind of device of the computation, and for audio the corpora's fingerprint, the
feature extractor and the greatest length. Words are known by their tokens, so two segments of the same words share their states.

Each segment is computed alone. So its states do not depend on the segments beside it, nor on what was computed before. In a run
without this cache a segment is padded to the longest of its batch, and float32 rounds otherwise: by about 1e-6.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import xxhash
from tqdm import tqdm

from erc.data import InputCollator, Inputs, ModalityInput
from erc.files import waited_lock
from erc.frozen.store import StateStore
from erc.model import AudioEncoder, EmotionModel, PretrainedEncoder, pooled

FORMAT_VERSION = 1
"""Raise it whenever the code computes other states of the same encoder and segments."""

SEGMENTS_PER_SHARD = 100
"""A killed process loses so many at most."""

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}

StateKind = Literal["bf16", "fp32"]


class Segments(NamedTuple):
    """The segments of a run."""

    views: tuple[Any, ...]
    """Training, choosing and reported segments: a ``datasets.Dataset`` each, some may be the same."""
    fingerprint: str
    """Of their corpora."""
    make_inputs: InputCollator
    """Rows -> inputs of the encoders, as in a run without a cache."""


@dataclass(frozen=True)
class Computation:
    """How states are computed.

    Attributes:
        kind: Numbers' format on disk.
        device: Where the encoders run.
        precision: Name of the precision.
        context: Sets the precision within a block.
    """

    kind: StateKind
    device: torch.device
    precision: str
    context: Callable[[], AbstractContextManager[Any]]


class FrozenStates:
    """Inputs of the model for segments whose states are on disk; can be sent to the processes that prepare batches.

    Attributes:
        stores: Store of each modality, and the key of each segment in it.
    """

    def __init__(self) -> None:
        self.stores: dict[str, tuple[StateStore, dict[str, str]]] = {}

    def __call__(self, segment_ids: list[str]) -> Inputs:
        """Hidden states (B, T, D) float32 and their mask (B, T), by modality."""
        inputs: Inputs = {}
        for modality, (store, key_of) in self.stores.items():
            rows = store.read(key_of[one] for one in segment_ids)
            values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            n_steps = torch.tensor([len(row) for row in rows])
            inputs[modality] = ModalityInput(values=values, mask=torch.arange(values.shape[1]) < n_steps.unsqueeze(1))
        return inputs


def find_states(model: EmotionModel, segments: Segments, computation: Computation, cache_dir: Path) -> FrozenStates:
    """States of all segments of a run, for every encoder of the model that has a cut; computes those that are not there.

    One process at a time computes for a store, and others wait for it.

    Args:
        model: Its encoders and its fusion.
        segments: Of the run.
        computation: How states are computed.
        cache_dir: The stores are in its folder ``frozen``.

    Raises:
        OSError: The disk has no room for what must be computed.
        ValueError: No encoder has a cut.
    """
    found = FrozenStates()
    for modality, encoder in model.encoders.items():
        if isinstance(encoder, PretrainedEncoder) and encoder.cut is not None:
            is_pooled = encoder.cut.train_last == 0 and type(model.fusion).pools_first
            one = _Encoder(modality, encoder, segments, computation, is_pooled)
            store = StateStore(cache_dir / "frozen" / f"{modality}-{one.fingerprint()}")
            key_of = {segment_id: key for _, segment_id, key, _ in one.rows()}
            if not set(key_of.values()) <= store.places.keys():
                _compute_missing(one, store)
            found.stores[modality] = store, key_of
    if not found.stores:
        raise ValueError(
            f"A cache holds what frozen layers give: expected an encoder with train_last, got none of {', '.join(model.encoders)}. Set "
            "encoders.audio.train_last or encoders.text.train_last, or dataloader.cache=null."
        )
    return found


class _Encoder:
    """The frozen part of one encoder, and what a run reads of it; arguments as above."""

    def __init__(
        self, modality: str, encoder: PretrainedEncoder, segments: Segments, computation: Computation, is_pooled: bool
    ) -> None:
        self.modality, self.encoder, self.is_pooled = modality, encoder, is_pooled
        self.segments, self.computation = segments, computation
        self.make_inputs = segments.make_inputs.only(modality)

    def fingerprint(self) -> str:
        """Sixteen hex digits of everything that the states depend on, the segments' own content left out."""
        cut = self.encoder.cut
        assert cut is not None
        facts = [FORMAT_VERSION, self.modality, cut.train_last, self.is_pooled, self.computation.kind]
        facts += [self.computation.precision, self.computation.device.type, cut.fingerprint()]
        if isinstance(self.encoder, AudioEncoder):
            facts += [self.segments.fingerprint, self.make_inputs.max_samples, str(self.make_inputs.feature_extractor)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def rows(self) -> Iterator[tuple[Any, str, str, int]]:
        """View, id, key and number of steps of every segment of the run; some views share segments."""
        for view in {id(view): view for view in self.segments.views}.values():
            ids = view["segment_id"][:]
            if isinstance(self.encoder, AudioEncoder):
                lengths = torch.tensor(view.with_format("numpy")["n_samples"][:])
                steps = self.encoder.n_steps(lengths.clamp(max=self.make_inputs.max_samples)).tolist()
                keys = [f"{one} {n}" for one, n in zip(ids, lengths.tolist(), strict=True)]
            else:
                columns = view.select_columns(self.make_inputs.columns)
                parts = (columns[start : start + 1000] for start in range(0, len(columns), 1000))
                tokens = [one for part in parts for one in self._tokens(part)]
                keys, steps = [key for key, _ in tokens], [n for _, n in tokens]
            for segment_id, key, n in zip(ids, keys, steps, strict=True):
                yield view, segment_id, key, 1 if self.is_pooled else n

    def _tokens(self, columns: dict[str, list]) -> Iterator[tuple[str, int]]:
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        inputs = self.make_inputs(rows)["inputs"][self.modality]
        for values, mask in zip(inputs["values"], inputs["mask"], strict=True):
            yield xxhash.xxh3_128_hexdigest(values[mask].numpy().tobytes()), int(mask.sum())

    @torch.inference_mode()
    def states_of(self, row: dict[str, Any]) -> torch.Tensor:
        """(T, D) states of one segment, on the CPU; (1, D) where the fusion pools first."""
        inputs = self.make_inputs([row])["inputs"][self.modality]
        device = self.computation.device
        with self.computation.context():
            hidden, mask = self.encoder.below(inputs["values"].to(device), inputs["mask"].to(device))
            states = (
                pooled({self.modality: hidden}, {self.modality: mask})[self.modality]
                if self.is_pooled
                else hidden[mask]
            )
        return states.to("cpu", DTYPES[self.computation.kind])


def _compute_missing(one: _Encoder, store: StateStore) -> None:
    """Computes the states that the store lacks, shard by shard; says before how many bytes they take."""
    store.folder.mkdir(parents=True, exist_ok=True)
    with waited_lock(f"{store.folder}.lock", f"computing {store.folder}"):
        store.sweep()
        wanted: dict[str, tuple[Any, int]] = {}
        n_steps = 0
        places: dict[int, int] = {}
        for view, _, key, n in one.rows():
            place = places[id(view)] = places.get(id(view), -1) + 1
            if key not in store.places and key not in wanted:
                wanted[key] = view, place
                n_steps += n
        if wanted:
            _check_room(
                one, store.folder, len(wanted), n_steps * one.encoder.dim * DTYPES[one.computation.kind].itemsize
            )
            _compute(one, store, wanted)


def _check_room(one: _Encoder, folder: Path, n_segments: int, n_bytes: int) -> None:
    """Says how many bytes will be written; raises an OSError if the disk has no room for them."""
    print(
        f"Frozen layers of the {one.modality} encoder: {n_segments:,} segments are computed once, {n_bytes:,} bytes in {folder}.",
        flush=True,
    )
    needed, free = int(n_bytes * 1.02) + 50_000_000, shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"The cache folder's disk must have room for what the frozen layers of the {one.modality} encoder give: expected "
            f"{needed:,} bytes, got {free:,} bytes free ({folder}). Make room there, choose a folder on another disk "
            "(dataset.cache_dir=FOLDER), or do without (dataloader.cache=null)."
        )


def _compute(one: _Encoder, store: StateStore, wanted: dict[str, tuple[Any, int]]) -> None:
    one.encoder.to(one.computation.device)
    keys = list(wanted)
    columns = one.make_inputs.columns
    views = {id(view): view.select_columns(columns).with_format("numpy", dtype=None) for view, _ in wanted.values()}
    with tqdm(total=len(keys), desc=f"Frozen layers, {one.modality}", unit="segment", mininterval=1) as progress:
        for start in range(0, len(keys), SEGMENTS_PER_SHARD):
            states = {}
            for key in keys[start : start + SEGMENTS_PER_SHARD]:
                view, place = wanted[key]
                states[key] = one.states_of(views[id(view)][place])
                progress.update()
            store.write(states)
