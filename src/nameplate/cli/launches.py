"""One command started as several processes, by torchrun or `accelerate launch`: which of them go on."""

from __future__ import annotations

import os
from typing import Final

import typer

WITH_OTHERS: Final = frozenset({"run", "train", "score", "report"})
"""Commands that may come to training, in which the other processes take part."""
NOT_IN_A_LAUNCH: Final = frozenset({"demo", "sweep"})
"""Commands with several trainings of their own."""


def is_alone() -> bool:
    """Whether no launch started this process."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def is_first() -> bool:
    """Whether this process speaks for its launch; where there is none, it does."""
    return os.environ.get("RANK", "0") == "0"


def speaks_of_failure() -> bool:
    """Whether this process is the one of its launch that says what went wrong: the first that fails."""
    if is_alone():
        return True
    from nameplate.stages.train.ranks.launch import fails_first

    return fails_first()


def check_launch(command: str | None) -> None:
    """Let the processes go that have nothing to do in a command, and refuse those commands that go with no launch.

    Raises:
        typer.Exit: this process ends here.
    """
    if is_alone():
        return
    if command in NOT_IN_A_LAUNCH:
        if is_first():
            typer.echo(f"nameplate: {command} trains in one process: start it without torchrun or accelerate", err=True)
        raise typer.Exit(2)
    if command not in WITH_OTHERS and not is_first():
        raise typer.Exit(0)
