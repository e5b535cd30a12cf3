"""How idle threads wait in a benchmark that runs our own code."""

from __future__ import annotations

import os
import sys

from nameplate.cli.threads import let_threads_rest


def wait_as_the_command() -> None:
    """Begin this script anew with threads that wait as the command lets them: torch asks when it is imported.

    What the environment says already stays.
    """
    environment = dict(os.environ)
    let_threads_rest(environment)
    if environment != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
