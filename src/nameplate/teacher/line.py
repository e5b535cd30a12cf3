"""The line to a teacher: how long to stay away after a failure, and how often to come back."""

from __future__ import annotations

import asyncio
import math
import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_TRIES: Final = 6
"""Most sendings of one request that gets no answer, and most failures in a row before a server counts as gone."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
LONGEST_RETRY_AFTER_SECONDS: Final = 300.0


class Clock:
    """Time, as the desk sees it; tests bring their own."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def pause_seconds(failures: int, *, rng: random.Random) -> float:
    """How long a server rests after the `failures`-th failure in a row (1 is the first).

    Doubles from half a second to thirty, with up to a quarter taken off so that many clients do not come back together.
    """
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16)) * rng.uniform(0.75, 1.0)


def retry_after_seconds(header: str | None) -> float:
    """What a Retry-After header asks for (seconds or an HTTP date), up to five minutes; 0 where it is unclear."""
    return max(0.0, min(LONGEST_RETRY_AFTER_SECONDS, _seconds(header)))


def _seconds(header: str | None) -> float:
    if header is None:
        return 0.0
    try:
        seconds = float(header)
        return seconds if math.isfinite(seconds) else 0.0
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
