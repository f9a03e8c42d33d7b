"""Linear maps as matrix products and as convolutions: a square product, the mixer at paper size, encoders of 12 layers.

    python benchmarks/products.py --out=products.json

Forward and backward, but for the square product, which says what the processor can do. In bfloat16 torch's products are oneDNN's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import fire
from measuring import interleaved, table, write
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SQUARE = 2048
WAYS = ("products, float32", "convolutions, float32", "products, bfloat16")


def main(batch_size: int = 8, seconds: float = 4.0, repeats: int = 7, clock: str = "wall", out: str = "") -> None:
    """Prints a table of each: three ways in turn.

    Args:
        batch_size: Segments.
        seconds: Of a segment; it has 24 tokens.
        repeats: Calls of each way, after one that is not counted.
        clock: ``wall``, or ``cpu`` on a machine that others use.
        out: A JSON file.
    """
    import torch
    from transformers import RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

    from erc.model import products
    from erc.model.fusion.mixer import Mixer
    from erc.training import keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(0)
    size = OmegaConf.load(ROOT / "config/fusion/tensor_mixer.yaml")
    options = {key: size[key] for key in ("patch_size", "depth", "tokens_mlp_dim", "channels_mlp_dim")}
    mixer = Mixer(image_size=size.projection_dim, dim=size.mixer_dim, **options)
    image = torch.randn(batch_size, size.projection_dim, 1) * torch.randn(batch_size, 1, size.projection_dim)
    square = torch.nn.Linear(SQUARE, SQUARE, bias=False).requires_grad_(False)
    audio = Wav2Vec2Model(Wav2Vec2Config(feat_extract_norm="layer", layerdrop=0.0)).eval()
    text = RobertaModel(RobertaConfig(vocab_size=32_000), add_pooling_layer=False).eval()
    values, tokens = torch.randn(batch_size, round(16_000 * seconds)), torch.randint(5, 30_000, (batch_size, 24))
    models = torch.nn.ModuleDict({"mixer": mixer, "audio": audio, "text": text, "square": square})
    with mock.patch.object(products, "convolution_is_faster", lambda: True):
        products.speed_up(models)
    gains = products.Linear._gains

    def encoded() -> torch.Tensor:
        return audio(values).last_hidden_state.sum() + text(tokens).last_hidden_state.sum()

    computed: dict[str, Callable[[], torch.Tensor]] = {
        "a square product": lambda: square(square.weight).sum(),
        "the mixer at paper size": lambda: mixer(image).float().square().sum(),
        "encoders of 12 layers": encoded,
    }

    def step(run: Callable[[], torch.Tensor], way: str) -> None:
        models.zero_grad()
        rule = gains if way.startswith("convolutions") else lambda *_: False
        with mock.patch.object(products.Linear, "_gains", rule):
            with torch.autocast("cpu", torch.bfloat16, enabled=way.endswith("bfloat16"), cache_enabled=False):
                found = run()
            if found.requires_grad:
                found.backward()

    taken = {}
    for name, run in computed.items():
        calls = {way: lambda run=run, way=way: step(run, way) for way in WAYS}
        taken[name] = interleaved(calls, repeats, clock=clock)
        rates = {way: f"{2e-9 * SQUARE**3 / min(found):.0f}" for way, found in taken[name].items()}
        columns = {"GFLOP/s at best": rates} if name == "a square product" else {}
        print(f"{name}\n{table(taken[name], WAYS[0], **columns)}\n", flush=True)
    write(out, batch_size=batch_size, length=seconds, clock=clock, seconds=taken)


if __name__ == "__main__":
    fire.Fire(main)
