"""Answers of two models, made by hand and judged by the real matcher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nameplate.names import Matcher, build_registry, is_right
from nameplate.report.answered import Answered, Judged, Listing

NAMES = ("Zorbix", "Quvell", "Tannik Blue", "Morvane")


class Line(NamedTuple):
    """One image: its right name and what the two models say."""

    true: str
    before: str
    after: str
    known: Mapping[str, Any] = {}
    """Of the listing."""
    finish: str | None = "stop"


def answered(
    lines: Sequence[Line], *, names: Sequence[str] = NAMES, train: Mapping[str, int] | None = None
) -> Answered:
    """Rows r000, r001, ... in the order given."""
    matcher = Matcher(build_registry(Counter(names)))
    rows = {f"r{place:03}": line for place, line in enumerate(lines)}
    return Answered(
        before={row: judged(matcher, row, line, line.before) for row, line in rows.items()},
        after={row: judged(matcher, row, line, line.after) for row, line in rows.items()},
        listings={row: Listing(row, **line.known) for row, line in rows.items()},
        train=train or {},
        matcher=matcher,
    )


def judged(matcher: Matcher, row: str, line: Line, answer: str) -> Judged:
    """As scoring judges it."""
    found = matcher.judge(answer, line.true)
    claimed = line.true in found.claimed
    return Judged(
        row_id=row,
        name=line.true,
        answer=answer,
        verdict=found.verdict.value,
        right=is_right(found),
        strict=is_right(found) and answer.strip(" .") == line.true,
        mentioned=claimed,
        finish=line.finish,
    )
