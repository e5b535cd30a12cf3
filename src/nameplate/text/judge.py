"""Everything that makes a caption unfit, in one list. Cleaning and the teacher's second question ask the same rules."""

from __future__ import annotations

from collections.abc import Sequence

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason
from nameplate.text import loops
from nameplate.text.garble import garbled, mojibake
from nameplate.text.language import wrong_script
from nameplate.text.refusals import refusal
from nameplate.text.repair import Repaired, repair
from nameplate.text.words import count_words

# Servers that watch for loops or content themselves, and say so.
_REASONS_OF_THE_SERVER = {"repetition": CleanReason.TAIL_LOOP, "content_filter": CleanReason.REFUSAL}
_ORDER = {reason: place for place, reason in enumerate(CleanReason)}


def problems(
    text: str, *, finish_reason: str | None, section: CleanSection, names: Sequence[str] = ()
) -> list[CleanReason]:
    """All reasons to reject `text`, in the order of `CleanReason`; those about names are the matcher's business.

    What `repair` can mend is no reason: a cut-off end, a sentence said twice, odd spaces. Length counts after repair.

    Args:
        finish_reason: as the server gave it.
        section: the thresholds.
        names: names whose full stops end no sentence.
    """
    if not text.strip():
        return [CleanReason.EMPTY]
    repaired = repair(text, finish_reason=finish_reason, names=names)
    found = [
        refusal(text),
        garbled(text),
        mojibake(text),
        *_loops(text, section),
        wrong_script(text, language=section.language),
        _REASONS_OF_THE_SERVER.get(finish_reason or ""),
        *_lengths(repaired, section),
    ]
    return sorted({reason for reason in found if reason is not None}, key=_ORDER.__getitem__)


def _loops(text: str, section: CleanSection) -> list[CleanReason | None]:
    return [
        loops.tail_loop(text, min_repeats=section.loop_min_repeats),
        loops.sentence_repeat(text, min_repeats=section.loop_min_repeats),
        loops.ngram_cover(text, max_cover=section.ngram_cover),
        loops.few_words(text),
        loops.counting(text),
    ]


def _lengths(repaired: Repaired, section: CleanSection) -> list[CleanReason | None]:
    num_words = count_words(repaired.text)
    return [
        None if repaired.has_sentence else CleanReason.NO_WHOLE_SENTENCE,
        CleanReason.TOO_SHORT if num_words < section.min_words else None,
        CleanReason.TOO_LONG if num_words > section.max_words else None,
    ]
