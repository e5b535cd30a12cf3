"""What a recipe's answers have cost, and when that is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nameplate.recipe import BudgetSection, CaptionSection
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal

USAGE_FIELDS = ("usage.prompt_tokens", "usage.completion_tokens")


def series_of(caption: CaptionSection) -> str:
    """What the answers to one recipe's questions have in common, whatever the servers and the budget are.

    It stands in each answer's entry, so that spending is counted over all runs of the recipe, and of any other recipe
    that asks the same teacher the same question from the same store.
    """
    asked = caption.model_dump(mode="json", exclude={"preset", "teacher", "budget", "source"})
    return fingerprint(asked, caption.teacher.model)[:16]


class Purse:
    """Counts tokens.

    Args:
        budget: the limits.
        series: whose answers count.
        journal: where those of earlier runs stand.
    """

    def __init__(self, budget: BudgetSection, *, series: str, journal: Path) -> None:
        self._budget = budget
        self._tokens_in = self._tokens_out = 0
        self._answers = 0
        if self.is_limited:
            self._count(series, journal)

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return self._budget.max_tokens is not None or self._budget.max_money is not None

    @property
    def tokens(self) -> int:
        """All tokens so far."""
        return self._tokens_in + self._tokens_out

    @property
    def money(self) -> float:
        """What they cost."""
        prices = self._budget
        return (
            self._tokens_in * prices.price_per_million_in + self._tokens_out * prices.price_per_million_out
        ) / 1_000_000

    def spend(self, tokens_in: int, tokens_out: int) -> None:
        """One more answer was paid for."""
        self._answers += 1
        self._tokens_in += tokens_in
        self._tokens_out += tokens_out

    def is_spent(self, *, under_way: int) -> bool:
        """Whether one more request is too much, with those under way at the mean price of an answer so far."""
        expected = 1 + under_way / max(self._answers, 1)
        return self._is_over(self.tokens * expected, self._budget.max_tokens) or self._is_over(
            self.money * expected, self._budget.max_money
        )

    def __str__(self) -> str:
        spent = f"{self.tokens:,} tokens in {self._answers:,} answers"
        if self._budget.max_money is not None:
            spent += f", {self.money:,.2f} of {self._budget.max_money:,.2f} in money"
        if self._budget.max_tokens is not None:
            spent += f", of {self._budget.max_tokens:,} tokens"
        return spent

    @staticmethod
    def _is_over(spent: float, limit: float | None) -> bool:
        return limit is not None and spent >= limit

    def _count(self, series: str, journal: Path) -> None:
        with Journal(journal) as answers:
            self._answers, sums = answers.sums(USAGE_FIELDS, where=("series", series))
        self._tokens_in, self._tokens_out = (int(value) for value in sums)


def tokens_of(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Tokens of question and answer as the server counted them; None where it did not."""
    taken, given = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return (taken if isinstance(taken, int) else None), (given if isinstance(given, int) else None)
