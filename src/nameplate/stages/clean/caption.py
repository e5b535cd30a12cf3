"""What becomes of one caption. Pure: the same text, name and section give the same result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from nameplate.names import Matcher
from nameplate.recipe import CleanSection
from nameplate.records import CleanReason, NameVerdict, Repair
from nameplate.text.judge import problems
from nameplate.text.repair import repair

_ABOUT_NAMES: Final = {
    NameVerdict.ABSENT: CleanReason.NAME_ABSENT,
    NameVerdict.AMBIGUOUS: CleanReason.NAME_AMBIGUOUS,
    NameVerdict.OTHER_NAME: CleanReason.OTHER_NAME,
}
# A caption that claims another name teaches a falsehood, whether or not the name is required.
_NEED_NOT_REJECT: Final = {CleanReason.NAME_ABSENT, CleanReason.NAME_AMBIGUOUS}


class CleanCaption(NamedTuple):
    """A caption after cleaning.

    `verdict` is about the text before the display form was written back. `reasons` are all codes; `rejected_for` is
    the first of them that the section does not tolerate.
    """

    text: str
    verdict: NameVerdict
    repairs: tuple[Repair, ...]
    reasons: tuple[CleanReason, ...]
    rejected_for: CleanReason | None


class CaptionCleaner:
    """Cleans captions by one section and one registry."""

    def __init__(self, section: CleanSection, *, matcher: Matcher) -> None:
        self._section = section
        self._matcher = matcher
        entries = matcher.registry.entries
        self._names = tuple(spelling for entry in entries for spelling in (entry.display, *entry.aliases))

    def clean(self, raw: str, *, name: str, finish_reason: str | None) -> CleanCaption:
        """Judge and mend one caption of a row that is called `name`."""
        found = problems(raw, finish_reason=finish_reason, section=self._section, names=self._names)
        repaired = repair(raw, finish_reason=finish_reason, names=self._names)
        verdict = self._matcher.judge(repaired.text, name).verdict
        if verdict in _ABOUT_NAMES:
            found = [*found, _ABOUT_NAMES[verdict]]
        text, rewritten = self._matcher.canonicalise(repaired.text, name)
        repairs = (*repaired.repairs, Repair.CANONICAL_NAME) if rewritten else repaired.repairs
        return CleanCaption(text, verdict, repairs, tuple(found), self._first_hard(found))

    def _first_hard(self, reasons: Sequence[CleanReason]) -> CleanReason | None:
        tolerated = set() if self._section.require_name else _NEED_NOT_REJECT
        return next((reason for reason in reasons if reason not in tolerated), None)
