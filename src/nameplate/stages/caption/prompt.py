"""Filling the question: only {name} and {title} are fields, every other brace is text."""

from __future__ import annotations

import re
from typing import Final

MAX_TITLE_CHARACTERS: Final = 200
"""Titles come from strangers; a longer one is clipped."""

_FIELD = re.compile(r"\{(name|title)\}")


def asks_for_name(template: str) -> bool:
    """Whether the question gives the name away, so that an answer without it is a bad one."""
    return "{name}" in template


def fill(template: str, *, name: str, title: str | None) -> str:
    """The question of one row. Values are put in once: braces inside a name or a title stay as they are."""
    values = {"name": _one_line(name), "title": _one_line(title or "")[:MAX_TITLE_CHARACTERS].rstrip()}
    return _FIELD.sub(lambda field: values[field[1]], template)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
