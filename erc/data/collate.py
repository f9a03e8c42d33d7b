"""Rows of a data set -> one batch: normalised, padded, masked, tokenised; labels beside the inputs.

``InputCollator`` makes what a model reads and needs no labels. ``Collator`` adds the labels for training and evaluation.

Letters for shapes, used in the whole package: **B** segments, **L** audio samples, **T** encoder frames, **S** text tokens,
**D** encoder width, **P** projected width, **K** emotions, **R** rated dimensions (2 for valence and arousal). Masks are
boolean, True = real.
Convention: a waveform is cut to ``max_samples``. It is then brought to zero mean and unit variance over its real samples.
It is then padded with zeros to the longest waveform of the batch. The other segments of a batch must not change a prediction.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypedDict

import numpy as np
import torch
from annotated_types import Ge

from erc.data.media import SAMPLE_RATE
from erc.data.options import SignalForm
from erc.data.signal_files import SIGNALS
from erc.labels import LabelSpace
from erc.targets import TargetKind, draw_target, make_target

LABEL_COLUMNS = ["votes", "hard_label", "is_tied"]
"""Beside the dimensions of the label space."""


class ModalityInput(TypedDict):
    """What the encoder of one modality reads."""

    values: torch.Tensor
    """audio: (B, L) float32 waveforms, zero mean and unit variance over the real samples; text: (B, S) int64 token ids;
    signals: (B, 11) float32 features in their units (``signal_features.FEATURES``), or (B, T, 3) normalised sequences of 4 Hz in
    the order of ``signal_files.SIGNALS`` (``signal_sequences.py``); 0 where not known. For an encoder with frozen layers also
    (B, T, D) float32: what these layers give for audio or text."""
    mask: torch.Tensor
    """Bool, of the shape of ``values``; (B, T) beside hidden states."""


Inputs = dict[str, ModalityInput]
"""What a model reads, by modality (``audio``, ``text``, ``signals``)."""


def inputs_on(device: torch.device | str, inputs: Inputs, without: str | None = None) -> Inputs:
    """The inputs on a device.

    Args:
        device: As torch names it.
        inputs: Of one batch; they stay as they are.
        without: A modality that every segment is to lack: its mask is False everywhere, and its values stay.
    """
    found: Inputs = {}
    for modality, given in inputs.items():
        mask = torch.zeros_like(given["mask"]) if modality == without else given["mask"]
        found[modality] = ModalityInput(values=given["values"].to(device), mask=mask.to(device))
    return found


class InputBatch(TypedDict):
    """Segments without labels."""

    segment_id: list[str]
    inputs: Inputs


class Batch(InputBatch):
    """Segments with labels: what the loaders yield."""

    target: torch.Tensor
    """(B, K) float32, rows sum to 1; a row of NaN for a segment that nobody voted on."""
    hard_label: torch.Tensor
    """(B,) int64; -1 for a segment that nobody voted on."""
    is_tied: torch.Tensor
    """(B,) bool."""
    va: torch.Tensor
    """(B, R) float32, the dimensions of the label space on the raters' scale; NaN where a segment was not rated."""
    va_exact: np.ndarray
    """(B, R) float64, the same ratings as they were read: metrics are of these."""


class InputCollator:
    """Rows -> ``InputBatch``. A row needs ``segment_id`` and the columns of its modalities, and no labels.

    A modality without a processor (None) is left out. So is one that no row holds: its column is missing or None.

    Args:
        feature_extractor: The audio encoder's own; reads the column ``waveform`` (16-bit samples at 16 kHz).
        tokenizer: The text encoder's own; reads the column ``transcript``.
        max_samples: Longest audio, in samples at 16 kHz, 1 or more; the rest is cut off.
        max_tokens: Longest text, in tokens, the two special tokens included, 3 or more.
        signals: Form of the bio-signals in the rows (column ``signal_features`` or ``signal_sequence``); None for none.

    Attributes:
        columns: Columns of the rows that are read.
        feature_extractor: As given.
        max_samples: As given.

    Raises:
        ValueError: No audio or no text would be left.
    """

    def __init__(
        self,
        feature_extractor: Callable[..., Any] | None,
        tokenizer: Callable[..., Any] | None,
        max_samples: int = 112_000,
        max_tokens: int = 64,
        signals: SignalForm | None = None,
    ) -> None:
        if max_samples < 1 or max_tokens < 3:
            raise ValueError(
                "dataloader.collate: expected max_samples of 1 or more and max_tokens of 3 or more, got "
                f"{max_samples} and {max_tokens}."
            )
        self.feature_extractor, self.max_samples = feature_extractor, max_samples
        # modality -> its column, and what makes its input from the values of that column
        self._modalities: dict[str, tuple[str, Callable[[list], ModalityInput]]] = {}
        if feature_extractor is not None:
            self._modalities["audio"] = ("waveform", functools.partial(_audio_input, feature_extractor, max_samples))
        if tokenizer is not None:
            self._modalities["text"] = ("transcript", functools.partial(_text_input, tokenizer, max_tokens))
        if signals is not None:
            make = _features_input if signals == "features" else _sequence_input
            self._modalities["signals"] = (f"signal_{signals}", make)
        self.columns = ["segment_id", *(column for column, _ in self._modalities.values())]

    def only(self, *modalities: str) -> InputCollator:
        """The same for these of its modalities."""
        other = copy.copy(self)
        other._modalities = {name: one for name, one in self._modalities.items() if name in modalities}
        other.columns = ["segment_id", *(column for column, _ in other._modalities.values())]
        return other

    def __call__(self, rows: Sequence[dict]) -> InputBatch:
        """Batch of these rows, in their order.

        Raises:
            ValueError: Some of the rows hold a modality and others do not.
        """
        segment_id = [str(row["segment_id"]) for row in rows]
        inputs: Inputs = {}
        for modality, (column, prepare) in self._modalities.items():
            lacking = [name for name, row in zip(segment_id, rows, strict=True) if row.get(column) is None]
            if not lacking:
                inputs[modality] = prepare([row[column] for row in rows])
            elif len(lacking) < len(rows):
                raise ValueError(
                    f"Segments of one batch must hold the same modalities: expected {column!r} in all {len(rows)}, got none "
                    f"in {', '.join(lacking)}. Leave these segments out, or leave {modality} out for all."
                )
        return InputBatch(segment_id=segment_id, inputs=inputs)


class Collator:
    """Rows with labels -> ``Batch``.

    Args:
        feature_extractor: See ``InputCollator``.
        tokenizer: See ``InputCollator``.
        label_space: Of the rows.
        target: Label kind of the training target.
        max_samples: See ``InputCollator``; a tenth of a second or more.
        max_tokens: See ``InputCollator``; one more than the two special tokens, or more.
        target_options: Options of the label kind, a value for each. The program sets them (``resolve_options``).
        signals: See ``InputCollator``; the program takes it from the data set.

    Attributes:
        columns: Columns of the rows that are read.
        make_inputs: Makes the inputs of the batch that are not hidden states.
        target_options: See above; empty for a kind without options.
    """

    def __init__(
        self,
        feature_extractor: Callable[..., Any] | None,
        tokenizer: Callable[..., Any] | None,
        label_space: LabelSpace,
        target: TargetKind,
        max_samples: Annotated[int, Ge(SAMPLE_RATE // 10)] = 112_000,
        max_tokens: Annotated[int, Ge(3)] = 64,
        target_options: dict[str, float] | None = None,
        signals: SignalForm | None = None,
    ) -> None:
        self.target, self.target_options = target, target_options or {}
        self._drawn_for: tuple[int, int] | None = None
        self.max_samples, self.max_tokens = max_samples, max_tokens
        self.dimensions = label_space.dimensions
        self.make_inputs = InputCollator(feature_extractor, tokenizer, max_samples, max_tokens, signals)
        self._states: Callable[[list[str]], Inputs] | None = None
        self.columns = [*self.make_inputs.columns, *LABEL_COLUMNS, *self.dimensions]

    def with_states(self, states: Callable[[list[str]], Inputs], modalities: Iterable[str]) -> Collator:
        """This collator with hidden states that were computed before, in the place of what encoders read.

        Args:
            states: Segment ids -> inputs of these modalities.
            modalities: Those that ``states`` gives.
        """
        collate = copy.copy(self)
        rest = {"audio", "text", "signals"} - set(modalities)
        collate._states, collate.make_inputs = states, self.make_inputs.only(*rest)
        collate.columns = [*collate.make_inputs.columns, *LABEL_COLUMNS, *self.dimensions]
        return collate

    def in_epoch(self, seed: int, epoch: int) -> Collator:
        """This collator for the training batches of one epoch: a label kind that is drawn is drawn for (seed, epoch)."""
        collate = copy.copy(self)
        collate._drawn_for = (seed, epoch)
        return collate

    def __call__(self, rows: Sequence[dict]) -> Batch:
        """Batch of these rows, in their order. Outside of ``in_epoch`` a target that is drawn is the mean of its draws."""
        hard_label = np.array([row["hard_label"] for row in rows], dtype=np.int64)
        va = np.array([[float(row[name]) for name in self.dimensions] for row in rows], dtype=np.float64)
        votes = np.stack([np.asarray(row["votes"]) for row in rows])
        target = None
        if self._drawn_for is not None:
            target = draw_target(self.target, votes, [str(row["segment_id"]) for row in rows], *self._drawn_for)
        if target is None:
            target = make_target(self.target, votes, hard_label, **self.target_options)
        batch = self.make_inputs(rows)
        if self._states is not None:
            batch["inputs"] |= self._states(batch["segment_id"])
        return Batch(
            **batch,
            target=torch.from_numpy(target).float(),
            hard_label=torch.from_numpy(hard_label),
            is_tied=torch.tensor([bool(row["is_tied"]) for row in rows]),
            va=torch.from_numpy(va).float(),
            va_exact=va,
        )


def _audio_input(feature_extractor: Callable[..., Any], max_samples: int, waveforms: list[np.ndarray]) -> ModalityInput:
    # 16-bit samples as shares of full scale
    cut = [np.asarray(waveform[:max_samples], dtype=np.float32) / 32768.0 for waveform in waveforms]
    audio = feature_extractor(
        cut, sampling_rate=SAMPLE_RATE, padding=True, return_attention_mask=True, return_tensors="pt"
    )
    return ModalityInput(values=audio["input_values"].float(), mask=audio["attention_mask"].bool())


def _text_input(tokenizer: Callable[..., Any], max_tokens: int, transcripts: list[str]) -> ModalityInput:
    text = tokenizer(
        [str(transcript) for transcript in transcripts],
        truncation=True,
        max_length=max_tokens,
        padding=True,
        return_tensors="pt",
    )
    return ModalityInput(values=text["input_ids"], mask=text["attention_mask"].bool())


def _features_input(features: list[np.ndarray]) -> ModalityInput:
    values = torch.from_numpy(np.stack([np.asarray(row, dtype=np.float64) for row in features])).float()
    mask = torch.isfinite(values)
    return ModalityInput(values=values.masked_fill(~mask, 0.0), mask=mask)


def _sequence_input(sequences: list[np.ndarray]) -> ModalityInput:
    rows = [torch.from_numpy(np.array(row, dtype=np.float32).reshape(-1, len(SIGNALS))) for row in sequences]
    n_steps = max(1, *(len(row) for row in rows))  # a batch without any signal has one step that is not real
    values = torch.full((len(rows), n_steps, len(SIGNALS)), torch.nan)
    for k, row in enumerate(rows):
        values[k, : len(row)] = row
    mask = torch.isfinite(values)
    return ModalityInput(values=values.masked_fill(~mask, 0.0), mask=mask)
