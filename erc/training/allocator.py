"""Memory of tensors that is kept when they are freed, so that the next step need not ask the system for it again."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's ``mallopt``."""

KEPT, LARGE = 2**30, 2**25
"""At the end of the heap at most 1 GiB is kept; below memory that is in use, what is free stays, as ever. Tensors above 32 MiB,
glibc's limit, go back at once, so that a run's peak hardly grows."""


def keep_freed_memory() -> bool:
    """Makes the C library keep freed memory for the next tensors; returns whether it did.

    By default each tensor of megabytes is given back to the system when it is freed, and each new page of the next one costs a
    page fault: a fifth of a step of the mixer at paper size on a CPU. Only glibc has this option; elsewhere nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(MMAP_THRESHOLD, LARGE) and set_option(TRIM_THRESHOLD, KEPT))
