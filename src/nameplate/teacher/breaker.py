"""The circuit breaker: answers that go bad together are a teacher gone bad, not hard pictures."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from nameplate.statistics import wilson
from nameplate.teacher.ladder import Cause, cause_of

WINDOW: Final = 50
"""So many first answers are looked at together."""
EXAMPLES: Final = 3
GRAVE: Final = frozenset({Cause.LOOP, Cause.GARBLED, Cause.REFUSAL})
"""What a teacher in order does now and then, and a broken one all the time. A missing name or a text that was cut off
is a matter of the question and of `max_tokens`; the ladder sees to it."""


class Judged(NamedTuple):
    """One first answer; `cause` is "" where nothing was gravely wrong."""

    cause: str
    example: str


def grave_cause(problems: Sequence[str]) -> str:
    """What counts for the breaker among an answer's problems."""
    cause = cause_of(problems)
    return cause.value if cause in GRAVE else ""


class Breaker:
    """Looks at the last first answers.

    Args:
        share: of bad ones that is too many; none: never.
    """

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._last: deque[Judged] = deque(maxlen=WINDOW)

    def add(self, cause: str, example: str) -> None:
        """One more first answer."""
        self._last.append(Judged(cause, example))

    def is_open(self) -> bool:
        """Whether too many are bad.

        With a full window the share itself decides. Before that it must be too large beyond chance: the lower end of
        its 95 % interval decides, so that 5 bad answers of 5 stop nothing, and 6 of 6 do.
        """
        if self._share is None or not self._last:
            return False
        bad = sum(judged.cause != "" for judged in self._last)
        seen = wilson(bad, len(self._last))
        return (seen.value if len(self._last) == WINDOW else seen.low) >= self._share

    def finding(self) -> str:
        """What went wrong, how often, with examples."""
        bad = [judged for judged in self._last if judged.cause]
        cause, count = Counter(judged.cause for judged in bad).most_common(1)[0]
        shown = [judged.example for judged in bad if judged.cause == cause][-EXAMPLES:]
        quoted = ", ".join(f'"{example}"' for example in shown)
        return (
            f"{len(bad)} of its last {len(self._last)} first answers are bad, most often for '{cause}' ({count}), "
            f"such as {quoted}"
        )
