"""Sizes of encoders without their weights: the configuration of an encoder, found without the network.

Comes in: a name as in ``config/encoders``. Goes out: Hugging Face's configuration, and where it was found. For planning a
training, whose cost does not depend on the values of the weights.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

from transformers import AutoConfig, PreTrainedConfig, RobertaConfig, Wav2Vec2Config

from erc.model.places import saved_model
from erc.model.pretrained import TINY, quiet_transformers, tiny_audio_config, tiny_text_config

KNOWN = {
    "kresnik/wav2vec2-large-xlsr-korean": Wav2Vec2Config(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
        layerdrop=0.1,
    ),
    "klue/roberta-large": RobertaConfig(
        vocab_size=32_000,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
    ),
}
"""The paper's encoders: wav2vec 2.0 large (Conneau et al., 2020, arXiv 2006.13979) and RoBERTa large (Park et al., 2021,
arXiv 2105.09680), 24 layers of 1,024 each."""


def encoder_config(which: str, name: str, revision: str | None = None) -> tuple[PreTrainedConfig, str]:
    """Configuration of an encoder and where it was found, in words; nothing is fetched.

    Args:
        which: Modality: ``audio`` or ``text``.
        name: Hub id, a directory written by ``save_pretrained``, or ``tiny``.
        revision: Commit, tag or branch on the hub.

    Raises:
        OSError: It is no directory with a configuration, not in the hub's cache, and not one of the paper's encoders.
    """
    if name == TINY:
        return tiny_audio_config() if which == "audio" else tiny_text_config(), "tiny"
    try:
        with quiet_transformers():
            found = AutoConfig.from_pretrained(
                name, revision=revision or "main", local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError) as err:
        if name not in KNOWN:
            raise OSError(
                f"The sizes of the {which} encoder must be known: expected a directory with config.json or a hub id that is "
                f"cached, got {name} (encoders.{which}.name). Fetch its config.json once (hf download {name} config.json)."
            ) from err
        return copy.deepcopy(KNOWN[name]), "not cached, so the known size is taken"
    return found, "directory" if Path(name).is_dir() else "cache of the hub"


def saved_encoder_config(which: str, saved: str | Path) -> PreTrainedConfig | None:
    """Configuration of an encoder of a saved model (``model.init_from``); None where it has no such encoder.

    Raises:
        FileNotFoundError: There is no saved model.
    """
    kept = json.loads((saved_model(saved) / "config.json").read_text(encoding="utf-8")).get(f"{which}_config")
    return None if kept is None else AutoConfig.for_model(**kept)
