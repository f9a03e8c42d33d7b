"""The cut through an encoder: both parts together are the whole encoder, and only what is above the cut changes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers import BertConfig, ElectraConfig, HubertConfig, RobertaConfig, Wav2Vec2Config, WavLMConfig

from erc.model.encoders import AudioEncoder, PretrainedEncoder, TextEncoder
from erc.model.layer_cut import cut_complaint

N_LAYERS = 3
SMALL = {"hidden_size": 16, "num_hidden_layers": N_LAYERS, "num_attention_heads": 2, "intermediate_size": 24}
AUDIO = SMALL | {
    "conv_dim": (8, 8, 16), "conv_kernel": (20, 12, 8), "conv_stride": (10, 8, 4), "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2, "mask_time_prob": 0.5, "layerdrop": 0.0, "num_buckets": 8, "max_bucket_distance": 16,
}  # fmt: skip
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}  # as in XLSR
PLAIN = {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False}  # as in wav2vec2-base
TEXT = SMALL | {"vocab_size": 40, "max_position_embeddings": 40, "pad_token_id": 1, "type_vocab_size": 1}
KINDS = {
    "wav2vec2-stable": Wav2Vec2Config(**AUDIO, **STABLE),
    "wav2vec2": Wav2Vec2Config(**AUDIO, **PLAIN),
    "hubert-stable": HubertConfig(**AUDIO, **STABLE),
    "hubert": HubertConfig(**AUDIO, **PLAIN),
    "wavlm-stable": WavLMConfig(**AUDIO, **STABLE),
    "wavlm": WavLMConfig(**AUDIO, **PLAIN),
    "roberta": RobertaConfig(**TEXT),
    "bert": BertConfig(**TEXT),
}


def encoder_of(kind: str, train_last: int | None = None, **options) -> PretrainedEncoder:
    """The same weights for the same kind, in training mode."""
    torch.manual_seed(0)
    config = copy.deepcopy(KINDS[kind])
    encoder = (TextEncoder if kind in ("roberta", "bert") else AudioEncoder).from_config(config)
    for name, parameter in encoder.named_parameters():
        if (
            "norm" in name.lower()
        ):  # norms start at 1 and 0, where a norm that is left out or taken twice would not show
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    encoder.train()
    encoder.adapt(train_last=train_last, **options)
    return encoder


def inputs_of(kind: str, lengths: tuple[int, int] = (6_000, 9_000)) -> tuple[torch.Tensor, torch.Tensor]:
    if kind in ("roberta", "bert"):
        mask = torch.arange(9) < torch.tensor([[5], [9]])
        return torch.where(mask, torch.arange(5, 23).view(2, 9), 1), mask
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    values = torch.from_numpy(np.random.default_rng(0).normal(size=mask.shape)).float()
    return values * mask, mask


def trained(encoder: PretrainedEncoder) -> set[str]:
    return {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_both_parts_together_are_the_whole_encoder_wherever_the_cut_is(kind):
    whole, mask = encoder_of(kind).eval()(*inputs_of(kind))  # oracle: Hugging Face's own forward pass
    assert whole[mask].std() > 0.1
    names = list(encoder_of(kind).state_dict())
    for train_last in range(N_LAYERS + 1):
        encoder = encoder_of(kind, train_last)
        found, found_mask = encoder.eval()(*inputs_of(kind))
        assert torch.equal(found_mask, mask)
        torch.testing.assert_close(found[mask], whole[mask], rtol=0, atol=1e-5)
        assert list(encoder.state_dict()) == names
        hidden, _ = encoder.below(*inputs_of(kind))
        # control: below the cut is another place than the end, unless nothing is above
        assert (hidden - whole)[mask].abs().max() > 0.05 or not train_last


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_the_last_layers_and_the_last_norm_are_trained(kind):
    layer = "layer" if kind in ("roberta", "bert") else "layers"
    for train_last in range(N_LAYERS + 1):
        kept = [f"model.encoder.{layer}.{n}." for n in range(N_LAYERS - train_last, N_LAYERS)]
        if "stable" in kind and train_last:
            kept.append("model.encoder.layer_norm.")
        encoder = encoder_of(kind, train_last)
        everything = {name for name, _ in encoder.named_parameters()}
        assert trained(encoder) == {name for name in everything if name.startswith(tuple(kept))}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_trained_parameter_gets_a_gradient_and_no_other(kind, checkpointing):
    # a trained parameter without gradient would stop training on several devices
    encoder = encoder_of(kind, 2, gradient_checkpointing=checkpointing)
    sequence, mask = encoder(*inputs_of(kind))
    sequence[mask].square().sum().backward()
    got = {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert got == trained(encoder) and len(got) > 20


def test_no_activation_is_kept_below_the_cut():
    n_kept = []
    for train_last in (None, 1, 0):
        encoder, kept = encoder_of("wav2vec2-stable", train_last), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t) or t, lambda t: t):
            encoder(*inputs_of("wav2vec2-stable"))
        n_kept.append(len(kept))
    assert n_kept[0] > 2 * n_kept[1] > 0 == n_kept[2]


@pytest.mark.parametrize("kind", ["wav2vec2-stable", "wavlm", "roberta"])
def test_what_is_below_the_cut_stays_in_evaluation_mode(kind):
    encoder = encoder_of(kind, 1)
    first = encoder.below(*inputs_of(kind))[0]
    for mode in (True, False, True):
        encoder.train(mode)
        # SpecAugment and dropout of every kind are on in the plain encoder (control below)
        assert torch.equal(encoder.below(*inputs_of(kind))[0], first)
    above = [name for name, module in encoder.named_modules() if module.training and name]
    last = "model.encoder.layer." if kind == "roberta" else "model.encoder.layers."
    assert above and all(name.startswith((f"{last}{N_LAYERS - 1}", "model.encoder.layer_norm")) for name in above)
    plain = encoder_of(kind)
    assert not torch.equal(plain(*inputs_of(kind))[0], plain(*inputs_of(kind))[0])
    assert not any(module.training for module in encoder.eval().modules())


@pytest.mark.parametrize("kind", ["wav2vec2-stable", "hubert", "wavlm"])
def test_layer_drop_above_the_cut_works_in_training_only(kind):
    encoder = encoder_of(kind, 2, layerdrop=0.999_999)
    inputs = inputs_of(kind)
    hidden, _ = encoder.below(*inputs)
    dropped = encoder(*inputs)[0]
    norm = encoder.model.encoder.layer_norm if "stable" in kind else torch.nn.Identity()
    assert torch.equal(dropped, norm(hidden))  # both layers were left out
    assert not torch.equal(encoder.eval()(*inputs)[0], dropped)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_cut_lets_through_does_not_depend_on_the_batch(kind):
    encoder = encoder_of(kind, 1)
    values, mask = inputs_of(kind)
    together, frames = encoder.below(values, mask)
    for i, n in enumerate(mask.sum(dim=1)):
        alone, mask_alone = encoder.below(values[i : i + 1, :n], mask[i : i + 1, :n])
        torch.testing.assert_close(together[i][frames[i]], alone[mask_alone], rtol=0, atol=1e-5)


def test_more_layers_than_there_are_is_an_error():
    with pytest.raises(ValueError, match=f"expected 0 to {N_LAYERS}, got 4"):
        encoder_of("roberta", 4)


def test_an_encoder_of_unknown_make_is_frozen_whole_or_trained_whole():
    torch.manual_seed(0)
    encoder = TextEncoder.from_config(ElectraConfig(**TEXT))
    with pytest.raises(ValueError, match="got electra"):
        encoder.adapt(train_last=1)
    encoder.adapt(train_last=0)
    assert not trained(encoder) and not encoder(*inputs_of("roberta"))[0].requires_grad


def test_an_encoder_with_something_behind_its_layers_is_not_cut():
    config = Wav2Vec2Config(**AUDIO, **STABLE, add_adapter=True, num_adapter_layers=1)
    encoder = AudioEncoder.from_config(config)
    with pytest.raises(ValueError, match="add_adapter"):
        encoder.adapt(train_last=1)


@pytest.mark.parametrize("other", ["freeze", "freeze_feature_encoder", "lora_rank"])
def test_another_option_for_what_is_trained_is_refused(other):
    assert cut_complaint({"train_last": None, other: 2}) == cut_complaint({"train_last": 0}) == ""
    assert f"got {other}=2" in cut_complaint({"train_last": 0, other: 2})
    if other != "lora_rank":
        with pytest.raises(ValueError, match=f"got {other}=True"):
            AudioEncoder("tiny", train_last=1, **{other: True})
