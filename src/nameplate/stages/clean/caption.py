"""What becomes of one caption. Pure: the same text, name and section give the same result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from nameplate.names import Matcher
from nameplate.recipe import CleanSection
from nameplate.records import CleanReason, NameVerdict, Repair
from nameplate.text.judge import Examined, examine
from nameplate.text.repair import Change, change, open_up
from nameplate.text.sentences import MarkedNames

_ABOUT_NAMES: Final = {
    NameVerdict.ABSENT: CleanReason.NAME_ABSENT,
    NameVerdict.AMBIGUOUS: CleanReason.NAME_AMBIGUOUS,
    NameVerdict.OTHER_NAME: CleanReason.OTHER_NAME,
}
# A caption that claims another name teaches a falsehood, whether or not the name is required.
_NEED_NOT_REJECT: Final = {CleanReason.NAME_ABSENT, CleanReason.NAME_AMBIGUOUS}


class CleanCaption(NamedTuple):
    """A caption after cleaning.

    `verdict` is about the text before the display form was written back; none for a row without a name. `reasons` are
    all codes; `rejected_for` is the first of them that the section does not tolerate. `examined`: of the text alone.
    """

    text: str
    verdict: NameVerdict | None
    changes: tuple[Change, ...]
    reasons: tuple[CleanReason, ...]
    rejected_for: CleanReason | None
    examined: Examined


class CaptionCleaner:
    """Cleans captions by one section and one registry.

    Args:
        prompt: the recipe's question, with its field {name}; "" when no teacher was asked.
    """

    def __init__(self, section: CleanSection, *, matcher: Matcher, prompt: str = "") -> None:
        self._section = section
        self._prompt = prompt
        self._matcher = matcher
        entries = matcher.registry.entries
        self._names = MarkedNames(spelling for entry in entries for spelling in (entry.display, *entry.aliases))

    def clean(self, raw: str, *, name: str, finish_reason: str | None) -> CleanCaption:
        """Judge and mend one caption of a row that is called `name`, or "" when it has no name."""
        asked = self._prompt.replace("{name}", name)
        examined = examine(raw, finish_reason=finish_reason, section=self._section, names=self._names, prompt=asked)
        found, repaired, _ = examined
        if not name:
            return CleanCaption(repaired.text, None, repaired.changes, found, self._first_hard(found), examined)
        verdict = self._matcher.judge(repaired.text, name).verdict
        if verdict in _ABOUT_NAMES:
            found = (*found, _ABOUT_NAMES[verdict])
        text, rewritten = self._matcher.canonicalise(repaired.text, name)
        changes = repaired.changes
        if rewritten:
            changes = (*changes, change(Repair.CANONICAL_NAME, repaired.text, text))
        return CleanCaption(text, verdict, changes, found, self._first_hard(found), examined)

    def clean_pairs(self, pairs: Iterable[Mapping[str, str]], *, name: str) -> list[dict[str, str]]:
        """Mend questions and answers as the caption of which they are parts; what was said twice is left once."""
        mended: dict[tuple[str, str], None] = {}
        for pair in pairs:
            question, answer = (open_up(pair[part]).text for part in ("question", "answer"))
            if name:
                answer, _ = self._matcher.canonicalise(answer, name)
            mended[question, answer] = None
        return [{"question": question, "answer": answer} for question, answer in mended]

    def hard(self, reasons: Iterable[CleanReason]) -> list[CleanReason]:
        """The reasons that the section does not tolerate."""
        tolerated = set() if self._section.require_name else _NEED_NOT_REJECT
        return [reason for reason in reasons if reason not in tolerated]

    def _first_hard(self, reasons: Iterable[CleanReason]) -> CleanReason | None:
        return next(iter(self.hard(reasons)), None)
