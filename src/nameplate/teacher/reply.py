"""What a server's reply says. Pure: bytes in, an answer or a fault out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nameplate.recipe import Reading
from nameplate.teacher.faults import Fault, NoAnswer, fault_of, status_of
from nameplate.teacher.reasoning import separate

OVER_LONG: Final = "over_long"
"""`note` of an answer that was longer than anything a caption can be, and was clipped."""
LONGEST_TEXT: Final = 20_000
"""Characters of an answer, and of its thoughts, that are kept: more than 4,096 tokens of either language."""
LONGEST_LABEL: Final = 200
LONGEST_MESSAGE: Final = 200

_CONTENT = re.compile(r'"content"\s*:\s*"')
_SURROGATES = re.compile("[\ud800-\udfff]")
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(frozen=True)
class Reply:
    """What came back: the answer, and everything the server said about it.

    `raw` is the text as it was sent, where `text` is not all of it. `reasoning` is what the model thought;
    `is_unfinished`: it was still thinking. `note` says what was done to the text ("over_long").
    """

    text: str
    finish_reason: str
    model: str
    usage: dict[str, int]
    raw: str | None = None
    reasoning: str = ""
    is_unfinished: bool = False
    note: str = ""


def read_reply(body: bytes, *, is_whole: bool, reading: Reading) -> Reply:
    """Read the body of a 200.

    Args:
        body: as received.
        is_whole: false if it was longer than we read.
        reading: where thoughts end.

    Raises:
        NoAnswer: it is no completion, or an error in a completion's place.
    """
    if not is_whole:
        return _clipped(body)
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        raise NoAnswer(f"a reply that is not JSON: {one_line(body[:80])}", Fault.UNREADABLE, status=200) from None
    if not isinstance(tree, dict):
        raise NoAnswer("a reply that is no chat completion", Fault.UNREADABLE, status=200)
    _raise_error(tree)
    choices = tree.get("choices")
    if not isinstance(choices, list):
        raise NoAnswer("a reply without choices", Fault.UNREADABLE, status=200)
    if not choices:
        # Some hosted servers blocked the answer and say so by an empty list: an answer without text.
        return _reply(tree, {}, {}, reading)
    choice = choices[0]
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise NoAnswer("a reply without message", Fault.UNREADABLE, status=200)
    _raise_error(choice)
    return _reply(tree, choice, choice["message"], reading)


def error_of(body: bytes) -> dict[str, Any]:
    """The error object of a reply, in any of the shapes that servers give it; `message` is always a text."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return {"message": one_line(body)}
    found = tree.get("error", tree.get("detail", tree)) if isinstance(tree, dict) else tree
    if not isinstance(found, dict):
        return {"message": one_line(found if isinstance(found, str) else body)}
    return {**found, "message": one_line(found.get("message") or body)}


def one_line(said: Any, most: int = LONGEST_MESSAGE) -> str:
    """A server's words for a person: printable, on one line, clipped."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def _raise_error(tree: Mapping[str, Any]) -> None:
    error = tree.get("error")
    if not error:
        return
    fields = error if isinstance(error, dict) else {"message": error}
    status = status_of(fields)
    said = one_line(fields.get("message") or "no reason given")
    raise NoAnswer(f"error {status} in a 200: {said}", fault_of(status, fields), status=status)


def _reply(tree: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any], reading: Reading) -> Reply:
    content = _text(_joined(message.get("content")))
    finish_reason = _label(choice.get("finish_reason"))
    parts = separate(content, message, reading, has_stopped=finish_reason != "length")
    text, reasoning = parts.answer[:LONGEST_TEXT], _text(parts.reasoning)[:LONGEST_TEXT]
    return Reply(
        text=text,
        finish_reason=finish_reason,
        model=_label(tree.get("model")),
        usage=_usage(tree.get("usage")),
        raw=content[:LONGEST_TEXT] if content != text else None,
        reasoning=reasoning,
        is_unfinished=parts.is_unfinished,
        note=OVER_LONG if len(parts.answer) > LONGEST_TEXT else "",
    )


def _clipped(body: bytes) -> Reply:
    """The beginning of an answer whose end was never read."""
    text = body.decode("utf-8", "ignore")
    found = _CONTENT.search(text)
    if found is None:
        raise NoAnswer("a reply far too long, without an answer at its beginning", Fault.UNREADABLE, status=200)
    rest = text[found.end() : found.end() + 2 * LONGEST_TEXT]
    said = ""
    # An escape at the cut is at most a surrogate pair long.
    for cut in range(13):
        try:
            said, _ = json.JSONDecoder(strict=False).raw_decode('"' + rest[: len(rest) - cut] + '"')
            break
        except ValueError:
            continue
    return Reply(_text(said)[:LONGEST_TEXT], "", "", {}, note=OVER_LONG)


def _joined(content: Any) -> str:
    """Content as text; some servers send it in parts."""
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") in (None, "text"))
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _text(text: str) -> str:
    # Half a surrogate pair is valid in JSON, and in no file.
    return _SURROGATES.sub("\ufffd", text)


def _label(value: Any) -> str:
    return _text(value[:LONGEST_LABEL]) if isinstance(value, str) else ""


def _usage(usage: Any) -> dict[str, int]:
    if not isinstance(usage, dict):
        return {}
    found = {key: usage[key] for key in _COUNTS if type(usage.get(key)) is int and 0 <= usage[key] < 1 << 40}
    details = usage.get("completion_tokens_details")
    thought = details.get("reasoning_tokens") if isinstance(details, dict) else usage.get("reasoning_tokens")
    return {**found, "reasoning_tokens": thought} if type(thought) is int else found
