"""Loads pre-trained encoders, and the tokenizer and the feature extractor that belong to them.

An encoder is named by a hub id, by a directory that ``save_pretrained`` wrote, or by ``tiny``: a small configuration with
random weights, for the demo and the tests. A directory and ``tiny`` need no network; a hub id needs none once it is cached.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import nn
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

from erc.data import SAMPLE_RATE

TINY = "tiny"
"""Name of the encoders that are built from a small configuration with random weights."""


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
    try:
        config = AutoConfig.from_pretrained(name, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        if _mismatch(tokenizer, config) and not isinstance(tokenizer, BertTokenizer):
            try:
                tokenizer = BertTokenizer.from_pretrained(name, revision=revision or "main", do_lower_case=False)
            except (OSError, TypeError, ValueError):
                pass  # There is no WordPiece vocabulary: the complaint about the first tokenizer is more useful.
    except (OSError, ValueError) as err:
        raise OSError(not_loadable("text", name, err)) from err
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
        name: Hub id, a directory written by ``save_pretrained``, or ``tiny``.
        revision: Commit, tag or branch on the hub.

    Raises:
        OSError: The files are neither on disk nor in the hub's cache, and the hub cannot be reached.
        ValueError: It expects another sampling rate than 16 kHz.
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
        raise ValueError(
            f"Audio encoders must take {SAMPLE_RATE} Hz: {name} expects {extractor.sampling_rate} Hz. Choose another encoder."
        )
    return extractor


def not_loadable(which: str, name: str, err: Exception) -> str:
    """Message for an encoder whose files cannot be loaded."""
    return (
        f"The {which} encoder must be a hub id that is reachable or cached, a directory written by save_pretrained, "
        f"or {TINY}: {name!r} could not be loaded ({str(err).splitlines()[0]}). Fetch it once with a network connection "
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
        OSError: The files are neither on disk nor in the hub's cache, and the hub cannot be reached.
    """
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, **overrides)
        model = AutoModel.from_pretrained(name, revision=revision, config=config, dtype=torch.float32)
    except (OSError, ValueError) as err:
        raise OSError(not_loadable(which, name, err)) from err
    # The model comes in evaluation mode. Lightning keeps that mode, and dropout and SpecAugment would never run.
    return model.train()


def adapt(
    model: PreTrainedModel, freeze: bool, gradient_checkpointing: bool, lora_rank: int | None, lora_targets: list[str]
) -> nn.Module:
    """The model with what is trained of it, and how.

    Args:
        model: Changed in place.
        freeze: Train nothing of it, and leave dropout off.
        gradient_checkpointing: Save memory at the cost of a second forward pass.
        lora_rank: Rank of low-rank adapters, which are trained instead of the weights; None trains the weights.
        lora_targets: Names of the linear maps that get adapters.

    Raises:
        ImportError: Adapters are asked for, and ``peft`` is not installed.
    """
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if freeze:
        model.requires_grad_(False).eval()
    elif lora_rank is not None:
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as err:
            raise ImportError("lora_rank needs the package peft, which is optional: pip install peft") from err
        lora = LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, lora_dropout=0.05, target_modules=lora_targets)
        # The adapters stand in the model itself, so the model keeps its class and its methods.
        return get_peft_model(model, lora).get_base_model()
    return model


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
