"""Where a client runs: beside what all workers share, or alone with a desk of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from nameplate.engine import Makers, Services
from nameplate.store.journal import Journal

T = TypeVar("T")


def run_beside(services: Services, work: Coroutine[Any, Any, T]) -> T:
    """Run to its end, on the loop of what all workers share where that is in this process.

    Asking the desk then costs a call, not a change of threads.
    """
    home = services.home()
    if home is None:
        return asyncio.run(work)
    running = asyncio.run_coroutine_threadsafe(work, home)
    try:
        return running.result()
    except BaseException:
        running.cancel()
        raise


class Alone:
    """Services of one client on its own loop."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers

    def journal(self, path: Path) -> Journal:
        """A journal file."""
        return Journal(path)

    def shared(self, name: str) -> _Here:
        """A new object, on this loop."""
        return _Here(self._makers[name]())

    def home(self) -> None:
        """There is no other loop."""
        return


class _Here:
    def __init__(self, target: Any) -> None:
        self._target = target

    async def ask(self, method: str, *arguments: Any) -> Any:
        return await getattr(self._target, method)(*arguments)
