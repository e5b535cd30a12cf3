"""What all workers share, when they are many processes: each thing lives in one actor beside the driver."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nameplate.engine.base import ShardStage
from nameplate.engine.services import Answers, Makers, Shared
from nameplate.errors import EngineError, NameplateError
from nameplate.store.journal import Journal

MOST_WAITING: Final = 1_000_000
"""Calls that may wait in one actor at once. A gate's `release` must never queue behind those who wait for it."""

CANCEL_SECONDS: Final = 10.0
"""Longest wait for a call to be over that was called off: Ray's word travels apart from later calls."""

_NOT_IMPORTED: Final = "failed to import on the worker"
"""How Ray says it; it has no type for this."""

Handle = Any
"""A Ray actor's handle; Ray gives it no type that knows its methods."""


class Keeper:
    """Holds one object; the body of an actor."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._target: Any = None

    async def open(self) -> None:
        """Make the object. Not in `__init__`, whose errors Ray does not hand on as they are."""
        self._target = self._make()

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object, and await its answer where there is something to await."""
        answer = getattr(self._target, method)(*arguments)
        return await answer if inspect.isawaitable(answer) else answer


@dataclass(frozen=True)
class RayServices:
    """The same services as `LocalServices`, by handles; goes to the workers."""

    journals: Mapping[str, Handle]
    objects: Mapping[str, Handle]

    def journal(self, path: Path) -> AbstractContextManager[Answers]:
        """The journal's actor, which stays open whoever closes this."""
        assert str(path) in self.journals, f"{path} is not among the stage's journals()"
        return nullcontext(_DistantJournal(self.journals[str(path)], path))

    def shared(self, name: str) -> Shared:
        """The object's actor."""
        return _DistantShared(self.objects[name], name)

    def home(self) -> None:
        """The objects live in other processes."""
        return


@contextmanager
def serving(stage: ShardStage) -> Iterator[RayServices]:
    """Open a stage's journals and shared objects beside the driver, and close them in the end."""
    makers = {str(path): partial(Journal, path) for path in stage.journals()}
    with kept(makers) as journals, kept(stage.shared()) as objects:
        yield RayServices(journals, objects)
        for path, handle in journals.items():
            answer_of(handle.ask.remote("close"), f"journal {path}")


@contextmanager
def kept(makers: Makers) -> Iterator[dict[str, Handle]]:
    """Make each object in an actor of its own on the driver's machine; the actors end with the block."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    body: Any = ray.remote(Keeper)
    body = body.options(num_cpus=0, max_concurrency=MOST_WAITING, scheduling_strategy=here)
    handles = {name: body.remote(make) for name, make in makers.items()}
    try:
        for name, handle in handles.items():
            answer_of(handle.open.remote(), name)
        yield handles
    finally:
        for handle in handles.values():
            ray.kill(handle)


def answer_of(reference: Any, name: str) -> Any:
    """The result of a task or of an actor's method; its error comes out as itself.

    Args:
        reference: to the result.
        name: what an error of Ray's own is said of.
    """
    try:
        return ray.get(reference)
    except RayError as error:
        raise itself(error, name) from _shown(error)


def itself(error: RayError, name: str) -> BaseException:
    """The error that a person can read: the stage's as it was raised, Ray's own explained."""
    if isinstance(error, RayTaskError) and error.cause is not None:
        cause: BaseException = error.cause
        if _NOT_IMPORTED in str(cause):
            fix = "install nameplate, in this version, on every machine of the cluster"
            return EngineError(name, found="nameplate cannot be imported on a worker's machine", fix=fix)
        return itself(cause, name) if isinstance(cause, RayError) else cause
    if isinstance(error, WorkerCrashedError | OutOfMemoryError):
        found = "its worker died each time that it was tried (killed, or out of memory?)"
        return EngineError(name, found=found, fix="look at the machine's log, then run the same command again")
    if isinstance(error, RayActorError):
        return EngineError(
            name,
            found="its keeper, a process beside the driver, has died",
            fix="run the same command again; finished shards and journals are kept",
        )
    said = (str(error).strip().splitlines() or [""])[0]
    return EngineError(name, found=f"{type(error).__name__}: {said}", fix="run the same command again")


def _shown(error: RayError) -> RayError | None:
    """The traceback on the other machine, where it is a bug's; a failure that its reader can mend needs none."""
    return None if isinstance(itself(error, ""), NameplateError) else error


class _DistantJournal:
    """A journal's actor, behind the journal's face. Every put is on disk when it returns."""

    def __init__(self, handle: Handle, path: Path) -> None:
        self._handle = handle
        self._name = f"journal {path}"

    def put(self, key: str, attempt: int, value: Mapping[str, Any]) -> None:
        self._ask("put", key, attempt, dict(value))

    def put_many(self, entries: Iterable[tuple[str, int, Mapping[str, Any]]]) -> None:
        self._ask("put_many", [(key, attempt, dict(value)) for key, attempt, value in entries])

    def attempts(self, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("attempts", key)
        return found

    def last(self, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._ask("last", key)
        return found

    def last_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self._ask("last_many", list(keys))
        return found

    def _ask(self, method: str, *arguments: Any) -> Any:
        return answer_of(self._handle.ask.remote(method, *arguments), self._name)


class _DistantShared:
    def __init__(self, handle: Handle, name: str) -> None:
        self._handle = handle
        self._name = f"shared object {name!r}"

    async def ask(self, method: str, *arguments: Any) -> Any:
        reference = self._handle.ask.remote(method, *arguments)
        try:
            return await reference
        except asyncio.CancelledError:
            # What nobody waits for any more must not be given to us, and what we give back next not to who has gone.
            ray.cancel(reference)
            with suppress(RayError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await reference
            raise
        except RayError as error:
            raise itself(error, self._name) from _shown(error)
