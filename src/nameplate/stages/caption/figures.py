"""What a caption run came to, in figures: how the teacher's answers were, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from nameplate.recipe import CaptionSection
from nameplate.records import CleanReason
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables
from nameplate.teacher.exchange import public_address
from nameplate.text.repair import CUT_OFF

_COLUMNS: Final = ["request_key", "teacher_attempts", "first_problem", "teacher_template"]
_WITHOUT_NAME: Final = {CleanReason.NAME_ABSENT, CleanReason.NAME_AMBIGUOUS, CleanReason.OTHER_NAME}
_WITHOUT_TEXT: Final = {CleanReason.EMPTY}


def tokens_of(usage: dict[str, Any]) -> tuple[int, int]:
    """Tokens of question and answer, as the server counted them; 0 where it did not."""
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


@dataclass
class _Spent:
    """Sums over the answers to different questions; rows that share image and question share their answers."""

    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_wasted: int = 0
    milliseconds: list[int] = field(default_factory=list)
    cut_off_first: int = 0
    cut_off_last: int = 0
    named_first: int = 0
    named_last: int = 0
    questions: int = 0
    simulated: bool = False

    def add(self, entries: list[dict[str, Any]]) -> None:
        """All answers to one question."""
        for entry in entries:
            taken, given = tokens_of(entry["usage"])
            self.tokens_in += taken
            self.tokens_out += given
            self.tokens_wasted += given if entry["problems"] else 0
            self.milliseconds.append(entry["latency_ms"])
            self.simulated |= bool(entry["simulated"])
        self.answers += len(entries)
        if entries:
            self.questions += 1
            self.cut_off_first += entries[0]["finish_reason"] in CUT_OFF
            self.cut_off_last += entries[-1]["finish_reason"] in CUT_OFF
            self.named_first += _says_name(entries[0])
            self.named_last += _says_name(entries[-1])


def summarise(tables: StageTables, journal: Journal, *, section: CaptionSection) -> dict[str, Any]:
    """Figures over all rows.

    `requests` are those that the shards of this table took, the others those of every run that added to its rows.
    """
    rows = list(_asked(tables))
    attempts = Counter(row["teacher_attempts"] for row in rows)
    spent = _Spent()
    problems: Counter[str] = Counter()
    for key in {row["request_key"] for row in rows}:
        entries = journal.attempts(key)
        spent.add(entries)
        problems.update(entries[0]["problems"] if entries else ())
    quantiles = np.percentile(spent.milliseconds or [0], [50, 95])
    return {
        "requests": sum(part["requests"] for part in tables.figures()),
        "answers": spent.answers,
        "questions": spent.questions,
        "first_answer_problems": dict(Counter(row["first_problem"] for row in rows if row["first_problem"])),
        "all_first_problems": dict(problems.most_common()),
        "attempts": {str(number): attempts[number] for number in sorted(attempts)},
        "cut_off_first": spent.cut_off_first,
        "cut_off_last": spent.cut_off_last,
        "named_first": spent.named_first if section.tells_name else None,
        "named_last": spent.named_last if section.tells_name else None,
        "tokens_in": spent.tokens_in,
        "tokens_out": spent.tokens_out,
        "tokens_wasted": spent.tokens_wasted,
        "money": money(spent.tokens_in, spent.tokens_out, section),
        "answer_seconds": round(sum(spent.milliseconds) / 1000, 3),
        "p50_ms": round(quantiles[0]),
        "p95_ms": round(quantiles[1]),
        "template": next((row["teacher_template"] for row in rows), ""),
        "server": ", ".join(map(public_address, section.teacher.base_urls)),
        "simulated": spent.simulated,
    }


def money(tokens_in: float, tokens_out: float, section: CaptionSection) -> float:
    """What tokens cost by the recipe's prices."""
    prices = section.budget
    return (tokens_in * prices.price_per_million_in + tokens_out * prices.price_per_million_out) / 1e6


def _says_name(entry: dict[str, Any]) -> bool:
    return (_WITHOUT_NAME | _WITHOUT_TEXT).isdisjoint(entry["problems"])


def _asked(tables: StageTables) -> Iterator[dict[str, Any]]:
    for path in [*tables.kept_paths(), *sorted((tables.folder / "rejected").glob("part-*.parquet"))]:
        yield from pq.read_table(path, columns=_COLUMNS).to_pylist()
