"""All commands of `nameplate`; in the order of these imports they stand in the help."""

from __future__ import annotations

import typer

from nameplate.cli import flow, others
from nameplate.cli.launches import check_launch
from nameplate.cli.options import app
from nameplate.cli.threads import let_threads_rest

__all__ = ["app", "flow", "main", "others"]


@app.callback()
def several(context: typer.Context) -> None:
    """Before any command: let go of those processes of a launch that have nothing to do in it."""
    check_launch(context.invoked_subcommand)


def main() -> None:
    """Entry point of the `nameplate` command."""
    let_threads_rest()
    app()
