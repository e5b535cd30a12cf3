"""Whether an answer is a name and nothing else: the strictest way to be right."""

from __future__ import annotations

import re
from typing import Final

from nameplate.names.matcher import Matcher, is_right

_LABEL: Final = re.compile("[\\W_]*(?:brand|name|answer)[\\W_]*[:\uff1a]", re.IGNORECASE)
"""The one wrapper that may stand before a name; quotes, marks of emphasis and a final stop are no words anyway."""


def is_strict(text: str, name: str, matcher: Matcher) -> bool:
    """Whether all of `text` is an accepted spelling of `name`, but for one `Brand:`, `Name:` or `Answer:` before it.

    A sentence around the name ("The brand is Acme.") is too much, a former name is no accepted spelling, and what
    `is_right` refuses is not strict either.

    Raises:
        InputError: the registry does not know `name`.
    """
    if not is_right(matcher.judge(text, name)):
        return False
    registry = matcher.registry
    bare = [text, _LABEL.sub("", text, count=1)] if _LABEL.match(text) else [text]
    return any(registry.lookup(each) is registry.lookup(name) for each in bare)
