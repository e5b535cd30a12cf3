"""Answers that are no captions: refusals, thinking aloud, and pieces of the prompt or of the chat format."""

from __future__ import annotations

import re

from nameplate.records import CleanReason

# At the start only: "the back cannot be seen" is an honest caption.
_OPENINGS = (
    # refusals
    r"(?:i['’]?m|i am|we are|we['’]re) (?:very |so |really )?sorry\b",
    r"(?:sorry|my apologies|apologies)\b",
    r"i apologi[sz]e",
    r"unfortunately\b.{0,20}\b(?:i|we|the (?:image|picture))\b",
    r"as an? (?:ai|artificial|language model|assistant|text-based)\b",
    r"(?:i am|i['’]m) an ai\b",
    r"i (?:can ?not|can['’]t|could not|couldn['’]t|am not able|am unable|do not|don['’]t|won['’]t|will not)\b",
    r"i['’]m (?:not able|unable)\b",
    # thinking aloud
    r"(?:let me|let['’]s|got it)\b",
    r"(?:ok|okay|alright|hmm|wait|so),? (?:so\b|let|i\b|the user|first)",
    r"first,? i\b",
    r"the user (?:wants|asks|asked|is asking|needs|provided|gave)\b",
    r"i (?:need|have|should|must|will|think i) (?:to\b|describe|start|look)",
    # pieces of the prompt
    r"based on the (?:brand|metadata|title|name|given|provided)\b",
    r"(?:user|human|assistant|system|question|prompt|instructions?|answer)\s*:",
    r"alt[ -]?text\b",
    r"final answer\b",
    r"describe (?:this|the) (?:product|image|picture|photo)",
    r"which brand is this",
    # the same in Chinese
    "作为一[个名]|作为(?:AI|人工智能)|我?无法|我不能|很?抱歉|对不起|好的，|让我|请描述",
)
_AT_START = re.compile(rf"[\W_]*(?:{'|'.join(_OPENINGS)})", re.IGNORECASE | re.DOTALL)
_ANYWHERE = re.compile(
    r"</?think(?:ing)?>|<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|\\boxed\{|\*\*final answer\*\*|<image>|<img>|</s>",
    re.IGNORECASE,
)
_DATA = re.compile(r"\s*(?:```|\{\s*[\"'}]|\[\s*[\"{])")


def refusal(text: str) -> CleanReason | None:
    """A refusal, thinking aloud, an echo of the prompt, chat markup or a piece of JSON instead of a caption."""
    found = _AT_START.match(text) or _ANYWHERE.search(text) or _DATA.match(text)
    return CleanReason.REFUSAL if found else None
