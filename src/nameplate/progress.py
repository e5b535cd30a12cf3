"""The seam between work that takes long and whatever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Shows how far a stage has come."""

    def task(self, label: str, total: int | None) -> TaskHandle:
        """Open one bar of `total` steps (None: not known)."""
        ...

    def note(self, text: str) -> None:
        """Say one line that stays."""
        ...


class TaskHandle(Protocol):
    """One open bar."""

    def advance(self, steps: int = 1) -> None:
        """Say that so many steps are done."""
        ...

    def close(self) -> None:
        """Say that no more steps come."""
        ...


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        pass

    def close(self) -> None:
        pass


class SilentProgress:
    """Shows nothing: for tests, `--json` and library use."""

    def task(self, label: str, total: int | None) -> TaskHandle:
        """Open a bar that nobody sees."""
        return _SilentTask()

    def note(self, text: str) -> None:
        """Say nothing."""


@contextmanager
def bar(progress: Progress, label: str, total: int | None) -> Iterator[Advance]:
    """Open a bar, yield its `advance`, close it however the block ends."""
    handle = progress.task(label, total)
    try:
        yield handle.advance
    finally:
        handle.close()
