"""What can be mended in a caption without inventing anything: text is only left out, and its spaces are made single."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nameplate.records import Repair
from nameplate.text.sentences import sentence_spans, trim_to_whole_sentence
from nameplate.text.words import comparable, has_cjk

CUT_OFF = frozenset({"length", "max_tokens"})
"""Finish reasons that say: the answer was longer than allowed."""

# Shorter sentences ("It is red.") may well be said twice.
_MIN_DOUBLED, _MIN_DOUBLED_CJK = 25, 12


class Repaired(NamedTuple):
    """A text after its repairs. `has_sentence` is false when it was cut off before its first sentence ended."""

    text: str
    repairs: tuple[Repair, ...]
    has_sentence: bool


def repair(text: str, *, finish_reason: str | None, names: Sequence[str] = ()) -> Repaired:
    """Collapse white space, trim a cut-off text to its last whole sentence, drop sentences that were said before.

    A text that does not end in an end mark is cut off whatever the server says: "stop" is said of cut texts too. One
    without any whole sentence is left as it is, since a phrase may stand by itself; when the token limit stopped it,
    `has_sentence` is false.

    Args:
        names: names whose full stops end no sentence.
    """
    spaced = " ".join(text.split())
    trimmed = trim_to_whole_sentence(spaced, names)
    sentences = spaced if trimmed is None else trimmed
    single = drop_repeated_sentences(sentences, names)
    repairs = (
        (Repair.TRIMMED_TO_SENTENCE, sentences != spaced),
        (Repair.DROPPED_REPEATED_SENTENCE, single != sentences),
        (Repair.COLLAPSED_WHITESPACE, spaced != text),
    )
    done = tuple(code for code, happened in repairs if happened)
    return Repaired(single, done, has_sentence=trimmed is not None or finish_reason not in CUT_OFF)


def drop_repeated_sentences(text: str, names: Sequence[str] = ()) -> str:
    """`text` without the later copies of its longer sentences."""
    seen: set[str] = set()
    kept: list[str] = []
    start = 0
    for span in sentence_spans(text, names):
        sentence = comparable(text[span.start : span.end])
        if len(sentence) < (_MIN_DOUBLED_CJK if has_cjk(sentence) else _MIN_DOUBLED) or sentence not in seen:
            kept.append(text[start : span.end])
        seen.add(sentence)
        start = span.end
    return "".join(kept).strip()
