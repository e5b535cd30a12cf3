"""What must be known to read the scores of these rows rightly, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from nameplate.recipe import ScoreSection
from nameplate.records import SplitName
from nameplate.stages.score.exam import Exam, why_not_choose
from nameplate.stages.score.subjects import HELD_OUT, EvaluationRow
from nameplate.statistics import fewest_changed, wilson

FEW_ROWS: Final = 100
TRIVIAL: Final = 0.9
"""Share of one name from which accuracy says little of the others."""

_OTHER_FAMILY: Final = "Nobody was asked to choose among names: that can only be asked of the InternVL family."


def notes_of(exam: Exam, section: ScoreSection, *, can_choose_names: bool) -> list[str]:
    """Sentences about splits that are too small, of one name, or with names that were not taught, and what is left out.

    Args:
        exam: what was asked.
        section: of the recipe.
        can_choose_names: whether the family of the models can be asked to.
    """
    notes = [note for split in HELD_OUT for note in _notes(split, exam.rows[split], exam.taught)]
    return [*notes, *filter(None, [_left_out(exam, section, can_choose_names)])]


def _left_out(exam: Exam, section: ScoreSection, can_choose_names: bool) -> str:
    if section.server is not None:
        return "A server answered, which gives neither losses nor the likelihood of names: there are none here."
    if section.closed_set == "off":
        return ""
    return why_not_choose(exam.names) or ("" if can_choose_names else _OTHER_FAMILY)


def _notes(split: SplitName, rows: Sequence[EvaluationRow], taught: Collection[str]) -> Iterator[str]:
    n = len(rows)
    if n < FEW_ROWS:
        yield _few(split, n)
    (name, most), *others = Counter(row.name for row in rows).most_common()
    if not others:
        yield (
            f"All {n:,} {split} rows are called {name}: who always says {name} is always right, so accuracy is trivial "
            "here and shows nothing."
        )
    elif most / n >= TRIVIAL:
        yield (
            f"{most / n:.0%} of the {split} rows are called {name}: who always says {name} reaches that without "
            "looking. Read the mean over names instead."
        )
    untaught = [row for row in rows if row.name not in taught]
    if untaught:
        yield (
            f"{len(untaught):,} of {n:,} {split} rows have a name that no training row has: whatever of these is "
            "right was known before."
        )


def _few(split: SplitName, n: int) -> str:
    half = wilson(n // 2, n)
    rows = "1 row" if n == 1 else f"{n} rows"
    sentence = (
        f"The {split} split has {rows}: with {n // 2} right, the true share would be anywhere from {half.low:.0%} to "
        f"{half.high:.0%}"
    )
    if n < fewest_changed():
        return f"{sentence}, and no difference between two models on so few can be told from chance."
    return f"{sentence}."
