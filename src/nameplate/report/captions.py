"""The captions: from the teacher's first answers to what is taught, in shares that can be set beside another run's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nameplate.records import NameVerdict
from nameplate.statistics import Share, wilson
from nameplate.summary import CaptionSummary, CleanSummary, RunSummary


class Part(NamedTuple):
    """One share, and what it is of."""

    label: str
    share: Share


class Captions(NamedTuple):
    """The caption stage's numbers, as the page shows them. `money` is "" where the recipe has no prices."""

    figures: CaptionSummary
    shares: tuple[Part, ...]
    attempts: tuple[Part, ...]
    money: str


def build_captions(summary: RunSummary) -> Captions | None:
    """From the summary; none: no teacher was asked, or a version that counted differently wrote the numbers."""
    stages = {name: stage.details for name, stage in summary.stages.items()}
    figures = CaptionSummary.read(stages.get("caption", {}))
    if figures is None or not figures.questions:
        return None
    rows = sum(figures.attempts.values())
    return Captions(
        figures=figures,
        shares=tuple(_shares(figures, CleanSummary.read(stages.get("clean", {})), rows)),
        attempts=tuple(Part(number, wilson(count, rows)) for number, count in figures.attempts.items()),
        money=f"{figures.money:,.2f}" if figures.money else "",
    )


def _shares(figures: CaptionSummary, clean: CleanSummary | None, rows: int) -> Iterator[Part]:
    asked = figures.questions
    yield Part("first answers with a problem, by row", wilson(sum(figures.first_answer_problems.values()), rows))
    yield Part("first answers that were cut off", wilson(figures.cut_off_first, asked))
    yield Part("last answers that were cut off", wilson(figures.cut_off_last, asked))
    if figures.named_first is not None and figures.named_last is not None:
        yield Part("first answers that say the name and no other", wilson(figures.named_first, asked))
        yield Part("last answers that do", wilson(figures.named_last, asked))
    if clean is not None and clean.named_rows:
        yield Part("captions that do, before repair", wilson(clean.name_present_before_repair, clean.named_rows))
        yield Part("captions that do, after repair", wilson(clean.name_present_after_repair, clean.named_rows))
        exact = clean.name_verdicts.get(NameVerdict.EXACT, 0)
        yield Part("captions that spell it as the registry does, before repair", wilson(exact, clean.named_rows))
