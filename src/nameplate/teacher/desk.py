"""One desk for all workers that ask one teacher: how many ask at once, and that no question is asked twice at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from nameplate.recipe import TeacherSection

DESK: Final = "teacher"
SEAT: Final = ""
"""The name that stands for a request to the teacher; every other name is a question's key."""


def desk_makers(section: TeacherSection) -> dict[str, Callable[[], TeacherDesk]]:
    """What a stage that asks this teacher must share."""
    return {DESK: partial(TeacherDesk, section.concurrency)}


@dataclass
class _Line:
    limit: int
    holders: list[str] = field(default_factory=list)
    waiting: deque[tuple[str, asyncio.Future[None]]] = field(default_factory=deque)


class TeacherDesk:
    """Deals out seats and questions; all methods are called on one event loop.

    A holder is a piece of work (a shard), not a process: when its worker is killed, the next try of the same piece of
    work enters under the same name, and what the dead one held is free again.

    Args:
        concurrency: requests under way at once, of all workers together.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._lines: dict[str, _Line] = {}

    async def enter(self, holder: str) -> None:
        """Begin a piece of work; what an earlier try of it holds or waits for is let go."""
        for name, line in list(self._lines.items()):
            for waiter, turn in line.waiting:
                if waiter == holder:
                    turn.cancel()
            line.holders = [each for each in line.holders if each != holder]
            self._deal(name, line)

    async def take(self, holder: str, name: str) -> None:
        """Wait for a seat, or until nobody else is busy with a question, and hold it."""
        line = self._lines.setdefault(name, _Line(self._concurrency if name == SEAT else 1))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append((holder, turn))
        self._deal(name, line)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                await self.give_back(holder, name)
            raise

    async def give_back(self, holder: str, name: str) -> None:
        """Let go of one; what `enter` has taken away counts for nothing."""
        line = self._lines.get(name)
        if line is not None and holder in line.holders:
            line.holders.remove(holder)
            self._deal(name, line)

    def _deal(self, name: str, line: _Line) -> None:
        while line.waiting and len(line.holders) < line.limit:
            holder, turn = line.waiting.popleft()
            if not turn.done():
                line.holders.append(holder)
                turn.set_result(None)
        if not line.holders and not line.waiting:
            self._lines.pop(name, None)
