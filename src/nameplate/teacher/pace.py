"""How many requests one server gets at once: more while it keeps up, fewer when it says or shows that it does not.

The rule is TCP's, with a second eye on latency as in Vegas and Netflix' gradient limits. The window starts at half of
what the recipe allows; each answer makes it one larger until the first sign of trouble (it doubles in one round), and
from then on one larger a round. 429, 503 and timeouts take a third off it; so does, in proportion, a round whose median
answer takes more than twice as long as usual. "Usual" falls at once and rises by a twentieth of the difference each
round: a server that is slower for good (longer answers, say) is believed after some rounds. What it cannot see is a
queue that was there from the first request on; that costs patience, not answers.
"""

from __future__ import annotations

from statistics import median
from typing import Final

LESS: Final = 2 / 3
"""What a busy server leaves of its window."""
SLOWER: Final = 2.0
"""So many times the usual latency is a queue. Batching alone makes answers slower, but not twice within a round."""
FORGET: Final = 0.05
"""How much of a higher latency becomes usual in a round."""
SMALLEST_ROUND: Final = 5
"""Answers of a round at the least: a median of fewer is chance."""


class Pace:
    """The window of one server.

    Args:
        most: largest window.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._window = float(-(-most // 2))
        self._in_trouble_at = float("-inf")
        self._is_careful = False
        self._usual: float | None = None
        self._begin_round()

    @property
    def window(self) -> int:
        """Most requests under way at once."""
        return int(self._window)

    def answered(self, seconds: float, *, under_way: int, began: float, now: float) -> None:
        """An answer came after `seconds`; `under_way` counts its own request."""
        # A window that is not used says nothing of what the server could bear.
        if under_way >= self.window and began >= self._in_trouble_at:
            self._widen(1.0 if not self._is_careful else 1.0 / self._window)
        self._round.append(seconds)
        if len(self._round) >= self._round_size:
            self._look_at_round(now)

    def busy(self, *, began: float, now: float) -> None:
        """The server wants less; what was sent before the last cut does not count again."""
        if began >= self._in_trouble_at:
            self._cut(LESS, now)

    def _look_at_round(self, now: float) -> None:
        middle = median(self._round)
        self._begin_round()
        usual = self._usual if self._usual is not None else middle
        if middle > SLOWER * usual:
            self._cut(max(LESS, SLOWER * usual / middle), now)
        self._usual = min(middle, usual + FORGET * (middle - usual))

    def _widen(self, step: float) -> None:
        self._window = min(float(self._most), self._window + step)

    def _cut(self, factor: float, now: float) -> None:
        self._window = max(1.0, self._window * factor)
        self._is_careful = True
        self._in_trouble_at = now
        self._begin_round()

    def _begin_round(self) -> None:
        # As large as the window is now: one that grows with each answer would never be full.
        self._round: list[float] = []
        self._round_size = max(self.window, SMALLEST_ROUND)
