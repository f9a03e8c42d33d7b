"""Rows of a data set -> one batch: normalised, padded, masked, tokenised; and the order in which batches come.

Letters used for shapes everywhere: **B** segments, **L** audio samples, **T** encoder frames, **S** text tokens,
**D** encoder width, **P** projected width, **K** emotions (7). Masks are boolean, True = real.
Convention: a waveform is cut to ``max_samples``, then brought to zero mean and unit variance over its real samples,
then padded with zeros to the longest of the batch. What a segment is batched with must not change its prediction.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from transformers import AutoConfig, AutoFeatureExtractor, AutoTokenizer, BertTokenizer, Wav2Vec2FeatureExtractor

from erc.media import SAMPLE_RATE
from erc.targets import TargetKind, make_target

TINY = "tiny"
"""Name of an encoder that is built from a small configuration with random weights, for the demo and the tests."""

COLUMNS = ["segment_id", "waveform", "transcript", "votes", "hard_label", "is_tied", "valence", "arousal"]


class Batch(TypedDict):
    """What the loaders yield."""

    segment_id: list[str]
    waveform: torch.Tensor
    """(B, L) float32, zero mean and unit variance over the real samples."""
    waveform_mask: torch.Tensor
    """(B, L) bool."""
    token_ids: torch.Tensor
    """(B, S) int64."""
    token_mask: torch.Tensor
    """(B, S) bool."""
    target: torch.Tensor
    """(B, K) float32, rows sum to 1."""
    hard_label: torch.Tensor
    """(B,) int64."""
    is_tied: torch.Tensor
    """(B,) bool."""
    va: torch.Tensor
    """(B, 2) float32, valence then arousal, 1 to 5."""


@functools.lru_cache(maxsize=1)
def tiny_vocabulary() -> tuple[str, ...]:
    """WordPiece vocabulary of the ``tiny`` text encoder: every common Korean syllable, letter, digit and mark.

    The special tokens stand as in ``klue/roberta-large``: [CLS] 0, [PAD] 1, [SEP] 2, [UNK] 3, [MASK] 4. The syllables
    are the 2,350 of KS X 1001, each also as a continuation (``##``).
    """
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4) if _is_ks_x_1001(chr(code))]
    latin = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [*syllables, *latin, *(letter.upper() for letter in latin), *"0123456789"]
    marks = list("!\"#$%&'()*+,-./:;<=>?@[]^_~…·")
    return ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", *marks, *pieces, *(f"##{piece}" for piece in pieces))


def _is_ks_x_1001(syllable: str) -> bool:
    try:
        return len(syllable.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False


def load_tokenizer(name: str, revision: str | None = None):
    """The text encoder's own tokenizer, checked against its model.

    ``klue/roberta-large`` joins RoBERTa weights with a cased BERT WordPiece tokenizer. Where the class cannot be told
    from the files (a ``vocab.txt`` beside a RoBERTa configuration), WordPiece is taken.

    Args:
        name: Hub id, a directory written by ``save_pretrained``, or ``tiny``.
        revision: Commit, tag or branch on the hub.

    Raises:
        OSError: The files are neither on disk, nor in the hub's cache, nor reachable.
        ValueError: Its ids do not belong to the model (padding id, vocabulary size), or it splits Hangul into jamo.
    """
    if name == TINY:
        return BertTokenizer(vocab={token: i for i, token in enumerate(tiny_vocabulary())}, do_lower_case=False)
    try:
        config = AutoConfig.from_pretrained(name, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        if _mismatch(tokenizer, config) and not isinstance(tokenizer, BertTokenizer):
            try:
                tokenizer = BertTokenizer.from_pretrained(name, revision=revision, do_lower_case=False)
            except (OSError, TypeError, ValueError):
                pass  # no WordPiece vocabulary there: the complaint about the first one is the useful one
    except (OSError, ValueError) as err:
        raise OSError(not_loadable("text", name, err)) from err
    mismatch = _mismatch(tokenizer, config)
    if mismatch:
        raise ValueError(
            f"The tokenizer must belong to the text encoder {name}: {mismatch}. Save both into the same directory "
            "(tokenizer.save_pretrained and model.save_pretrained)."
        )
    return tokenizer


def _mismatch(tokenizer, config) -> str:
    """Why the tokenizer cannot belong to the model; empty where it can."""
    if tokenizer.pad_token_id != config.pad_token_id:
        return f"the model pads with id {config.pad_token_id}, the tokenizer with {tokenizer.pad_token_id}"
    if len(tokenizer) > config.vocab_size:
        return f"the model knows {config.vocab_size} ids, the tokenizer has {len(tokenizer)}"
    if set(tokenizer.get_vocab()) <= {*tokenizer.all_special_tokens, "▁"}:
        return "the tokenizer knows special tokens only; its vocabulary file is missing"
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    if normalizer is not None and normalizer.normalize_str("한") != "한":
        return "the tokenizer splits Hangul syllables into jamo (do_lower_case or strip_accents is on)"
    return ""


def load_feature_extractor(name: str, revision: str | None = None):
    """The audio encoder's own preprocessor; zero mean and unit variance where the encoder ships none.

    Raises:
        OSError: The files are neither on disk, nor in the hub's cache, nor reachable.
        ValueError: It expects another rate than 16 kHz.
    """
    standard = Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=SAMPLE_RATE, padding_value=0.0, do_normalize=True, return_attention_mask=True
    )
    if name == TINY:
        return standard
    if Path(name).is_dir() and not (Path(name) / "preprocessor_config.json").is_file():
        print(f"{name} has no preprocessor_config.json: waveforms are brought to zero mean and unit variance.")
        return standard
    try:
        extractor = AutoFeatureExtractor.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as err:
        raise OSError(not_loadable("audio", name, err)) from err
    if extractor.sampling_rate != SAMPLE_RATE:
        raise ValueError(f"Audio encoders must take {SAMPLE_RATE} Hz: {name} expects {extractor.sampling_rate} Hz.")
    return extractor


def not_loadable(which: str, name: str, err: Exception) -> str:
    """Message for an encoder whose files cannot be had."""
    return (
        f"The {which} encoder must be a hub id that is reachable or cached, a directory written by save_pretrained, "
        f"or {TINY}: {name!r} could not be loaded ({str(err).splitlines()[0]}). Fetch it once where there is a network "
        f"(hf download {name}), or name a directory: encoders.{which}.name=/path/to/{which}_encoder"
    )


class Collator:
    """Rows -> ``Batch``.

    Args:
        tokenizer: The text encoder's own.
        feature_extractor: The audio encoder's own.
        target: Label kind of the training target.
        max_samples: Longest audio, in samples at 16 kHz; the rest is cut off.
        max_tokens: Longest text, in tokens with the two special ones.
    """

    def __init__(
        self, tokenizer, feature_extractor, target: TargetKind, max_samples: int = 112_000, max_tokens: int = 64
    ) -> None:
        self.tokenizer, self.feature_extractor, self.target = tokenizer, feature_extractor, target
        self.max_samples, self.max_tokens = max_samples, max_tokens

    def __call__(self, rows: Sequence[dict]) -> Batch:
        """Batch of these rows, in their order."""
        waveforms = [np.asarray(row["waveform"][: self.max_samples], dtype=np.float32) / 32768.0 for row in rows]
        audio = self.feature_extractor(
            waveforms, sampling_rate=SAMPLE_RATE, padding=True, return_attention_mask=True, return_tensors="pt"
        )
        text = self.tokenizer(
            [str(row["transcript"]) for row in rows],
            truncation=True,
            max_length=self.max_tokens,
            padding=True,
            return_tensors="pt",
        )
        hard_label = np.array([row["hard_label"] for row in rows], dtype=np.int64)
        target = make_target(self.target, np.stack([np.asarray(row["votes"]) for row in rows]), hard_label)
        return Batch(
            segment_id=[str(row["segment_id"]) for row in rows],
            waveform=audio["input_values"].float(),
            waveform_mask=audio["attention_mask"].bool(),
            token_ids=text["input_ids"],
            token_mask=text["attention_mask"].bool(),
            target=torch.from_numpy(target).float(),
            hard_label=torch.from_numpy(hard_label),
            is_tied=torch.tensor([bool(row["is_tied"]) for row in rows]),
            va=torch.tensor([[float(row["valence"]), float(row["arousal"])] for row in rows], dtype=torch.float32),
        )


class LengthBucketSampler(Sampler[list[int]]):
    """Batches of segments of like length, in random order.

    Segments are shuffled, cut into pools of ``pool_batches`` batches, sorted by length within a pool and dealt out;
    then the batches are shuffled. Work grows with the padded length, so little of it goes into padding. The order is a
    function of (seed, epoch) alone: a resumed run sees the batches that the uninterrupted one would have seen.

    Several processes share each batch of ``batch_size * n_processes`` segments, so that together they take the steps
    that one process with that batch size would take. In training, what does not divide is left for another epoch.

    Args:
        lengths: Samples of each segment.
        batch_size: Segments a batch and process; the last one may be smaller.
        seed: Of the order.
        epoch: Of the order.
        pool_batches: Batches a pool; larger pools waste less padding, and mix less.
        shuffle: False gives sorted batches in sorted order (for evaluation): every segment once.
        n_processes: How many processes share a batch.
        process: Which of them this is.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int = 42,
        epoch: int = 0,
        pool_batches: int = 50,
        shuffle: bool = True,
        n_processes: int = 1,
        process: int = 0,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size, self.seed, self.epoch = batch_size * n_processes, seed, epoch
        self.pool_batches, self.shuffle = pool_batches, shuffle
        self.n_processes, self.process = n_processes, process

    def __len__(self) -> int:
        """Number of batches of this process."""
        n_whole, rest = divmod(len(self.lengths), self.batch_size)
        has_share = rest >= self.n_processes if self.shuffle else rest > self.process
        return n_whole + has_share

    def __iter__(self) -> Iterator[list[int]]:
        """Lists of indices."""
        rng = np.random.default_rng([self.seed, self.epoch])
        n = len(self.lengths)
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        pool = self.batch_size * self.pool_batches if self.shuffle else max(n, 1)
        batches: list[list[int]] = []
        for start in range(0, n, pool):
            indices = order[start : start + pool]
            indices = indices[np.argsort(self.lengths[indices], kind="stable")]
            batches += [indices[i : i + self.batch_size].tolist() for i in range(0, len(indices), self.batch_size)]
        if self.shuffle:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        for batch in batches:
            # equal shares in training, or the mean of the processes' means would not be the mean of the batch
            shared = len(batch) // self.n_processes * self.n_processes if self.shuffle else len(batch)
            share = batch[self.process : shared : self.n_processes]
            if share:
                yield share


def make_loader(ds, collate: Collator, sampler: Sampler[list[int]], num_workers: int = 0, timeout_seconds: int = 120):
    """Loader over a ``datasets.Dataset``.

    Workers are spawned, not forked: a fork after OpenMP work can hang for ever.

    Args:
        ds: Rows with the columns of ``COLUMNS``.
        collate: Rows -> batch.
        sampler: Yields lists of indices.
        num_workers: Processes that prepare batches; 0 stays in this process.
        timeout_seconds: A worker that is silent for so long raises an error.
    """
    return DataLoader(
        # dtype=None: int16 stays int16 instead of becoming int64
        ds.select_columns(COLUMNS).with_format("numpy", dtype=None),
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        multiprocessing_context="spawn" if num_workers else None,
        timeout=timeout_seconds if num_workers else 0,
        pin_memory=torch.cuda.is_available(),
    )
