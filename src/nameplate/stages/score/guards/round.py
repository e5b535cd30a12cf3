"""Asking one model for what is not the name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from nameplate.models.images import ImageKey
from nameplate.models.respondent import Question
from nameplate.names import Matcher
from nameplate.progress import Advance
from nameplate.recipe import CleanSection
from nameplate.recipe.scoring import GuardSection
from nameplate.records import CleanReason
from nameplate.stages.score.guards.columns import GuardColumn, choose_columns
from nameplate.stages.score.guards.unnamed import unnamed_images
from nameplate.stages.score.guards.values import ValueReader
from nameplate.stages.score.metrics import proportion
from nameplate.stages.score.replies import Reply
from nameplate.stages.score.results import SCORED
from nameplate.store.rundir import RunDirectory
from nameplate.summary import GuardQuestion, GuardScores, Proportion
from nameplate.text.judge import examine
from nameplate.text.words import comparable, count_words, pieces

Ask = Callable[[Sequence[Question], Advance], Mapping[Question, Reply]]
"""Gives the replies of one model to questions; none of them is computed twice."""
Marks = tuple[bool | None, ...]
"""By row; none: there was no answer to judge."""

IN_DETAIL: Final = " in detail"
"""Behind a column's name: read from the answer for detail, not from one to the column's own question."""
_REPEATS: Final = frozenset(
    [
        CleanReason.TAIL_LOOP,
        CleanReason.INNER_LOOP,
        CleanReason.SENTENCE_REPEAT,
        CleanReason.NGRAM_COVER,
        CleanReason.FEW_WORDS,
        CleanReason.COUNTING,
    ]
)


class _Asked(NamedTuple):
    column: str
    question: str


@dataclass(frozen=True)
class GuardAnswers:
    """What one model said, judged row by row; two models' marks belong to the same rows."""

    scores: GuardScores
    right: Mapping[str, Marks]
    """By column, and by column and `IN_DETAIL`."""
    repeats: Marks
    claims: Marks
    """Whether it claims a name of an image that has none."""


class GuardRound:
    """The same questions for every model: columns times rows short ones, and one for each image without a name.

    Answers for detail are read for the columns' values, too: a model that was never taught to answer questions knows
    what it does not say there.

    Args:
        section: of the recipe; with `rows` 0 there is nothing to ask.
        run: whose split and image store.
        matcher: knows the names.
        headline: the question for the name, in words.
        detail: the question for detail, in words, if the models are asked it anyway; none: they are not.
        detailed: images that the detail question is asked of, those of validation.
    """

    def __init__(
        self,
        section: GuardSection,
        *,
        run: RunDirectory,
        matcher: Matcher,
        headline: str,
        detail: str | None,
        detailed: Sequence[ImageKey],
    ) -> None:
        self._matcher = matcher
        self._headline = headline
        self._detail = detail
        self._detailed = [Question(image, detail) for image in dict.fromkeys(detailed)] if detail is not None else []
        self._drawn = section.unnamed is None
        self._columns: list[GuardColumn] = []
        self._unnamed: list[Question] = []
        if section.rows:
            self._columns = choose_columns(
                run,
                registry=matcher.registry,
                wanted=section.columns,
                num_rows=section.rows,
            )
            images = unnamed_images(section.unnamed, store=run.images)
            self._unnamed = [Question(image, headline) for image in images]
        self.is_on = section.rows > 0

    @property
    def num_steps(self) -> int:
        """Different questions, those included that scoring asks anyway."""
        return len({*self._questions, *self._unnamed, *self._detailed}) if self.is_on else 0

    @property
    def notes(self) -> list[str]:
        """What must be known to read the figures rightly."""
        if not self.is_on or self._columns:
            return []
        return [
            "No column besides the name has 2 to 30 short values, so nothing was asked to see what was forgotten; "
            "score.guards.columns names columns to ask about all the same."
        ]

    def ask(self, ask: Ask, advance: Advance) -> GuardAnswers | None:
        """One model's answers, judged; none: the recipe wants no guards."""
        if not self.is_on:
            return None
        replies = ask(list(dict.fromkeys([*self._questions, *self._unnamed, *self._detailed])), advance)
        right = {
            asked.column: _marks(column, asked.question, replies)
            for column in self._columns
            for asked in self._asked(column)
        }
        detailed = [_text(replies[question]) for question in self._detailed]
        repeats = tuple(None if text is None else _repeats(text) for text in detailed)
        claimed = [self._claimed(replies[question]) for question in self._unnamed]
        claims = tuple(None if names is None else bool(names) for names in claimed)
        told = [text for text in detailed if text is not None]
        scores = GuardScores(
            questions=[
                GuardQuestion(column=asked.column, question=asked.question, right=share_of(right[asked.column]))
                for column in self._columns
                for asked in self._asked(column)
            ],
            words=float(median(map(count_words, told))) if told else 0.0,
            distinct_pairs=_distinct_pairs(told),
            repeating=share_of(repeats),
            overclaim=share_of(claims),
            overclaimed=dict(Counter(name for names in claimed for name in names or ()).most_common()),
            drawn=self._drawn,
        )
        return GuardAnswers(scores, right, repeats, claims)

    @property
    def _questions(self) -> list[Question]:
        return [
            Question(row.image, asked.question)
            for column in self._columns
            for asked in self._asked(column)
            for row in column.rows
        ]

    def _asked(self, column: GuardColumn) -> list[_Asked]:
        """Its own question; and the one for detail, in whose answers its value may stand, too."""
        detail = [_Asked(column.name + IN_DETAIL, self._detail)] if self._detail is not None else []
        return [_Asked(column.name, column.question), *detail]

    def _claimed(self, reply: Reply) -> list[str] | None:
        text = _text(reply)
        if text is None:
            return None
        return list(dict.fromkeys(each.entry.display for each in self._matcher.mentions(text) if each.is_claim))


def share_of(marks: Marks) -> Proportion:
    """Of the answers that could be judged."""
    judged = [mark for mark in marks if mark is not None]
    return proportion(sum(judged), len(judged))


def _marks(column: GuardColumn, question: str, replies: Mapping[Question, Reply]) -> Marks:
    reader = ValueReader(column.values)
    texts = [_text(replies[Question(row.image, question)]) for row in column.rows]
    return tuple(
        None if text is None else reader.first(text) == row.value for text, row in zip(texts, column.rows, strict=True)
    )


def _text(reply: Reply) -> str | None:
    return reply.text if reply.finish in SCORED else None


def _repeats(text: str) -> bool:
    return not _REPEATS.isdisjoint(examine(text, finish_reason=None, section=CleanSection()).reasons)


def _distinct_pairs(texts: Sequence[str]) -> float:
    """Distinct-2 of Li et al. 2016 (A Diversity-Promoting Objective Function), over all texts together."""
    pairs = [pair for text in texts for pair in pairwise(pieces(comparable(text)))]
    return round(len(set(pairs)) / len(pairs), 4) if pairs else 1.0
