"""Loads pre-trained encoders, and the tokenizer and the feature extractor that belong to them.

An encoder is named by a hub id, by a directory that ``save_pretrained`` wrote, or by ``tiny``: a small configuration with
random weights, for the demo and the tests. A directory and ``tiny`` need no network; a hub id needs none once it is cached.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoTokenizer,
    BertTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    SequenceFeatureExtractor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
)
from transformers.utils import logging as transformers_logging

from erc.data import SAMPLE_RATE

TINY = "tiny"
"""Name of the encoders that are built from a small configuration with random weights."""

SPECTROGRAM = "spectrogram"
"""Name of the audio encoder that computes spectrograms and has no weights to load; see ``spectrogram.py``."""

NOT_NEEDED = re.compile(r"pooler\..*|masked_spec_embed")
"""Weights that a checkpoint may lack: the pooler is not used, and SpecAugment's vector is learnt in fine-tuning (a checkpoint
that was saved with SpecAugment off has none)."""

HUB_SECONDS = 3.0
"""Longest wait for the hub to answer at all."""

# a checkpoint without safetensors is read as it is; transformers would ask a service of the hub to convert it
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")


@functools.lru_cache(maxsize=1)
def tiny_vocabulary() -> tuple[str, ...]:
    """WordPiece vocabulary of the ``tiny`` text encoder: every common Korean syllable, letter, digit and mark.

    The special tokens have the ids that they have in ``klue/roberta-large``: [CLS] 0, [PAD] 1, [SEP] 2, [UNK] 3,
    [MASK] 4. The syllables are the 2,350 of KS X 1001, each also as a continuation (``##``).
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


def load_tokenizer(name: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The text encoder's own tokenizer, checked against its model.

    ``klue/roberta-large`` joins RoBERTa weights with a cased BERT WordPiece tokenizer. WordPiece is taken where the files
    do not tell the class (a ``vocab.txt`` beside a RoBERTa configuration).

    Args:
        name: Hub id, a directory written by ``save_pretrained``, or ``tiny``.
        revision: Commit, tag or branch on the hub.

    Raises:
        OSError: The files are neither on disk nor in the hub's cache, and the hub cannot be reached.
        ValueError: Its ids do not belong to the model (padding id, vocabulary size), or it splits Hangul into jamo.
    """
    if name == TINY:
        return BertTokenizer(vocab={token: i for i, token in enumerate(tiny_vocabulary())}, do_lower_case=False)
    with _loading("text", name):
        options = hub_options(name, revision)
        config = AutoConfig.from_pretrained(name, **options)
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        if _mismatch(tokenizer, config) and not isinstance(tokenizer, BertTokenizer):
            # where there is no WordPiece vocabulary, the complaint about the first tokenizer is more useful
            with contextlib.suppress(OSError, TypeError, ValueError):
                tokenizer = BertTokenizer.from_pretrained(name, do_lower_case=False, **options)
    mismatch = _mismatch(tokenizer, config)
    if mismatch:
        raise ValueError(
            f"The tokenizer must belong to the text encoder {name}: {mismatch}. Save both into the same directory "
            "(tokenizer.save_pretrained and model.save_pretrained)."
        )
    return tokenizer


def _mismatch(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> str:
    """Reason why the tokenizer cannot belong to the model; empty if it can."""
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


def load_feature_extractor(name: str, revision: str | None = None) -> SequenceFeatureExtractor:
    """The audio encoder's own preprocessor; zero mean and unit variance if the encoder has none.

    Args:
        name: Hub id, a directory written by ``save_pretrained``, ``tiny`` or ``spectrogram``.
        revision: Commit, tag or branch on the hub.

    Raises:
        OSError: The files are neither on disk nor in the hub's cache, and the hub cannot be reached.
        ValueError: It expects another sampling rate than 16 kHz.
    """
    standard = Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=SAMPLE_RATE, padding_value=0.0, do_normalize=True, return_attention_mask=True
    )
    if name in (TINY, SPECTROGRAM):
        return standard
    if Path(name).is_dir() and not (Path(name) / "preprocessor_config.json").is_file():
        print(f"{name} has no preprocessor_config.json: waveforms are brought to zero mean and unit variance.")
        return standard
    with _loading("audio", name):
        extractor = AutoFeatureExtractor.from_pretrained(name, **hub_options(name, revision))
    if extractor.sampling_rate != SAMPLE_RATE:
        raise ValueError(
            f"Audio encoders must take {SAMPLE_RATE} Hz: {name} expects {extractor.sampling_rate} Hz. Choose another encoder."
        )
    return extractor


def hub_options(name: str, revision: str | None) -> dict[str, Any]:
    """Arguments of every ``from_pretrained``: no code of the encoder's own, and no long wait for a hub that does not answer.

    Weights come from safetensors where there are some; a ``.bin`` is read as weights only (torch runs nothing of it).
    """
    is_cached_only = not Path(name).is_dir() and not _hub_answers()
    return {"revision": revision or "main", "trust_remote_code": False, "local_files_only": is_cached_only}


@functools.cache
def _hub_answers() -> bool:
    """Whether the hub can be connected to; behind a proxy it is taken for granted. Looked up once a process.

    The hub's own client tries again for half a minute before it gives up.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if urllib.request.getproxies():
        return True
    hub = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((hub.hostname or "", port), timeout=HUB_SECONDS).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _loading(which: str, name: str) -> Iterator[None]:
    """Keeps transformers' own reports off the terminal, and turns its errors into one of ours."""
    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError, SafetensorError) as err:
        raise OSError(not_loadable(which, name, err)) from err


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers' own reports and progress bars off the terminal."""
    level = transformers_logging.get_verbosity()
    has_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if has_bars:
            transformers_logging.enable_progress_bar()


def _check_weights(which: str, name: str, report: dict[str, Any]) -> None:
    """Raises ValueError if weights would stay at random values: those that are missing, or of another size."""
    missing = sorted(key for key in report["missing_keys"] if not NOT_NEEDED.fullmatch(key))
    other_size = sorted(str(key[0] if isinstance(key, tuple) else key) for key in report["mismatched_keys"])
    wrong = [f"{key} is missing" for key in missing] + [f"{key} is of another size" for key in other_size]
    if wrong:
        rest = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(
            f"A pre-trained encoder must bring all its weights: expected every one of the {which} encoder {name!r}, got "
            f"{len(wrong)} that would stay random ({', '.join(wrong[:5])}{rest}). Fetch or save its files again."
        )


def not_loadable(which: str, name: str, err: Exception) -> str:
    """Message for an encoder whose files cannot be loaded."""
    reason = (str(err).splitlines() or [type(err).__name__])[0]
    if "trust_remote_code" in str(err):
        reason = "it brings code of its own, which is not run"
    elif isinstance(err, pickle.UnpicklingError) or "weights_only" in str(err):
        reason = "its weights file holds more than weights, which is not run"
    elif not Path(name).is_dir() and not _hub_answers():
        reason = "it is not cached, and the hub does not answer"
    return (
        f"The {which} encoder must be a hub id that is reachable or cached, a directory written by save_pretrained, "
        f"or {TINY}: {name!r} could not be loaded ({reason}). Fetch it once with a network connection "
        f"(hf download {name}), or name a directory: encoders.{which}.name=/path/to/{which}_encoder"
    )


def load_encoder(which: str, name: str, revision: str | None, overrides: dict) -> PreTrainedModel:
    """The pre-trained model in float32 and in training mode.

    Args:
        which: Modality, for the error message.
        name: Hub id, or a directory written by ``save_pretrained``.
        revision: Commit, tag or branch on the hub.
        overrides: Options that replace those of the model's configuration.

    Raises:
        OSError: The files are neither on disk nor in the hub's cache, and the hub cannot be reached, or they are damaged.
        ValueError: The files lack weights, or hold weights of another size.
    """
    options = hub_options(name, revision)
    with _loading(which, name):
        config = AutoConfig.from_pretrained(name, **options, **overrides)
        # mismatched sizes are reported as missing weights are, by name
        model, report = AutoModel.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    _check_weights(which, name, report)
    # The model comes in evaluation mode. Lightning keeps that mode, and dropout and SpecAugment would never run.
    return model.train()


def tiny_audio_config(layerdrop: float = 0.0) -> Wav2Vec2Config:
    """wav2vec2-large with layer norm at 1/16 of its width: two layers, and three convolutions with frames of 20 ms.

    wav2vec2 has seven convolutions. They would take several times as long, because the first few run at the highest rates.
    """
    return Wav2Vec2Config(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=(16, 32, 64),
        conv_kernel=(20, 12, 8),
        conv_stride=(10, 8, 4),
        feat_extract_norm="layer",
        feat_extract_activation="relu",
        do_stable_layer_norm=True,
        conv_bias=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        layerdrop=layerdrop,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        mask_time_prob=0.05,
    )


def tiny_text_config() -> RobertaConfig:
    """RoBERTa at width 64 with two layers and the vocabulary of ``tiny_vocabulary``."""
    return RobertaConfig(
        vocab_size=len(tiny_vocabulary()),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,
    )
