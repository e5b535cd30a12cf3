"""What a text says about a name. Cleaning captions and scoring answers both ask this one matcher."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nameplate.errors import InputError
from nameplate.names.claims import is_denied, is_written_as_name
from nameplate.names.normalise import Token, fold_accents, tokens
from nameplate.names.occurrences import Occurrence, OccurrenceFinder
from nameplate.names.registry import NameEntry, Registry
from nameplate.records import NameVerdict

_RIGHT = (NameVerdict.EXACT, NameVerdict.CASE_VARIANT, NameVerdict.DIACRITIC_VARIANT, NameVerdict.ALIAS)
_SAME_MARKS = str.maketrans(dict.fromkeys("‘’ʼ`´", "'") | dict.fromkeys("‐‑‒–—−", "-") | dict.fromkeys("＆", "&"))
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_LEADING, _TRAILING = re.compile(r"^[\W_]+"), re.compile(r"[\W_]+$")


@dataclass(frozen=True)
class Judgement:
    """The verdict on one name in one text.

    `claimed`: display forms of all names that the text claims, in order. `start`, `end`: where the judged name stands
    (its best claim, else where it is ambiguous), in characters of the text as given; none when it is absent.
    """

    verdict: NameVerdict
    claimed: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None


class _Reading(NamedTuple):
    claimed: list[Occurrence]
    ambiguous: list[Occurrence]


def is_right(judgement: Judgement) -> bool:
    """Whether the text names the judged name, in any of its spellings, and no other."""
    return judgement.verdict in _RIGHT


class Matcher:
    """Judges texts against one registry. Pure: the same text and name give the same verdict."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._finder = OccurrenceFinder(registry)

    def judge(self, text: str, name: str) -> Judgement:
        """What `text` says about `name` (any spelling that the registry knows).

        A text that claims another name is OTHER_NAME even when it claims this one too.

        Raises:
            InputError: the registry does not know `name`.
        """
        gold = self._entry(name)
        reading = self._read(text)
        claimed = tuple(dict.fromkeys(found.entry.display for found in reading.claimed))
        own = [found for found in reading.claimed if found.entry is gold]
        verdicts = [_variant(text[found.start : found.end], gold.display) for found in own]
        best = min(range(len(own)), key=lambda place: _RIGHT.index(verdicts[place]), default=None)
        where = own[best] if best is not None else None
        if any(found.entry is not gold for found in reading.claimed):
            return _judgement(NameVerdict.OTHER_NAME, claimed, where)
        if best is not None:
            return _judgement(verdicts[best], claimed, where)
        unsure = next((found for found in reading.ambiguous if found.entry is gold), None)
        return _judgement(NameVerdict.AMBIGUOUS if unsure else NameVerdict.ABSENT, claimed, unsure)

    def canonicalise(self, text: str, name: str) -> tuple[str, bool]:
        """`text` with every claimed spelling of `name` in its display form, and whether anything changed.

        Denied and ambiguous places stay as they are.

        Raises:
            InputError: the registry does not know `name`.
        """
        gold = self._entry(name)
        written = text
        for found in reversed([found for found in self._read(text).claimed if found.entry is gold]):
            start, end = _with_marks(written, found, gold.display)
            written = written[:start] + gold.display + written[end:]
        return written, written != text

    def _entry(self, name: str) -> NameEntry:
        entry = self.registry.lookup(name)
        if entry is None:
            raise InputError(f"name '{name}'", found="not in the registry", fix="run ingest again")
        return entry

    def _read(self, text: str) -> _Reading:
        words = tokens(text)
        reading = _Reading([], [])
        denied: Occurrence | None = None
        for found in self._finder.find(text, words):
            if is_denied(text, words, found, before=denied):
                denied = found
                continue
            denied = None
            (reading.claimed if _is_claim(text, words, found) else reading.ambiguous).append(found)
        return reading


def _is_claim(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    needs_case = found.respaced or found.entry.match_policy == "cased"
    return not needs_case or is_written_as_name(text, words, found)


def _judgement(verdict: NameVerdict, claimed: tuple[str, ...], found: Occurrence | None) -> Judgement:
    return Judgement(verdict, claimed, found.start if found else None, found.end if found else None)


def _variant(raw: str, display: str) -> NameVerdict:
    written, shown = _shape(raw), _shape(display)
    if written == shown:
        return NameVerdict.EXACT
    if written.casefold() == shown.casefold():
        return NameVerdict.CASE_VARIANT
    if fold_accents(written) == fold_accents(shown):
        return NameVerdict.DIACRITIC_VARIANT
    return NameVerdict.ALIAS


def _shape(spelling: str) -> str:
    """A spelling without differences that nobody sees: Unicode form, quote and dash glyphs, marks at its edges."""
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", spelling)).translate(_SAME_MARKS)
    return _TRAILING.sub("", _LEADING.sub("", " ".join(visible.split())))


def _with_marks(text: str, found: Occurrence, display: str) -> tuple[int, int]:
    """The place to rewrite: with the marks around it that the display form has itself (the last dot of "A.P.C.")."""
    leading, trailing = _LEADING.match(display), _TRAILING.search(display)
    start, end = found.start, found.end
    if leading and text[:start].endswith(leading.group()):
        start -= len(leading.group())
    if trailing and text[end:].startswith(trailing.group()):
        end += len(trailing.group())
    return start, end
