"""Memory that one step frees is there for the next, instead of going back to the system page by page."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Of glibc's `mallopt`."""
_KEEPING: Final = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}
_AS_IT_COMES: Final = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10}


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to hold on to what is freed; whether it is one that listens.

    A step on a CPU allocates and frees gigabytes. As glibc comes, large blocks are mapped anew each time, and every
    page of them is zeroed by the kernel when it is first touched.
    """
    return _set(_KEEPING)


def give_freed_memory_back() -> bool:
    """Undo that, and give the system what is free: what comes after training must not seem to need its memory."""
    if not _set(_AS_IT_COMES):
        return False
    library: Any = ctypes.CDLL(None)
    library.malloc_trim(0)
    return True


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Hold on to it for a while, and then give it back."""
    keeping = keep_freed_memory()
    try:
        yield
    finally:
        if keeping:
            give_freed_memory_back()


def _set(values: dict[int, int]) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in values.items())
