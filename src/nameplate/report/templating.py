"""The templates and their surroundings: everything that is put into a page is escaped, and nothing may be missing."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nameplate.report.formats import FILTERS

_SECTION = re.compile(r'<section id="([\w-]+)"([^>]*)>\s*<h2[^>]*>(.*?)</h2>', re.DOTALL)
_SHORTER = re.compile(r'data-contents="([^"]*)"')


class Entry(NamedTuple):
    """A line of the table of contents."""

    id: str
    label: str


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
    environment.filters.update(FILTERS, contents=contents, quoted=quoted)
    return environment


@cache
def asset(name: str) -> str:
    """A style sheet or script of our own."""
    return files("nameplate.report").joinpath("templates", name).read_text(encoding="utf-8")


def contents(body: str) -> list[Entry]:
    """Sections of a page by their headings, or by what they call themselves in `data-contents`.

    Only templates write tags: what comes from tables and models is escaped, and cannot pass for a section.
    """
    found = []
    for section, attributes, heading in _SECTION.findall(body):
        shorter = _SHORTER.search(attributes)
        found.append(Entry(section, Markup(shorter[1] if shorter else heading).striptags()))
    return found


def quoted(text: str) -> str:
    """A text as part of an address."""
    return quote(text, safe="")
