"""Memory of this process: what it holds, and the peak of a stretch of work."""

from __future__ import annotations

import resource
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def forget_peak() -> None:
    """Let the process's peak start again from what it holds now; where the system cannot, it is since its start."""
    if _CLEAR.exists():
        # "5" resets the high-water mark of resident memory: proc(5).
        _CLEAR.write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Largest resident size of this process since `forget_peak`, in bytes."""
    return _status("VmHWM:")


def held_bytes() -> int:
    """Resident size of this process now, in bytes; where the system does not say, its peak."""
    return _status("VmRSS:")


def _status(name: str) -> int:
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
