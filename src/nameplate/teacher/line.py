"""The line to the teacher: which failures are worth the same request again, how long to wait, and when to stop."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_TRIES: Final = 6
"""Most sendings of one request that gets no answer."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
LONGEST_RETRY_AFTER_SECONDS: Final = 300.0

TEMPORARY_STATUS: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that may pass by themselves; every other failure status stops the run."""


def is_temporary(status: int) -> bool:
    """Whether the same request may be answered later."""
    return status in TEMPORARY_STATUS or status >= 500


def pause_seconds(failures: int, retry_after: str | None, *, rng: random.Random) -> float:
    """How long to wait after the `failures`-th failure of a request (1 is the first).

    Doubles from half a second to thirty, with up to a quarter taken off so that many waiting requests do not come back
    together. A Retry-After header (seconds or an HTTP date) is obeyed where it asks for more, up to five minutes.
    """
    own = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1)) * rng.uniform(0.75, 1.0)
    return max(own, min(LONGEST_RETRY_AFTER_SECONDS, _retry_after_seconds(retry_after)))


def _retry_after_seconds(header: str | None) -> float:
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
