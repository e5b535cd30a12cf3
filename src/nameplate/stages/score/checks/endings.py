"""How answers end: cut off by the token limit, empty, or in no answer at all. Costs nothing: answers say it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from nameplate.models.respondent import Question
from nameplate.stages.score.replies import FAILED, Reply
from nameplate.summary import CheckKind, SelfCheck

MOST_CUT_OFF: Final = 0.05
MOST_EMPTY: Final = 0.05


def check_endings(model: str, replies: Mapping[Question, Reply], *, max_new_tokens: int) -> list[SelfCheck]:
    """Of all answers that a model has given, by question: what is rare among all may be common to one.

    Args:
        model: its name.
        replies: its answers.
        max_new_tokens: longest answer.
    """
    if not replies:
        return []
    by_prompt: dict[str, list[Reply]] = defaultdict(list)
    for question, reply in replies.items():
        by_prompt[question.prompt].append(reply)
    return [
        _cut_off(model, _worst(by_prompt, lambda reply: reply.finish == "length"), max_new_tokens),
        _empty(model, _worst(by_prompt, lambda reply: reply.finish == "stop" and not reply.text.strip())),
        _finite(model, list(replies.values())),
    ]


class _Share(NamedTuple):
    number: int
    n: int
    prompt: str

    @property
    def value(self) -> float:
        return self.number / self.n

    def __str__(self) -> str:
        return f"{self.number:,} of {self.n:,} answers ({self.value:.1%}) to '{self.prompt}'"


def _worst(by_prompt: Mapping[str, Sequence[Reply]], is_bad: Callable[[Reply], bool]) -> _Share:
    shares = [_Share(sum(map(is_bad, own)), len(own), prompt) for prompt, own in by_prompt.items()]
    return max(shares, key=lambda share: share.value)


def _cut_off(model: str, worst: _Share, limit: int) -> SelfCheck:
    if worst.value <= MOST_CUT_OFF:
        at_most = f"at most {worst}" if worst.number else "no answer"
        return _passed("cut_off", model, f"{at_most[0].upper()}{at_most[1:]} stopped at the limit of {limit:,} tokens.")
    sentence = f"{worst} were cut off at {limit:,} tokens; raise score.max_new_tokens."
    if worst.value > 0.5:
        sentence += " That is more than half: the limit is far too low, or the model never learned to end its turn."
    return SelfCheck(kind="cut_off", model=model, outcome="warned", sentence=sentence)


def _empty(model: str, worst: _Share) -> SelfCheck:
    if worst.value <= MOST_EMPTY:
        return _passed("empty", model, f"At most {worst} are empty." if worst.number else "No answer is empty.")
    sentence = f"{worst} are empty: the model ends its turn at once. They count as answers without a name."
    return SelfCheck(kind="empty", model=model, outcome="warned", sentence=sentence)


def _finite(model: str, replies: Sequence[Reply]) -> SelfCheck:
    broken = sum(reply.finish == "nonfinite" for reply in replies)
    failed = sum(reply.finish == FAILED for reply in replies)
    if not broken and not failed:
        return _passed("finite", model, f"All {len(replies):,} questions were answered, in finite numbers.")
    said = []
    if broken:
        said.append(f"{broken:,} of {len(replies):,} answers broke off in NaN or infinity; train with smaller rates")
    if failed:
        said.append(f"{failed:,} of {len(replies):,} questions got no answer from the server; score again to ask them")
    sentence = "; ".join(said) + ". They are unscored, and in no denominator."
    return SelfCheck(kind="finite", model=model, outcome="warned", sentence=sentence)


def _passed(kind: CheckKind, model: str, sentence: str) -> SelfCheck:
    return SelfCheck(kind=kind, model=model, outcome="passed", sentence=sentence)
