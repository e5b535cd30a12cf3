"""What cleaning says of the whole table. Counts are of rows, kept and rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pyarrow.parquet as pq

from nameplate.names import Matcher
from nameplate.records import NameVerdict, Repair
from nameplate.store.tables import StageTables
from nameplate.text.repair import CUT_OFF

_COLUMNS: Final = ["name", "caption_raw", "finish_reason", "first_problem", "name_verdict", "repairs", "reasons"]
_WITHOUT_NAME: Final = {NameVerdict.ABSENT, NameVerdict.AMBIGUOUS, NameVerdict.OTHER_NAME}
# All other repairs only leave text out, so a name that is there afterwards was there before.
_MAY_REVEAL_NAME: Final = {Repair.FIXED_ENCODING, Repair.UNWRAPPED}


def summarise(tables: StageTables, matcher: Matcher) -> dict[str, Any]:
    """What was mended, what was found, and how the teacher's raw answers stood; the most frequent code first."""
    counts: dict[str, Counter[str]] = {
        key: Counter() for key in ("repairs", "name_verdicts", "reasons_all", "first_problems")
    }
    cut_off = named = 0
    for row in _all_rows(tables):
        counts["repairs"].update(row["repairs"] or [])
        counts["reasons_all"].update({*(row["reasons"] or []), *_moved_for(row)})
        counts["name_verdicts"].update([row["name_verdict"]] if row["name_verdict"] else [])
        counts["first_problems"].update([row["first_problem"]] if row["first_problem"] else [])
        cut_off += row["finish_reason"] in CUT_OFF
        named += _names_it_raw(row, matcher)
    verdicts = counts["name_verdicts"]
    return {
        **{key: dict(counter.most_common()) for key, counter in counts.items()},
        "cut_off": cut_off,
        "name_present_before_repair": named,
        "name_present_after_repair": verdicts.total() - sum(verdicts[verdict] for verdict in _WITHOUT_NAME),
    }


def _moved_for(row: dict[str, Any]) -> list[str]:
    """The reason that only the whole table showed, which does not stand in the row's own list."""
    return [row["reason"]] if row.get("reason") else []


def _names_it_raw(row: dict[str, Any], matcher: Matcher) -> bool:
    if not row["name"]:
        return False
    if row["name_verdict"] not in _WITHOUT_NAME and _MAY_REVEAL_NAME.isdisjoint(row["repairs"] or []):
        return True
    return matcher.judge(row["caption_raw"] or "", row["name"]).verdict not in _WITHOUT_NAME


def _all_rows(tables: StageTables) -> Iterator[dict[str, Any]]:
    for kept_path in tables.kept_paths():
        index = int(kept_path.stem.removeprefix("part-"))
        yield from pq.read_table(kept_path, columns=_COLUMNS).to_pylist()
        yield from pq.read_table(tables.rejected_path(index), columns=[*_COLUMNS, "reason"]).to_pylist()
