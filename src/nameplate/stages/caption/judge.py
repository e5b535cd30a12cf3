"""When the teacher is asked again: a fixed judge, the same whatever the recipe later calls a clean caption.

The ladder must not depend on the `clean` section: a changed threshold re-judges captions but never asks for new ones.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from nameplate.names import Matcher, Registry
from nameplate.recipe import CleanSection
from nameplate.records import CleanReason, NameVerdict
from nameplate.teacher.client import Judge
from nameplate.text.judge import problems

_NAME_PROBLEMS: Final = {
    NameVerdict.ABSENT: CleanReason.NAME_ABSENT,
    NameVerdict.AMBIGUOUS: CleanReason.NAME_AMBIGUOUS,
    NameVerdict.OTHER_NAME: CleanReason.OTHER_NAME,
}
_THRESHOLDS: Final = CleanSection()


class AnswerJudge:
    """Judges answers to one recipe's question.

    Args:
        registry: the names of the run.
        asks_for_name: whether the question gives the name; if not, an answer without it is no reason to ask again.
    """

    def __init__(self, registry: Registry, *, asks_for_name: bool) -> None:
        self._matcher = Matcher(registry)
        self._asks_for_name = asks_for_name

    def for_row(self, name: str) -> Judge:
        """The judge of one row's answers."""
        return partial(self._problems, name=name)

    def _problems(self, text: str, finish_reason: str, *, name: str) -> list[str]:
        names = (name,) if name else ()
        found = [code.value for code in problems(text, finish_reason=finish_reason, section=_THRESHOLDS, names=names)]
        if self._asks_for_name:
            code = _NAME_PROBLEMS.get(self._matcher.judge(text, name).verdict)
            found += [code.value] if code is not None else []
        return found
