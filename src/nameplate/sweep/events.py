"""What a trial's process tells the sweep: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from nameplate.progress import Progress, TaskHandle
from nameplate.sweep.results import Failure


class Teller:
    """The trial's side: progress, and at the end a failure, as lines.

    Args:
        stream: that the sweep reads.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._opened = 0

    def task(self, label: str, total: int | None) -> TaskHandle:
        """Open a bar in the sweep's terminal."""
        self._opened += 1
        self.tell(task=self._opened, label=label, total=total)
        return _Told(self, self._opened)

    def note(self, text: str) -> None:
        """Say one line there."""
        self.tell(note=text)

    def fail(self, failure: Failure) -> None:
        """Say why there will be no result."""
        self.tell(failure=failure.model_dump(mode="json"))

    def tell(self, **event: Any) -> None:
        """Write one line; threads do not interleave, since it is one write."""
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


class _Told:
    def __init__(self, teller: Teller, task: int) -> None:
        self._teller = teller
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._teller.tell(advance=steps, task=self._task)

    def close(self) -> None:
        self._teller.tell(close=self._task)


class Listener:
    """The sweep's side: shows what one trial tells.

    Args:
        progress: where it is shown.
        name: of the trial, said before every label.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name
        self._tasks: dict[int, TaskHandle] = {}
        self.failure: Failure | None = None

    def hear(self, line: str) -> None:
        """Act on one line; half a line of a process that was killed says nothing."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, Mapping):
            self._act(event)

    def _act(self, event: Mapping[str, Any]) -> None:
        if "note" in event:
            self._progress.note(f"{self._name}: {event['note']}")
        elif "label" in event:
            self._tasks[event["task"]] = self._progress.task(f"{self._name}: {event['label']}", event["total"])
        elif "advance" in event:
            self._tasks[event["task"]].advance(event["advance"])
        elif "close" in event:
            self._tasks.pop(event["close"]).close()
        elif "failure" in event:
            self.failure = Failure.model_validate(event["failure"])

    def close(self) -> None:
        """Close bars that were left open."""
        for task in self._tasks.values():
            task.close()
        self._tasks.clear()
