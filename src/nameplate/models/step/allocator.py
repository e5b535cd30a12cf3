"""Memory that one step frees is there for the next, instead of going back to the system page by page."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Final

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Of glibc's `mallopt`."""
_NEVER: Final = 2**31 - 1
_PAD_BYTES: Final = 64 << 20


@cache
def keep_freed_memory() -> bool:
    """Tell glibc's allocator to hold on to what is freed; whether it is one that listens.

    A step on a CPU allocates and frees gigabytes. As glibc comes, large blocks are mapped anew each time, and every
    page of them is zeroed by the kernel when it is first touched.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
