"""The whole model: a prediction is its segment's own; which encoders a fusion gets; which parts there are."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn
from transformers import RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

from erc.batch import Collator, load_feature_extractor, load_tokenizer, tiny_vocabulary
from erc.encoders import AudioEncoder, TextEncoder
from erc.fusion.tensor_mixer import TensorMixer
from erc.heads import Heads
from erc.model import EmotionModel

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
    return EmotionModel(functools.partial(AudioEncoder, audio, **options), functools.partial(TextEncoder, text), FUSION)


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


def predict(model: EmotionModel, rows: list[dict], n_more_samples: int = 0, n_more_tokens: int = 0):
    """Prediction of a batch, with so much more padding than it needs."""
    batch = Collator(load_tokenizer("tiny"), load_feature_extractor("tiny"), "soft")(rows)
    pad = nn.functional.pad
    return model(
        pad(batch["waveform"], (0, n_more_samples)),
        pad(batch["waveform_mask"], (0, n_more_samples)),
        pad(batch["token_ids"], (0, n_more_tokens), value=1),
        pad(batch["token_mask"], (0, n_more_tokens)),
    )


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
    batch = Collator(load_tokenizer("tiny"), load_feature_extractor("tiny"), "soft")(rows)
    ones = torch.ones_like(batch["waveform_mask"])
    wrong = model(batch["waveform"], ones, batch["token_ids"], batch["token_mask"])
    assert (wrong.embedding - predict(model, rows).embedding).abs().max() > 1e-3


@torch.no_grad()
def test_a_plain_group_norm_encoder_would_depend_on_the_padding(saved):
    # negative control: torch's group norm put back
    model = build(saved["group"]).eval()
    first = model.audio_encoder.model.feature_extractor.conv_layers[0]
    plain = nn.GroupNorm(16, 16, affine=True)
    plain.load_state_dict(first.layer_norm.state_dict())
    first.layer_norm = plain
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
    heads, fused = Heads(5), torch.randn(3, 5)
    emotion, va = heads(fused)
    torch.testing.assert_close(emotion, fused @ heads.emotion.weight.T + heads.emotion.bias)
    torch.testing.assert_close(va, fused @ heads.va.weight.T + heads.va.bias)
    assert sum(p.numel() for p in heads.parameters()) == 9 * (5 + 1)  # seven emotions, valence, arousal


class OneModality(nn.Module):
    """A fusion that reads one encoder."""

    uses_audio, uses_text = True, False

    def __init__(self, audio_dim: int, text_dim: int) -> None:
        super().__init__()
        self.dim, self.given = audio_dim + text_dim, (audio_dim, text_dim)

    def forward(self, audio, audio_mask, text, text_mask):
        assert (audio is None) != self.uses_audio and (text is None) != self.uses_text
        return (audio if self.uses_audio else text)[:, 0]


class OtherModality(OneModality):
    uses_audio, uses_text = False, True


def never_called():
    raise AssertionError("an encoder that the fusion does not use was built")


@pytest.mark.parametrize("fusion", [OneModality, functools.partial(OneModality)])
def test_an_encoder_that_the_fusion_does_not_use_is_not_built(fusion):
    model = EmotionModel(functools.partial(AudioEncoder, "tiny"), never_called, fusion)
    assert model.text_encoder is None and model.fusion.given == (64, 0)
    assert predict(model, draw_rows()).emotion_logits.shape == (4, 7)


def test_a_fusion_of_text_alone_builds_no_audio_encoder():
    model = EmotionModel(never_called, functools.partial(TextEncoder, "tiny"), OtherModality)
    assert model.audio_encoder is None and model.fusion.given == (0, 64)
    assert predict(model, draw_rows()).emotion_logits.shape == (4, 7)


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
    with torch.no_grad():
        assert torch.equal(predict(model, rows).emotion_logits, predict(model, others).emotion_logits)
