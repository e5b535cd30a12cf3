"""What a server offers, before it is asked anything."""

from __future__ import annotations

from typing import NamedTuple

from nameplate.errors import TeacherError
from nameplate.recipe import TeacherSection
from nameplate.teacher.exchange import Exchange
from nameplate.teacher.faults import NoAnswer


class Greeting(NamedTuple):
    """A server by its own words."""

    address: str
    """Without anything secret."""
    models: tuple[str, ...]
    """None where it has no list of them."""
    software: str
    """Its header, and who owns its models."""


async def greet(section: TeacherSection) -> Greeting:
    """Ask the first server of a section for its list of models.

    Raises:
        TeacherError: nothing listens there.
    """
    exchange = Exchange(section)
    try:
        await exchange.is_simulated(0)
    except NoAnswer as failure:
        raise TeacherError(exchange.addresses[0], found=f"nothing answers there ({failure})") from None
    finally:
        await exchange.close()
    return Greeting(exchange.addresses[0], exchange.models(0), exchange.software(0))
