"""Shared fixtures: small synthetic corpora and one build cache per test session. No test reaches the network."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from contextlib import redirect_stderr, redirect_stdout

# before any import that reads them
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# a job in the background of a shell ignores SIGINT, and so would the programs that tests start and interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path

import pytest
from hypothesis import settings
from programs import ForkedCell

from erc.synthetic import corpora as synthetic_corpora

pytest_plugins = ["kemd_views", "own_speech", "robust_run"]  # fixtures of several folders

# deadline: a busy machine is no fault of the code; derandomize: the same examples every time, nothing kept on disk
settings.register_profile("erc", deadline=None, derandomize=True)
settings.load_profile("erc")


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder (``root``) with both synthetic corpora: two sessions per fold and corpus, about 1,000 short segments.

    It holds sessions with known defects: KEMDy19's 3, 4, 6, 7 and 9 (mis-numbered ids, a phantom row, empty EDA and
    TEMP cells, segments without files) and KEMDy20's 1, 12 and 17 (silent wavs). Shared by all tests: change a copy.
    """
    root = tmp_path_factory.mktemp("data")
    synthetic_corpora.write(root=str(root), sessions=10, segments=3, seconds=1.0, bio=False)
    return root


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds of ``corpora``, made by the first test that asks and read by all. Damage none: take ``tmp_path``."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run_grid():
    """Runs ``python -m erc.grid OPTIONS`` in this process, its cells forked; returns exit code and output."""
    from erc.grid import pool, program

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(pool, "Guarded", ForkedCell)
            try:
                code = program.main([*options])
            except SystemExit as end:
                code = end.code
        return subprocess.CompletedProcess(options, code, out.getvalue(), err.getvalue())

    return run
