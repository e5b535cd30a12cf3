"""Progress: on a terminal a bar with rate and time left while a stage runs; a line when it is done, everywhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.text import Text

from nameplate.progress import TaskHandle


class RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: RichTask) -> Text:
        """Draw the rate, or nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed is not None else "", style="progress.data.speed")


class ConsoleProgress:
    """Shows stages on stderr, so that stdout stays for results."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = RichProgress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> ConsoleProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def task(self, label: str, total: int | None) -> TaskHandle:
        """Open a bar; when it closes it gives way to a line, so that notes and stages stay in order."""
        task = self._bars.add_task(label, total=total) if self._console.is_terminal else None
        return _Bar(self._console, self._bars, task, label)

    def note(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, markup=False, highlight=False)


class _Bar:
    def __init__(self, console: Console, bars: RichProgress, task: TaskID | None, label: str) -> None:
        self._console = console
        self._bars = bars
        self._task = task
        self._label = label
        self._steps = 0
        self._started = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        self._steps += steps
        if self._task is not None:
            self._bars.advance(self._task, steps)

    def close(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        seconds = time.monotonic() - self._started
        rate = f", {self._steps / seconds:,.0f}/s" if 1 < seconds <= self._steps else ""
        line = f"{self._label:<16} {self._steps:>9,} in {seconds:.1f} s{rate}"
        self._console.print(line, markup=False, highlight=False)
