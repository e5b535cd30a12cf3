"""One host's pace: how many requests it may have at once, when it rests, and when it is left to the next run.

Pure arithmetic over times that the caller gives, so that hours can be tested in a moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from nameplate.stages.fetch.network.retry import LONGEST_REST_SECONDS

SUCCESSES_PER_STEP: Final = 50
"""Answers after which a slowed host may have one request more at once."""

STRAIN_OF_TROUBLE: Final = 4
STRAIN_THAT_SLOWS: Final = 20
"""A try that breaks off or is not answered adds to a host's strain, an answer takes one away. A few dead links, asked
three times each, are the links' fault and must not slow the whole host; one request in five, or five together, are
the host's."""

SILENT_TRIES: Final = 6
"""Tries in a row without any answer, of links that were not silent before, after which a host is left alone for a
while. The last links of a healthy host are its dead ones, tried over and over: they must not condemn it."""

REST_SECONDS: Final = (5.0, 10.0, 30.0)
"""Rests of a silent host, each ended by one probe: a host that stays silent for all of them counts as down."""

BUSY_ANSWERS: Final = 5
"""Answers "not now" in a row, without a date, after which a host rests: 1 s, then twice as long each time."""

LONGEST_OWN_REST_SECONDS: Final = 60.0


class Outcome(StrEnum):
    """What a request says of its host."""

    ANSWERED = "answered"
    BUSY = "busy"
    """429 or 503."""
    BROKEN = "broken"
    """An answer that broke off."""
    SILENT = "silent"
    """No status line ever came."""
    UNUSED = "unused"
    """The host was not asked."""


_STRAIN: Final = {
    Outcome.BUSY: STRAIN_THAT_SLOWS,
    Outcome.BROKEN: STRAIN_OF_TROUBLE,
    Outcome.SILENT: STRAIN_OF_TROUBLE,
}


class Ending(NamedTuple):
    """How one request ended. Plain values: it may travel between processes."""

    outcome: Outcome = Outcome.UNUSED
    status: str = ""
    """The failure's `FetchStatus`."""
    detail: str = ""
    rest_seconds: float | None = None
    """The host's own Retry-After."""
    suspect: bool = False
    """The link was silent before: that it is so again says nothing of its host."""


class Closed(NamedTuple):
    """Why a host is asked nothing more in this run."""

    status: str
    detail: str


@dataclass
class HostPace:
    """The pace of one host: additive increase, multiplicative decrease, rests, and an end."""

    per_host: int
    rest_seconds: tuple[float, ...] = REST_SECONDS

    def __post_init__(self) -> None:
        self.limit = self.per_host
        self.not_before = 0.0
        self.closed: Closed | None = None
        self._answers = 0
        self._strain = 0
        self._busy = 0
        self._silent = 0
        self._probes = 0
        self._rested = 0.0
        self._slowed_at = float("-inf")
        self._judged_at = float("-inf")

    def allows(self, under_way: int, now: float) -> bool:
        """Whether one more request may start beside those under way."""
        most = 1 if self._probes else self.limit
        return under_way < most and now >= self.not_before

    def ended(self, ending: Ending, *, started: float, now: float) -> None:
        """Learn from a request that was started at `started`."""
        if ending.outcome is Outcome.ANSWERED:
            self._answered()
        elif ending.outcome is Outcome.SILENT and ending.suspect and not self._probes:
            # Once the host is probed, any silence counts: there may be no other links left to probe it by.
            return
        elif ending.outcome is not Outcome.UNUSED:
            self._slow_down(started, now, strain=_STRAIN[ending.outcome])
            if ending.outcome is Outcome.SILENT:
                self._count_silence(ending, started, now)
            else:
                self._silent = self._probes = 0
                self._grant_rest(ending, started, now)

    def _answered(self) -> None:
        self._silent = self._probes = self._busy = 0
        self._rested = 0.0
        self._answers += 1
        self._strain = max(0, self._strain - 1)
        if self._answers >= SUCCESSES_PER_STEP:
            self._answers = 0
            self.limit = min(self.per_host, self.limit + 1)

    def _slow_down(self, started: float, now: float, *, strain: int) -> None:
        """Halve the limit when the strain is too much, but once for all that was under way together."""
        self._strain += strain
        if self._strain < STRAIN_THAT_SLOWS:
            return
        self._strain = self._answers = 0
        if started >= self._slowed_at:
            self.limit = max(1, self.limit // 2)
            self._slowed_at = now

    def _grant_rest(self, ending: Ending, started: float, now: float) -> None:
        # Those that were under way together asked for one rest, not for one each.
        counts = started >= self._judged_at
        rest = ending.rest_seconds
        if rest is None:
            self._busy += counts
            over = self._busy - BUSY_ANSWERS
            rest = min(LONGEST_OWN_REST_SECONDS, 2.0 ** min(over, 10)) if counts and over >= 0 else 0.0
        self.not_before = max(self.not_before, now + rest)
        if rest == 0 or not counts:
            return
        self._judged_at = now
        self._rested += rest
        if self._rested > LONGEST_REST_SECONDS:
            detail = f"the host asks to be left alone for longer than {LONGEST_REST_SECONDS:g} s"
            self.closed = Closed(ending.status, f"{detail} ({ending.detail})")

    def _count_silence(self, ending: Ending, started: float, now: float) -> None:
        if started < self._judged_at:
            return
        self._silent += 1
        if self._silent < SILENT_TRIES:
            return
        if self._probes == len(self.rest_seconds):
            detail = f"the host gave no answer to {self._silent} tries in a row"
            self.closed = Closed(ending.status, f"{detail} ({ending.detail})")
            return
        self.not_before = now + self.rest_seconds[self._probes]
        self._judged_at = now
        self._probes += 1
