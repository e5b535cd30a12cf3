"""Memory that a training keeps between steps is the system's again afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import torch
from nameplate.models.step.allocator import give_freed_memory_back, keep_freed_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def fill():
    return [torch.ones(1 << 20) for _ in range(50)]  # 200 MB
assert keep_freed_memory()
before = resident()
del_me = fill()
del del_me
kept = resident() - before
assert give_freed_memory_back()
print(kept, resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_kept_and_then_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 150e6 and left < 50e6
