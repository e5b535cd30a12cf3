"""How long idle threads of torch wait awake; said before torch is imported, for its OpenMP reads it then."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

RESTING: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
"""Awake for some tenths of a millisecond, then asleep. Only GNU's OpenMP knows the count; others sleep at once."""


def let_threads_rest(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set how long they spin for the next piece of work before they sleep, unless the user has said anything of it.

    As they come they spin for many milliseconds, which starves whatever else runs on the same cores; without any
    spinning each small operation waits for them to wake (docs/training-speed.md has figures of both).
    """
    if not RESTING.keys() & environment.keys():
        environment.update(RESTING)
