"""Everything that makes a caption unfit, in one list. Cleaning and the teacher's second question ask the same rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason
from nameplate.text import loops
from nameplate.text.garble import garbled, mojibake
from nameplate.text.language import wrong_language, wrong_script
from nameplate.text.reading import Reading
from nameplate.text.refusals import leaked, refusal
from nameplate.text.repair import Repaired, mend_sentences, open_up
from nameplate.text.salad import word_salad
from nameplate.text.sentences import NO_NAMES, MarkedNames
from nameplate.text.words import count_words, pieces
from nameplate.text.wrappers import wrapped

Rule = Callable[[Reading, CleanSection], CleanReason | None]

RULES: Final[dict[CleanReason, Rule]] = {
    CleanReason.REFUSAL: lambda reading, _: refusal(reading.text),
    CleanReason.LEAKED: lambda reading, _: leaked(reading),
    CleanReason.WRAPPED: lambda reading, _: wrapped(reading.text),
    CleanReason.GARBLED: lambda reading, _: garbled(reading),
    CleanReason.MOJIBAKE: lambda reading, _: mojibake(reading.text),
    CleanReason.TAIL_LOOP: lambda reading, section: loops.tail_loop(reading, min_repeats=section.loop_min_repeats),
    CleanReason.INNER_LOOP: lambda reading, section: loops.inner_loop(reading, min_repeats=section.loop_min_repeats),
    CleanReason.SENTENCE_REPEAT: lambda reading, section: loops.sentence_repeat(
        reading, min_repeats=section.loop_min_repeats
    ),
    CleanReason.NGRAM_COVER: lambda reading, section: loops.ngram_cover(reading, max_cover=section.ngram_cover),
    CleanReason.FEW_WORDS: lambda reading, section: loops.few_words(reading, max_distinct=section.few_words),
    CleanReason.COUNTING: lambda reading, section: loops.counting(reading, min_numbers=section.counting),
    CleanReason.WORD_SALAD: lambda reading, section: word_salad(reading, language=section.language),
    CleanReason.WRONG_SCRIPT: lambda reading, section: wrong_script(
        reading, language=section.language, max_foreign=section.foreign_letters
    ),
    CleanReason.WRONG_LANGUAGE: lambda reading, section: wrong_language(reading, language=section.language),
}
"""The rules that read the text alone, each None or its own code, in the order of `CleanReason`."""

# Servers that watch for loops or content themselves, and say so.
_REASONS_OF_THE_SERVER: Final = {"repetition": CleanReason.TAIL_LOOP, "content_filter": CleanReason.REFUSAL}
_ORDER: Final = {reason: place for place, reason in enumerate(CleanReason)}


class Examined(NamedTuple):
    """A caption after all rules and repairs: reasons in the order of `CleanReason`, and what the rules read."""

    reasons: tuple[CleanReason, ...]
    repaired: Repaired
    reading: Reading


def examine(
    raw: str, *, finish_reason: str | None, section: CleanSection, names: MarkedNames = NO_NAMES, prompt: str = ""
) -> Examined:
    """Take a caption out of its wrappers, judge it, and mend its sentences. What can be mended is no reason.

    Reasons about names are the matcher's business. Length counts after repair.

    Args:
        finish_reason: as the server gave it; none when no server wrote the caption.
        section: language and thresholds.
        names: names whose full stops end no sentence.
        prompt: what the teacher was asked, its fields filled in, if that is known.
    """
    if not raw.strip():
        return Examined((CleanReason.EMPTY,), Repaired("", (), has_sentence=False), Reading(""))
    opened = open_up(raw)
    mended = mend_sentences(opened.text, finish_reason=finish_reason, names=names)
    repaired = mended._replace(changes=opened.changes + mended.changes)
    reading = Reading(opened.text, prompt=prompt)
    found = {rule(reading, section) for rule in RULES.values()}
    found |= {_REASONS_OF_THE_SERVER.get(finish_reason or ""), *lengths(repaired, section)}
    reasons = sorted((reason for reason in found if reason is not None), key=_ORDER.__getitem__)
    return Examined(tuple(reasons), repaired, reading)


def problems(
    text: str, *, finish_reason: str | None, section: CleanSection, names: Sequence[str] = (), prompt: str = ""
) -> list[CleanReason]:
    """The reasons alone, for names that change from text to text; arguments as for `examine`."""
    found = examine(text, finish_reason=finish_reason, section=section, names=_marked(tuple(names)), prompt=prompt)
    return list(found.reasons)


def lengths(repaired: Repaired, section: CleanSection) -> list[CleanReason | None]:
    """What is wrong with the length of a mended caption."""
    num_words = _words_within(repaired.text, section.min_words, section.max_words)
    return [
        None if repaired.has_sentence else CleanReason.NO_WHOLE_SENTENCE,
        CleanReason.TOO_SHORT if num_words < section.min_words else None,
        CleanReason.TOO_LONG if num_words > section.max_words else None,
    ]


def _words_within(text: str, least: int, most: int) -> int:
    """The number of words, or any number between the limits when it surely is."""
    # What stands between spaces and is all letters holds a word; no word is without a run of letters.
    if sum(map(str.isalnum, text.split())) >= least and len(pieces(text)) <= most:
        return least
    return count_words(text)


@lru_cache(maxsize=1024)
def _marked(names: tuple[str, ...]) -> MarkedNames:
    return MarkedNames(names)
