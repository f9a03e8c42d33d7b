"""Missing modalities: one rule for every fusion, learned replacements, modality dropout."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from saved_models import save_tiny, spectrogram
from torch import nn

from erc.data import FEATURES, KEMD, Inputs
from erc.model import EmotionModel, SignalEncoder, TextEncoder, build_model, fusion as fusions, load_model
from erc.training.optim import build_optimizer, named_parameters

MIXER = {"mixer_dim": 8, "depth": 1, "tokens_mlp_dim": 8, "channels_mlp_dim": 8}
FUSIONS = {
    "concat": partial(fusions.Concat, projection_dim=8, hidden_dim=8),
    "cross_attention": partial(fusions.CrossAttention, attention_dim=8, n_heads=2, hidden_dim=8, dropout=0.0),
    "tensor_mixer": partial(fusions.TensorMixer, projection_dim=8, patch_size=4, **MIXER),
    "audio_only": partial(fusions.AudioOnly, projection_dim=8, hidden_dim=8),
    "text_only": partial(fusions.TextOnly, projection_dim=8, hidden_dim=8),
    "signals_only": partial(fusions.SignalsOnly, projection_dim=8, hidden_dim=8),
    "concat_3": partial(fusions.Concat3, projection_dim=8, hidden_dim=8),
    "cross_attention_3": partial(fusions.CrossAttention3, attention_dim=8, n_heads=2, hidden_dim=8, dropout=0.0),
    "tensor_mixer_3": partial(
        fusions.TensorMixer3,
        audio_dim=8,
        text_dim=8,
        signals_dim=4,
        audio_patch=4,
        text_patch=4,
        signals_patch=2,
        **MIXER,
    ),
}
OF_TWO = ["concat", "cross_attention", "tensor_mixer"]
OF_THREE = [f"{name}_3" for name in OF_TWO]


def model(fusion: str, modality_dropout: float = 0.0) -> EmotionModel:
    torch.manual_seed(4)
    encoders = {
        "audio": spectrogram(),
        "text": partial(TextEncoder, name="tiny"),
        "signals": partial(SignalEncoder, form="features", hidden_dim=8),
    }
    made = EmotionModel(encoders, FUSIONS[fusion], KEMD, modality_dropout).eval()
    with torch.no_grad():
        for vector in made.missing.replacements.values():
            nn.init.normal_(vector)
    return made


def inputs(n: int = 4) -> Inputs:
    torch.manual_seed(5)
    values = {
        "audio": torch.randn(n, 3200),
        "text": torch.randint(5, 40, (n, 6)),
        "signals": torch.randn(n, len(FEATURES)),
    }
    return {name: {"values": one, "mask": torch.ones_like(one, dtype=torch.bool)} for name, one in values.items()}


def without(given: Inputs, modality: str, *segments: int) -> Inputs:
    mask = given[modality]["mask"].clone()
    mask[list(segments)] = False
    return given | {modality: {"values": given[modality]["values"], "mask": mask}}


def embedding(made: EmotionModel, given: Inputs) -> torch.Tensor:
    with torch.no_grad():
        return made(given).embedding


@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["zero", "learned"])
@pytest.mark.parametrize("fusion", [name for name in FUSIONS if not name.endswith("only")])
def test_what_a_segment_lacks_is_not_read_and_changes_no_other_segment(fusion, dropout):
    made, given = model(fusion, dropout), inputs()
    whole = embedding(made, given)
    for modality in made.encoders:
        lacking = without(given, modality, 1, 3)
        found = embedding(made, lacking)
        torch.testing.assert_close(found[[0, 2]], whole[[0, 2]], rtol=0, atol=1e-6)
        assert (found[[1, 3]] - whole[[1, 3]]).abs().amax(dim=1).min() > 1e-5, modality
        other = inputs()[modality]["values"].flip(1)
        changed = lacking | {
            modality: {"values": torch.where(lacking[modality]["mask"], given[modality]["values"], other)}
            | {"mask": lacking[modality]["mask"]}
        }
        torch.testing.assert_close(embedding(made, changed), found, rtol=0, atol=1e-6)


@pytest.mark.parametrize("fusion", OF_THREE)
def test_a_missing_modality_is_read_as_its_learned_vector(fusion):
    made, given = model(fusion), inputs()
    found = embedding(made, without(given, "signals", 0, 1, 2, 3))
    sequences, masks = {}, {}
    for modality in ("audio", "text"):
        with torch.no_grad():
            sequences[modality], masks[modality] = made.encoders[modality](
                given[modality]["values"], given[modality]["mask"]
            )
    sequences["signals"] = made.missing.replacements["signals"].detach().expand(4, 1, -1)
    masks["signals"] = torch.ones(4, 1, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(made.fusion(sequences, masks), found, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        embedding(made, {name: given[name] for name in ("audio", "text")}), found, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("fusion", ["audio_only", "text_only", "signals_only"])
def test_a_modality_that_is_not_read_may_be_missing_without_any_effect(fusion):
    made, given = model(fusion), inputs()
    whole = embedding(made, given)
    for modality in set(given) - set(made.encoders):
        assert torch.equal(embedding(made, without(given, modality, 0, 1, 2, 3)), whole)


def test_a_model_that_has_not_learned_to_do_without_a_modality_refuses_inputs_without_it():
    given = {name: one for name, one in inputs().items() if name != "text"}
    with pytest.raises(ValueError, match="Inputs must hold every modality"):
        model("concat")(given)
    assert model("concat", 0.2)(given).embedding.shape == (4, 8)
    with pytest.raises(ValueError, match="Inputs must hold every modality"):
        model("signals_only")({})


def test_dropout_drops_each_modality_as_often_as_asked_and_never_all():
    made = model("concat_3", 0.3).missing.train()
    torch.manual_seed(0)
    present = {name: torch.ones(200_000, dtype=torch.bool) for name in ("audio", "text", "signals")}
    present["signals"][:1000] = False  # these two only
    left = torch.stack(list(made._dropped(present).values()), dim=1)
    assert left.any(dim=1).all()
    assert not left[:1000, 2].any()
    # each is dropped with chance p; a segment that would lose all keeps all: p - p^3
    assert (~left[1000:]).float().mean(dim=0) == pytest.approx([0.3 - 0.3**3] * 3, abs=0.01)


def test_without_dropout_no_random_number_is_drawn_and_a_model_of_two_has_no_further_weight():
    plain = model("tensor_mixer").train()
    assert not [name for name in plain.state_dict() if name.startswith("missing")]
    sequences = {name: torch.randn(2, 3, 4) for name in ("audio", "text")}
    masks = {name: torch.tensor([[True, True, False]] * 2) for name in sequences}
    before = torch.get_rng_state()
    read, read_masks = plain.missing(sequences, masks, {name: torch.ones(2, dtype=torch.bool) for name in sequences})
    assert torch.equal(torch.get_rng_state(), before)
    assert all(
        torch.equal(read[name], sequences[name]) and torch.equal(read_masks[name], masks[name]) for name in masks
    )


@pytest.mark.parametrize("fusion", OF_THREE)
def test_every_parameter_is_in_the_graph_though_nothing_is_missing_and_in_one_group(fusion):
    made = model(fusion, 0.2).eval()  # no dropout drawn, so nothing is missing
    prediction = made(inputs())
    (prediction.emotion_logits.sum() + prediction.va.sum()).backward()
    assert [name for name, one in made.named_parameters() if one.requires_grad and one.grad is None] == []
    groups = build_optimizer(
        made, {"audio": 1.0, "text": 2.0, "signals": 3.0, "fusion": 4.0, "heads": 5.0}
    ).param_groups
    lr_of = {one: group["lr"] for group in groups for one in group["params"]}
    assert len(lr_of) == len([one for one in made.parameters() if one.requires_grad])
    assert {lr_of[one] for one in made.missing.parameters()} == {4.0}
    assert {lr_of[one] for one in made.encoders["signals"].parameters()} == {3.0}
    assert "fusion.missing.audio" in named_parameters(made)


@pytest.mark.parametrize("fusion", ["tensor_mixer_3", "signals_only"])
def test_a_saved_model_reads_signals_as_the_trained_one_does(tmp_path, fusion):
    made, given = model(fusion, 0.2), inputs()
    made.encoders["signals"].normalise_by(torch.randn(30, len(FEATURES)).mul(3).add(1).numpy())
    saved = load_model(save_tiny(tmp_path / "model", made)).model
    assert torch.equal(embedding(saved.emotion_model, given), embedding(made, given))
    plain = {"signals": given["signals"]["values"], "signals_mask": given["signals"]["mask"]}
    if fusion == "tensor_mixer_3":
        plain |= {"input_values": given["audio"]["values"], "input_ids": given["text"]["values"]}
    torch.testing.assert_close(saved(**plain).embeddings, made(given).embedding)


def test_a_model_that_is_trained_on_keeps_what_it_learned_of_missing_modalities(tmp_path):
    made = model("concat_3", 0.2)
    folder = save_tiny(tmp_path / "model", made)
    encoders = {
        "audio": spectrogram(),
        "text": partial(TextEncoder, name="tiny"),
        "signals": partial(SignalEncoder, form="features", hidden_dim=8),
    }
    on = build_model(encoders, FUSIONS["concat_3"], KEMD, init_from=str(folder))
    assert on.missing.dropout == 0.0
    assert torch.equal(on.missing.replacements["audio"], made.missing.replacements["audio"])
    again = load_model(save_tiny(tmp_path / "again", on)).model.emotion_model
    assert torch.equal(again.missing.replacements["audio"], made.missing.replacements["audio"])
    with pytest.raises(ValueError, match=r"dataset\.signals=features"):
        build_model(
            encoders | {"signals": partial(SignalEncoder, form="sequence", hidden_dim=8)},
            FUSIONS["concat_3"],
            KEMD,
            init_from=str(folder),
        )
