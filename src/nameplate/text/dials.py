"""Thresholds that a recipe can move, each with the rule that it belongs to and the size of one step."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydantic import ValidationError

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason
from nameplate.text.judge import RULES, Examined, lengths
from nameplate.text.language import usual_limit


class Dial(NamedTuple):
    """A field of `clean`, the rule that it decides, and how far one step goes."""

    field: str
    reason: CleanReason
    step: float


DIALS: Final = (
    Dial("loop_min_repeats", CleanReason.TAIL_LOOP, 1),
    Dial("loop_min_repeats", CleanReason.INNER_LOOP, 1),
    Dial("loop_min_repeats", CleanReason.SENTENCE_REPEAT, 1),
    Dial("ngram_cover", CleanReason.NGRAM_COVER, 0.05),
    Dial("few_words", CleanReason.FEW_WORDS, 2),
    Dial("counting", CleanReason.COUNTING, 5),
    Dial("foreign_letters", CleanReason.WRONG_SCRIPT, 0.05),
    Dial("min_words", CleanReason.TOO_SHORT, 2),
    Dial("max_words", CleanReason.TOO_LONG, 25),
    Dial("shared_by", CleanReason.SHARED_TEXT, 1),
)


def limit_of(dial: Dial, section: CleanSection) -> float | None:
    """Where the dial stands; none when its rule is off."""
    value: float | None = getattr(section, dial.field)
    return usual_limit(section.language) if value is None and dial.field == "foreign_letters" else value


def moved(dial: Dial, section: CleanSection, steps: int) -> CleanSection | None:
    """The section with one threshold so many steps away; none where that is no threshold any more."""
    limit = limit_of(dial, section)
    if limit is None:
        return None
    value = round(limit + steps * dial.step, 6)
    try:
        return CleanSection.model_validate({**section.model_dump(), dial.field: value})
    except ValidationError:
        return None


def fires(dial: Dial, section: CleanSection, examined: Examined) -> bool:
    """Whether the dial's rule flags a caption with the thresholds of `section`, as far as one caption shows it."""
    rule = RULES.get(dial.reason)
    if rule is not None:
        return rule(examined.reading, section) is not None
    return dial.reason in lengths(examined.repaired, section)
