"""Threads for looking up names, which nobody waits for at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class LookUps(ThreadPoolExecutor):
    """A thread for each look-up: the system's resolver may hang for half a minute, and no other name waits for it.

    An interpreter that ends waits for the threads of a pool, so that Ctrl-C would take as long; daemons it leaves
    alone. That this is a pool at all is for the loop's sake, which takes nothing else.
    """

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Run `fn` in a thread of its own."""
        future: Future[Result] = Future()

        def look_up() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except (OSError, ValueError) as error:
                future.set_exception(error)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        return future
