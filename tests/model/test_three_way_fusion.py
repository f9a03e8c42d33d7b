"""Fusions of three modalities: against the equations written a second time, segment by segment, without padding or masks."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from erc.model.fusion.base import Fusion
from erc.model.fusion.concat_3 import Concat3
from erc.model.fusion.cross_attention_3 import CrossAttention3
from erc.model.fusion.tensor_mixer_3 import TensorMixer3

CONFIG = Path(__file__).resolve().parents[2] / "config"
DIMS = {"audio": 7, "text": 9, "signals": 5}
LENGTHS = {"audio": (8, 3, 1), "text": (2, 6, 4), "signals": (1, 5, 3)}
MIXER = {"mixer_dim": 10, "depth": 2, "tokens_mlp_dim": 14, "channels_mlp_dim": 6}
SIZES = {"audio_dim": 8, "text_dim": 6, "signals_dim": 4, "audio_patch": 4, "text_patch": 3, "signals_patch": 2}
MAKERS = {
    "concat_3": lambda: Concat3(DIMS, projection_dim=4, hidden_dim=6),
    "cross_attention_3": lambda: CrossAttention3(DIMS, attention_dim=8, n_heads=2, hidden_dim=6, dropout=0.0),
    "tensor_mixer_3": lambda: TensorMixer3(DIMS, **SIZES, **MIXER),
}


def make(name: str) -> Fusion:
    torch.manual_seed(2)
    fusion = MAKERS[name]().eval()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, 0.2, 0.4)
    return fusion


def draw(extra: int = 0, filling: float = 0.0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Sequences of three segments with their masks; the padding holds ``filling``."""
    torch.manual_seed(5)
    real = {name: [torch.randn(n, DIMS[name]) for n in LENGTHS[name]] for name in DIMS}
    sequences, masks = {}, {}
    for name, rows in real.items():
        longest = max(LENGTHS[name]) + extra
        masks[name] = torch.arange(longest) < torch.tensor(LENGTHS[name]).unsqueeze(1)
        sequences[name] = torch.full((3, longest, DIMS[name]), filling)
        for k, row in enumerate(rows):
            sequences[name][k, : len(row)] = row
    return sequences, masks


def pooled_by_hand(name: str, steps: torch.Tensor) -> torch.Tensor:
    return steps[0] if name == "text" else steps.mean(dim=0)


def concat_by_hand(fusion: Concat3, steps: dict[str, torch.Tensor]) -> torch.Tensor:
    w = fusion.state_dict()
    parts = [
        w[f"projections.{name}.weight"] @ pooled_by_hand(name, steps[name]) + w[f"projections.{name}.bias"]
        for name in DIMS
    ]
    return (w["hidden.weight"] @ torch.cat(parts) + w["hidden.bias"]).clamp(min=0)


def attention_by_hand(fusion: CrossAttention3, steps: dict[str, torch.Tensor]) -> torch.Tensor:
    """Vaswani et al. (2017), equation 1, head by head."""
    w = fusion.state_dict()
    own = {name: steps[name] @ w[f"projections.{name}.weight"].T + w[f"projections.{name}.bias"] for name in DIMS}
    parts = []
    for name in DIMS:
        others = torch.cat([own[other] for other in DIMS if other != name])
        weight, bias = w[f"attentions.{name}.in_proj_weight"], w[f"attentions.{name}.in_proj_bias"]
        q, k, v = (
            x @ one.T + b for x, one, b in zip((own[name], others, others), weight.chunk(3), bias.chunk(3), strict=True)
        )
        heads = [
            ((a @ b.T) / 4**0.5).softmax(dim=1) @ c
            for a, b, c in zip(q.split(4, dim=1), k.split(4, dim=1), v.split(4, dim=1), strict=True)
        ]
        out = (
            torch.cat(heads, dim=1) @ w[f"attentions.{name}.out_proj.weight"].T + w[f"attentions.{name}.out_proj.bias"]
        )
        found = own[name] + out
        centred = found - found.mean(dim=1, keepdim=True)
        normed = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
        parts.append(pooled_by_hand(name, normed * w[f"norms.{name}.weight"] + w[f"norms.{name}.bias"]))
    x = w["hidden.1.weight"] @ torch.cat(parts) + w["hidden.1.bias"]
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


def patches_by_hand(fusion: TensorMixer3, steps: dict[str, torch.Tensor]) -> torch.Tensor:
    """Each value of each patch by its place in the three vectors."""
    w = fusion.state_dict()
    a, x, g = (
        torch.cat(
            [
                torch.ones(1),
                w[f"projections.{name}.weight"] @ pooled_by_hand(name, steps[name]) + w[f"projections.{name}.bias"],
            ]
        )
        for name in DIMS
    )
    patches = []
    for i, j, k in itertools.product(range(0, 8, 4), range(0, 6, 3), range(0, 4, 2)):
        inside = itertools.product(range(i, i + 4), range(j, j + 3), range(k, k + 2))
        patches.append([a[one] * x[two] * g[three] for one, two, three in inside])
    return torch.tensor(patches)


@torch.no_grad()
@pytest.mark.parametrize(("name", "by_hand"), [("concat_3", concat_by_hand), ("cross_attention_3", attention_by_hand)])
def test_a_fusion_of_three_equals_the_equations(name, by_hand):
    fusion, (sequences, masks) = make(name), draw()
    found = fusion(sequences, masks)
    for k in range(3):
        steps = {one: sequences[one][k, : LENGTHS[one][k]] for one in DIMS}
        torch.testing.assert_close(found[k], by_hand(fusion, steps), rtol=0, atol=1e-4)
    assert found.std() > 0.1


@torch.no_grad()
def test_the_mixer_of_three_reads_the_patches_of_the_outer_product():
    fusion, (sequences, masks) = make("tensor_mixer_3"), draw()
    seen = []
    fusion.mixer.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    fusion(sequences, masks)
    assert seen[0].shape == (3, 8, 24)
    for k in range(3):
        steps = {one: sequences[one][k, : LENGTHS[one][k]] for one in DIMS}
        torch.testing.assert_close(seen[0][k], patches_by_hand(fusion, steps), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", list(MAKERS))
def test_padding_and_the_order_of_the_batch_change_nothing(name):
    fusion, (sequences, masks) = make(name), draw()
    found = fusion(sequences, masks)
    # attention multiplies padded values by 0, so they must be finite there
    longer, longer_masks = draw(extra=3, filling=1e3 if name == "cross_attention_3" else torch.nan)
    torch.testing.assert_close(fusion(longer, longer_masks), found, rtol=0, atol=1e-5)
    order = [2, 0, 1]
    turned = fusion(
        {key: one[order] for key, one in sequences.items()}, {key: one[order] for key, one in masks.items()}
    )
    torch.testing.assert_close(turned, found[order], rtol=0, atol=1e-5)


def configured(name: str) -> Fusion:
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        made = instantiate(compose(f"fusion/{name}").fusion)
    return made(dims={"audio": 1024, "text": 1024, "signals": 64})


def test_sizes_at_the_paper_s_width_are_those_that_the_files_state():
    n = {
        name: sum(one.numel() for one in configured(name).parameters())
        for name in ("tensor_mixer", "tensor_mixer_3", "concat_3", "cross_attention_3")
    }
    assert n["tensor_mixer_3"] < 1.5 * n["tensor_mixer"]
    assert sum(one.numel() for one in configured("tensor_mixer_3").mixer.parameters()) == 9_618_944
    assert (n["concat_3"], n["cross_attention_3"]) == (738_304, 14_241_280)


def test_patches_that_do_not_tile_the_volume_and_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="Patches must tile the volume"):
        TensorMixer3(DIMS, **SIZES | {"text_patch": 4}, **MIXER)
    with pytest.raises(ValueError, match="n_heads must divide"):
        CrossAttention3(DIMS, attention_dim=8, n_heads=3, hidden_dim=6, dropout=0.0)
