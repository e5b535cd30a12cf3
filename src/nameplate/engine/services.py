"""What all workers of one stage share, wherever they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from nameplate.store.journal import Journal

Makers = Mapping[str, Callable[[], Any]]
"""How to make the objects of which all workers use one copy, by name."""


class Answers(Protocol):
    """The part of a journal that stages use: what was put once is kept for good."""

    def put(self, key: str, attempt: int, value: Mapping[str, Any]) -> None:
        """Write one entry."""
        ...

    def attempts(self, key: str) -> list[dict[str, Any]]:
        """All entries of a key, in the order of their attempts."""
        ...

    def last(self, key: str) -> dict[str, Any] | None:
        """The latest entry of a key."""
        ...


class Shared(Protocol):
    """One object of which all workers use the same copy."""

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of it, and await its answer when it is a coroutine."""
        ...


class Services(Protocol):
    """How a stage reaches what its workers share."""

    def journal(self, path: Path) -> AbstractContextManager[Answers]:
        """Open a journal."""
        ...

    def shared(self, name: str) -> Shared:
        """One of the objects that the stage's `shared()` names."""
        ...


class LocalServices:
    """Services of one process: journals are files, shared objects are objects."""

    def __init__(self, makers: Makers) -> None:
        self._objects = {name: make() for name, make in makers.items()}

    def journal(self, path: Path) -> AbstractContextManager[Answers]:
        """Open a journal file."""
        return Journal(path)

    def shared(self, name: str) -> Shared:
        """The object itself, behind the face that a distant one would have."""
        return _LocalShared(self._objects[name])


class _LocalShared:
    def __init__(self, target: Any) -> None:
        self._target = target

    async def ask(self, method: str, *arguments: Any) -> Any:
        return await getattr(self._target, method)(*arguments)
