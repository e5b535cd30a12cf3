"""Answers that are no captions: refusals, and what leaked into them of the prompt, the reasoning or the chat format.

Refusals and thinking aloud count at the start only: "the back cannot be seen" is an honest caption.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from nameplate.records import CleanReason
from nameplate.text.reading import Reading
from nameplate.text.words import comparable, has_cjk, pieces

_REFUSALS = (
    r"(?:i['’]?m|i am|we are|we['’]re) (?:very |so |really )?sorry\b",
    r"(?:sorry|my apologies|apologies)\b",
    r"i (?:apologi[sz]e|regret)\b",
    r"unfortunately\b.{0,20}\b(?:i|we|the (?:image|picture))\b",
    r"as an? (?:ai|artificial|language model|assistant|text-based)\b",
    r"(?:i am|i['’]m) an ai\b",
    r"i (?:can ?not|can['’]t|could not|couldn['’]t|am not able|am unable|do not|don['’]t|won['’]t|will not)\b",
    r"i['’]m (?:not able|unable)\b",
    r"(?:no|there is no) (?:image|picture|photo) (?:was |is |has been )?(?:provided|attached|given|visible|shown)",
    r"(?:please|could you|can you)(?: please)? (?:provide|upload|attach|share|send)\b",
    r"(?:i(?:['’]ll| will)? (?:need|require)) (?:more|the image|an image|additional)\b",
    "作为一[个名]|作为(?:AI|人工智能)|我?无法|我不能|很?抱歉|对不起|请提供|没有(?:看到|提供|收到)图",
)
_LEAKS_AT_START = (
    # thinking aloud
    r"(?:let me|let['’]s|got it)\b",
    r"(?:ok|okay|alright|hmm|wait|so),? (?:so\b|let|i\b|the user|first|here)",
    r"first,? i\b",
    r"the user (?:wants|asks|asked|is asking|needs|provided|gave)\b",
    r"i (?:need|have|should|must|will|think i|want|see that i) (?:to\b|describe|start|look)",
    r"(?:to|in order to) (?:describe|caption|answer) (?:this|the)\b.{0,60}\bi\b",
    # pieces of the prompt and of the chat
    r"based on the (?:brand|metadata|title|name|given|provided|information|prompt)\b",
    r"(?:user|human|assistant|system|question|prompt|instructions?)\s*[:：]",
    r"alt[ -]?text\b",
    r"final answer\b",
    r"describe (?:this|the) (?:product|image|picture|photo)",
    r"which brand is this",
    "好的，|让我|请描述|用户(?:要求|想|希望|让)|首先，我|根据(?:提供的|给定的|元数据|品牌|提示)|嗯，",
)
_MARKUP = re.compile(
    r"</?(?:think(?:ing)?|reasoning|answer|reflection)>|<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|\\boxed\b|<image>|<img>|</s>",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"[.!?*:] ?\**final answer\b|\bfinal answer\s*[:：]|"
    r"\b(?:metadata|brand name|prompt) (?:that (?:was|were) )?(?:provided|given|supplied)\b|"
    r"\b(?:provided|given|supplied) (?:metadata|prompt|brand name)\b|"
    r"\b(?:according to|based on|per) the (?:metadata|prompt|user['’]?s? (?:request|prompt|instructions?))\b|"
    r"\bthe user (?:wants|asked|asks|is asking|requested)\b|"
    r"\bas an ai\b|"
    r"(?:^|[.!?\n]\s*)(?:wait|hmm|hold on)\s*[,.]|"
    r"提供的(?:元数据|品牌信息|信息)|最终答案|用户(?:要求|希望)"
)
# Each match above holds one of these.
_TELLTALES = (
    *("metadata", "provided", "given", "supplied", "prompt", "user", "an ai", "answer", "wait", "hmm", "hold on"),
    *("提供", "最终", "用户"),
)
_ECHO, _ECHO_CJK = 8, 12


def _opening(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"[\W_]*(?:{'|'.join(patterns)})", re.IGNORECASE | re.DOTALL)


_REFUSAL, _LEAK = _opening(_REFUSALS), _opening(_LEAKS_AT_START)


def refusal(text: str) -> CleanReason | None:
    """A refusal instead of a caption."""
    return CleanReason.REFUSAL if _REFUSAL.match(text) else None


def leaked(reading: Reading) -> CleanReason | None:
    """Thinking aloud, chat markup, talk about the prompt, or eight words of it in a row."""
    text = reading.text
    found = (
        _LEAK.match(text)
        or (("<" in text or "[" in text or "\\" in text) and _MARKUP.search(text))
        or (any(word in reading.tail for word in _TELLTALES) and _TALK.search(reading.tail))
        or (reading.prompt and _echoes(" ".join(reading.words), reading.prompt))
    )
    return CleanReason.LEAKED if found else None


def _echoes(spelled: str, prompt: str) -> bool:
    return any(run in spelled for run in _runs(prompt))


@lru_cache(maxsize=1024)
def _runs(prompt: str) -> tuple[str, ...]:
    words = pieces(comparable(prompt))
    length = _ECHO_CJK if has_cjk(prompt) else _ECHO
    return tuple(" ".join(words[start : start + length]) for start in range(len(words) - length + 1))
