"""Where a model's thoughts end and its answer begins. Pure.

Thinking models say their thoughts in one of three ways: in a field of their own (`reasoning_content`, `reasoning`; what
vLLM, SGLang and most hosts do), between `<think>` tags in the text, or, as QVQ-72B-Preview, in plain words without any
tag. The last kind must be asked to mark its answer (:data:`MARKER`); what stands after the last mark is the answer.
Thoughts never reach a caption: where they do not end, there is no answer yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from nameplate.recipe import Reading

MARKER: Final = "Final answer:"
"""What the question must ask a model without tags to write before its answer."""

_FIELDS: Final = ("reasoning_content", "reasoning")
_OPENED = re.compile(r"\A\s*<(think|thinking)>", re.IGNORECASE)
_CLOSED = re.compile(r"</(?:think|thinking)>", re.IGNORECASE)
# QVQ likes Markdown around its mark, and Chinese answers bring the full-width colon.
_MARKED = re.compile(
    r"^[>*#_ \t]*(?:final (?:answer|caption|description)|\u6700\u7ec8(?:\u7b54\u6848|\u63cf\u8ff0))"
    r"[*_]*[ \t]*(?:[:\uff1a][*_]*|(?=\r?\n))",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\A(?:\\\[|\$\$?)?\s*\\boxed\{(?:\\text\{)?(.*?)\}?\}\s*(?:\\\]|\$\$?)?\Z", re.DOTALL)


class Separated(NamedTuple):
    """An answer without its thoughts. `is_unfinished`: the thoughts did not end, so `answer` is empty."""

    answer: str
    reasoning: str
    is_unfinished: bool = False


def separate(text: str, fields: Mapping[str, Any], reading: Reading, *, has_stopped: bool = True) -> Separated:
    """Divide what a message says.

    Args:
        text: the message's content.
        fields: the message, for the fields in which servers put thoughts.
        reading: `auto`: fields, or tags where the text begins with one or holds a closing one; `tags`: as auto, and a
            text that was cut off without any tag is all thought (many templates open the tag themselves); `qvq`:
            thoughts up to the last mark; `none`: the text is the answer.
        has_stopped: the model ended by itself.
    """
    if reading == "none":
        return Separated(text, "")
    said = next((fields[key] for key in _FIELDS if isinstance(fields.get(key), str) and fields[key]), "")
    if reading == "qvq":
        answer, thoughts, is_unfinished = _by_mark(text)
    else:
        answer, thoughts, is_unfinished = _by_tags(text, is_open=reading == "tags" and not said and not has_stopped)
    reasoning = "\n".join(part for part in (said, thoughts) if part)
    # All tokens went into the field: nothing was answered, and nothing refused.
    return Separated(answer, reasoning, is_unfinished or bool(said and not answer.strip()))


def _by_tags(text: str, *, is_open: bool) -> Separated:
    opened = _OPENED.match(text)
    closings = list(_CLOSED.finditer(text))
    start = opened.end() if opened else 0
    if closings:
        return Separated(text[closings[-1].end() :].strip(), text[start : closings[-1].start()].strip())
    if opened or (is_open and text.strip()):
        return Separated("", text[start:].strip(), is_unfinished=True)
    return Separated(text, "")


def _by_mark(text: str) -> Separated:
    marks = list(_MARKED.finditer(text))
    if not marks:
        return Separated("", text.strip(), is_unfinished=bool(text.strip()))
    answer = text[marks[-1].end() :].strip()
    boxed = _BOXED.match(answer)
    thoughts = text[: marks[-1].start()].strip()
    return Separated(boxed[1].strip() if boxed else answer, thoughts, is_unfinished=not answer)
