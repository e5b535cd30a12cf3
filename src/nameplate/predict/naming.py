"""Which name an answer claims, when nobody says which one is right."""

from __future__ import annotations

from typing import NamedTuple

from nameplate.names import Matcher
from nameplate.records import NameVerdict


class NameFound(NamedTuple):
    """A display form of the registry, "" when there is none, and what the text says about it; none: nobody looked."""

    name: str
    verdict: NameVerdict | None


def find_name(text: str, matcher: Matcher) -> NameFound:
    """The first name that `text` claims, else the first that stands in it, judged by the matcher of scoring.

    The verdict is that of `Matcher.judge` on this name: how it is written; `other_name` where another is claimed
    besides; `ambiguous` where none is claimed; `absent` where none stands.
    """
    mentions = matcher.mentions(text)
    claimed = next((each for each in mentions if each.is_claim), None)
    found = claimed or next(iter(mentions), None)
    if found is None:
        return NameFound("", NameVerdict.ABSENT)
    return NameFound(found.entry.display, matcher.judge(text, found.entry.display).verdict)
