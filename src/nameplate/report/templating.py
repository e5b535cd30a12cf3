"""The templates and their surroundings: everything that is put into a page is escaped, and nothing may be missing."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from nameplate.report.formats import FILTERS


@cache
def environment() -> Environment:
    """Where all pages find their templates and filters."""
    environment = Environment(
        loader=PackageLoader("nameplate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


@cache
def asset(name: str) -> str:
    """A style sheet or script of our own."""
    return files("nameplate.report").joinpath("templates", name).read_text(encoding="utf-8")
