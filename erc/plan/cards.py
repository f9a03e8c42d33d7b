"""GPUs as their maker publishes them: arithmetic, memory and its bandwidth.

Dense rates without sparsity. 32-true computes matrix products in float32 proper (PyTorch's default), so it is the rate of
the plain units; bf16-mixed is that of the tensor cores with sums in float32. A real step reaches a share of these.

Sources: NVIDIA, Ampere GA102 whitepaper (2020), appendix A; Ada whitepaper (2023), appendix A; data sheets of A100 80 GB
SXM, H100 SXM and H200 SXM.
"""

from __future__ import annotations

from typing import NamedTuple


class Card(NamedTuple):
    """One GPU."""

    name: str
    gigabytes: int
    """Of memory; as it is sold."""
    float32: float
    """10^12 floating-point operations a second."""
    bfloat16: float
    """The same in bfloat16."""
    bandwidth: float
    """10^9 bytes a second."""

    def peak(self, precision: str) -> float:
        """Operations a second in a precision of ``trainer.precision``."""
        return 1e12 * (self.bfloat16 if precision.startswith("bf16") else self.float32)


CARDS = (
    Card("RTX 3070", 8, 20.3, 40.6, 448),
    Card("RTX 3080", 10, 29.8, 59.5, 760),
    Card("RTX 4070 Ti", 12, 40.1, 80.2, 504),
    Card("RTX 4090", 24, 82.6, 165.2, 1008),
    Card("A100", 80, 19.5, 312.0, 2039),
    Card("H100", 80, 66.9, 989.4, 3352),
    Card("H200", 141, 66.9, 989.4, 4800),
)

MEMORY_SIZES = (8, 12, 24, 80, 141)
"""Gigabytes for which the largest batch is said."""
