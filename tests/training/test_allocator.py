"""Freed memory is kept for the next tensors."""

import json
import platform
import subprocess
import sys

import pytest

from erc.training import allocator
from erc.training.allocator import keep_freed_memory

PROGRAM = """
import ctypes, json, resource, sys
from erc.training.allocator import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults(n_bytes):
    def use():
        blocks = [libc.malloc(n_bytes) for _ in range(8)]
        for block in blocks:
            libc.memset(block, 1, n_bytes)
        for block in blocks:
            libc.free(block)
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults(2**24)
set_ = keep_freed_memory()
print(json.dumps([before, set_, faults(2**24), faults(2**26)]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has this option")
def test_the_next_tensors_take_the_memory_of_the_freed_ones_and_large_ones_give_it_back():
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    before, was_set, kept, large = json.loads(answer)
    pages = 8 * 2**24 // 4096
    assert was_set
    assert before > pages / 2 and kept < pages / 100
    assert large > pages / 2  # above 32 MiB: a run's peak does not grow


def test_without_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)
    assert keep_freed_memory() is False
