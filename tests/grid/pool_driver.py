"""A grid's driver whose cells are small stand-in processes: ``python tests/grid/pool_driver.py OUT LAUNCHER [options]``.

A cell claims its folder, starts a worker of its own that would run for minutes, prints the process ids of both, and finishes
once there is a file ``go`` in the grid's folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from stand_ins import result_text

from erc.grid import pool, program

ROWS = ("concat_hard", "concat_soft", "text_only_peakl")

CELL = """
import os, signal, subprocess, sys, time
from pathlib import Path
from erc.training import claimed
run_dir, result = Path(sys.argv[1]), sys.argv[2]
with claimed(run_dir, wait_seconds=0) as is_ours:
    if not is_ours:
        sys.exit(0)
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (run_dir / "ids.tmp").write_text(f"{os.getpid()} {worker.pid}")
    os.replace(run_dir / "ids.tmp", run_dir / "ids")
    while not (run_dir.parents[1] / "go").exists():
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    (run_dir / "result.json").write_text(result)
    print("finished", flush=True)
"""

if __name__ == "__main__":
    out, *options = sys.argv[1:]
    mood = options.pop() if options[-1] == "stubborn" else ""
    pool.command_of = lambda cell, extra: [
        *[sys.executable, "-c", CELL, str(cell.run_dir), result_text(cell.run_dir)],
        *([mood] if mood else []),
    ]
    pool.GRACE_SECONDS = 1.0 if mood else pool.GRACE_SECONDS
    pool.is_current = program.is_current = lambda cell, extra: pool.state_of(cell.run_dir) == "done"
    program.tables_and_left_out = lambda folder, width: ("THE TABLE", {})
    rows = ["--rows", ",".join(ROWS), "--folds", "0"]
    sys.exit(program.main(["--experiment", "demo", *rows, "--out", out, *options]))
