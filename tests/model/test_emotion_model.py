"""The whole model: a prediction is its segment's own; which encoders a fusion gets; which parts there are."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn
from transformers import RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

from erc.data import KEMD
from erc.data.collate import Collator, InputCollator, Inputs
from erc.model import encoders as encoders_module
from erc.model.emotion_model import EmotionModel, Prediction
from erc.model.encoders import AudioEncoder, Encoder, TextEncoder
from erc.model.fusion.base import Fusion
from erc.model.fusion.tensor_mixer import TensorMixer
from erc.model.heads import Heads
from erc.model.pooling import masked_mean
from erc.model.pretrained import load_feature_extractor, load_tokenizer, tiny_vocabulary

FUSION = functools.partial(
    TensorMixer, projection_dim=16, patch_size=4, mixer_dim=24, depth=2, tokens_mlp_dim=16, channels_mlp_dim=16
)
LENGTHS = (9_000, 16_000, 500, 6_400)
TEXTS = ("네", "정말 기뻐요! 오늘은 참 좋은 날이에요.", "왜 그래?", "몰라요 몰라요 몰라요")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, str]:
    """Encoders written by ``save_pretrained``: audio with layer norm and with group norm, text."""
    folders = {}
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    for norm in ("layer", "group"):
        torch.manual_seed(0)
        folders[norm] = str(tmp_path_factory.mktemp(norm))
        Wav2Vec2Model(
            Wav2Vec2Config(
                **small,
                conv_dim=(16,) * 7,
                conv_bias=norm == "layer",
                do_stable_layer_norm=norm == "layer",
                feat_extract_norm=norm,
                num_conv_pos_embeddings=16,
                num_conv_pos_embedding_groups=4,
            )
        ).save_pretrained(folders[norm])
    torch.manual_seed(0)
    folders["text"] = str(tmp_path_factory.mktemp("text"))
    RobertaModel(
        RobertaConfig(**small, vocab_size=len(tiny_vocabulary()), max_position_embeddings=80, pad_token_id=1)
    ).save_pretrained(folders["text"])
    return folders


def build(audio: str = "tiny", text: str = "tiny", **options) -> EmotionModel:
    torch.manual_seed(3)
    encoders = {
        "audio": functools.partial(AudioEncoder, audio, **options),
        "text": functools.partial(TextEncoder, text),
    }
    return EmotionModel(encoders, FUSION, KEMD)


def draw_rows(lengths: tuple[int, ...] = LENGTHS, texts: tuple[str, ...] = TEXTS) -> list[dict]:
    rng = np.random.default_rng(1)
    return [
        {
            "segment_id": f"Sess01_script01_F{i:03d}",
            "waveform": rng.normal(0, 3_000, size=n).astype(np.int16),
            "transcript": text,
            "votes": [1, 0, 0, 8, 1, 0, 0],
            "hard_label": 3,
            "is_tied": False,
            "valence": 3.0,
            "arousal": 3.0,
        }
        for i, (n, text) in enumerate(zip(lengths, texts, strict=True))
    ]


def make_inputs(rows: list[dict]) -> Inputs:
    return InputCollator(load_feature_extractor("tiny"), load_tokenizer("tiny"))(rows)["inputs"]


def predict(model: EmotionModel, rows: list[dict], n_more_samples: int = 0, n_more_tokens: int = 0) -> Prediction:
    """Prediction of a batch, with so much more padding than it needs."""
    inputs, pad = make_inputs(rows), nn.functional.pad
    audio, text = inputs["audio"], inputs["text"]
    wider = {
        "audio": {name: pad(audio[name], (0, n_more_samples)) for name in ("values", "mask")},
        "text": {
            "values": pad(text["values"], (0, n_more_tokens), value=1),
            "mask": pad(text["mask"], (0, n_more_tokens)),
        },
    }
    return model(wider)


@pytest.mark.parametrize("audio", ["tiny", "layer", "group"])
@torch.no_grad()
def test_a_segment_is_predicted_alike_alone_in_a_batch_and_with_more_padding(saved, audio):
    model = build(saved.get(audio, audio), "tiny" if audio == "tiny" else saved["text"]).eval()
    rows = draw_rows()
    together = predict(model, rows)
    wider = predict(model, rows, n_more_samples=112_000 - 16_000, n_more_tokens=20)  # up to 7 s
    shuffled = predict(model, rows[::-1])
    for i in range(len(rows)):
        alone = predict(model, rows[i : i + 1])
        for name in ("emotion_logits", "va", "embedding"):
            expected = getattr(alone, name)[0]
            for other in (getattr(together, name)[i], getattr(wider, name)[i], getattr(shuffled, name)[-1 - i]):
                # 1e-5: what float32 leaves (the matrix of tests asks for it of layer norm; here group norm keeps it, too)
                torch.testing.assert_close(other, expected, rtol=0, atol=1e-5)
    # the segments must differ among themselves, or a constant would pass
    assert together.embedding.std(dim=0).max() > 1e-3


@torch.no_grad()
def test_a_prediction_with_an_all_ones_mask_would_depend_on_the_padding(saved):
    # negative control: the published code's mask
    model = build(saved["layer"]).eval()
    rows = draw_rows()
    inputs = make_inputs(rows)
    inputs["audio"]["mask"] = torch.ones_like(inputs["audio"]["mask"])
    wrong = model(inputs)
    assert (wrong.embedding - predict(model, rows).embedding).abs().max() > 1e-3


@torch.no_grad()
def test_a_plain_group_norm_encoder_would_depend_on_the_padding(saved, monkeypatch):
    # negative control: torch's group norm put back
    def plain(hidden, n_frames, weight, bias, eps):
        return nn.functional.group_norm(hidden, 16, weight, bias, eps)

    monkeypatch.setattr(encoders_module, "masked_group_norm", plain)
    model = build(saved["group"]).eval()
    rows = draw_rows()
    alone, together = predict(model, rows[2:3]), predict(model, rows)
    assert (together.embedding[2] - alone.embedding[0]).abs().max() > 1e-3


@torch.no_grad()
def test_a_prediction_has_the_shapes_it_says():
    prediction = predict(build().eval(), draw_rows())
    assert prediction.emotion_logits.shape == (4, 7)
    assert prediction.va.shape == (4, 2)
    assert prediction.embedding.shape == (4, 24)


@pytest.mark.parametrize("audio", ["tiny", "layer", "group"])
def test_a_batch_of_very_short_clips_trains(saved, audio):
    model = build(saved.get(audio, audio)).train()
    prediction = predict(model, draw_rows((400, 400, 450, 900)))
    (prediction.emotion_logits.square().sum() + prediction.va.sum()).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert len(gradients) > 50 and all(torch.isfinite(g).all() for g in gradients.values())


def test_heads_are_one_linear_map_each():
    heads, fused = Heads(5, KEMD), torch.randn(3, 5)
    emotion, va = heads(fused)
    torch.testing.assert_close(emotion, fused @ heads.emotion.weight.T + heads.emotion.bias)
    torch.testing.assert_close(va, fused @ heads.va.weight.T + heads.va.bias)
    assert sum(p.numel() for p in heads.parameters()) == 9 * (5 + 1)  # seven emotions, valence, arousal


class OneModality(Fusion):
    """A fusion that reads the first step of one encoder."""

    modalities = ("audio",)

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__()
        self.given = dims
        (self.dim,) = dims.values()

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        assert sequences.keys() == masks.keys() == set(self.modalities)
        return sequences[self.modalities[0]][:, 0]


class OtherModality(OneModality):
    modalities = ("text",)


def never_called():
    raise AssertionError("an encoder that the fusion does not use was built")


@pytest.mark.parametrize("fusion", [OneModality, functools.partial(OneModality)])
def test_an_encoder_that_the_fusion_does_not_use_is_not_built(fusion):
    model = EmotionModel({"audio": functools.partial(AudioEncoder, "tiny"), "text": never_called}, fusion, KEMD)
    assert model.encoders.keys() == {"audio"} and model.unused == ("text",) and model.fusion.given == {"audio": 64}
    assert predict(model, draw_rows()).emotion_logits.shape == (4, 7)


def test_a_fusion_of_text_alone_builds_no_audio_encoder():
    model = EmotionModel({"audio": never_called, "text": functools.partial(TextEncoder, "tiny")}, OtherModality, KEMD)
    assert model.encoders.keys() == {"text"} and model.unused == ("audio",) and model.fusion.given == {"text": 64}
    assert predict(model, draw_rows()).emotion_logits.shape == (4, 7)


def test_a_modality_that_the_fusion_does_not_read_may_be_missing():
    model = EmotionModel(
        {"audio": never_called, "text": functools.partial(TextEncoder, "tiny")}, OtherModality, KEMD
    ).eval()
    with torch.no_grad():
        alone = model({"text": make_inputs(draw_rows())["text"]})
        assert torch.equal(alone.emotion_logits, predict(model, draw_rows()).emotion_logits)


def test_a_modality_that_the_fusion_reads_and_the_inputs_lack_is_an_error_that_names_both():
    inputs = make_inputs(draw_rows())
    with pytest.raises(ValueError, match="expected audio, text, got text. Give the rows a column for audio"):
        build()({"text": inputs["text"]})
    with pytest.raises(ValueError, match="expected audio, text, got none"):
        build()({})


def test_a_modality_without_an_encoder_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"expected audio, text, got text\. Add encoders\.audio"):
        EmotionModel({"text": functools.partial(TextEncoder, "tiny")}, FUSION, KEMD)


# --- another modality -------------------------------------------------------------------------------------------------
class Pulse(Encoder):
    """An encoder of one figure per second."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dim, self.layer = width, nn.Linear(1, width)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(values.unsqueeze(-1)), mask


class Three(Fusion):
    """Means of three modalities, side by side."""

    modalities = ("audio", "text", "pulse")

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__()
        self.dim = sum(dims.values())

    def forward(self, sequences: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([masked_mean(sequences[name], masks[name]) for name in self.modalities], dim=1)


def test_a_third_modality_is_an_encoder_and_a_fusion_that_names_it():
    encoders = {
        "audio": functools.partial(AudioEncoder, "tiny"),
        "text": functools.partial(TextEncoder, "tiny"),
        "pulse": functools.partial(Pulse, 5),
    }
    model = EmotionModel(encoders, Three, KEMD)
    assert list(model.parts()) == ["audio", "text", "pulse", "fusion", "heads"]
    pulse = {"values": torch.full((4, 9), 70.0), "mask": torch.ones(4, 9, dtype=torch.bool)}
    prediction = model(make_inputs(draw_rows()) | {"pulse": pulse})
    assert prediction.embedding.shape == (4, 64 + 64 + 5)
    prediction.va.sum().backward()
    assert model.encoders["pulse"].layer.weight.grad.abs().sum() > 0


def test_parts_are_all_of_the_model_in_the_order_in_which_it_is_built():
    model = build()
    assert list(model.parts()) == ["audio", "text", "fusion", "heads"]
    in_parts = [parameter for part in model.parts().values() for parameter in part.parameters()]
    assert [id(p) for p in in_parts] == [id(p) for p in model.parameters()]


def test_weights_are_drawn_for_audio_text_fusion_heads_in_this_order():
    # another order would give another model from the same seed, and other results
    torch.manual_seed(3)
    audio, text = AudioEncoder("tiny"), TextEncoder("tiny")
    fusion = FUSION(dims={"audio": audio.dim, "text": text.dim})
    expected = [*audio.parameters(), *text.parameters(), *fusion.parameters(), *Heads(fusion.dim, KEMD).parameters()]
    found = list(build().parameters())  # from the same seed
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)) and len(found) > 90


# --- weights ----------------------------------------------------------------------------------------------------------
def test_weights_of_a_group_norm_model_load_again(saved):
    first, second = build(saved["group"]), build(saved["group"])
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    second.load_state_dict(first.state_dict(), strict=True)
    with torch.no_grad():
        rows = draw_rows()
        assert torch.equal(predict(first.eval(), rows).embedding, predict(second.eval(), rows).embedding)


def test_a_prediction_does_not_change_with_the_labels():
    model, rows = build().eval(), draw_rows()
    others = [row | {"votes": [10, 0, 0, 0, 0, 0, 0], "hard_label": 0, "valence": 1.0} for row in rows]
    collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "soft")
    first, second = collate(rows), collate(others)
    assert not torch.equal(first["target"], second["target"])
    with torch.no_grad():
        assert torch.equal(model(first["inputs"]).emotion_logits, model(second["inputs"]).emotion_logits)
