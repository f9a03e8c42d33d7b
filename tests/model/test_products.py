"""Linear maps as convolutions, where that is faster."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from erc.model import products
from erc.model.products import N_VECTORS, Linear, speed_up


@pytest.fixture
def convolutions(monkeypatch) -> list:
    """Arguments of each convolution, on a processor where they are faster."""
    calls: list = []
    convolve = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda *args: calls.append(args) or convolve(*args))
    monkeypatch.setattr(products, "convolution_is_faster", lambda: True)
    return calls


def made(n_in: int = 512, n_out: int = 128, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_in, n_out, bias=bias))


@pytest.mark.parametrize("shape", [(N_VECTORS, 512), (4, 50, 512), (2, 3, 40, 512), (3, 67, 512)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_large_product_is_a_convolution_of_the_same_numbers_and_gradients(convolutions, shape, bias):
    plain, fast = made(bias=bias), made(bias=bias)
    speed_up(fast)
    x = torch.randn(shape)
    found = []
    for model in (plain, fast):
        given = x.clone().requires_grad_()
        y = model(given)
        y.square().mean().backward()
        found.append([y.detach(), given.grad, *(parameter.grad for parameter in model.parameters())])
    (call,) = convolutions
    assert call[0].shape == (1, 512, 1, x[..., 0].numel())
    assert found[1][0].is_contiguous()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_transposed_input_is_read_as_it_is(convolutions):
    # the mixer transposes patches and channels
    fast = made()
    speed_up(fast)
    x = torch.randn(4, 512, 60).transpose(1, 2)
    expected = functional.linear(x, fast[0].weight, fast[0].bias)
    torch.testing.assert_close(fast(x), expected, atol=1e-5, rtol=1e-5)
    assert len(convolutions) == 1


def test_the_rest_is_a_plain_linear_map_to_the_bit(convolutions):
    fast = made()
    speed_up(fast)
    cases = {"few vectors": (fast, torch.randn(N_VECTORS - 1, 512))}
    small = made(64, 64)  # README's demo has such models
    speed_up(small)
    cases["small matrix"] = (small, torch.randn(1000, 64))
    double = copy.deepcopy(fast).double()
    cases["float64"] = (double, torch.randn(1000, 512, dtype=torch.float64))
    for name, (model, x) in cases.items():
        assert torch.equal(model(x), functional.linear(x, model[0].weight, model[0].bias)), name
    with torch.autocast("cpu", torch.bfloat16):
        assert fast(torch.randn(1000, 512)).dtype is torch.bfloat16
    assert convolutions == []
    fast(torch.randn(N_VECTORS, 512))
    assert len(convolutions) == 1  # control


def test_a_processor_where_it_is_not_faster_takes_the_linear_map(convolutions, monkeypatch):
    monkeypatch.setattr(products, "convolution_is_faster", lambda: False)
    fast = made()
    speed_up(fast)
    fast(torch.randn(1000, 512))
    assert convolutions == [] and type(fast[0]) is nn.Linear


def test_what_is_exported_has_linear_maps(convolutions):
    fast = made()
    speed_up(fast)
    program = torch.export.export(fast, (torch.randn(1000, 512),))
    operations = {str(node.target) for node in program.graph.nodes}
    assert "aten.linear.default" in operations and not any("conv" in name for name in operations)


def test_names_and_weights_stay_and_other_layers_are_not_touched(convolutions):
    model = nn.ModuleDict(
        {"linear": nn.Linear(8, 4), "attention": nn.MultiheadAttention(8, 2), "norm": nn.LayerNorm(8)}
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    own = type(model["attention"].out_proj)  # a class of its own, which torch's quantization knows
    speed_up(model)
    assert type(model["linear"]) is Linear and type(model["attention"].out_proj) is own
    after = pickle.loads(pickle.dumps(model)).state_dict()
    assert before.keys() == after.keys() and all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("name", "avx512", "expected"),
    [("AMD EPYC", True, True), ("AMD EPYC", False, False), ("Intel(R) Xeon(R)", True, False), (None, None, False)],
)
def test_only_amd_with_avx_512(monkeypatch, name, avx512, expected):
    found = {} if name is None else {"cpu_name": name, "avx512_f": avx512}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    products.convolution_is_faster.cache_clear()
    assert products.convolution_is_faster() is expected
    products.convolution_is_faster.cache_clear()
