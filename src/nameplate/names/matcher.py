"""What a text says about a name. Cleaning captions and scoring answers both ask this one matcher."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from nameplate.errors import InputError
from nameplate.names.claims import is_denied, is_in_slot, is_written_as_name
from nameplate.names.normalise import Token, fold_accents, tokens
from nameplate.names.occurrences import Occurrence, OccurrenceFinder
from nameplate.names.overrides import POLICIES, MatchPolicy
from nameplate.names.plain import PlainText, read_plainly
from nameplate.names.registry import NameEntry, Registry
from nameplate.records import NameVerdict
from nameplate.store.fingerprint import fingerprint

_RIGHT = (NameVerdict.EXACT, NameVerdict.CASE_VARIANT, NameVerdict.DIACRITIC_VARIANT, NameVerdict.ALIAS)
_SAME_MARKS = str.maketrans(dict.fromkeys("‘’ʼ`´", "'") | dict.fromkeys("‐‑‒–—−", "-") | dict.fromkeys("＆", "&"))
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_LEADING, _TRAILING = re.compile(r"^[\W_]+"), re.compile(r"[\W_]+$")


MATCHER_VERSION = 2
"""Rises with any change of what a text is said to claim; work that depends on verdicts is done again then."""


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


class Mention(NamedTuple):
    """A name that stands in a text and is not denied. `start`, `end` are in the text as given."""

    entry: NameEntry
    start: int
    end: int
    counts_up_to: MatchPolicy
    """The strictest policy under which this place is a claim."""

    @property
    def is_claim(self) -> bool:
        """Whether it is one under the name's own policy."""
        return POLICIES.index(self.entry.match_policy) <= POLICIES.index(self.counts_up_to)


class _Reading(NamedTuple):
    plain: PlainText
    claimed: list[Occurrence]
    ambiguous: list[Occurrence]

    def claims_for(self, gold: NameEntry) -> tuple[list[Occurrence], list[Occurrence]]:
        """Claims of `gold`, and of other names; a former name of `gold` is neither."""
        own = [found for found in self.claimed if found.entry is gold and not found.former]
        return own, [found for found in self.claimed if found.entry is not gold]

    def names_but_former(self, gold: NameEntry) -> tuple[str, ...]:
        """Display forms of all claimed names, in order, without what `gold` was called once."""
        counted = (found.entry.display for found in self.claimed if not (found.former and found.entry is gold))
        return tuple(dict.fromkeys(counted))

    def unsure(self, gold: NameEntry) -> Occurrence | None:
        """The first place where `gold` stands, or what it was called once, without being claimed."""
        places = (*self.ambiguous, *(found for found in self.claimed if found.former))
        return min((found for found in places if found.entry is gold), key=lambda found: found.start, default=None)


def is_right(judgement: Judgement) -> bool:
    """Whether the text names the judged name, in any of its spellings, and no other."""
    return judgement.verdict in _RIGHT


def is_mentioned(judgement: Judgement) -> bool:
    """Whether the text claims the judged name, whatever else it claims: the lenient bound of being right."""
    # Another name alone has no place of the judged one.
    return is_right(judgement) or (judgement.verdict is NameVerdict.OTHER_NAME and judgement.start is not None)


class Matcher:
    """Judges texts against one registry. Pure: the same text and name give the same verdict."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._finder = OccurrenceFinder(registry)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything a verdict depends on beside the text: names, normaliser and rules."""
        return fingerprint(MATCHER_VERSION, self.registry.fingerprint)

    def judge(self, text: str, name: str) -> Judgement:
        """What `text` says about `name` (any spelling that the registry knows).

        A text that claims another name is OTHER_NAME even when it claims this one too. One that only says what the name
        was called once is AMBIGUOUS.

        Raises:
            InputError: the registry does not know `name`.
        """
        gold = self._entry(name)
        reading = self._read(text)
        own, others = reading.claims_for(gold)
        claimed = reading.names_but_former(gold)
        verdicts = [_variant(reading.plain.text[found.start : found.end], gold.display) for found in own]
        best = min(range(len(own)), key=lambda place: _RIGHT.index(verdicts[place]), default=None)
        if best is not None:
            verdict = NameVerdict.OTHER_NAME if others else verdicts[best]
            return _judgement(verdict, claimed, reading.plain, own[best])
        if others:
            return _judgement(NameVerdict.OTHER_NAME, claimed, reading.plain, None)
        unsure = reading.unsure(gold)
        return _judgement(NameVerdict.AMBIGUOUS if unsure else NameVerdict.ABSENT, claimed, reading.plain, unsure)

    def canonicalise(self, text: str, name: str) -> tuple[str, bool]:
        """`text` with every claimed spelling of `name` in its display form, and whether anything changed.

        Denied and ambiguous places and former names stay as they are.

        Raises:
            InputError: the registry does not know `name`.
        """
        gold = self._entry(name)
        reading = self._read(text)
        pieces: list[str] = []
        done = 0
        for found in reading.claims_for(gold)[0]:
            start, end = reading.plain.origin(*_with_marks(reading.plain.text, found, gold.display))
            pieces += (text[done:start], gold.display)
            done = end
        written = "".join((*pieces, text[done:]))
        return written, written != text

    def places(self, text: str, name: str) -> list[tuple[int, int]]:
        """Where `text` claims `name`, in order: characters of the text as given, from start up to end.

        Raises:
            InputError: the registry does not know `name`.
        """
        gold = self._entry(name)
        reading = self._read(text)
        return [reading.plain.origin(found.start, found.end) for found in reading.claims_for(gold)[0]]

    def mentions(self, text: str) -> list[Mention]:
        """All names that stand in `text`, in order, except where they are denied."""
        plain = read_plainly(text)
        words = tokens(plain.text)
        return [
            Mention(found.entry, *plain.origin(found.start, found.end), policy)
            for found in self._standing(plain.text, words)
            if (policy := _counts_up_to(plain.text, words, found)) is not None
        ]

    def _entry(self, name: str) -> NameEntry:
        entry = self.registry.lookup(name)
        if entry is None:
            raise InputError(f"name '{name}'", found="not in the registry", fix="run ingest again")
        return entry

    def _read(self, text: str) -> _Reading:
        plain = read_plainly(text)
        words = tokens(plain.text)
        reading = _Reading(plain, [], [])
        for found in self._standing(plain.text, words):
            (reading.claimed if _is_claim(plain.text, words, found) else reading.ambiguous).append(found)
        return reading

    def _standing(self, text: str, words: Sequence[Token]) -> Iterator[Occurrence]:
        """Names that are not denied, in order."""
        denied: Occurrence | None = None
        for found in self._finder.find(text, words):
            denied = found if is_denied(text, words, found, before=denied) else None
            if denied is None:
                yield found


def _is_claim(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    match found.entry.match_policy:
        case "context":
            return is_in_slot(text, words, found)
        case "cased":
            return is_written_as_name(text, words, found)
        case "plain":
            return not found.respaced or is_written_as_name(text, words, found)


def _counts_up_to(text: str, words: Sequence[Token], found: Occurrence) -> MatchPolicy | None:
    if is_in_slot(text, words, found):
        return "context"
    if is_written_as_name(text, words, found):
        return "cased"
    return None if found.respaced else "plain"


def _judgement(verdict: NameVerdict, claimed: tuple[str, ...], plain: PlainText, found: Occurrence | None) -> Judgement:
    start, end = plain.origin(found.start, found.end) if found is not None else (None, None)
    return Judgement(verdict, claimed, start, end)


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
