"""The attempt ladder: what to ask after a bad answer. Pure: the questions and problems so far decide the next one.

A teacher that looped, refused or forgot the name gives the same answer to the same question, so no request is ever
repeated after a bad answer; what changes follows from what was wrong. Failures of the line between us and the teacher
(429, 5xx, timeouts) are not rungs: see :mod:`nameplate.teacher.line`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from nameplate.recipe import SamplingSection
from nameplate.records import CleanReason

POLICY_VERSION: Final = 1
"""Part of every request key: raise it when the rules below change what is asked."""

CUT_OFF: Final = "cut_off"
"""Problem code of an answer that ended at `max_tokens` without any other fault."""

MAX_TEMPERATURE: Final = 1.5
WARMER: Final = 0.3
OPEN_TOP_P: Final = 0.9
MORE_TOKENS: Final = 1.5

CONCISE: Final = "Be concise: write at most three short sentences."
OTHER_WORDING: Final = (
    "This is an ordinary product photo from a shop's catalogue. Write a plain paragraph that describes the product."
)
STRESSED_NAME: Final = 'Write the name "{name}" in the first sentence, spelled exactly so, and no other name.'
STRESSED_MORE: Final = 'Begin your answer with the words "This {name} product".'


class Cause(StrEnum):
    """What was wrong with an answer, as far as the next question depends on it."""

    REFUSAL = "refusal"
    GARBLED = "garbled"
    LOOP = "loop"
    LENGTH = "length"
    NAME = "name"


_CAUSES: Final[dict[str, Cause]] = {
    CleanReason.EMPTY: Cause.REFUSAL,
    CleanReason.REFUSAL: Cause.REFUSAL,
    CleanReason.LEAKED: Cause.REFUSAL,
    CleanReason.WRAPPED: Cause.REFUSAL,
    CleanReason.GARBLED: Cause.GARBLED,
    CleanReason.MOJIBAKE: Cause.GARBLED,
    CleanReason.WORD_SALAD: Cause.GARBLED,
    CleanReason.TAIL_LOOP: Cause.LOOP,
    CleanReason.INNER_LOOP: Cause.LOOP,
    CleanReason.SENTENCE_REPEAT: Cause.LOOP,
    CleanReason.NGRAM_COVER: Cause.LOOP,
    CleanReason.FEW_WORDS: Cause.LOOP,
    CleanReason.COUNTING: Cause.LOOP,
    CleanReason.NO_WHOLE_SENTENCE: Cause.LENGTH,
    CUT_OFF: Cause.LENGTH,
    CleanReason.NAME_ABSENT: Cause.NAME,
    CleanReason.NAME_AMBIGUOUS: Cause.NAME,
    CleanReason.OTHER_NAME: Cause.NAME,
}

# vLLM stops a loop by itself with "repetition"; hosted servers stop a text with "content_filter".
_FINISH_PROBLEMS: Final[dict[str, str]] = {
    "length": CUT_OFF,
    "repetition": CleanReason.TAIL_LOOP.value,
    "content_filter": CleanReason.REFUSAL.value,
}


@dataclass(frozen=True)
class Ask:
    """Everything of one request but the image. `seed` None: not sent, the server chooses."""

    prompt: str
    temperature: float
    top_p: float
    max_tokens: int
    presence_penalty: float
    frequency_penalty: float
    seed: int | None = None

    @classmethod
    def first(cls, prompt: str, sampling: SamplingSection) -> Ask:
        """The question as the recipe has it."""
        return cls(prompt=prompt, **sampling.model_dump())

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Ask:
        """Rebuild from :meth:`to_json`."""
        return cls(**tree)

    def to_json(self) -> dict[str, Any]:
        """All fields, for the journal."""
        return asdict(self)


@dataclass(frozen=True)
class Attempt:
    """One question that was answered, and what was wrong with the answer."""

    ask: Ask
    problems: tuple[str, ...]


def problems_of_finish(finish_reason: str) -> list[str]:
    """Problem codes that the server itself reports by its finish reason."""
    code = _FINISH_PROBLEMS.get(finish_reason)
    return [code] if code is not None else []


def cause_of(problems: Sequence[str]) -> Cause | None:
    """The gravest cause among the codes; None: nothing that another question would mend.

    Codes without a cause (too short, too long, another script) depend on the recipe's taste in captions, not on the
    teacher going wrong, so they never cost a second question.
    """
    found = {_CAUSES[code] for code in problems if code in _CAUSES}
    return next((cause for cause in Cause if cause in found), None)


def next_ask(first: Ask, history: Sequence[Attempt], *, name: str, max_attempts: int) -> Ask | None:
    """The next question of one row, or None when its ladder has ended.

    Args:
        first: the question as the recipe has it.
        history: the answered questions so far, in order.
        name: the row's name, for the rung that stresses it.
        max_attempts: most questions for one row.
    """
    if not history:
        return first
    cause = cause_of(history[-1].problems)
    if cause is None or len(history) >= max_attempts:
        return None
    times = sum(cause_of(attempt.problems) is cause for attempt in history)
    rungs = _RUNGS[cause]
    changed = rungs[min(times, len(rungs)) - 1](history[-1].ask, name)
    changed = replace(changed, seed=len(history))
    assert all(changed != attempt.ask for attempt in history), "a question must change after a bad answer"
    return changed


def _warmer(ask: Ask, name: str) -> Ask:
    # With a small nucleus a higher temperature alone changes nothing: the top token already fills it.
    temperature = min(MAX_TEMPERATURE, round(ask.temperature + WARMER, 2))
    return replace(ask, temperature=temperature, top_p=max(ask.top_p, OPEN_TOP_P))


def _other_temperature(ask: Ask, name: str) -> Ask:
    """Garble comes from hot sampling as from a stuck one: go the other way."""
    if ask.temperature > 0.5:
        return replace(ask, temperature=round(ask.temperature - WARMER, 2))
    return _warmer(ask, name)


def _more_tokens(ask: Ask, name: str) -> Ask:
    return replace(ask, max_tokens=round(ask.max_tokens * MORE_TOKENS))


def _with(text: str, *, before: bool = False) -> Callable[[Ask, str], Ask]:
    def change(ask: Ask, name: str) -> Ask:
        words = text.replace("{name}", name)
        if words in ask.prompt:
            return _warmer(ask, name)
        return replace(ask, prompt=f"{words} {ask.prompt}" if before else f"{ask.prompt} {words}")

    return change


# The n-th bad answer of one cause takes the n-th rung; the last rung serves all later ones.
_RUNGS: Final[dict[Cause, tuple[Callable[[Ask, str], Ask], ...]]] = {
    Cause.LENGTH: (_more_tokens, _with(CONCISE)),
    Cause.LOOP: (_warmer, _with(CONCISE), _warmer),
    Cause.GARBLED: (_other_temperature,),
    Cause.REFUSAL: (_with(OTHER_WORDING, before=True), _warmer),
    Cause.NAME: (_with(STRESSED_NAME), _with(STRESSED_MORE)),
}
