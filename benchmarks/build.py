"""Data set build: seconds and bytes a segment, beside a plain copy of the same files (the floor).

python benchmarks/build.py --sessions=5 --segments=20 --seconds=4
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import fire

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(sessions: int = 5, segments: int = 20, seconds: float = 4.0, num_proc: int = 1, repeats: int = 3) -> None:
    """Writes a synthetic corpus to a temporary folder, then times build, opening and copy in turn."""
    from erc.data.build import read_source as _read_source
    from erc.datasets import HF_KEMD
    from erc.synthetic import corpora

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "corpora"
        corpora.write(root=str(root), sessions=sessions, segments=segments, seconds=seconds, bio=False)
        wavs = sum(path.stat().st_size for path in root.rglob("*.wav"))
        for repeat in range(repeats):
            timings = {}
            started = time.perf_counter()
            shutil.copytree(root, Path(folder) / f"copy{repeat}")
            timings["copy"] = time.perf_counter() - started
            for what in ("build", "open"):
                _read_source.cache_clear()
                started = time.perf_counter()
                view = HF_KEMD(
                    "train", -1, root=str(root), cache_dir=f"{folder}/cache{repeat}", num_proc=num_proc, exclude="none"
                )
                timings[what] = time.perf_counter() - started
            built = sum(path.stat().st_size for path in Path(f"{folder}/cache{repeat}").rglob("*.arrow"))
            n = len(view)
            print(
                f"{n} segments, {num_proc} processes: "
                + ", ".join(f"{what} {1000 * value / n:.2f} ms a segment" for what, value in timings.items())
                + f"; build {built / 1e6:.0f} MB ({built / n / 1e6:.3f} a segment), wav {wavs / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    fire.Fire(main)
