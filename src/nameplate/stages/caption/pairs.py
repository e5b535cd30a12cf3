"""Pairs of a question and an answer, read strictly from the form that the teacher was asked for."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LINE = re.compile(r"(?:(?P<question>Q|\u95ee)|A|\u7b54)[:\uff1a] *(?P<text>\S.*)")
_WHOLE_ENDS: Final = (".", "!", "?", "\u3002", "\uff01", "\uff1f", '"', "\u201d", ")")
LEAST_PAIRS: Final = 2


class Pair(NamedTuple):
    """One question and its answer."""

    question: str
    answer: str


def parse_pairs(text: str) -> tuple[Pair, ...] | None:
    """The pairs of an answer in which every line is a question or an answer, in turn; none: it is not in that form.

    An answer that stops in the middle of its last pair counts without that pair.
    """
    matches = [_LINE.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
    lines = [match for match in matches if match is not None]
    if len(lines) < len(matches) or any((place % 2 == 0) != bool(line["question"]) for place, line in enumerate(lines)):
        return None
    texts = [line["text"].strip() for line in lines]
    pairs = [Pair(*both) for both in zip(texts[::2], texts[1::2], strict=False)]
    if pairs and not pairs[-1].answer.endswith(_WHOLE_ENDS):
        pairs.pop()
    return tuple(pairs) if len(pairs) >= LEAST_PAIRS else None


def as_caption(pairs: tuple[Pair, ...]) -> str:
    """The answers as one text, to be judged and taught like any caption."""
    return " ".join(pair.answer for pair in pairs)
