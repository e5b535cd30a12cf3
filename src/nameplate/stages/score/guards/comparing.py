"""Each checkpoint against the base: what is really worse, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from nameplate.stages.score.guards.columns import column_label
from nameplate.stages.score.guards.round import IN_DETAIL, GuardAnswers, Marks
from nameplate.statistics import SIGNIFICANT, holm, mcnemar_exact, p_text
from nameplate.summary import GuardScores


class _Guard(NamedTuple):
    """One thing that all models were asked."""

    marks: Callable[[GuardAnswers], Marks]
    more_is_worse: bool
    worse: str
    """How a sentence about it begins."""
    rows: str
    help: str = ""
    """What can be done about it, if there is something."""


_REPEATS: Final = _Guard(
    lambda each: each.repeats, True, "It repeats itself more often than the base when asked for detail", "answers"
)
_CLAIMS: Final = _Guard(
    lambda each: each.claims,
    True,
    "It claims a name more often than the base where there is none",
    "images",
    "It can be taught that there may be none: train.examples.unnamed.",
)


def conclude(answers: Mapping[str, GuardAnswers], *, base: str) -> dict[str, GuardScores]:
    """Every model's figures, with what became worse than the base in words; the base has its figures alone.

    Each guard is an exact paired test (McNemar), Holm over all models but the base.

    Args:
        answers: by model; all were asked the same.
        base: which of them is the base.
    """
    before = answers[base]
    later = {name: each for name, each in answers.items() if name != base}
    sentences: dict[str, list[str]] = {name: [] for name in answers}
    for guard in [*map(_of_column, before.right), _REPEATS, _CLAIMS]:
        changes = {name: _change(guard.marks(before), guard.marks(each)) for name, each in later.items()}
        adjusted = holm([each.p_value for each in changes.values()])
        for (name, change), p_value in zip(changes.items(), adjusted, strict=True):
            if p_value < SIGNIFICANT and (change.after > change.before) is guard.more_is_worse:
                sentences[name].append(_in_words(guard, change, p_value, num_models=len(later)))
    return {name: each.scores.model_copy(update={"sentences": sentences[name]}) for name, each in answers.items()}


class _Change(NamedTuple):
    """Rows that both could be judged on."""

    before: int
    after: int
    n: int
    p_value: float


def _of_column(column: str) -> _Guard:
    in_detail = column.endswith(IN_DETAIL)
    label = column_label(column.removesuffix(IN_DETAIL))
    verb, when = ("says", " when asked for detail") if in_detail else ("knows", "")
    worse = f"It {verb} the {label} less often than the base{when}"
    return _Guard(lambda each: each.right[column], False, worse, "images")


def _change(before: Marks, after: Marks) -> _Change:
    pairs = [(was, now) for was, now in zip(before, after, strict=True) if was is not None and now is not None]
    fixed = sum(not was and now for was, now in pairs)
    lost = sum(was and not now for was, now in pairs)
    was_true, now_true = sum(was for was, _ in pairs), sum(now for _, now in pairs)
    return _Change(was_true, now_true, len(pairs), mcnemar_exact(fixed, lost))


def _in_words(guard: _Guard, change: _Change, p_value: float, *, num_models: int) -> str:
    tested = f"exact paired {p_text(p_value)}" + (f", Holm over {num_models} models" if num_models > 1 else "")
    found = f"{guard.worse}: {change.after} instead of {change.before} of {change.n} {guard.rows} ({tested})."
    return f"{found} {guard.help}".rstrip()
