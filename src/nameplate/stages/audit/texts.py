"""Layer 1: the texts alone. Pure rules; no model is asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import median
from typing import Final, NamedTuple

from rapidfuzz import fuzz, process

from nameplate.names import Matcher, is_right
from nameplate.recipe import CleanSection
from nameplate.records import CleanReason, Repair
from nameplate.stages.audit.results import Measured, TextFigures, TextFlag, proportion
from nameplate.stages.audit.thresholds import ALIKE
from nameplate.statistics import median_interval
from nameplate.summary import Proportion
from nameplate.text.judge import examine
from nameplate.text.words import comparable, count_words, pieces

OPENING_WORDS: Final = 3
NAME_STANDS: Final = " \N{WHITE SQUARE} "
"""What is read where a name stood."""
LONGEST_NAME: Final = 4
"""Words of an answer that is a name and nothing else."""
_FEWEST_PLACES: Final = 5
_CAPITALISED: Final = re.compile(r"(?<=[a-z,:] )[A-Z][\w&'.-]*\w(?: [A-Z][\w&'.-]*\w)*")
"""Names inside a sentence; its first word may be any."""

_FLAGS: Final = {
    CleanReason.REFUSAL: TextFlag.REFUSAL,
    CleanReason.LEAKED: TextFlag.LEAKED,
    CleanReason.TAIL_LOOP: TextFlag.REPEATS,
    CleanReason.INNER_LOOP: TextFlag.REPEATS,
    CleanReason.SENTENCE_REPEAT: TextFlag.REPEATS,
    CleanReason.NGRAM_COVER: TextFlag.REPEATS,
    CleanReason.WRONG_SCRIPT: TextFlag.WRONG_LANGUAGE,
    CleanReason.WRONG_LANGUAGE: TextFlag.WRONG_LANGUAGE,
    CleanReason.NO_WHOLE_SENTENCE: TextFlag.CUT_OFF,
}
_ENDED: Final = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\]\u300d]*\s*$")
_LINK_OR_PRICE: Final = re.compile(
    r"https?://|www\.|[$\u20ac\u00a3\u00a5]\s?\d|\b\d+(?:[.,]\d\d)?\s?(?:\u20ac|(?:usd|eur|gbp|dollars?|euros?)\b)",
    re.IGNORECASE,
)
_UNSEEABLE: Final = re.compile(
    r"\d\s?%|\b(?:ss|fw|aw)\s?\d\d\b|\b(?:spring|summer|autumn|fall|winter)[/ -](?:summer|winter|20\d\d|collection)\b"
    r"|\bmade in [A-Z]|\bcollection (?:of )?20\d\d\b|\b(?:machine|dry) (?:wash|clean)|\bmodel (?:is|wears)\b"
    r"|\b(?:item|style|product) (?:no|number|code)\b",
    re.IGNORECASE,
)
"""Fibre shares, seasons, origin, care, fit and codes: true perhaps, but no picture shows them."""


class NamedText(NamedTuple):
    """A text and the name of its row, "" when it has none; and what the base takes for its name."""

    text: str
    name: str
    invented: tuple[str, ...] = ()


class TextReader:
    """Reads texts by the rules of cleaning and the names of the run."""

    def __init__(self, section: CleanSection, matcher: Matcher) -> None:
        self._section = section
        self._matcher = matcher

    def figures(self, texts: Sequence[NamedText]) -> TextFigures:
        """Everything that is counted of one speaker's texts; at least one."""
        words = [pieces(comparable(each.text)) for each in texts]
        nameless = [self.nameless(each.text, each.invented) for each in texts]
        opening, num_opening = _commonest(nameless)
        named = [each for each in texts if each.name]
        return TextFigures(
            n=len(texts),
            words=measured([count_words(each.text) for each in texts]),
            distinct_words=measured([len(set(own)) for own in words]),
            vocabulary=len({word for own in words for word in own}),
            common_opening=proportion(num_opening, len(texts)),
            opening=opening,
            flags=self._flags(texts, nameless),
            name_right=proportion(sum(self.is_right(each) for each in named), len(named)),
            name_place=self._name_place(named),
        )

    def is_right(self, each: NamedText) -> bool:
        """Whether a text says its row's name and no other."""
        return is_right(self._matcher.judge(each.text, each.name))

    def without_names(self, text: str, also: Sequence[str] = (), *, instead: str) -> str:
        """The text with every name replaced."""
        for start, end in reversed(self.name_places(text, also)):
            text = text[:start] + instead + text[end:]
        return text

    def nameless(self, text: str, also: Sequence[str] = ()) -> str:
        """The text without its names, in comparable form."""
        return comparable(self.without_names(text, also, instead=NAME_STANDS))

    def name_places(self, text: str, also: Sequence[str] = ()) -> list[tuple[int, int]]:
        """Where registered names and those in `also` stand, in order, none inside another."""
        places = [(found.start, found.end) for found in self._matcher.mentions(text)]
        for name in also:
            places += [match.span() for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)]
        apart: list[tuple[int, int]] = []
        for start, end in sorted(places):
            if not apart or start >= apart[-1][1]:
                apart.append((start, end))
        return apart

    def _flags(self, texts: Sequence[NamedText], nameless: Sequence[str]) -> dict[TextFlag, Proportion]:
        counts = Counter(flag for each in texts for flag in set(self._flags_of(each.text)))
        counts[TextFlag.NEAR_DUPLICATE] = sum(_have_twins(nameless))
        return {flag: proportion(counts[flag], len(texts)) for flag in TextFlag}

    def _flags_of(self, text: str) -> Iterator[TextFlag]:
        examined = examine(text, finish_reason=None, section=self._section)
        yield from (_FLAGS[reason] for reason in examined.reasons if reason in _FLAGS)
        if any(change.repair is Repair.TRIMMED_TO_SENTENCE for change in examined.repaired.changes):
            yield TextFlag.CUT_OFF
        if _ENDED.search(text) is None:
            yield TextFlag.CUT_OFF
        if _LINK_OR_PRICE.search(text):
            yield TextFlag.LINK_OR_PRICE
        if _UNSEEABLE.search(text):
            yield TextFlag.UNSEEABLE

    def _name_place(self, texts: Sequence[NamedText]) -> float | None:
        places = []
        for each in texts:
            judged = self._matcher.judge(each.text, each.name)
            if is_right(judged) and judged.start is not None:
                places.append(count_words(each.text[: judged.start]) / max(1, count_words(each.text)))
        return round(median(places), 3) if len(places) >= _FEWEST_PLACES else None


def names_in_answer(named: str) -> tuple[str, ...]:
    """The names in an answer to the question for one: the whole of a short answer, else its capitalised words."""
    answer = named.strip().strip(".!\"' ")
    if len(answer.split()) <= LONGEST_NAME:
        return (answer,) if answer else ()
    return tuple(dict.fromkeys(_CAPITALISED.findall(answer)))


def measured(values: Sequence[float]) -> Measured:
    """A median with its interval."""
    interval = median_interval(values)
    low, high = (round(bound, 4) if isfinite(bound) else None for bound in interval)
    return Measured(n=len(values), value=round(median(values), 4), low=low, high=high)


def likeness(one: str, other: str) -> float:
    """How alike two texts are, 0 to 100."""
    return float(fuzz.ratio(one, other))


def _commonest(nameless: Sequence[str]) -> tuple[str, int]:
    openings = Counter(" ".join(text.split()[:OPENING_WORDS]) for text in nameless)
    return openings.most_common(1)[0]


def _have_twins(nameless: Sequence[str]) -> list[bool]:
    """Whether each text is nearly the same as another of them."""
    alike = process.cdist(nameless, nameless, scorer=fuzz.ratio, score_cutoff=ALIKE)
    return [bool((row > 0).sum() > 1) for row in alike]
