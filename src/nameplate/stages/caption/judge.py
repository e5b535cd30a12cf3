"""When the teacher is asked again: a fixed judge, the same whatever the recipe later calls a clean caption.

The ladder must not depend on the thresholds of the `clean` section: a changed one re-judges captions but never asks for
new ones. Its language is another matter: it decides what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from nameplate.names import Matcher, Registry
from nameplate.recipe import CleanSection
from nameplate.records import CleanReason, NameVerdict
from nameplate.stages.caption.pairs import Pair, as_caption, parse_pairs
from nameplate.teacher.client import Judge
from nameplate.teacher.ladder import BAD_FORMAT
from nameplate.teacher.templates import Template
from nameplate.teacher.wordings import Language
from nameplate.text.judge import problems

_NAME_PROBLEMS: Final = {
    NameVerdict.ABSENT: CleanReason.NAME_ABSENT,
    NameVerdict.AMBIGUOUS: CleanReason.NAME_AMBIGUOUS,
    NameVerdict.OTHER_NAME: CleanReason.OTHER_NAME,
}


class AnswerJudge:
    """Judges answers to one template.

    Args:
        registry: the names of the run.
        template: the question; if it does not tell the name, an answer without it is no reason to ask again.
        language: that answers shall be in.
    """

    def __init__(self, registry: Registry, template: Template, *, language: Language = "en") -> None:
        self._matcher = Matcher(registry)
        self._template = template
        self._thresholds = CleanSection(language=language)

    def for_row(self, name: str) -> Judge:
        """The judge of one row's answers."""
        return partial(self._problems, name=name)

    def teachable(self, pairs: Sequence[Pair], *, name: str) -> list[Pair]:
        """Those that may be taught as pairs: a question that says the row's name itself teaches nothing about it."""
        if not name:
            return list(pairs)
        return [pair for pair in pairs if name not in self._matcher.judge(pair.question, name).claimed]

    def _problems(self, text: str, finish_reason: str, *, name: str) -> list[str]:
        pairs = parse_pairs(text) if self._template.form == "pairs" else None
        said = as_caption(pairs) if pairs is not None else text
        asked = self._template.wording.replace("{name}", name)
        names = (name,) if name else ()
        codes = problems(said, finish_reason=finish_reason, section=self._thresholds, names=names, prompt=asked)
        found = [code.value for code in codes]
        if self._template.form == "pairs" and pairs is None:
            found.append(BAD_FORMAT)
        if self._template.tells_name:
            code = _NAME_PROBLEMS.get(self._matcher.judge(said, name).verdict)
            found += [code.value] if code is not None else []
        return found
