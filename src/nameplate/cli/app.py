"""All commands of `nameplate`; in the order of these imports they stand in the help."""

from __future__ import annotations

import os

import typer

from nameplate.cli import flow, others
from nameplate.cli.launches import check_launch
from nameplate.cli.options import app

__all__ = ["app", "flow", "main", "others"]


@app.callback()
def several(context: typer.Context) -> None:
    """Before any command: let go of those processes of a launch that have nothing to do in it."""
    check_launch(context.invoked_subcommand)


def main() -> None:
    """Entry point of the `nameplate` command."""
    # torch's idle threads spin by default; on a machine that does anything else that costs more than it saves.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
