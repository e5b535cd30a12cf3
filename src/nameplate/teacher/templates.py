"""Question templates: versioned texts with fields, filled from a row so that nothing in the row becomes an instruction.

Only `{name}`, `{title}`, `{category}` and `{facts}` are fields; every other brace is text. Values are put in once, on
one line and clipped, so a brace inside a value stays a brace.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nameplate.recipe import CaptionSection, Recipe
from nameplate.teacher.wordings import Form, Language, Wordings, texts, wordings

MAX_NAME_CHARACTERS: Final = 100
MAX_VALUE_CHARACTERS: Final = 200
"""Titles and attributes come from strangers; a longer one is clipped."""

_FIELD = re.compile(r"\{(name|title|category|facts)\}")
_MARKUP = re.compile(r"<[!/?a-zA-Z][^<>]{0,200}>")
# Names and emoji of many scripts are written with these two joiners; all other format characters only hide things.
_JOINERS: Final = "\u200c\u200d"
# A name of more words, or with such marks in it, may read like a sentence: it is quoted.
_MOST_PLAIN_WORDS: Final = 5
_NOT_PLAIN = re.compile(r'["\u201c\u201d{}<>;:!?\u3002\uff01\uff1f\uff1b\uff1a]')
_PLAIN_COLUMN = re.compile(r"[a-z]{2,20}(?: [a-z]{2,20}){0,2}")


@dataclass(frozen=True)
class Template:
    """One question as it is asked about every row.

    `text` still has its fields; `facts` is added for rows with attributes. `stamp` (id and version) stands in the
    request key and in every row.
    """

    stamp: str
    text: str
    facts: str
    form: Form
    wordings: Wordings

    @property
    def tells_name(self) -> bool:
        """Whether the question gives the name away, so that an answer without it is a bad one."""
        return "{name}" in self.text

    @property
    def wording(self) -> str:
        """All of it but the rows' values: what an answer must not echo."""
        return self.text + self.facts

    def fill(self, *, name: str, title: str | None = None, category: str | None = None, facts: Facts) -> str:
        """The question of one row."""
        values = {
            "name": _as_name(one_line(name, MAX_NAME_CHARACTERS)),
            "title": one_line(title or "", MAX_VALUE_CHARACTERS),
            "category": one_line(category or "", MAX_VALUE_CHARACTERS),
            "facts": _as_data(facts),
        }
        return _FIELD.sub(lambda field: values[field[1]], self.wording if facts else self.text)


Facts = Mapping[str, str]
"""A row's attributes by column, as the table has them."""


def find_template(section: CaptionSection, *, language: Language, column: str | None) -> Template:
    """The recipe's template in one language.

    Args:
        section: names the template, or brings its own question.
        language: of the captions.
        column: the table's column of names, for the word by which the question calls a name.
    """
    library = texts(language)
    if section.prompt is not None:
        digest = hashlib.sha256(section.prompt.encode()).hexdigest()[:8]
        entry: dict[str, Any] = {"version": digest, "text": section.prompt}
    else:
        entry = library["templates"][section.template]
    text = entry["text"]
    if section.prompt is None:
        text = text.strip().replace("{kind}", kind_of(column, language))
    if section.teacher.reading == "qvq":
        text += " " + library["extras"]["marked"]
    form: Form = entry.get("form", "caption")
    return Template(
        stamp=f"{section.template}/{entry['version']}" + ("" if language == "en" else f"-{language}"),
        text=text,
        facts="\n" + entry["facts"].strip() if "facts" in entry and section.attributes else "",
        form=form,
        wordings=wordings(language, form),
    )


def template_of(recipe: Recipe) -> Template:
    """The template by which a recipe asks its teacher."""
    return find_template(recipe.caption, language=recipe.clean.language, column=recipe.name.column)


def kind_of(column: str | None, language: Language) -> str:
    """The word for what the names are: the column's own where it can stand in a sentence."""
    kinds: dict[str, str] = texts(language)["kinds"]
    word = " ".join(re.sub(r"[\W_]+", " ", column or "").lower().split())
    if language == "en":
        return word if _PLAIN_COLUMN.fullmatch(word) else kinds["default"]
    return next((kinds[part] for part in word.split() if part in kinds), kinds["default"])


def one_line(text: str, most: int) -> str:
    """A stranger's text without line breaks and hidden characters, clipped."""
    visible = "".join(char if char.isprintable() or char in _JOINERS else " " for char in text[: 4 * most])
    return " ".join(visible.split())[:most].rstrip()


def _as_name(name: str) -> str:
    """A name as it stands in a sentence: bare when it can be nothing but a name, else quoted like data."""
    if len(name.split()) <= _MOST_PLAIN_WORDS and not _NOT_PLAIN.search(name):
        return name
    return json.dumps(name, ensure_ascii=False)


def _as_data(facts: Facts) -> str:
    """One line of JSON in which no value can end its own quotes, nor the block it stands in."""
    values = {column: one_line(_without_markup(value), MAX_VALUE_CHARACTERS) for column, value in facts.items()}
    line = json.dumps({column: value for column, value in values.items() if value}, ensure_ascii=False)
    return line.replace("<", "\\u003c").replace(">", "\\u003e")


def _without_markup(text: str) -> str:
    return _MARKUP.sub(" ", html.unescape(text))
