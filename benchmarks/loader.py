"""How long training waits for its batches: the loader against a card that takes 60 ms a step, which a sleep stands for.

Segments of KEMDy19's durations (see ``step.py``), cut at 7 s; batches of 8.

    python benchmarks/loader.py --out=loader.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fire
import numpy as np
from measuring import table, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main(batches: int = 40, step_ms: float = 60.0, repeats: int = 5, out: str = "") -> None:
    """Prints the wait a step of each way, and the CPU time of a batch.

    Args:
        batches: Of a pass.
        step_ms: Time of a step on the card.
        repeats: Passes of each way.
        out: A JSON file.
    """
    import datasets
    import torch

    from erc.data import KEMD, Collator
    from erc.model import load_feature_extractor, load_tokenizer
    from erc.training import make_loader
    from erc.training.loaders import _Ahead

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    n = 8 * batches
    seconds = np.exp(rng.normal(np.log(4.2), np.log(15.5 / 4.2) / 1.645, n)).clip(0.3, 40)
    rows = {
        "segment_id": [f"Sess01_script01_F{i:03d}" for i in range(n)],
        "waveform": [rng.normal(0, 1000, int(16_000 * one)).astype(np.int16) for one in seconds],
        "transcript": ["정말 그래요 어제 집에 갔어요 " * max(1, int(one / 2)) for one in seconds],
        "votes": [[9, 1, 0, 0, 0, 0, 0]] * n,
        **{"hard_label": [0] * n, "is_tied": [False] * n, "valence": [3.0] * n, "arousal": [3.0] * n},
    }
    kinds = {name: datasets.Value("float64") for name in ("valence", "arousal")}
    kinds |= {"segment_id": datasets.Value("string"), "transcript": datasets.Value("string")}
    kinds |= {"hard_label": datasets.Value("int64"), "is_tied": datasets.Value("bool")}
    kinds |= {
        "waveform": datasets.Sequence(datasets.Value("int16")),
        "votes": datasets.Sequence(datasets.Value("int64")),
    }
    table_of_rows = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
    collate = Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")
    loader = make_loader(table_of_rows, collate, rng.permutation(n).reshape(batches, 8).tolist())

    def waits(iterator: Iterator[Any]) -> tuple[float, float]:
        """Mean wait and mean CPU time a batch; the first batch is not counted."""
        next(iterator)
        waited, cpu = 0.0, time.process_time()
        for _ in range(batches - 1):
            time.sleep(step_ms / 1000)
            started = time.perf_counter()
            next(iterator)
            waited += time.perf_counter() - started
        return waited / (batches - 1), (time.process_time() - cpu) / (batches - 1)

    found: dict[str, list[tuple[float, float]]] = {"in turn": [], "one ahead": []}
    for _ in range(repeats):
        found["in turn"].append(waits(iter(loader)))
        found["one ahead"].append(waits(iter(_Ahead(iter(loader)))))
    wait = {name: [one[0] for one in rows] for name, rows in found.items()}
    share = {name: f"{np.median(rows) / step_ms * 1000:.1%}" for name, rows in wait.items()}
    cpu = {name: f"{1000 * np.median([one[1] for one in rows]):.1f}" for name, rows in found.items()}
    print(table(wait, "in turn", **{"wait as share of a step": share, "CPU ms a batch": cpu}))
    write(out, step_ms=step_ms, wait=wait, cpu_ms=cpu)


if __name__ == "__main__":
    fire.Fire(main)
