"""What all workers of one stage share, wherever they run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
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

    def put_many(self, entries: Iterable[tuple[str, int, Mapping[str, Any]]]) -> None:
        """Write entries (key, attempt, value): all of them, or none."""
        ...

    def attempts(self, key: str) -> list[dict[str, Any]]:
        """All entries of a key, in the order of their attempts."""
        ...

    def last(self, key: str) -> dict[str, Any] | None:
        """The latest entry of a key."""
        ...

    def last_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The latest entry of each of these keys that has one, in one question."""
        ...


class Shared(Protocol):
    """One object of which all workers use the same copy; its methods are coroutines, all on one event loop."""

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Await a method of it. When the waiting is cancelled, so is the method."""
        ...


class Services(Protocol):
    """How a stage reaches what its workers share."""

    def journal(self, path: Path) -> AbstractContextManager[Answers]:
        """Open a journal."""
        ...

    def shared(self, name: str) -> Shared:
        """One of the objects that the stage's `shared()` names."""
        ...

    def home(self) -> asyncio.AbstractEventLoop | None:
        """The running loop on which the shared objects live; none: it is in another process.

        Who works on it asks them without a change of threads. It is theirs: neither stop it nor block it.
        """
        ...


class LocalServices:
    """Services of one process: journals are files, and shared objects live on an event loop of their own.

    Each shard has an event loop, and several may run at once, in threads; what they share must outlive and join them.
    """

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self._lock = threading.Lock()
        self._loop: _OwnLoop | None = None
        self._objects: dict[str, Shared] = {}

    def journal(self, path: Path) -> AbstractContextManager[Answers]:
        """Open a journal file."""
        return Journal(path)

    def shared(self, name: str) -> Shared:
        """The object, behind the face that a distant one would have."""
        with self._lock:
            if name not in self._objects:
                self._objects[name] = _LocalShared(self._makers[name](), self._opened())
            return self._objects[name]

    def home(self) -> asyncio.AbstractEventLoop:
        """The loop of the shared objects, which runs until `close`."""
        with self._lock:
            return self._opened().loop

    def close(self) -> None:
        """Let the shared objects go; who still waits for one is cancelled."""
        with self._lock:
            if self._loop is not None:
                self._loop.close()
            self._loop = None
            self._objects.clear()

    def _opened(self) -> _OwnLoop:
        if self._loop is None:
            self._loop = _OwnLoop()
        return self._loop


class _OwnLoop:
    """An event loop in a thread that ends with the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._is_closed = False
        threading.Thread(target=self._run, name="shared", daemon=True).start()

    def start(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Future[Any]:
        """Begin a coroutine there."""
        with self._lock:
            if self._is_closed:
                raise asyncio.CancelledError("what was shared is closed")
            return asyncio.run_coroutine_threadsafe(call(), self.loop)

    def close(self) -> None:
        """Cancel what runs, and end."""
        with self._lock:
            self._is_closed = True
            self.loop.call_soon_threadsafe(self.loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        finally:
            self.loop.close()


class _LocalShared:
    def __init__(self, target: Any, home: _OwnLoop) -> None:
        self._target = target
        self._home = home

    async def ask(self, method: str, *arguments: Any) -> Any:
        call = partial(getattr(self._target, method), *arguments)
        if asyncio.get_running_loop() is self._home.loop:
            return await call()
        return await asyncio.wrap_future(self._home.start(call))
