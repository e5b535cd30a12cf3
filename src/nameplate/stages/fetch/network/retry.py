"""Which failures are asked again, how often, and after what rest: a table by cause, not one counter."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from nameplate.records import FetchStatus
from nameplate.stages.fetch.result import LinkFailed

BASE_SECONDS = 0.2
LONGEST_BACK_OFF_SECONDS = 10.0

LONGEST_REST_SECONDS = 600.0
"""The longest rest that a host is granted, at once or in pieces without a good answer in between; a host that asks for
more is left to the next run, so that one that always says "later" cannot hold the run for hours."""

TRANSIENT_HTTP = frozenset({408, 425, 429, *range(500, 600)})
"""Answers that say "not now" (RFC 9110, RFC 6585, RFC 8470)."""

_MOST_ATTEMPTS = {FetchStatus.DNS_ERROR: 2}


def pause_before_retry(failure: LinkFailed, *, attempt: int, max_attempts: int) -> float | None:
    """Seconds to wait after the failed `attempt` (from 1); none: do not ask again.

    Exponential with jitter, so that links that failed together do not come back together.
    """
    allowed = min(max_attempts, _MOST_ATTEMPTS.get(failure.status, max_attempts))
    rest = failure.retry_after_seconds or 0.0
    if not failure.transient or attempt >= allowed or rest > LONGEST_REST_SECONDS:
        return None
    back_off = min(LONGEST_BACK_OFF_SECONDS, BASE_SECONDS * 2.0 ** min(attempt - 1, 10))
    return max(rest, back_off * random.uniform(0.5, 1.0))


def parse_retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, which holds seconds or a date; none: absent or malformed."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment: datetime = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
