"""The one writer: whole files or none, to the byte, whatever happens while they are written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from erc import files

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("content", ["Größe, 감정\n", b"\x00\xff\r\n"])
def test_what_is_written_atomically_is_there_to_the_byte_and_nothing_else_is(tmp_path, content):
    files.write_atomically(tmp_path / "table.md", "older and much longer than what replaces it")
    files.write_atomically(tmp_path / "table.md", content)
    assert (tmp_path / "table.md").read_bytes() == (content.encode("utf-8") if isinstance(content, str) else content)
    assert os.listdir(tmp_path) == ["table.md"]


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    # two contents of one letter each, written in turns: any mixture or cut would show
    code = (
        "import sys\nfrom pathlib import Path\nfrom erc.files import write_atomically\nprint(flush=True)\n"
        "while True:\n for letter in 'ab': write_atomically(Path(sys.argv[1]), letter * 3_000_000)"
    )
    path = tmp_path / "predictions.csv"
    for wait in (0.05, 0.12, 0.21):
        process = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        while not path.exists():
            time.sleep(0.01)
        time.sleep(wait)
        process.kill()
        process.wait()
        process.stdout.close()
        content = path.read_bytes()
        assert len(content) == 3_000_000 and len(set(content)) == 1


@pytest.mark.parametrize("error", [OSError, RuntimeError, KeyboardInterrupt])
def test_a_writer_that_raises_leaves_the_file_before_and_nothing_else(tmp_path, error):
    files.write_atomically(tmp_path / "table.md", "before")
    with pytest.raises(error), files.atomic_file(tmp_path / "table.md") as file:
        file.write(b"half")
        raise error("in the middle of writing")
    assert os.listdir(tmp_path) == ["table.md"]
    assert (tmp_path / "table.md").read_text() == "before"


def test_a_file_is_not_there_before_its_block_has_ended(tmp_path):
    with files.atomic_file(tmp_path / "last.ckpt") as file:
        file.write(b"half")
        assert not (tmp_path / "last.ckpt").exists()
    assert (tmp_path / "last.ckpt").read_bytes() == b"half"
