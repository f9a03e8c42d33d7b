"""Linear maps on a CPU by the faster of two libraries.

torch multiplies matrices of float32 with MKL, which uses half the width of an AMD processor with AVX-512. Convolutions go
through oneDNN, which uses all of it. A linear map is a convolution of width 1: the same sums, with other last digits. Figures:
``benchmarks/README.md``, "Products of matrices".
"""

from __future__ import annotations

import functools

import torch
from torch import nn

N_VECTORS, N_WEIGHTS = 160, 2**16
"""Fewer vectors, or a smaller matrix, gain nothing as a convolution."""


class Linear(nn.Linear):
    """``torch.nn.Linear`` that computes large products as a convolution; see ``speed_up``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        if not self._gains(input):
            return super().forward(input)
        # (1, in, 1, vectors), which lies in memory as the vectors do, so that nothing is copied. With the vectors in the other
        # dimension oneDNN takes up to four times as long for the gradient of the weights, by their number.
        pixels = input.reshape(1, 1, -1, self.in_features).permute(0, 3, 1, 2)
        kernel = self.weight[:, :, None, None].contiguous(memory_format=torch.channels_last)
        found = nn.functional.conv2d(pixels, kernel, self.bias)
        return found.permute(0, 2, 3, 1).reshape(*input.shape[:-1], self.out_features)

    def _gains(self, x: torch.Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()  # what is exported has plain linear maps
            and x.device.type == "cpu"
            and x.dtype is torch.float32
            and self.weight.dtype is torch.float32
            and self.weight.numel() >= N_WEIGHTS
            and x.numel() >= N_VECTORS * self.in_features
            and not torch.is_autocast_enabled("cpu")
        )


def speed_up(model: nn.Module) -> None:
    """Makes every ``torch.nn.Linear`` of a model a ``Linear`` where that is faster; its weights, and their names, stay."""
    if not convolution_is_faster():
        return
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


@functools.cache
def convolution_is_faster() -> bool:
    """Whether this is an AMD processor with AVX-512; on others the two were not compared, or linear maps are as fast."""
    found = torch.cpu.get_capabilities()
    is_wide = "AMD" in str(found.get("cpu_name", "")) and bool(found.get("avx512_f"))
    return is_wide and torch.backends.mkldnn.is_available()
