"""Batch against single: what a model answers must not depend on who else is asked, nor on our own way of asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nameplate.errors import ModelError
from nameplate.models.firstlogits import is_tie
from nameplate.models.generate import Answer, Asked, answer_all, by_library
from nameplate.stages.score.checks.sample import Sample
from nameplate.summary import SelfCheck

MOST_DIFFERENT: Final = 1
"""That rounding does not explain; two are a mistake in padding or masks."""


def answers_together(sample: Sample) -> list[Answer]:
    """The answers as they are computed when all is asked: all questions about each image, many under way at once."""
    asked = [Asked(place, prompt) for place in range(len(sample)) for prompt in dict.fromkeys(sample.prompts)]
    parts = answer_all(sample.loaded, sample.seen, asked, max_new_tokens=sample.max_new_tokens, rows_at_once=len(asked))
    answers = {asked[said.number]: said.answer for part in parts for said in part}
    return [answers[Asked(place, prompt)] for place, prompt in enumerate(sample.prompts)]


def check_batching(sample: Sample, together: Sequence[Answer]) -> SelfCheck:
    """The same questions, prompts of different lengths mixed, one by one, and by the library's loop.

    Args:
        sample: the questions.
        together: their answers from `answers_together`.

    Raises:
        ModelError: more than one answer differs by more than rounding can do.
    """
    alone = [
        next(by_library(sample.loaded, sample.seen.pick([place]), [prompt], sample.max_new_tokens))
        for place, prompt in enumerate(sample.prompts)
    ]
    parted = [place for place, answer in enumerate(together) if answer.text != alone[place].text]
    wrong = [place for place in parted if not _is_tie(sample, place, together[place], alone[place])]
    if len(wrong) > MOST_DIFFERENT:
        raise ModelError(
            sample.model,
            found=f"{len(wrong)} of {len(sample)} answers differ between a batch and one by one",
            expected=f"at most {MOST_DIFFERENT}",
            fix="report this: padding or masks are wrong for this model",
        )
    sentence = f"{len(sample) - len(parted)} of {len(sample)} answers are the same in a batch and one by one"
    ties = len(parted) - len(wrong)
    said = f"; in {ties} two words were as good as equally likely, and rounding decided" if ties else ""
    return SelfCheck(kind="batching", model=sample.model, outcome="passed", sentence=f"{sentence}{said}.")


def _is_tie(sample: Sample, place: int, one: Answer, other: Answer) -> bool:
    return is_tie(sample.loaded, sample.seen.pick([place]), sample.prompts[place], one.ids, other.ids)
