"""The attempt ladder: what to ask after a bad answer. Pure: the questions and problems so far decide the next one.

A teacher that looped, refused or forgot the name gives the same answer to the same question, so no request is ever
repeated after a bad answer; what changes follows from what was wrong. Failures of the line between us and the teacher
(429, 5xx, timeouts) are not rungs: see :mod:`nameplate.teacher.line`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from nameplate.recipe import SamplingSection
from nameplate.records import CleanReason
from nameplate.teacher.wordings import ENGLISH, Wordings

POLICY_VERSION: Final = 2
"""Part of every request key: raise it when the rules below change what is asked."""

CUT_OFF: Final = "cut_off"
"""Problem code of an answer that ended at `max_tokens` without any other fault."""
BAD_FORMAT: Final = "bad_format"
"""Problem code of an answer that is not in the form that was asked for."""

MAX_TEMPERATURE: Final = 1.5
WARMER: Final = 0.3
OPEN_TOP_P: Final = 0.9
MORE_TOKENS: Final = 1.5
MORE_THOUGHT: Final = 2.0
"""A thought that was cut off says nothing of how long it would have been."""

REPETITION_DETECTION: Final = {"max_pattern_size": 128, "min_pattern_size": 8, "min_count": 3}
"""For vLLM 0.17 and later: stop when 8 to 128 tokens come three times in a row. A shorter pattern, repeated, is found
as a multiple of itself; "very very very" is not."""


class Cause(StrEnum):
    """What was wrong with an answer, as far as the next question depends on it."""

    REFUSAL = "refusal"
    GARBLED = "garbled"
    LOOP = "loop"
    THOUGHT = "thought"
    LENGTH = "length"
    FORMAT = "format"
    LANGUAGE = "language"
    NAME = "name"


_CAUSES: Final[dict[str, Cause]] = {
    CleanReason.EMPTY: Cause.REFUSAL,
    CleanReason.REFUSAL: Cause.REFUSAL,
    CleanReason.LEAKED: Cause.REFUSAL,
    CleanReason.WRAPPED: Cause.FORMAT,
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
    BAD_FORMAT: Cause.FORMAT,
    CleanReason.WRONG_SCRIPT: Cause.LANGUAGE,
    CleanReason.WRONG_LANGUAGE: Cause.LANGUAGE,
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
    detect_repetition: bool = False

    @classmethod
    def first(cls, prompt: str, sampling: SamplingSection) -> Ask:
        """The question as the recipe has it."""
        return cls(prompt=prompt, **sampling.model_dump())

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Ask:
        """Rebuild from :meth:`to_json`."""
        return cls(**tree)

    def sampling(self) -> dict[str, Any]:
        """The request's own fields, without the prompt."""
        fields = self.to_json()
        del fields["prompt"], fields["detect_repetition"]
        return fields if self.seed is not None else {key: value for key, value in fields.items() if key != "seed"}

    @property
    def extra(self) -> dict[str, Any]:
        """Fields that only some servers know. No question relies on them to differ from another."""
        return {"repetition_detection": dict(REPETITION_DETECTION)} if self.detect_repetition else {}

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

    Codes without a cause (too short, too long, shared by others) depend on the recipe's taste in captions, not on the
    teacher going wrong, so they never cost a second question.
    """
    if CleanReason.EMPTY in problems and CUT_OFF in problems:
        return Cause.THOUGHT  # all tokens went into thinking: that is no refusal
    found = {_CAUSES[code] for code in problems if code in _CAUSES}
    return next((cause for cause in Cause if cause in found), None)


def next_ask(
    first: Ask, history: Sequence[Attempt], *, name: str, max_attempts: int, wordings: Wordings = ENGLISH
) -> Ask | None:
    """The next question of one row, or None when its ladder has ended.

    Args:
        first: the question as the recipe has it.
        history: the answered questions so far, in order.
        name: the row's name, for the rung that stresses it.
        max_attempts: most questions for one row.
        wordings: what a changed question says, in the language and for the form that were asked for.
    """
    if not history:
        return first
    cause = cause_of(history[-1].problems)
    if cause is None or len(history) >= max_attempts:
        return None
    times = sum(cause_of(attempt.problems) is cause for attempt in history)
    rungs = _RUNGS[cause]
    changed = rungs[min(times, len(rungs)) - 1](history[-1].ask, _Words(wordings, name))
    changed = replace(changed, seed=len(history))
    assert all(_differ(changed, attempt.ask) for attempt in history), "a question must change after a bad answer"
    return changed


def _differ(one: Ask, other: Ask) -> bool:
    """Whether two questions can have different answers: greedy sampling does not care for the seed."""
    by_seed = one.seed != other.seed and one.temperature >= WARMER and one.top_p >= OPEN_TOP_P
    return by_seed or replace(one, seed=None, detect_repetition=False) != replace(
        other, seed=None, detect_repetition=False
    )


class _Words(NamedTuple):
    """What the rungs below may say."""

    wordings: Wordings
    name: str


_Rung = Callable[[Ask, _Words], Ask]


def _warmer(ask: Ask, words: _Words) -> Ask:
    # With a small nucleus a higher temperature alone changes nothing: the top token already fills it.
    temperature = min(MAX_TEMPERATURE, round(ask.temperature + WARMER, 2))
    return replace(ask, temperature=max(temperature, ask.temperature), top_p=max(ask.top_p, OPEN_TOP_P))


def _warmer_and_watched(ask: Ask, words: _Words) -> Ask:
    return replace(_warmer(ask, words), detect_repetition=True)


def _room_to_think(ask: Ask, words: _Words) -> Ask:
    # Thoughts that end without an answer do so again when they are sampled the same way, however long they may be.
    return replace(_warmer(ask, words), max_tokens=math.ceil(ask.max_tokens * MORE_THOUGHT))


def _other_temperature(ask: Ask, words: _Words) -> Ask:
    """Garble comes from hot sampling as from a stuck one: go the other way, but not back to where a seed is nothing."""
    if ask.temperature > 0.5:
        temperature = max(WARMER, round(ask.temperature - WARMER, 2))
        return replace(ask, temperature=temperature, top_p=max(ask.top_p, OPEN_TOP_P))
    return _warmer(ask, words)


def _more_tokens(ask: Ask, words: _Words) -> Ask:
    return replace(ask, max_tokens=math.ceil(ask.max_tokens * MORE_TOKENS))


def _with(field: str, *, before: bool = False) -> _Rung:
    def change(ask: Ask, words: _Words) -> Ask:
        text: str = getattr(words.wordings, field)
        sentence = text.replace("{name}", words.name)
        if sentence in ask.prompt:
            return _warmer(ask, words)
        return replace(ask, prompt=f"{sentence} {ask.prompt}" if before else f"{ask.prompt} {sentence}")

    return change


# The n-th bad answer of one cause takes the n-th rung; the last rung serves all later ones.
_RUNGS: Final[dict[Cause, tuple[_Rung, ...]]] = {
    Cause.THOUGHT: (_room_to_think, _room_to_think, _with("concise")),
    Cause.LENGTH: (_more_tokens, _with("concise")),
    Cause.LOOP: (_warmer_and_watched, _with("concise"), _warmer),
    Cause.GARBLED: (_other_temperature, _with("other_wording", before=True)),
    Cause.REFUSAL: (_with("other_wording", before=True), _warmer),
    Cause.FORMAT: (_with("as_asked"), _warmer),
    Cause.LANGUAGE: (_with("in_language"), _warmer),
    Cause.NAME: (_with("stressed_name"), _with("stressed_more")),
}
