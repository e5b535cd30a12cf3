"""Everything that a teacher is asked in words, by language; the texts lie in `texts/`, one file a language."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

Language = Literal["en", "zh"]
Form = Literal["caption", "pairs"]
"""What an answer is: one paragraph, or pairs of a question and an answer."""


@dataclass(frozen=True)
class Wordings:
    """The ladder's own sentences, for one language and one form of answer. `{name}` is the row's name."""

    concise: str
    other_wording: str
    stressed_name: str
    stressed_more: str
    in_language: str
    as_asked: str


@cache
def texts(language: Language) -> dict[str, Any]:
    """The file of one language."""
    file = resources.files("nameplate.teacher").joinpath("texts", f"{language}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def wordings(language: Language, form: Form = "caption") -> Wordings:
    """The ladder's sentences."""
    return Wordings(**texts(language)["ladder"][form])


ENGLISH = wordings("en")
