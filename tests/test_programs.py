"""A program that is forked behaves as one in an interpreter of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from programs import Program, run_program

SCRIPT = """
import atexit, os, sys
atexit.register(print, "at the end")
print(sys.argv[1:], os.getcwd(), os.environ.get("OF_THE_TEST"), __name__, repr(sys.stdin.read()))
print("on stderr", file=sys.stderr)
open(sys.argv[1], "w").close()
{end}
"""
ENDS = ["", "sys.exit(3)", "sys.exit('in words')", "sys.exit()", "raise ValueError('of the script')", "os.abort()"]


@pytest.mark.parametrize("end", ENDS)
def test_output_exit_code_folder_variables_and_mask_are_those_of_a_fresh_interpreter(tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(end=end), encoding="utf-8")
    fresh = subprocess.run(
        [sys.executable, script, "a"], cwd=tmp_path, env=os.environ | {"OF_THE_TEST": "1"}, umask=0o027,
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    mode = (tmp_path / "a").stat().st_mode
    (tmp_path / "a").unlink()
    forked = run_program(script, "a", cwd=tmp_path, umask=0o027, OF_THE_TEST="1")
    assert (forked.returncode, (tmp_path / "a").stat().st_mode) == (fresh.returncode, mode)
    if end != "os.abort()":  # nothing is flushed
        assert forked.stdout == fresh.stdout and "at the end" in fresh.stdout
        assert forked.stderr.splitlines()[-1] == fresh.stderr.splitlines()[-1]
    assert "OF_THE_TEST" not in os.environ  # nor in the next program
    assert run_program(script, "b", cwd=tmp_path).stdout.split("'] ")[1].split()[1] == "None"


def test_a_program_that_hangs_is_killed(tmp_path):
    (tmp_path / "script.py").write_text("import time\ntime.sleep(60)", encoding="utf-8")
    assert run_program(tmp_path / "script.py", seconds=0.2).returncode == -9


def test_two_programs_run_beside_each_other_and_a_signal_ends_one_alone(tmp_path):
    waits = "import os, time\nprint(os.getpid() == os.getsid(0), flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
    (tmp_path / "script.py").write_text(waits, encoding="utf-8")
    one, other = (Program(tmp_path / "script.py", cwd=tmp_path, leads=leads) for leads in (False, True))
    assert (one.poll(), other.poll()) == (None, None)
    one.send_signal(signal.SIGTERM)
    assert one.wait().returncode == -signal.SIGTERM and other.poll() is None
    (tmp_path / "go").touch()
    ended = other.wait()
    assert (ended.returncode, ended.stdout) == (0, "True\n") == (other.poll(), "True\n")
