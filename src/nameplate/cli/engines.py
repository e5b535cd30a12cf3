"""The engine that a person chose with `--engine` and `--address`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nameplate.engine import Engine


class EngineName(StrEnum):
    """Where the shards of fetch, caption and clean run."""

    LOCAL = "local"
    RAY = "ray"


def check_engine(engine: EngineName, address: str | None) -> None:
    """Refuse an address that nothing would use.

    Raises:
        typer.BadParameter: `--address` stands without `--engine ray`.
    """
    if address is not None and engine is not EngineName.RAY:
        raise typer.BadParameter("--address names a Ray cluster: give --engine ray as well, or leave it out")


@contextmanager
def opened_engine(engine: EngineName, address: str | None) -> Iterator[Engine]:
    """The engine; a Ray that it started ends with the block.

    Raises:
        EngineError: Ray is not installed.
    """
    if engine is EngineName.LOCAL:
        from nameplate.engine import LocalEngine

        yield LocalEngine()
        return
    from nameplate.engine.ray import RayEngine

    with RayEngine(address) as ray:
        yield ray
