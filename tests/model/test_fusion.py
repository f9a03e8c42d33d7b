"""Fusions: the Tensor Mixer against the equations written a second time, its published size, its masks."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class as locate
from omegaconf import OmegaConf
from torch.nn import functional

from erc.data import KEMD
from erc.model import fusion as fusions
from erc.model.emotion_model import EmotionModel
from erc.model.encoders import AudioEncoder, TextEncoder
from erc.model.fusion.audio_only import AudioOnly
from erc.model.fusion.base import Fusion
from erc.model.fusion.concat import Concat
from erc.model.fusion.cross_attention import CrossAttention
from erc.model.fusion.mixer import Mixer
from erc.model.fusion.tensor_mixer import TensorMixer
from erc.model.fusion.text_only import TextOnly
from erc.model.heads import Heads

CONFIG = Path(__file__).resolve().parents[2] / "config"
SMALL = {
    "projection_dim": 12,
    "patch_size": 4,
    "mixer_dim": 10,
    "depth": 3,
    "tokens_mlp_dim": 14,
    "channels_mlp_dim": 6,
}


def as_configured(name: str) -> dict:
    """Arguments of a fusion at the paper's size, as its yaml gives them."""
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        values = OmegaConf.to_container(compose(f"fusion/{name}").fusion)
    return {key: value for key, value in values.items() if not key.startswith("_")}


def draw_inputs(audio_dim: int = 7, text_dim: int = 9) -> tuple[torch.Tensor, ...]:
    """Audio and text sequences with their masks; segments of several lengths."""
    torch.manual_seed(5)
    audio, text = torch.randn(3, 8, audio_dim), torch.randn(3, 6, text_dim)
    audio_mask = torch.arange(8) < torch.tensor([8, 3, 1]).unsqueeze(1)
    text_mask = torch.arange(6) < torch.tensor([2, 6, 4]).unsqueeze(1)
    return audio, audio_mask, text, text_mask


def dims(audio: int, text: int) -> dict[str, int]:
    return {"audio": audio, "text": text}


def fuse(fusion: Fusion, audio: torch.Tensor, audio_mask: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor):
    """What the fusion makes of these two sequences."""
    return fusion({"audio": audio, "text": text}, {"audio": audio_mask, "text": text_mask})


# --- oracle -----------------------------------------------------------------------------------------------------------
def gelu(x: torch.Tensor) -> torch.Tensor:
    """Exact GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415): x times the normal distribution's function at x."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Ba et al. (2016), arXiv 1607.06450, with torch's eps of 1e-5."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + 1e-5) * weight + bias


def mixer_by_hand(image: torch.Tensor, weights: dict[str, torch.Tensor], patch: int, depth: int) -> torch.Tensor:
    """MLP-Mixer (Tolstikhin et al. 2021, equation 1) with mixing over patches as a convolution of width 1.

    The patches are the channels of that convolution, as in the implementations that the paper's own is of.
    """
    patches = functional.unfold(image.unsqueeze(1), patch, stride=patch).transpose(1, 2)  # (B, patches, p * p)
    x = torch.einsum("bnp,dp->bnd", patches, weights["patch_embedding.weight"]) + weights["patch_embedding.bias"]
    for k in range(depth):
        block = {name.removeprefix(f"blocks.{k}."): value for name, value in weights.items()}
        y = layer_norm(x, block["tokens_norm.weight"], block["tokens_norm.bias"])
        y = functional.conv1d(y, block["tokens_mlp.0.weight"].unsqueeze(-1), block["tokens_mlp.0.bias"])
        x = x + functional.conv1d(gelu(y), block["tokens_mlp.3.weight"].unsqueeze(-1), block["tokens_mlp.3.bias"])
        y = layer_norm(x, block["channels_norm.weight"], block["channels_norm.bias"])
        y = gelu(torch.einsum("bnd,hd->bnh", y, block["channels_mlp.0.weight"]) + block["channels_mlp.0.bias"])
        x = x + torch.einsum("bnh,dh->bnd", y, block["channels_mlp.3.weight"]) + block["channels_mlp.3.bias"]
    return layer_norm(x, weights["norm.weight"], weights["norm.bias"]).mean(dim=1)


def tensor_mixer_by_hand(fusion: TensorMixer, heads: Heads, inputs: tuple[torch.Tensor, ...], patch: int, depth: int):
    """Projections of each frame, then their mean (the paper's order), the outer product, the mixer, both heads."""
    audio, audio_mask, text, _ = inputs
    w = fusion.state_dict()
    frames = torch.einsum("btd,pd->btp", audio, w["audio_projection.weight"]) + w["audio_projection.bias"]
    audio_vector = torch.stack([row[real].mean(dim=0) for row, real in zip(frames, audio_mask, strict=True)])
    text_vector = torch.stack([w["text_projection.weight"] @ row[0] + w["text_projection.bias"] for row in text])
    image = torch.einsum("bi,bj->bij", audio_vector, text_vector)
    mixer = {name.removeprefix("mixer."): value for name, value in w.items() if name.startswith("mixer.")}
    fused = mixer_by_hand(image, mixer, patch, depth)
    logits = [fused @ head.weight.T + head.bias for head in (heads.emotion, heads.va)]
    return torch.cat(logits, dim=1)


def randomise(*modules: torch.nn.Module) -> None:
    """Every weight away from its special start (norms at 1 and 0), where a mistake would not show."""
    torch.manual_seed(2)
    for module in modules:
        for name, parameter in module.named_parameters():
            offset = 1.0 if "norm.weight" in name else 0.0
            torch.nn.init.normal_(parameter, offset, 0.3)


@torch.no_grad()
def test_tensor_mixer_and_heads_equal_the_equations():
    fusion, heads, inputs = TensorMixer(dims(7, 9), **SMALL), Heads(10, KEMD), draw_inputs()
    randomise(fusion, heads)
    ours = torch.cat(heads(fuse(fusion, *inputs)), dim=1)
    expected = tensor_mixer_by_hand(fusion, heads, inputs, patch=4, depth=3)
    assert ours.shape == (3, 9) and expected.std() > 0.1
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_tensor_mixer_equals_the_equations_at_the_paper_s_size():
    torch.manual_seed(0)
    options = as_configured("tensor_mixer")
    fusion, heads, inputs = TensorMixer(dims(1024, 1024), **options).eval(), Heads(512, KEMD), draw_inputs(1024, 1024)
    ours = torch.cat(heads(fuse(fusion, *inputs)), dim=1)
    torch.testing.assert_close(ours, tensor_mixer_by_hand(fusion, heads, inputs, 16, 12), rtol=0, atol=1e-5)


@torch.no_grad()
def test_rows_of_the_image_are_audio_and_columns_text():
    fusion, inputs = TensorMixer(dims(7, 9), **SMALL), draw_inputs()
    seen = []
    fusion.mixer.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    fuse(fusion, *inputs)
    (image,) = seen
    audio_vector = fusion.audio_projection(inputs[0][1, :3].mean(dim=0))  # segment 1 has three real frames
    text_vector = fusion.text_projection(inputs[2][1, 0])
    torch.testing.assert_close(image[1], torch.outer(audio_vector, text_vector))


# --- golden -----------------------------------------------------------------------------------------------------------
def n_parameters(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_mixer_and_heads_have_the_published_number_of_parameters():
    fusion = TensorMixer(dims(1024, 1024), **as_configured("tensor_mixer"))
    # 9,623,561: published, mixer with its linear map to 7 + 2
    assert n_parameters(fusion.mixer, Heads(fusion.dim, KEMD)) == 9_623_561
    assert n_parameters(fusion.mixer) == 9_618_944
    # two projections of 1024 to 256
    assert n_parameters(fusion) - n_parameters(fusion.mixer) == 2 * (1024 * 256 + 256)


# --- properties -------------------------------------------------------------------------------------------------------
@torch.no_grad()
def test_what_padded_steps_hold_changes_nothing():
    fusion, (audio, audio_mask, text, text_mask) = TensorMixer(dims(7, 9), **SMALL).eval(), draw_inputs()
    expected = fuse(fusion, audio, audio_mask, text, text_mask)
    for rubbish in (1e6, torch.inf, torch.nan):
        spoilt_audio = torch.where(audio_mask.unsqueeze(-1), audio, rubbish)
        spoilt_text = torch.where(text_mask.unsqueeze(-1), text, rubbish)
        assert torch.equal(fuse(fusion, spoilt_audio, audio_mask, spoilt_text, text_mask), expected)
    # negative control: with a mask of ones the same steps count
    assert not torch.allclose(fuse(fusion, audio, torch.ones_like(audio_mask), text, text_mask), expected, atol=1e-3)


@torch.no_grad()
def test_longer_padding_changes_nothing():
    fusion, (audio, audio_mask, text, text_mask) = TensorMixer(dims(7, 9), **SMALL).eval(), draw_inputs()
    longer = functional.pad(audio, (0, 0, 0, 20)), functional.pad(audio_mask, (0, 20))
    longer += functional.pad(text, (0, 0, 0, 5)), functional.pad(text_mask, (0, 5))
    torch.testing.assert_close(
        fuse(fusion, *longer), fuse(fusion, audio, audio_mask, text, text_mask), rtol=0, atol=1e-6
    )


@torch.no_grad()
def test_shuffling_the_batch_permutes_the_result():
    fusion, inputs, order = TensorMixer(dims(7, 9), **SMALL).eval(), draw_inputs(), [2, 0, 1]
    shuffled = fuse(fusion, *(part[order] for part in inputs))
    torch.testing.assert_close(shuffled, fuse(fusion, *inputs)[order], rtol=0, atol=1e-6)


def test_both_modalities_reach_the_result():
    fusion, (audio, audio_mask, text, text_mask) = TensorMixer(dims(7, 9), **SMALL), draw_inputs()
    audio.requires_grad_(), text.requires_grad_()
    fuse(fusion, audio, audio_mask, text, text_mask)[:, 0].sum().backward()
    assert (audio.grad[audio_mask].abs().sum(dim=-1) > 0).all() and (audio.grad[~audio_mask] == 0).all()
    assert (text.grad[:, 0].abs().sum(dim=-1) > 0).all() and (text.grad[:, 1:] == 0).all()  # the first token only
    assert fusion.modalities == ("audio", "text")


def test_dropout_acts_in_training_only():
    fusion, inputs = TensorMixer(dims(7, 9), **SMALL, dropout=0.5), draw_inputs()
    fusion.train()
    assert not torch.equal(fuse(fusion, *inputs), fuse(fusion, *inputs))
    fusion.eval()
    assert torch.equal(fuse(fusion, *inputs), fuse(fusion, *inputs))


def test_patches_that_do_not_tile_the_image_are_an_error():
    with pytest.raises(ValueError, match="256 is not a multiple of patch_size 24"):
        Mixer(256, 24, dim=8, depth=1, tokens_mlp_dim=8, channels_mlp_dim=8)


# === the other fusions ================================================================================================
OTHERS = {
    "concat": (Concat, {"projection_dim": 12, "hidden_dim": 10}),
    "cross_attention": (CrossAttention, {"attention_dim": 12, "n_heads": 3, "hidden_dim": 10, "dropout": 0.0}),
    "audio_only": (AudioOnly, {"projection_dim": 12, "hidden_dim": 10}),
    "text_only": (TextOnly, {"projection_dim": 12, "hidden_dim": 10}),
}
HEARS, READS = ("concat", "cross_attention", "audio_only"), ("concat", "cross_attention", "text_only")


def build(name: str, audio_dim: int = 7, text_dim: int = 9) -> torch.nn.Module:
    """A small fusion with every weight away from its start, in evaluation mode."""
    cls, options = OTHERS[name]
    fusion = cls(dims(audio_dim, text_dim), **options).eval()
    randomise(fusion)
    return fusion


# --- oracle -----------------------------------------------------------------------------------------------------------
def attend(w: dict[str, torch.Tensor], query: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor, n_heads: int):
    """Multi-head attention (Vaswani et al. 2017, section 3.2): query (B, Q, D), memory (B, M, D), mask (B, M) True = real."""
    width = query.shape[-1]
    project = zip(
        w["in_proj_weight"].split(width), w["in_proj_bias"].split(width), (query, memory, memory), strict=True
    )
    q, k, v = (
        (torch.einsum("bnd,ed->bne", x, weight) + bias).unflatten(-1, (n_heads, -1)) for weight, bias, x in project
    )
    scores = torch.einsum("bqhc,bkhc->bhqk", q, k) / math.sqrt(width / n_heads)
    scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
    shares = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    shares = shares / shares.sum(dim=-1, keepdim=True)
    read = torch.einsum("bhqk,bkhc->bqhc", shares, v).flatten(2)
    return torch.einsum("bqd,ed->bqe", read, w["out_proj.weight"]) + w["out_proj.bias"]


def cross_attention_by_hand(fusion: CrossAttention, inputs: tuple[torch.Tensor, ...], n_heads: int) -> torch.Tensor:
    """Every token asks, though only the first is used; means over the real frames of one segment at a time."""
    audio, audio_mask, text, text_mask = inputs
    w = fusion.state_dict()

    def part(name: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(f"{name}."): value for key, value in w.items() if key.startswith(f"{name}.")}

    for name in ("audio", "text"):
        weights, x = part(f"{name}_projection"), audio if name == "audio" else text
        if weights:  # an encoder of the attention's own width is not projected
            x = torch.einsum("bnd,ed->bne", x, weights["weight"]) + weights["bias"]
        audio, text = (x, text) if name == "audio" else (audio, x)
    heard = attend(part("audio_to_text"), audio, text, text_mask, n_heads)
    read = attend(part("text_to_audio"), text, audio, audio_mask, n_heads)
    audio = layer_norm(audio + heard, **part("audio_norm"))
    text = layer_norm(text + read, **part("text_norm"))
    pairs = [torch.cat([a[real].mean(dim=0), t[0]]) for a, real, t in zip(audio, audio_mask, text, strict=True)]
    hidden = part("hidden")
    return gelu(torch.stack(pairs) @ hidden["1.weight"].T + hidden["1.bias"])


@torch.no_grad()
@pytest.mark.parametrize(("audio_dim", "text_dim"), [(7, 9), (12, 12), (12, 9)])
def test_cross_attention_equals_the_equations(audio_dim, text_dim):
    fusion, inputs = build("cross_attention", audio_dim, text_dim), draw_inputs(audio_dim, text_dim)
    expected = cross_attention_by_hand(fusion, inputs, n_heads=3)
    assert expected.shape == (3, 10) and expected.std() > 0.1
    torch.testing.assert_close(fuse(fusion, *inputs), expected, rtol=0, atol=1e-5)
    # control: another number of heads is another function of the same weights
    assert not torch.allclose(fuse(fusion, *inputs), cross_attention_by_hand(fusion, inputs, n_heads=4), atol=1e-3)


@torch.no_grad()
def test_cross_attention_equals_the_equations_at_the_paper_s_size():
    torch.manual_seed(0)
    fusion, inputs = (
        CrossAttention(dims(1024, 1024), **as_configured("cross_attention")).eval(),
        draw_inputs(1024, 1024),
    )
    torch.testing.assert_close(
        fuse(fusion, *inputs), cross_attention_by_hand(fusion, inputs, n_heads=8), rtol=0, atol=1e-5
    )


@torch.no_grad()
def test_concatenation_and_one_modality_alone_equal_the_equations():
    inputs = draw_inputs()
    means = torch.stack([row[real].mean(dim=0) for row, real in zip(inputs[0], inputs[1], strict=True)])

    def linear(fusion: torch.nn.Module, name: str, x: torch.Tensor) -> torch.Tensor:
        w = fusion.state_dict()
        return torch.einsum("bd,ed->be", x, w[f"{name}.weight"]) + w[f"{name}.bias"]

    concat, audio_only, text_only = build("concat"), build("audio_only"), build("text_only")
    both = [linear(concat, "audio_projection", means), linear(concat, "text_projection", inputs[2][:, 0])]
    expected = {
        concat: linear(concat, "hidden", torch.cat(both, dim=1)).clamp(min=0),
        audio_only: linear(audio_only, "hidden", linear(audio_only, "projection", means)).clamp(min=0),
        text_only: linear(text_only, "hidden", linear(text_only, "projection", inputs[2][:, 0])).clamp(min=0),
    }
    for fusion, value in expected.items():
        assert (value > 0).any() and (value == 0).any()  # ReLU acts
        torch.testing.assert_close(fuse(fusion, *inputs), value, rtol=0, atol=1e-5)


# --- golden -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "cls", "expected"),
    [
        # two projections 1024 -> 256, one hidden layer 512 -> 256, each with its bias: 524,800 + 131,328
        ("concat", Concat, 2 * (1024 * 256 + 256) + 512 * 256 + 256),
        # no projection at width 1024. Two attentions: query, key, value and output, 1024 x 1024 each with bias; two layer
        # norms: weight and bias; a hidden layer 2048 -> 512: 2 x 4,198,400 + 4,096 + 1,049,088
        ("cross_attention", CrossAttention, 2 * 4 * (1024 * 1024 + 1024) + 2 * 2 * 1024 + 2048 * 512 + 512),
        # one projection 1024 -> 256, one hidden layer 256 -> 256: 262,400 + 65,792
        ("audio_only", AudioOnly, (1024 * 256 + 256) + (256 * 256 + 256)),
        ("text_only", TextOnly, (1024 * 256 + 256) + (256 * 256 + 256)),
    ],
)
def test_the_other_fusions_have_the_number_of_parameters_that_their_layers_add_up_to(name, cls, expected):
    fusion = cls(dims(1024, 1024), **as_configured(name))
    assert n_parameters(fusion) == expected
    assert fusion.dim == {"cross_attention": 512}.get(name, 256)


def test_an_encoder_of_another_width_is_projected_to_the_attention_s():
    fusion = CrossAttention(dims(768, 1024), **as_configured("cross_attention"))
    wide = CrossAttention(dims(1024, 1024), **as_configured("cross_attention"))
    assert n_parameters(fusion) - n_parameters(wide) == 768 * 1024 + 1024


# --- properties -------------------------------------------------------------------------------------------------------
@torch.no_grad()
@pytest.mark.parametrize("name", OTHERS)
def test_what_padded_steps_hold_changes_nothing_in_the_other_fusions(name):
    fusion, (audio, audio_mask, text, text_mask) = build(name), draw_inputs()
    expected = fuse(fusion, audio, audio_mask, text, text_mask)
    spoilt_audio = torch.where(audio_mask.unsqueeze(-1), audio, 1e4)
    spoilt_text = torch.where(text_mask.unsqueeze(-1), text, 1e4)
    torch.testing.assert_close(
        fuse(fusion, spoilt_audio, audio_mask, spoilt_text, text_mask), expected, rtol=0, atol=1e-5
    )
    # negative controls: with masks of ones the same steps count, where the modality and its steps are read
    if name in HEARS:
        assert not torch.allclose(
            fuse(fusion, audio, torch.ones_like(audio_mask), text, text_mask), expected, atol=1e-3
        )
    if name == "cross_attention":
        assert not torch.allclose(
            fuse(fusion, audio, audio_mask, text, torch.ones_like(text_mask)), expected, atol=1e-3
        )


@torch.no_grad()
@pytest.mark.parametrize("name", OTHERS)
def test_longer_padding_changes_nothing_in_the_other_fusions(name):
    fusion, (audio, audio_mask, text, text_mask) = build(name), draw_inputs()
    longer = functional.pad(audio, (0, 0, 0, 20)), functional.pad(audio_mask, (0, 20))
    longer += functional.pad(text, (0, 0, 0, 5)), functional.pad(text_mask, (0, 5))
    torch.testing.assert_close(
        fuse(fusion, *longer), fuse(fusion, audio, audio_mask, text, text_mask), rtol=0, atol=1e-5
    )


@torch.no_grad()
@pytest.mark.parametrize("name", OTHERS)
def test_shuffling_the_batch_permutes_the_result_of_the_other_fusions(name):
    fusion, inputs, order = build(name), draw_inputs(), [2, 0, 1]
    expected = fuse(fusion, *inputs)
    assert expected.shape == (3, fusion.dim) and not torch.allclose(expected[0], expected[1], atol=1e-3)
    torch.testing.assert_close(fuse(fusion, *(part[order] for part in inputs)), expected[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_a_fusion_reads_what_it_says_it_uses_and_nothing_else(name):
    fusion, (audio, audio_mask, text, text_mask) = build(name), draw_inputs()
    audio.requires_grad_(), text.requires_grad_()
    fuse(fusion, audio, audio_mask, text, text_mask).sum().backward()
    assert fusion.modalities == ("audio",) * (name in HEARS) + ("text",) * (name in READS)
    assert (audio.grad is not None) == (name in HEARS) and (text.grad is not None) == (name in READS)
    if name in HEARS:
        assert (audio.grad[audio_mask].abs().sum(dim=-1) > 0).all() and (audio.grad[~audio_mask] == 0).all()
    if name in READS:
        assert (text.grad[:, 0].abs().sum(dim=-1) > 0).all() and (text.grad[~text_mask] == 0).all()
    if name == "cross_attention":  # audio attends to every real token
        assert (text.grad[text_mask].abs().sum(dim=-1) > 0).all()


@torch.no_grad()
def test_dropout_of_cross_attention_acts_in_training_only():
    fusion, inputs = CrossAttention(dims(7, 9), attention_dim=12, n_heads=3, hidden_dim=10, dropout=0.5), draw_inputs()
    fusion.train()
    assert not torch.equal(fuse(fusion, *inputs), fuse(fusion, *inputs))
    fusion.eval()
    assert torch.equal(fuse(fusion, *inputs), fuse(fusion, *inputs))


def test_heads_that_do_not_divide_the_width_are_an_error():
    with pytest.raises(ValueError, match="5 heads for width 12"):
        CrossAttention(dims(7, 9), attention_dim=12, n_heads=5, hidden_dim=10, dropout=0.0)


@torch.no_grad()
@pytest.mark.parametrize(("name", "missing"), [("audio_only", "text"), ("text_only", "audio")])
def test_one_modality_alone_does_not_build_the_other_s_encoder(name, missing):
    def never():
        raise AssertionError(f"the {missing} encoder was built")

    cls, options = OTHERS[name]
    built = {"audio": functools.partial(AudioEncoder, "tiny"), "text": functools.partial(TextEncoder, "tiny")}
    model = EmotionModel(built | {missing: never}, functools.partial(cls, **options), KEMD).eval()
    assert missing not in model.parts() and model.unused == (missing,)
    torch.manual_seed(1)
    inputs = {
        "audio": {"values": torch.randn(2, 8000), "mask": torch.ones(2, 8000, dtype=torch.bool)},
        "text": {"values": torch.randint(5, 90, (2, 6)), "mask": torch.ones(2, 6, dtype=torch.bool)},
    }
    expected = model(inputs)
    assert expected.emotion_logits.shape == (2, 7) and expected.embedding.shape == (2, 10)
    # what the missing encoder would have read does not matter
    other = {"values": inputs[missing]["values"] + 1, "mask": inputs[missing]["mask"]}
    assert torch.equal(model(inputs | {missing: other}).va, expected.va)
    # control: a fusion of both builds both
    with pytest.raises(AssertionError, match=f"the {missing} encoder was built"):
        EmotionModel(built | {missing: never}, functools.partial(Concat, **OTHERS["concat"][1]), KEMD)


# --- a fusion is found by its name ------------------------------------------------------------------------------------
def test_each_configured_fusion_is_the_class_that_its_yaml_names():
    names = ["tensor_mixer", "concat", "cross_attention", "audio_only", "text_only"]
    classes = [TensorMixer, Concat, CrossAttention, AudioOnly, TextOnly]
    for name, cls in zip(names, classes, strict=True):
        with initialize_config_dir(str(CONFIG), version_base="1.3"):
            for size in ("", "small/"):
                target = compose(f"fusion/{size}{name}").fusion._target_
                assert target == f"erc.model.fusion.{cls.__name__}"
                assert locate(target) is cls


def test_a_new_fusion_is_one_file(tmp_path, monkeypatch):
    # no list names the file: a yaml with this _target_ finds the class in it
    (tmp_path / "mean_of_two.py").write_text(
        "from erc.model.fusion.base import Fusion\n\n\n"
        "class MeanOfTwo(Fusion):\n"
        '    modalities = ("audio", "text")\n\n'
        "    def __init__(self, dims):\n"
        "        super().__init__()\n"
        '        self.dim = dims["audio"]\n\n'
        "    def forward(self, sequences, masks):\n"
        '        return (sequences["audio"][:, 0] + sequences["text"][:, 0]) / 2\n'
    )
    monkeypatch.setattr(fusions, "__path__", [*fusions.__path__, str(tmp_path)])
    fusion = locate("erc.model.fusion.MeanOfTwo")(dims(7, 7))
    inputs = draw_inputs(7, 7)
    torch.testing.assert_close(fuse(fusion, *inputs), (inputs[0][:, 0] + inputs[2][:, 0]) / 2)


@pytest.mark.parametrize("name", ["TensorMixr", "first_token", "nn", "torch", "_mlp", "annotations"])
def test_what_no_file_of_the_fusions_defines_as_a_class_is_an_error(name):
    with pytest.raises(AttributeError, match=f"No file of erc.model.fusion defines '{name}'"):
        getattr(fusions, name)
