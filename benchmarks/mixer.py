"""The mixer at paper size, forward and backward: patches mixed by a linear map or by a convolution, in float32 and bfloat16.

    python benchmarks/mixer.py --out=mixer.json

A product of square matrices beside it says what the processor can do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
from measuring import interleaved, table, write
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

FLOPS = 24.4e9
"""Of a segment at paper size, forward and backward: three times those of the forward pass's products."""


def main(batch_size: int = 8, repeats: int = 7, clock: str = "wall", out: str = "") -> None:
    """Prints one line a way.

    Args:
        batch_size: Segments.
        repeats: Calls of each way, after one that is not counted.
        clock: ``wall``, or ``cpu`` on a machine that others use.
        out: A JSON file.
    """
    import torch

    from erc.model.fusion import mixer as file

    size = OmegaConf.load(ROOT / "config/fusion/tensor_mixer.yaml")
    options = {key: size[key] for key in ("patch_size", "depth", "tokens_mlp_dim", "channels_mlp_dim")}
    torch.manual_seed(0)
    mixer = file.Mixer(image_size=size.projection_dim, dim=size.mixer_dim, **options)
    image = torch.randn(batch_size, size.projection_dim, 1) * torch.randn(batch_size, 1, size.projection_dim)
    square = torch.randn(2048, 2048)

    def step(is_convolution: bool, precision: torch.dtype) -> torch.Tensor:
        mixer.zero_grad()
        with mock.patch.object(file, "convolution_is_faster", lambda: is_convolution):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16, cache_enabled=False):
                vector = mixer(image)
            vector.float().square().sum().backward()
        return vector.detach().float()

    ways = {
        f"{kind}, {str(precision).removeprefix('torch.')}": (kind == "convolution", precision)
        for precision in (torch.float32, torch.bfloat16)
        for kind in ("linear", "convolution")
    }
    calls = {name: lambda way=way: step(*way) for name, way in ways.items()}
    reference = step(False, torch.float32)
    difference = {name: f"{(call() - reference).abs().max():.1e}" for name, call in calls.items()}
    seconds = interleaved(calls | {"square product": lambda: square @ square}, repeats, clock=clock)
    flops = dict.fromkeys(calls, batch_size * FLOPS) | {"square product": 2 * 2048**3}
    rate = {name: f"{flops[name] / min(found) / 1e9:.0f}" for name, found in seconds.items()}
    columns = {"GFLOP/s at best": rate, "largest difference": difference}
    print(table(seconds, "linear, float32", **columns))
    write(out, batch_size=batch_size, clock=clock, seconds=seconds, **columns)


if __name__ == "__main__":
    fire.Fire(main)
